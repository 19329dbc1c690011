//! Rules of a node's networks: what they lie on, addresses, gateways, routes.

use std::net::IpAddr;

use crate::{
    NodeFile,
    address::{Cidr, is_mac},
    node::Network,
    shape::nearest,
    wiring::Route,
};

use super::{Checker, is_network_name};

/// Checks every network against itself, its device and the networks before it.
pub(crate) fn check(node: &NodeFile, checker: &mut Checker<'_, '_>) {
    check_networks(&node.networks, checker);
    for (index, network) in node.networks.iter().enumerate() {
        let path = format!("networks.{index}");
        check_device(node, network, &path, checker);
        check_neighbours(node, index, &path, checker);
        for (number, route) in network.routes.iter().enumerate() {
            check_route(network, route, &format!("{path}.routes.{number}"), checker);
        }
    }
}

/// `on`, `mac` and `vlan` against ports and bonds.
fn check_device(node: &NodeFile, network: &Network, path: &str, checker: &mut Checker<'_, '_>) {
    let name = &network.name;
    let Some(on) = &network.on else {
        if network.vlan.is_some() {
            checker
                .bad(
                    &format!("{path}.vlan"),
                    format!("the VLAN of the network `{name}` lies on no port or bond"),
                )
                .hint("describe the port under `[[ports]]` and name it with `on`");
        }
        let port = network.mac.as_ref().and_then(|mac| {
            node.ports.iter().find(|port| {
                port.mac
                    .as_ref()
                    .is_some_and(|other| other.eq_ignore_ascii_case(mac))
            })
        });
        if let Some(port) = port {
            checker
                .conflict(
                    &format!("{path}.mac"),
                    format!(
                        "this is the port `{}`, which would get two names",
                        port.name
                    ),
                )
                .hint(format!("write `on = \"{}\"` in place of `mac`", port.name));
        }
        return;
    };
    if network.mac.is_some() {
        checker
            .conflict(
                &format!("{path}.mac"),
                format!("the network `{name}` has both `on` and `mac`"),
            )
            .hint("the port's MAC address belongs to its entry under `[[ports]]`");
    }
    let names: Vec<&str> = node
        .bonds
        .iter()
        .map(|bond| bond.name.as_str())
        .chain(node.ports.iter().map(|port| port.name.as_str()))
        .collect();
    let on_path = format!("{path}.on");
    if !names.contains(&on.as_str()) {
        let diagnostic = checker.bad(&on_path, format!("there is no port or bond `{on}`"));
        if names.is_empty() {
            diagnostic.hint("describe it under `[[ports]]`");
        } else {
            diagnostic.hint(format!("ports and bonds: {}", names.join(", ")));
        }
        if let Some(near) = nearest(on, &names) {
            diagnostic.label(format!("did you mean `{near}`?"));
        }
    } else if let Some(bond) = node.bond_of(on) {
        checker
            .conflict(
                &on_path,
                format!("the port `{on}` is a leg of the bond `{}`", bond.name),
            )
            .hint(format!(
                "write `on = \"{}\"`: a leg carries nothing by itself",
                bond.name
            ));
    }
}

/// What lies on the same device, and how large its packets may be.
fn check_neighbours(node: &NodeFile, index: usize, path: &str, checker: &mut Checker<'_, '_>) {
    let network = &node.networks[index];
    let Some(on) = &network.on else { return };
    let name = &network.name;
    let same = |other: &&Network| other.on.as_ref() == Some(on) && other.vlan == network.vlan;
    if let Some(other) = node.networks[..index].iter().find(same) {
        match network.vlan {
            Some(vlan) => checker.conflict(
                &format!("{path}.vlan"),
                format!(
                    "VLAN {vlan} on `{on}` already belongs to the network `{}`",
                    other.name
                ),
            ),
            None => checker.conflict(
                &format!("{path}.on"),
                format!(
                    "the network `{}` already lies on `{on}` without a VLAN",
                    other.name
                ),
            ),
        }
        .hint("one network may have several `addresses`; two need two VLANs");
    }
    let mtu = network.mtu_bytes();
    let untagged = node.networks_on(on).find(|other| other.vlan.is_none());
    if let (Some(_), Some(below)) = (network.vlan, untagged)
        && below.mtu_bytes() < mtu
    {
        checker
            .conflict(
                &format!("{path}.mtu"),
                format!(
                    "packets of {mtu} bytes do not fit: `{on}` itself carries the network `{}` with {} bytes",
                    below.name,
                    below.mtu_bytes()
                ),
            )
            .hint(format!("a VLAN is never larger than its device: give `{}` a VLAN of its own, or the same MTU", below.name));
    }
    let small = node
        .legs(network)
        .into_iter()
        .find_map(|port| Some((port, port.mtu.filter(|most| *most < mtu)?)));
    if let Some((port, most)) = small {
        let part = if port.name == *on {
            format!("the port `{on}`")
        } else {
            format!("the leg `{}` of `{on}`", port.name)
        };
        checker
            .conflict(
                &format!("{path}.mtu"),
                format!("the network `{name}` has packets of {mtu} bytes, {part} takes {most}"),
            )
            .hint("every leg, its cable and its switch port must take the largest packet of the networks above");
    }
}

fn check_route(network: &Network, route: &Route, path: &str, checker: &mut Checker<'_, '_>) {
    let to = Cidr::parse(&route.to);
    match to {
        None => {
            checker
                .bad(
                    &format!("{path}.to"),
                    format!("`{}` is not a network with its prefix length", route.to),
                )
                .hint(
                    "write a network such as `10.0.0.0/8`; the way to everything else is `gateway`",
                );
        }
        Some(to) if to.network() != format!("{}/{}", to.address, to.prefix) => {
            checker
                .bad(
                    &format!("{path}.to"),
                    format!("`{}` is an address, not a network", route.to),
                )
                .hint(format!("write `{}`", to.network()));
        }
        Some(_) => {}
    }
    let Ok(via) = route.via.parse::<IpAddr>() else {
        checker.bad(
            &format!("{path}.via"),
            format!("`{}` is not an IP address", route.via),
        );
        return;
    };
    let link_local = matches!(via, IpAddr::V6(v6) if v6.is_unicast_link_local());
    let neighbour = network
        .addresses
        .iter()
        .filter_map(|text| Cidr::parse(text))
        .any(|cidr| cidr.contains(via) && cidr.address != via);
    if to.is_some_and(|to| to.address.is_ipv4() != via.is_ipv4()) {
        checker.conflict(
            &format!("{path}.via"),
            format!(
                "`{via}` cannot be the way to `{}`: one is IPv4, the other IPv6",
                route.to
            ),
        );
    } else if !neighbour && !link_local && !network.dhcp {
        checker
            .conflict(
                &format!("{path}.via"),
                format!("`{via}` is no neighbour in the network `{}`", network.name),
            )
            .hint("a route leads to a router in one of the network's own address ranges");
    }
}

fn check_networks(networks: &[Network], checker: &mut Checker<'_, '_>) {
    for (index, network) in networks.iter().enumerate() {
        check_network(
            network,
            networks.len() == 1,
            &format!("networks.{index}"),
            checker,
        );
        let earlier = &networks[..index];
        if earlier.iter().any(|other| other.name == network.name) {
            checker.conflict(
                &format!("networks.{index}.name"),
                format!("a second network `{}`", network.name),
            );
        }
        if let Some(mac) = &network.mac
            && let Some(other) = earlier.iter().find(|other| {
                other
                    .mac
                    .as_ref()
                    .is_some_and(|other| other.eq_ignore_ascii_case(mac))
            })
        {
            checker.conflict(
                &format!("networks.{index}.mac"),
                format!("`{mac}` already belongs to the network `{}`", other.name),
            );
        }
        for (number, address) in network.addresses.iter().enumerate() {
            let Some(cidr) = Cidr::parse(address) else {
                continue;
            };
            let taken = earlier.iter().find(|other| {
                other
                    .addresses
                    .iter()
                    .filter_map(|text| Cidr::parse(text))
                    .any(|other| other.address == cidr.address)
            });
            if let Some(other) = taken {
                checker.conflict(
                    &format!("networks.{index}.addresses.{number}"),
                    format!(
                        "`{}` already belongs to the network `{}`",
                        cidr.address, other.name
                    ),
                );
            }
        }
        if let Some(gateway) = network
            .gateway
            .as_ref()
            .and_then(|text| text.parse::<IpAddr>().ok())
            && let Some(other) = earlier.iter().find(|other| {
                other
                    .gateway
                    .as_ref()
                    .and_then(|text| text.parse::<IpAddr>().ok())
                    .is_some_and(|other| other.is_ipv4() == gateway.is_ipv4())
            })
        {
            checker
                .conflict(
                    &format!("networks.{index}.gateway"),
                    format!("the network `{}` already has a default gateway", other.name),
                )
                .hint("one network leads out; remove the other gateway");
        }
    }
}

fn check_network(network: &Network, only: bool, path: &str, checker: &mut Checker<'_, '_>) {
    let name = &network.name;
    if !is_network_name(name) {
        checker
            .bad(&format!("{path}.name"), format!("`{name}` cannot be the name of a network"))
            .hint("a lower-case letter, then letters and digits, at most 14: the interface is called `<name>0`");
    }
    match &network.mac {
        Some(mac) if !is_mac(mac) => {
            checker
                .bad(
                    &format!("{path}.mac"),
                    format!("`{mac}` is not a MAC address"),
                )
                .hint("write the port's permanent address, such as `0c:c4:7a:12:34:56`");
        }
        None if !only && network.on.is_none() => {
            checker
                .bad(
                    path,
                    format!("nothing says which port the network `{name}` is on"),
                )
                .hint("add `on = \"...\"` or `mac = \"...\"`; only a machine with a single network may leave both out");
        }
        _ => {}
    }
    for (index, address) in network.addresses.iter().enumerate() {
        if Cidr::parse(address).is_none() {
            let diagnostic = checker.bad(
                &format!("{path}.addresses.{index}"),
                format!("`{address}` is not an address with its prefix length"),
            );
            if address.parse::<IpAddr>().is_ok() {
                diagnostic.hint(format!(
                    "write `{address}/24` with the prefix length of the network"
                ));
            } else {
                diagnostic.hint("write an address such as `192.0.2.10/24` or `2001:db8::10/64`");
            }
        }
    }
    match (network.dhcp, network.addresses.is_empty()) {
        (true, false) => {
            checker.conflict(
                &format!("{path}.dhcp"),
                format!("the network `{name}` has both addresses and DHCP"),
            );
        }
        (false, true) => {
            checker
                .bad(path, format!("the network `{name}` has no address"))
                .hint("add `addresses = [\"192.0.2.10/24\"]` or `dhcp = true`");
        }
        _ => {}
    }
    if let Some(text) = &network.gateway {
        let path = format!("{path}.gateway");
        let Ok(gateway) = text.parse::<IpAddr>() else {
            checker.bad(&path, format!("`{text}` is not an IP address"));
            return;
        };
        let link_local = matches!(gateway, IpAddr::V6(v6) if v6.is_unicast_link_local());
        let networks: Vec<Cidr> = network
            .addresses
            .iter()
            .filter_map(|text| Cidr::parse(text))
            .collect();
        if network.dhcp {
            checker.conflict(&path, "the DHCP server names the gateway".to_owned());
        } else if networks.iter().any(|cidr| cidr.address == gateway) {
            checker.conflict(&path, format!("`{gateway}` is this machine's own address"));
        } else if !link_local
            && !networks.is_empty()
            && !networks.iter().any(|cidr| cidr.contains(gateway))
        {
            checker
                .conflict(
                    &path,
                    format!("`{gateway}` lies in none of the networks of `{name}`"),
                )
                .hint("the gateway must be a neighbour: check address and prefix length");
        }
    }
}
