//! Choices of the site file between programs and ways.

use serde::{Deserialize, Serialize};

/// Choices between programs and ways.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// In front of the databases.
    pub proxy: Proxy,
    /// Between the storages.
    pub replication: Replication,
    /// Time between two snapshots that are sent, such as `1 min` (the default).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replication_interval: Option<String>,
    /// How much accepted mail the owner promised at most to lose, as time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promised_loss: Option<String>,
    /// Mail program.
    pub mail: Mail,
    /// Where mail lies.
    pub storage: StorageKind,
    /// How the load balancer hands packets on.
    pub delivery: Delivery,
    /// Which services move together.
    pub services: ServiceGroups,
    /// Where the sessions of the web interface are kept.
    pub sessions: Sessions,
    /// How the mail store is mounted by its clients.
    pub transport: NfsTransport,
}

/// In front of the databases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Proxy {
    /// From Debian.
    #[default]
    Haproxy,
    /// Supplied as payload.
    Proxysql,
    /// Supplied as payload.
    Maxscale,
}

/// Between the storages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Replication {
    /// From Debian (sanoid).
    #[default]
    Syncoid,
    /// Supplied as payload.
    Zrepl,
    /// None.
    None,
}

/// Mail program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mail {
    /// Postfix and Dovecot from Debian.
    #[default]
    Builtin,
    /// Supplied as payload.
    Icewarp,
}

/// Where mail lies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StorageKind {
    /// Our own storage servers: ZFS exported by NFS 4.
    #[default]
    Zfs,
    /// An NFS server that is not ours.
    Nfs,
    /// A LUN over Fibre Channel that is not ours.
    Fc,
}

/// How the load balancer hands packets on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Delivery {
    /// LVS direct routing: answers go past the load balancer.
    #[default]
    Direct,
    /// LVS NAT: answers come back through it.
    Nat,
}

/// Which services move together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServiceGroups {
    /// All ports are one service, by firewall mark.
    #[default]
    Together,
    /// Each port by itself.
    Apart,
}

/// Where the sessions of the web interface are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sessions {
    /// In a key-value store that all production servers share.
    #[default]
    Valkey,
    /// On each server.
    None,
}

/// How the mail store is mounted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NfsTransport {
    /// TCP.
    #[default]
    Tcp,
    /// RDMA over Converged Ethernet; needs a lossless VLAN.
    Rdma,
}
