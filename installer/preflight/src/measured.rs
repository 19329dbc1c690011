//! What was measured: plain data, so that it can be saved, replayed and judged anywhere.

use serde::{Deserialize, Serialize};

/// Everything that was asked of the network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Measured {
    /// Physical ports of the node file.
    pub legs: Vec<Leg>,
    /// Bonds.
    pub bonds: Vec<BondState>,
    /// Networks.
    pub networks: Vec<NetworkState>,
    /// Own addresses, and who else has them.
    pub addresses: Vec<AddressProbe>,
    /// Ways to gateways and peers.
    pub paths: Vec<Path>,
    /// Time servers.
    pub clocks: Vec<Clock>,
    /// Hardware clock less system clock, in seconds.
    pub hardware_clock: Option<i64>,
    /// Clock of the BMC less system clock, in seconds; absent if it was not asked.
    pub bmc_clock: Option<i64>,
    /// Peers that were left out because there are too many.
    pub not_asked: u32,
}

/// One physical port.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Leg {
    /// Name in the node file.
    pub name: String,
    /// It has a link.
    pub carrier: Option<bool>,
    /// Megabits per second of the link.
    pub speed: Option<u32>,
    /// Who is at the other end; absent: nobody listened.
    pub neighbours: Option<Vec<Neighbour>>,
}

/// A neighbour as LLDP shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct Neighbour {
    /// System name.
    pub system: Option<String>,
    /// Port id as text.
    pub port: Option<String>,
    /// Port description.
    pub description: Option<String>,
    /// Chassis id as text.
    pub chassis: Option<String>,
}

/// One bond.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BondState {
    /// Name.
    pub name: String,
    /// It exists in this boot.
    pub present: bool,
    /// LACP partner; `None` if the mode has none, zeros if nobody answers.
    pub partner: Option<String>,
    /// Its legs as the bond sees them.
    pub legs: Vec<LegState>,
    /// Legs that were pulled, in turn.
    pub pulls: Vec<Pull>,
}

/// A leg as its bond sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LegState {
    /// Name in the node file.
    pub name: String,
    /// `up` or `down` as `mii_status` says.
    pub up: bool,
    /// Aggregator id: legs that work together have the same.
    pub aggregator: Option<u32>,
}

/// One leg taken away and given back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pull {
    /// Leg.
    pub leg: String,
    /// The bond kept its link.
    pub link_kept: bool,
    /// Names that answered before.
    pub before: Vec<String>,
    /// Names among them that answered without the leg.
    pub without: Vec<String>,
    /// The leg came back.
    pub restored: bool,
}

/// One network of the node file in this boot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkState {
    /// Name.
    pub name: String,
    /// Its interface exists.
    pub present: bool,
    /// MTU of the interface in bytes.
    pub mtu: Option<u32>,
}

/// An own address that was asked for on the wire.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AddressProbe {
    /// Network.
    pub network: String,
    /// Address.
    pub address: String,
    /// MAC addresses of others that claim it.
    pub owners: Vec<String>,
    /// The kernel found it in use (IPv6).
    pub refused: bool,
    /// Why it could not be asked for.
    pub error: Option<String>,
}

/// A machine that is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct Peer {
    /// Host name, or `gateway`.
    pub name: String,
    /// Address.
    pub address: String,
}

/// The way to a peer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Path {
    /// Network.
    pub network: String,
    /// Who.
    pub peer: Peer,
    /// A small packet was answered.
    pub answers: bool,
    /// A packet of the network's MTU, not to be fragmented, was answered.
    pub full: bool,
    /// MTU that a machine on the way named, in bytes.
    pub said: Option<u32>,
}

/// A time server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Clock {
    /// Server.
    pub server: String,
    /// Its time less ours, in milliseconds.
    pub offset: Option<i64>,
    /// Why there is no offset.
    pub error: Option<String>,
}
