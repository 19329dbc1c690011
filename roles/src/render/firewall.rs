//! nftables from the port lists: what is not listed is closed.

use crate::{NodeFile, RoleFolder, RoleSet, check::role::port_range, role::Port};

use super::RenderedFile;

/// Ports are open only on the interfaces of the networks they name. Without networks there is only ssh, from anywhere.
pub(super) fn file(roles: &RoleSet, folder: &RoleFolder, node: Option<&NodeFile>) -> RenderedFile {
    let networks: Vec<&str> = node
        .map(|node| {
            node.networks
                .iter()
                .map(|network| network.name.as_str())
                .collect()
        })
        .unwrap_or_default();
    let mut rules = String::new();
    for port in roles.common.ports.iter().chain(&folder.role.ports) {
        if let Some(rule) = rule(port, node, &networks) {
            rules.push_str(&format!(
                "        {rule} comment \"{}\"\n",
                comment(&port.service)
            ));
        }
    }
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
{rules}    }}

    chain forward {{
        type filter hook forward priority filter; policy drop;
    }}
}}
"
    );
    RenderedFile::with_mode("/etc/nftables.conf", text, 0o755)
}

/// The rule of one port, or none if no network of this machine may reach it.
fn rule(port: &Port, node: Option<&NodeFile>, networks: &[&str]) -> Option<String> {
    let is_ssh = port.service == "ssh";
    let from: Vec<&str> = port
        .from
        .iter()
        .map(String::as_str)
        .filter(|name| networks.contains(name))
        .collect();
    let what = match (&port.port, port.protocol.as_str()) {
        (Some(text), protocol) => {
            let (first, last) = port_range(text)?;
            if first == last {
                format!("{protocol} dport {first}")
            } else {
                format!("{protocol} dport {first}-{last}")
            }
        }
        // By number: the image need not have /etc/protocols (IANA protocol numbers).
        (None, protocol) => {
            let number = match protocol {
                "igmp" => 2,
                "gre" => 47,
                "esp" => 50,
                "ah" => 51,
                "vrrp" => 112,
                _ => return None,
            };
            format!("meta l4proto {number}")
        }
    };
    if networks.is_empty() {
        return is_ssh.then(|| format!("{what} accept"));
    }
    if from.is_empty() {
        // A machine without a management network must still be reachable by its administrator.
        return is_ssh.then(|| format!("{what} accept"));
    }
    // Without a MAC address the single network's interface keeps the kernel's name, so it cannot be named here.
    let named = node.is_some_and(|node| node.networks.iter().all(|network| network.mac.is_some()));
    if !named {
        return Some(format!("{what} accept"));
    }
    let interfaces: Vec<String> = from.iter().map(|name| format!("\"{name}0\"")).collect();
    Some(format!(
        "iifname {{ {} }} {what} accept",
        interfaces.join(", ")
    ))
}

/// nft takes at most 128 characters and no quotes.
fn comment(service: &str) -> String {
    service
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || " -_./".contains(*c))
        .take(60)
        .collect()
}
