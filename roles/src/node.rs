//! The node file: everything one machine needs to install and run unattended. The only configuration a node has.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::role::DiskNeed;

pub use crate::wiring::{BmcSettings, Bond, BondMode, Host, PhysicalPort, Route};

/// One node file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeFile {
    /// Format of this file, `1`.
    pub format: u32,
    /// Host name, RFC 1123 label.
    pub node: String,
    /// Role name.
    pub role: String,
    /// DNS domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Which machine this is for: what a stick with many node files picks it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Machine>,
    /// Right to install without anyone at the keyboard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permit: Option<Permit>,
    /// Who may log in.
    #[serde(default)]
    pub access: Access,
    /// What the consoles of the machine allow.
    #[serde(default, skip_serializing_if = "Console::is_default")]
    pub console: Console,
    /// Overrides of the role's disk groups: same purpose replaces the role's entry.
    #[serde(default)]
    pub disks: Vec<DiskNeed>,
    /// Storage choices.
    #[serde(default)]
    pub storage: Storage,
    /// Differences from the reference that are accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waivers: Vec<Waiver>,
    /// Physical network ports, by what they are and never by the kernel's name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PhysicalPort>,
    /// Bonds of ports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bonds: Vec<Bond>,
    /// Networks.
    #[serde(default)]
    pub networks: Vec<Network>,
    /// Every machine of the rack and every virtual address: names, and the peers of the preflight.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<Host>,
    /// Who issues certificates and keeps claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<Authority>,
    /// The board management controller of this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bmc: Option<BmcSettings>,
    /// Name servers.
    #[serde(default)]
    pub dns: Vec<String>,
    /// Time servers.
    #[serde(default)]
    pub ntp: Vec<String>,
    /// Values for the role's templates.
    #[serde(default)]
    pub settings: BTreeMap<String, toml::Value>,
}

/// The cluster's authority.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authority {
    /// `sha256:` and the digest of the authority's certificate: a machine knows it before it has met it.
    pub pin: String,
    /// Addresses of the control servers, the first one first; empty in a cluster without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<String>,
}

/// Which machine a node file is for, beside the MAC addresses of its ports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Serial number of the board.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// MAC address of the BMC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bmc_mac: Option<String>,
}

/// A one-shot right to install, spent with the first write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permit {
    /// Any unique text; a disk that was installed with this id refuses to be installed with it again.
    pub id: String,
    /// Only on the machine with this board serial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub board_serial: Option<String>,
    /// Only this plan: digest as printed by `plan`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// What it permits: `install` (default), or `repair`: bring back what a changed disk took away, and nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
}

/// Who may log in. Root is always locked.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Access {
    /// Administrator's account name, `admin` if absent.
    pub user: Option<String>,
    /// OpenSSH public keys.
    pub ssh_keys: Vec<String>,
    /// crypt(5) hash for the console; absent: no console log-in.
    pub password_hash: Option<String>,
}

/// What the consoles of the machine allow: the screen and the serial lines.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Console {
    /// Root shell of the live system, log-in of the running appliance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shell: Option<Shell>,
    /// Seconds before an unattended install during which Esc on a console leads to the wizard instead; 0: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait: Option<u32>,
}

impl Console {
    /// Seconds of the wait where the node file says nothing: enough to reach for a key, little in a boot of minutes.
    pub const WAIT: u32 = 10;

    /// The node file says nothing of it.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Keys lead to a shell or a log-in.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.shell != Some(Shell::Closed)
    }

    /// Seconds before an unattended install.
    #[must_use]
    pub fn wait(&self) -> u32 {
        self.wait.unwrap_or(Self::WAIT)
    }
}

/// Whether the consoles lead to a shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shell {
    /// A root shell in the live system, a log-in on the running appliance.
    Open,
    /// Neither; the running appliance is reached by ssh.
    Closed,
}

/// The password hash stays out of logs.
impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("user", &self.user)
            .field("ssh_keys", &self.ssh_keys)
            .finish_non_exhaustive()
    }
}

/// Storage choices.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Storage {
    /// `full` (default): md arrays resync after creation. `skip`: `--assume-clean`, for disks known to read zeros.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_sync: Option<String>,
    /// `new` (default): data groups are made anew. `keep`: the system is made anew, data groups are left as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Guarded things that may be destroyed, by the key that a refusal shows: a UUID, a pool's GUID.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub destroy: Vec<String>,
    /// `auto` (default): dm-multipath for data disks if one of them has more than one path. `single`, `dm`: always so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multipath: Option<String>,
}

/// Go on although the machine differs from the reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiver {
    /// Id of the finding, as `inventory` shows it.
    pub finding: String,
    /// Why it is accepted; goes into the report.
    pub reason: String,
}

/// One network of the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// `mgmt`, `public`, `cluster`, `storage`; its interface is called `<name>0`, or like the port or bond it lies on
    /// untagged.
    pub name: String,
    /// Permanent MAC address of the port; the short form for a port that carries this network alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// Port or bond it lies on, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
    /// IEEE 802.1Q VLAN id, 1 to 4094; absent: untagged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    /// `192.0.2.10/24`; absent with `dhcp = true`.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// Ask a DHCP server.
    #[serde(default)]
    pub dhcp: bool,
    /// Default gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// Bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Routes beyond the default gateway.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
}
