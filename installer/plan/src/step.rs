//! The plan as data: ordered typed steps, each with what it destroys. Printable, digestible, executed by `run::engine`.

use std::collections::{BTreeMap, BTreeSet};

use firmware::inventory::DiskId;
use roles::role::Purpose;
use roles::wiring::BmcSettings;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Everything an install will do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Node name.
    pub node: String,
    /// Role name.
    pub role: String,
    /// sha256 of the facts of the disks the plan uses (identity, size, sectors): another disk in the machine, a new kernel
    /// name or a bay that could not be read do not change it.
    pub inventory: String,
    /// In order.
    pub steps: Vec<Step>,
    /// Why the layout is as it is, line by line.
    pub notes: Vec<String>,
    /// The disks the plan uses and for what: for people, not for the engine.
    #[serde(default)]
    pub disks: Vec<PlannedDisk>,
    /// What of others lies on disks that will be destroyed and was allowed by name.
    #[serde(default)]
    pub guards: Vec<Guard>,
}

impl Plan {
    /// sha256 of the canonical JSON of what will be done: node, role, facts of the disks used, steps without their titles. It
    /// holds no kernel name and nothing of what lies on the disks, so that probing again after a reboot gives the same
    /// digest.
    #[must_use]
    pub fn digest(&self) -> String {
        let steps: Vec<_> = self
            .steps
            .iter()
            .map(|step| (&step.id, &step.destroys, &step.done_when, &step.action))
            .collect();
        let what = (&self.node, &self.role, &self.inventory, steps);
        // Struct fields in order of declaration, maps sorted: serde_json's text is canonical as it stands.
        let text = serde_json::to_vec(&what).unwrap_or_else(|_| format!("{what:?}").into_bytes());
        hex::encode(Sha256::digest(&text))
    }

    /// It brings back what a changed disk took away, and installs nothing.
    #[must_use]
    pub fn is_repair(&self) -> bool {
        self.steps
            .last()
            .is_some_and(|step| step.action.ends_repair())
    }

    /// It empties disks and makes nothing.
    #[must_use]
    pub fn is_decommission(&self) -> bool {
        !self.steps.is_empty()
            && self
                .steps
                .iter()
                .all(|step| matches!(step.action, Action::Wipe { .. }))
    }

    /// All disks whose content is gone afterwards.
    #[must_use]
    pub fn destroys(&self) -> BTreeSet<DiskId> {
        self.steps
            .iter()
            .flat_map(|step| step.destroys.iter().cloned())
            .collect()
    }
}

/// One disk of the plan as people know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedDisk {
    /// Stable name.
    pub id: DiskId,
    /// Group: `os`, `data mysql`, `log tank`, ...
    pub group: String,
    /// What for.
    pub purpose: Purpose,
    /// `front:3`.
    pub bay: Option<String>,
    /// Full model name.
    pub model: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// World wide name.
    pub wwn: Option<String>,
    /// Bytes.
    pub size: u64,
    /// What lies on it now, for people.
    pub holds: Vec<String>,
}

/// Something of others on a disk that the plan would destroy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    /// `zfs`, `lvm`, `imsm`, ...
    pub kind: String,
    /// Name or label.
    pub name: Option<String>,
    /// What it must be called by to be allowed: its UUID, else `kind:name`, else the first disk.
    pub key: String,
    /// Disks of the plan under it.
    pub disks: Vec<DiskId>,
    /// Why it is guarded.
    pub reason: String,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// `03-array-os`: stable within a plan.
    pub id: String,
    /// For people.
    pub title: String,
    /// Disks whose content is gone afterwards. Only these are opened for writing by this step.
    pub destroys: Vec<DiskId>,
    /// How to tell that it was done.
    pub done_when: Check,
    /// What to do.
    pub action: Action,
}

/// Names a block device without naming a kernel device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "device", rename_all = "kebab-case")]
pub enum Device {
    /// A whole disk.
    Disk {
        /// Disk.
        disk: DiskId,
    },
    /// A partition of a disk, by number.
    Partition {
        /// Disk.
        disk: DiskId,
        /// From 1.
        number: u32,
    },
    /// An md array.
    Array {
        /// Array UUID.
        uuid: String,
    },
    /// A partition inside an md array.
    ArrayPartition {
        /// Array UUID.
        uuid: String,
        /// From 1.
        number: u32,
    },
}

/// One partition to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partition {
    /// GPT partition name.
    pub name: String,
    /// GPT type GUID.
    pub kind: String,
    /// Partition GUID.
    pub uuid: String,
    /// Bytes; absent: the rest.
    pub size: Option<u64>,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Action {
    /// Set up the management controller: accounts, LAN, serial console. Touches no disk. The password is not in a plan.
    ConfigureBmc {
        /// What it should be.
        settings: BmcSettings,
    },
    /// Stop what holds the disk, wipe signatures, zero head and tail, read back.
    Wipe {
        /// Disk.
        disk: DiskId,
    },
    /// Write a GPT.
    Partition {
        /// On what.
        device: Device,
        /// Disk GUID.
        uuid: String,
        /// In order.
        partitions: Vec<Partition>,
    },
    /// Create an md array.
    CreateArray {
        /// `os`, `data`.
        name: String,
        /// Array UUID.
        uuid: String,
        /// RAID level.
        level: u32,
        /// Members in order.
        members: Vec<Device>,
        /// Hot spares.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        spares: Vec<Device>,
        /// KiB; absent for level 1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        chunk: Option<u32>,
        /// `--assume-clean`.
        assume_clean: bool,
    },
    /// Create a ZFS pool.
    CreatePool {
        /// Pool name.
        name: String,
        /// hostid, 8 hexadecimal digits, fixed before the pool exists.
        hostid: String,
        /// log2 of the sector.
        ashift: u32,
        /// `mirror A B mirror C D log mirror ...` as typed groups.
        vdevs: Vec<Vdev>,
        /// `-O` properties.
        properties: BTreeMap<String, String>,
    },
    /// Create a ZFS data set.
    CreateDataset {
        /// `tank/mail`.
        name: String,
        /// `-o` properties.
        properties: BTreeMap<String, String>,
    },
    /// Make a file system.
    MakeFileSystem {
        /// On what.
        device: Device,
        /// `ext4`, `xfs`, `vfat`.
        kind: String,
        /// Label.
        label: String,
        /// File system UUID (FAT: volume id, 8 hexadecimal digits).
        uuid: String,
    },
    /// Mark the install as begun: `/state/install.json` says `incomplete`.
    BeginInstall {
        /// State file system.
        state: Device,
    },
    /// Copy the running root image into a slot, first MiB last, read back and compare.
    WriteImage {
        /// Slot device.
        device: Device,
        /// Expected size in bytes.
        size: u64,
        /// Expected digest, hexadecimal.
        sha256: String,
    },
    /// Kernel, initrd, GRUB for BIOS and UEFI on one OS disk, with the fallback path.
    MakeBootable {
        /// OS disk.
        disk: DiskId,
        /// EFI system partition.
        esp: Device,
        /// md array UUID for the kernel command line.
        array: String,
    },
    /// Node file, machine-id, hostid, ssh host keys.
    WriteState {
        /// State file system.
        state: Device,
        /// hostid, 8 hexadecimal digits.
        hostid: String,
        /// machine-id, 32 hexadecimal digits.
        machine_id: String,
        /// File systems to mount in the running appliance: mount point to file system UUID and type.
        mounts: Vec<Mount>,
        /// WWNs (`0x...`) of the disks that the running appliance uses through dm-multipath; none: one path each.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        multipath: Vec<String>,
        /// Permanent MAC address of each port under `[[ports]]`, by its name.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        ports: BTreeMap<String, String>,
    },
    /// Export pools, sync, unmount, mark the install as `unproven`.
    FinishInstall {
        /// State file system.
        state: Device,
        /// Pools to export, so that the next boot does not take them for another host's.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pools: Vec<String>,
    },
    /// Repair: start an array that is there, with the members that are left. Nothing is made and nothing is lost.
    OpenArray {
        /// `os`, `data`.
        name: String,
        /// Array UUID.
        uuid: String,
        /// Members that are there.
        members: Vec<Device>,
        /// Members that a later step brings.
        joining: Vec<Device>,
    },
    /// Repair: import a pool that is there. Nothing is made and nothing is lost.
    OpenPool {
        /// Pool name.
        name: String,
        /// hostid the pool was made with.
        hostid: String,
        /// Members that are there.
        members: Vec<Device>,
        /// Members that a later step brings.
        joining: Vec<Device>,
        /// Its only log device is gone: it is imported without (`-m` of zpool-import(8)).
        without_log: bool,
    },
    /// Repair: note on the state file system that it has begun, and with which permit.
    BeginRepair {
        /// State file system.
        state: Device,
        /// Which disk comes for which.
        replaced: Vec<Replaced>,
    },
    /// Repair: give a degraded array its member back and wait until the rebuild has begun.
    AddMember {
        /// `os`, `data`.
        name: String,
        /// Array UUID.
        array: String,
        /// The new member.
        member: Device,
    },
    /// Repair: make a new OS disk bootable by itself, with kernels, initrds and boot variables of an OS disk that is left:
    /// they belong to the slots in the array, which the medium's own may not.
    CopyBootable {
        /// New OS disk.
        disk: DiskId,
        /// Its EFI system partition.
        esp: Device,
        /// EFI system partition to copy from; only read.
        from: Device,
        /// md array UUID for the kernel command line.
        array: String,
    },
    /// Repair: give a pool a device back and see that it is taken.
    ReplaceMember {
        /// Pool name.
        pool: String,
        /// log2 of the sector.
        ashift: u32,
        /// Word of the vdev: `mirror`, `raidz2`, `log`, `cache`, `spare`.
        vdev: String,
        /// What is gone.
        lost: LostMember,
        /// The new device.
        member: Device,
        /// The vdev can rebuild it (`zpool replace`); else what is gone is removed and the new one added.
        redundant: bool,
    },
    /// Repair: export pools that were imported for it, record the new disks, mark the repair as done.
    FinishRepair {
        /// State file system.
        state: Device,
        /// Pools to export, if the repair imported them.
        pools: Vec<String>,
        /// The plan as if the machine had been installed on the disks it has now.
        record: Box<Plan>,
    },
}

impl Action {
    /// Repair: it ends a plan that brings back what a changed disk took away.
    #[must_use]
    pub fn ends_repair(&self) -> bool {
        matches!(self, Self::FinishRepair { .. })
    }
}

/// A disk that came for another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// The one that is gone.
    pub lost: DiskId,
    /// The one in its place.
    pub new: DiskId,
}

/// How a device that is gone can be found in `zpool status`: its path holds one of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostMember {
    /// Its disk.
    pub disk: DiskId,
    /// GUID of its partition.
    pub partition: String,
    /// World wide name of its disk.
    pub wwn: Option<String>,
    /// Serial number of its disk.
    pub serial: Option<String>,
}

/// A file system mounted by the running appliance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Mount point.
    pub path: String,
    /// File system UUID.
    pub uuid: String,
    /// Type.
    pub kind: String,
}

/// A group of devices in a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vdev {
    /// The word of `zpool create`: `mirror`, `raidz2`, `draid2:8d:36c:2s`, `log`, `cache`, `spare`, `special`; log and special
    /// are mirrors if they have two.
    pub kind: String,
    /// Partitions.
    pub members: Vec<Device>,
}

/// How to tell that a step was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "check", rename_all = "kebab-case")]
pub enum Check {
    /// Cannot be told apart from not done: always do it again.
    Never,
    /// The management controller is as wanted.
    Bmc {
        /// What it should be.
        settings: BmcSettings,
    },
    /// No signature is left.
    Blank {
        /// Disk.
        disk: DiskId,
    },
    /// GPT with this GUID.
    PartitionTable {
        /// On what.
        device: Device,
        /// Disk GUID.
        uuid: String,
    },
    /// Array is there with all members.
    Array {
        /// Array UUID.
        uuid: String,
    },
    /// Array runs for writing, on all of its members or not.
    Running {
        /// Array UUID.
        uuid: String,
    },
    /// The device takes part in the array, or waits as a spare of an array that lacks nobody.
    Member {
        /// Array UUID.
        array: String,
        /// Device.
        member: Device,
    },
    /// The device is part of the imported pool and can be used.
    PoolMember {
        /// Pool name.
        pool: String,
        /// Device.
        member: Device,
    },
    /// File system with this UUID.
    FileSystem {
        /// On what.
        device: Device,
        /// UUID.
        uuid: String,
    },
    /// Pool of this name is imported or importable, made by this hostid.
    Pool {
        /// Name.
        name: String,
    },
    /// Data set exists.
    Dataset {
        /// Name.
        name: String,
    },
    /// First `size` bytes have this digest.
    Content {
        /// On what.
        device: Device,
        /// Bytes.
        size: u64,
        /// Digest.
        sha256: String,
    },
}
