//! What the simulated machine consists of, and who may write where.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::sparse::Sparse;

/// A disk of the simulated machine.
#[derive(Debug, Clone, Default)]
pub struct SimulatedDisk {
    /// Bytes.
    pub size: u64,
    /// `0x` and 16 hexadecimal digits.
    pub wwn: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// Major and minor number.
    pub device: (u32, u32),
    pub(super) bytes: Sparse,
}

impl SimulatedDisk {
    /// A blank disk.
    pub fn new(size: u64, device: (u32, u32)) -> Self {
        Self {
            size,
            device,
            ..Self::default()
        }
    }

    /// With a world wide name.
    #[must_use]
    pub fn wwn(mut self, wwn: &str) -> Self {
        self.wwn = Some(wwn.to_owned());
        self
    }

    /// With a serial number.
    #[must_use]
    pub fn serial(mut self, serial: &str) -> Self {
        self.serial = Some(serial.to_owned());
        self
    }
}

pub(super) type Files = BTreeMap<Utf8PathBuf, (Vec<u8>, u32)>;

/// Network function, command and data in; completion code and data out.
pub(super) type Controller = dyn FnMut(u8, u8, &[u8]) -> Option<Vec<u8>> + Send;

#[derive(Clone, Default)]
pub(super) struct State {
    /// Management controller.
    pub bmc: Option<Arc<Mutex<Controller>>>,
    pub disks: BTreeMap<String, SimulatedDisk>,
    /// Mapped devices (LVM, multipath) by kernel name, with what they lie on.
    pub mappings: BTreeMap<String, Vec<String>>,
    /// Content of arrays by plain UUID; valid while the members carry the superblock.
    pub array_bytes: BTreeMap<String, Sparse>,
    /// Assembled arrays by kernel name.
    pub arrays: BTreeMap<String, Array>,
    /// Files by plain file system UUID.
    pub file_systems: BTreeMap<String, Files>,
    /// The live system's own files, in memory.
    pub live_files: Files,
    pub mounts: Vec<Mount>,
    pub imported: BTreeSet<String>,
    /// Of these, the ones that were imported below another root.
    pub altroot: BTreeSet<String>,
    /// What each pool knows of its devices.
    pub pools: BTreeMap<String, Vec<PoolLeaf>>,
    pub datasets: BTreeSet<String>,
    pub consoles: BTreeMap<Utf8PathBuf, Vec<u8>>,
    pub urls: BTreeMap<String, Vec<u8>>,
    pub answers: Vec<(String, Result<String, String>)>,
    pub commands: Vec<String>,
    pub violations: Vec<String>,
    /// Disks that may be written raw, and disks whose arrays and file systems may be.
    pub allowed: Option<(BTreeSet<String>, BTreeSet<String>)>,
    pub clock: Duration,
}

#[derive(Clone)]
pub(super) struct Mount {
    pub target: Utf8PathBuf,
    pub node: String,
    pub uuid: String,
    pub read_only: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Array {
    pub record: ArrayRecord,
    pub members: Vec<String>,
    pub read_only: bool,
}

/// What `sfdisk` leaves at the start of a device.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Table {
    pub uuid: String,
    pub partitions: Vec<TableEntry>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct TableEntry {
    pub name: String,
    pub uuid: String,
    pub start: u64,
    pub size: u64,
}

/// What `mdadm --create` leaves on each member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ArrayRecord {
    pub uuid: String,
    pub level: u32,
    pub devices: usize,
    pub size: u64,
}

/// What `mkfs` leaves.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct FileSystemRecord {
    pub kind: String,
    pub uuid: String,
}

/// What `zpool create` leaves on each member.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct PoolRecord {
    pub pool: String,
    pub guid: u64,
}

/// A device as its pool remembers it.
#[derive(Clone)]
pub(super) struct PoolLeaf {
    pub guid: u64,
    pub path: String,
}

/// Where each kind of record lies.
pub(super) const TABLE_AT: u64 = 512;
pub(super) const FILE_SYSTEM_AT: u64 = 1024 + 32 * 1024;
pub(super) const ARRAY_AT: u64 = 4096;
pub(super) const POOL_AT: u64 = 16 * 1024;
/// A record takes this much room at most.
const RECORD: usize = 2048;

/// Only the hexadecimal digits, lower case: UUIDs are written in many ways.
pub(super) fn plain(uuid: &str) -> String {
    uuid.chars()
        .filter(char::is_ascii_hexdigit)
        .map(|digit| digit.to_ascii_lowercase())
        .collect()
}

fn denied(text: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, text.into())
}

impl State {
    pub fn add_disk(&mut self, name: &str, disk: SimulatedDisk) {
        self.disks.insert(name.to_owned(), disk);
    }

    pub fn power_cycle(&mut self) {
        self.arrays.clear();
        self.mappings.clear();
        self.mounts.clear();
        self.imported.clear();
        self.altroot.clear();
        self.live_files.clear();
        self.allowed = None;
    }

    /// A disk is pulled: arrays go on without it.
    pub fn remove_disk(&mut self, name: &str) {
        let gone = self.partition_names(name);
        for array in self.arrays.values_mut() {
            array.members.retain(|member| !gone.contains(member));
        }
        self.disks.remove(name);
    }

    pub fn swap_names(&mut self, one: &str, other: &str) {
        if let (Some(mut first), Some(mut second)) =
            (self.disks.remove(one), self.disks.remove(other))
        {
            std::mem::swap(&mut first.device, &mut second.device);
            self.disks.insert(other.to_owned(), first);
            self.disks.insert(one.to_owned(), second);
        }
    }

    /// `/dev/sda1` to `sda1`; `/dev/md/os` to the array's kernel name.
    pub fn node_name(&self, device: &Utf8Path) -> Option<String> {
        let name = device.as_str().strip_prefix("/dev/")?;
        if let Some(uuid) = name.strip_prefix("disk/by-partuuid/") {
            let disks: Vec<String> = self.disks.keys().cloned().collect();
            let mut partitions = disks.iter().flat_map(|disk| self.partition_names(disk));
            return partitions.find(|name| {
                self.partition(name)
                    .is_some_and(|(_, entry)| plain(&entry.uuid) == plain(uuid))
            });
        }
        self.node_size(name).map(|_| name.to_owned())
    }

    /// Parent and window of a partition: `sda1` is `sda` from 1 MiB on.
    pub fn partition(&self, name: &str) -> Option<(String, TableEntry)> {
        let whole: Vec<String> = self
            .disks
            .keys()
            .chain(self.arrays.keys())
            .cloned()
            .collect();
        whole.into_iter().find_map(|parent| {
            let rest = name.strip_prefix(&parent)?;
            let digits = if parent.ends_with(|last: char| last.is_ascii_digit()) {
                rest.strip_prefix('p')?
            } else {
                rest
            };
            let number: usize = digits.parse().ok()?;
            let entry = self
                .table(&parent)?
                .partitions
                .get(number.checked_sub(1)?)?
                .clone();
            Some((parent, entry))
        })
    }

    pub fn partition_names(&self, parent: &str) -> Vec<String> {
        let count = self.table(parent).map_or(0, |table| table.partitions.len());
        let letter = if parent.ends_with(|last: char| last.is_ascii_digit()) {
            "p"
        } else {
            ""
        };
        (1..=count)
            .map(|number| format!("{parent}{letter}{number}"))
            .collect()
    }

    pub fn node_size(&self, name: &str) -> Option<u64> {
        if let Some(disk) = self.disks.get(name) {
            return Some(disk.size);
        }
        if let Some(array) = self.arrays.get(name) {
            return Some(array.record.size);
        }
        if let Some(under) = self.mappings.get(name) {
            return under.iter().filter_map(|node| self.node_size(node)).min();
        }
        self.partition(name).map(|(_, entry)| entry.size)
    }

    pub fn read_node(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let size = self.node_size(name).ok_or(io::ErrorKind::NotFound)?;
        if offset + buffer.len() as u64 > size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(disk) = self.disks.get(name) {
            disk.bytes.read(offset, buffer);
        } else if let Some(array) = self.arrays.get(name) {
            match self.array_bytes.get(&plain(&array.record.uuid)) {
                Some(bytes) => bytes.read(offset, buffer),
                None => buffer.fill(0),
            }
        } else if let Some((parent, entry)) = self.partition(name) {
            return self.read_node(&parent, entry.start + offset, buffer);
        }
        Ok(())
    }

    pub fn write_node(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let size = self.node_size(name).ok_or(io::ErrorKind::NotFound)?;
        if offset + bytes.len() as u64 > size {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if let Some(disk) = self.disks.get_mut(name) {
            disk.bytes.write(offset, bytes);
        } else if let Some(array) = self.arrays.get(name) {
            if array.read_only {
                return Err(denied("array is read-only"));
            }
            let uuid = plain(&array.record.uuid);
            self.array_bytes
                .entry(uuid)
                .or_default()
                .write(offset, bytes);
        } else if let Some((parent, entry)) = self.partition(name) {
            return self.write_node(&parent, entry.start + offset, bytes);
        }
        Ok(())
    }

    pub fn record<T: DeserializeOwned>(&self, name: &str, at: u64) -> Option<T> {
        let mut buffer = vec![0; RECORD];
        self.read_node(name, at, &mut buffer).ok()?;
        let end = buffer.iter().position(|byte| *byte == 0)?;
        serde_json::from_slice(&buffer[..end]).ok()
    }

    pub fn put_record<T: Serialize>(&mut self, name: &str, at: u64, record: &T) -> io::Result<()> {
        let mut buffer = serde_json::to_vec(record)?;
        if buffer.len() >= RECORD {
            return Err(io::ErrorKind::InvalidData.into());
        }
        buffer.resize(RECORD, 0);
        self.write_node(name, at, &buffer)
    }

    pub fn table(&self, name: &str) -> Option<Table> {
        self.record(name, TABLE_AT)
    }

    /// The physical disks under a node.
    pub fn disks_under(&self, name: &str) -> BTreeSet<String> {
        if self.disks.contains_key(name) {
            return BTreeSet::from([name.to_owned()]);
        }
        if let Some(array) = self.arrays.get(name) {
            return array
                .members
                .iter()
                .flat_map(|member| self.disks_under(member))
                .collect();
        }
        if let Some(under) = self.mappings.get(name) {
            return under
                .iter()
                .flat_map(|node| self.disks_under(node))
                .collect();
        }
        self.partition(name)
            .map(|(parent, _)| self.disks_under(&parent))
            .unwrap_or_default()
    }

    fn on_array(&self, name: &str) -> bool {
        self.arrays.contains_key(name)
            || self
                .partition(name)
                .is_some_and(|(parent, _)| self.arrays.contains_key(&parent))
    }

    /// What claims a node: mounts and arrays on it or on its partitions.
    pub fn users(&self, name: &str) -> Vec<String> {
        let mut nodes = self.partition_names(name);
        nodes.push(name.to_owned());
        let mounts = self
            .mounts
            .iter()
            .filter(|mount| nodes.contains(&mount.node));
        let arrays = self
            .arrays
            .iter()
            .filter(|(_, array)| array.members.iter().any(|member| nodes.contains(member)));
        let mappings = self
            .mappings
            .iter()
            .filter(|(_, under)| under.iter().any(|node| nodes.contains(node)));
        mounts
            .map(|mount| mount.target.to_string())
            .chain(arrays.map(|(name, _)| name.clone()))
            .chain(mappings.map(|(name, _)| name.clone()))
            .collect()
    }

    /// A raw write to a node: allowed by the engine's word, and nothing else uses it.
    pub fn check_write(&mut self, name: &str) -> io::Result<()> {
        if let Some(user) = self.users(name).first() {
            return Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                format!("in use by {user}"),
            ));
        }
        self.check_allowed(name, self.on_array(name))
    }

    fn check_allowed(&mut self, name: &str, built: bool) -> io::Result<()> {
        let under = self.disks_under(name);
        let fits = match &self.allowed {
            None => false,
            Some((disks, built_from)) => under.is_subset(if built { built_from } else { disks }),
        };
        if fits && !under.is_empty() {
            return Ok(());
        }
        self.violations.push(format!(
            "write to {name} on {under:?}, allowed {:?}",
            self.allowed
        ));
        Err(denied("outside of what may be destroyed"))
    }

    pub fn mount(
        &mut self,
        source: &Utf8Path,
        target: &Utf8Path,
        kind: &str,
        read_only: bool,
    ) -> io::Result<()> {
        let node = self.node_name(source).ok_or(io::ErrorKind::NotFound)?;
        let record: FileSystemRecord = self
            .record(&node, FILE_SYSTEM_AT)
            .ok_or(io::ErrorKind::InvalidInput)?;
        if record.kind != kind {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if !read_only {
            self.check_allowed(&node, true)?;
            let parent = self
                .partition(&node)
                .map_or(node.clone(), |(parent, _)| parent);
            if self
                .arrays
                .get(&parent)
                .is_some_and(|array| array.read_only)
            {
                return Err(denied("array is read-only"));
            }
        }
        self.mounts.push(Mount {
            target: target.to_owned(),
            node,
            uuid: plain(&record.uuid),
            read_only,
        });
        Ok(())
    }

    pub fn unmount(&mut self, target: &Utf8Path) -> io::Result<()> {
        let at = self.mounts.iter().rposition(|mount| mount.target == target);
        self.mounts.remove(at.ok_or(io::ErrorKind::InvalidInput)?);
        Ok(())
    }

    fn mount_of(&self, path: &Utf8Path) -> Option<(&Mount, Utf8PathBuf)> {
        self.mounts.iter().rev().find_map(|mount| {
            let inner = path.strip_prefix(&mount.target).ok()?;
            Some((mount, Utf8Path::new("/").join(inner)))
        })
    }

    /// The files a path belongs to, and the path in there.
    pub fn files_at(&self, path: &Utf8Path) -> (Option<&Files>, Utf8PathBuf) {
        match self.mount_of(path) {
            Some((mount, inner)) => (self.file_systems.get(&mount.uuid), inner),
            None => (Some(&self.live_files), path.to_owned()),
        }
    }

    pub fn put_file(&mut self, path: &Utf8Path, content: Vec<u8>, mode: u32) -> io::Result<()> {
        match self.mount_of(path) {
            Some((mount, _)) if mount.read_only => Err(io::ErrorKind::ReadOnlyFilesystem.into()),
            Some((mount, inner)) => {
                let uuid = mount.uuid.clone();
                self.file_systems
                    .entry(uuid)
                    .or_default()
                    .insert(inner, (content, mode));
                Ok(())
            }
            None => {
                self.live_files.insert(path.to_owned(), (content, mode));
                Ok(())
            }
        }
    }

    pub fn remove_file(&mut self, path: &Utf8Path) {
        match self
            .mount_of(path)
            .map(|(mount, inner)| (mount.uuid.clone(), inner))
        {
            Some((uuid, inner)) => {
                self.file_systems.entry(uuid).or_default().remove(&inner);
            }
            None => {
                self.live_files.remove(path);
            }
        }
    }

    pub fn list_files(&self, path: &Utf8Path) -> Option<Vec<String>> {
        let (files, inner) = self.files_at(path);
        let names: BTreeSet<String> = files?
            .keys()
            .filter_map(|file| file.strip_prefix(&inner).ok()?.components().next())
            .map(|component| component.to_string())
            .collect();
        (!names.is_empty()).then(|| names.into_iter().collect())
    }
}
