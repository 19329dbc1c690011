//! What dnsmasq answers with our configuration, on a real cable: to each kind of firmware, to iPXE, to a whole rack at once; as the
//! only server, and beside another one.
//!
//! The test starts itself again inside namespaces of its own, which end with it. Frames are made and read here, byte by byte (RFC
//! 951, 2131, 4578), so that no client's own ideas stand between question and answer.
#![expect(
    clippy::unwrap_used,
    reason = "what cannot be made here is a fault of the test"
)]

use std::net::Ipv4Addr;
use std::process::Command;
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use depot::dhcp::{BIOS, Kind, Reservation, Server, Settings, UEFI};
use system::{Live, Network};

const INSIDE: &str = "RACKWRIGHT_DHCP_INSIDE";
const IPV4: u16 = 0x0800;

const CABLE: &str = r#"
set -e
ip link set lo up
ip link add srv0 type veth peer name cli0
ip link set srv0 up
ip link set cli0 up
ip address add 10.77.10.11/24 dev srv0
# Where the boot server's answers go; nobody answers ARP at the other end.
ip neigh add 10.77.10.99 lladdr 02:00:00:00:00:01 dev srv0
sleep 0.5
exec "$@"
"#;

#[test]
#[ignore = "needs network namespaces, ip and dnsmasq: cargo prove --fast dhcp"]
fn a_rack_is_answered() {
    if std::env::var_os(INSIDE).is_some() {
        inside();
        return;
    }
    let root = std::fs::metadata("/proc/self")
        .is_ok_and(|it| std::os::unix::fs::MetadataExt::uid(&it) == 0);
    let mut unshare = Command::new("unshare");
    if !root {
        unshare.args(["--user", "--map-root-user"]);
    }
    let output = unshare
        .args(["--net", "--mount", "--pid", "--fork", "--kill-child"])
        .args(["--mount-proc", "sh", "-c", CABLE, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "a_rack_is_answered", "--nocapture"])
        .env(INSIDE, "1")
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn mac(number: u8) -> [u8; 6] {
    [2, 0, 0, 0, 0, number]
}

/// A DISCOVER in a frame. `class`: option 60; `arch`: option 93; `ipxe`: option 175.
fn discover(number: u8, class: Option<&str>, arch: Option<u16>, ipxe: bool) -> Vec<u8> {
    frame(number, class, arch, ipxe, None)
}

/// The firmware's second question beside another server: with an address, to port 4011 of the boot server (PXE 2.1, 2.2.3).
/// `item`: the boot item that it took from the menu of the first answer.
fn request(number: u8, arch: u16, item: u16) -> Vec<u8> {
    frame(number, PXE, Some(arch), false, Some(item))
}

fn frame(
    number: u8,
    class: Option<&str>,
    arch: Option<u16>,
    ipxe: bool,
    item: Option<u16>,
) -> Vec<u8> {
    let second = item.is_some();
    let flags = if second { 0 } else { 0x80 };
    let own = if second { [10, 77, 10, 99] } else { [0; 4] };
    let to = if second { [10, 77, 10, 11] } else { [255; 4] };
    let port: u16 = if second { 4011 } else { 67 };
    let mut dhcp = vec![1, 1, 6, 0, 0x52, 0x57, 0, number, 0, 0, flags, 0];
    dhcp.extend(own);
    dhcp.resize(28, 0);
    dhcp.extend(mac(number));
    dhcp.resize(236, 0);
    dhcp.extend([99, 130, 83, 99, 53, 1, if second { 3 } else { 1 }]);
    // What is asked for: mask, router, vendor's, server, file.
    dhcp.extend([55, 6, 1, 3, 43, 54, 66, 67]);
    if let Some(class) = class {
        dhcp.extend([60, u8::try_from(class.len()).unwrap()]);
        dhcp.extend(class.as_bytes());
        // The firmware's UUID and interface (RFC 4578).
        dhcp.extend([97, 17, 0]);
        dhcp.extend([number; 16]);
        dhcp.extend([94, 3, 1, 3, 16]);
    }
    if let Some(arch) = arch {
        dhcp.extend([93, 2]);
        dhcp.extend(arch.to_be_bytes());
    }
    if let Some(item) = item {
        let [high, low] = item.to_be_bytes();
        dhcp.extend([43, 7, 71, 4, high, low, 0, 0, 255]);
    }
    if ipxe {
        dhcp.extend([175, 3, 19, 1, 1, 77, 4]);
        dhcp.extend(b"iPXE");
    }
    dhcp.push(255);
    dhcp.resize(dhcp.len().max(300), 0);

    let udp = u16::try_from(dhcp.len() + 8).unwrap();
    let mut ip = vec![0x45, 0];
    ip.extend((udp + 20).to_be_bytes());
    ip.extend([0, number, 0, 0, 64, 17, 0, 0]);
    ip.extend(own);
    ip.extend(to);
    let sum: u32 = ip
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let check = !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap();
    ip[10..12].copy_from_slice(&check.to_be_bytes());
    let mut frame = vec![0xff; 6];
    frame.extend(mac(number));
    frame.extend(IPV4.to_be_bytes());
    frame.extend(ip);
    frame.extend([0, 68]);
    frame.extend(port.to_be_bytes());
    frame.extend(udp.to_be_bytes());
    // No sum: allowed over IPv4 (RFC 768).
    frame.extend([0, 0]);
    frame.extend(dhcp);
    frame
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Answer {
    number: u8,
    address: Ipv4Addr,
    file: String,
    class: String,
}

fn read(frame: &[u8]) -> Option<Answer> {
    let ip = frame.get(14..)?;
    let head = usize::from(ip.first()? & 15) * 4;
    let udp = ip.get(head..)?;
    let port = u16::from_be_bytes(udp.get(..2)?.try_into().ok()?);
    matches!(port, 67 | 4011).then_some(())?;
    let dhcp = udp.get(8..)?;
    (dhcp.first() == Some(&2)).then_some(())?;
    let address: [u8; 4] = dhcp.get(16..20)?.try_into().ok()?;
    let zero = |bytes: &[u8]| {
        let bytes = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(bytes).into_owned()
    };
    let mut answer = Answer {
        number: *dhcp.get(33)?,
        address: address.into(),
        file: zero(dhcp.get(108..236)?),
        class: String::new(),
    };
    let mut options = dhcp.get(240..)?;
    while let [kind, length, rest @ ..] = options {
        if *kind == 255 {
            break;
        }
        let value = rest.get(..usize::from(*length))?;
        match kind {
            60 => answer.class = zero(value),
            67 => answer.file = zero(value),
            _ => {}
        }
        options = rest.get(usize::from(*length)..)?;
    }
    Some(answer)
}

fn ask(frames: &[Vec<u8>], length: Duration) -> Vec<Answer> {
    let pause = Duration::from_millis(5);
    let got = Live.frames("cli0", IPV4, frames, pause, length).unwrap();
    got.iter().filter_map(|frame| read(frame)).collect()
}

/// The one answer to one question; asked again while dnsmasq starts. On a busy host a late answer to the machine before comes first.
fn one(frame: Vec<u8>) -> Answer {
    let began = Instant::now();
    let number = frame[11];
    loop {
        let answers = ask(std::slice::from_ref(&frame), Duration::from_millis(1500));
        if let Some(answer) = answers.into_iter().find(|it| it.number == number) {
            return answer;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "no answer");
    }
}

fn settings(kind: Kind) -> Settings {
    Settings {
        interface: "srv0".into(),
        host: "10.77.10.11:9211".into(),
        kind,
        machines: vec![Reservation {
            mac: "02:00:00:00:00:07".into(),
            address: Ipv4Addr::new(10, 77, 10, 21),
            name: "db1".into(),
        }],
    }
}

fn inside() {
    let folder = tempfile::tempdir().unwrap();
    let folder = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
    let loaders = folder.join("loaders");
    fs_err::create_dir_all(&loaders).unwrap();
    for name in [BIOS, UEFI] {
        fs_err::write(loaders.join(name), name).unwrap();
    }
    own(&folder.join("own"), &loaders);
    beside(&folder.join("beside"), &loaders);
}

const SCRIPT: &str = "http://10.77.10.11:9211/boot.ipxe";
const PXE: Option<&str> = Some("PXEClient:Arch:00000:UNDI:003016");

fn own(folder: &camino::Utf8Path, loaders: &camino::Utf8Path) {
    fs_err::create_dir_all(folder).unwrap();
    let range = Kind::Own {
        first: Ipv4Addr::new(10, 77, 10, 200),
        last: Ipv4Addr::new(10, 77, 10, 250),
    };
    let _server = Server::start(&settings(range), folder, loaders).unwrap();
    let http = Some("HTTPClient:Arch:00016:UNDI:003001");
    for (number, class, arch, ipxe, file) in [
        (1, PXE, Some(0), false, BIOS),
        (2, PXE, Some(7), false, UEFI),
        (3, PXE, Some(9), false, UEFI),
        (
            4,
            http,
            Some(16),
            false,
            "http://10.77.10.11:9211/boot/ipxe.efi",
        ),
        (5, PXE, Some(0), true, SCRIPT),
        (6, PXE, Some(7), true, SCRIPT),
        // An operating system asks for an address only.
        (8, None, None, false, ""),
    ] {
        let answer = one(discover(number, class, arch, ipxe));
        assert_eq!(answer.file, file, "{arch:?} {ipxe}");
        assert_eq!(answer.address.octets()[..3], [10, 77, 10]);
        if arch == Some(16) {
            assert_eq!(answer.class, "HTTPClient");
        }
    }
    // A machine of the site file gets its own address.
    let known = one(discover(7, PXE, Some(0), false));
    assert_eq!(known.address, Ipv4Addr::new(10, 77, 10, 21));
    // A rack is switched on.
    let rack: Vec<Vec<u8>> = (20..60)
        .map(|number| discover(number, PXE, Some(7), false))
        .collect();
    let answers = ask(&rack, Duration::from_secs(8));
    for number in 20..60 {
        assert!(
            answers
                .iter()
                .any(|one| one.number == number && one.file == UEFI),
            "machine {number} of {} got no answer",
            answers.len()
        );
    }
    let addresses: std::collections::BTreeSet<_> = answers
        .iter()
        .map(|one| (one.number, one.address))
        .collect();
    let distinct: std::collections::BTreeSet<_> =
        addresses.iter().map(|(_, address)| *address).collect();
    assert_eq!(
        addresses.len(),
        distinct.len(),
        "an address was given twice"
    );
    garbage();
    tftp(folder);
    // Answers to garbage come first, and a busy host needs a while for hundreds of them.
    let own = Ipv4Addr::new(10, 77, 10, 21);
    let began = Instant::now();
    loop {
        let answers = ask(&[discover(7, PXE, Some(0), false)], Duration::from_secs(3));
        if answers.iter().any(|it| it.number == 7 && it.address == own) {
            break;
        }
        assert!(
            began.elapsed() < Duration::from_secs(90),
            "machine 7 is not answered after garbage"
        );
    }
}

/// Frames that are cut off, and options that say they are longer than the packet: none ends the server.
fn garbage() {
    let whole = discover(61, PXE, Some(7), false);
    let options = 14 + 20 + 8 + 240;
    let mut frames: Vec<Vec<u8>> = (14..whole.len())
        .step_by(7)
        .map(|length| whole[..length].to_vec())
        .collect();
    // A generator of its own: the same frames each time.
    let mut state = 1_u64;
    let mut byte = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        u8::try_from(state >> 56).unwrap()
    };
    for number in 0..400 {
        let mut frame = whole.clone();
        let from = if number % 2 == 0 {
            options
        } else {
            14 + 20 + 8
        };
        for place in frame.iter_mut().skip(from) {
            if byte() < 40 {
                *place = byte();
            }
        }
        frames.push(frame);
    }
    ask(&frames, Duration::from_secs(1));
}

/// Only the two loaders, and only for reading.
fn tftp(folder: &camino::Utf8Path) {
    let socket = std::net::UdpSocket::bind("10.77.10.11:0").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(2)))
        .unwrap();
    let ask = |kind: u8, name: &str, rest: &[u8]| -> Option<u8> {
        let mut packet = vec![0, kind];
        packet.extend(name.bytes());
        packet.extend(rest);
        socket.send_to(&packet, "10.77.10.11:69").unwrap();
        let mut answer = [0; 2048];
        let (count, from) = socket.recv_from(&mut answer).ok()?;
        // What was begun is ended: error 0.
        socket.send_to(&[0, 5, 0, 0, 0], from).unwrap();
        (count > 3).then(|| answer[1])
    };
    const OCTET: &[u8] = b"\0octet\0";
    const DATA: Option<u8> = Some(3);
    for name in [BIOS, UEFI] {
        assert_eq!(ask(1, name, OCTET), DATA, "{name}");
    }
    let outside = folder.join("dnsmasq.conf");
    assert!(outside.exists());
    for name in [
        "../dnsmasq.conf",
        "..\\dnsmasq.conf",
        outside.as_str(),
        "/etc/passwd",
        "../../../../../../etc/passwd",
        "./../dnsmasq.conf",
        &format!("{BIOS}/../../dnsmasq.conf"),
        &format!("{folder}/tftp/../dnsmasq.conf"),
        "",
        ".",
        "..",
    ] {
        assert_ne!(ask(1, name, OCTET), DATA, "{name}");
    }
    // Writing, and what is no question.
    let written = ask(2, "new", OCTET);
    assert!(written != Some(4) && !folder.join("tftp/new").exists());
    for rest in [
        &b""[..],
        b"\0",
        b"\0octet",
        b"\0octet\0blksize\0-1\0",
        b"\0octet\0blksize\0999999999999\0tsize\0",
        &[255; 1400],
    ] {
        for kind in [0, 1, 3, 4, 5, 6, 255] {
            let mut packet = vec![0, kind];
            packet.extend(BIOS.bytes());
            packet.extend(rest);
            socket.send_to(&packet, "10.77.10.11:69").unwrap();
        }
    }
    let fresh = std::net::UdpSocket::bind("10.77.10.11:0").unwrap();
    fresh
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let mut packet = vec![0, 1];
    packet.extend(UEFI.bytes());
    packet.extend(OCTET);
    fresh.send_to(&packet, "10.77.10.11:69").unwrap();
    let mut answer = [0; 2048];
    let (count, _) = fresh.recv_from(&mut answer).unwrap();
    assert_eq!(&answer[4..count], UEFI.as_bytes());
}

/// No address from us, the boot file all the same.
fn beside(folder: &camino::Utf8Path, loaders: &camino::Utf8Path) {
    fs_err::create_dir_all(folder).unwrap();
    let network = Kind::Proxy {
        network: Ipv4Addr::new(10, 77, 10, 11),
    };
    let _server = Server::start(&settings(network), folder, loaders).unwrap();
    for (number, arch, ipxe, file) in [
        // Firmware is told here that there is a boot server, and its file by that.
        (1, 0, false, ""),
        (2, 7, false, ""),
        (3, 9, false, ""),
        (5, 0, true, SCRIPT),
        (6, 7, true, SCRIPT),
    ] {
        let answer = one(discover(number, PXE, Some(arch), ipxe));
        assert_eq!(answer.address, Ipv4Addr::UNSPECIFIED, "{arch} {ipxe}");
        assert_eq!(answer.class, "PXEClient", "{arch} {ipxe}");
        assert_eq!(answer.file, file, "{arch} {ipxe}");
    }
    // dnsmasq counts its boot items from 32768.
    for (arch, item, file) in [(0, 32768, BIOS), (7, 32769, UEFI), (9, 32770, UEFI)] {
        let answer = one(request(1, arch, item));
        assert_eq!(answer.file, file, "{arch}, from port 4011");
    }
    // Who asks for an address only is none of our business.
    let quiet = ask(&[discover(9, None, None, false)], Duration::from_secs(2));
    assert_eq!(quiet, []);
}
