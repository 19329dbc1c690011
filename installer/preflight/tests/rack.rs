//! A storage server in a simulated rack: everything right, then one thing wrong at a time.
#![expect(
    clippy::unwrap_used,
    reason = "what cannot be made here is a fault of the test"
)]

use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use firmware::{Finding, Weight};
use plan::ports::ChosenPort;
use preflight::wire::{arp, mac_bytes};
use preflight::{Depth, Measured, Neighbour, Port, judge, measure};
use roles::NodeFile;
use system::{Network, Simulated, SystemError};

const NODE: &str = include_str!("../../../roles/tests/valid/wiring.toml");

fn node() -> NodeFile {
    roles::parse::node_file("st1.toml", NODE, None).unwrap()
}

/// Name of ours, name of the kernel's, MAC address, port of the switch.
const PORTS: [(&str, &str, &str, &str); 3] = [
    ("mgmt0", "eno1", "0c:c4:7a:aa:00:01", "ge-0/0/4"),
    ("storage0a", "ens2", "0c:c4:7a:aa:00:02", "xe-0/0/0"),
    ("storage0b", "ens2d1", "0c:c4:7a:aa:00:03", "xe-1/0/0"),
];

fn ports() -> Vec<Port> {
    PORTS
        .iter()
        .map(|(name, kernel_name, mac, _)| Port {
            chosen: ChosenPort {
                name: (*name).into(),
                mac: (*mac).into(),
                address: None,
                dev_port: 0,
                driver: None,
            },
            kernel_name: (*kernel_name).into(),
        })
        .collect()
}

/// The wires of the simulated rack.
struct Wires {
    /// Who has an address of ours.
    twin: Mutex<Option<([u8; 6], [u8; 4])>>,
    /// Our clock, in milliseconds since 1970.
    clock: u64,
}

/// The right time, in milliseconds since 1970.
const NOW: u64 = 1_795_421_805_000;

impl Network for Wires {
    fn frames(
        &self,
        interface: &str,
        ethertype: u16,
        frames: &[Vec<u8>],
        _pause: Duration,
        _length: Duration,
    ) -> Result<Vec<Vec<u8>>, SystemError> {
        if ethertype == arp::ETHERTYPE {
            assert_eq!(frames.len(), 3);
            let twin = *self.twin.lock().unwrap();
            return Ok(twin
                .into_iter()
                .map(|(mac, address)| {
                    let mut answer = arp::probe(mac, address.into());
                    answer[21] = 2;
                    answer[28..32].copy_from_slice(&address);
                    answer
                })
                .collect());
        }
        let Some((.., at)) = PORTS.iter().find(|(_, name, ..)| *name == interface) else {
            panic!("`{interface}` is no physical port");
        };
        let mut frame = vec![0; 12];
        frame.extend([0x88, 0xcc]);
        for (kind, value) in [
            (1_u16, b"\x07chassis".to_vec()),
            (2, [b"\x05", at.as_bytes()].concat()),
            (5, b"sw1".to_vec()),
        ] {
            frame.extend(((kind << 9) | u16::try_from(value.len()).unwrap()).to_be_bytes());
            frame.extend(value);
        }
        Ok(vec![frame])
    }

    fn ask(
        &self,
        _server: SocketAddr,
        request: &[u8],
        _patience: Duration,
    ) -> Result<Vec<u8>, SystemError> {
        let mut answer = vec![0; 48];
        answer[..2].copy_from_slice(&[0x24, 2]);
        answer[24..32].copy_from_slice(&request[40..48]);
        let seconds = u32::try_from(NOW / 1000 + 2_208_988_800).unwrap();
        for at in [32, 40] {
            answer[at..at + 4].copy_from_slice(&seconds.to_be_bytes());
        }
        Ok(answer)
    }

    fn clock(&self) -> Duration {
        Duration::from_millis(self.clock)
    }

    fn set_clock(&self, _time: Duration) -> Result<(), SystemError> {
        Ok(())
    }

    fn set_hardware_clock(&self, _time: Duration) -> Result<(), SystemError> {
        panic!("the preflight sets nothing");
    }
}

fn wires() -> Wires {
    Wires {
        twin: Mutex::new(None),
        clock: NOW,
    }
}

fn machine() -> Simulated {
    let machine = Simulated::new();
    let file = |path: String, text: &str| machine.put_file(&path, format!("{text}\n").as_bytes());
    let net = |interface: &str, name: &str| format!("/sys/class/net/{interface}/{name}");
    for (_, name, mac, _) in PORTS {
        file(net(name, "carrier"), "1");
        file(
            net(name, "speed"),
            if name == "eno1" { "1000" } else { "10000" },
        );
        file(net(name, "address"), mac);
        if name != "eno1" {
            file(net(name, "bonding_slave/mii_status"), "up");
            file(net(name, "bonding_slave/ad_aggregator_id"), "1");
            file(net(name, "bonding_slave/ad_partner_oper_port_state"), "63");
        }
    }
    for (name, mtu) in [
        ("mgmt0", "1500"),
        ("bond0", "9000"),
        ("cluster0", "1500"),
        ("storage0", "9000"),
    ] {
        file(net(name, "carrier"), "1");
        file(net(name, "mtu"), mtu);
        file(net(name, "address"), "0c:c4:7a:aa:00:02");
    }
    file(net("bond0", "bonding/mode"), "802.3ad 4");
    file(net("bond0", "bonding/ad_partner_mac"), "3c:61:04:01:02:03");
    file(
        "/sys/class/rtc/rtc0/since_epoch".into(),
        &(NOW / 1000).to_string(),
    );
    machine.answer("ip ", Ok(""));
    machine.answer(
        "ip -j -6 address",
        Ok(r#"[{"ifname":"cluster0","addr_info":[{"family":"inet6","local":"2001:db8:30::41"}]}]"#),
    );
    machine.answer("ping ", Ok(""));
    machine
}

fn measured(machine: &Simulated, wires: &Wires) -> Measured {
    measure(machine, wires, &node(), &ports(), Depth::default())
}

fn worse_than_pass(findings: &[Finding]) -> Vec<String> {
    findings
        .iter()
        .filter(|finding| finding.weight != Weight::Pass)
        .map(|finding| format!("{:?} {}", finding.weight, finding.id))
        .collect()
}

#[test]
fn everything_is_right() {
    let machine = machine();
    let measured = measured(&machine, &wires());
    let findings = judge(&node(), &measured);
    assert_eq!(worse_than_pass(&findings), Vec::<String>::new());
    let ids: Vec<&str> = findings.iter().map(|finding| finding.id.as_str()).collect();
    insta::assert_snapshot!(ids.join("\n"));
    // Each leg went down and came back.
    let set: Vec<String> = machine
        .commands()
        .into_iter()
        .filter(|line| line.starts_with("ip link set"))
        .collect();
    assert_eq!(
        set,
        [
            "ip link set dev ens2 down",
            "ip link set dev ens2 up",
            "ip link set dev ens2d1 down",
            "ip link set dev ens2d1 up"
        ]
    );
    // Every VLAN of the bond has its witnesses: one may be missing on one leg's switch port only.
    assert_eq!(
        measured.bonds[0].pulls[0].before,
        [
            "st2 in cluster",
            "app1 in cluster",
            "st2 in storage",
            "app1 in storage"
        ]
    );
    // What is measured can be saved and judged elsewhere.
    let saved = serde_json::to_string(&measured).unwrap();
    assert_eq!(serde_json::from_str::<Measured>(&saved).unwrap(), measured);
}

#[test]
fn legs_are_not_pulled_where_it_is_not_wanted() {
    let machine = machine();
    let depth = Depth {
        pull_legs: false,
        ..Depth::default()
    };
    let measured = measure(&machine, &wires(), &node(), &ports(), depth);
    assert!(measured.bonds[0].pulls.is_empty());
    assert!(
        !machine
            .commands()
            .iter()
            .any(|line| line.starts_with("ip link set"))
    );
}

/// Everything is off but this machine: it installs.
#[test]
fn the_first_machine_of_a_rack_is_not_held_up() {
    let machine = machine();
    machine.answer("ping ", Err(""));
    let findings = judge(&node(), &measured(&machine, &wires()));
    assert!(!findings.iter().any(Finding::blocks));
    assert_eq!(
        worse_than_pass(&findings),
        [
            "Warn preflight.gateway:mgmt",
            "Info preflight.peers:cluster",
            "Info preflight.peers:mgmt",
            "Info preflight.peers:storage"
        ]
    );
}

#[test]
fn a_wrong_mtu_on_the_way_is_found() {
    let machine = machine();
    machine.answer(
        "ping -n -c 3 -i 0.3 -W 2 -M do -I storage0 -s 8972 10.77.40.42",
        Err("ping: local error: message too long, mtu=1500"),
    );
    let findings = judge(&node(), &measured(&machine, &wires()));
    assert_eq!(worse_than_pass(&findings), ["Fail preflight.mtu:storage"]);
    assert_eq!(
        findings[0].found,
        "only small packets are answered by st2, the way takes 1500 bytes"
    );
}

/// A router that drops large pings stops no install.
#[test]
fn a_gateway_of_small_packets_only_warns() {
    let machine = machine();
    machine.answer(
        "ping -n -c 3 -i 0.3 -W 2 -M do -I mgmt0 -s 1472 10.77.10.1",
        Err(""),
    );
    let findings = judge(&node(), &measured(&machine, &wires()));
    assert_eq!(worse_than_pass(&findings), ["Warn preflight.mtu:mgmt"]);
}

#[test]
fn a_duplicate_address_is_found() {
    let wires = wires();
    let twin = mac_bytes("52:54:00:00:00:09").unwrap();
    *wires.twin.lock().unwrap() = Some((twin, [10, 77, 40, 41]));
    let machine = machine();
    machine.answer(
        "ip -j -6 address",
        Ok(r#"[{},{"addr_info":[{"local":"2001:db8:30::41","dadfailed":true}]}]"#),
    );
    let findings = judge(&node(), &measured(&machine, &wires));
    assert_eq!(
        worse_than_pass(&findings),
        [
            "Fail preflight.address:10.77.40.41",
            "Fail preflight.address:2001:db8:30::41"
        ]
    );
    assert_eq!(findings[0].found, "in use by 52:54:00:00:00:09");
    assert!(findings[0].blocks());
}

#[test]
fn a_clock_of_1970_is_found_and_can_be_stepped() {
    let mut wires = wires();
    wires.clock = 30_000;
    let machine = machine();
    machine.put_file("/sys/class/rtc/rtc0/since_epoch", b"30\n");
    let measured = measured(&machine, &wires);
    assert_eq!(preflight::step_needed(&measured), Some(1_795_421_775_000));
    let findings = judge(&node(), &measured);
    assert_eq!(worse_than_pass(&findings), ["Warn preflight.clock"]);
    assert_eq!(findings[0].found, "56 years behind");
}

/// The judge alone: one thing changed in what was measured, and what it says of it.
#[test]
fn one_thing_wrong_at_a_time() {
    let right = measured(&machine(), &wires());
    type Spoil = fn(&mut Measured);
    let cases: [(&str, Spoil); 20] = [
        ("cut leg", |it| {
            it.legs[1].carrier = Some(false);
            it.legs[1].speed = None;
            it.legs[1].neighbours = None;
            it.bonds[0].legs[0].up = false;
        }),
        ("slow link", |it| it.legs[2].speed = Some(1000)),
        ("swapped cables", |it| {
            let first = it.legs[1].neighbours.clone();
            it.legs[1].neighbours = it.legs[2].neighbours.clone();
            it.legs[2].neighbours = first;
        }),
        ("another switch", |it| {
            it.legs[0].neighbours = Some(vec![Neighbour {
                system: Some("office".into()),
                port: Some("12".into()),
                ..Neighbour::default()
            }]);
        }),
        ("a silent switch", |it| {
            it.legs[0].neighbours = Some(Vec::new())
        }),
        ("no LACP", |it| {
            it.bonds[0].partner = Some("00:00:00:00:00:00".into())
        }),
        ("two aggregated interfaces", |it| {
            it.bonds[0].legs[1].aggregator = Some(2)
        }),
        ("a bond that lives on one leg only", |it| {
            it.bonds[0].pulls[0].link_kept = false;
        }),
        ("a leg without the VLANs", |it| {
            it.bonds[0].pulls[1].without.clear()
        }),
        ("a leg that stays away", |it| {
            it.bonds[0].pulls[1].restored = false
        }),
        ("no bond in this boot", |it| {
            it.bonds[0] = preflight::BondState {
                name: "bond0".into(),
                ..Default::default()
            };
        }),
        ("no network in this boot", |it| {
            it.networks[2].present = false
        }),
        ("a card that takes no jumbo frames", |it| {
            it.networks[2].mtu = Some(1500)
        }),
        ("an address nobody could ask for", |it| {
            it.addresses[0].error = Some("cannot listen on `mgmt0`".into());
        }),
        ("no time server", |it| {
            for clock in &mut it.clocks {
                clock.offset = None;
                clock.error = Some("no answer".into());
            }
        }),
        ("time servers that differ", |it| {
            it.clocks[1].offset = Some(90_000)
        }),
        ("hardware clock in local time", |it| {
            it.hardware_clock = Some(7199)
        }),
        ("hardware clock of 1970", |it| {
            it.hardware_clock = Some(-1_795_421_000)
        }),
        ("BMC clock", |it| it.bmc_clock = Some(4000)),
        ("a large rack", |it| it.not_asked = 900),
    ];
    let mut text = String::new();
    for (what, spoil) in cases {
        let mut measured = right.clone();
        spoil(&mut measured);
        assert_ne!(measured, right, "{what}");
        text.push_str(&format!("--- {what}\n"));
        for finding in judge(&node(), &measured) {
            if finding.weight == Weight::Pass {
                continue;
            }
            text.push_str(&format!(
                "{:?} {}: {}: expected {}, found {}\n     {}\n",
                finding.weight,
                finding.id,
                finding.part,
                finding.expected,
                finding.found,
                finding.advice.unwrap_or_default()
            ));
        }
    }
    insta::assert_snapshot!(text);
}

/// Waivers of the preflight and of the hardware do not meddle with each other.
#[test]
fn a_waiver_sets_a_finding_aside() {
    let waivers = "\n[[waivers]]\nfinding = \"preflight.mtu:storage\"\nreason = \"lab\"\n\
                   [[waivers]]\nfinding = \"memory.total\"\nreason = \"lab\"\n\
                   [[waivers]]\nfinding = \"preflight.moon\"\nreason = \"lab\"\n";
    let node = roles::parse::node_file("st1.toml", &format!("{NODE}{waivers}"), None).unwrap();
    let mut measured = measured(&machine(), &wires());
    for path in &mut measured.paths {
        path.full = path.network != "storage";
    }
    let mut findings = judge(&node, &measured);
    assert!(findings.iter().any(Finding::blocks));
    let useless = preflight::waive(&mut findings, &node);
    assert!(!findings.iter().any(Finding::blocks));
    assert_eq!(
        useless,
        ["the waiver of `preflight.moon` has no effect: there is no such finding here"]
    );
}
