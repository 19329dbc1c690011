//! Which port is which: by what a port is, whatever the kernel calls it.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read its files has failed"
)]

use std::sync::LazyLock;

use firmware::fixture::Machine;
use firmware::inventory::Inventory;
use firmware::{Reference, inventory::Nic};
use plan::ports::{ChosenPort, PortError, choose};
use proptest::prelude::*;
use roles::NodeFile;

fn node(ports: &str) -> NodeFile {
    let text = format!("format = 1\nnode = \"st1\"\nrole = \"storage\"\n{ports}");
    roles::parse::node_file("st1.toml", &text, None)
        .unwrap_or_else(|wrong| panic!("{}", wrong.render(false)))
}

fn machine(name: &str) -> Inventory {
    Machine::named(name).unwrap().inventory().unwrap()
}

/// Probed once: writing a machine's files is slow, and properties ask many times.
static STORAGE: LazyLock<Inventory> = LazyLock::new(|| machine("storage"));

/// The storage machine with its ports named as a BIOS version would have it, probed from files again.
fn renamed(names: [&str; 4]) -> Inventory {
    let mut machine = Machine::named("storage").unwrap();
    assert_eq!(machine.nics.len(), names.len());
    for (nic, name) in machine.nics.iter_mut().zip(names) {
        nic.kernel_name = name.into();
    }
    machine.inventory().unwrap()
}

fn chosen(node: &NodeFile, inventory: &Inventory) -> Result<Vec<ChosenPort>, PortError> {
    choose(node, inventory, &Reference::built_in().unwrap())
}

const BY_PLACE: &str = "
[[ports]]
name = \"mgmt0\"
path = \"0000:03:00.0\"
driver = \"ixgbe\"
[[ports]]
name = \"pub0\"
mac = \"0C:C4:7A:C1:00:41\"
[[ports]]
name = \"storage0a\"
path = \"0000:83:00.0\"
dev_port = 0
driver = \"mlx4_en\"
speed = 10000
type = \"ethernet\"
[[ports]]
name = \"storage0b\"
path = \"0000:83:00.0\"
dev_port = 1
driver = \"mlx4_core\"
";

/// The names are those of the X10DRH-iT with BIOS 3.5, 3.4a and 3.0a, and of the ConnectX-3 with and without slot numbers.
#[test]
fn every_bios_leads_to_the_same_ports() {
    let variants = [
        ["eno1", "eno2", "enp131s0", "enp131s0d1"],
        ["eno1", "enp3s0f1", "ens4", "ens4d1"],
        ["enp3s0f0", "enp3s0f1", "enp130s0", "enp130s0d1"],
        ["eth3", "eth0", "eth2", "eth1"],
    ];
    let expected: Vec<(&str, &str)> = vec![
        ("mgmt0", "0c:c4:7a:c1:00:40"),
        ("pub0", "0c:c4:7a:c1:00:41"),
        ("storage0a", "e4:1d:2d:c1:00:20"),
        ("storage0b", "e4:1d:2d:c1:00:21"),
    ];
    let node = node(BY_PLACE);
    for names in variants {
        let chosen = chosen(&node, &renamed(names)).unwrap();
        let found: Vec<(&str, &str)> = chosen
            .iter()
            .map(|port| (port.name.as_str(), port.mac.as_str()))
            .collect();
        assert_eq!(found, expected, "{names:?}");
    }
}

/// `ens2` and `ens2d1` of a 1U server are one PCI function.
#[test]
fn both_ports_of_one_function_are_told_apart() {
    let inventory = machine("production");
    let cards: Vec<&Nic> = inventory
        .nics
        .iter()
        .filter(|nic| nic.driver.as_deref() == Some("mlx4_core"))
        .collect();
    assert_eq!(cards.len(), 2);
    assert_eq!(cards[0].address, cards[1].address);
    for (dev_port, mac) in [(0, "e4:1d:2d:b1:00:20"), (1, "e4:1d:2d:b1:00:21")] {
        let node = node(&format!(
            "[[ports]]\nname = \"storage0\"\npath = \"0000:81:00.0\"\ndev_port = {dev_port}\n"
        ));
        let chosen = chosen(&node, &inventory).unwrap();
        assert_eq!(
            (chosen[0].mac.as_str(), chosen[0].dev_port),
            (mac, dev_port)
        );
    }
}

#[test]
fn what_is_not_exactly_one_is_refused_with_all_ports() {
    let storage = machine("storage");
    let production = machine("production");
    let mut infiniband = machine("storage");
    for nic in &mut infiniband.nics {
        if nic.port_type.is_some() {
            nic.port_type = Some("ib".into());
        }
    }
    let mut made_up = machine("storage");
    made_up.nics[0].mac = None;
    let none = Inventory::default();
    let port = |name: &str, rest: &str| format!("[[ports]]\nname = \"{name}\"\n{rest}\n");
    let cases: [(&str, &Inventory, String); 9] = [
        (
            "no such MAC",
            &storage,
            port("a0", "mac = \"0c:c4:7a:c1:00:99\""),
        ),
        (
            "two of one function",
            &storage,
            port("a0", "path = \"0000:83:00.0\""),
        ),
        (
            "several of a driver",
            &storage,
            port("a0", "driver = \"ixgbe\""),
        ),
        (
            "too slow",
            &production,
            port("a0", "driver = \"igb\"\nspeed = 10000"),
        ),
        (
            "wrong driver in the slot",
            &storage,
            port("a0", "path = \"0000:03:00.0\"\ndriver = \"mlx4_core\""),
        ),
        (
            "InfiniBand",
            &infiniband,
            port("a0", "path = \"0000:83:00.0\"\ndev_port = 1"),
        ),
        (
            "one port, two names",
            &storage,
            port("a0", "mac = \"0c:c4:7a:c1:00:40\"") + &port("b0", "path = \"0000:03:00.0\""),
        ),
        (
            "no permanent address",
            &made_up,
            port("a0", "path = \"0000:03:00.0\""),
        ),
        ("no port at all", &none, port("a0", "driver = \"igb\"")),
    ];
    let mut text = String::new();
    for (what, inventory, ports) in cases {
        let error = chosen(&node(&ports), inventory).unwrap_err();
        text.push_str(&format!("--- {what}\n{error}\n"));
    }
    insta::assert_snapshot!(text);
}

proptest! {
    /// Kernel names and the order of ports decide nothing.
    #[test]
    fn names_and_order_do_not_matter(
        order in Just(vec![0usize, 1, 2, 3]).prop_shuffle(),
        names in proptest::collection::vec("[a-z]{2,6}[0-9]", 4),
    ) {
        let node = node(BY_PLACE);
        let plain = STORAGE.clone();
        let mut shuffled = plain.clone();
        shuffled.nics = order.iter().map(|index| plain.nics[*index].clone()).collect();
        for (nic, name) in shuffled.nics.iter_mut().zip(names) {
            nic.kernel_name = name;
        }
        prop_assert_eq!(chosen(&node, &plain), chosen(&node, &shuffled));
    }

    /// Whatever is asked for: an answer holds each port of the machine at most once, and one entry for each asked.
    #[test]
    fn never_one_port_twice(
        asked in proptest::collection::vec((0usize..5, 0usize..4, any::<bool>(), 0u32..2), 1..4),
    ) {
        let inventory = STORAGE.clone();
        let mut ports = String::new();
        for (number, (path, driver, with_driver, dev_port)) in asked.iter().enumerate() {
            ports.push_str(&format!("[[ports]]\nname = \"p{number}\"\n"));
            if let Some(nic) = inventory.nics.get(*path) {
                ports.push_str(&format!("path = \"{}\"\n", nic.address.as_deref().unwrap()));
                ports.push_str(&format!("dev_port = {dev_port}\n"));
            }
            if *with_driver || *path == 4 {
                let driver = inventory.nics[*driver].driver.as_deref().unwrap();
                ports.push_str(&format!("driver = \"{driver}\"\n"));
            }
        }
        let node: NodeFile =
            toml::from_str(&format!("format = 1\nnode = \"st1\"\nrole = \"storage\"\n{ports}")).unwrap();
        if let Ok(chosen) = chosen(&node, &inventory) {
            prop_assert_eq!(chosen.len(), node.ports.len());
            let mut macs: Vec<_> = chosen.iter().map(|port| &port.mac).collect();
            macs.sort();
            macs.dedup();
            prop_assert_eq!(macs.len(), chosen.len());
        }
    }
}

mod support;

/// What was chosen is part of the plan, so of its digest: the installed machine names its ports by it.
#[test]
fn the_plan_records_the_ports() {
    let inventory = STORAGE.clone();
    let role = support::role("storage");
    let ports = |node: &NodeFile| {
        let plan =
            plan::make(&role, node, &inventory, &support::image(), &support::seed()).unwrap();
        let ports = plan.steps.iter().find_map(|step| match &step.action {
            plan::Action::WriteState { ports, .. } => Some(ports.clone()),
            _ => None,
        });
        (ports.unwrap(), plan.digest())
    };
    let (named, digest) = ports(&node(BY_PLACE));
    assert_eq!(named["storage0b"], "e4:1d:2d:c1:00:21");
    let (none, other) = ports(&node(""));
    assert!(none.is_empty());
    assert_ne!(digest, other);
    let wrong = node("[[ports]]\nname = \"a0\"\npath = \"0000:99:00.0\"\n");
    let refused = plan::make(
        &role,
        &wrong,
        &inventory,
        &support::image(),
        &support::seed(),
    );
    assert!(matches!(refused, Err(plan::PlanError::Ports(_))));
}
