//! Which machines stand in a rack, and the site file that describes them: what `rackwright init` writes, filled in as an owner
//! does, and shrunk to what two cores carry.

use anyhow::Context as _;
use roles::site::{init, model::Setup};
use toml::{Table, Value};

use crate::prove::compiled;

/// A rack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Two balancers and two control servers: what provisioning is tested with.
    Four,
    /// One of each that mail needs, three databases: what CI has time for.
    Small,
    /// Everything twice, three databases, a copy and two control servers.
    Full,
}

/// A machine of a rack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Role.
    pub role: &'static str,
    /// Host name.
    pub name: String,
    /// Address in the management network.
    pub address: String,
    /// Address of its BMC.
    pub bmc: String,
    /// Serial number of its board.
    pub serial: String,
    /// Index of the machine in the rack.
    pub index: usize,
}

/// The client's side of the public network, with prefix length.
pub const CLIENT: &str = "192.0.2.250/24";
/// Where mail arrives, as `rackwright init` writes it.
pub const MAIL: &str = "192.0.2.10";
/// Data disks of a storage server: one mirror is enough for what the tests store, and each disk costs a boot seconds.
const DATA_DISKS: i64 = 4;

impl Shape {
    /// Roles and how many machines of each, in the order in which they are installed.
    #[must_use]
    pub const fn machines(self) -> &'static [(&'static str, usize)] {
        match self {
            Self::Four => &[("lb", 2), ("control", 2)],
            Self::Small => &[("storage", 1), ("galera", 3), ("lb", 1), ("production", 1)],
            Self::Full => &[
                ("control", 2),
                ("storage", 2),
                ("backup", 1),
                ("galera", 3),
                ("lb", 2),
                ("production", 2),
            ],
        }
    }

    /// Roles, each once.
    #[must_use]
    pub fn roles(self) -> Vec<&'static str> {
        self.machines().iter().map(|(role, _)| *role).collect()
    }

    /// MiB of memory of a machine that runs; one that is installed by network has the root image in memory twice.
    #[must_use]
    pub const fn memory(self) -> u32 {
        match self {
            Self::Full => 1536,
            Self::Four | Self::Small => 2048,
        }
    }

    /// Rules that it breaks: the small one has nothing twice, and none has the sizes of its users.
    const fn waived(self) -> &'static [&'static str] {
        match self {
            Self::Four => &[],
            Self::Small => &["E15", "E18", "E32"],
            Self::Full => &["E32"],
        }
    }

    const fn setup(self) -> (Setup, u64) {
        match self {
            Self::Small => (Setup::Ha, 5_000),
            Self::Four | Self::Full => (Setup::Cluster, 60_000),
        }
    }
}

/// MAC address of a machine's port.
#[must_use]
pub fn mac(index: usize, port: usize) -> String {
    // 52:54:00 is what QEMU uses for its own guests.
    format!("52:54:00:d0:{index:02x}:{:02x}", port + 1)
}

/// The site file, and its machines. `key`: an administrator's public key.
///
/// # Errors
/// If the first site file lacks such a machine.
pub fn site(shape: Shape, key: &str) -> anyhow::Result<(String, Vec<Place>)> {
    let (setup, users) = shape.setup();
    let mut site: Table = init(setup, users, "mail").parse()?;
    let mut places = Vec::new();
    for (role, count) in shape.machines() {
        for number in 0..*count {
            let index = places.len();
            let mut place = Place {
                role,
                name: String::new(),
                address: String::new(),
                bmc: format!("10.77.10.{}", 231 + index),
                serial: format!("ZM17R{index:06}"),
                index,
            };
            fill(&mut site, number, &mut place)?;
            places.push(place);
        }
    }
    let access = site.get_mut("access").and_then(Value::as_table_mut);
    access
        .context("no `access`")?
        .insert("ssh_keys".to_owned(), vec![Value::from(key)].into());
    if shape != Shape::Four {
        shrink(&mut site, &places, shape.waived());
    }
    Ok((toml::to_string(&site)?, places))
}

/// Says of machine `number` (from 0) of a role what it is.
fn fill(site: &mut Table, number: usize, place: &mut Place) -> anyhow::Result<()> {
    let port = |port| mac(place.index, port);
    let bmc = Some((place.bmc.as_str(), "rackwright"));
    place.name = compiled::fill(site, place.role, number, &place.serial, &port, bmc)?;
    let nodes = site.get("nodes").and_then(Value::as_array);
    let node = nodes
        .into_iter()
        .flatten()
        .find(|node| node.get("name").and_then(Value::as_str) == Some(place.name.as_str()));
    let address = node.and_then(|node| node.get("addresses")?.get("mgmt")?.as_str());
    place.address = address
        .with_context(|| format!("`{}` has no address in `mgmt`", place.name))?
        .to_owned();
    Ok(())
}

/// Takes out what is not there, and gives what is left sizes and times for machines of two gigabytes that are emulated.
fn shrink(site: &mut Table, places: &[Place], waived: &[&str]) {
    let is_there = |name: Option<&Value>| {
        let name = name.and_then(Value::as_str);
        places.iter().any(|place| Some(place.name.as_str()) == name)
    };
    if let Some(nodes) = site.get_mut("nodes").and_then(Value::as_array_mut) {
        nodes.retain(|node| is_there(node.get("name")));
        for node in nodes.iter_mut().filter_map(Value::as_table_mut) {
            let stores = ["storage", "backup"].contains(&role(node));
            if let Some(hardware) = node.get_mut("hardware").and_then(Value::as_table_mut)
                && stores
            {
                hardware.insert("hdd".to_owned(), DATA_DISKS.into());
            }
        }
    }
    for key in ["switches", "router", "quota", "ports"] {
        site.remove(key);
    }
    let mut section = |name: &str, values: &[(&str, Value)]| {
        let table = site
            .entry(name)
            .or_insert_with(|| Value::Table(Table::new()));
        if let Some(table) = table.as_table_mut() {
            table.extend(
                values
                    .iter()
                    .map(|(key, value)| ((*key).to_owned(), value.clone())),
            );
        }
    };
    let sinks: Vec<Value> = places
        .iter()
        .filter(|place| ["storage", "backup"].contains(&place.role))
        .skip(1)
        .map(|place| place.name.as_str().into())
        .collect();
    let is_copied = !sinks.is_empty();
    section("storage", &[("sinks", Value::Array(sinks))]);
    section("ports", &[("ftp", false.into())]);
    section("database", &[("buffer_pool", "128 MiB".into())]);
    section(
        "galera",
        &[
            ("gcache", "64 MiB".into()),
            ("keepalive", "1 s".into()),
            ("suspect_timeout", "30 s".into()),
            ("inactive_timeout", "60 s".into()),
        ],
    );
    // An emulated store spends twenty seconds of its processor on a snapshot: no more often than something comes of it.
    let (interval, promised) = match is_copied {
        true => ("1 min", "5 min"),
        false => ("1 h", "1 h"),
    };
    section(
        "options",
        &[
            ("replication_interval", interval.into()),
            ("promised_loss", promised.into()),
        ],
    );
    section("failover", &[("fence", "none".into())]);
    let waivers = waived.iter().map(|rule| {
        let reason = "a rack of simulated machines, as small as it can be";
        Value::Table(Table::from_iter([
            ("rule".to_owned(), Value::from(*rule)),
            ("reason".to_owned(), reason.into()),
        ]))
    });
    site.insert("waivers".to_owned(), waivers.collect::<Vec<_>>().into());
}

fn role(node: &Table) -> &str {
    node.get("role").and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use roles::compile::Seed;

    use super::*;
    use crate::images::workspace;

    /// What a rack's own rules do not allow is found here, not after an hour of installs.
    #[test]
    fn every_shape_compiles_without_an_error() {
        let roles = roles::folder::read(&workspace().join("roles")).unwrap();
        let key =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJzN1nJZtnBZ0qk0nQ2fFvXKwUDL0IuPSN1CZ0O4pYkM a";
        for shape in [Shape::Four, Shape::Small, Shape::Full] {
            let (text, places) = site(shape, key).unwrap();
            let (site, found) = roles::site::check("site.toml", &text, Some(&roles));
            assert!(!found.has_errors(), "{shape:?}: {}", found.render(false));
            let all = roles::compile::compile(
                &site.unwrap(),
                &Seed::new([7; 32]),
                Some(&roles),
                Some("test"),
            );
            for place in places {
                assert!(
                    all.node_file(&place.name).is_some(),
                    "{shape:?}: {}",
                    place.name
                );
            }
        }
    }
}
