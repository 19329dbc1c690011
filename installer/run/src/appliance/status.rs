//! `status`: what this machine is and how it is, as one value.

use camino::Utf8Path;
use roles::{RoleSet, role::HealthCheck};
use serde::{Deserialize, Serialize};
use system::{Command, System};

use crate::{install_state::Progress, secrets};

use super::{
    NODE_FILE, ROLES,
    boot_facts::{self, BootFacts, Mode},
    health::{self, Array, CheckResult, Multipath, Pool, Unit, Verdict},
    incomplete, prepare, progress,
    surroundings::{self, Database, Happened, Held, Memory},
};

/// The `status --json` document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Host name of the node file; none in a live system without one.
    pub node: Option<String>,
    /// Role of the image.
    pub role: String,
    /// Version of the image.
    pub version: String,
    /// `install`, `rescue`, `run`.
    pub mode: String,
    /// `a` or `b` in the running appliance.
    pub slot: Option<String>,
    /// `incomplete`, `unproven`, `installed`; `live` when not booted from disks.
    pub state: String,
    /// Nothing fails, and this is an installed machine.
    pub healthy: bool,
    /// Disks.
    pub disks: Vec<Disk>,
    /// md arrays.
    pub arrays: Vec<Array>,
    /// ZFS pools.
    pub pools: Vec<Pool>,
    /// Disks that dm-multipath owns, with their paths.
    #[serde(default)]
    pub multipath: Vec<Multipath>,
    /// Networks.
    pub networks: Vec<Network>,
    /// Main memory.
    #[serde(default)]
    pub memory: Option<Memory>,
    /// Virtual addresses that this machine holds.
    #[serde(default)]
    pub held: Vec<Held>,
    /// The database of this machine, where it has one that answers.
    #[serde(default)]
    pub database: Option<Database>,
    /// What happened last, oldest first.
    #[serde(default)]
    pub events: Vec<Happened>,
    /// Units that the role starts.
    pub services: Vec<Unit>,
    /// Health checks.
    pub checks: Vec<CheckResult>,
    /// How far the role's services are; none before the first round.
    #[serde(default)]
    pub service: Option<service::serve::Report>,
    /// Files of `/state/etc` that lie over rendered ones.
    pub own_files: Vec<String>,
    /// Names of the secrets that were delivered; never what they are.
    #[serde(default)]
    pub secrets: Vec<String>,
}

/// One disk, as `lsblk` names its columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// Kernel name, for this boot.
    pub name: String,
    /// Model.
    pub model: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// Bytes.
    pub size: u64,
}

/// One network interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Interface.
    pub name: String,
    /// `UP`, `DOWN`, `UNKNOWN`.
    pub state: String,
    /// MAC address.
    pub mac: Option<String>,
    /// Bytes.
    pub mtu: u32,
    /// `192.0.2.10/24`.
    pub addresses: Vec<String>,
}

impl Status {
    /// For scripts: 0 healthy, 1 not.
    pub fn exit_code(&self) -> u8 {
        u8::from(!self.healthy)
    }

    /// The `--json` form.
    pub fn json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// The form for people, 80 columns.
    pub fn text(&self) -> String {
        super::status_text::text(self)
    }
}

/// Looks at this machine.
pub fn status(system: &dyn System) -> Status {
    let roles = roles::folder::read(Utf8Path::new(ROLES)).map_err(|error| error.to_string());
    status_with(system, roles)
}

/// As [`status`], with role data that was read before.
pub fn status_with(system: &dyn System, roles: Result<RoleSet, String>) -> Status {
    let facts = read(system, boot_facts::PATH).and_then(|text| boot_facts::parse(&text).ok());
    let mut checks = Vec::new();
    let mut fail = |name: &str, detail: String| {
        checks.push(CheckResult {
            name: name.to_owned(),
            result: Verdict::Fail,
            detail,
        });
    };
    let mode = facts.as_ref().map_or(Mode::Unknown, |facts| facts.mode);
    match mode {
        Mode::Run => {}
        Mode::Install | Mode::Rescue => fail(
            "mode",
            format!(
                "this is the live system (`{}`), not an installed machine",
                mode.name()
            ),
        ),
        Mode::Unknown => fail("mode", format!("`{}` cannot be read", boot_facts::PATH)),
    }
    if let Some(reason) = read(system, incomplete::REASON) {
        fail("install", reason);
    }
    let state = install_state(system, mode);
    let report = (mode == Mode::Run)
        .then(|| service::serve::read(system))
        .flatten();
    let (services, mut wanted) = match (&roles, &facts) {
        (Ok(roles), Some(facts)) => wanted(roles, &facts.root.role),
        (Err(error), _) => {
            fail("roles", error.clone());
            (Vec::new(), Vec::new())
        }
        (Ok(_), None) => (Vec::new(), Vec::new()),
    };
    let listeners = report.iter().flat_map(|report| &report.listens);
    wanted.extend(listeners.map(|port| HealthCheck::Listen {
        protocol: "tcp".to_owned(),
        port: *port,
    }));
    if mode == Mode::Run && !matches!(state.as_str(), "unproven" | "installed") {
        fail("state", format!("the install state is `{state}`"));
    }
    let seen = health::observe(system, &wanted, &services);
    checks.extend(warnings(facts.as_ref()));
    // In the live system the role does not run: its checks would only hide the reason.
    if mode == Mode::Run {
        checks.extend(health::evaluate(&wanted, &seen));
        checks.extend(report.iter().flat_map(role));
    }
    let networks = networks(system);
    Status {
        memory: surroundings::memory(system),
        held: surroundings::held(system, &networks),
        database: surroundings::database(system, &services),
        events: surroundings::happened(system),
        node: node_name(system).or_else(|| rendered_name(system, mode)),
        role: facts
            .as_ref()
            .map_or_else(|| "unknown".to_owned(), |facts| facts.root.role.clone()),
        version: facts
            .as_ref()
            .map_or_else(|| "unknown".to_owned(), |facts| facts.root.version.clone()),
        mode: mode.name().to_owned(),
        slot: facts.as_ref().and_then(|facts| facts.slot.clone()),
        state,
        healthy: health::is_healthy(&checks),
        disks: disks(system),
        arrays: seen.arrays,
        pools: seen.pools,
        multipath: seen.multipath,
        networks,
        services: seen
            .units
            .into_iter()
            .filter(|unit| services.contains(&unit.unit))
            .collect(),
        checks,
        service: report,
        secrets: secrets::delivered(system),
        own_files: read(system, prepare::OWN_FILES)
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default(),
    }
}

/// The role's services and the age of the copies. What waits for another machine is no fault of this one: the boot and the
/// install are good without it.
fn role(report: &service::serve::Report) -> Vec<CheckResult> {
    use service::serve::State;
    let result = match report.state {
        State::Idle => return Vec::new(),
        State::Ready => Verdict::Pass,
        State::Waits => Verdict::Warn,
        State::Refused | State::Failed => Verdict::Fail,
    };
    let mut checks = vec![CheckResult {
        name: "role".to_owned(),
        result,
        detail: report.detail.clone(),
    }];
    if let Some(copy) = &report.replication {
        checks.push(CheckResult {
            name: "replication".to_owned(),
            result: if copy.good {
                Verdict::Pass
            } else {
                Verdict::Warn
            },
            detail: copy.text(),
        });
    }
    checks
}

fn read(system: &dyn System, path: &str) -> Option<String> {
    let bytes = system.read(Utf8Path::new(path)).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Units to start and checks, of the role and of all roles.
fn wanted(roles: &RoleSet, role: &str) -> (Vec<String>, Vec<HealthCheck>) {
    let folder = roles.roles.get(role);
    let mut services = roles.common.services.start.clone();
    let mut checks = roles.common.health.clone();
    if let Some(folder) = folder {
        services.extend(folder.role.services.start.iter().cloned());
        checks.extend(folder.role.health.iter().cloned());
    }
    (services, checks)
}

fn install_state(system: &dyn System, mode: Mode) -> String {
    if matches!(mode, Mode::Install | Mode::Rescue) {
        return "live".to_owned();
    }
    let progress = read(system, progress::PATH)
        .and_then(|text| progress::parse(&text).ok())
        .unwrap_or(Progress::Unknown);
    progress::name(progress).to_owned()
}

/// What init warned of, unless the arrays' own check says the same now.
fn warnings(facts: Option<&BootFacts>) -> Vec<CheckResult> {
    facts
        .map(|facts| facts.warnings.as_slice())
        .unwrap_or_default()
        .iter()
        .map(|warning| CheckResult {
            name: "boot".to_owned(),
            result: Verdict::Warn,
            detail: warning.clone(),
        })
        .collect()
}

/// The whole file was checked at boot; here only the name is wanted.
fn node_name(system: &dyn System) -> Option<String> {
    let text = read(system, NODE_FILE)?;
    let table: toml::Table = toml::from_str(&text).ok()?;
    Some(table.get("node")?.as_str()?.to_owned())
}

/// The node file is root's; `/etc/hostname` was rendered from it and anyone may read it.
fn rendered_name(system: &dyn System, mode: Mode) -> Option<String> {
    let text = (mode == Mode::Run)
        .then(|| read(system, "/etc/hostname"))
        .flatten()?;
    let name = text.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

fn disks(system: &dyn System) -> Vec<Disk> {
    #[derive(Deserialize)]
    struct Listing {
        blockdevices: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        #[serde(rename = "type")]
        kind: String,
        #[serde(flatten)]
        disk: Disk,
    }
    let command = Command::new("lsblk").args([
        "--json",
        "--bytes",
        "--nodeps",
        "--output",
        "NAME,TYPE,MODEL,SERIAL,SIZE",
    ]);
    let listing: Option<Listing> = json(system, &command);
    let entries = listing
        .map(|listing| listing.blockdevices)
        .unwrap_or_default();
    entries
        .into_iter()
        .filter(|entry| entry.kind == "disk" && !entry.disk.name.starts_with("ram"))
        .map(|entry| Disk {
            model: ata_model(system, &entry.disk.name).or(entry.disk.model),
            ..entry.disk
        })
        .collect()
}

/// The whole model of an ATA disk. lsblk says what udev says, and udev's SCSI rules (sg3-utils) what INQUIRY says, which
/// has room for 16 characters; everybody may read this page.
fn ata_model(system: &dyn System, name: &str) -> Option<String> {
    let page = format!("/sys/block/{name}/device/vpd_pg89");
    let page = system.read(Utf8Path::new(&page)).ok()?;
    firmware::probe::identity::ata_information(&page)?.model
}

fn networks(system: &dyn System) -> Vec<Network> {
    #[derive(Deserialize)]
    struct Link {
        ifname: String,
        operstate: String,
        address: Option<String>,
        mtu: u32,
        #[serde(default)]
        addr_info: Vec<Address>,
    }
    #[derive(Deserialize)]
    struct Address {
        local: Option<String>,
        prefixlen: Option<u8>,
    }
    let command = Command::new("ip").args(["-json", "address", "show"]);
    let links: Vec<Link> = json(system, &command).unwrap_or_default();
    links
        .into_iter()
        .filter(|link| link.ifname != "lo")
        .map(|link| Network {
            name: link.ifname,
            state: link.operstate,
            mac: link.address,
            mtu: link.mtu,
            addresses: link
                .addr_info
                .iter()
                .filter_map(|info| Some(format!("{}/{}", info.local.as_ref()?, info.prefixlen?)))
                .collect(),
        })
        .collect()
}

fn json<T: serde::de::DeserializeOwned>(system: &dyn System, command: &Command) -> Option<T> {
    let output = system.run(command).ok()?;
    serde_json::from_str(&output.stdout).ok()
}

#[cfg(test)]
#[path = "status_tests.rs"]
pub(super) mod tests;
