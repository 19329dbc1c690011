//! The asking itself, on real interfaces: two network namespaces with a cable (a veth pair) between them.
//!
//! The test starts itself again inside namespaces of its own, which end with it, so nothing is left behind. Bonds and VLANs
//! need kernel modules that not every host has: they are for the simulated servers.
#![expect(
    clippy::unwrap_used,
    reason = "what cannot be made here is a fault of the test"
)]

use std::process::Command;
use std::time::Duration;

use plan::ports::ChosenPort;
use preflight::wire::lldp;
use preflight::{Depth, Port, judge, measure};
use system::{Live, Network};

const INSIDE: &str = "RACKWRIGHT_PREFLIGHT_INSIDE";

/// Here: `stor0` with 9000 bytes. There: a peer with 9000 bytes, one with 1500, and one that has our address.
const RACK: &str = r#"
set -e
mount -t tmpfs tmpfs /run
mount -t sysfs sysfs /sys
ip link set lo up
# As the product has it: the bridge must not answer for the address of stor0, which is in the same namespace.
echo 1 > /proc/sys/net/ipv4/conf/all/arp_ignore
for peer in good small twin; do
    unshare --net sleep 60 &
    eval "$peer=$!"
done
sleep 0.5
ip link add bridge0 mtu 9000 type bridge
ip link set bridge0 up
for peer in good small twin; do
    eval "pid=\$$peer"
    ip link add "to-$peer" mtu 9000 type veth peer name eth0 netns "$pid"
    ip link set "to-$peer" master bridge0 up
done
ip link add stor0 mtu 9000 address 0c:c4:7a:00:00:01 type veth peer name to-here
ip link set to-here mtu 9000 master bridge0 up
ip link set stor0 up
ip address add 10.77.40.41/24 dev stor0
there() { pid=$1; shift; nsenter --net="/proc/$pid/ns/net" ip "$@"; }
there "$good" link set eth0 mtu 9000 up
there "$good" address add 10.77.40.42/24 dev eth0
there "$small" link set eth0 mtu 1500 up
there "$small" address add 10.77.40.43/24 dev eth0
there "$twin" link set eth0 address 0c:c4:7a:00:00:09 mtu 9000 up
there "$twin" address add 10.77.40.41/24 dev eth0
sleep 0.5
status=0
"$@" || status=$?
kill "$good" "$small" "$twin"
exit "$status"
"#;

const NODE: &str = r#"
format = 1
node = "st1"
role = "storage"
ntp = ["127.0.0.1", "10.77.40.44"]
[[ports]]
name = "stor0"
mac = "0c:c4:7a:00:00:01"
speed = 10000
switch = "sw1"
switch_port = "xe-0/0/0"
[[networks]]
name = "storage"
on = "stor0"
addresses = ["10.77.40.41/24"]
gateway = "10.77.40.1"
mtu = 9000
[[hosts]]
name = "good"
addresses = { storage = "10.77.40.42" }
[[hosts]]
name = "small"
addresses = { storage = "10.77.40.43" }
[[hosts]]
name = "off"
addresses = { storage = "10.77.40.44" }
"#;

#[test]
#[ignore = "needs network namespaces, ip and ping: cargo prove --fast namespaces"]
fn a_real_network_is_asked() {
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
        .args([
            "--net",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ])
        .args(["sh", "-c", RACK, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "a_real_network_is_asked",
            "--nocapture",
        ])
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

/// The switch's words.
fn announcement() -> Vec<u8> {
    let mut frame = vec![
        0x01, 0x80, 0xc2, 0, 0, 0x0e, 0x3c, 0x61, 4, 1, 2, 3, 0x88, 0xcc,
    ];
    for (kind, value) in [
        (1_u16, &b"\x07chassis"[..]),
        (2, b"\x05xe-0/0/0"),
        (3, &[0, 120]),
        (5, b"sw1"),
    ] {
        frame.extend(((kind << 9) | u16::try_from(value.len()).unwrap()).to_be_bytes());
        frame.extend(value);
    }
    frame.resize(60, 0);
    frame
}

fn inside() {
    // The switch speaks at its end of the cable.
    let switch = std::thread::spawn(|| {
        let frames = vec![announcement(); 8];
        let second = Duration::from_secs(1);
        Live.frames("to-here", lldp::ETHERTYPE, &frames, second, second * 8)
            .unwrap();
    });
    // A time server that is an hour ahead.
    let socket = std::net::UdpSocket::bind("127.0.0.1:123").unwrap();
    std::thread::spawn(move || {
        let mut request = [0; 48];
        while let Ok((_, client)) = socket.recv_from(&mut request) {
            let mut answer = [0; 48];
            answer[..2].copy_from_slice(&[0x24, 1]);
            answer[24..32].copy_from_slice(&request[40..48]);
            let seconds = u32::try_from(Live.clock().as_secs() + 2_208_988_800 + 3600).unwrap();
            for at in [32, 40] {
                answer[at..at + 4].copy_from_slice(&seconds.to_be_bytes());
            }
            let _sent = socket.send_to(&answer, client);
        }
    });
    let node = roles::parse::node_file("st1.toml", NODE, None).unwrap();
    let ports = [Port {
        chosen: ChosenPort {
            name: "stor0".into(),
            mac: "0c:c4:7a:00:00:01".into(),
            address: None,
            dev_port: 0,
            driver: None,
        },
        kernel_name: "stor0".into(),
    }];
    let measured = measure(&Live, &Live, &node, &ports, Depth::default());
    let findings = judge(&node, &measured);
    switch.join().unwrap();
    let said: Vec<String> = findings
        .iter()
        .filter(|finding| finding.id != "preflight.hardware-clock")
        .map(|finding| format!("{:?} {}: {}", finding.weight, finding.id, finding.found))
        .collect();
    // veth links are of 10 Gbit/s; whole seconds of the time server leave up to one in the offset.
    assert_eq!(
        said,
        [
            "Fail preflight.address:10.77.40.41: in use by 0c:c4:7a:00:00:09",
            "Fail preflight.mtu:storage: only small packets are answered by small",
            "Warn preflight.clock: 59 minutes behind",
            "Warn preflight.gateway:storage: no answer",
            "Pass preflight.cable:stor0: sw1 port xe-0/0/0",
            "Pass preflight.link:stor0: link of 10000 Mbit/s",
            "Pass preflight.peers:storage: 2 of 3 answer",
            "Pass preflight.speed:stor0: 10000 Mbit/s",
        ],
        "{measured:#?}"
    );
}
