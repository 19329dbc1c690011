//! What several rules ask of a site, gathered once: lookups are maps, so that a thousand machines cost no more than
//! a thousand times one.

use std::{collections::BTreeMap, net::IpAddr};

use crate::{
    address::Cidr,
    selector::parse_size,
    site::{
        Site, duration,
        model::{Setup, SiteNetwork, SiteNode, Vip},
        sizing::{self, Row},
    },
};

/// A site with its indexes.
pub(crate) struct Facts<'a> {
    pub(crate) site: &'a Site,
    /// Number in the file by name; of several with one name the first.
    nodes: BTreeMap<&'a str, usize>,
    roles: BTreeMap<&'a str, Vec<usize>>,
    networks: BTreeMap<&'a str, Vec<usize>>,
    /// The row of the sizing table for the number of users.
    pub(crate) row: &'static Row,
}

impl<'a> Facts<'a> {
    pub(crate) fn new(site: &'a Site) -> Self {
        let mut nodes = BTreeMap::new();
        let mut roles: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, node) in site.nodes.iter().enumerate() {
            nodes.entry(node.name.as_str()).or_insert(index);
            roles.entry(&node.role).or_default().push(index);
        }
        let mut networks: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, network) in site.networks.iter().enumerate() {
            networks.entry(&network.name).or_default().push(index);
        }
        Self {
            site,
            nodes,
            roles,
            networks,
            row: sizing::row(site.users),
        }
    }

    /// A machine and its number in the file.
    pub(crate) fn node(&self, name: &str) -> Option<(usize, &'a SiteNode)> {
        let index = *self.nodes.get(name)?;
        Some((index, self.site.nodes.get(index)?))
    }

    /// Machines of a role with their numbers, in order of the file.
    pub(crate) fn of(&self, role: &str) -> Vec<(usize, &'a SiteNode)> {
        self.roles
            .get(role)
            .into_iter()
            .flatten()
            .filter_map(|index| Some((*index, self.site.nodes.get(*index)?)))
            .collect()
    }

    pub(crate) fn count(&self, role: &str) -> usize {
        self.roles.get(role).map_or(0, Vec::len)
    }

    /// All networks of this name.
    pub(crate) fn networks(&self, name: &str) -> impl Iterator<Item = (usize, &'a SiteNetwork)> {
        self.networks
            .get(name)
            .into_iter()
            .flatten()
            .filter_map(|index| Some((*index, self.site.networks.get(*index)?)))
    }

    /// The network of this name at a place.
    pub(crate) fn network(
        &self,
        name: &str,
        place: Option<&str>,
    ) -> Option<(usize, &'a SiteNetwork)> {
        self.networks(name).find(|(_, network)| {
            network.site.is_none() || place.is_none() || network.site.as_deref() == place
        })
    }

    /// Two production servers on one mail store.
    pub(crate) fn shares_mail(&self) -> bool {
        self.site.setup != Setup::Standard
    }

    /// Machines that may hold a moving address, with their numbers.
    pub(crate) fn candidates(&self, vip: &Vip) -> Vec<(usize, &'a SiteNode)> {
        if !vip.candidates.is_empty() {
            return vip
                .candidates
                .iter()
                .filter_map(|name| self.node(name))
                .collect();
        }
        let mut nodes = self.of(vip.name.role(self.site.setup));
        nodes.retain(|(_, node)| vip.site.is_none() || node.site == vip.site);
        nodes
    }
}

/// The address, if it is one.
pub(crate) fn ip(text: &str) -> Option<IpAddr> {
    text.parse().ok()
}

/// Does the network hold the address?
pub(crate) fn holds(network: &SiteNetwork, address: IpAddr) -> bool {
    [Some(&network.subnet), network.subnet6.as_ref()]
        .into_iter()
        .flatten()
        .filter_map(|subnet| Cidr::parse(subnet))
        .any(|subnet| subnet.contains(address))
}

/// Bytes of a size that may be absent or wrong.
pub(crate) fn bytes(text: Option<&String>) -> Option<u64> {
    parse_size(text?).ok()
}

/// Milliseconds of a time that may be absent or wrong.
pub(crate) fn millis(text: Option<&String>) -> Option<u64> {
    duration::parse(text?)
}
