//! nftables from the port lists: what is not listed is closed.

use std::{collections::BTreeSet, net::IpAddr};

use crate::{
    NodeFile, RoleFolder, RoleSet, check::role::port_range, node::Network, role::Port, wiring::Host,
};

use super::RenderedFile;

/// Ports are open only on the interfaces of the networks they name, and, where the role says whose machines may come and the
/// node file lists them, only to those. Without networks there is only ssh, from anywhere.
pub(super) fn file(roles: &RoleSet, folder: &RoleFolder, node: Option<&NodeFile>) -> RenderedFile {
    let mut rules = String::new();
    for port in roles.common.ports.iter().chain(&folder.role.ports) {
        for rule in self::rules(port, node) {
            rules.push_str(&format!(
                "        {rule} comment \"{}\"\n",
                comment(&port.service)
            ));
        }
    }
    // A balancer of mail: LVS takes what `/etc/rackwright/lvs.nft` marked, and hands it on or back.
    let balances = node.is_some_and(|node| {
        let servers = node.settings.get("mail_servers");
        servers
            .and_then(toml::Value::as_array)
            .is_some_and(|servers| !servers.is_empty())
    });
    let (taken, forwarded) = if balances {
        (
            "        meta mark { 0x10, 0x100-0x109 } accept comment \"mail, to LVS\"\n",
            "        ct state established,related accept\n        meta mark { 0x10, 0x12, 0x13 } accept comment \"mail, by LVS\"\n",
        )
    } else {
        ("", "")
    };
    let text = format!(
        "#!/usr/sbin/nft -f
flush ruleset

table inet rackwright {{
    chain input {{
        type filter hook input priority filter; policy drop;
        ct state established,related accept
        ct state invalid drop
        iifname \"lo\" accept
        meta l4proto {{ 1, 58 }} accept comment \"ICMP\"
        udp sport 67 udp dport 68 accept comment \"DHCP answers\"
        udp sport 547 udp dport 546 accept comment \"DHCPv6 answers\"
{taken}{rules}    }}

    chain forward {{
        type filter hook forward priority filter; policy drop;
{forwarded}    }}
}}
"
    );
    RenderedFile::with_mode("/etc/nftables.conf", text, 0o755)
}

/// The rules of one port; none if no network of this machine may reach it.
fn rules(port: &Port, node: Option<&NodeFile>) -> Vec<String> {
    let Some(what) = what(port) else {
        return Vec::new();
    };
    let networks = node.map(|node| &node.networks[..]).unwrap_or_default();
    let from: Vec<&Network> = port
        .from
        .iter()
        .filter_map(|name| networks.iter().find(|network| network.name == *name))
        .collect();
    if from.is_empty() {
        // A machine without a management network must still be reachable by its administrator.
        let is_ssh = port.service == "ssh";
        return is_ssh
            .then(|| format!("{what} accept"))
            .into_iter()
            .collect();
    }
    // A network without a condition on its port keeps the kernel's name for it, so it cannot be named here; it is then the
    // machine's only one.
    let interfaces: Option<Vec<String>> = from.iter().map(|network| network.interface()).collect();
    let hosts = node.map(|node| &node.hosts[..]).unwrap_or_default();
    match interfaces {
        Some(interfaces) if port.peers.is_empty() || hosts.is_empty() => {
            vec![format!("iifname {} {what} accept", set(&interfaces, true))]
        }
        None if port.peers.is_empty() || hosts.is_empty() => vec![format!("{what} accept")],
        interfaces => from
            .iter()
            .enumerate()
            .flat_map(|(index, network)| {
                let interface = interfaces
                    .as_ref()
                    .and_then(|interfaces| interfaces.get(index))
                    .map(|name| format!("iifname \"{name}\" "))
                    .unwrap_or_default();
                sources(&port.peers, &network.name, hosts)
                    .into_iter()
                    .map(move |sources| (interface.clone(), sources))
            })
            .map(|(interface, sources)| format!("{interface}{sources} {what} accept"))
            .collect(),
    }
}

/// What a port is to nftables.
fn what(port: &Port) -> Option<String> {
    let protocol = port.protocol.as_str();
    if let Some(text) = &port.port {
        let (first, last) = port_range(text)?;
        return Some(if first == last {
            format!("{protocol} dport {first}")
        } else {
            format!("{protocol} dport {first}-{last}")
        });
    }
    // By number: the image need not have /etc/protocols (IANA protocol numbers).
    let number = match protocol {
        "igmp" => 2,
        "gre" => 47,
        "esp" => 50,
        "ah" => 51,
        "vrrp" => 112,
        _ => return None,
    };
    Some(format!("meta l4proto {number}"))
}

/// Addresses of the machines of these roles in a network, one condition for each IP version that occurs.
fn sources(peers: &[String], network: &str, hosts: &[Host]) -> Vec<String> {
    let addresses: BTreeSet<IpAddr> = hosts
        .iter()
        .filter(|host| host.role.as_ref().is_some_and(|role| peers.contains(role)))
        .filter_map(|host| host.addresses.get(network)?.parse().ok())
        .collect();
    [("ip", true), ("ip6", false)]
        .into_iter()
        .filter_map(|(word, version)| {
            let of_version: Vec<String> = addresses
                .iter()
                .filter(|address| address.is_ipv4() == version)
                .map(IpAddr::to_string)
                .collect();
            (!of_version.is_empty()).then(|| format!("{word} saddr {}", set(&of_version, false)))
        })
        .collect()
}

/// `{ a, b }`, in quotes where they are names.
fn set(items: &[String], quoted: bool) -> String {
    let items: Vec<String> = items
        .iter()
        .map(|item| {
            if quoted {
                format!("\"{item}\"")
            } else {
                item.clone()
            }
        })
        .collect();
    format!("{{ {} }}", items.join(", "))
}

/// nft takes at most 128 characters and no quotes.
fn comment(service: &str) -> String {
    service
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || " -_./".contains(*c))
        .take(60)
        .collect()
}
