//! Names, addresses and references of a site file: what must hold before any rule makes sense, and cannot be waived.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::{
    address::{Cidr, is_mac},
    check::node::check_access,
    check::{Checker, check_format, disks, is_domain, is_label, is_network_name, is_plain_path},
    folder::RoleSet,
    selector::parse_size,
    shape::nearest,
};

use super::{Site, duration, model::SiteNode, payload};

/// Checks names, forms and references.
pub(crate) fn check(site: &Site, roles: Option<&RoleSet>, checker: &mut Checker<'_, '_>) {
    check_format(site.format, checker);
    if !is_label(&site.name) {
        checker
            .bad(
                "name",
                format!("`{}` cannot be the name of a cluster", site.name),
            )
            .hint("lower-case letters, digits and hyphens, at most 63 characters (RFC 1123)");
    }
    if !is_domain(&site.domain) {
        checker.bad("domain", format!("`{}` is not a DNS domain", site.domain));
    }
    check_access(&site.access, checker);
    check_servers(site, checker);
    check_amounts(site, checker);
    let places = names("sites", site.sites.iter().map(|place| &place.name), checker);
    let switches = names(
        "switches",
        site.switches.iter().map(|switch| &switch.name),
        checker,
    );
    check_networks(site, &places, checker);
    for (index, vip) in site.vips.iter().enumerate() {
        let path = format!("vips.{index}");
        address(&vip.address, &format!("{path}.address"), checker);
        known(
            "network",
            &vip.network,
            &network_names(site),
            &format!("{path}.network"),
            checker,
        );
        place(vip.site.as_ref(), &places, &format!("{path}.site"), checker);
    }
    check_nodes(site, roles, &places, &switches, checker);
    check_references(site, &places, checker);
    payload::check(site, roles, checker);
    for (index, switch) in site.switches.iter().enumerate() {
        place(
            switch.site.as_ref(),
            &places,
            &format!("switches.{index}.site"),
            checker,
        );
        for (number, port) in switch.ports.iter().enumerate() {
            for (position, network) in port.networks.iter().enumerate() {
                let path = format!("switches.{index}.ports.{number}.networks.{position}");
                known("network", network, &network_names(site), &path, checker);
            }
        }
    }
    check_router(site, checker);
}

/// Takes the names of a list, and complains about those that are none or stand there twice.
fn names<'a>(
    list: &str,
    all: impl Iterator<Item = &'a String>,
    checker: &mut Checker<'_, '_>,
) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    for (index, name) in all.enumerate() {
        let path = format!("{list}.{index}.name");
        if !is_label(name) {
            checker
                .bad(&path, format!("`{name}` cannot be a name here"))
                .hint("lower-case letters, digits and hyphens, at most 63 characters");
        }
        if !seen.insert(name.as_str()) {
            checker.conflict(&path, format!("a second `{name}` in `{list}`"));
        }
    }
    seen
}

fn network_names(site: &Site) -> BTreeSet<&str> {
    site.networks
        .iter()
        .map(|network| network.name.as_str())
        .collect()
}

/// A reference to something that has a name.
fn known(what: &str, name: &str, all: &BTreeSet<&str>, path: &str, checker: &mut Checker<'_, '_>) {
    if all.contains(name) {
        return;
    }
    let diagnostic = checker.bad(path, format!("there is no {what} `{name}`"));
    let list: Vec<&str> = all.iter().copied().collect();
    if let Some(near) = nearest(name, &list) {
        diagnostic.label(format!("did you mean `{near}`?"));
    } else if list.is_empty() {
        diagnostic.hint(format!("the file describes no {what}"));
    } else if list.len() <= 12 {
        diagnostic.hint(format!("known: {}", list.join(", ")));
    }
}

fn place(
    name: Option<&String>,
    places: &BTreeSet<&str>,
    path: &str,
    checker: &mut Checker<'_, '_>,
) {
    if let Some(name) = name {
        known("place", name, places, path, checker);
    }
}

fn address(text: &str, path: &str, checker: &mut Checker<'_, '_>) -> Option<IpAddr> {
    let parsed = text.parse().ok();
    if parsed.is_none() {
        let diagnostic = checker.bad(path, format!("`{text}` is not an IP address"));
        if text.contains('/') {
            diagnostic.hint("the prefix length stands at the network; leave it out here");
        }
    }
    parsed
}

fn check_servers(site: &Site, checker: &mut Checker<'_, '_>) {
    for (index, server) in site.dns.servers.iter().enumerate() {
        address(server, &format!("dns.servers.{index}"), checker);
    }
    for (index, server) in site.time.servers.iter().enumerate() {
        if server.parse::<IpAddr>().is_err() && !is_domain(server) {
            checker.bad(
                &format!("time.servers.{index}"),
                format!("`{server}` is neither an IP address nor a host name"),
            );
        }
    }
}

/// Sizes and times that are written as text.
fn check_amounts(site: &Site, checker: &mut Checker<'_, '_>) {
    let sizes = [
        ("quota", &site.quota),
        ("database.buffer_pool", &site.database.buffer_pool),
        ("galera.gcache", &site.galera.gcache),
        ("storage.capacity", &site.storage.capacity),
    ];
    for (path, text) in sizes {
        if let Some(text) = text {
            size(text, path, checker);
        }
    }
    for (index, node) in site.nodes.iter().enumerate() {
        for (number, text) in node
            .hardware
            .iter()
            .flat_map(|hardware| hardware.hdd_sizes.iter().enumerate())
        {
            size(
                text,
                &format!("nodes.{index}.hardware.hdd_sizes.{number}"),
                checker,
            );
        }
    }
    let times = [
        (
            "options.replication_interval",
            &site.options.replication_interval,
        ),
        ("options.promised_loss", &site.options.promised_loss),
        ("galera.suspect_timeout", &site.galera.suspect_timeout),
        ("galera.inactive_timeout", &site.galera.inactive_timeout),
        ("galera.keepalive", &site.galera.keepalive),
    ];
    for (path, text) in times {
        if let Some(text) = text
            && duration::parse(text).is_none()
        {
            checker
                .bad(path, format!("`{text}` is not a time"))
                .hint("write a whole number with a unit: `500 ms`, `30 s`, `5 min`, `1 h`");
        }
    }
    let ports = [
        ("ports.ftp_passive", &site.ports.ftp_passive),
        ("ports.sip_streams", &site.ports.sip_streams),
        ("ports.ephemeral", &site.ports.ephemeral),
    ];
    for (path, text) in ports {
        if let Some(text) = text
            && crate::check::role::port_range(text).is_none()
        {
            checker
                .bad(path, format!("`{text}` is not a port or a range of ports"))
                .hint("write `25` or `10000-10255`, from 1 to 65535");
        }
    }
    let folders = [
        ("storage.export", &site.storage.export),
        ("storage.mount", &site.storage.mount),
        ("storage.paths.mail", &site.storage.paths.mail),
        ("storage.paths.config", &site.storage.paths.config),
        ("storage.paths.spam", &site.storage.paths.spam),
        ("storage.paths.calendar", &site.storage.paths.calendar),
        ("storage.paths.logs", &site.storage.paths.logs),
        ("storage.paths.temp", &site.storage.paths.temp),
    ];
    for (path, text) in folders {
        if let Some(text) = text
            && !is_plain_path(text)
        {
            checker.bad(path, format!("`{text}` is not a plain absolute path"));
        }
    }
}

fn size(text: &str, path: &str, checker: &mut Checker<'_, '_>) {
    if let Err(error) = parse_size(text) {
        checker
            .bad(path, error.to_string())
            .hint("write a number with a unit, such as `2 GB` or `40 GiB`");
    }
}

fn check_networks(site: &Site, places: &BTreeSet<&str>, checker: &mut Checker<'_, '_>) {
    let mut seen: BTreeMap<(&str, Option<&str>), usize> = BTreeMap::new();
    for (index, network) in site.networks.iter().enumerate() {
        let path = format!("networks.{index}");
        let name = &network.name;
        if !is_network_name(name) {
            checker
                .bad(&format!("{path}.name"), format!("`{name}` cannot be the name of a network"))
                .hint("a lower-case letter, then letters and digits, at most 14: the interface is called `<name>0`");
        }
        place(
            network.site.as_ref(),
            places,
            &format!("{path}.site"),
            checker,
        );
        let everywhere = seen.contains_key(&(name.as_str(), None));
        let earlier = seen
            .insert((name, network.site.as_deref()), index)
            .is_some();
        if earlier || everywhere {
            checker.conflict(
                &format!("{path}.name"),
                format!("a second network `{name}`"),
            );
        }
        check_subnet(
            &network.subnet,
            true,
            network.gateway.as_deref(),
            &path,
            "",
            checker,
        );
        match (&network.subnet6, &network.gateway6) {
            (Some(subnet), gateway) => {
                check_subnet(subnet, false, gateway.as_deref(), &path, "6", checker)
            }
            (None, Some(_)) => {
                checker.conflict(
                    &format!("{path}.gateway6"),
                    format!("the network `{name}` has no `subnet6`"),
                );
            }
            (None, None) => {}
        }
    }
}

/// A subnet and its gateway; `suffix` is that of the two keys.
fn check_subnet(
    text: &str,
    is_v4: bool,
    gateway: Option<&str>,
    path: &str,
    suffix: &str,
    checker: &mut Checker<'_, '_>,
) {
    let at = format!("{path}.subnet{suffix}");
    let Some(subnet) = Cidr::parse(text).filter(|subnet| subnet.address.is_ipv4() == is_v4) else {
        let example = if is_v4 {
            "10.77.10.0/24"
        } else {
            "2001:db8:10::/64"
        };
        checker
            .bad(
                &at,
                format!(
                    "`{text}` is not an IPv{} network",
                    if is_v4 { 4 } else { 6 }
                ),
            )
            .hint(format!("write a network such as `{example}`"));
        return;
    };
    if subnet.network() != text {
        checker
            .bad(
                &at,
                format!("`{text}` is an address inside a network, not a network"),
            )
            .hint(format!("write `{}`", subnet.network()));
    }
    if let Some(gateway) = gateway {
        let at = format!("{path}.gateway{suffix}");
        if let Some(gateway) = address(gateway, &at, checker)
            && !subnet.contains(gateway)
        {
            checker.conflict(&at, format!("`{gateway}` does not lie in `{text}`"));
        }
    }
}

fn check_nodes(
    site: &Site,
    roles: Option<&RoleSet>,
    places: &BTreeSet<&str>,
    switches: &BTreeSet<&str>,
    checker: &mut Checker<'_, '_>,
) {
    let networks = network_names(site);
    let role_names: BTreeSet<&str> = roles.map_or_else(
        || ROLES.iter().copied().collect(),
        |set| set.roles.keys().map(String::as_str).collect(),
    );
    for (index, node) in site.nodes.iter().enumerate() {
        let path = format!("nodes.{index}");
        known(
            "role",
            &node.role,
            &role_names,
            &format!("{path}.role"),
            checker,
        );
        place(node.site.as_ref(), places, &format!("{path}.site"), checker);
        if node.site.is_none() && !site.sites.is_empty() {
            checker
                .bad(
                    &path,
                    format!("nothing says at which place `{}` is", node.name),
                )
                .hint("add `site = \"...\"`");
        }
        check_addresses(site, node, &networks, &path, checker);
        for (number, link) in node.links.iter().enumerate() {
            let path = format!("{path}.links.{number}");
            for (position, network) in link.networks.iter().enumerate() {
                known(
                    "network",
                    network,
                    &networks,
                    &format!("{path}.networks.{position}"),
                    checker,
                );
            }
            if link.ports.is_empty() {
                checker.bad(&format!("{path}.ports"), "a link without ports".to_owned());
            }
            if link.bond.is_none() && link.ports.len() > 1 {
                checker
                    .bad(&path, "several ports, but no bond".to_owned())
                    .hint("add `bond = \"bond0\"`");
            }
            for (position, port) in link.ports.iter().enumerate() {
                let path = format!("{path}.ports.{position}");
                if let Some(mac) = &port.mac {
                    check_mac(mac, &format!("{path}.mac"), checker);
                } else if port.path.is_none() && port.driver.is_none() {
                    checker
                        .bad(&path, "nothing says which port this is".to_owned())
                        .hint("add `mac`, or `path` (with `dev_port` where ports share one)");
                }
                if let Some(switch) = &port.switch {
                    known(
                        "switch",
                        switch,
                        switches,
                        &format!("{path}.switch"),
                        checker,
                    );
                }
            }
        }
        if let Some(bmc) = &node.bmc {
            address(&bmc.address, &format!("{path}.bmc.address"), checker);
            if let Some(mac) = &bmc.mac {
                check_mac(mac, &format!("{path}.bmc.mac"), checker);
            }
        }
        checker.within = format!("{path}.");
        disks::check(&node.disks, checker);
        checker.within.clear();
    }
}

/// The roles that the rules know. A rack may have others; then the role folders say so.
const ROLES: &[&str] = &[
    "backup",
    "control",
    "database",
    "galera",
    "lb",
    "production",
    "standalone",
    "storage",
];

fn check_addresses(
    site: &Site,
    node: &SiteNode,
    networks: &BTreeSet<&str>,
    path: &str,
    checker: &mut Checker<'_, '_>,
) {
    for (key, addresses) in [
        ("addresses", &node.addresses),
        ("addresses6", &node.addresses6),
    ] {
        for (name, text) in addresses {
            let path = format!("{path}.{key}.{name}");
            known("network", name, networks, &path, checker);
            let Some(address) = address(text, &path, checker) else {
                continue;
            };
            let Some(network) = site.network_of(name, node.site.as_deref()) else {
                continue;
            };
            let subnet = if key == "addresses" {
                Some(&network.subnet)
            } else {
                network.subnet6.as_ref()
            };
            let inside = subnet
                .and_then(|subnet| Cidr::parse(subnet))
                .is_none_or(|subnet| subnet.contains(address));
            if !inside || (key == "addresses") != address.is_ipv4() {
                checker
                    .conflict(
                        &path,
                        format!("`{text}` does not lie in the network `{name}`"),
                    )
                    .hint(format!(
                        "the network is {}",
                        subnet.map_or("IPv4 only", String::as_str)
                    ));
            }
        }
    }
}

fn check_mac(mac: &str, path: &str, checker: &mut Checker<'_, '_>) {
    if !is_mac(mac) {
        checker
            .bad(path, format!("`{mac}` is not a MAC address"))
            .hint("write the port's permanent address, such as `0c:c4:7a:12:34:56`");
    }
}

/// Keys whose value is the name of a node.
fn check_references(site: &Site, places: &BTreeSet<&str>, checker: &mut Checker<'_, '_>) {
    let nodes: BTreeSet<&str> = site.nodes.iter().map(|node| node.name.as_str()).collect();
    let single = [
        ("database.replica", &site.database.replica),
        ("galera.garbd", &site.galera.garbd),
        ("failover.witness", &site.failover.witness),
        ("storage.source", &site.storage.source),
    ];
    for (path, name) in single {
        if let Some(name) = name {
            known("node", name, &nodes, path, checker);
        }
    }
    place(
        site.galera.garbd_site.as_ref(),
        places,
        "galera.garbd_site",
        checker,
    );
    for (list, names) in [
        ("galera.writers", &site.galera.writers),
        ("storage.sinks", &site.storage.sinks),
    ] {
        for (index, name) in names.iter().enumerate() {
            known("node", name, &nodes, &format!("{list}.{index}"), checker);
        }
    }
    for (index, vip) in site.vips.iter().enumerate() {
        for (number, name) in vip.candidates.iter().enumerate() {
            known(
                "node",
                name,
                &nodes,
                &format!("vips.{index}.candidates.{number}"),
                checker,
            );
        }
    }
}

fn check_router(site: &Site, checker: &mut Checker<'_, '_>) {
    let Some(router) = &site.router else { return };
    let mgmt = site
        .network_of("mgmt", None)
        .and_then(|network| Cidr::parse(&network.subnet));
    if let Some(address) = address(&router.address, "router.address", checker)
        && mgmt.is_some_and(|mgmt| !mgmt.contains(address))
    {
        checker.conflict(
            "router.address",
            format!("`{address}` does not lie in the network `mgmt`"),
        );
    }
    if let Some(range) = &router.dhcp {
        let ends = range.split_once('-').and_then(|(first, last)| {
            Some((
                first.trim().parse::<IpAddr>().ok()?,
                last.trim().parse::<IpAddr>().ok()?,
            ))
        });
        match ends {
            Some((first, last))
                if first <= last
                    && mgmt.is_none_or(|mgmt| mgmt.contains(first) && mgmt.contains(last)) => {}
            _ => {
                checker
                    .bad(
                        "router.dhcp",
                        format!("`{range}` is not a range of addresses in the network `mgmt`"),
                    )
                    .hint("write the first and the last address: `10.77.10.200-10.77.10.250`");
            }
        }
    }
    if let Some(tunnel) = &router.wireguard
        && Cidr::parse(tunnel).is_none()
    {
        checker.bad(
            "router.wireguard",
            format!("`{tunnel}` is not an address with its prefix length"),
        );
    }
    if router.wireguard.is_some() && router.version.is_some_and(|version| version < 7) {
        checker
            .conflict("router.version", "WireGuard needs RouterOS 7".to_owned())
            .hint("upgrade the router, or leave out `wireguard`");
    }
    for (index, peer) in router.peers.iter().enumerate() {
        if Cidr::parse(&peer.address).is_none() {
            checker.bad(
                &format!("router.peers.{index}.address"),
                format!(
                    "`{}` is not an address with its prefix length",
                    peer.address
                ),
            );
        }
        // 32 bytes in base64: 43 characters and one for padding.
        if peer.public_key.len() != 44 || !peer.public_key.ends_with('=') {
            checker.bad(
                &format!("router.peers.{index}.public_key"),
                "this is not a WireGuard public key".to_owned(),
            );
        }
    }
}
