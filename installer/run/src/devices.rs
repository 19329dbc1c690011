//! From the plan's devices to this boot's nodes, and which disks lie under them.
//!
//! Arrays are found by UUID, never by name (an array may come up as md127), and only accepted if they lie on the very disks
//! the plan builds them from.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use firmware::inventory::{Disk, DiskId, Inventory};
use plan::{Action, Device, DevicePaths, Plan, commands::UnknownDevice};
use system::{Command, System};

use crate::identity;

/// Devices of one plan on one machine.
pub struct Devices<'a> {
    system: &'a dyn System,
    disks: BTreeMap<DiskId, &'a Disk>,
    /// Plain array UUID to the disks under it.
    arrays: BTreeMap<String, BTreeSet<DiskId>>,
    /// All disks the plan destroys.
    destroys: BTreeSet<DiskId>,
    /// Disks under pools that are there and stay.
    pools: BTreeSet<DiskId>,
    /// GUIDs of the partitions the plan makes.
    partitions: BTreeMap<(DiskId, u32), String>,
}

impl<'a> Devices<'a> {
    /// Takes arrays from the plan and disks from the inventory.
    pub fn new(system: &'a dyn System, plan: &Plan, inventory: &'a Inventory) -> Self {
        let mut devices = Self {
            system,
            disks: inventory
                .disks
                .iter()
                .map(|disk| (disk.id.clone(), disk))
                .collect(),
            arrays: BTreeMap::new(),
            destroys: plan.destroys(),
            pools: BTreeSet::new(),
            partitions: BTreeMap::new(),
        };
        for step in &plan.steps {
            match &step.action {
                Action::CreateArray {
                    uuid,
                    members,
                    spares: more,
                    ..
                }
                | Action::OpenArray {
                    uuid,
                    members,
                    joining: more,
                    ..
                } => {
                    let under = members
                        .iter()
                        .chain(more)
                        .flat_map(|member| devices.under(member))
                        .collect();
                    devices.arrays.insert(plain(uuid), under);
                }
                Action::OpenPool {
                    members, joining, ..
                } => {
                    let under: Vec<DiskId> = members
                        .iter()
                        .chain(joining)
                        .flat_map(|member| devices.under(member))
                        .collect();
                    devices.pools.extend(under);
                }
                // What is there and stays is named by the record.
                Action::FinishRepair { record, .. } => {
                    for step in &record.steps {
                        devices.name_partitions(&step.action);
                    }
                }
                action @ Action::Partition { .. } => devices.name_partitions(action),
                _ => {}
            }
        }
        devices
    }

    fn name_partitions(&mut self, action: &Action) {
        if let Action::Partition {
            device: Device::Disk { disk },
            partitions,
            ..
        } = action
        {
            for (number, partition) in (1..).zip(partitions) {
                let uuid = partition.uuid.to_lowercase();
                self.partitions.insert((disk.clone(), number), uuid);
            }
        }
    }

    /// All disks that arrays, pools and file systems of the plan lie on: those it destroys, and in a repair those whose
    /// content stays.
    pub fn built_from(&self) -> BTreeSet<DiskId> {
        let arrays = self.arrays.values().flatten();
        self.destroys
            .iter()
            .chain(&self.pools)
            .chain(arrays)
            .cloned()
            .collect()
    }

    /// Kernel names of disks, with all paths to them: what lies on a second path lies on the same disk.
    pub fn all_names<'b>(&self, disks: impl IntoIterator<Item = &'b DiskId>) -> BTreeSet<String> {
        disks
            .into_iter()
            .filter_map(|disk| self.disk(disk).ok())
            .flat_map(|disk| disk.paths.iter().map(|path| path.kernel_name.clone()))
            .collect()
    }

    /// All disks the plan destroys.
    pub fn destroys(&self) -> &BTreeSet<DiskId> {
        &self.destroys
    }

    /// A disk of the inventory.
    pub fn disk(&self, id: &DiskId) -> Result<&'a Disk, UnknownDevice> {
        self.disks.get(id).copied().ok_or_else(|| UnknownDevice {
            device: id.to_string(),
            reason: "not in the inventory".into(),
        })
    }

    /// This boot's kernel name of a disk.
    pub fn kernel_name(&self, id: &DiskId) -> Result<String, UnknownDevice> {
        let disk = self.disk(id)?;
        let path = disk.paths.first().ok_or_else(|| UnknownDevice {
            device: id.to_string(),
            reason: "it has no kernel name".into(),
        })?;
        Ok(path.kernel_name.clone())
    }

    /// The plan's disks under a device, from the plan alone.
    pub fn under(&self, device: &Device) -> BTreeSet<DiskId> {
        match device {
            Device::Disk { disk } | Device::Partition { disk, .. } => {
                BTreeSet::from([disk.clone()])
            }
            Device::Array { uuid } | Device::ArrayPartition { uuid, .. } => {
                self.arrays.get(&plain(uuid)).cloned().unwrap_or_default()
            }
        }
    }

    /// Kernel names of the nodes that arrays and file systems of this plan lie on.
    pub fn kernel_names<'b>(
        &self,
        disks: impl IntoIterator<Item = &'b DiskId>,
    ) -> BTreeSet<String> {
        disks
            .into_iter()
            .filter_map(|disk| self.kernel_name(disk).ok())
            .collect()
    }

    /// Kernel name of the running array with this UUID; absent if it is not running.
    pub fn running_array(&self, uuid: &str) -> Result<Option<String>, UnknownDevice> {
        let found = running_arrays(self.system)
            .into_iter()
            .find(|(_, other)| *other == plain(uuid));
        let Some((name, _)) = found else {
            return Ok(None);
        };
        // Another disk that carries the same UUID (a clone, a disk put back) must not come in this way.
        let wanted = self.arrays.get(&plain(uuid)).cloned().unwrap_or_default();
        let wanted = self.all_names(&wanted);
        let under = disks_under(self.system, &name);
        if under.is_subset(&wanted) {
            return Ok(Some(name));
        }
        let list = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
        Err(UnknownDevice {
            device: format!("array {uuid}"),
            reason: format!(
                "`{name}` lies on {}, the plan's lies on {}",
                list(&under),
                list(&wanted)
            ),
        })
    }
}

impl DevicePaths for Devices<'_> {
    fn path(&self, device: &Device) -> Result<String, UnknownDevice> {
        let array = |uuid: &str| {
            self.running_array(uuid)?.ok_or_else(|| UnknownDevice {
                device: format!("array {uuid}"),
                reason: "it is not running".into(),
            })
        };
        let name = match device {
            Device::Disk { disk } => self.kernel_name(disk)?,
            Device::Partition { disk, number } => partition(&self.kernel_name(disk)?, *number),
            Device::Array { uuid } => array(uuid)?,
            Device::ArrayPartition { uuid, number } => partition(&array(uuid)?, *number),
        };
        let path = format!("/dev/{name}");
        if self.system.exists(Utf8Path::new(&path)) {
            return Ok(path);
        }
        Err(UnknownDevice {
            device: path,
            reason: "there is no such node".into(),
        })
    }

    /// By the GUID of the partition, if the plan made it and udev's link leads to the very node that is meant (with several
    /// paths it may lead to another).
    fn stable(&self, device: &Device) -> Result<String, UnknownDevice> {
        let path = self.path(device)?;
        if let Device::Partition { disk, number } = device
            && let Some(uuid) = self.partitions.get(&(disk.clone(), *number))
        {
            let link = format!("/dev/disk/by-partuuid/{uuid}");
            if self
                .system
                .resolve(Utf8Path::new(&link))
                .is_ok_and(|node| node == path.as_str())
            {
                return Ok(link);
            }
        }
        Ok(path)
    }
}

/// `sda` and 1 to `sda1`, `nvme0n1` and 1 to `nvme0n1p1` (block/partitions/core.c).
pub fn partition(parent: &str, number: u32) -> String {
    if parent.ends_with(|last: char| last.is_ascii_digit()) {
        format!("{parent}p{number}")
    } else {
        format!("{parent}{number}")
    }
}

/// Only the hexadecimal digits, lower case: mdadm, udev and the kernel write array UUIDs in different ways.
pub fn plain(uuid: &str) -> String {
    uuid.chars()
        .filter(char::is_ascii_hexdigit)
        .map(|digit| digit.to_ascii_lowercase())
        .collect()
}

/// A value of `NAME=value` lines, as `mdadm --export` and `blkid --output export` write them.
pub fn exported<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}

/// Running md arrays: kernel name and plain UUID.
pub fn running_arrays(system: &dyn System) -> Vec<(String, String)> {
    let names = system
        .list(Utf8Path::new("/sys/class/block"))
        .unwrap_or_default();
    names
        .into_iter()
        .filter(|name| name.starts_with("md") && !is_partition(system, name))
        .filter_map(|name| {
            let command = Command::new("mdadm")
                .args(["--detail", "--export"])
                .arg(format!("/dev/{name}"));
            let output = system.run(&command).ok()?;
            let uuid = plain(exported(&output.stdout, "MD_UUID")?);
            Some((name, uuid))
        })
        .collect()
}

/// It is a partition.
pub fn is_partition(system: &dyn System, name: &str) -> bool {
    system.exists(&identity::attributes(name).join("partition"))
}

/// Partitions of a disk or array, by kernel name, in order of the kernel's list.
pub fn partitions(system: &dyn System, parent: &str) -> Vec<String> {
    let names = system
        .list(Utf8Path::new("/sys/class/block"))
        .unwrap_or_default();
    names
        .into_iter()
        .filter(|name| whole(name) == Some(parent) && is_partition(system, name))
        .collect()
}

/// The disk or array a partition's name begins with.
fn whole(name: &str) -> Option<&str> {
    let stem = name.trim_end_matches(|last: char| last.is_ascii_digit());
    if stem.len() == name.len() {
        return None;
    }
    match stem.strip_suffix('p') {
        Some(parent) if parent.ends_with(|last: char| last.is_ascii_digit()) => Some(parent),
        _ => Some(stem),
    }
}

/// Whole disks under a node, by kernel name: through partitions, arrays and device mapper.
pub fn disks_under(system: &dyn System, name: &str) -> BTreeSet<String> {
    let slaves = |node: &str| -> Vec<String> {
        system
            .list(&identity::attributes(node).join("slaves"))
            .unwrap_or_default()
    };
    let mut found = BTreeSet::new();
    let mut todo = vec![name.to_owned()];
    let mut seen = BTreeSet::new();
    while let Some(node) = todo.pop() {
        if !seen.insert(node.clone()) {
            continue;
        }
        let under = slaves(&node);
        if !under.is_empty() {
            todo.extend(under);
        } else if is_partition(system, &node) {
            todo.extend(whole(&node).map(str::to_owned));
        } else {
            found.insert(node);
        }
    }
    found
}

/// Path of a node.
pub fn node(name: &str) -> Utf8PathBuf {
    Utf8Path::new("/dev").join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (parent, number, name) in [
            ("sda", 1, "sda1"),
            ("nvme0n1", 2, "nvme0n1p2"),
            ("md127", 12, "md127p12"),
            ("vdaa", 3, "vdaa3"),
        ] {
            assert_eq!(partition(parent, number), name);
            assert_eq!(whole(name), Some(parent));
        }
        assert_eq!(whole("sda"), None);
        assert_eq!(plain("0123ABcd:1-2"), "0123abcd12");
        assert_eq!(
            exported("MD_UUID=1:2\nMD_UUIDX=3\n", "MD_UUID"),
            Some("1:2")
        );
    }
}
