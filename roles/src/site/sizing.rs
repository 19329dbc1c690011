//! The sizing table, as data, and the bill of materials it leads to.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::model::{Setup, Site, SiteNode};

/// One row of the table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Row {
    /// Users at most.
    pub users: u64,
    /// GiB of a production or database server.
    pub memory: u64,
    /// Processor cores of a production or database server.
    pub cores: u32,
    /// GiB of a storage server.
    pub storage_memory: u64,
    /// Disks that hold mail in a storage server.
    pub hdd: u32,
    /// Network, megabits per second.
    pub speed: u32,
    /// Roles that may be virtual.
    #[serde(rename = "virtual")]
    pub may_be_virtual: Vec<String>,
    /// Machines of the standard setup, by role.
    pub standard: Vec<String>,
}

/// What a machine of the reference hardware has.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Reference {
    /// Role.
    pub role: String,
    /// GiB.
    pub memory: u64,
    /// Processor cores.
    pub cores: u32,
    /// Disks that hold mail, at most.
    pub hdd: u32,
    /// In words.
    pub parts: String,
}

#[derive(Debug, Default, Deserialize)]
struct Table {
    rows: Vec<Row>,
    reference: Vec<Reference>,
}

/// A file of ours that a test reads: an empty table cannot come up in a program that was tested.
static TABLE: LazyLock<Table> =
    LazyLock::new(|| toml::from_str(include_str!("../../data/sizing.toml")).unwrap_or_default());

static NOTHING: Row = Row {
    users: 0,
    memory: 0,
    cores: 0,
    storage_memory: 0,
    hdd: 0,
    speed: 0,
    may_be_virtual: Vec::new(),
    standard: Vec::new(),
};

/// The rows, smallest first.
#[must_use]
pub fn rows() -> &'static [Row] {
    &TABLE.rows
}

/// The first row whose number of users is not exceeded; the last for more users than any row has.
#[must_use]
pub fn row(users: u64) -> &'static Row {
    rows()
        .iter()
        .find(|row| users <= row.users)
        .or_else(|| rows().last())
        .unwrap_or(&NOTHING)
}

/// The most users that a row has; more need the large layout.
#[must_use]
pub fn largest() -> u64 {
    rows().last().map_or(0, |row| row.users)
}

/// What the reference hardware of a role has.
#[must_use]
pub fn reference(role: &str) -> Option<&'static Reference> {
    TABLE
        .reference
        .iter()
        .find(|reference| reference.role == role)
}

/// Memory in GiB and cores of a machine: as the site file says, else the reference's; 0 if neither knows.
#[must_use]
pub fn power(node: &SiteNode) -> (u64, u32) {
    let hardware = node.hardware.clone().unwrap_or_default();
    let reference = reference(&node.role);
    let memory = reference.map(|reference| reference.memory);
    let cores = reference.map(|reference| reference.cores);
    (
        hardware.memory.or(memory).unwrap_or_default(),
        hardware.cores.or(cores).unwrap_or_default(),
    )
}

/// Bytes of memory that a database machine needs beside InnoDB's buffer pool: 2 GiB for the system, 3 MiB for a connection,
/// and Galera's ring, a mapped file that competes for the same memory.
#[must_use]
pub fn beside_the_pool(site: &Site) -> u64 {
    const MIB: u64 = 1 << 20;
    const SYSTEM: u64 = 2048 * MIB;
    const RING: u64 = 2048 * MIB;
    let connections = u64::from(site.database.max_connections.unwrap_or(500)) * 3 * MIB;
    let size = |text: &String| crate::selector::parse_size(text).ok();
    let has_ring = site.setup.has_galera() || site.nodes.iter().any(|node| node.role == "galera");
    let ring = if has_ring {
        site.galera.gcache.as_ref().and_then(size).unwrap_or(RING)
    } else {
        0
    };
    SYSTEM.saturating_add(connections).saturating_add(ring)
}

/// Least memory (GiB), cores and disks of a machine for this many users, by the table; none for roles it does not name.
#[must_use]
pub fn least(role: &str, setup: Setup, users: u64) -> Option<(u64, u32, u32)> {
    let row = row(users);
    // In the standard setup production keeps the mail on its own SSDs; the table's disks are of storage servers.
    match role {
        "production" | "standalone" | "database" | "galera" => Some((row.memory, row.cores, 0)),
        "storage" | "backup" if setup == Setup::Standard => {
            Some((row.storage_memory, row.cores, row.hdd))
        }
        "storage" | "backup" => Some((row.storage_memory, row.cores, row.hdd)),
        _ => None,
    }
}

/// One line of the bill of materials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// How many.
    pub count: u32,
    /// Role, or `switch`, `router`.
    pub what: String,
    /// May be a virtual machine.
    #[serde(rename = "virtual")]
    pub may_be_virtual: bool,
    /// May be left out.
    pub optional: bool,
    /// GiB at least; 0: the table does not say.
    pub memory: u64,
    /// Processor cores at least; 0: the table does not say.
    pub cores: u32,
    /// Disks that hold mail, at least.
    pub hdd: u32,
    /// The reference's hardware.
    pub reference: String,
    /// Why.
    pub why: String,
}

/// Machines for this many users, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bill {
    /// Setup.
    pub setup: Setup,
    /// Users.
    pub users: u64,
    /// Row of the table, by its number of users.
    pub row: u64,
    /// Network, megabits per second.
    pub speed: u32,
    /// Machines.
    pub items: Vec<Item>,
    /// What to know besides.
    pub notes: Vec<String>,
}

/// The setup to take if nobody says: high availability, in the large layout where the table ends.
#[must_use]
pub fn default_setup(users: u64) -> Setup {
    if users > largest() {
        Setup::Cluster
    } else {
        Setup::Ha
    }
}

/// The bill of materials.
#[must_use]
pub fn size(users: u64, setup: Setup) -> Bill {
    let row = row(users);
    let mut bill = Bill {
        setup,
        users,
        row: row.users,
        speed: row.speed,
        items: Vec::new(),
        notes: Vec::new(),
    };
    match setup {
        Setup::Standard => {
            for role in &row.standard {
                let why = match (role.as_str(), row.standard.len()) {
                    ("standalone", _) => "mail, database and storage on one machine",
                    ("production", 3) => "mail; the storage is another machine",
                    ("production", _) => "mail, on disks of its own",
                    ("database", _) => "the database is a machine of its own",
                    _ => "the mail store is a machine of its own",
                };
                bill.add(1, role, why);
            }
            bill.notes
                .push("nothing is there twice: every failure is an outage".to_owned());
        }
        Setup::Failover => {
            bill.add(2, "lb", "one is in use, the other takes its addresses");
            bill.add(
                2,
                "production",
                "active and passive; both on the same mail store",
            );
            bill.add(
                2,
                "database",
                "primary and replica; the replica is promoted by hand",
            );
            bill.add(2, "storage", "source and sink of the snapshots");
            bill.notes.push(
                "mail of the last replication interval is lost when the source dies".to_owned(),
            );
        }
        Setup::Ha => {
            bill.add(
                2,
                "lb",
                "one is in use, the other takes its addresses; mail and database",
            );
            bill.add(
                2,
                "production",
                "active and passive; both on the same mail store",
            );
            bill.add(3, "galera", "a majority is left when one dies");
            bill.add(2, "storage", "source and sink of the snapshots");
            bill.add(1, "backup", "a third copy that no takeover touches");
            if let Some(item) = bill.items.last_mut() {
                item.optional = true;
            }
        }
        Setup::Cluster => {
            // The table says N; per 25 000 users one more is our own reading of its last row.
            let production = u32::try_from(users.div_ceil(largest().max(1)).saturating_add(1))
                .unwrap_or(u32::MAX)
                .max(2);
            bill.add(
                2,
                "control",
                "depot, time and names; the witness of every takeover",
            );
            bill.add(
                2,
                "lb",
                "one is in use, the other takes its addresses; mail and database",
            );
            bill.add(
                production,
                "production",
                "one for each 25000 users and one in reserve",
            );
            bill.add(3, "galera", "a majority is left when one dies");
            bill.add(2, "storage", "source and sink of the snapshots");
            bill.add(1, "backup", "a third copy that no takeover touches");
            bill.notes.push("the table says only \"N\" production servers; one for each 25000 users is our reading".to_owned());
        }
    }
    if setup == Setup::Cluster || row.speed >= 10_000 && setup != Setup::Standard {
        bill.other(
            2,
            "switch",
            "Juniper EX4550-32F, one virtual chassis",
            "10 GbE; every bond ends on both",
        );
    }
    if setup == Setup::Cluster {
        bill.other(
            1,
            "router",
            "MikroTik RB3011",
            "management network, reached by a tunnel",
        );
    }
    if bill
        .items
        .iter()
        .any(|item| item.what == "galera" || item.what == "database")
    {
        bill.notes.push(
            "take SSDs with power-loss protection for databases; the reference's 850 Pro has none (rule W10)".to_owned(),
        );
    }
    if users > largest() {
        bill.notes.push(format!(
            "the table ends at {} users; its last row is the least for each machine",
            largest()
        ));
        if setup != Setup::Cluster {
            bill.notes
                .push("more users need the large layout: --setup cluster".to_owned());
        }
    }
    bill
}

impl Bill {
    fn add(&mut self, count: u32, role: &str, why: &str) {
        let (memory, cores, hdd) = least(role, self.setup, self.users).unwrap_or_default();
        let may_be_virtual = self.users <= largest()
            && row(self.users)
                .may_be_virtual
                .iter()
                .any(|name| name == role);
        self.items.push(Item {
            count,
            what: role.to_owned(),
            may_be_virtual: may_be_virtual && self.setup != Setup::Cluster,
            optional: false,
            memory,
            cores,
            hdd,
            reference: reference(role)
                .map_or_else(String::new, |reference| reference.parts.clone()),
            why: why.to_owned(),
        });
    }

    fn other(&mut self, count: u32, what: &str, parts: &str, why: &str) {
        self.items.push(Item {
            count,
            what: what.to_owned(),
            may_be_virtual: false,
            optional: false,
            memory: 0,
            cores: 0,
            hdd: 0,
            reference: parts.to_owned(),
            why: why.to_owned(),
        });
    }
}
