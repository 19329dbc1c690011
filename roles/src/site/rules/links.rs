//! Rules of cables: MTU, bonds, switch ports.

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, facts::Facts};
use crate::site::model::{BondMode, StorageKind, Switch};

fn switches<'a>(facts: &Facts<'a>) -> BTreeMap<&'a str, &'a Switch> {
    facts
        .site
        .switches
        .iter()
        .map(|switch| (switch.name.as_str(), switch))
        .collect()
}

pub(super) fn storage_network(facts: &Facts<'_>) -> Vec<Finding> {
    let needs = facts.count("storage") > 0
        && facts.count("production") > 0
        && facts.site.options.storage != StorageKind::Fc;
    let mut findings = Vec::new();
    let storage: Vec<_> = facts.networks("storage").collect();
    if needs && storage.is_empty() {
        findings.push(Finding::new(
            "networks",
            "no network `storage` for storage alone",
        ));
    }
    let mut vlans: BTreeMap<(Option<u16>, Option<&str>), &str> = BTreeMap::new();
    for network in facts
        .site
        .networks
        .iter()
        .filter(|network| network.name != "storage")
    {
        vlans.insert((network.vlan, network.site.as_deref()), &network.name);
    }
    for (index, network) in storage {
        let path = format!("networks.{index}");
        if network.vlan.is_some()
            && let Some(other) = vlans.get(&(network.vlan, network.site.as_deref()))
        {
            findings.push(Finding::new(
                format!("{path}.vlan"),
                format!("`storage` and `{other}` are the same VLAN"),
            ));
        }
        let speed = network.speed.unwrap_or(facts.row.speed);
        if speed < 10_000 && needs {
            let finding = Finding::new(
                format!("{path}.speed"),
                format!("{speed} Mbit/s for storage"),
            );
            findings.push(if facts.site.users >= 10_000 {
                finding
            } else {
                finding.warn()
            });
        }
    }
    findings
}

pub(super) fn mtu(facts: &Facts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut used: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (index, node) in facts.site.nodes.iter().enumerate() {
        for (number, link) in node.links.iter().enumerate() {
            for name in &link.networks {
                let Some((_, network)) = facts.network(name, node.site.as_deref()) else {
                    continue;
                };
                let mtu = network.mtu.unwrap_or(1500);
                if link.mtu.is_some_and(|of_link| of_link < mtu) {
                    findings.push(Finding::new(
                        format!("nodes.{index}.links.{number}.mtu"),
                        format!(
                            "the network `{name}` with {mtu} bytes lies on a link with {}",
                            link.mtu.unwrap_or_default()
                        ),
                    ));
                }
                for switch in link.ports.iter().filter_map(|port| port.switch.as_deref()) {
                    used.entry(switch).or_default().insert(name);
                }
            }
        }
    }
    for (index, switch) in facts.site.switches.iter().enumerate() {
        let Some(most) = switch.mtu else { continue };
        for name in used.get(switch.name.as_str()).into_iter().flatten() {
            let mtu = facts
                .network(name, switch.site.as_deref())
                .and_then(|(_, network)| network.mtu)
                .unwrap_or(1500);
            // 216 bytes: room for VLAN tags and every tunnel header; 9000 on 9216 is the usual pair.
            if mtu > 1500 && mtu + 216 > most {
                findings.push(Finding::new(
                    format!("switches.{index}.mtu"),
                    format!("{most} bytes are too few for the network `{name}` with {mtu}"),
                ));
            }
        }
    }
    // Untagged and tagged networks of one VLAN are one wire: all members must agree.
    let mut by_vlan: BTreeMap<(u16, Option<&str>), (u32, &str)> = BTreeMap::new();
    for (index, network) in facts.site.networks.iter().enumerate() {
        let Some(vlan) = network.vlan else { continue };
        let mtu = network.mtu.unwrap_or(1500);
        match by_vlan.get(&(vlan, network.site.as_deref())) {
            Some((other, name)) if *other != mtu => findings.push(Finding::new(
                format!("networks.{index}.mtu"),
                format!("{mtu} bytes, but `{name}` is the same VLAN with {other}"),
            )),
            Some(_) => {}
            None => {
                by_vlan.insert((vlan, network.site.as_deref()), (mtu, &network.name));
            }
        }
    }
    findings
}

pub(super) fn bonds(facts: &Facts<'_>) -> Vec<Finding> {
    let switches = switches(facts);
    let mut findings = Vec::new();
    for (index, node) in facts.site.nodes.iter().enumerate() {
        for (number, link) in node.links.iter().enumerate() {
            let Some(bond) = &link.bond else { continue };
            let path = format!("nodes.{index}.links.{number}");
            let what = format!("`{bond}` of `{}`", node.name);
            if link.ports.len() > 8 {
                findings.push(Finding::new(
                    format!("{path}.ports"),
                    format!("{what} has {} ports", link.ports.len()),
                ));
            }
            let ends: Vec<&str> = link
                .ports
                .iter()
                .filter_map(|port| port.switch.as_deref())
                .collect();
            let distinct: BTreeSet<&str> = ends.iter().copied().collect();
            if ends.len() > 1 && distinct.len() == 1 {
                findings.push(Finding::new(
                    format!("{path}.ports"),
                    format!("all ports of {what} end on `{}`", ends[0]),
                ));
            }
            if link.ports.len() == 1 {
                findings.push(Finding::new(
                    format!("{path}.ports"),
                    format!("{what} has a single port"),
                ));
            }
            if link.mode.unwrap_or(BondMode::Lacp) == BondMode::Lacp {
                for switch in &distinct {
                    let Some(switch) = switches.get(switch) else {
                        continue;
                    };
                    if switch.lacp == Some(false) {
                        findings.push(Finding::new(
                            format!("{path}.mode"),
                            format!("{what} speaks LACP, `{}` does not", switch.name),
                        ));
                    } else if distinct.len() > 1 && switch.member.is_none() {
                        findings.push(Finding::new(
                            format!("{path}.ports"),
                            format!("{what} speaks LACP with two switches, and `{}` is in no virtual chassis", switch.name),
                        ));
                    }
                }
            }
        }
    }
    findings
}

pub(super) fn switch_ports(facts: &Facts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut said: BTreeMap<(&str, &str), (usize, usize, &[String])> = BTreeMap::new();
    for (index, switch) in facts.site.switches.iter().enumerate() {
        for (number, port) in switch.ports.iter().enumerate() {
            let key = (switch.name.as_str(), port.port.as_str());
            if said.insert(key, (index, number, &port.networks)).is_some() {
                findings.push(Finding::new(
                    format!("switches.{index}.ports.{number}.port"),
                    format!("`{}` stands twice", port.port),
                ));
            }
        }
    }
    let mut cables: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for (index, node) in facts.site.nodes.iter().enumerate() {
        let mut carried: BTreeSet<&str> = BTreeSet::new();
        for (number, link) in node.links.iter().enumerate() {
            let path = format!("nodes.{index}.links.{number}");
            for (position, name) in link.networks.iter().enumerate() {
                let untagged = facts
                    .network(name, node.site.as_deref())
                    .is_some_and(|(_, network)| network.vlan.is_none());
                if link.networks.len() > 1 && untagged {
                    findings.push(Finding::new(
                        format!("{path}.networks.{position}"),
                        format!(
                            "`{name}` has no VLAN id, but shares a link of `{}`",
                            node.name
                        ),
                    ));
                }
                if !carried.insert(name) {
                    findings.push(Finding::new(
                        format!("{path}.networks.{position}"),
                        format!("a second link of `{}` for `{name}`", node.name),
                    ));
                }
            }
            for (position, port) in link.ports.iter().enumerate() {
                let (Some(switch), Some(name)) = (&port.switch, &port.port) else {
                    continue;
                };
                let at = format!("{path}.ports.{position}.port");
                if let Some(other) = cables.insert((switch, name), &node.name) {
                    findings.push(Finding::new(
                        at.clone(),
                        format!("the cable of `{other}` already ends on `{switch}` `{name}`"),
                    ));
                }
                if let Some((switch_index, number, networks)) =
                    said.get(&(switch.as_str(), name.as_str()))
                {
                    for missing in link
                        .networks
                        .iter()
                        .filter(|wanted| !networks.contains(wanted))
                    {
                        findings.push(Finding::new(
                            format!("switches.{switch_index}.ports.{number}.networks"),
                            format!("`{}` needs `{missing}` on `{switch}` `{name}`", node.name),
                        ));
                    }
                }
            }
        }
        if node.links.is_empty() {
            continue;
        }
        for name in node.addresses.keys().chain(node.addresses6.keys()) {
            if !carried.contains(name.as_str()) {
                findings.push(Finding::new(
                    format!("nodes.{index}.addresses.{name}"),
                    format!("no link of `{}` carries the network `{name}`", node.name),
                ));
            }
        }
    }
    findings
}
