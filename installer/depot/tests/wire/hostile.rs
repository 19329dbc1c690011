//! Who means no good, or does not know better: paths out of the folder, bodies without end, readers that do not read, connections
//! by the thousand, and bytes that are no HTTP. What is asked for properly is answered all the while.

use std::net::Ipv4Addr;
use std::os::fd::AsRawFd as _;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, setsockopt, socket, sockopt,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;

const ROOT: usize = 3 << 20;

fn sum_of(folder: &Utf8Path, name: &str) -> String {
    hex::encode(Sha256::digest(fs_err::read(folder.join(name)).unwrap()))
}

/// A connection from an address of the loopback network. `buffer`: bytes that it takes without being read.
fn from(last: u8, address: SocketAddr, buffer: Option<usize>) -> TcpStream {
    let socket = socket(
        AddressFamily::Inet,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    )
    .unwrap();
    if let Some(bytes) = buffer {
        setsockopt(&socket, sockopt::RcvBuf, &bytes).unwrap();
    }
    let own = Ipv4Addr::new(127, 0, 0, last);
    bind(socket.as_raw_fd(), &SockaddrIn::new(127, 0, 0, last, 0)).unwrap();
    let other = SockaddrIn::new(127, 0, 0, 1, address.port());
    connect(socket.as_raw_fd(), &other).unwrap_or_else(|error| panic!("{own}: {error}"));
    let stream = TcpStream::from(socket);
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    stream
}

type Encrypted = rustls::StreamOwned<rustls::ClientConnection, TcpStream>;

fn encrypted(stream: TcpStream) -> Encrypted {
    let config = tls::pinned(&pin()).unwrap();
    let name = rustls::pki_types::ServerName::try_from(NAME).unwrap();
    let client = rustls::ClientConnection::new(config, name).unwrap();
    rustls::StreamOwned::new(client, stream)
}

/// The head of the next answer, and then so many bytes as it says.
fn answer(stream: &mut impl Read) -> (String, Vec<u8>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .unwrap()
        .parse()
        .unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    (head, body)
}

fn status(head: &str) -> &str {
    head.split(' ').nth(1).unwrap_or_default()
}

/// A question over TLS: machine number one's, with a body.
fn post(address: SocketAddr, path: &str, length: usize, body: &[u8]) -> (String, Duration) {
    let mut stream = encrypted(from(1, address, None));
    let secret = Secret::new([1; 32]);
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: {length}\r\n\r\n",
        *secret.text()
    )
    .unwrap();
    let _ = stream.write_all(body);
    let _ = stream.flush();
    let began = Instant::now();
    (answer(&mut stream).0, began.elapsed())
}

#[test]
fn no_path_leads_elsewhere() {
    let (_kept, folder) = folder();
    let (address, _) = serve(&folder, NAME);
    let sum = sum_of(&folder, "root.squashfs");
    let name = "root.squashfs";
    for path in [
        format!("/objects/{sum}/../{sum}/{name}"),
        format!("/objects/{sum}//{name}"),
        format!("/objects//{sum}/{name}"),
        format!("/objects/./{sum}/{name}"),
        format!("/objects/{sum}/{name}/"),
        format!("/objects/{sum}/{name}%00"),
        format!("/objects/{sum}/%2e%2e/vmlinuz"),
        format!("/objects/{sum}/%252e%252e%252fvmlinuz"),
        format!("/objects/{sum}/..\\vmlinuz"),
        format!("/objects/{sum}/%c0%ae%c0%ae/vmlinuz"),
        format!("/objects/{}/{name}", sum.to_uppercase()),
        format!("/objects/{}/{name}", &sum[..63]),
        format!("/Objects/{sum}/{name}"),
        format!("/objects/{sum}/{name};x"),
        "/objects/../state/depot.log".to_owned(),
        "/objects/%2e%2e/%2e%2e/%2e%2e/etc/passwd".to_owned(),
        format!("{folder}/{name}"),
        "/boot/../../../../etc/passwd".to_owned(),
        "/boot/%2e%2e%2fipxe.efi".to_owned(),
        "file:///etc/passwd".to_owned(),
        "*".to_owned(),
        "/proc/self/environ".to_owned(),
    ] {
        for more in ["", "Range: bytes=0-9\r\n"] {
            let text = get(address, &path, more);
            let code = status(&text);
            assert!(["400", "404"].contains(&code), "{path}: {text:.200}");
            assert!(!text.contains("root:"), "{path}");
        }
    }
    // What nothing is done to by asking differently.
    for method in ["POST", "PUT", "DELETE", "PROPFIND", "OPTIONS", "TRACE"] {
        let text = raw(
            address,
            &format!(
                "{method} /objects/{sum}/{name} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            ),
        );
        assert_eq!(status(&text), "405", "{method}: {text:.200}");
    }
}

/// Both ways that a file can take say the same, byte for byte.
#[test]
fn with_and_without_a_copy() {
    let (_kept, folder) = folder();
    let (address, _) = serve(&folder, NAME);
    let sum = sum_of(&folder, "root.squashfs");
    let path = format!("/objects/{sum}/root.squashfs");
    let mut direct = from(1, address, None);
    // After another question a connection is hyper's.
    let mut copied = from(1, address, None);
    write!(copied, "GET /boot.ipxe HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    answer(&mut copied);
    let mut tls = encrypted(from(1, address, None));
    for more in [
        String::new(),
        "Range: bytes=0-0\r\n".to_owned(),
        format!("Range: bytes={}-\r\n", ROOT - 1),
        format!("Range: bytes={ROOT}-\r\n"),
        "Range: bytes=-5\r\n".to_owned(),
        "Range: bytes=1048575-2097153\r\n".to_owned(),
        "Range: bytes=0-1,3-4\r\n".to_owned(),
        "Range: lines=1-2\r\n".to_owned(),
        "Range: bytes=18446744073709551615-\r\n".to_owned(),
        "Range: bytes=5-\r\nIf-Range: \"x\"\r\n".to_owned(),
        format!("Range: bytes=5-9\r\nIf-Range: \"{sum}\"\r\n"),
        "If-Range: \"x\"\r\n".to_owned(),
    ] {
        let ask = format!("GET {path} HTTP/1.1\r\nHost: x\r\n{more}\r\n");
        let mut answers = Vec::new();
        for stream in [
            &mut direct as &mut dyn ReadWrite,
            &mut copied as &mut dyn ReadWrite,
            &mut tls as &mut dyn ReadWrite,
        ] {
            stream.write_all(ask.as_bytes()).unwrap();
            stream.flush().unwrap();
            let (head, body) = answer(&mut &mut *stream);
            let mut lines: Vec<String> = head
                .lines()
                .filter(|line| !line.starts_with("date: "))
                .map(str::to_owned)
                .collect();
            lines.sort();
            answers.push((lines, hex::encode(Sha256::digest(&body)), body.len()));
        }
        assert_eq!(answers[0], answers[1], "{more}");
        assert_eq!(answers[0], answers[2], "{more}");
    }
}

trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

#[test]
fn several_questions_in_one_packet() {
    let (_kept, folder) = folder();
    let (address, _) = serve(&folder, NAME);
    let sum = sum_of(&folder, "root.squashfs");
    let part = |range: &str| {
        format!(
            "GET /objects/{sum}/root.squashfs HTTP/1.1\r\nHost: x\r\nRange: bytes={range}\r\n\r\n"
        )
    };
    let mut stream = from(1, address, None);
    let all = [
        part("0-4"),
        part("10-2000000"),
        "GET /v1/time HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        part("7-8"),
    ]
    .concat();
    stream.write_all(all.as_bytes()).unwrap();
    let lengths: Vec<usize> = (0..4).map(|_| answer(&mut stream).1.len()).collect();
    assert_eq!((lengths[0], lengths[1], lengths[3]), (5, 1_999_991, 2));
    // A head in single letters is one as well.
    let mut stream = from(1, address, None);
    for byte in part("0-4").bytes() {
        stream.write_all(&[byte]).unwrap();
    }
    assert_eq!(answer(&mut stream).1.len(), 5);
}

#[test]
fn bodies_without_end() {
    let (_kept, folder) = folder();
    let (address, store) = serve(&folder, NAME);
    let patient = Duration::from_secs(5);
    // Nothing of a stranger's long story is read, not even waited for.
    for path in ["/v1/bundle", "/v1/events"] {
        let (head, took) = post(address, path, 4 << 20, b"{");
        assert_eq!(status(&head), "403", "{path}: {head}");
        assert!(took < patient, "{path}: {took:?}");
    }
    let long = vec![b'['; 65 << 10];
    for path in ["/v1/hello", "/v1/spend", "/v1/health"] {
        let (head, _) = post(address, path, long.len(), &long);
        assert_eq!(status(&head), "413", "{path}: {head}");
    }
    // Of a machine that is known: as long as a bundle may be.
    store
        .arm(
            authority::now(),
            NODE,
            "p1",
            Wish {
                on_sight: true,
                ..wish()
            },
        )
        .unwrap();
    let machine = client(address, 1);
    assert!(matches!(
        machine.hello(&hello()).unwrap(),
        Answer::Granted(_)
    ));
    let long = vec![b'['; (4 << 20) + 1];
    let (head, _) = post(address, "/v1/bundle", long.len(), &long);
    assert_eq!(status(&head), "413", "{head}");
    // A body that does not come: the depot waits half a minute, and not longer.
    let (head, took) = post(address, "/v1/bundle", 1000, b"{");
    assert_eq!(status(&head), "408", "{head}");
    assert!(took > Duration::from_secs(20) && took < Duration::from_secs(45));
    // Chunks without end.
    let mut stream = encrypted(from(1, address, None));
    write!(
        stream,
        "POST /v1/hello HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nTransfer-Encoding: chunked\r\n\r\n",
        *Secret::new([1; 32]).text()
    )
    .unwrap();
    let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
    for _ in 0..100 {
        if stream.write_all(chunk.as_bytes()).is_err() {
            break;
        }
    }
    let _ = stream.flush();
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text);
    assert!(text.is_empty() || status(&text) == "413", "{text:.200}");
    assert!(machine.time().is_ok());
}

/// Who asks for a file and does not read it is left; the others do not notice.
#[test]
fn readers_that_do_not_read() {
    let (_kept, folder) = folder();
    let limits = Limits {
        stall: Duration::from_secs(2),
        ..Limits::default()
    };
    let (address, _) = serve_within(&folder, NAME, limits);
    let sum = sum_of(&folder, "rackwright-galera.iso");
    let ask = format!("GET /objects/{sum}/rackwright-galera.iso HTTP/1.1\r\nHost: x\r\n\r\n");
    let open = |kind: u8| -> Box<dyn ReadWrite> {
        let mut stream = from(1, address, Some(4096));
        match kind {
            0 => Box::new(stream),
            1 => {
                write!(stream, "GET /v1/time HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
                answer(&mut stream);
                Box::new(stream)
            }
            _ => Box::new(encrypted(stream)),
        }
    };
    let mut idle: Vec<(u8, Box<dyn ReadWrite>)> = (0..30)
        .map(|number| {
            let mut stream = open(number % 3);
            stream.write_all(ask.as_bytes()).unwrap();
            stream.flush().unwrap();
            (number % 3, stream)
        })
        .collect();
    assert!(client(address, 1).time().is_ok());
    std::thread::sleep(Duration::from_secs(4));
    for (kind, stream) in &mut idle {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        assert!(
            bytes.len() < 24 << 20,
            "{kind}: it was given {} bytes after all",
            bytes.len()
        );
    }
    // Slow, but alive: all of it.
    let mut stream = from(1, address, None);
    stream.write_all(ask.as_bytes()).unwrap();
    let mut bytes = vec![0; 64 << 10];
    let mut read = 0;
    let began = Instant::now();
    while read < 24 << 20 {
        let count = stream.read(&mut bytes).unwrap();
        assert!(count > 0, "{read} bytes, then the end");
        read += count;
        if began.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn thousands_of_connections() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    let (_kept, folder) = folder();
    let limits = Limits {
        patience: Duration::from_secs(20),
        ..Limits::default()
    };
    let (address, _) = serve_within(&folder, NAME, limits);
    // Of one address: no more than its share, the rest is closed at once.
    let greedy: Vec<TcpStream> = (0..1000).map(|_| from(2, address, None)).collect();
    std::thread::sleep(Duration::from_millis(500));
    let closed = greedy
        .iter()
        .filter(|stream| {
            stream.set_nonblocking(true).unwrap();
            matches!((&mut &**stream).read(&mut [0]), Ok(0))
        })
        .count();
    assert_eq!(closed, 1000 - 128);
    // Of many: two thousand that say nothing, or half a word.
    let many: Vec<TcpStream> = (0..2000_u32)
        .map(|number| {
            let mut stream = from(u8::try_from(10 + number / 100).unwrap(), address, None);
            match number % 4 {
                0 => stream.write_all(b"GET /objects/").unwrap(),
                1 => stream.write_all(b"POST /v1/hello HT").unwrap(),
                2 => stream.write_all(&[22, 3, 1]).unwrap(),
                _ => {}
            }
            stream
        })
        .collect();
    let began = Instant::now();
    let sum = sum_of(&folder, "root.squashfs");
    let text = get(address, &format!("/objects/{sum}/root.squashfs"), "");
    assert_eq!(status(&text), "200");
    assert!(client(address, 1).time().is_ok());
    assert!(client(address, 1).hello(&hello()).is_ok());
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    drop((greedy, many));

    // More than there are places: who waits gets one when another's time is over.
    let (_kept, folder) = self::folder();
    let limits = Limits {
        connections: 16,
        patience: Duration::from_secs(2),
        ..Limits::default()
    };
    let (address, _) = serve_within(&folder, NAME, limits);
    let _full: Vec<TcpStream> = (0..16).map(|_| from(2, address, None)).collect();
    let began = Instant::now();
    let mut stream = from(1, address, None);
    write!(stream, "GET /v1/time HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(status(&answer(&mut stream).0), "200");
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn what_is_no_http() {
    let (_kept, folder) = folder();
    let limits = Limits {
        of_one: 2000,
        patience: Duration::from_secs(1),
        ..Limits::default()
    };
    let (address, _) = serve_within(&folder, NAME, limits);
    let sum = sum_of(&folder, "root.squashfs");
    let path = format!("/objects/{sum}/root.squashfs");
    for (text, codes) in [
        // Two lengths: whoever stands before us might see another request in it (RFC 9112, 6.3).
        (
            format!(
                "GET {path} HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            ),
            &["400", "200"][..],
        ),
        (
            "POST /v1/hello HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"
                .to_owned(),
            &["400"],
        ),
        (
            "POST /v1/hello HTTP/1.1\r\nContent-Length: -1\r\n\r\n".to_owned(),
            &["400"],
        ),
        (
            "POST /v1/hello HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n".to_owned(),
            &["400"],
        ),
        (format!("GET {path}\r\n\r\n"), &["400"]),
        (format!("GET {path} HTTP/0.9\r\n\r\n"), &["400"]),
        (format!("GET  {path} HTTP/1.1\r\n\r\n"), &["400"]),
        (format!("GET {path} HTTP/1.1\r\nA : b\r\n\r\n"), &["400"]),
        (
            format!("GET {path} HTTP/1.1\r\nA: b\r\n c\r\n\r\n"),
            &["400"],
        ),
        (format!("GET {path} HTTP/1.1\r\n: b\r\n\r\n"), &["400"]),
        (
            format!("GET {path} HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(2000)),
            &["400", "431"],
        ),
        (
            format!("GET {path} HTTP/1.1\r\nA: {}\r\n\r\n", "b".repeat(40_000)),
            &["400", "431"],
        ),
        (
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
            &["400", "404", "505"],
        ),
    ] {
        let answer = raw(address, &text);
        // A line that is closed without a word is an answer, too.
        assert!(
            answer.is_empty() || codes.contains(&status(&answer)),
            "{text:.200}: {answer:.200}"
        );
    }
    let mut runner = TestRunner::new(Config::with_cases(300));
    let begin = prop_oneof![
        Just(String::new()),
        Just("GET /objects/".to_owned()),
        Just(format!("GET {path} HTTP/1.1\r\n")),
        Just("POST /v1/hello HTTP/1.1\r\n".to_owned()),
        Just("\u{16}\u{3}\u{1}".to_owned()),
    ];
    let bytes = proptest::collection::vec(any::<u8>(), 0..300);
    runner
        .run(&(begin, bytes), |(begin, bytes)| {
            let mut stream = from(3, address, None);
            let _ = stream.write_all(begin.as_bytes());
            let _ = stream.write_all(&bytes);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            prop_assert!(!answer.starts_with(b"HTTP/1.1 5"), "{answer:?}");
            Ok(())
        })
        .unwrap();
    assert!(client(address, 1).time().is_ok());
}

/// What is not understood is the other side's fault, and said so: never ours.
#[test]
fn what_is_no_json() {
    let (_kept, folder) = folder();
    let (address, store) = serve(&folder, NAME);
    let wish = Wish {
        on_sight: true,
        ..wish()
    };
    store.arm(authority::now(), NODE, "p1", wish).unwrap();
    assert!(client(address, 1).hello(&hello()).is_ok());
    let macs: Vec<String> = (0..65).map(|number| number.to_string()).collect();
    let many = serde_json::json!({"role": "galera", "version": "1", "macs": macs});
    let long = serde_json::json!({"role": "galera", "version": "1", "serial": "x".repeat(200)});
    for body in [
        "".to_owned(),
        "{".to_owned(),
        "null".to_owned(),
        "[".repeat(50_000),
        "{\"a\":".repeat(10_000),
        "1e999".to_owned(),
        "{\"role\": \"\u{0}\"}".to_owned(),
        "{\"from\": 1e30, \"records\": []}".to_owned(),
        "{\"from\": 18446744073709551615, \"records\": []}".to_owned(),
        "{\"summary\": 1, \"files\": {}}".to_owned(),
        many.to_string(),
        long.to_string(),
    ] {
        for path in [
            "/v1/hello",
            "/v1/spend",
            "/v1/events",
            "/v1/bundle",
            "/v1/health",
        ] {
            let (head, _) = post(address, path, body.len(), body.as_bytes());
            assert!(status(&head).starts_with('4'), "{path} {body:.60}: {head}");
        }
    }
    let (head, _) = post(address, "/v1/spend", 4, b"\xff\xfe{}");
    assert_eq!(status(&head), "400");
}
