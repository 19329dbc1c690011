//! The site file: the whole cluster as its owner describes it. Types only; [`super::schema`] knows the keys, and
//! [`super::rules`] what is allowed between them.

use serde::{Deserialize, Serialize};

use crate::node::{Access, Console};

pub use super::machine::{
    BmcMode, BondMode, Hardware, Link, LinkPort, Router, RouterModel, SiteBmc, SiteNode, Switch,
    SwitchModel, SwitchPort, WireguardPeer,
};
pub use super::payload::{Payload, PayloadKind};

pub use super::options::{
    Delivery, Mail, NfsTransport, Options, Proxy, Replication, ServiceGroups, Sessions, StorageKind,
};

/// One site file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Site {
    /// Format of this file, `1`.
    pub format: u32,
    /// Cluster name, RFC 1123 label.
    pub name: String,
    /// DNS domain of the machines.
    pub domain: String,
    /// Which of the reference's setups.
    pub setup: Setup,
    /// Mail users.
    pub users: u64,
    /// Size of one mailbox, such as `2 GB`; absent: capacity is not judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<String>,
    /// Choices between programs and ways.
    #[serde(default)]
    pub options: Options,
    /// Who may log in, on every machine.
    #[serde(default)]
    pub access: Access,
    /// What the consoles allow, on every machine.
    #[serde(default, skip_serializing_if = "Console::is_default")]
    pub console: Console,
    /// Time servers outside the cluster.
    #[serde(default)]
    pub time: Servers,
    /// Name servers outside the cluster.
    #[serde(default)]
    pub dns: Servers,
    /// Ports of the firewall that are a choice.
    #[serde(default)]
    pub ports: Ports,
    /// Places; empty: one without a name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sites: Vec<Place>,
    /// Networks.
    #[serde(default)]
    pub networks: Vec<SiteNetwork>,
    /// Addresses that move between machines.
    #[serde(default)]
    pub vips: Vec<Vip>,
    /// Machines.
    #[serde(default)]
    pub nodes: Vec<SiteNode>,
    /// MariaDB, in every setup.
    #[serde(default)]
    pub database: Database,
    /// What only a Galera cluster has.
    #[serde(default)]
    pub galera: Galera,
    /// Who takes over, and how it is made safe.
    #[serde(default)]
    pub failover: Failover,
    /// Shared storage.
    #[serde(default)]
    pub storage: SharedStorage,
    /// Third-party software that the owner supplies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub payloads: Vec<Payload>,
    /// Switches; two of one virtual chassis are two entries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub switches: Vec<Switch>,
    /// Router and management module.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub router: Option<Router>,
    /// Rules that are broken on purpose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waivers: Vec<RuleWaiver>,
}

/// The setups of the reference architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Setup {
    /// One to three machines, nothing twice.
    Standard,
    /// Active and passive, databases replicated.
    Failover,
    /// Active and passive, Galera.
    Ha,
    /// `ha` with control servers, a backup storage and any number of production servers.
    Cluster,
}

impl Setup {
    /// In the order of the reference.
    pub const ALL: [Self; 4] = [Self::Standard, Self::Failover, Self::Ha, Self::Cluster];

    /// As the site file writes it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Failover => "failover",
            Self::Ha => "ha",
            Self::Cluster => "cluster",
        }
    }

    /// Its databases are a Galera cluster.
    #[must_use]
    pub const fn has_galera(self) -> bool {
        matches!(self, Self::Ha | Self::Cluster)
    }
}

/// Servers outside the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Servers {
    /// Addresses; for time names too.
    pub servers: Vec<String>,
}

/// Ports of the firewall that are a choice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ports {
    /// Services of the port table opened to the internet although they are kept inside by default.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expose: Vec<Exposed>,
    /// FTP is offered; absent: it is, as in the reference's port table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ftp: Option<bool>,
    /// Ports of passive FTP, such as `30000-30255`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ftp_passive: Option<String>,
    /// UDP ports of SIP streams; `10000-10255` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sip_streams: Option<String>,
    /// Ports that outgoing connections come from on production servers; `32768-60999` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ephemeral: Option<String>,
}

/// A service that is kept inside by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exposed {
    /// 3306.
    Mysql,
    /// 161.
    Snmp,
    /// 389 and 636.
    Ldap,
    /// 53.
    Dns,
    /// 1080.
    Socks,
    /// 13.
    Daytime,
    /// 4069 and 4070.
    Minger,
}

/// A place with machines of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// RFC 1123 label.
    pub name: String,
    /// Goes on alone when the line between the places is cut.
    #[serde(default)]
    pub preferred: bool,
}

/// A network of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteNetwork {
    /// `mgmt`, `public`, `cluster`, `storage`; unique within its place.
    pub name: String,
    /// VLAN id; absent: untagged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    /// IPv4 network, `10.77.10.0/24`.
    pub subnet: String,
    /// IPv6 network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnet6: Option<String>,
    /// Default gateway in `subnet`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// Default gateway in `subnet6`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway6: Option<String>,
    /// Bytes; 1500 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Megabits per second; the reference's if absent (mgmt 1000, else 10000 where the switches are).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<u32>,
    /// Name of its place; absent: every place has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
}

/// An address that moves between machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vip {
    /// What answers there.
    pub name: VipName,
    /// Network it lies in.
    pub network: String,
    /// Address without prefix length.
    pub address: String,
    /// VRRP id; absent: chosen when compiled, always the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub virtual_router_id: Option<u32>,
    /// Machines that may hold it, first one first; empty: all of the role that serves it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<String>,
    /// Name of its place; absent: the only one, or every one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
}

/// What answers at a moving address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VipName {
    /// Mail and web, on the load balancers.
    Mail,
    /// MariaDB: on the load balancers, or (failover) on the databases.
    Database,
    /// NFS, on the storage servers.
    Storage,
    /// Depot, on the control servers.
    Control,
    /// Default gateway of the production servers when `delivery = "nat"`, on the load balancers.
    Gateway,
}

impl VipName {
    /// As the site file writes it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Database => "database",
            Self::Storage => "storage",
            Self::Control => "control",
            Self::Gateway => "gateway",
        }
    }

    /// Role of the machines that may hold it.
    #[must_use]
    pub const fn role(self, setup: Setup) -> &'static str {
        match (self, setup) {
            (Self::Database, Setup::Failover | Setup::Standard) => "database",
            (Self::Mail | Self::Database | Self::Gateway, _) => "lb",
            (Self::Storage, _) => "storage",
            (Self::Control, _) => "control",
        }
    }
}

/// MariaDB, in every setup.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Database {
    /// InnoDB buffer pool, such as `40 GiB`; absent: by the memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buffer_pool: Option<String>,
    /// Connections at most; 500 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u32>,
    /// `innodb_flush_log_at_trx_commit`; 1 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flush_log: Option<u32>,
    /// Databases that take writes at a time; 1 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_writers: Option<u32>,
    /// Database for disaster recovery: a `database` node that follows the Galera cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replica: Option<String>,
}

/// What only a Galera cluster has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Galera {
    /// The one node that may make the cluster, once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<String>,
    /// Node that runs the arbitrator `garbd`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub garbd: Option<String>,
    /// Place of the arbitrator; absent: the place of its node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub garbd_site: Option<String>,
    /// `wsrep_gtid_domain_id`; 77 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gtid_domain: Option<u32>,
    /// Order in which nodes become the writer; empty: by priority.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub writers: Vec<String>,
    /// `gcache.size`, such as `2 GiB` (the default).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gcache: Option<String>,
    /// `evs.suspect_timeout`; `2 s`, with several places `5 s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspect_timeout: Option<String>,
    /// `evs.inactive_timeout`; `6 s`, with several places `15 s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inactive_timeout: Option<String>,
    /// `evs.keepalive_period`; `500 ms`, with several places `1 s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keepalive: Option<String>,
}

/// Who takes over, and how it is made safe.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Failover {
    /// Of a replicated database.
    pub database: Takeover,
    /// Of a replicated storage.
    pub storage: Takeover,
    /// How the other machine is made sure to be off.
    pub fence: Fence,
    /// Third machine that must agree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub witness: Option<String>,
}

/// Who decides that the other one takes over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Takeover {
    /// A person.
    #[default]
    Manual,
    /// The machines.
    Automatic,
}

/// How the other machine is made sure to be off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fence {
    /// Not at all.
    #[default]
    None,
    /// Power off by its board management, and read back.
    Ipmi,
}

/// Shared storage.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SharedStorage {
    /// Storage node that holds the live data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Nodes that receive its snapshots.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sinks: Vec<String>,
    /// Folder that is exported; `/var/srv/export` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub export: Option<String>,
    /// The same number on every storage node; 1 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fsid: Option<u32>,
    /// Where production mounts it; `/var/srv/mail` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mount: Option<String>,
    /// NFS mount options, comma-separated; absent: ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mount_options: Option<String>,
    /// External NFS server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// WWN of the external LUN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lun: Option<String>,
    /// Usable size of external storage, such as `60 TB`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<String>,
    /// Folders of the mail program.
    pub paths: MailPaths,
}

/// Folders of the mail program. Absent: below the mount, `temp` on local disks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MailPaths {
    /// Messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mail: Option<String>,
    /// Configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// Spam filter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spam: Option<String>,
    /// Groupware.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calendar: Option<String>,
    /// Logs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logs: Option<String>,
    /// Temporary files: each server its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temp: Option<String>,
}

/// A rule that is broken on purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleWaiver {
    /// Rule id.
    pub rule: String,
    /// Why; goes into reports.
    pub reason: String,
}

impl Site {
    /// Databases in a Galera cluster: by the setup, or because somebody wrote such a machine.
    #[must_use]
    pub fn has_galera(&self) -> bool {
        self.setup.has_galera() || self.nodes.iter().any(|node| node.role == "galera")
    }

    /// The network of this name at a place: its own, or the one that every place has.
    #[must_use]
    pub fn network_of(&self, name: &str, place: Option<&str>) -> Option<&SiteNetwork> {
        self.networks.iter().find(|network| {
            network.name == name
                && (network.site.is_none() || place.is_none() || network.site.as_deref() == place)
        })
    }

    /// Machines of a role, first candidate first.
    #[must_use]
    pub fn nodes_of(&self, role: &str) -> Vec<&SiteNode> {
        let mut nodes: Vec<&SiteNode> =
            self.nodes.iter().filter(|node| node.role == role).collect();
        // Stable: without a priority the order of the file decides.
        nodes.sort_by_key(|node| node.priority.unwrap_or(u32::MAX));
        nodes
    }
}
