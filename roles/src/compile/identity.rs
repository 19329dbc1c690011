//! Numbers that must differ between machines or addresses, chosen where the site file says none. Each comes from what it
//! belongs to and from nothing else, so that a machine that is added, removed or renamed changes no other's number.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use sha2::{Digest, Sha256};

use crate::site::{
    Site,
    model::{SiteNode, Vip},
};

/// Chosen numbers of a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identities {
    /// VRRP id of each virtual address, in the order of the site file.
    pub virtual_router_ids: Vec<u8>,
    /// Production machines: id at the start of message file names, by machine.
    pub mail_ids: BTreeMap<String, String>,
}

/// Chooses them. Linear in the number of machines.
#[must_use]
pub fn choose(site: &Site) -> Identities {
    Identities {
        virtual_router_ids: virtual_router_ids(site),
        mail_ids: mail_ids(site),
    }
}

/// A number that is the same on every machine and in every year: the first eight bytes of a digest.
fn stable_number(parts: &[&str]) -> u64 {
    let digest = Sha256::digest(parts.join("\0"));
    digest
        .iter()
        .take(8)
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// 1 to 255 (RFC 9568, 5.2.3), no two alike in one network. The cluster's name is part of the choice: two clusters in one
/// network then rarely choose the same.
fn virtual_router_ids(site: &Site) -> Vec<u8> {
    let said = |vip: &Vip| vip.virtual_router_id.and_then(|id| u8::try_from(id).ok());
    let mut taken: BTreeSet<(&str, u8)> = site
        .vips
        .iter()
        .filter_map(|vip| Some((vip.network.as_str(), said(vip)?)))
        .collect();
    let mut order: Vec<usize> = (0..site.vips.len()).collect();
    // Not the order of the file: moving an entry must not change its number.
    order.sort_by_key(|index| {
        let vip = &site.vips[*index];
        (vip.network.clone(), vip.site.clone(), vip.name)
    });
    let mut chosen = vec![0; site.vips.len()];
    for index in order {
        let vip = &site.vips[index];
        chosen[index] = match said(vip) {
            Some(id) => id,
            None => {
                let place = vip.site.as_deref().unwrap_or_default();
                let start = stable_number(&[&site.name, &vip.network, place, vip.name.word()]);
                let id = (0..255)
                    .map(|step| u8::try_from((start.wrapping_add(step)) % 255).unwrap_or(0) + 1)
                    .find(|id| !taken.contains(&(vip.network.as_str(), *id)))
                    .unwrap_or(0);
                taken.insert((vip.network.as_str(), id));
                id
            }
        };
    }
    chosen
}

/// The address that a machine's numbers come from: it is unique, and stays when the machine is renamed.
pub(super) fn address_of(node: &SiteNode) -> Option<IpAddr> {
    ["cluster", "mgmt", "storage", "public"]
        .iter()
        .find_map(|network| node.addresses.get(*network))
        .or_else(|| node.addresses.values().next())
        .and_then(|text| text.parse().ok())
}

/// An address as a number of 32 bits: MariaDB's `server_id` and `gtid_domain_id` have that room, so two machines never share
/// one. Never 0, which switches replication off.
pub(super) fn number_of(node: &SiteNode) -> u32 {
    match address_of(node) {
        Some(IpAddr::V4(address)) => u32::from(address).max(1),
        Some(IpAddr::V6(address)) => folded(&address.to_string()),
        None => folded(&node.name),
    }
}

fn folded(text: &str) -> u32 {
    u32::try_from(stable_number(&[text]) >> 32)
        .unwrap_or(1)
        .max(1)
}

/// Two characters of `0-9a-z` from the address. Should two fall together (more than 1296 addresses apart, or two places), the
/// higher address moves on; `mail_id` in the site file pins it.
fn mail_ids(site: &Site) -> BTreeMap<String, String> {
    let mut nodes: Vec<&SiteNode> = site
        .nodes
        .iter()
        .filter(|node| matches!(node.role.as_str(), "production" | "standalone"))
        .collect();
    nodes.sort_by_key(|node| address_of(node));
    let mut taken: BTreeSet<String> = nodes
        .iter()
        .filter_map(|node| node.mail_id.clone())
        .collect();
    let mut ids = BTreeMap::new();
    for node in nodes {
        let id = node.mail_id.clone().or_else(|| {
            let start = number_of(node) % ROOM;
            (0..ROOM)
                .map(|step| two_characters((start + step) % ROOM))
                .find(|id| !taken.contains(id))
        });
        if let Some(id) = id {
            taken.insert(id.clone());
            ids.insert(node.name.clone(), id);
        }
    }
    ids
}

const ROOM: u32 = 36 * 36;

fn two_characters(number: u32) -> String {
    [number / 36, number % 36]
        .iter()
        .filter_map(|digit| char::from_digit(*digit, 36))
        .collect()
}
