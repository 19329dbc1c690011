//! `/etc/hosts`: the rack's names without any DNS server, so that a dead one stops no database and no mount.

use crate::{NodeFile, address::Cidr, wiring::Host};

/// The network whose address a bare name means, best first. One answer for all machines: a name that is one machine here and
/// another address of it there makes faults nobody finds.
const FIRST: [&str; 4] = ["mgmt", "cluster", "storage", "public"];

/// The whole file. The node's own addresses stand first.
pub(super) fn text(name: &str, node: Option<&NodeFile>) -> String {
    let domain = node.and_then(|node| node.domain.as_deref());
    let own: String = node
        .iter()
        .flat_map(|node| &node.networks)
        .flat_map(|network| &network.addresses)
        .filter_map(|text| Cidr::parse(text))
        .map(|cidr| format!("{} {}\n", cidr.address, names(name, domain)))
        .collect();
    let own = if own.is_empty() {
        format!("127.0.1.1 {}\n", names(name, domain))
    } else {
        own
    };
    let others: String = node
        .iter()
        .flat_map(|node| node.hosts.iter().filter(|host| host.name != node.node))
        .map(|host| lines(host, domain))
        .collect();
    format!("127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n{own}{others}")
}

fn names(name: &str, domain: Option<&str>) -> String {
    match domain {
        Some(domain) => format!("{name}.{domain} {name}"),
        None => name.to_owned(),
    }
}

/// The bare name for one address, and `<name>-<network>` for each where there are several.
fn lines(host: &Host, domain: Option<&str>) -> String {
    let rank = |network: &str| {
        FIRST
            .iter()
            .position(|known| *known == network)
            .unwrap_or(FIRST.len())
    };
    let mut addresses: Vec<(&String, &String)> = host.addresses.iter().collect();
    addresses.sort_by_key(|(network, _)| (rank(network), (*network).clone()));
    let several = addresses.len() > 1;
    let mut text = String::new();
    for (number, (network, address)) in addresses.iter().enumerate() {
        let mut all = Vec::new();
        if number == 0 {
            all.push(names(&host.name, domain));
        }
        if several {
            all.push(names(&format!("{}-{network}", host.name), domain));
        }
        text.push_str(&format!("{address} {}\n", all.join(" ")));
    }
    text
}
