//! Rules of the node file.

use std::net::IpAddr;

use crate::{
    NodeFile,
    address::{Cidr, is_mac},
    folder::RoleSet,
    node::{Access, Network},
    shape::nearest,
};

use super::{Checker, check_format, disks, is_domain, is_label, is_network_name};

/// Checks a node file; with roles its role name too.
pub(crate) fn check(node: &NodeFile, roles: Option<&RoleSet>, checker: &mut Checker<'_, '_>) {
    check_format(node.format, checker);
    if !is_label(&node.node) {
        checker
            .bad("node", format!("`{}` is not a host name", node.node))
            .hint("lower-case letters, digits and hyphens, at most 63 characters (RFC 1123)");
    }
    if let Some(roles) = roles
        && !roles.roles.contains_key(&node.role)
    {
        let names: Vec<&str> = roles.roles.keys().map(String::as_str).collect();
        let diagnostic = checker.bad("role", format!("there is no role `{}`", node.role));
        diagnostic.hint(format!("roles: {}", names.join(", ")));
        if let Some(near) = nearest(&node.role, &names) {
            diagnostic.label(format!("did you mean `{near}`?"));
        }
    }
    if let Some(domain) = &node.domain
        && !is_domain(domain)
    {
        checker.bad("domain", format!("`{domain}` is not a DNS domain"));
    }
    if let Some(permit) = &node.permit {
        for (key, value) in [
            ("id", Some(&permit.id)),
            ("board_serial", permit.board_serial.as_ref()),
            ("plan", permit.plan.as_ref()),
        ] {
            if value.is_some_and(|text| text.trim().is_empty()) {
                checker
                    .bad(&format!("permit.{key}"), format!("the permit's `{key}` is empty"))
                    .hint("an empty value would permit every install; write a value or leave the key out");
            }
        }
    }
    for (index, waiver) in node.waivers.iter().enumerate() {
        for (key, value) in [("finding", &waiver.finding), ("reason", &waiver.reason)] {
            if value.trim().is_empty() {
                checker
                    .bad(
                        &format!("waivers.{index}.{key}"),
                        format!("the waiver's `{key}` is empty"),
                    )
                    .hint("write the finding's id and why it is accepted");
            }
        }
    }
    check_access(&node.access, checker);
    disks::check(&node.disks, checker);
    check_networks(&node.networks, checker);
    for (index, server) in node.dns.iter().enumerate() {
        if server.parse::<IpAddr>().is_err() {
            checker.bad(
                &format!("dns.{index}"),
                format!("`{server}` is not an IP address"),
            );
        }
    }
    for (index, server) in node.ntp.iter().enumerate() {
        if server.parse::<IpAddr>().is_err() && !is_domain(server) {
            checker.bad(
                &format!("ntp.{index}"),
                format!("`{server}` is neither an IP address nor a host name"),
            );
        }
    }
}

fn check_access(access: &Access, checker: &mut Checker<'_, '_>) {
    if let Some(user) = &access.user {
        let plain = (1..=31).contains(&user.len())
            && user.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && user
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b));
        if user == "root" {
            checker
                .bad("access.user", "`root` is always locked".to_owned())
                .hint("name an administrator's account; it may use sudo");
        } else if !plain {
            checker.bad(
                "access.user",
                format!("`{user}` cannot be the name of an account"),
            );
        }
    }
    for (index, key) in access.ssh_keys.iter().enumerate() {
        if !is_public_key(key) {
            let diagnostic = checker.bad(
                &format!("access.ssh_keys.{index}"),
                "this is not an OpenSSH public key".to_owned(),
            );
            if key.contains("PRIVATE KEY") {
                diagnostic.hint("this is a private key: remove it here and make a new pair, it is no longer secret");
            } else {
                diagnostic.hint(
                    "write one line as in `~/.ssh/id_ed25519.pub`, without options before it",
                );
            }
        }
    }
    if let Some(hash) = &access.password_hash
        && !is_password_hash(hash)
    {
        checker
            .bad(
                "access.password_hash",
                "this is not a crypt(5) password hash".to_owned(),
            )
            .hint(
                "make one with `mkpasswd` (package whois); it begins with `$y$`, `$6$` or the like",
            );
    }
}

/// `type base64 [comment]`, the types that OpenSSH 10 takes.
fn is_public_key(key: &str) -> bool {
    let types = [
        "ssh-ed25519",
        "ssh-rsa",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
    ];
    let mut words = key.split(' ');
    let (kind, blob) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    // Every blob begins with the length of the type name, three zero bytes and a small one: `AAAA` in base64.
    types.contains(&kind)
        && blob.len() >= 40
        && blob.starts_with("AAAA")
        && blob
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b))
        && !key.contains(['\n', '\r', '\0'])
}

/// crypt(5), the methods that Debian's libxcrypt takes for new passwords.
fn is_password_hash(hash: &str) -> bool {
    ["$y$", "$gy$", "$7$", "$2b$", "$6$", "$5$"]
        .iter()
        .any(|method| hash.starts_with(method))
        && hash.len() >= 20
        && hash.split('$').count() >= 4
        && hash
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"./$,=-".contains(&b))
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
        None if !only => {
            checker
                .bad(
                    path,
                    format!("nothing says which port the network `{name}` is on"),
                )
                .hint("add `mac = \"...\"`; only a machine with a single network may leave it out");
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
