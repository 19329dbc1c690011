//! What role and node file say of databases, as types. The keys are those that `rackwright compile` writes.

use roles::{NodeFile, Role};
use serde::{Deserialize, de::DeserializeOwned};

/// Another machine, by name and address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Peer {
    /// Host name.
    pub name: String,
    /// Address without prefix length.
    pub address: String,
}

/// Settings of a Galera member.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Galera {
    /// Name of the cluster.
    pub cluster_name: String,
    /// Addresses of all members, the arbitrator's too.
    pub members: Vec<String>,
    /// Votes of the plan; absent: one for each member.
    pub voters: Option<usize>,
    /// The one node that may make the cluster.
    pub bootstrap: bool,
}

impl Galera {
    /// Votes of the plan.
    #[must_use]
    pub fn votes(&self) -> usize {
        self.voters.unwrap_or(self.members.len()).max(1)
    }
}

/// Settings of a database server outside Galera.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Database {
    /// `primary`, `replica` or `disaster-replica` on the first day; absent: a single server.
    pub replication_role: Option<String>,
    /// Address that a replica follows on the first day.
    pub replication_source: Option<String>,
    /// Name of the disaster replica, which is none of the pair.
    pub disaster_copy: Option<String>,
    /// Virtual addresses that this machine may hold.
    pub vips: Vec<Vip>,
    /// The servers speak TLS.
    pub tls: bool,
    /// Folder with `ca.pem`, `node.pem` and `node.key` for the daemon.
    pub identity: String,
}

/// A virtual address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Vip {
    /// `database` is the one that moves with the primary.
    pub name: String,
    /// Network.
    pub network: String,
    /// With prefix length.
    pub address: String,
}

/// Settings of a balancer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Balancer {
    /// Databases in the order in which they become the writer.
    pub databases: Vec<Peer>,
    /// Address that programs use.
    pub database_vip: Option<String>,
    /// `haproxy`, `proxysql` or `maxscale`.
    pub proxy: Option<String>,
    /// All balancers of this place, this one too.
    pub balancers: Vec<Peer>,
    /// This machine is the cluster's arbitrator.
    pub garbd: bool,
    /// MaxScale sends statements that only read to members that are not the writer.
    pub split_reads: bool,
}

/// The settings of a machine as one of the types above.
///
/// # Errors
/// A key has another type.
pub fn of<T: DeserializeOwned>(role: &Role, node: &NodeFile) -> Result<T, String> {
    role.settings_as(node).map_err(|error| error.to_string())
}

/// Machines of these roles but this one, by name, with the address at which machines of the cluster speak to each other.
#[must_use]
pub fn peers(node: &NodeFile, roles: &[&str]) -> Vec<Peer> {
    node.hosts
        .iter()
        .filter(|host| host.name != node.node)
        .filter(|host| {
            host.role
                .as_deref()
                .is_some_and(|role| roles.contains(&role))
        })
        .filter_map(|host| {
            let address = ["cluster", "mgmt"]
                .iter()
                .find_map(|network| host.addresses.get(*network))?;
            Some(Peer {
                name: host.name.clone(),
                address: address.clone(),
            })
        })
        .collect()
}

/// The other server of a pair.
#[must_use]
pub fn pair(node: &NodeFile, plan: &Database) -> Vec<Peer> {
    let mut peers = peers(node, &["database"]);
    peers.retain(|peer| plan.disaster_copy.as_ref() != Some(&peer.name));
    peers
}

/// This machine's own address on the network that [`peers`] use.
#[must_use]
pub fn own_address(node: &NodeFile) -> Option<String> {
    ["cluster", "mgmt"].iter().find_map(|name| {
        let network = node.networks.iter().find(|network| network.name == *name)?;
        let (address, _) = network.addresses.first()?.split_once('/')?;
        Some(address.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disaster_replica_is_none_of_the_pair() {
        let node: NodeFile = toml::from_str(
            "format = 1\nnode = \"db1\"\nrole = \"database\"\n\
             [[hosts]]\nname = \"db1\"\nrole = \"database\"\naddresses = { cluster = \"10.0.0.1\" }\n\
             [[hosts]]\nname = \"db2\"\nrole = \"database\"\naddresses = { cluster = \"10.0.0.2\" }\n\
             [[hosts]]\nname = \"far\"\nrole = \"database\"\naddresses = { cluster = \"10.0.9.1\" }\n",
        )
        .unwrap();
        let names = |copy: Option<&str>| -> Vec<String> {
            let plan = Database {
                disaster_copy: copy.map(str::to_owned),
                ..Database::default()
            };
            let peers = pair(&node, &plan);
            peers.into_iter().map(|peer| peer.name).collect()
        };
        assert_eq!(names(Some("far")), ["db2"]);
        assert_eq!(names(None), ["db2", "far"]);
    }
}
