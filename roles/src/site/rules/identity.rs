//! Rule of names and addresses: everything that must be there once is there once.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use super::{
    Finding,
    facts::{Facts, holds, ip},
};
use crate::check::is_label;

/// Who has what; says who had it before.
struct Taken<'a>(BTreeMap<String, &'a str>);

impl<'a> Taken<'a> {
    fn take(&mut self, key: String, who: &'a str) -> Option<&'a str> {
        let earlier = self.0.get(&key).copied();
        if earlier.is_none() {
            self.0.insert(key, who);
        }
        earlier
    }
}

pub(super) fn unique(facts: &Facts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut names = BTreeSet::new();
    let (mut serials, mut macs) = (Taken(BTreeMap::new()), Taken(BTreeMap::new()));
    let mut addresses: BTreeMap<IpAddr, &str> = BTreeMap::new();
    let gateways: BTreeMap<IpAddr, &str> = facts
        .site
        .networks
        .iter()
        .flat_map(|network| {
            [&network.gateway, &network.gateway6]
                .into_iter()
                .flatten()
                .filter_map(|text| Some((ip(text)?, network.name.as_str())))
        })
        .collect();
    for (index, node) in facts.site.nodes.iter().enumerate() {
        let path = format!("nodes.{index}");
        let name = node.name.as_str();
        if !is_label(name) {
            findings.push(Finding::new(
                format!("{path}.name"),
                format!("`{name}` is not a host name"),
            ));
        }
        if !names.insert(name) {
            findings.push(Finding::new(
                format!("{path}.name"),
                format!("a second machine `{name}`"),
            ));
        }
        if let Some(serial) = &node.serial
            && let Some(other) = serials.take(serial.to_ascii_uppercase(), name)
        {
            findings.push(Finding::new(
                format!("{path}.serial"),
                format!("`{other}` already has the serial number `{serial}`"),
            ));
        }
        let mut all: Vec<(String, &String)> = Vec::new();
        for (key, map) in [
            ("addresses", &node.addresses),
            ("addresses6", &node.addresses6),
        ] {
            all.extend(
                map.iter()
                    .map(|(network, text)| (format!("{path}.{key}.{network}"), text)),
            );
        }
        if let Some(bmc) = &node.bmc {
            all.push((format!("{path}.bmc.address"), &bmc.address));
        }
        for (at, text) in all {
            let Some(address) = ip(text) else { continue };
            if let Some(network) = gateways.get(&address) {
                findings.push(Finding::new(
                    at,
                    format!("`{address}` is the gateway of `{network}`"),
                ));
            } else if let Some(other) = addresses.get(&address) {
                findings.push(Finding::new(
                    at,
                    format!("`{other}` already has the address `{address}`"),
                ));
            } else {
                addresses.insert(address, name);
            }
        }
        let ports = node.links.iter().enumerate().flat_map(|(number, link)| {
            link.ports
                .iter()
                .enumerate()
                .map(move |(position, port)| (number, position, port))
        });
        for (number, position, port) in ports {
            if let Some(mac) = &port.mac
                && let Some(other) = macs.take(mac.to_ascii_lowercase(), name)
            {
                findings.push(Finding::new(
                    format!("{path}.links.{number}.ports.{position}.mac"),
                    format!("`{other}` already has the MAC address `{mac}`"),
                ));
            }
        }
        let Some(bmc) = &node.bmc else { continue };
        if let Some(mac) = &bmc.mac
            && let Some(other) = macs.take(mac.to_ascii_lowercase(), name)
        {
            findings.push(Finding::new(
                format!("{path}.bmc.mac"),
                format!("`{other}` already has the MAC address `{mac}`"),
            ));
        }
        let mgmt = facts.network("mgmt", node.site.as_deref());
        if let (Some(address), Some((_, mgmt))) = (ip(&bmc.address), mgmt)
            && !holds(mgmt, address)
        {
            findings.push(Finding::new(
                format!("{path}.bmc.address"),
                format!("the board management of `{name}` is outside the network `mgmt`"),
            ));
        }
        // The password is made from the seed; who keeps the factory's account keeps a name that everybody tries.
        if bmc
            .user
            .as_ref()
            .is_some_and(|user| user.eq_ignore_ascii_case("ADMIN"))
        {
            findings.push(Finding::new(
                format!("{path}.bmc.user"),
                format!("the board management of `{name}` keeps the factory's account"),
            ));
        }
    }
    findings
}
