//! Rules of addresses that move: where they lie, who may hold them, how packets get through.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use super::{
    Finding,
    facts::{Facts, holds, ip},
};
use crate::site::model::{Delivery, ServiceGroups, VipName};

pub(super) fn addresses(facts: &Facts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut taken: BTreeMap<IpAddr, String> = BTreeMap::new();
    for node in &facts.site.nodes {
        for address in node
            .addresses
            .values()
            .chain(node.addresses6.values())
            .filter_map(|text| ip(text))
        {
            taken
                .entry(address)
                .or_insert_with(|| format!("the node `{}`", node.name));
        }
        if let Some(address) = node.bmc.as_ref().and_then(|bmc| ip(&bmc.address)) {
            taken
                .entry(address)
                .or_insert_with(|| format!("the board management of `{}`", node.name));
        }
    }
    for network in &facts.site.networks {
        for address in [&network.gateway, &network.gateway6]
            .into_iter()
            .flatten()
            .filter_map(|text| ip(text))
        {
            taken
                .entry(address)
                .or_insert_with(|| format!("the gateway of `{}`", network.name));
        }
    }
    let mut names = BTreeSet::new();
    for (index, vip) in facts.site.vips.iter().enumerate() {
        let path = format!("vips.{index}");
        if !names.insert((
            vip.name,
            vip.site.as_deref(),
            ip(&vip.address).is_some_and(|address| address.is_ipv6()),
        )) {
            findings.push(Finding::new(
                format!("{path}.name"),
                format!("a second moving address `{}`", vip.name.word()),
            ));
        }
        let Some(address) = ip(&vip.address) else {
            continue;
        };
        let mut networks = facts
            .networks(&vip.network)
            .filter(|(_, network)| {
                vip.site.is_none() || network.site.is_none() || network.site == vip.site
            })
            .peekable();
        if networks.peek().is_some() && !networks.any(|(_, network)| holds(network, address)) {
            findings.push(Finding::new(
                format!("{path}.address"),
                format!("`{address}` does not lie in the network `{}`", vip.network),
            ));
        }
        // With NAT the way back is the production servers' gateway, and one of ours.
        let own_gateway = vip.name == VipName::Gateway
            && facts
                .networks(&vip.network)
                .any(|(_, network)| network.gateway.as_deref().and_then(ip) == Some(address));
        let mine = format!("the moving address `{}`", vip.name.word());
        match taken.get(&address) {
            Some(holder) if !own_gateway => {
                findings.push(Finding::new(
                    format!("{path}.address"),
                    format!("`{address}` is {holder}"),
                ));
            }
            _ => {
                taken.insert(address, mine);
            }
        }
    }
    findings
}

pub(super) fn router_ids(facts: &Facts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut seen: BTreeMap<(&str, Option<&str>, u32, bool), &str> = BTreeMap::new();
    for (index, vip) in facts.site.vips.iter().enumerate() {
        let path = format!("vips.{index}.virtual_router_id");
        let Some(id) = vip.virtual_router_id else {
            continue;
        };
        if !(1..=255).contains(&id) {
            findings.push(
                Finding::new(path, format!("{id} is not a VRRP id")).label("expected 1 to 255"),
            );
            continue;
        }
        let is_v6 = ip(&vip.address).is_some_and(|address| address.is_ipv6());
        if let Some(other) = seen.insert(
            (&vip.network, vip.site.as_deref(), id, is_v6),
            vip.name.word(),
        ) {
            findings.push(Finding::new(
                path,
                format!(
                    "`{other}` already has the VRRP id {id} in the network `{}`",
                    vip.network
                ),
            ));
        }
    }
    findings
}

pub(super) fn candidates(facts: &Facts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, vip) in facts.site.vips.iter().enumerate() {
        let path = format!("vips.{index}");
        let at = if vip.candidates.is_empty() {
            path
        } else {
            format!("{path}.candidates")
        };
        let candidates = facts.candidates(vip);
        let name = vip.name.word();
        if candidates.len() < 2 {
            findings.push(Finding::new(
                at,
                format!(
                    "{} may hold the address `{name}`",
                    match candidates.first() {
                        Some((_, node)) => format!("only `{}`", node.name),
                        None => "no machine".to_owned(),
                    }
                ),
            ));
            continue;
        }
        let distinct: BTreeSet<String> = candidates
            .iter()
            .map(|(_, node)| match (&node.host, &node.chassis) {
                (Some(host), _) => format!("hypervisor {host}"),
                (None, Some(chassis)) => format!("chassis {chassis}"),
                (None, None) => format!("node {}", node.name),
            })
            .collect();
        if let Some(only) = distinct.first().filter(|_| distinct.len() == 1) {
            findings.push(Finding::new(
                at,
                format!("all machines that may hold the address `{name}` are in one: {only}"),
            ));
            continue;
        }
        for (number, node) in &candidates {
            if !node.addresses.contains_key(&vip.network)
                && !node.addresses6.contains_key(&vip.network)
            {
                findings.push(Finding::new(
                    format!("nodes.{number}.addresses"),
                    format!(
                        "`{}` may hold the address `{name}`, but has none in the network `{}`",
                        node.name, vip.network
                    ),
                ));
            }
        }
    }
    findings
}

pub(super) fn delivery(facts: &Facts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let gateway = facts
        .site
        .vips
        .iter()
        .enumerate()
        .find(|(_, vip)| vip.name == VipName::Gateway);
    match facts.site.options.delivery {
        Delivery::Direct => {
            if let Some((index, _)) = gateway {
                findings.push(Finding::new(
                    format!("vips.{index}.name"),
                    "an address for the way back, but answers do not come back this way",
                ));
            }
            for vip in facts
                .site
                .vips
                .iter()
                .filter(|vip| vip.name == VipName::Mail)
            {
                for (index, node) in facts.of("production") {
                    if vip.site.is_some() && node.site != vip.site {
                        continue;
                    }
                    if !node.addresses.contains_key(&vip.network)
                        && !node.addresses6.contains_key(&vip.network)
                    {
                        findings.push(Finding::new(
                            format!("nodes.{index}.addresses"),
                            format!("`{}` has no address in the network `{}`, where the load balancers hand packets on", node.name, vip.network),
                        ));
                    }
                }
            }
        }
        Delivery::Nat => {
            let Some((index, vip)) = gateway else {
                return vec![Finding::new(
                    "options.delivery",
                    "no moving address `gateway` for the way back",
                )];
            };
            let leads_back = facts.networks(&vip.network).any(|(_, network)| {
                network
                    .gateway
                    .as_deref()
                    .and_then(ip)
                    .is_some_and(|gateway| ip(&vip.address) == Some(gateway))
            });
            if !leads_back {
                findings.push(Finding::new(
                    format!("vips.{index}.address"),
                    format!(
                        "`{}` is not the gateway of the network `{}`, so answers go another way",
                        vip.address, vip.network
                    ),
                ));
            }
            for (number, node) in facts.of("production") {
                if !node.addresses.contains_key(&vip.network) {
                    findings.push(Finding::new(
                        format!("nodes.{number}.addresses"),
                        format!(
                            "`{}` has no address in the network `{}` of the way back",
                            node.name, vip.network
                        ),
                    ));
                }
            }
        }
    }
    findings
}

pub(super) fn together(facts: &Facts<'_>) -> Vec<Finding> {
    if facts.site.options.services == ServiceGroups::Apart && facts.count("production") > 1 {
        return vec![Finding::new(
            "options.services",
            "ports move one by one while production servers share a mail store",
        )];
    }
    Vec::new()
}
