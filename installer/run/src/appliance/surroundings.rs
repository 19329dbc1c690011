//! What the status says beside the role's own checks: memory, virtual addresses, the database cluster as this machine sees it,
//! and what happened last. What cannot be read, or is not of this role, is absent: never a guess.

use std::net::IpAddr;

use camino::Utf8Path;
use roles::wiring::Host;
use serde::{Deserialize, Serialize};
use system::{Command, System};

use super::{NODE_FILE, status::Network};

/// The health endpoint of this machine (crate `join`). The number proves answers to others; here nobody is doubted.
const DATABASE: &str = "http://127.0.0.1:9200/node?nonce=00";
/// Its unit: where it is not wanted, nobody is asked.
const DATABASE_UNIT: &str = "rackwright-health.service";
/// No answer is larger.
const LIMIT: u64 = 1 << 20;
/// Last lines that are kept.
const EVENTS: &str = "--lines=8";

/// Main memory in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// All that the kernel has.
    pub total: u64,
    /// What programs could still get (`MemAvailable` of proc_meminfo(5)).
    pub available: u64,
}

/// An address that moves between machines, and is here now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Name in the node file's hosts.
    pub name: String,
    /// Without prefix length.
    pub address: String,
    /// Interface.
    pub interface: String,
}

/// The database server of this machine and its cluster, as the health endpoint tells them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Database {
    /// The server answers.
    pub running: bool,
    /// In a Primary component of a Galera cluster.
    #[serde(default)]
    pub primary: bool,
    /// Members of the Galera cluster; 0: none.
    #[serde(default)]
    pub size: usize,
    /// Those of them that the node file knows, by name, else by address.
    #[serde(default)]
    pub members: Vec<String>,
    /// Planned members that this server does not see.
    #[serde(default)]
    pub missing: Vec<String>,
    /// Takes writes.
    #[serde(default)]
    pub writable: bool,
    /// Why balancers send nobody here.
    #[serde(default)]
    pub unfit: Option<String>,
    /// Who has the right to take writes, where there is one; empty: nobody.
    #[serde(default)]
    pub owner: String,
}

impl Database {
    /// In a line.
    #[must_use]
    pub fn text(&self) -> String {
        let mut words = vec![match &self.unfit {
            None if self.running => "serves".to_owned(),
            None => "does not run".to_owned(),
            Some(why) => format!("does NOT serve: {why}"),
        }];
        if self.size > 0 {
            let component = if self.primary { "" } else { ", not Primary" };
            let names = if self.members.is_empty() {
                String::new()
            } else {
                format!(" ({})", self.members.join(", "))
            };
            words.push(format!("sees {} members{names}{component}", self.size));
        }
        if !self.missing.is_empty() {
            words.push(format!("does not see {}", self.missing.join(", ")));
        }
        if self.running {
            words.push(
                if self.writable {
                    "takes writes"
                } else {
                    "read only"
                }
                .to_owned(),
            );
        }
        if !self.owner.is_empty() {
            words.push(format!("primary is {}", self.owner));
        }
        words.join(", ")
    }
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Happened {
    /// Seconds since 1970.
    pub at: u64,
    /// What was said.
    pub text: String,
}

impl Happened {
    /// `18:04:59 text`, UTC.
    #[must_use]
    pub fn text(&self) -> String {
        let (hours, minutes) = (self.at / 3600 % 24, self.at / 60 % 60);
        format!("{hours:02}:{minutes:02}:{:02} {}", self.at % 60, self.text)
    }
}

pub(super) fn memory(system: &dyn System) -> Option<Memory> {
    let bytes = system.read(Utf8Path::new("/proc/meminfo")).ok()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let value = |key: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        // The unit is fixed: `kB`, which are 1024 bytes.
        let number: u64 = line
            .strip_prefix(':')?
            .split_whitespace()
            .next()?
            .parse()
            .ok()?;
        number.checked_mul(1024)
    };
    Some(Memory {
        total: value("MemTotal")?,
        available: value("MemAvailable")?,
    })
}

/// Virtual addresses have a name and no role. The node file is root's: others see none. An address of the loopback is no sign
/// of anything: servers behind LVS all have it there.
pub(super) fn held(system: &dyn System, networks: &[Network]) -> Vec<Held> {
    let hosts = hosts(system);
    let address = |text: &str| -> Option<IpAddr> { text.split('/').next()?.parse().ok() };
    let mut held = Vec::new();
    for network in networks
        .iter()
        .filter(|network| !network.name.starts_with("dummy"))
    {
        for host in hosts.iter().filter(|host| host.role.is_none()) {
            let here = host.addresses.values().find(|wanted| {
                network
                    .addresses
                    .iter()
                    .any(|other| address(other).is_some() && address(other) == address(wanted))
            });
            if let Some(here) = here {
                held.push(Held {
                    name: host.name.clone(),
                    address: here.clone(),
                    interface: network.name.clone(),
                });
            }
        }
    }
    held
}

/// The machines and virtual addresses of the node file.
fn hosts(system: &dyn System) -> Vec<Host> {
    #[derive(Deserialize)]
    struct Only {
        #[serde(default)]
        hosts: Vec<Host>,
    }
    system
        .read(Utf8Path::new(NODE_FILE))
        .ok()
        .and_then(|bytes| toml::from_str::<Only>(&String::from_utf8_lossy(&bytes)).ok())
        .map(|only| only.hosts)
        .unwrap_or_default()
}

pub(super) fn database(system: &dyn System, services: &[String]) -> Option<Database> {
    if !services.iter().any(|unit| unit == DATABASE_UNIT) {
        return None;
    }
    let body = system.download(DATABASE, LIMIT).ok()?;
    let mut database: Database = serde_json::from_slice(&body).ok()?;
    name_members(&mut database, &hosts(system));
    Some(database)
}

/// Puts names in place of addresses, and says who of the plan is not there. What the server does not tell is not guessed: with no
/// addresses nobody is missed.
fn name_members(database: &mut Database, hosts: &[Host]) {
    let seen = std::mem::take(&mut database.members);
    if seen.is_empty() {
        return;
    }
    let has = |host: &Host, address: &String| host.addresses.values().any(|own| own == address);
    database.members = seen
        .iter()
        .map(|address| {
            let host = hosts.iter().find(|host| has(host, address));
            host.map_or_else(|| address.clone(), |host| host.name.clone())
        })
        .collect();
    database.members.sort();
    database.missing = hosts
        .iter()
        .filter(|host| host.role.as_deref() == Some("galera"))
        .filter(|host| !database.members.contains(&host.name))
        .map(|host| host.name.clone())
        .collect();
}

/// Of our own units and of keepalived, which tells who holds the virtual addresses. Other units may say what is nobody's
/// business who passes by: names of accounts, of mailboxes.
pub(super) fn happened(system: &dyn System) -> Vec<Happened> {
    let command = Command::new("journalctl").args([
        "--boot",
        "--no-pager",
        "--output=json",
        "--output-fields=MESSAGE",
        EVENTS,
        "--unit=rackwright-*",
        "--unit=keepalived.service",
    ]);
    let text = system.run(&command).map(|output| output.stdout);
    text.unwrap_or_default()
        .lines()
        .filter_map(|line| {
            let entry: serde_json::Value = serde_json::from_str(line).ok()?;
            let micros: u64 = entry.get("__REALTIME_TIMESTAMP")?.as_str()?.parse().ok()?;
            // A message with bytes that are no text comes as a list of numbers.
            let text = entry.get("MESSAGE")?.as_str()?.trim();
            (!text.is_empty()).then(|| Happened {
                at: micros / 1_000_000,
                text: text.lines().next().unwrap_or_default().to_owned(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use system::Simulated;

    #[test]
    fn memory_is_read_in_bytes() {
        let system = Simulated::new();
        assert_eq!(memory(&system), None);
        system.put_file(
            "/proc/meminfo",
            b"MemTotal:       65536 kB\nMemFree: 1 kB\n",
        );
        assert_eq!(memory(&system), None);
        system.put_file(
            "/proc/meminfo",
            b"MemTotal:       65536 kB\nMemFree: 1 kB\nMemAvailable:   1024 kB\n",
        );
        let expected = Memory {
            total: 64 << 20,
            available: 1 << 20,
        };
        assert_eq!(memory(&system), Some(expected));
    }

    #[test]
    fn held_addresses_are_those_of_hosts_without_a_role() {
        let system = Simulated::new();
        system.put_file(
            NODE_FILE,
            b"node = \"lb-1\"\n[[hosts]]\nname = \"lb-1\"\nrole = \"lb\"\naddresses = { public = \"192.0.2.2\" }\n\
              [[hosts]]\nname = \"mail\"\naddresses = { public = \"192.0.2.9\" }\n\
              [[hosts]]\nname = \"web\"\naddresses = { public = \"192.0.2.10\" }\n",
        );
        let network = |name: &str, addresses: &[&str]| Network {
            name: name.to_owned(),
            state: "UP".to_owned(),
            mac: None,
            mtu: 1500,
            addresses: addresses.iter().map(|text| (*text).to_owned()).collect(),
        };
        let found = held(
            &system,
            &[
                network("public0", &["192.0.2.2/24", "192.0.2.9/32"]),
                network("dummy0", &["192.0.2.10/32"]),
            ],
        );
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].name.as_str(), found[0].interface.as_str()),
            ("mail", "public0")
        );
        // Without rights to read the node file nothing is said.
        assert_eq!(
            held(&Simulated::new(), &[network("public0", &["192.0.2.9/32"])]),
            []
        );
    }

    #[test]
    fn a_database_is_asked_only_where_there_is_one() {
        let system = Simulated::new();
        system.put_url(
            DATABASE,
            br#"{"node":"db-1","running":true,"primary":true,"size":3,"writable":true,"unfit":null,"owner":"","new":1}"#,
        );
        assert_eq!(database(&system, &["ssh.service".into()]), None);
        let found = database(&system, &[DATABASE_UNIT.into()]).unwrap();
        assert_eq!(found.text(), "serves, sees 3 members, takes writes");
        let mut named = Database {
            members: vec!["192.0.2.1".into(), "192.0.2.9".into()],
            size: 2,
            ..found.clone()
        };
        let host = |name: &str, role: &str, address: &str| Host {
            name: name.into(),
            role: Some(role.into()),
            addresses: [("cluster".to_owned(), address.to_owned())].into(),
        };
        name_members(
            &mut named,
            &[
                host("db-1", "galera", "192.0.2.1"),
                host("db-2", "galera", "192.0.2.2"),
                host("lb-1", "lb", "192.0.2.3"),
            ],
        );
        assert_eq!(
            named.text(),
            "serves, sees 2 members (192.0.2.9, db-1), does not see db-2, takes writes"
        );
        let alone = Database {
            primary: false,
            size: 1,
            writable: false,
            unfit: Some("no majority".into()),
            owner: "db-2".into(),
            ..found
        };
        assert_eq!(
            alone.text(),
            "does NOT serve: no majority, sees 1 members, not Primary, read only, primary is db-2"
        );
    }

    #[test]
    fn the_log_of_our_units() {
        let system = Simulated::new();
        assert_eq!(happened(&system), []);
        system.answer(
            "journalctl",
            Ok(
                "{\"__REALTIME_TIMESTAMP\":\"1763917499000001\",\"MESSAGE\":\"joined\\nmore\"}\n\
                {\"__REALTIME_TIMESTAMP\":\"1763917499000001\",\"MESSAGE\":[1,2]}\nnot json\n",
            ),
        );
        let found = happened(&system);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].text(), "17:04:59 joined");
    }
}
