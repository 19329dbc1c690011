//! How fast the depot hands out a root image, beside nginx with the same file in the same run, and how much memory that takes: the
//! figures of `docs/scale.md`. And how long it takes to list a thousand machines.
//!
//! The depot's service runs in a process of its own, so that its memory is its own. Clients are threads with plain sockets. What
//! arrives is thrown away inside the kernel (`MSG_TRUNC`, tcp(7)): what a client does with the bytes would only hide how the servers
//! differ. Each server is first asked for the whole file, and its SHA-256 is compared.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use authority::tls::{self, Identity};
use camino::{Utf8Path, Utf8PathBuf};
use depot::objects::{Image, Object, Objects};
use depot::server::Limits;
use depot::service::Service;
use depot::store::{Known, Store, Wish};
use depot::wire::{Events, Hello, Spend};
use identity::{Authority, Key, Machine, Validity};
use nix::sys::socket::{MsgFlags, recv};
use run::event::{Event, Record};
use run::node_source::rack::Facts;
use sha2::{Digest, Sha256};

/// Tells the child which folder it serves.
pub const CHILD: &str = "RACKWRIGHT_MEASURE_DEPOT";
const FILE: &str = "root.squashfs";
const SIZE: usize = 64 << 20;
/// Clients at once, and how much of the file each one takes.
const LOADS: [(usize, usize); 4] = [(1, SIZE), (10, SIZE), (100, SIZE / 4), (1000, SIZE / 32)];
/// Each is measured so often, in turns; the middle counts.
const TURNS: usize = 5;
/// Least bytes of a turn: one client alone repeats itself.
const LEAST: usize = 256 << 20;
/// Machines that are listed, and events of each.
const MACHINES: usize = 1000;
const EVENTS: u64 = 100;

/// The child: serves until it is killed.
pub fn serve(folder: &Utf8Path) -> anyhow::Result<()> {
    let authority = Authority::new("only here")?;
    let key = Key::derive(b"only here", "depot")?;
    let machine = Machine {
        name: "depot".into(),
        role: "depot".into(),
        domain: None,
        addresses: vec![[127, 0, 0, 1].into()],
    };
    let identity = Identity {
        authority: authority.certificate(),
        certificate: authority.issue(&machine, &key, Validity::whole())?,
        key: key.pem()?,
    };
    let bytes = fs_err::read(folder.join(FILE))?;
    let sha256 = hex::encode(Sha256::digest(&bytes));
    drop(bytes);
    let object = Object {
        name: FILE.into(),
        sha256: sha256.clone(),
        size: SIZE as u64,
        path: folder.join(FILE),
    };
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let service = Arc::new(Service {
        store: Arc::new(Store::open(&folder.join("state"), "load", Vec::new())?),
        objects: Objects::check(vec![Image {
            role: "lb".into(),
            version: "1".into(),
            files: vec![object],
        }])?,
        loaders: Default::default(),
        deliver: Box::new(|_, _| Err("nothing is delivered here".into())),
        host: address.to_string(),
        caches: BTreeMap::new(),
        pin: authority.pin(),
        consoles: Vec::new(),
        counters: Default::default(),
    });
    let new = folder.join("address.new");
    fs_err::write(&new, format!("{address} /objects/{sha256}/{FILE}"))?;
    fs_err::rename(&new, folder.join("address"))?;
    let config = tls::server(&identity)?;
    let limits = Limits {
        of_one: 4096,
        ..Limits::default()
    };
    Ok(depot::server::serve_within(
        listener,
        service,
        config,
        axum::Router::new(),
        limits,
    )?)
}

/// Ends with its value.
struct Server {
    child: Child,
    address: SocketAddr,
    path: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn depot(folder: &Utf8Path) -> anyhow::Result<Server> {
    let child = Command::new(std::env::current_exe()?)
        .env(CHILD, folder)
        .stdin(Stdio::null())
        .spawn()?;
    let text = wait(|| fs_err::read_to_string(folder.join("address")).ok())?;
    let (address, path) = text.split_once(' ').context("no address")?;
    Ok(Server {
        child,
        address: address.parse()?,
        path: path.to_owned(),
    })
}

/// The same file by nginx, with the settings that its documentation gives for large files.
fn nginx(folder: &Utf8Path) -> anyhow::Result<Server> {
    let inside = format!("access_log off; root {folder};");
    start_nginx(folder, "nginx", &inside, format!("/{FILE}"))
}

/// A rack's cache in front of the depot, as docs/scale.md has it.
fn cache(folder: &Utf8Path, depot: &Server) -> anyhow::Result<Server> {
    let inside = format!(
        "access_log {folder}/cache.txt short;\n\
         location /objects/ {{ proxy_pass http://{}; proxy_http_version 1.1; proxy_cache images; proxy_cache_valid 200 30d;\n\
         proxy_cache_lock on; proxy_cache_lock_age 1h; proxy_cache_lock_timeout 1h; }}",
        depot.address
    );
    start_nginx(folder, "cache", &inside, depot.path.clone())
}

fn start_nginx(
    folder: &Utf8Path,
    name: &str,
    inside: &str,
    path: String,
) -> anyhow::Result<Server> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let configuration = folder.join(format!("{name}.conf"));
    let own = folder.join(name);
    fs_err::create_dir_all(&own)?;
    fs_err::set_permissions(&own, std::os::unix::fs::PermissionsExt::from_mode(0o777))?;
    fs_err::write(
        &configuration,
        format!(
            "daemon off; worker_processes auto; pid {own}/pid; error_log {own}/log;\n\
             events {{ worker_connections 4096; }}\n\
             http {{ sendfile on; tcp_nopush on; client_body_temp_path {own}/t1; proxy_temp_path {own}/t2;\n\
             fastcgi_temp_path {own}/t3; uwsgi_temp_path {own}/t4; scgi_temp_path {own}/t5;\n\
             log_format short '$upstream_cache_status'; proxy_cache_path {own}/images keys_zone=images:1m inactive=30d;\n\
             server {{ listen 127.0.0.1:{port} backlog=4096; {inside} }} }}\n"
        ),
    )?;
    let child = Command::new("nginx")
        .args(["-c", configuration.as_str()])
        .stdin(Stdio::null())
        .spawn()
        .context("nginx cannot be started\nhint: apt-get install nginx-light")?;
    let server = Server {
        child,
        address: ([127, 0, 0, 1], port).into(),
        path,
    };
    wait(|| TcpStream::connect(server.address).ok())?;
    Ok(server)
}

fn wait<T>(mut look: impl FnMut() -> Option<T>) -> anyhow::Result<T> {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        ensure!(
            began.elapsed() < Duration::from_secs(20),
            "a server does not start"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Bytes a second of all clients together.
fn load(server: &Server, clients: usize, length: usize) -> anyhow::Result<f64> {
    let start = Barrier::new(clients + 1);
    let times = (LEAST / (clients * length)).max(1);
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..clients)
            .map(|_| {
                let start = &start;
                std::thread::Builder::new()
                    .stack_size(64 << 10)
                    .spawn_scoped(scope, move || {
                        start.wait();
                        (0..times).try_for_each(|_| fetch(server, length))
                    })
            })
            .collect::<std::io::Result<_>>()?;
        start.wait();
        let began = Instant::now();
        for client in running {
            match client.join() {
                Ok(result) => result?,
                Err(_) => bail!("a client failed"),
            }
        }
        Ok((clients * length * times) as f64 / began.elapsed().as_secs_f64())
    })
}

fn ask(server: &Server, length: usize) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(server.address)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    write!(
        stream,
        "GET {} HTTP/1.1\r\nHost: x\r\nRange: bytes=0-{}\r\nConnection: close\r\n\r\n",
        server.path,
        length - 1
    )?;
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    ensure!(
        head.starts_with(b"HTTP/1.1 206"),
        "{}",
        String::from_utf8_lossy(&head)
    );
    Ok(stream)
}

fn fetch(server: &Server, length: usize) -> anyhow::Result<()> {
    let stream = ask(server, length)?;
    let mut nothing = vec![0; 256 << 10];
    let mut read = 0;
    loop {
        match recv(stream.as_raw_fd(), &mut nothing, MsgFlags::MSG_TRUNC)? {
            0 => break,
            count => read += count,
        }
    }
    ensure!(read == length, "{read} of {length} bytes");
    Ok(())
}

fn sum(server: &Server) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    ask(server, SIZE)?.read_to_end(&mut bytes)?;
    Ok(hex::encode(Sha256::digest(&bytes)))
}

/// Most memory since [`forget`], in kB.
fn memory(process: u32) -> anyhow::Result<u64> {
    let text = fs_err::read_to_string(format!("/proc/{process}/status"))?;
    text.lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|line| line.trim().split(' ').next()?.parse().ok())
        .context("no VmHWM")
}

/// Sets the kernel's record of it back (proc(5)).
fn forget(process: u32) -> anyhow::Result<()> {
    Ok(fs_err::write(format!("/proc/{process}/clear_refs"), "5")?)
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Measures, and writes tables.
pub fn run(directory: &Utf8Path, out: &mut dyn Write) -> anyhow::Result<()> {
    let folder: Utf8PathBuf = directory.join("load");
    let _ = fs_err::remove_dir_all(&folder);
    fs_err::create_dir_all(&folder)?;
    let folder = folder.canonicalize_utf8()?;
    let (_, most) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE)?;
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE, most, most)?;
    // Nothing that a file system could store more cheaply.
    let mut state = 1_u64;
    let bytes: Vec<u8> = (0..SIZE)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 56) as u8
        })
        .collect();
    let expected = hex::encode(Sha256::digest(&bytes));
    fs_err::write(folder.join(FILE), bytes)?;
    // nginx gives root away; its worker must still read.
    for path in folder.ancestors().take(2) {
        fs_err::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    }
    let (ours, theirs) = (depot(&folder)?, nginx(&folder)?);
    for server in [&ours, &theirs] {
        ensure!(sum(server)? == expected, "what arrived is not the file");
    }
    writeln!(
        out,
        "| clients | MB each | depot, MB/s | nginx, MB/s | ratio (worst, best turn) | depot's memory, most, MB |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|")?;
    for (clients, length) in LOADS {
        forget(ours.child.id())?;
        let (mut own, mut other, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for turn in 0..TURNS {
            let mut pair = [0.0; 2];
            // Who is first changes.
            for which in [turn % 2, 1 - turn % 2] {
                let server = [&ours, &theirs][which];
                pair[which] = load(server, clients, length)?;
            }
            own.push(pair[0]);
            other.push(pair[1]);
            ratios.push(pair[0] / pair[1]);
        }
        let (worst, best) = ratios.iter().fold((f64::MAX, 0_f64), |(low, high), ratio| {
            (low.min(*ratio), high.max(*ratio))
        });
        writeln!(
            out,
            "| {clients} | {} | {:.0} | {:.0} | {:.2} ({worst:.2}, {best:.2}) | {:.1} |",
            length >> 20,
            middle(own) / 1e6,
            middle(other) / 1e6,
            middle(ratios),
            memory(ours.child.id())? as f64 / 1e3
        )?;
    }
    drop(theirs);
    let cache = cache(&folder, &ours)?;
    let (clients, length) = LOADS[2];
    let speed = load(&cache, clients, length)?;
    let said = fs_err::read_to_string(folder.join("cache.txt"))?;
    let fetched = said.lines().filter(|line| *line != "HIT").count();
    writeln!(
        out,
        "\nThrough nginx as an empty cache: {clients} clients, {:.0} MB/s, {} answers, {fetched} of them asked the depot.\n",
        speed / 1e6,
        said.lines().count()
    )?;
    drop((cache, ours));
    list(&folder.join("many"), out)
}

/// A store with many machines: opened, and listed as the board does.
fn list(folder: &Utf8Path, out: &mut dyn Write) -> anyhow::Result<()> {
    let known: Vec<Known> = (0..MACHINES)
        .map(|number| Known {
            node: format!("node{number}"),
            role: "lb".into(),
            place: None,
            facts: Facts {
                serial: Some(format!("ZM{number}")),
                ..Facts::default()
            },
        })
        .collect();
    let now = authority::now();
    let store = Store::open(folder, "load", known.clone())?;
    for machine in &known {
        let (fingerprint, permit) = (format!("print-{}", machine.node), machine.node.clone());
        let wish = Wish {
            keep_data: false,
            seconds: 3600,
            on_sight: true,
        };
        store.arm(now, &machine.node, &permit, wish)?;
        let hello = Hello {
            serial: machine.facts.serial.clone(),
            role: "lb".into(),
            version: "1".into(),
            ..Hello::default()
        };
        store.hello(now, &fingerprint, &hello, "10.0.0.1")?;
        let spend = Spend {
            permit,
            plan: "plan".into(),
            board: hello.serial,
        };
        store.spend(now, &fingerprint, &spend)?;
        let step = |number: u64| (format!("step-{number}"), format!("title of step {number}"));
        let records = (0..EVENTS).map(|sequence| Record {
            sequence,
            at: 0,
            event: match sequence {
                0 => Event::Planned {
                    node: machine.node.clone(),
                    digest: "digest".into(),
                    steps: (0..16).map(step).collect(),
                },
                _ => Event::Progress {
                    step: step(sequence * 16 / EVENTS).0,
                    done: sequence,
                    total: EVENTS,
                    unit: "bytes".into(),
                },
            },
        });
        let events = Events {
            from: 0,
            records: records.collect(),
        };
        store.events(now, &fingerprint, &events)?;
    }
    drop(store);
    let began = Instant::now();
    let store = Store::open(folder, "load", known)?;
    let opened = began.elapsed();
    let began = Instant::now();
    let text = serde_json::to_string(&store.rack(now))?;
    let listed = began.elapsed();
    let phases = text.matches("\"installing\"").count();
    ensure!(
        phases == MACHINES,
        "{phases} of {MACHINES} machines install"
    );
    writeln!(
        out,
        "{MACHINES} machines with {EVENTS} events each: opened in {:.0} ms, listed as JSON ({} kB) in {:.1} ms.",
        opened.as_secs_f64() * 1e3,
        text.len() / 1000,
        listed.as_secs_f64() * 1e3
    )?;
    Ok(())
}
