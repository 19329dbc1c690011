//! Links of a machine in the site file -> ports, bonds and networks of its node file.

use std::collections::BTreeSet;

use crate::{
    RoleSet,
    address::Cidr,
    node::Network,
    role::NetworkNeed,
    site::{
        Site,
        model::{self, Link, LinkPort, SiteNetwork, SiteNode, VipName},
    },
    wiring::{Bond, BondMode, PhysicalPort, Route},
};

/// Longest name of an interface: `IFNAMSIZ` less the zero at the end.
const NAME_LENGTH: usize = 15;

/// How a machine is wired.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Wires {
    pub(crate) ports: Vec<PhysicalPort>,
    pub(crate) bonds: Vec<Bond>,
    pub(crate) networks: Vec<Network>,
}

/// A network that lies on a link alone comes untagged (the switch port is an access port: network boot needs that); several
/// are told apart by their VLAN ids.
#[must_use]
pub fn is_tagged(link: &Link, network: &SiteNetwork) -> bool {
    link.networks.len() > 1 && network.vlan.is_some()
}

/// Ports, bonds and networks of a machine.
pub(crate) fn plan(site: &Site, node: &SiteNode, roles: Option<&RoleSet>) -> Wires {
    let mut wires = Wires::default();
    let default_links;
    let links = if node.links.is_empty() {
        default_links = standard_links(node, roles);
        &default_links
    } else {
        &node.links
    };
    // Names that bonds and tagged networks will have: no port may take them.
    let mut taken: BTreeSet<String> = links.iter().filter_map(|link| link.bond.clone()).collect();
    for link in links {
        for name in &link.networks {
            let network = site.network_of(name, node.site.as_deref());
            if network.is_some_and(|network| is_tagged(link, network)) {
                taken.insert(format!("{name}0"));
            }
        }
    }
    let way_out = way_out(site, node);
    for link in links {
        let on = device(link, node, roles, &mut taken, &mut wires);
        for name in &link.networks {
            let Some(described) = site.network_of(name, node.site.as_deref()) else {
                continue;
            };
            let mut network = network(site, node, described, way_out.as_deref());
            network.on = on.clone();
            network.vlan = described.vlan.filter(|_| is_tagged(link, described));
            wires.networks.push(network);
        }
    }
    // Addresses in networks that no link carries: with a single one the machine has only one port that can be meant.
    if wires.networks.is_empty() && node.addresses.len() == 1 {
        let described = node
            .addresses
            .keys()
            .find_map(|name| site.network_of(name, node.site.as_deref()));
        wires
            .networks
            .extend(described.map(|described| network(site, node, described, way_out.as_deref())));
    }
    wires
}

/// Without links: a port of its own for each network, as the role asks for it. What the ports are is not known, so they are
/// chosen by speed, and the installer stops with the table of candidates where several fit.
fn standard_links(node: &SiteNode, roles: Option<&RoleSet>) -> Vec<Link> {
    if node.addresses.len() < 2 {
        return Vec::new();
    }
    let needs = needs(node, roles);
    let mut names: Vec<&String> = node.addresses.keys().collect();
    names.sort_by_key(|name| {
        let place = needs.iter().position(|need| need.name == **name);
        (place.unwrap_or(usize::MAX), (*name).clone())
    });
    names
        .into_iter()
        .map(|name| Link {
            bond: None,
            mode: None,
            networks: vec![name.clone()],
            mtu: None,
            ports: vec![LinkPort::default()],
        })
        .collect()
}

fn needs<'a>(node: &SiteNode, roles: Option<&'a RoleSet>) -> &'a [NetworkNeed] {
    roles
        .and_then(|roles| roles.roles.get(&node.role))
        .map_or(&[][..], |folder| &folder.role.networks)
}

/// Describes the link's ports and gives the name of what its networks lie on.
fn device(
    link: &Link,
    node: &SiteNode,
    roles: Option<&RoleSet>,
    taken: &mut BTreeSet<String>,
    wires: &mut Wires,
) -> Option<String> {
    let speed = needs(node, roles)
        .iter()
        .filter(|need| link.networks.contains(&need.name))
        .map(|need| need.speed)
        .max()
        .filter(|speed| *speed > 0);
    let stem = match (&link.bond, link.networks.first()) {
        (Some(bond), _) => bond.clone(),
        (None, Some(network)) if link.networks.len() == 1 => format!("{network}0"),
        (None, _) => "trunk0".to_owned(),
    };
    let mut legs = Vec::new();
    for (index, port) in link.ports.iter().enumerate() {
        let name = match &link.bond {
            Some(bond) => free_name(bond, &leg_letters(index), taken),
            None => free_name(stem.trim_end_matches('0'), "0", taken),
        };
        wires.ports.push(PhysicalPort {
            name: name.clone(),
            mac: port.mac.as_ref().map(|mac| mac.to_ascii_lowercase()),
            path: port.path.clone(),
            dev_port: port.dev_port,
            driver: port.driver.clone(),
            // A condition only where nothing better says which port it is.
            speed: (port.mac.is_none() && port.path.is_none()).then(|| speed.unwrap_or(1000)),
            kind: (port.driver.as_deref() == Some("mlx4_core")).then(|| "ethernet".to_owned()),
            mtu: link.mtu,
            switch: port.switch.clone(),
            switch_port: port.port.clone(),
        });
        legs.push(name);
    }
    let Some(bond) = &link.bond else {
        return legs.into_iter().next();
    };
    let mode = match link.mode.unwrap_or(model::BondMode::Lacp) {
        model::BondMode::Lacp => BondMode::Aggregation,
        model::BondMode::ActiveBackup => BondMode::ActiveBackup,
    };
    let aggregated = mode == BondMode::Aggregation;
    wires.bonds.push(Bond {
        name: bond.clone(),
        ports: legs,
        mode,
        lacp_rate: aggregated.then(|| "fast".to_owned()),
        hash: aggregated.then(|| "layer3+4".to_owned()),
        min_links: aggregated.then_some(1),
    });
    Some(bond.clone())
}

/// `a`, `b`, ... `z`, `aa`, ...
fn leg_letters(index: usize) -> String {
    let letter = char::from(b'a' + u8::try_from(index % 26).unwrap_or(0));
    std::iter::repeat_n(letter, index / 26 + 1).collect()
}

/// `stem` and `end`, with a number between where that is taken.
fn free_name(stem: &str, end: &str, taken: &mut BTreeSet<String>) -> String {
    let mut number = 0;
    loop {
        let tail = match number {
            0 => end.to_owned(),
            _ if end == "0" => number.to_string(),
            _ => format!("{number}{end}"),
        };
        let room = NAME_LENGTH.saturating_sub(tail.len());
        let name: String = stem.chars().take(room).chain(tail.chars()).collect();
        if taken.insert(name.clone()) {
            return name;
        }
        number += 1;
    }
}

fn network(
    site: &Site,
    node: &SiteNode,
    described: &SiteNetwork,
    way_out: Option<&str>,
) -> Network {
    let name = &described.name;
    let pairs = [
        (node.addresses.get(name), Some(&described.subnet)),
        (node.addresses6.get(name), described.subnet6.as_ref()),
    ];
    let addresses = pairs
        .into_iter()
        .filter_map(|(address, subnet)| with_prefix(address?, subnet?))
        .collect();
    let is_way_out = way_out == Some(name.as_str());
    let gateway = is_way_out.then(|| gateway(site, node, described)).flatten();
    Network {
        name: name.clone(),
        addresses,
        gateway,
        mtu: described.mtu,
        routes: routes(site, described, is_way_out),
        ..Network::default()
    }
}

/// An address with the prefix length of its network.
pub(super) fn with_prefix(address: &str, subnet: &str) -> Option<String> {
    Some(format!("{address}/{}", Cidr::parse(subnet)?.prefix))
}

/// The one network whose gateway is the machine's default: the public one, else the first of the others that has one.
fn way_out(site: &Site, node: &SiteNode) -> Option<String> {
    let place = node.site.as_deref();
    ["public", "mgmt", "cluster", "storage"]
        .into_iter()
        .chain(node.addresses.keys().map(String::as_str))
        .find(|name| {
            node.addresses.contains_key(*name)
                && site
                    .network_of(name, place)
                    .is_some_and(|network| gateway(site, node, network).is_some())
        })
        .map(ToOwned::to_owned)
}

/// The network's gateway. Behind a load balancer that translates addresses, answers must go back through it: there it is
/// the production servers' gateway.
fn gateway(site: &Site, node: &SiteNode, network: &SiteNetwork) -> Option<String> {
    let inner = site.vips.iter().find(|vip| {
        vip.name == VipName::Gateway
            && vip.network == network.name
            && (vip.site.is_none() || vip.site == node.site)
    });
    let gateway = match inner {
        Some(vip) if node.role == "production" && site.options.delivery == model::Delivery::Nat => {
            Some(&vip.address)
        }
        _ => network.gateway.as_ref(),
    };
    gateway.cloned()
}

/// People who come through the router's tunnel are answered the way they came, not by the default gateway.
fn routes(site: &Site, network: &SiteNetwork, is_way_out: bool) -> Vec<Route> {
    let tunnel = site.router.as_ref().and_then(|router| {
        let inside = Cidr::parse(&network.subnet)?.contains(router.address.parse().ok()?);
        let tunnel = Cidr::parse(router.wireguard.as_ref()?)?.network();
        (inside && !is_way_out).then(|| Route {
            to: tunnel,
            via: router.address.clone(),
        })
    });
    tunnel.into_iter().collect()
}
