//! Networks as files for systemd-networkd, udev and the resolver.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read its files has failed"
)]

use std::collections::BTreeMap;

use camino::Utf8Path;
use roles::render::{BootFacts, BootMode, Content, RenderedFile};

fn shipped() -> roles::RoleSet {
    roles::folder::read(Utf8Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn facts(mode: BootMode, role: &str) -> BootFacts {
    BootFacts {
        mode,
        role: role.to_owned(),
        version: "0.1.0".to_owned(),
        slot: None,
        machine_id: None,
        mounts: Vec::new(),
        multipath: Vec::new(),
        ports: BTreeMap::new(),
        accounts: None,
    }
}

fn valid(file: &str) -> String {
    let path = Utf8Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/valid")
        .join(file);
    std::fs::read_to_string(path).unwrap()
}

fn rendered(text: &str, facts: &BootFacts) -> Vec<RenderedFile> {
    let set = shipped();
    let node = roles::parse::node_file("node.toml", text, Some(&set))
        .unwrap_or_else(|wrong| panic!("{}", wrong.render(false)));
    roles::render::files(&set, &set.roles[&facts.role], Some(&node), facts).unwrap()
}

/// What the network is made of, as one text.
fn network_files(files: &[RenderedFile]) -> String {
    let mut text = String::new();
    for file in files {
        let ours = [
            "/etc/systemd/network/",
            "/etc/udev/rules.d/70-rackwright-ports.rules",
            "/etc/modprobe.d/rackwright",
        ]
        .iter()
        .any(|place| file.path.starts_with(place))
            || ["/etc/hosts", "/etc/nftables.conf"].contains(&file.path.as_str());
        if let (true, Content::File { text: body, .. }) = (ours, &file.content) {
            text.push_str(&format!("==== {}\n{body}", file.path));
        }
    }
    text
}

fn one<'a>(files: &'a [RenderedFile], path: &str) -> Option<&'a str> {
    files.iter().find_map(|file| match &file.content {
        Content::File { text, .. } if file.path == path => Some(text.as_str()),
        _ => None,
    })
}

/// Two legs of 802.3ad with a VLAN of 1500 and one of 9000 bytes; one leg is known by its place only.
#[test]
fn storage_with_a_bond_and_two_vlans() {
    let mut facts = facts(BootMode::Run, "storage");
    insta::assert_snapshot!(
        "storage_before_its_ports_are_recorded",
        network_files(&rendered(&valid("wiring.toml"), &facts))
    );
    facts.ports = [
        ("mgmt0", "0c:c4:7a:aa:00:01"),
        ("storage0a", "0c:c4:7a:aa:00:02"),
        ("storage0b", "0c:c4:7a:aa:00:03"),
    ]
    .map(|(name, mac)| (name.to_owned(), mac.to_owned()))
    .into();
    let files = rendered(&valid("wiring.toml"), &facts);
    for kind in ["link", "network"] {
        let start = if kind == "link" { 10 } else { 21 };
        let text = one(
            &files,
            &format!("/etc/systemd/network/{start}-storage0b.{kind}"),
        )
        .unwrap();
        assert!(
            text.starts_with("[Match]\nPermanentMACAddress=0c:c4:7a:aa:00:03\n"),
            "{text}"
        );
    }
}

#[test]
fn load_balancer_with_active_backup() {
    let files = rendered(&valid("backup-bond.toml"), &facts(BootMode::Run, "lb"));
    insta::assert_snapshot!(network_files(&files));
}

/// RDMA is opt-in; with it the storage VLAN gets the lossless class and pause frames go.
#[test]
fn rdma_brings_the_lossless_class() {
    let facts = facts(BootMode::Run, "storage");
    let plain = valid("wiring.toml");
    let with = format!("{plain}\n[settings]\nrdma = true\n");
    let modules = "/etc/modprobe.d/rackwright-network.conf";
    let vlan = "/etc/systemd/network/13-storage0.netdev";
    let files = rendered(&plain, &facts);
    assert_eq!(one(&files, modules), None);
    assert!(!one(&files, vlan).unwrap().contains("EgressQOSMaps"));
    let files = rendered(&with, &facts);
    assert_eq!(
        one(&files, modules),
        Some("options mlx4_en pfctx=0x08 pfcrx=0x08\n")
    );
    assert!(one(&files, vlan).unwrap().contains("\nEgressQOSMaps=0-3\n"));
    let cluster = one(&files, "/etc/systemd/network/13-cluster0.netdev").unwrap();
    assert!(!cluster.contains("EgressQOSMaps"));
    let link = one(&files, "/etc/systemd/network/10-storage0a.link").unwrap();
    assert!(link.contains("RxFlowControl=no\nTxFlowControl=no\n"));
    assert!(
        one(&files, "/etc/nfs.conf.d/rackwright.conf")
            .unwrap()
            .contains("rdma = y")
    );
}

/// No unit may hold a boot for want of a network, and every interface says so.
#[test]
fn nothing_waits_for_a_link() {
    let set = shipped();
    for (file, role) in [
        ("wiring.toml", "storage"),
        ("backup-bond.toml", "lb"),
        ("small.toml", "control"),
        ("full.toml", "galera"),
    ] {
        let text = valid(file);
        let files = rendered(&text, &facts(BootMode::Run, role));
        let mut interfaces = 0;
        for file in &files {
            if let Content::File { text, .. } = &file.content
                && file.path.ends_with(".network")
            {
                interfaces += 1;
                assert!(text.contains("\nRequiredForOnline=no\n"), "{}", file.path);
                assert!(
                    text.contains("\nConfigureWithoutCarrier=yes\n")
                        || text.contains("\nDHCP=yes\n"),
                    "{}: {text}",
                    file.path
                );
            }
        }
        assert!(interfaces > 0);
    }
    for folder in set.roles.values() {
        for unit in &folder.role.services.start {
            assert!(!unit.contains("wait-online"), "{unit}");
        }
    }
}

/// Before the install has chosen, a port that is asked for by its driver alone has no name, and any port serves.
#[test]
fn a_port_without_a_place_gets_its_name_by_the_install() {
    let text = "format = 1\nnode = \"lb1\"\nrole = \"lb\"\n[[ports]]\nname = \"pub0\"\ndriver = \"igb\"\nspeed = 1000\n\
                [[networks]]\nname = \"public\"\non = \"pub0\"\naddresses = [\"192.0.2.11/24\"]\n";
    let any = "/etc/systemd/network/90-any.network";
    let link = "/etc/systemd/network/10-pub0.link";
    let live = rendered(text, &facts(BootMode::Install, "lb"));
    assert!(one(&live, any).is_some() && one(&live, link).is_none());
    let mut facts = facts(BootMode::Run, "lb");
    facts
        .ports
        .insert("pub0".into(), "0C:C4:7A:B1:00:10".into());
    let running = rendered(text, &facts);
    assert_eq!(one(&running, any), None);
    assert!(
        one(&running, link)
            .unwrap()
            .contains("PermanentMACAddress=0c:c4:7a:b1:00:10\n")
    );
}

/// The clock steps at start and slews later, and the hardware clock keeps UTC.
#[test]
fn the_clock_is_stepped_once_and_kept_in_utc() {
    let set = shipped();
    for role in set.roles.keys() {
        let text = format!(
            "format = 1\nnode = \"n1\"\nrole = \"{role}\"\nntp = [\"10.77.10.5\", \"10.77.10.6\"]\n"
        );
        let files = rendered(&text, &facts(BootMode::Run, role));
        let chrony = one(&files, "/etc/chrony/chrony.conf").unwrap();
        for line in [
            "server 10.77.10.5 iburst",
            "server 10.77.10.6 iburst",
            "makestep 1 3",
            "rtcsync",
        ] {
            assert!(chrony.lines().any(|found| found == line), "{role}: {line}");
        }
        // hwclock(8): the third line of the file says UTC or LOCAL.
        let adjtime = one(&files, "/etc/adjtime").unwrap();
        assert_eq!(adjtime.lines().nth(2), Some("UTC"), "{role}");
    }
}
