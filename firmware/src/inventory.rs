//! The inventory: a machine as plain data. Made by the probe, captured, replayed, compared, planned from.

use roles::selector::Transport;
use serde::{Deserialize, Serialize};

/// Everything known of one machine. A fact that could not be read is absent and has a [`Gap`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Inventory {
    /// Board and chassis.
    pub board: Board,
    /// Firmware interface this boot came through.
    pub boot: BootMode,
    /// Sockets in use.
    pub cpus: Vec<Cpu>,
    /// Bytes of memory.
    pub memory: u64,
    /// Disks, folded by WWN, then serial.
    pub disks: Vec<Disk>,
    /// Enclosures with slots.
    pub enclosures: Vec<Enclosure>,
    /// Storage controllers.
    pub hbas: Vec<Hba>,
    /// Network ports.
    pub nics: Vec<Nic>,
    /// Baseboard management controller.
    pub bmc: Option<Bmc>,
    /// Arrays, pools, volume groups and file systems found on the disks.
    pub found: Vec<Holder>,
    /// What could not be read, and why.
    pub gaps: Vec<Gap>,
}

/// Board identity (SMBIOS types 1 to 3).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Board {
    /// `Supermicro`.
    pub vendor: Option<String>,
    /// `X10DRH-iT`: the only reliable name of these machines.
    pub name: Option<String>,
    /// Board serial number.
    pub serial: Option<String>,
    /// Product name: often useless (`Super Server`).
    pub product: Option<String>,
    /// BIOS version.
    pub bios_version: Option<String>,
    /// BIOS date.
    pub bios_date: Option<String>,
}

/// How the machine was booted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BootMode {
    /// UEFI.
    Uefi,
    /// Legacy BIOS.
    #[default]
    Bios,
}

/// One processor socket in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cpu {
    /// Socket number.
    pub socket: u32,
    /// Model name.
    pub model: String,
    /// Cores.
    pub cores: u32,
}

/// Stable name of a disk: `wwn-0x5000cca261280e69`, else `serial-<vendor>-<model>-<serial>`, else `path-<by-path>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DiskId(pub String);

impl std::fmt::Display for DiskId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// One physical disk, however many paths lead to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Disk {
    /// Stable name.
    pub id: DiskId,
    /// Vendor, trimmed.
    pub vendor: Option<String>,
    /// Full model name, trimmed.
    pub model: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// `0x` and 16 hexadecimal digits.
    pub wwn: Option<String>,
    /// Firmware revision.
    pub firmware: Option<String>,
    /// Bytes; 0 is a fault.
    pub size: u64,
    /// Logical sector in bytes.
    pub logical_sector: u32,
    /// Physical sector in bytes.
    pub physical_sector: u32,
    /// Spinning; absent if unknown.
    pub rotational: Option<bool>,
    /// How it is attached.
    pub transport: Transport,
    /// All ways to it, at least one.
    pub paths: Vec<DiskPath>,
    /// Where it sits.
    pub bay: Option<Bay>,
    /// Removable medium or USB.
    pub removable: bool,
    /// Write-protected.
    pub read_only: bool,
    /// The running system came from it.
    pub boot_medium: bool,
    /// Why it cannot be used (size 0, 520-byte sectors, ...).
    pub faults: Vec<String>,
}

/// One path to a disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskPath {
    /// `sda`: good for this boot only.
    pub kernel_name: String,
    /// Major and minor device number.
    pub device: (u32, u32),
    /// PCI address of the controller.
    pub hba: Option<String>,
    /// Name under `/dev/disk/by-path`, if udev gave one.
    pub by_path: Option<String>,
    /// SAS address of the port.
    pub sas_address: Option<String>,
    /// Negotiated link rate, as the kernel prints it.
    pub link_rate: Option<String>,
    /// Expander it comes through.
    pub expander: Option<String>,
}

/// A bay: enclosure and slot.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Bay {
    /// `front`, `rear`, or the enclosure's id where it cannot be told.
    pub side: String,
    /// Slot number as the enclosure counts.
    pub slot: u32,
}

/// An enclosure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enclosure {
    /// Logical id.
    pub id: String,
    /// Vendor and model.
    pub name: String,
    /// `front`, `rear` or the id.
    pub side: String,
    /// Number of slots.
    pub slots: u32,
}

/// A storage controller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hba {
    /// PCI address.
    pub address: String,
    /// `1000:0097`.
    pub id: String,
    /// `15d9:0808`.
    pub subsystem: Option<String>,
    /// Kernel driver.
    pub driver: Option<String>,
    /// Firmware version.
    pub firmware: Option<String>,
    /// PCI class, six hexadecimal digits.
    pub class: String,
}

/// A network port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nic {
    /// Kernel name: for display only.
    pub kernel_name: String,
    /// Permanent MAC address.
    pub mac: Option<String>,
    /// PCI address.
    pub address: Option<String>,
    /// Port on that function (ConnectX-3 has two on one).
    pub dev_port: u32,
    /// PCI id.
    pub id: Option<String>,
    /// Kernel driver.
    pub driver: Option<String>,
    /// Firmware version.
    pub firmware: Option<String>,
    /// Megabits per second, if the link is up.
    pub speed: Option<u32>,
    /// Link present.
    pub carrier: Option<bool>,
}

/// Baseboard management controller.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bmc {
    /// IANA enterprise number, 10876 for Supermicro.
    pub manufacturer: Option<u32>,
    /// Product id.
    pub product: Option<u32>,
    /// Firmware revision.
    pub firmware: Option<String>,
}

/// Something that lies on disks: an array, a pool, a volume group, a file system, a partition table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// `md`, `zfs`, `lvm`, `filesystem`, `gpt`, ...
    pub kind: String,
    /// Name or label.
    pub name: Option<String>,
    /// UUID or GUID.
    pub uuid: Option<String>,
    /// Disks under it.
    pub disks: Vec<DiskId>,
    /// Detail for people.
    pub detail: Option<String>,
}

/// A fact that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// What.
    pub part: String,
    /// Why.
    pub reason: String,
}
