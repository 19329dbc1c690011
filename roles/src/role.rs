//! A role: what a machine is for, read from `roles/<role>/role.toml`. Adding a role adds a folder, no code.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::selector::Selector;

/// One role file. Every list may be empty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Role {
    /// Format of this file, `1`.
    pub format: u32,
    /// Folder name.
    pub name: String,
    /// One line for people.
    pub summary: String,
    /// Debian packages beyond the common ones.
    #[serde(default)]
    pub packages: Vec<String>,
    /// Third-party kernel modules compiled into an artefact: `zfs`.
    #[serde(default)]
    pub compiled_modules: Vec<String>,
    /// Kernel modules loaded at boot of the running appliance.
    #[serde(default)]
    pub modules: Vec<String>,
    /// systemd units.
    #[serde(default)]
    pub services: Services,
    /// Disks by purpose.
    #[serde(default)]
    pub disks: Vec<DiskNeed>,
    /// Networks by name.
    #[serde(default)]
    pub networks: Vec<NetworkNeed>,
    /// Open ports.
    #[serde(default)]
    pub ports: Vec<Port>,
    /// Templates to render into `/etc`.
    #[serde(default)]
    pub templates: Vec<Template>,
    /// Health checks of the running appliance.
    #[serde(default)]
    pub health: Vec<HealthCheck>,
    /// How a machine of this role becomes part of its cluster, in this order.
    #[serde(default)]
    pub join: Vec<JoinStep>,
    /// Defaults handed to templates as `settings`; the node file's `[settings]` goes over them.
    #[serde(default)]
    pub settings: BTreeMap<String, toml::Value>,
}

impl Role {
    /// Settings of a machine as a type: see [`settings`].
    ///
    /// # Errors
    /// A key has another type.
    pub fn settings_as<T: DeserializeOwned>(
        &self,
        node: &crate::NodeFile,
    ) -> Result<T, SettingsError> {
        settings(&self.settings, node)
    }
}

/// A setting of the node file that is not of the wanted type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`settings` of the node file: {cause}\nhint: `rackwright compile` writes them; by hand, compare with docs/roles.md"
)]
pub struct SettingsError {
    cause: String,
}

/// Settings of a machine as a type: the role's defaults, and over them what the node file says, key by key.
///
/// # Errors
/// A key has another type.
pub fn settings<T: DeserializeOwned>(
    defaults: &BTreeMap<String, toml::Value>,
    node: &crate::NodeFile,
) -> Result<T, SettingsError> {
    let table: toml::Table = defaults
        .iter()
        .chain(&node.settings)
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    toml::Value::Table(table)
        .try_into()
        .map_err(|error: toml::de::Error| SettingsError {
            cause: error.message().to_owned(),
        })
}

/// One step of a join. It is asked again and again until it is done, so that the order in which machines start does not
/// matter; each step may be asked again after it was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinStep {
    /// Name in journal and messages, once in a role.
    pub id: String,
    /// What it does.
    #[serde(flatten)]
    pub does: JoinAction,
    /// Seconds after which it says that it is late; it goes on all the same, unless it is optional.
    #[serde(default = "patience")]
    pub deadline: u64,
    /// When it is late, the join goes on without it and says so.
    #[serde(default)]
    pub optional: bool,
    /// Seconds for which it must hold without a break before it counts as done.
    #[serde(default)]
    pub hold: u64,
}

fn patience() -> u64 {
    600
}

/// What a step of a join does. Everything but the last few kinds only looks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum JoinAction {
    /// These secrets were delivered.
    Secrets {
        /// Purposes.
        names: Vec<String>,
    },
    /// The first address of this network is on an interface that has a carrier.
    Network {
        /// Name.
        name: String,
    },
    /// chrony has synchronised the clock; nothing to do where the node file names no time server.
    Clock,
    /// Path is a mount point.
    Mount {
        /// Mount point.
        path: String,
    },
    /// This command ends well: a daemon's own parser reads its rendered file.
    Check {
        /// Program and arguments; no shell.
        command: Vec<String>,
    },
    /// The machine's certificate is there for this group, where the settings want TLS (`tls`).
    Certificate {
        /// Group of the daemon; one of `services.certificates`.
        group: String,
    },
    /// Becomes a member of the Galera cluster, or makes it.
    Galera,
    /// Becomes the primary or a replica of a pair, or a single server.
    Database,
    /// Databases and accounts, made by the one that may write.
    Accounts,
    /// What this machine writes, another one has read; it counts the time of `hold`.
    Seen,
    /// Balancer in front of the databases.
    Balancer,
    /// Arbitrator of the Galera cluster, where the plan puts it here.
    Arbitrator,
}

/// Which units run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Services {
    /// Enabled and expected to be active.
    pub start: Vec<String>,
    /// Masked until configured by a join.
    pub masked: Vec<String>,
    /// Groups whose daemons use the machine's certificate: they find it in `/run/rackwright/identity/<group>/`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<String>,
}

/// What a group of disks is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// Mirrored operating system disks.
    Os,
    /// Data.
    Data,
    /// ZFS intent log (SLOG).
    Log,
    /// ZFS level 2 read cache.
    Cache,
    /// ZFS special allocation class.
    Special,
    /// Hot spare.
    Spare,
}

/// A group of disks the role wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskNeed {
    /// What for.
    pub purpose: Purpose,
    /// Exactly how many.
    pub count: u32,
    /// May be absent altogether (then nothing is made of it); a wrong number is still an error.
    #[serde(default)]
    pub optional: bool,
    /// Alternatives in order: the first that matches exactly `count` disks wins; more than `count` is an error.
    pub select: Vec<Selector>,
    /// What is made of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<Layout>,
}

/// What a data group becomes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Layout {
    /// Linux md array with a file system.
    Md {
        /// 0, 1, 5, 6 or 10.
        level: u32,
        /// `xfs` or `ext4`.
        file_system: String,
        /// Where it is mounted.
        mount: String,
    },
    /// ZFS pool; log, cache, special and spare groups join it.
    Zfs {
        /// Pool name.
        pool: String,
        /// A kind, `mirror`, `raidz1` to `raidz3` or `draid2:8d` (parity, data disks of a group), with ` spares N` if wanted;
        /// or `mail` or `capacity`: the installer's default for that use and number of disks.
        vdev: String,
        /// Disks in one vdev; 0: the word in `vdev` decides (`mail`, `capacity`, dRAID).
        #[serde(default, skip_serializing_if = "is_zero")]
        width: u32,
        /// Data sets, in order of creation.
        #[serde(default)]
        datasets: Vec<Dataset>,
    },
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A ZFS data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dataset {
    /// Name below the pool.
    pub name: String,
    /// Properties.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
}

/// A network the role wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkNeed {
    /// `mgmt`, `public`, `cluster`, `storage`.
    pub name: String,
    /// Ports on it.
    #[serde(default)]
    pub ports: u32,
    /// Megabits per second at least.
    #[serde(default)]
    pub speed: u32,
    /// Missing is only a warning.
    #[serde(default)]
    pub optional: bool,
    /// Settings of the ports that carry it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkSettings>,
}

/// How a port works; what is absent stays as the driver has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LinkSettings {
    /// Descriptors of the receive ring.
    pub receive_ring: Option<u32>,
    /// Descriptors of the transmit ring.
    pub transmit_ring: Option<u32>,
    /// The driver chooses how long interrupts wait, by the traffic it sees.
    pub adaptive_interrupts: Option<bool>,
    /// Microseconds an interrupt waits for more received packets.
    pub receive_wait: Option<u32>,
    /// Microseconds an interrupt waits for more sent packets.
    pub transmit_wait: Option<u32>,
    /// Pause frames (IEEE 802.3 annex 31B), both ways.
    pub flow_control: Option<bool>,
    /// IEEE 802.1p priority, 0 to 7, that loses nothing (priority flow control); only with `rdma = true`.
    pub lossless_priority: Option<u8>,
}

impl LinkSettings {
    /// Takes what it has not yet from another.
    pub fn fill(&mut self, other: &Self) {
        self.receive_ring = self.receive_ring.or(other.receive_ring);
        self.transmit_ring = self.transmit_ring.or(other.transmit_ring);
        self.adaptive_interrupts = self.adaptive_interrupts.or(other.adaptive_interrupts);
        self.receive_wait = self.receive_wait.or(other.receive_wait);
        self.transmit_wait = self.transmit_wait.or(other.transmit_wait);
        self.flow_control = self.flow_control.or(other.flow_control);
        self.lossless_priority = self.lossless_priority.or(other.lossless_priority);
    }
}

/// One open port, from the port table of the reference architecture or the cluster's internal table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// What listens.
    pub service: String,
    /// `tcp`, `udp` or an IP protocol name such as `vrrp`.
    pub protocol: String,
    /// `25` or `10000-10255`; absent for protocols without ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// Networks it is open from: `public`, `mgmt`, `cluster`, `storage`.
    pub from: Vec<String>,
    /// Roles whose machines may reach it, where the node file lists `hosts`; empty: everyone in these networks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<String>,
}

/// One rendered file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// File below `templates/`.
    pub source: String,
    /// Absolute path on the machine, below `/etc`.
    pub target: String,
    /// Octal mode, `0644` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
}

/// One health check of the running appliance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum HealthCheck {
    /// Unit is active.
    Service {
        /// Unit name.
        unit: String,
    },
    /// Path is a mount point.
    Mount {
        /// Mount point.
        path: String,
    },
    /// md array that backs this mount point is clean; degraded is a warning.
    Array {
        /// Mount point.
        path: String,
    },
    /// Pool is ONLINE; DEGRADED is a warning.
    Pool {
        /// Pool name.
        name: String,
    },
    /// Something listens.
    Listen {
        /// `tcp` or `udp`.
        protocol: String,
        /// Port number.
        port: u16,
    },
    /// Kernel module is loaded.
    Module {
        /// Module name.
        name: String,
    },
}
