//! Virtual addresses: who may hold which, and how keepalived of each candidate is told.

use toml::{Table, Value};

use crate::site::{
    Site,
    model::{Proxy, SiteNode, Vip, VipName},
};

use super::wires::with_prefix;

/// A virtual address with everything chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedVip<'a> {
    /// As described.
    pub vip: &'a Vip,
    /// Name in `/etc/hosts`: never that of a machine.
    pub host: String,
    /// VRRP id.
    pub virtual_router_id: u8,
    /// Machines that may hold it, first one first.
    pub candidates: Vec<&'a SiteNode>,
}

/// All virtual addresses in the file's order.
pub(super) fn plan<'a>(site: &'a Site, ids: &[u8]) -> Vec<PlannedVip<'a>> {
    site.vips
        .iter()
        .zip(ids)
        .map(|(vip, id)| PlannedVip {
            vip,
            host: host_name(site, vip),
            virtual_router_id: *id,
            candidates: candidates(site, vip),
        })
        .collect()
}

fn host_name(site: &Site, vip: &Vip) -> String {
    let twins = site
        .vips
        .iter()
        .filter(|other| other.name == vip.name)
        .count();
    let mut name = format!("{}-vip", vip.name.word());
    if twins > 1 {
        name.push('-');
        name.push_str(vip.site.as_deref().unwrap_or(&vip.network));
    }
    // A machine may be called anything.
    while site.nodes.iter().any(|node| node.name == name) {
        name.push_str("-address");
    }
    name
}

fn candidates<'a>(site: &'a Site, vip: &Vip) -> Vec<&'a SiteNode> {
    if !vip.candidates.is_empty() {
        return vip
            .candidates
            .iter()
            .filter_map(|name| site.nodes.iter().find(|node| node.name == *name))
            .collect();
    }
    site.nodes_of(vip.name.role(site.setup))
        .into_iter()
        .filter(|node| vip.site.is_none() || node.site == vip.site)
        .filter(|node| node.addresses.contains_key(&vip.network))
        .collect()
}

impl PlannedVip<'_> {
    /// VRRP priority of a candidate: 150, 140, ... so that there is room between them, and never 255, which is the owner's
    /// (RFC 9568, 5.2.4).
    fn priority(&self, node: &SiteNode) -> i64 {
        let rank = self
            .candidates
            .iter()
            .position(|candidate| candidate.name == node.name)
            .unwrap_or(self.candidates.len());
        (150 - 10 * i64::try_from(rank).unwrap_or(14)).max(1)
    }

    /// May this machine hold it?
    #[must_use]
    pub fn is_candidate(&self, node: &SiteNode) -> bool {
        self.candidates
            .iter()
            .any(|candidate| candidate.name == node.name)
    }

    /// As keepalived's template takes it.
    fn value(&self, site: &Site, node: &SiteNode) -> Option<Value> {
        let network = site.network_of(&self.vip.network, self.vip.site.as_deref())?;
        let subnet = if self.vip.address.contains(':') {
            network.subnet6.as_ref()?
        } else {
            &network.subnet
        };
        let mut table = Table::new();
        let mut put = |key: &str, value: Value| table.insert(key.to_owned(), value);
        put("name", self.vip.name.word().into());
        put("network", self.vip.network.as_str().into());
        put("address", with_prefix(&self.vip.address, subnet)?.into());
        put("router_id", i64::from(self.virtual_router_id).into());
        put("priority", self.priority(node).into());
        let own = node.addresses.get(&self.vip.network);
        if let Some(own) = own {
            put("source", own.as_str().into());
        }
        let peers: Vec<Value> = self
            .candidates
            .iter()
            .filter(|candidate| candidate.name != node.name)
            .filter_map(|candidate| candidate.addresses.get(&self.vip.network))
            .map(|address| address.as_str().into())
            .collect();
        // The owner was told by rule E15, and waived it: the machine is not to complain for ever.
        if peers.is_empty() && site.waivers.iter().any(|waiver| waiver.rule == "E15") {
            put("alone", true.into());
        }
        put("peers", peers.into());
        Some(table.into())
    }
}

/// Values of `settings.vips` for one machine: the addresses that it may hold.
pub(super) fn values(site: &Site, vips: &[PlannedVip<'_>], node: &SiteNode) -> Vec<Value> {
    vips.iter()
        .filter(|vip| vip.is_candidate(node))
        .filter_map(|vip| vip.value(site, node))
        .collect()
}

/// Where programs find the databases: a virtual address, else the first database itself.
pub(super) fn database_address(
    site: &Site,
    vips: &[PlannedVip<'_>],
    node: &SiteNode,
) -> Option<String> {
    let near = |vip: &&PlannedVip<'_>| vip.vip.site.is_none() || vip.vip.site == node.site;
    vips.iter()
        .filter(|vip| vip.vip.name == VipName::Database)
        .find(near)
        .map(|vip| vip.vip.address.clone())
        .or_else(|| {
            ["galera", "database"]
                .iter()
                .flat_map(|role| site.nodes_of(role))
                .find_map(|database| {
                    let network = ["cluster", "mgmt", "public"].into_iter().find(|name| {
                        database.addresses.contains_key(*name) && node.addresses.contains_key(*name)
                    })?;
                    database.addresses.get(network).cloned()
                })
        })
}

/// Word of the proxy in front of the databases.
pub(super) const fn proxy_word(proxy: Proxy) -> &'static str {
    match proxy {
        Proxy::Haproxy => "haproxy",
        Proxy::Proxysql => "proxysql",
        Proxy::Maxscale => "maxscale",
    }
}
