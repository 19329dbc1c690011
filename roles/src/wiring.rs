//! How a machine is wired: ports, bonds, and who else is in the rack. Parts of the node file, and what follows from them
//! for the names of interfaces.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{NodeFile, node::Network};

/// Bytes of a network that names no MTU: what Ethernet has always carried (IEEE 802.3, RFC 894).
pub const ORDINARY_MTU: u32 = 1500;

/// One physical port. All conditions that are given must hold, for exactly one port of the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhysicalPort {
    /// The name that this port gets, at most 15 characters.
    pub name: String,
    /// Permanent MAC address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// PCI address: `0000:03:00.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Number of the port on its PCI function; only cards such as ConnectX-3 have another than 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dev_port: Option<u32>,
    /// Kernel driver: `ixgbe`, `mlx4_core`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// Megabits per second that the port can do at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<u32>,
    /// `ethernet`: a port that could also be InfiniBand is set to Ethernet.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Largest MTU in bytes that port, cable and switch port take; absent: no limit is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Cable plan: system name of the switch at the other end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switch: Option<String>,
    /// Cable plan: port of the switch, as LLDP tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switch_port: Option<String>,
}

/// How the ports of a bond share the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BondMode {
    /// IEEE 802.3ad link aggregation (LACP): the switch takes part.
    #[serde(rename = "802.3ad")]
    Aggregation,
    /// One port works, the other waits: the switch knows of nothing.
    #[serde(rename = "active-backup")]
    ActiveBackup,
}

impl BondMode {
    /// The word in node files and in systemd.netdev(5), which is the same.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Aggregation => "802.3ad",
            Self::ActiveBackup => "active-backup",
        }
    }
}

/// Several ports as one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bond {
    /// The name of its interface, at most 15 characters.
    pub name: String,
    /// Its ports by name; the first is preferred in `active-backup`.
    pub ports: Vec<String>,
    /// `802.3ad` or `active-backup`.
    pub mode: BondMode,
    /// 802.3ad: `fast` (default: a dead partner is noticed after 3 s) or `slow` (90 s).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lacp_rate: Option<String>,
    /// 802.3ad: which frames share a leg: `layer3+4` (default), `layer2+3`, `layer2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// 802.3ad: legs that must work for the bond to be up, 1 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_links: Option<u32>,
}

/// A route beyond the default gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Network, `10.0.0.0/8`.
    pub to: String,
    /// Neighbour that knows the way.
    pub via: String,
}

/// A machine of the rack, or a virtual address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Host name.
    pub name: String,
    /// Its role; absent for virtual addresses and foreign machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Address by network, without prefix.
    #[serde(default)]
    pub addresses: BTreeMap<String, String>,
}

/// What the board management controller is set to. Never a password: node files travel in clear.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BmcSettings {
    /// Static address with prefix; absent: left as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Its default gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// VLAN id, 1 to 4094; absent: untagged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    /// `dedicated`, `shared` or `failover`: which port of the board it uses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Name of the administrator's account, at most 16 bytes (IPMI 2.0 section 22.28).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

impl Network {
    /// Name of its interface; `None` where the kernel's name stays (a machine with one network and no condition on its
    /// port).
    #[must_use]
    pub fn interface(&self) -> Option<String> {
        match (&self.on, self.vlan, &self.mac) {
            (Some(on), None, _) => Some(on.clone()),
            (Some(_), Some(_), _) | (None, _, Some(_)) => Some(format!("{}0", self.name)),
            (None, _, None) => None,
        }
    }

    /// Bytes of its largest packet.
    #[must_use]
    pub fn mtu_bytes(&self) -> u32 {
        self.mtu.unwrap_or(ORDINARY_MTU)
    }
}

impl NodeFile {
    /// The port of this name.
    #[must_use]
    pub fn port(&self, name: &str) -> Option<&PhysicalPort> {
        self.ports.iter().find(|port| port.name == name)
    }

    /// The bond that this port is a leg of.
    #[must_use]
    pub fn bond_of(&self, port: &str) -> Option<&Bond> {
        self.bonds
            .iter()
            .find(|bond| bond.ports.iter().any(|leg| leg == port))
    }

    /// Networks on this port or bond, tagged and untagged, in the file's order.
    pub fn networks_on<'a>(&'a self, device: &'a str) -> impl Iterator<Item = &'a Network> {
        self.networks
            .iter()
            .filter(move |network| network.on.as_deref() == Some(device))
    }

    /// MTU of a port or bond: the largest of the networks on it, since a VLAN cannot carry more than what is below it.
    #[must_use]
    pub fn device_mtu(&self, device: &str) -> u32 {
        let device = self.bond_of(device).map_or(device, |bond| &bond.name);
        self.networks_on(device)
            .map(Network::mtu_bytes)
            .max()
            .unwrap_or(ORDINARY_MTU)
    }

    /// Physical ports that carry this network: one, or the legs of its bond. Empty where only a MAC address is given.
    #[must_use]
    pub fn legs(&self, network: &Network) -> Vec<&PhysicalPort> {
        let Some(on) = &network.on else {
            return Vec::new();
        };
        match self.bonds.iter().find(|bond| bond.name == *on) {
            Some(bond) => bond.ports.iter().filter_map(|leg| self.port(leg)).collect(),
            None => self.port(on).into_iter().collect(),
        }
    }
}
