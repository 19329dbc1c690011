//! The depot over real sockets: what is told to whom, what is refused, and what a killed depot still knows.

#![expect(
    clippy::unwrap_used,
    reason = "what cannot be made here is a fault of the test"
)]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use authority::tls::{self, Identity};
use camino::{Utf8Path, Utf8PathBuf};
use depot::client::{CallError, Client, NAME};
use depot::objects::{Image, Object, Objects};
use depot::server::Limits;
use depot::service::Service;
use depot::store::{Known, Store, Wish};
use depot::wire::{Answer, Bundle, Delivered, Events, Health, Hello, Secret, Spend};
use identity::{Authority, Key, Machine, Validity};
use run::event::{Event, Outcome, Record};
use run::node_source::rack::Facts;
use sha2::{Digest, Sha256};

mod hostile;

const NODE: &str = "db1";
const BOARD: &str = "ZM1";
const SEED: &str = "a secret of this test";

fn known() -> Vec<Known> {
    vec![Known {
        node: NODE.into(),
        role: "galera".into(),
        place: None,
        facts: Facts {
            serial: Some(BOARD.into()),
            bmc_mac: None,
            macs: ["02:00:00:00:00:01".to_owned()].into(),
        },
    }]
}

fn identity(role: &str) -> Identity {
    let authority = Authority::new(SEED).unwrap();
    let key = Key::derive(b"any", role).unwrap();
    let machine = Machine {
        name: NAME.into(),
        role: role.into(),
        domain: None,
        addresses: vec![[127, 0, 0, 1].into()],
    };
    let now = i64::try_from(authority::now()).unwrap();
    Identity {
        authority: authority.certificate(),
        certificate: authority
            .issue(&machine, &key, Validity::issued_at(now))
            .unwrap(),
        key: key.pem().unwrap(),
    }
}

/// Serves in this process for as long as it lives.
fn serve(folder: &Utf8Path, role: &str) -> (SocketAddr, Arc<Store>) {
    let limits = Limits {
        of_one: 1000,
        ..Limits::default()
    };
    serve_within(folder, role, limits)
}

fn serve_within(folder: &Utf8Path, role: &str, limits: Limits) -> (SocketAddr, Arc<Store>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let store = Arc::new(Store::open(&folder.join("state"), "mail", known()).unwrap());
    let files: Vec<Object> = [
        ("vmlinuz", 10),
        ("initrd.zst", 20),
        ("root.squashfs", 3 << 20),
        ("rackwright-galera.iso", 24 << 20),
    ]
    .into_iter()
    .map(|(name, size)| {
        let path = folder.join(name);
        let bytes: Vec<u8> = (0..size).map(|at: usize| (at * 31 % 251) as u8).collect();
        fs_err::write(&path, &bytes).unwrap();
        Object {
            name: name.into(),
            sha256: hex::encode(Sha256::digest(&bytes)),
            size: bytes.len() as u64,
            path,
        }
    })
    .collect();
    let image = Image {
        role: "galera".into(),
        version: "1".into(),
        files,
    };
    let service = Arc::new(Service {
        store: Arc::clone(&store),
        objects: Objects::check(vec![image]).unwrap(),
        loaders: BTreeMap::from([("ipxe.efi".to_owned(), "MZ".into())]),
        deliver: Box::new(|node, permit| {
            Ok(Delivered {
                node: node.into(),
                node_file: format!("node = '{node}'\n[permit]\nid = '{}'\n", permit.id),
                secrets: BTreeMap::from([("bmc".into(), "hidden".into())]),
            })
        }),
        host: address.to_string(),
        caches: BTreeMap::new(),
        pin: pin(),
        consoles: vec!["tty0".into()],
        counters: Default::default(),
    });
    let config = tls::server(&identity(role)).unwrap();
    std::thread::spawn(move || {
        depot::server::serve_within(listener, service, config, axum::Router::new(), limits)
            .unwrap();
    });
    (address, store)
}

fn pin() -> String {
    Authority::new(SEED).unwrap().pin()
}

fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
    (folder, path)
}

fn client(address: SocketAddr, number: u8) -> Client {
    Client::new(&address.to_string(), &pin(), Secret::new([number; 32])).unwrap()
}

fn hello() -> Hello {
    Hello {
        serial: Some(BOARD.into()),
        role: "galera".into(),
        version: "1".into(),
        ..Hello::default()
    }
}

fn wish() -> Wish {
    Wish {
        keep_data: false,
        seconds: 3600,
        on_sight: false,
    }
}

fn spend() -> Spend {
    Spend {
        permit: "p1".into(),
        plan: "plan".into(),
        board: Some(BOARD.into()),
    }
}

fn ended(outcome: Outcome) -> Events {
    Events {
        from: 0,
        records: vec![Record {
            sequence: 0,
            at: 0,
            event: Event::Ended {
                outcome,
                message: "the end".into(),
            },
        }],
    }
}

fn refused(result: Result<(), CallError>) -> (u16, String) {
    match result {
        Err(CallError::Refused { status, message }) => (status, message),
        other => panic!("{other:?}"),
    }
}

/// Sends bytes and reads what comes until the line is closed or nothing comes for a second.
fn raw(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(2)))
        .unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).ok();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn get(address: SocketAddr, path: &str, more: &str) -> String {
    raw(
        address,
        &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n"),
    )
}

#[test]
fn a_machine_gets_what_is_its_and_nobody_else_does() {
    let (_kept, folder) = folder();
    let (address, store) = serve(&folder, NAME);
    let machine = client(address, 1);
    assert!(machine.time().unwrap() > 1_700_000_000);
    // Not known, not armed, not approved: the same word.
    let stranger = client(address, 2);
    assert!(matches!(
        stranger.hello(&Hello::default()).unwrap(),
        Answer::Wait
    ));
    assert!(matches!(machine.hello(&hello()).unwrap(), Answer::Wait));
    store.arm(authority::now(), NODE, "p1", wish()).unwrap();
    assert!(matches!(machine.hello(&hello()).unwrap(), Answer::Wait));
    store
        .approve(authority::now(), NODE, &machine.fingerprint())
        .unwrap();
    let Answer::Granted(delivered) = machine.hello(&hello()).unwrap() else {
        panic!("it was approved")
    };
    assert_eq!(delivered.node, NODE);
    assert_eq!(delivered.secrets["bmc"], "hidden");
    // Same facts, another secret.
    assert!(matches!(stranger.hello(&hello()).unwrap(), Answer::Wait));
    assert_eq!(
        refused(stranger.spend(&spend())),
        (403, "the depot does not know this machine".into())
    );
    machine.spend(&spend()).unwrap();
    machine.spend(&spend()).unwrap();
    let other = Spend {
        plan: "another".into(),
        ..spend()
    };
    assert_eq!(
        refused(machine.spend(&other)).1,
        "the permit `p1` was spent before\nhint: `rackwright arm` the machine again on the depot"
    );
    assert_eq!(machine.events(&ended(Outcome::Done)).unwrap(), 1);
    assert_eq!(
        refused(stranger.events(&ended(Outcome::Done)).map(drop)).0,
        403
    );
    machine
        .bundle(&Bundle {
            summary: "x".into(),
            files: BTreeMap::new(),
        })
        .unwrap();
    machine
        .health(&Health {
            healthy: true,
            unwell: BTreeMap::new(),
        })
        .unwrap();
    assert_eq!(refused(machine.spend(&other)).0, 403);
    // Nothing of it went over the open wire.
    for path in [
        "/v1/hello",
        "/v1/spend",
        "/v1/events",
        "/v1/bundle",
        "/v1/health",
    ] {
        let secret = Secret::new([1; 32]);
        let text = raw(
            address,
            &format!(
                "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\nContent-Length: 2\r\n\r\n{{}}",
                *secret.text()
            ),
        );
        assert!(text.starts_with("HTTP/1.1 426 "), "{path}: {text}");
    }
}

#[test]
fn who_trusts_another_cluster_tells_nothing() {
    let (_kept, folder) = folder();
    let (address, store) = serve(&folder, NAME);
    let other = Authority::new("another cluster").unwrap().pin();
    let machine = Client::new(&address.to_string(), &other, Secret::new([1; 32])).unwrap();
    let error = machine.hello(&hello()).unwrap_err().to_string();
    assert!(error.contains("belongs to another cluster"), "{error}");
    assert!(store.rack(authority::now()).strangers.is_empty());
    // A machine of the cluster that says it is the depot.
    let (_kept, folder) = self::folder();
    let (address, store) = serve(&folder, "lb");
    let error = client(address, 1).hello(&hello()).unwrap_err().to_string();
    assert!(error.ends_with("it is no depot"), "{error}");
    assert!(store.rack(authority::now()).strangers.is_empty());
}

#[test]
fn only_what_a_manifest_names() {
    let (_kept, folder) = folder();
    let (address, _) = serve(&folder, NAME);
    let root = fs_err::read(folder.join("root.squashfs")).unwrap();
    let sum = hex::encode(Sha256::digest(&root));
    let path = format!("/objects/{sum}/root.squashfs");
    let text = get(address, &path, "");
    assert!(text.starts_with("HTTP/1.1 200 "), "{text:.200}");
    assert!(text.contains(&format!("content-length: {}\r\n", root.len())));
    let part = get(address, &path, "Range: bytes=3145725-\r\n");
    assert!(part.starts_with("HTTP/1.1 206 "), "{part:.200}");
    assert!(part.contains("content-range: bytes 3145725-3145727/3145728\r\n"));
    let behind = get(address, &path, "Range: bytes=3145728-\r\n");
    assert!(behind.starts_with("HTTP/1.1 416 "), "{behind:.200}");
    // Of another file than the one that was begun.
    let whole = get(address, &path, "Range: bytes=5-\r\nIf-Range: \"x\"\r\n");
    assert!(whole.starts_with("HTTP/1.1 200 "), "{whole:.200}");
    assert!(get(address, "/boot/ipxe.efi", "").ends_with("MZ"));
    for nothing in [
        "/",
        "/objects/",
        "/objects",
        "/boot/",
        "/boot/../objects",
        "/boot/..%2f..%2fetc%2fpasswd",
        &format!("/objects/{sum}/../vmlinuz"),
        &format!("/objects/{sum}/vmlinuz"),
        &format!("/objects/{}/root.squashfs", "0".repeat(64)),
        "/objects/..%2f..%2f..%2fetc/passwd",
        "//etc/passwd",
        "/state/depot.log",
        "/v1/",
    ] {
        let text = get(address, nothing, "");
        assert!(text.starts_with("HTTP/1.1 404 "), "{nothing}: {text:.100}");
        assert!(!text.contains("squashfs"), "{nothing}: {text}");
    }
}

#[test]
fn scripts_by_who_asks() {
    let (_kept, folder) = folder();
    let (address, store) = serve(&folder, NAME);
    let asked = |query: &str| get(address, &format!("/boot/machine.ipxe?{query}"), "");
    let local = asked("serial=ZM1");
    assert!(
        local.contains("sanboot") && !local.contains("kernel"),
        "{local}"
    );
    store.arm(authority::now(), NODE, "p1", wish()).unwrap();
    for (query, installs) in [
        ("serial=ZM1", true),
        ("serial=zm1&mac=02:00:00:00:00:09", true),
        ("mac=02:00:00:00:00:01&mac=", true),
        ("serial=ZM2&mac=02:00:00:00:00:01", false),
        ("serial=", false),
        ("", false),
        ("serial=%0akernel%20x", false),
        ("serial=%ff%fe", false),
    ] {
        let text = asked(query);
        assert_eq!(text.contains("\nkernel "), installs, "{query}: {text}");
    }
    let first = get(address, "/boot.ipxe", "");
    assert!(
        first.contains(&format!("http://{address}/boot/machine.ipxe?")),
        "{first}"
    );
}

#[test]
fn bad_clients() {
    let (_kept, folder) = folder();
    let (address, _) = serve(&folder, NAME);
    // A body that is too long is refused, not kept.
    let secret = Secret::new([1; 32]);
    let long = client(address, 1).bundle(&Bundle {
        summary: "x".repeat(5 << 20),
        files: BTreeMap::new(),
    });
    assert!(long.is_err());
    for garbage in [
        "\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        &format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(100_000)),
        &format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(100_000)),
        "\u{16}\u{3}\u{1}\u{0}\u{5}hello",
    ] {
        let text = raw(address, garbage);
        assert!(!text.starts_with("HTTP/1.1 200"), "{text:.100}");
    }
    // Who says nothing, or one letter at a time, is left after a while and holds up nobody.
    let slow: Vec<TcpStream> = (0..300)
        .map(|number| {
            let mut stream = TcpStream::connect(address).unwrap();
            if number % 2 == 0 {
                stream.write_all(b"GET / HT").unwrap();
            }
            stream
        })
        .collect();
    let began = Instant::now();
    assert!(client(address, 1).time().is_ok());
    assert!(began.elapsed() < Duration::from_secs(5));
    for mut stream in slow {
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        let mut rest = Vec::new();
        // Closed by the other side: the end, or a reset, but no time-out.
        if let Err(error) = stream.read_to_end(&mut rest) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        }
    }
    // Too many hellos.
    let machine = Client::new(&address.to_string(), &pin(), secret).unwrap();
    let last = (0..80)
        .map(|_| machine.hello(&hello()))
        .find_map(Result::err);
    match last {
        Some(CallError::Refused { status: 429, .. }) => {}
        other => panic!("{other:?}"),
    }
}

/// What the killed depot's child process runs; not a test of its own.
#[test]
#[ignore = "the process that `killed_at_any_point` kills"]
fn child() {
    let Ok(folder) = std::env::var("DEPOT_TEST_FOLDER") else {
        return;
    };
    let folder = Utf8PathBuf::from(folder);
    let (address, store) = serve(&folder, NAME);
    let file = folder.join("address.new");
    fs_err::write(&file, address.to_string()).unwrap();
    fs_err::rename(&file, folder.join("address")).unwrap();
    // Arms again and again, as an operator who never sleeps.
    for number in 0.. {
        let id = format!("{}-{number}", std::process::id());
        let wish = Wish {
            on_sight: true,
            ..wish()
        };
        // Only what was promised on the disk is said.
        if store.arm(authority::now(), NODE, &id, wish).is_ok() {
            println!("armed {id}");
            std::io::stdout().flush().unwrap();
        }
        // A pause now and then, in which a machine that has just got a permit can spend it before the next one comes: a busy host
        // needs tens of milliseconds for a handshake.
        let pause = if number % 4 == 3 { 250 } else { 3 };
        std::thread::sleep(Duration::from_millis(pause));
    }
}

/// A process that is killed at random moments while permits are armed and spent: no permit that was spent is ever armed again,
/// and none that was armed is lost.
#[test]
fn killed_at_any_point() {
    let (_kept, folder) = folder();
    let mut spent: Vec<String> = Vec::new();
    for round in 0_u8..12 {
        let _ = fs_err::remove_file(folder.join("address"));
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--ignored", "--nocapture"])
            .env("DEPOT_TEST_FOLDER", folder.as_str())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let began = Instant::now();
        while !folder.join("address").exists() {
            assert!(began.elapsed() < Duration::from_secs(30));
            std::thread::sleep(Duration::from_millis(5));
        }
        let address: SocketAddr = fs_err::read_to_string(folder.join("address"))
            .unwrap()
            .parse()
            .unwrap();
        let end = Instant::now() + Duration::from_millis(100 + u64::from(round) * 37 % 200);
        let mut number = 0_u8;
        // On a busy host the first permit may take longer to be spent.
        while Instant::now() < end
            || (spent.is_empty() && began.elapsed() < Duration::from_secs(20))
        {
            number = number.wrapping_add(1);
            let machine = client(address, number);
            if let Ok(Answer::Granted(delivered)) = machine.hello(&hello()) {
                let id = delivered
                    .node_file
                    .split("id = '")
                    .nth(1)
                    .and_then(|rest| rest.split('\'').next())
                    .unwrap()
                    .to_owned();
                let spend = Spend {
                    permit: id.clone(),
                    ..spend()
                };
                if machine.spend(&spend).is_ok() {
                    assert!(!spent.contains(&id), "spent twice: {id}");
                    spent.push(id);
                    machine.events(&ended(Outcome::Done)).ok();
                }
            }
        }
        child.kill().unwrap();
        let mut said = String::new();
        child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        child.wait().unwrap();
        let store = Store::open(&folder.join("state"), "mail", known()).unwrap();
        let rack = store.rack(authority::now());
        let permit = rack.machines[0].permit.clone().unwrap();
        // The last that was promised, or one that was on its way to be.
        if let Some(last) = said
            .lines()
            .filter_map(|line| line.strip_prefix("armed "))
            .next_back()
        {
            let number = |id: &str| id.rsplit_once('-').unwrap().1.parse::<u64>().unwrap();
            assert!(
                number(&permit.id) + 1 >= number(last),
                "{} {last}",
                permit.id
            );
        }
        if spent.contains(&permit.id) {
            assert!(permit.spent.is_some(), "{} was spent", permit.id);
        }
    }
    assert!(!spent.is_empty());
}
