//! Rules of ports and bonds.

use std::collections::BTreeMap;

use crate::{
    NodeFile,
    address::is_mac,
    shape::nearest,
    wiring::{Bond, BondMode, PhysicalPort},
};

use super::{Checker, is_interface_name};

/// Checks ports, bonds, and that every interface has a name of its own.
pub(crate) fn check(node: &NodeFile, checker: &mut Checker<'_, '_>) {
    for (index, port) in node.ports.iter().enumerate() {
        check_port(
            port,
            &node.ports[..index],
            &format!("ports.{index}"),
            checker,
        );
    }
    for (index, bond) in node.bonds.iter().enumerate() {
        check_bond(node, bond, &format!("bonds.{index}"), checker);
        check_legs(node, index, checker);
    }
    check_names(node, checker);
}

fn check_port(
    port: &PhysicalPort,
    earlier: &[PhysicalPort],
    path: &str,
    checker: &mut Checker<'_, '_>,
) {
    check_name("port", &port.name, path, checker);
    if let Some(mac) = &port.mac {
        let twin = earlier.iter().find(|other| {
            other
                .mac
                .as_ref()
                .is_some_and(|other| other.eq_ignore_ascii_case(mac))
        });
        let path = format!("{path}.mac");
        if !is_mac(mac) {
            checker
                .bad(&path, format!("`{mac}` is not a MAC address"))
                .hint("write the port's permanent address, such as `0c:c4:7a:12:34:56`");
        } else if let Some(other) = twin {
            checker.conflict(
                &path,
                format!("`{mac}` already belongs to the port `{}`", other.name),
            );
        }
    }
    if let Some(address) = &port.path {
        if !is_pci_address(address) {
            checker
                .bad(
                    &format!("{path}.path"),
                    format!("`{address}` is not a PCI address"),
                )
                .hint("write domain, bus, device and function as `inventory` shows them: `0000:03:00.0`");
        } else if let Some(other) = earlier.iter().find(|other| {
            other.path.as_ref() == Some(address)
                && other.dev_port.unwrap_or(0) == port.dev_port.unwrap_or(0)
                && (other.mac.is_none() || port.mac.is_none())
        }) {
            checker
                .conflict(
                    &format!("{path}.path"),
                    format!("`{address}` already belongs to the port `{}`", other.name),
                )
                .hint("two ports of one PCI function are told apart by `dev_port`: 0 and 1");
        }
    }
    if let Some(driver) = &port.driver
        && !is_driver(driver)
    {
        checker
            .bad(
                &format!("{path}.driver"),
                format!("`{driver}` cannot be the name of a driver"),
            )
            .hint(
                "write the kernel's name as `inventory` shows it, such as `ixgbe` or `mlx4_core`",
            );
    }
    let chosen =
        port.mac.is_some() || port.path.is_some() || port.driver.is_some() || port.speed.is_some();
    if !chosen {
        checker
            .bad(path, format!("nothing says which port `{}` is", port.name))
            .hint("add `mac`, or `path` (and `dev_port`), or `driver` and `speed`");
    }
    for (key, value) in [("switch", &port.switch), ("switch_port", &port.switch_port)] {
        if value.as_ref().is_some_and(|text| text.trim().is_empty()) {
            checker
                .bad(
                    &format!("{path}.{key}"),
                    format!("the `{key}` of the port `{}` is empty", port.name),
                )
                .hint("write what the switch tells by LLDP, or leave the key out");
        }
    }
}

fn check_bond(node: &NodeFile, bond: &Bond, path: &str, checker: &mut Checker<'_, '_>) {
    let name = &bond.name;
    check_name("bond", name, path, checker);
    if bond.ports.is_empty() {
        checker.bad(
            &format!("{path}.ports"),
            format!("the bond `{name}` has no port"),
        );
    }
    if bond.mode != BondMode::Aggregation {
        for (key, given) in [
            ("lacp_rate", bond.lacp_rate.is_some()),
            ("hash", bond.hash.is_some()),
            ("min_links", bond.min_links.is_some()),
        ] {
            if given {
                checker
                    .conflict(
                        &format!("{path}.{key}"),
                        format!(
                            "`{key}` means nothing to a bond of mode `{}`",
                            bond.mode.word()
                        ),
                    )
                    .hint("leave the key out, or write `mode = \"802.3ad\"`");
            }
        }
    }
    if let Some(least) = bond.min_links
        && least as usize > bond.ports.len()
    {
        checker.conflict(
            &format!("{path}.min_links"),
            format!(
                "the bond `{name}` would never be up: it has {} ports and needs {least}",
                bond.ports.len()
            ),
        );
    }
    let names: Vec<&str> = node.ports.iter().map(|port| port.name.as_str()).collect();
    for (number, leg) in bond.ports.iter().enumerate() {
        if !names.contains(&leg.as_str()) {
            let path = format!("{path}.ports.{number}");
            let diagnostic = checker.bad(&path, format!("there is no port `{leg}`"));
            if names.is_empty() {
                diagnostic.hint("describe it under `[[ports]]`");
            } else {
                diagnostic.hint(format!("ports: {}", names.join(", ")));
            }
            if let Some(near) = nearest(leg, &names) {
                diagnostic.label(format!("did you mean `{near}`?"));
            }
        }
    }
}

/// A port is a leg of one bond, once.
fn check_legs(node: &NodeFile, index: usize, checker: &mut Checker<'_, '_>) {
    let bond = &node.bonds[index];
    for (number, leg) in bond.ports.iter().enumerate() {
        let path = format!("bonds.{index}.ports.{number}");
        if bond.ports[..number].contains(leg) {
            checker.conflict(&path, format!("the port `{leg}` is named twice"));
        } else if let Some(other) = node.bonds[..index]
            .iter()
            .find(|other| other.ports.contains(leg))
        {
            checker
                .conflict(
                    &path,
                    format!(
                        "the port `{leg}` is already a leg of the bond `{}`",
                        other.name
                    ),
                )
                .hint("a port belongs to one bond");
        }
    }
}

fn check_name(what: &str, name: &str, path: &str, checker: &mut Checker<'_, '_>) {
    if is_interface_name(name) {
        return;
    }
    let diagnostic = checker.bad(
        &format!("{path}.name"),
        format!("`{name}` cannot be the name of a {what}"),
    );
    if name.chars().count() > 15 {
        diagnostic.label(format!("{} characters", name.chars().count()));
    }
    diagnostic.hint("a lower-case letter, then letters, digits, `-` or `_`, at most 15: Linux allows no longer name");
}

/// Ports, bonds and networks share one room of names.
fn check_names(node: &NodeFile, checker: &mut Checker<'_, '_>) {
    let ports = (0..)
        .zip(&node.ports)
        .map(|(i, p): (usize, _)| (format!("ports.{i}.name"), p.name.clone(), "port"));
    let bonds = (0..)
        .zip(&node.bonds)
        .map(|(i, b): (usize, _)| (format!("bonds.{i}.name"), b.name.clone(), "bond"));
    let networks = (0..)
        .zip(&node.networks)
        .filter(|(_, network)| network.on.is_none() || network.vlan.is_some())
        .filter_map(|(i, n): (usize, _)| {
            Some((
                format!("networks.{i}.name"),
                n.interface()?,
                "interface of the network",
            ))
        });
    let mut taken: BTreeMap<String, &str> = BTreeMap::new();
    for (path, name, what) in ports.chain(bonds).chain(networks) {
        match taken.get(&name) {
            // Two networks of one name are already complained about as such.
            Some(other) if *other == what && what.starts_with("interface") => {}
            Some(other) => {
                let text = match what {
                    "interface of the network" => format!(
                        "the interface of this network would be called `{name}`, as a {other} is"
                    ),
                    _ => format!("a second interface `{name}`: a {other} has that name"),
                };
                checker.conflict(&path, text);
            }
            None => {
                taken.insert(name, what);
            }
        }
    }
}

/// `0000:03:00.0`, as in `/sys/bus/pci/devices`.
fn is_pci_address(text: &str) -> bool {
    let hex = |part: &str, length: usize| {
        part.len() == length
            && part
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let parts: Vec<&str> = text.split([':', '.']).collect();
    let [domain, bus, device, function] = parts[..] else {
        return false;
    };
    hex(domain, 4)
        && hex(bus, 2)
        && hex(device, 2)
        && matches!(function.as_bytes(), [b'0'..=b'7'])
        && text.matches(':').count() == 2
        && text.ends_with(&format!(".{function}"))
}

fn is_driver(text: &str) -> bool {
    (1..=55).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
}
