//! What the node file says of storage, mail and front end, as types. The keys are those that `rackwright compile` writes.

use roles::NodeFile;
use serde::{Deserialize, Serialize};

/// Another machine, by name and address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Host name.
    pub name: String,
    /// IPv4 or IPv6 address without prefix length.
    pub address: String,
}

/// Who sends snapshots on the first day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Holds the live data.
    Source,
    /// Receives.
    Sink,
    /// No replication.
    #[default]
    None,
}

/// Settings of `storage` and `backup`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Storage {
    /// Folder that is exported.
    pub export: Option<String>,
    /// Of the first data set.
    pub fsid: Option<u32>,
    /// `syncoid`, `zrepl`, `none`; absent: no plan of a cluster.
    pub replication_engine: Option<String>,
    /// By plan; the data set's own mark counts once there is one.
    pub replication_role: Direction,
    /// Seconds between two snapshots.
    pub replication_interval: Option<u64>,
    /// Machines that receive from this one.
    pub replication_sinks: Vec<Peer>,
    /// The machine that this one receives from.
    pub replication_source: Option<Peer>,
}

/// Settings of `production` and `standalone`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Mail {
    /// `server:/path` of the mail store; absent: no NFS.
    pub mail_source: Option<String>,
    /// Where it is mounted.
    pub mail_mount: Option<String>,
    /// Mount options.
    pub mount_options: Option<String>,
    /// WWN of the LUN with the mail store, in place of NFS.
    pub lun: Option<String>,
    /// Mailboxes.
    pub vmail_root: Option<String>,
    /// Where MariaDB answers.
    pub database_address: Option<String>,
    /// `builtin` or `icewarp`.
    pub mail_engine: Option<String>,
    /// Two characters, this machine's alone.
    pub mail_id: Option<String>,
    /// Owns the configuration while all is well.
    pub master: bool,
    /// Virtual addresses that this machine answers with and never announces.
    pub loopback_addresses: Vec<String>,
    /// Clients speak TLS, and no password travels in clear.
    pub tls: bool,
    /// Key of the certificate for clients.
    pub certificate_key: Option<String>,
    /// Folders for files that are not shared.
    pub temp_root: Option<String>,
    /// Shared configuration of the mail program.
    pub config_root: Option<String>,
    /// Shared spam filter.
    pub spam_root: Option<String>,
    /// Shared groupware.
    pub calendar_root: Option<String>,
    /// Shared logs.
    pub log_root: Option<String>,
    /// Number that files of the store belong to, the same on all servers.
    pub vmail_id: Option<u32>,
    /// Where web sessions are kept; absent: on this server.
    pub session_store: Option<String>,
    /// The owner's answers for IceWarp: `KEY = value`.
    pub icewarp: crate::icewarp::settings::Answers,
    /// Names of two of its settings.
    pub icewarp_keys: crate::icewarp::settings::Keys,
}

/// A mail server behind the balancer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RealServer {
    /// Host name.
    pub name: String,
    /// Its own address, which checks go to.
    pub address: String,
    /// Two characters.
    pub id: String,
    /// All traffic goes to it while it is well.
    pub master: bool,
}

/// A virtual address that this machine may hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Vip {
    /// `mail`, `gateway`, `database`, `storage`, `control`.
    pub name: String,
    /// Network it lies in.
    pub network: String,
    /// With prefix length.
    pub address: String,
    /// VRRP id, 1 to 255.
    pub router_id: i64,
    /// VRRP priority, 1 to 254.
    pub priority: i64,
    /// Own address in that network.
    pub source: Option<String>,
    /// The other candidates.
    pub peers: Vec<String>,
    /// That there is none was accepted: rule E15 is waived in the site file.
    pub alone: bool,
}

/// Settings of `lb` that concern mail.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Front {
    /// Addresses that this machine may hold.
    pub vips: Vec<Vip>,
    /// Mail servers, first one first.
    pub mail_servers: Vec<RealServer>,
    /// `direct` or `nat`.
    pub delivery: Option<String>,
    /// All ports are one service.
    pub together: Option<bool>,
    /// `primary`, `spread`.
    pub traffic: Option<String>,
    /// Address of the store of web sessions; absent: there is none here.
    pub session_store: Option<String>,
}

/// Address of a virtual address by its name in `hosts` (`storage-vip`, and with a place behind it), for machines that are
/// no candidates for it.
#[must_use]
pub fn virtual_address<'a>(node: &'a NodeFile, name: &str) -> Option<(&'a str, &'a str)> {
    let prefix = format!("{name}-vip");
    let host = node
        .hosts
        .iter()
        .find(|host| host.role.is_none() && host.name.starts_with(&prefix))?;
    let (network, address) = host.addresses.iter().next()?;
    Some((network.as_str(), address.as_str()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use toml::Value;

    use super::*;

    #[test]
    fn defaults_lie_under_the_node_file() {
        let defaults: BTreeMap<String, Value> =
            toml::from_str("export = \"/a\"\nfsid = 1\narc_max = 0").unwrap_or_default();
        let node: NodeFile = toml::from_str(
            "format = 1\nnode = \"st1\"\nrole = \"storage\"\n[[hosts]]\nname = \"storage-vip\"\naddresses = { storage = \"10.0.0.9\" }\n\
             [settings]\nfsid = 7\nreplication_role = \"source\"\nreplication_sinks = [{ name = \"bk1\", address = \"10.0.0.2\" }]",
        )
        .unwrap_or_else(|error| panic!("{error}"));
        let storage: Storage =
            roles::role::settings(&defaults, &node).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(storage.export.as_deref(), Some("/a"));
        assert_eq!(storage.fsid, Some(7));
        assert_eq!(storage.replication_role, Direction::Source);
        assert_eq!(storage.replication_sinks[0].name, "bk1");
        assert_eq!(
            virtual_address(&node, "storage"),
            Some(("storage", "10.0.0.9"))
        );
        assert_eq!(virtual_address(&node, "mail"), None);
    }

    #[test]
    fn a_wrong_type_is_said() {
        let node: NodeFile = toml::from_str(
            "format = 1\nnode = \"st1\"\nrole = \"storage\"\n[settings]\nfsid = \"one\"",
        )
        .unwrap_or_else(|error| panic!("{error}"));
        let wrong = roles::role::settings::<Storage>(&BTreeMap::new(), &node)
            .map_err(|error| error.to_string());
        assert!(wrong.is_err_and(|text| {
            text.starts_with("`settings` of the node file: invalid type: string \"one\"")
        }));
    }
}
