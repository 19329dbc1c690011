//! The machines of a site file and what they are plugged into: nodes, links, switches, router.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{node::Waiver, role::DiskNeed};

/// One machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SiteNode {
    /// Host name, RFC 1123 label.
    pub name: String,
    /// Role name.
    pub role: String,
    /// Name of its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// Where it is mounted: `rack1:u20`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chassis: Option<String>,
    /// Virtual machine: name of its hypervisor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Power feed, such as `a` or `a+b`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feed: Option<String>,
    /// Serial number of the board: its permit is only good there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// 1: first candidate of its role; absent: by place in the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u32>,
    /// Version of the image it runs; absent: the one that is built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Network name to IPv4 address without prefix length.
    #[serde(default)]
    pub addresses: BTreeMap<String, String>,
    /// Network name to IPv6 address without prefix length.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub addresses6: BTreeMap<String, String>,
    /// Board management.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bmc: Option<SiteBmc>,
    /// What it has, where it is not the reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware: Option<Hardware>,
    /// Cables; empty: the role's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    /// Galera node: its votes (`pc.weight`), 1 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// Galera node: `gmcast.segment`; absent: by its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<u32>,
    /// Database: `server_id`; absent: 1 on every Galera node, else chosen when compiled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database_id: Option<u32>,
    /// Database: `gtid_domain_id`; absent: chosen when compiled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gtid_domain: Option<u32>,
    /// Production: id of at most two characters that begins the names of message files; absent: chosen when compiled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail_id: Option<String>,
    /// Production: works while all is well, and owns the configuration. Absent everywhere: the first one.
    #[serde(default, skip_serializing_if = "is_false")]
    pub master: bool,
    /// Overrides of the role's disk groups, as in node files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disks: Vec<DiskNeed>,
    /// Values for the role's templates, as in node files.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, toml::Value>,
    /// Hardware findings that are accepted, as in node files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waivers: Vec<Waiver>,
}

fn is_false(value: &bool) -> bool {
    !*value
}

impl SiteNode {
    /// A virtual machine, by its own words.
    #[must_use]
    pub fn is_virtual(&self) -> bool {
        self.host.is_some()
            || self
                .hardware
                .as_ref()
                .is_some_and(|hardware| hardware.is_virtual == Some(true))
    }
}

/// Board management of one machine. Never a password: those are made from the seed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteBmc {
    /// Address without prefix length, in the management network.
    pub address: String,
    /// MAC address, for the DHCP reservation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// Which port it uses; `dedicated` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<BmcMode>,
    /// Account; `rackwright` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

/// Which port board management uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BmcMode {
    /// Its own.
    Dedicated,
    /// The first one of the board.
    Shared,
    /// Its own, the board's without a link.
    Failover,
}

/// What a machine has, where it is not the reference. Absent values are the reference's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hardware {
    /// GiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Processor cores, without hyper-threading.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cores: Option<u32>,
    /// Number of disks that hold mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hdd: Option<u32>,
    /// Every size that occurs among them, such as `["8 TB"]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hdd_sizes: Vec<String>,
    /// Host bus adapters with disks that hold mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub controllers: Option<u32>,
    /// SSDs keep what they acknowledged when the power goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_loss_protection: Option<bool>,
    /// A virtual machine.
    #[serde(rename = "virtual", skip_serializing_if = "Option::is_none")]
    pub is_virtual: Option<bool>,
}

/// A bond of ports, or one port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Name of the bond; absent with one port: no bond.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bond: Option<String>,
    /// Bond mode; `802.3ad` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<BondMode>,
    /// Networks on it: one is untagged without a VLAN id, several are told apart by it.
    pub networks: Vec<String>,
    /// Bytes; the largest MTU of its networks if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Ports.
    pub ports: Vec<LinkPort>,
}

/// Bond mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BondMode {
    /// LACP: all ports carry.
    #[serde(rename = "802.3ad")]
    Lacp,
    /// One port carries.
    #[serde(rename = "active-backup")]
    ActiveBackup,
}

/// One port and its cable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LinkPort {
    /// Permanent MAC address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// PCI address, `0000:03:00.0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Number of the port among those with the same PCI address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dev_port: Option<u32>,
    /// Kernel driver, such as `mlx4_core`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// Switch at the other end of the cable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub switch: Option<String>,
    /// Port of the switch, such as `xe-0/0/0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
}

/// A switch, or one member of a virtual chassis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    /// Name, as links use it.
    pub name: String,
    /// Model.
    pub model: SwitchModel,
    /// Serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Number in the virtual chassis; absent: it is in none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<u32>,
    /// Where it is mounted: `rack1:u40`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chassis: Option<String>,
    /// Name of its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// Bytes; 9216 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// LACP is on where a link wants it; absent: it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lacp: Option<bool>,
    /// Ports whose networks are said here; others take them from the links.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<SwitchPort>,
}

/// Model of a switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SwitchModel {
    /// Juniper EX4550.
    Ex4550,
    /// Any other; we write no configuration for it.
    Other,
}

/// A port whose networks are said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchPort {
    /// Port, such as `xe-0/0/20`.
    pub port: String,
    /// Networks on it.
    pub networks: Vec<String>,
    /// What is at the other end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Router and management module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Router {
    /// Model.
    pub model: RouterModel,
    /// Its address in the management network.
    pub address: String,
    /// RouterOS version; 7 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// Port to the outside; `ether1` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wan: Option<String>,
    /// Where it is mounted: `rack1:u42`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chassis: Option<String>,
    /// First and last address for machines without a reservation, `10.77.10.200-10.77.10.250`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dhcp: Option<String>,
    /// Network of the WireGuard tunnel, with the router's address: `10.77.9.1/24`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wireguard: Option<String>,
    /// People and places that may come in by the tunnel.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<WireguardPeer>,
}

/// Model of a router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RouterModel {
    /// MikroTik RB3011.
    Rb3011,
}

/// One who may come in by the tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireguardPeer {
    /// Comment.
    pub name: String,
    /// Public key, base64.
    pub public_key: String,
    /// Its address in the tunnel, with prefix length.
    pub address: String,
}
