//! From what was typed to the node file, or what is wrong with it.

use std::{collections::BTreeMap, net::IpAddr};

use roles::{
    NodeFile,
    address::Cidr,
    node::Network,
    wiring::{BmcSettings, Host},
};

use super::FieldId;
use crate::{draft, text};

/// Puts a typed value into the node file.
///
/// # Errors
/// What is wrong with it, in one line.
pub fn set(node: &mut NodeFile, id: &FieldId, value: &str) -> Result<(), String> {
    let value = value.trim();
    let some = || (!value.is_empty()).then(|| value.to_owned());
    match id {
        FieldId::Name => {
            name(value)?;
            value.clone_into(&mut node.node);
        }
        FieldId::Domain => {
            if !value.is_empty() {
                value.split('.').try_for_each(name)?;
            }
            node.domain = some();
        }
        FieldId::Carrier(_) | FieldId::BmcMode | FieldId::Shell => {}
        FieldId::Vlan(name) => draft::set_vlan(node, name, vlan(value)?),
        FieldId::Address(name) => {
            let network = find(node, name)?;
            if value.eq_ignore_ascii_case("dhcp") {
                (network.dhcp, network.gateway) = (true, None);
                network.addresses.clear();
            } else {
                let addresses: Vec<String> = value.split_whitespace().map(str::to_owned).collect();
                if addresses.is_empty() {
                    return Err(text::ADDRESS_OR_DHCP.to_owned());
                }
                addresses.iter().try_for_each(|address| cidr(address))?;
                (network.dhcp, network.addresses) = (false, addresses);
            }
        }
        FieldId::Gateway(name) => {
            let network = find(node, name)?;
            if !value.is_empty() {
                let gateway = address(value)?;
                let near = network
                    .addresses
                    .iter()
                    .filter_map(|address| Cidr::parse(address))
                    .any(|cidr| cidr.contains(gateway));
                if network.dhcp {
                    return Err(text::GATEWAY_BY_DHCP.to_owned());
                }
                if !near {
                    return Err(text::GATEWAY_FAR.to_owned());
                }
            }
            network.gateway = some();
        }
        FieldId::Mtu(name) => {
            let mtu = match value {
                "" => None,
                value => Some(
                    value
                        .parse::<u32>()
                        .ok()
                        .filter(|mtu| (1280..=9216).contains(mtu))
                        .ok_or_else(|| text::MTU_RANGE.to_owned())?,
                ),
            };
            find(node, name)?.mtu = mtu;
        }
        FieldId::Dns => node.dns = addresses(value)?,
        FieldId::Ntp => {
            node.ntp = value.split_whitespace().map(str::to_owned).collect();
            for server in &node.ntp {
                if server.parse::<IpAddr>().is_err() {
                    server.split('.').try_for_each(self::name)?;
                }
            }
        }
        FieldId::BmcAddress => {
            if !value.is_empty() {
                cidr(value)?;
            }
            set_bmc(node, |bmc| bmc.address = some());
        }
        FieldId::BmcGateway => {
            if !value.is_empty() {
                address(value)?;
            }
            set_bmc(node, |bmc| bmc.gateway = some());
        }
        FieldId::BmcVlan => {
            let vlan = vlan(value)?;
            set_bmc(node, |bmc| bmc.vlan = vlan);
        }
        FieldId::BmcUser => {
            if value.len() > 16 || value.chars().any(char::is_whitespace) {
                return Err(text::BMC_USER_LENGTH.to_owned());
            }
            set_bmc(node, |bmc| bmc.user = some());
        }
        FieldId::User => {
            let good = value
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_');
            if !good || value == "root" || value.starts_with(|c: char| !c.is_ascii_lowercase()) {
                return Err(text::USER_FORM.to_owned());
            }
            node.access.user = some();
        }
        FieldId::Key(index) => {
            let keys = &mut node.access.ssh_keys;
            if value.is_empty() {
                if *index < keys.len() {
                    keys.remove(*index);
                }
                return Ok(());
            }
            let kind = value.split_whitespace().next().unwrap_or_default();
            let known = ["ssh-", "ecdsa-", "sk-"]
                .iter()
                .any(|start| kind.starts_with(start));
            if !known || value.split_whitespace().count() < 2 {
                return Err(text::SSH_KEY_FORM.to_owned());
            }
            replace(keys, *index, value.to_owned());
        }
        FieldId::Peer(index) => {
            if value.is_empty() {
                if *index < node.hosts.len() {
                    node.hosts.remove(*index);
                }
                return Ok(());
            }
            let host = peer(value)?;
            let twice = node
                .hosts
                .iter()
                .enumerate()
                .any(|(other, known)| other != *index && known.name == host.name);
            if twice {
                return Err(text::peer_twice(&host.name));
            }
            replace(&mut node.hosts, *index, host);
        }
        FieldId::Waiver(finding) => {
            node.waivers.retain(|waiver| waiver.finding != *finding);
            if value.is_empty() {
                return Ok(());
            }
            if value.chars().count() < 3 {
                return Err(text::REASON_SHORT.to_owned());
            }
            node.waivers.push(roles::node::Waiver {
                finding: finding.clone(),
                reason: value.to_owned(),
            });
        }
    }
    Ok(())
}

fn replace<T>(list: &mut Vec<T>, index: usize, value: T) {
    match list.get_mut(index) {
        Some(place) => *place = value,
        None => list.push(value),
    }
}

fn find<'a>(node: &'a mut NodeFile, name: &str) -> Result<&'a mut Network, String> {
    node.networks
        .iter_mut()
        .find(|network| network.name == name)
        .ok_or_else(|| text::no_network(name))
}

fn set_bmc(node: &mut NodeFile, change: impl FnOnce(&mut BmcSettings)) {
    let mut settings = node.bmc.take().unwrap_or_default();
    change(&mut settings);
    node.bmc = (settings != BmcSettings::default()).then_some(settings);
}

/// Which port of the board the management controller uses.
pub fn set_bmc_mode(node: &mut NodeFile, mode: Option<String>) {
    set_bmc(node, |bmc| bmc.mode = mode);
}

/// RFC 1123, section 2.1: letters, digits and hyphens, 63 at most.
fn name(text: &str) -> Result<(), String> {
    let good = !text.is_empty()
        && text.len() <= 63
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && !text.starts_with('-')
        && !text.ends_with('-');
    if good {
        Ok(())
    } else {
        Err(text::NAME_FORM.to_owned())
    }
}

fn cidr(value: &str) -> Result<(), String> {
    match Cidr::parse(value) {
        Some(_) if value.contains('/') => Ok(()),
        _ => Err(text::CIDR_FORM.to_owned()),
    }
}

fn address(value: &str) -> Result<IpAddr, String> {
    value.parse().map_err(|_| text::ADDRESS_FORM.to_owned())
}

fn addresses(value: &str) -> Result<Vec<String>, String> {
    value
        .split_whitespace()
        .map(|word| address(word).map(|_| word.to_owned()))
        .collect()
}

fn vlan(value: &str) -> Result<Option<u16>, String> {
    if value.is_empty() {
        return Ok(None);
    }
    value
        .parse()
        .ok()
        .filter(|vlan| (1..=4094).contains(vlan))
        .map(Some)
        .ok_or_else(|| text::VLAN_RANGE.to_owned())
}

fn peer(value: &str) -> Result<Host, String> {
    let mut words = value.split_whitespace();
    let host_name = words.next().unwrap_or_default();
    name(host_name)?;
    let mut host = Host {
        name: host_name.to_owned(),
        role: None,
        addresses: BTreeMap::new(),
    };
    for word in words {
        match word.split_once('=') {
            Some((network, value)) => {
                address(value)?;
                host.addresses.insert(network.to_owned(), value.to_owned());
            }
            None if host.role.is_none() && host.addresses.is_empty() => {
                host.role = Some(word.to_owned());
            }
            None => return Err(text::PEER_FORM.to_owned()),
        }
    }
    if host.addresses.is_empty() {
        return Err(text::PEER_FORM.to_owned());
    }
    Ok(host)
}
