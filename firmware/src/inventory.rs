//! The inventory: a machine as plain data. Made by the probe, captured, replayed, compared, planned from.

use std::collections::BTreeMap;

use roles::selector::Transport;
use serde::{Deserialize, Serialize};

/// Everything known of one machine. A fact that could not be read is absent and has a [`Gap`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Inventory {
    /// Board and chassis.
    pub board: Board,
    /// Firmware interface this boot came through.
    pub boot: BootMode,
    /// Secure Boot enforced; absent without UEFI.
    pub secure_boot: Option<bool>,
    /// Sockets in use.
    pub cpus: Vec<Cpu>,
    /// Bytes of memory.
    pub memory: u64,
    /// Memory modules that are fitted (SMBIOS type 17).
    pub modules: Vec<MemoryModule>,
    /// Expansion slots (SMBIOS type 9).
    pub slots: Vec<Slot>,
    /// Power supplies (SMBIOS type 39).
    pub power_supplies: Vec<PowerSupply>,
    /// Disks, folded by WWN, then serial.
    pub disks: Vec<Disk>,
    /// Kernel names of CD and DVD drives (a BMC's virtual CD is one): never install disks.
    pub optical: Vec<String>,
    /// Paths that the kernel does not use, by kernel name, with the SCSI state: `offline`.
    pub dead_paths: BTreeMap<String, String>,
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
#[serde(default)]
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
    /// System serial number (type 1), often a placeholder.
    pub system_serial: Option<String>,
    /// System UUID.
    pub uuid: Option<String>,
    /// Chassis vendor: `Default string` on an X10DRH.
    pub chassis_vendor: Option<String>,
    /// Chassis type number, 23 is a rack mount chassis.
    pub chassis_type: Option<u32>,
    /// Chassis serial number.
    pub chassis_serial: Option<String>,
    /// Sockets the board has, in use or not (SMBIOS type 4); 0 if unknown.
    pub sockets: u32,
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cpu {
    /// Socket number.
    pub socket: u32,
    /// Model name.
    pub model: String,
    /// Cores.
    pub cores: u32,
}

/// Stable name of a disk: `wwn-0x5000cca261280e69`, else `serial-<vendor>-<model>-<serial>`, else `path-<by-path>`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DiskId(pub String);

impl std::fmt::Display for DiskId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// One physical disk, however many paths lead to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
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
    /// Mount points and `swap` that lie on it now.
    pub mounted: Vec<String>,
    /// Why it cannot be used (size 0, 520-byte sectors, it says it is failing, ...).
    pub faults: Vec<String>,
    /// What it says of its own health; absent if it was not asked or did not say.
    pub health: Option<Health>,
}

/// A disk's own verdict on itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum Health {
    /// Nothing to complain of.
    Passed,
    /// It complains of something that is not its own failure: `SMART: it is too hot (0B/01)`.
    Warned {
        /// What it complains of.
        cause: String,
    },
    /// It predicts or admits its failure; this is a fault, too.
    Failing {
        /// What it says: `SMART: a threshold is exceeded`.
        cause: String,
    },
    /// Said by a newer release.
    #[serde(other)]
    Unknown,
}

impl Default for Disk {
    fn default() -> Self {
        Self {
            id: DiskId::default(),
            vendor: None,
            model: None,
            serial: None,
            wwn: None,
            firmware: None,
            size: 0,
            logical_sector: 512,
            physical_sector: 512,
            rotational: None,
            transport: Transport::Unknown,
            paths: Vec::new(),
            bay: None,
            removable: false,
            read_only: false,
            boot_medium: false,
            mounted: Vec::new(),
            faults: Vec::new(),
            health: None,
        }
    }
}

/// One path to a disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct Bay {
    /// `front`, `rear`, or the enclosure's id where it cannot be told.
    pub side: String,
    /// Slot number as the enclosure counts.
    pub slot: u32,
}

/// An enclosure.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
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
    /// Option ROM version; `00.00.00.00` means none is flashed, which is fine.
    pub bios: Option<String>,
    /// Board name the driver reports, such as `SAS9300-8i`.
    pub board: Option<String>,
    /// PCI Express link.
    pub link: Option<PcieLink>,
    /// NUMA node, so the processor it hangs off.
    pub numa: Option<u32>,
    /// `it` or `ir`; absent if it cannot be told.
    pub mode: Option<String>,
}

/// A network port.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
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
    /// PCI subsystem id.
    pub subsystem: Option<String>,
    /// Port type of a Mellanox adapter: `eth`, `ib`, `auto (ib)`.
    pub port_type: Option<String>,
    /// Board id (PSID) of a Mellanox adapter.
    pub board_id: Option<String>,
    /// PCI Express link of the function.
    pub link: Option<PcieLink>,
    /// NUMA node.
    pub numa: Option<u32>,
    /// What sits in the port's cage.
    pub module: Option<PortModule>,
    /// Why there is no module, or none that can be read; absent for ports without a cage.
    pub no_module: Option<String>,
}

/// An SFP or QSFP module, or the end of a cable that has them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PortModule {
    /// `SFP+`, `QSFP28`.
    pub form: String,
    /// `10GBASE-SR`, `direct attach copper`; absent if its memory names nothing known.
    pub kind: Option<String>,
    /// Vendor.
    pub vendor: Option<String>,
    /// Part number.
    pub part: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// Nanometres.
    pub wavelength: Option<u32>,
    /// Metres of the cable that is part of it.
    pub length: Option<u32>,
    /// Degrees Celsius.
    pub temperature: Option<i32>,
    /// Light that comes in, in nanowatts, by lane; empty if it is not measured.
    pub receive_power: Vec<u32>,
}

/// Baseboard management controller.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Bmc {
    /// IANA enterprise number, 10876 for Supermicro.
    pub manufacturer: Option<u32>,
    /// Product id.
    pub product: Option<u32>,
    /// Firmware revision.
    pub firmware: Option<String>,
    /// GUID.
    pub guid: Option<String>,
    /// `/dev/ipmi0` answers (or answered, in a capture).
    pub answers: bool,
    /// LAN channel, if one was asked for and found.
    pub lan: Option<BmcLan>,
    /// The factory's account still has the factory's password; absent if it was not tried. A capture never says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factory_password: Option<bool>,
}

/// The BMC's network settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BmcLan {
    /// IPMI channel number.
    pub channel: u8,
    /// MAC address.
    pub mac: Option<String>,
    /// IPv4 address.
    pub address: Option<String>,
    /// IPv4 net mask.
    pub mask: Option<String>,
    /// IPv4 gateway.
    pub gateway: Option<String>,
    /// `static`, `dhcp` or the number.
    pub source: Option<String>,
    /// VLAN id, if one is set.
    pub vlan: Option<u16>,
    /// Supermicro: `dedicated`, `shared`, `failover`.
    pub mode: Option<String>,
}

/// A PCI Express link: what it runs at and what it could.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PcieLink {
    /// `8.0 GT/s PCIe`.
    pub speed: Option<String>,
    /// Lanes.
    pub width: Option<u32>,
    /// Best speed of the device.
    pub max_speed: Option<String>,
    /// Most lanes of the device.
    pub max_width: Option<u32>,
}

/// One memory module.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemoryModule {
    /// `P1-DIMMA1`.
    pub locator: String,
    /// Bytes.
    pub size: u64,
    /// Part number, trimmed.
    pub part: Option<String>,
    /// Rated speed in mega transfers per second.
    pub speed: Option<u32>,
    /// Configured speed: lower when the processor limits it, which is harmless.
    pub configured_speed: Option<u32>,
}

/// One expansion slot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Slot {
    /// `CPU2 SLOT4 PCI-E 3.0 X8`.
    pub name: String,
    /// Something is fitted, as far as the firmware says.
    pub used: Option<bool>,
    /// PCI address of what is behind it; absent if nothing is (bus `ff`), as when its processor is missing.
    pub address: Option<String>,
}

/// One power supply.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PowerSupply {
    /// `PWS-1K28P-SQ`.
    pub model: Option<String>,
    /// Watt.
    pub watts: Option<u32>,
    /// Present, as far as the firmware says.
    pub present: bool,
}

/// Something that lies on disks: an array, a pool, a volume group, a file system, a partition table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
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
    /// Who used it last: host name or hostid.
    pub host: Option<String>,
    /// Running now (assembled, imported), not only a label.
    pub active: bool,
}

/// A fact that could not be read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Gap {
    /// What.
    pub part: String,
    /// Why.
    pub reason: String,
}
