//! The service over real TLS sockets: who gets in, who is refused and in which words, and that one right goes to one machine.

#![expect(clippy::unwrap_used, reason = "a panic in a test is the report")]

use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use authority::{
    client::{CallError, Client, Remote},
    follow, now,
    server::serve,
    service::Service,
    store::Store,
    tls::{self, Identity},
    wire::{Answer, Claim, Delivered, Enrol, Renew},
};
use camino::Utf8PathBuf;
use identity::{Authority, Certificate, Key, Machine, Token, TokenKey, Validity};
use join::claims::{Bootstrap, Claims};

const SEED: &str = "ca-key-seed of the tests";

struct Control {
    _folder: tempfile::TempDir,
    address: SocketAddr,
    store: Arc<Store>,
}

fn machine(name: &str, role: &str) -> Machine {
    Machine {
        name: name.into(),
        role: role.into(),
        domain: None,
        addresses: vec!["127.0.0.1".parse().unwrap()],
    }
}

fn plan() -> BTreeMap<String, Machine> {
    let machines = [
        ("ct1", "control"),
        ("ct2", "control"),
        ("db1", "galera"),
        ("db2", "galera"),
        ("db3", "galera"),
        ("lb1", "lb"),
    ];
    let made = machines.map(|(name, role)| (name.to_owned(), machine(name, role)));
    made.into()
}

/// An identity as the authority of `seed` gives it.
fn identity(seed: &str, name: &str, role: &str) -> Identity {
    let authority = Authority::new(seed).unwrap();
    let key = Key::derive(name.as_bytes(), "test").unwrap();
    let validity = Validity::issued_at(i64::try_from(now()).unwrap());
    Identity {
        authority: authority.certificate(),
        certificate: authority
            .issue(&machine(name, role), &key, validity)
            .unwrap(),
        key: key.pem().unwrap(),
    }
}

fn start(node: &str, shown: &Identity) -> Control {
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
    let store = Arc::new(Store::open(&path, node).unwrap());
    let service = Service {
        store: Arc::clone(&store),
        authority: Authority::new(SEED).unwrap(),
        tokens: TokenKey::new(SEED),
        machines: plan(),
        secrets: Box::new(|node| Some([("bmc".to_owned(), format!("of {node}"))].into())),
        failures: std::sync::Mutex::default(),
        heard: std::sync::Mutex::default(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let config = tls::server(shown).unwrap();
    std::thread::spawn(move || {
        serve(
            listener,
            Arc::new(service),
            Arc::new(move || Some(Arc::clone(&config))),
        )
        .unwrap();
    });
    Control {
        _folder: folder,
        address,
        store,
    }
}

fn active() -> Control {
    let control = start("ct1", &identity(SEED, "ct1", "control"));
    control.store.promote(now(), 0).unwrap();
    control
}

fn client(addresses: &[SocketAddr], identity: &Identity) -> Client {
    Client::new(addresses.to_vec(), tls::client(identity).unwrap())
}

fn pinned(control: &Control, pin: &str) -> Client {
    Client::new(vec![control.address], tls::pinned(pin).unwrap())
}

fn ask(node: &str, role: &str, token: &Token, key: &Key) -> Enrol {
    Enrol {
        node: node.into(),
        role: role.into(),
        token: token.text().to_string(),
        request: key.request(node).unwrap(),
    }
}

fn reason(error: CallError) -> String {
    match error {
        CallError::Refused(refusal) => refusal.reason,
        CallError::Unreachable(text) => format!("unreachable: {text}"),
    }
}

#[test]
fn a_machine_enrols_once_by_pin_and_token_and_then_claims() {
    let control = active();
    let pin = Authority::new(SEED).unwrap().pin();
    let client_ = pinned(&control, &pin);
    let (key, other) = (
        Key::derive(b"random of db1", "node").unwrap(),
        Key::derive(b"random of a thief", "node").unwrap(),
    );
    let token = TokenKey::new(SEED).make("db1", "galera", "permit", 0);
    let issued = client_.enrol(&ask("db1", "galera", &token, &key)).unwrap();
    let read = identity::check_pair(&issued.certificate, &key.pem().unwrap()).unwrap();
    assert_eq!((read.name.as_str(), read.role.as_str()), ("db1", "galera"));
    assert_eq!(Certificate::parse(&issued.authority).unwrap().pin, pin);

    // The answer was lost: the same key is answered again. Another key is not.
    client_.enrol(&ask("db1", "galera", &token, &key)).unwrap();
    let refused = client_.enrol(&ask("db1", "galera", &token, &other));
    assert_eq!(reason(refused.unwrap_err()), "token-spent");

    let own = Identity {
        authority: issued.authority,
        certificate: issued.certificate,
        key: key.pem().unwrap(),
    };
    let db1 = client(&[control.address], &own);
    let delivered: Delivered = db1.get("/v1/secrets").unwrap();
    assert_eq!(delivered.0["bmc"], "of db1");
    assert_eq!(format!("{delivered:?}"), "{\"bmc\"}");
    let request = other.request("lb1").unwrap();
    let renewed = db1.renew(&Renew { request }).unwrap();
    assert_eq!(
        Certificate::parse(&renewed.certificate).unwrap().name,
        "db1"
    );

    let claims = Remote(db1);
    assert_eq!(claims.take_bootstrap("mail", "db1"), Ok(Bootstrap::Granted));
    let second = Remote(client(&[control.address], &identity(SEED, "db2", "galera")));
    let held = Ok(Bootstrap::HeldBy("db1".into()));
    // Whatever name it gives, its certificate says who it is.
    assert_eq!(second.take_bootstrap("mail", "db1"), held);
    assert!(second.spend_bootstrap("mail", "db1", "u").is_err());
    assert_eq!(claims.spend_bootstrap("mail", "db1", "u"), Ok(()));
    assert_eq!(claims.lease("joiner", "db1", 60), Ok(true));
    assert_eq!(second.lease("joiner", "db2", 60), Ok(false));
    assert_eq!(claims.release("joiner", "db1"), Ok(()));
    assert_eq!(claims.raise_epoch("r", 0, "db1").unwrap().number, 1);
    assert!(second.raise_epoch("r", 0, "db2").is_err());
    assert_eq!(second.epoch("r").unwrap().owner, "db1");
    assert_eq!(claims.report("db1", "done", "synced"), Ok(()));
}

#[test]
fn who_is_refused_and_in_which_words() {
    let control = active();
    let pin = Authority::new(SEED).unwrap().pin();
    let key = Key::derive(b"random", "node").unwrap();
    let tokens = TokenKey::new(SEED);
    let good = tokens.make("db1", "galera", "", 0);
    let cases = [
        (ask("db2", "galera", &good, &key), "token"),
        (ask("db1", "control", &good, &key), "token"),
        (
            ask("db1", "galera", &tokens.make("db1", "galera", "", 1), &key),
            "token-expired",
        ),
        (
            ask(
                "db1",
                "galera",
                &TokenKey::new("x").make("db1", "galera", "", 0),
                &key,
            ),
            "token",
        ),
        (
            ask("db9", "galera", &tokens.make("db9", "galera", "", 0), &key),
            "unknown",
        ),
        (
            ask("db1", "lb", &tokens.make("db1", "lb", "", 0), &key),
            "unknown",
        ),
        (
            Enrol {
                request: "no request".into(),
                ..ask("db1", "galera", &good, &key)
            },
            "request",
        ),
    ];
    for (enrol, expected) in cases {
        let refused = pinned(&control, &pin).enrol(&enrol).unwrap_err();
        assert_eq!(reason(refused), expected, "{enrol:?}");
    }
    // None of them spent the good one.
    let wrong = pinned(&control, "sha256:00").enrol(&ask("db1", "galera", &good, &key));
    assert!(reason(wrong.unwrap_err()).contains("belongs to another cluster"));
    pinned(&control, &pin)
        .enrol(&ask("db1", "galera", &good, &key))
        .unwrap();
    for _ in 0..3 {
        let _ = pinned(&control, &pin).enrol(&ask("db2", "galera", &good, &key));
    }
    let refused = pinned(&control, &pin).enrol(&ask("db1", "galera", &good, &key));
    assert_eq!(reason(refused.unwrap_err()), "rate");

    // Without a certificate there is nothing but enrolling.
    let nobody = pinned(&control, &pin);
    for path in [
        "/v1/secrets",
        "/v1/state",
        "/v1/standing",
        "/v1/log?record=0&digest=",
    ] {
        let refused = nobody.get::<serde_json::Value>(path).unwrap_err();
        assert_eq!(reason(refused), "certificate", "{path}");
    }
    let report = |detail: String| Claim::Report {
        state: "a".into(),
        detail,
    };
    let refused = nobody.claim(&report(String::new())).unwrap_err();
    assert_eq!(reason(refused), "certificate");
    let db1 = client(&[control.address], &identity(SEED, "db1", "galera"));
    let refused = db1.log("/v1/log?record=0&digest=").unwrap_err();
    assert_eq!(reason(refused), "role");
    // A machine that left the plan, a body beyond the limit, a certificate of another cluster.
    let gone = client(&[control.address], &identity(SEED, "db9", "galera"));
    assert_eq!(
        reason(gone.claim(&report("x".into())).unwrap_err()),
        "unknown"
    );
    assert!(db1.claim(&report("x".repeat(70_000))).is_err());
    let stranger = client(&[control.address], &identity("other", "db1", "galera"));
    assert!(reason(stranger.standing().unwrap_err()).starts_with("unreachable"));
    // Still there.
    db1.claim(&report("x".into())).unwrap();
}

#[test]
fn only_a_control_server_speaks_for_the_authority() {
    let impostor = start("lb1", &identity(SEED, "lb1", "lb"));
    let pin = Authority::new(SEED).unwrap().pin();
    let own = identity(SEED, "db1", "galera");
    for client in [pinned(&impostor, &pin), client(&[impostor.address], &own)] {
        let error = reason(client.standing().unwrap_err());
        assert!(error.ends_with("it is no control server"), "{error}");
    }
}

#[test]
fn of_many_that_ask_at_once_one_gets_the_right() {
    let control = active();
    let address = control.address;
    let threads: Vec<_> = ["db1", "db2", "db3"]
        .into_iter()
        .cycle()
        .take(12)
        .map(|node| {
            std::thread::spawn(move || {
                let claims = Remote(client(&[address], &identity(SEED, node, "galera")));
                (node, claims.take_bootstrap("mail", node).unwrap())
            })
        })
        .collect();
    let granted: std::collections::BTreeSet<_> = threads
        .into_iter()
        .filter_map(|thread| {
            let (node, answer) = thread.join().unwrap();
            (answer == Bootstrap::Granted).then_some(node)
        })
        .collect();
    assert_eq!(granted.len(), 1);
}

#[test]
fn the_second_control_server_follows_and_is_passed_over_until_promoted() {
    let (id1, id2) = (
        identity(SEED, "ct1", "control"),
        identity(SEED, "ct2", "control"),
    );
    let (first, second) = (start("ct1", &id1), start("ct2", &id2));
    let (to_first, to_second) = (
        client(&[first.address], &id2),
        client(&[second.address], &id1),
    );
    follow::once(&first.store, Some(&to_second), true, false).unwrap();
    assert!(first.store.is_active());

    // The standby is asked first, says so, and the next is asked.
    let db1 = client(
        &[second.address, first.address],
        &identity(SEED, "db1", "galera"),
    );
    assert_eq!(
        Remote(db1.clone()).take_bootstrap("mail", ""),
        Ok(Bootstrap::Granted)
    );
    follow::once(&second.store, Some(&to_first), false, false).unwrap();
    assert_eq!(second.store.state(), first.store.state());

    second.store.promote(now(), 0).unwrap();
    let db2 = client(
        &[second.address, first.address],
        &identity(SEED, "db2", "galera"),
    );
    let held = Answer::HeldBy { node: "db1".into() };
    let claim = Claim::TakeBootstrap {
        cluster: "mail".into(),
    };
    assert_eq!(db2.claim(&claim).unwrap(), held);
    // The first one hears of it and stands back.
    follow::once(&first.store, Some(&to_second), true, false).unwrap();
    assert!(!first.store.is_active());
    assert_eq!(second.store.state(), first.store.state());
}
