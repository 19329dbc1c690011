//! What the depot shows of a rack: one value, which the board on a terminal, the web page, the JSON document and the figures
//! for Prometheus are all drawn from. No secret ever gets into it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A rack, or several, at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rack {
    /// Cluster's name in the site file.
    pub cluster: String,
    /// Of this service: grows with each change, so that a reader knows whether it has seen this one.
    pub revision: u64,
    /// Seconds since 1970, when this was made.
    pub now: u64,
    /// Machines of the site file, in its order.
    pub machines: Vec<Machine>,
    /// Machines that said hello and are none of them, or were not approved yet.
    pub strangers: Vec<Stranger>,
}

/// One machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Host name.
    pub node: String,
    /// Role.
    pub role: String,
    /// Where it hangs.
    pub place: Option<Place>,
    /// Serial number of the board, as the site file or an approval says it.
    pub board: Option<String>,
    /// Where it stands.
    pub phase: Phase,
    /// The permit that was armed last.
    pub permit: Option<Permit>,
    /// Step that runs, while it installs.
    pub step: Option<Step>,
    /// Last line, for people.
    pub line: Option<String>,
    /// What it warned of in this install.
    pub warnings: Vec<String>,
    /// Seconds since 1970, when it was last heard.
    pub heard: Option<u64>,
    /// Reports and failure bundles that are kept, newest first.
    pub reports: Vec<Report>,
    /// Of its status, by check: what does not hold.
    pub unwell: BTreeMap<String, String>,
}

/// Where a machine hangs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Rack's name.
    pub rack: String,
    /// Lowest unit, from 1.
    pub unit: u16,
    /// Units it takes.
    pub height: u16,
}

/// Where a machine stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// It has no permit; its menu boots the local disk.
    #[default]
    New,
    /// It may be installed once.
    Armed,
    /// Its permit is spent, its disks are being written.
    Installing,
    /// All steps ended well; it was not seen healthy yet.
    Installed,
    /// Its role's services were seen to work.
    Healthy,
    /// Its install ended otherwise.
    Failed,
    /// Said by a later version.
    #[serde(other)]
    Unknown,
}

/// A permit, without what makes it one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permit {
    /// Name, as the machine's own record has it.
    pub id: String,
    /// Data disks keep what is on them.
    pub keep_data: bool,
    /// Seconds since 1970, when it ends.
    pub expires: u64,
    /// Seconds since 1970, when it was spent.
    pub spent: Option<u64>,
}

/// A step that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// From 1.
    pub number: u32,
    /// How many there are.
    pub of: u32,
    /// Title.
    pub title: String,
    /// Of the whole install, 0 to 100.
    pub percent: u8,
}

/// A report that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Name below `/reports/<node>/`.
    pub name: String,
    /// Seconds since 1970.
    pub at: u64,
    /// One line.
    pub summary: String,
    /// The install failed, or the machine was not healthy.
    pub failed: bool,
    /// Bytes.
    pub size: u64,
}

/// A machine that said hello and was told nothing yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stranger {
    /// SHA-256 of the key that it made at this boot, in groups as its own screen shows it.
    pub fingerprint: String,
    /// Serial number of the board.
    pub board: Option<String>,
    /// Its network addresses.
    pub addresses: Vec<String>,
    /// Where it called from.
    pub from: String,
    /// Node that it may be by the site file.
    pub guess: Option<String>,
    /// Seconds since 1970, when it was last heard.
    pub heard: u64,
}
