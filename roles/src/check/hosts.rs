//! Rules of the list of hosts, of the authority and of the board management controller.

use std::{collections::BTreeMap, net::IpAddr};

use crate::{NodeFile, address::Cidr, node::Authority, wiring::BmcSettings};

use super::{Checker, is_label, is_network_name};

/// Checks hosts, authority and BMC.
pub(crate) fn check(node: &NodeFile, checker: &mut Checker<'_, '_>) {
    check_hosts(node, checker);
    if let Some(authority) = &node.authority {
        check_authority(authority, checker);
    }
    if let Some(bmc) = &node.bmc {
        check_bmc(bmc, node, checker);
    }
}

fn own_addresses(node: &NodeFile) -> BTreeMap<IpAddr, &str> {
    node.networks
        .iter()
        .flat_map(|network| {
            network
                .addresses
                .iter()
                .filter_map(|text| Some((Cidr::parse(text)?.address, network.name.as_str())))
        })
        .collect()
}

fn check_hosts(node: &NodeFile, checker: &mut Checker<'_, '_>) {
    let own = own_addresses(node);
    let mut names: Vec<&str> = Vec::new();
    let mut taken: BTreeMap<IpAddr, &str> = BTreeMap::new();
    for (index, host) in node.hosts.iter().enumerate() {
        let path = format!("hosts.{index}");
        let name = host.name.as_str();
        if !is_label(name) {
            checker
                .bad(
                    &format!("{path}.name"),
                    format!("`{name}` is not a host name"),
                )
                .hint("lower-case letters, digits and hyphens, at most 63 characters (RFC 1123)");
        } else if names.contains(&name) {
            checker.conflict(&format!("{path}.name"), format!("a second host `{name}`"));
        }
        names.push(name);
        for (network, text) in &host.addresses {
            let path = format!("{path}.addresses.{network}");
            if !is_network_name(network) {
                checker.bad(
                    &path,
                    format!("`{network}` cannot be the name of a network"),
                );
            }
            let Ok(address) = text.parse::<IpAddr>() else {
                let diagnostic = checker.bad(&path, format!("`{text}` is not an IP address"));
                if text.contains('/') {
                    diagnostic.hint("hosts are written without a prefix length");
                }
                continue;
            };
            if let Some(other) = taken.insert(address, name) {
                checker.conflict(
                    &path,
                    format!("`{address}` already belongs to the host `{other}`"),
                );
            }
            match own.get(&address) {
                Some(own) if name != node.node => {
                    checker.conflict(
                        &path,
                        format!("`{address}` is this machine's own address in the network `{own}`"),
                    );
                }
                None if name == node.node && is_planned(node, network) => {
                    checker
                        .conflict(
                            &path,
                            format!(
                                "this machine does not have `{address}` in the network `{network}`"
                            ),
                        )
                        .hint("a machine's own entry repeats the addresses of its networks");
                }
                _ => {}
            }
        }
    }
}

/// Has this machine a network of that name with addresses that do not come from DHCP?
fn is_planned(node: &NodeFile, name: &str) -> bool {
    node.networks
        .iter()
        .any(|network| network.name == name && !network.dhcp)
}

fn check_authority(authority: &Authority, checker: &mut Checker<'_, '_>) {
    let digits = authority.pin.strip_prefix("sha256:").unwrap_or_default();
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if digits.len() != 64 || !digits.bytes().all(is_digit) {
        checker.bad(
            "authority.pin",
            "it is `sha256:` and 64 digits of `0-9a-f`, the digest of the authority's certificate"
                .to_owned(),
        );
    }
    for (index, server) in authority.servers.iter().enumerate() {
        if server.parse::<IpAddr>().is_err() {
            checker.bad(
                &format!("authority.servers.{index}"),
                format!("`{server}` is not an IP address"),
            );
        }
    }
}

fn check_bmc(bmc: &BmcSettings, node: &NodeFile, checker: &mut Checker<'_, '_>) {
    let address = bmc.address.as_ref().and_then(|text| Cidr::parse(text));
    match (&bmc.address, address) {
        (Some(text), None) => {
            checker
                .bad(
                    "bmc.address",
                    format!("`{text}` is not an address with its prefix length"),
                )
                .hint("write an address such as `192.0.2.10/24`");
        }
        (Some(_), Some(cidr)) => {
            if cidr.address.is_ipv6() {
                checker
                    .bad(
                        "bmc.address",
                        "a BMC of this class has IPv4 only".to_owned(),
                    )
                    .hint("write an IPv4 address with its prefix length");
            }
            let host = node.hosts.iter().find(|host| {
                host.addresses
                    .values()
                    .any(|text| text.parse() == Ok(cidr.address))
            });
            if let Some(network) = own_addresses(node).get(&cidr.address) {
                checker
                    .conflict(
                        "bmc.address",
                        format!(
                            "`{}` already belongs to the network `{network}`",
                            cidr.address
                        ),
                    )
                    .hint("the BMC is a machine of its own, with an address of its own");
            } else if let Some(host) = host {
                checker.conflict(
                    "bmc.address",
                    format!(
                        "`{}` already belongs to the host `{}`",
                        cidr.address, host.name
                    ),
                );
            }
        }
        (None, _) => {}
    }
    if let Some(text) = &bmc.gateway {
        match (text.parse::<IpAddr>(), address) {
            (Err(_), _) => {
                checker.bad("bmc.gateway", format!("`{text}` is not an IP address"));
            }
            (Ok(gateway), Some(cidr)) if !cidr.contains(gateway) || cidr.address == gateway => {
                checker.conflict(
                    "bmc.gateway",
                    format!("`{gateway}` is no neighbour of the BMC"),
                );
            }
            _ => {}
        }
    }
    if let Some(user) = &bmc.user {
        // IPMI 2.0 section 22.28: 16 bytes, padded with zeros.
        let plain = (1..=16).contains(&user.len())
            && user
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if !plain {
            checker
                .bad("bmc.user", format!("`{user}` cannot be a user of a BMC"))
                .hint("letters, digits, `.`, `_` and `-`, at most 16 characters");
        }
    }
}
