//! Which disks of this workstation may become a stick, and why another may not. A pure reading of a file-system root, so that
//! tests give it trees of machines that are not there.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;

use super::signatures;

/// A disk as a person knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Disk {
    /// Kernel name: `sdb`.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Vendor and model; empty if it says nothing.
    pub model: String,
    /// Serial number, if it says one.
    pub serial: Option<String>,
    /// Why it is no stick; absent: it may be written to.
    pub refused: Option<String>,
}

/// A machine's `/`, or a folder that looks like one.
pub struct Machine {
    root: Utf8PathBuf,
}

impl Machine {
    /// The machine that is described under `root`.
    pub fn new(root: impl Into<Utf8PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Every disk, by name; partitions, RAM disks, CDs and what is put together from disks are left out.
    #[must_use]
    pub fn disks(&self) -> Vec<Disk> {
        const NO_DISKS: [&str; 6] = ["ram", "zram", "sr", "fd", "md", "dm-"];
        let mut disks: Vec<Disk> = self
            .names("sys/class/block")
            .into_iter()
            .filter(|name| !NO_DISKS.iter().any(|start| name.starts_with(start)))
            .filter(|name| !self.at(name, "partition").exists())
            .map(|name| self.disk(name))
            // The loop devices that nobody set up.
            .filter(|disk| disk.size > 0 || !disk.name.starts_with("loop"))
            .collect();
        disks.sort_by(|one, other| one.name.cmp(&other.name));
        disks
    }

    fn disk(&self, name: String) -> Disk {
        let text = |attribute: &str| self.text(&self.at(&name, attribute)).unwrap_or_default();
        let model = format!("{} {}", text("device/vendor"), text("device/model"));
        // sysfs counts in 512 bytes, whatever the disk does.
        let size = text("size").parse::<u64>().unwrap_or(0).saturating_mul(512);
        Disk {
            size,
            model: model.trim().to_owned(),
            serial: Some(text("device/serial")).filter(|serial| !serial.is_empty()),
            refused: self.refusal(&name, size),
            name,
        }
    }

    /// Why this disk is not written to.
    fn refusal(&self, name: &str, size: u64) -> Option<String> {
        if size == 0 {
            return Some("it has no medium".to_owned());
        }
        let mut devices: BTreeSet<String> = self
            .names(&format!("sys/class/block/{name}"))
            .into_iter()
            .filter(|inner| self.at(inner, "partition").exists())
            .collect();
        devices.insert(name.to_owned());
        let in_use = devices.iter().find_map(|device| self.user(device));
        if let Some(reason) = in_use {
            return Some(reason);
        }
        if !self.is_removable(name) {
            return Some(
                "it is built in: neither removable nor on USB nor a memory card".to_owned(),
            );
        }
        if self.text(&self.at(name, "ro")).as_deref() == Some("1") {
            return Some("it is write-protected".to_owned());
        }
        devices.iter().find_map(|device| self.owner(device))
    }

    /// What uses a disk or partition now.
    fn user(&self, device: &str) -> Option<String> {
        let number = self.text(&self.at(device, "dev")).unwrap_or_default();
        for line in self
            .text(&self.root.join("proc/self/mountinfo"))
            .unwrap_or_default()
            .lines()
        {
            // proc_pid_mountinfo(5): third field major:minor, fifth the mount point; behind ` - ` type and source. btrfs has a
            // number of its own, so the source counts too.
            let fields: Vec<&str> = line.split(' ').collect();
            let source = line
                .split_once(" - ")
                .and_then(|(_, rest)| rest.split(' ').nth(1));
            let by_name = source
                .and_then(|source| self.kernel_name(source))
                .as_deref()
                == Some(device);
            if (fields.get(2) == Some(&number.as_str()) && !number.is_empty()) || by_name {
                return Some(match fields.get(4) {
                    Some(&"/") => format!("`/` of this machine is on `{device}`"),
                    point => format!("`{device}` is mounted at `{}`", point.unwrap_or(&"?")),
                });
            }
        }
        let swaps = self.text(&self.root.join("proc/swaps")).unwrap_or_default();
        let swap = swaps
            .lines()
            .skip(1)
            .filter_map(|line| line.split_whitespace().next());
        if swap
            .filter_map(|path| self.kernel_name(path))
            .any(|name| name == device)
        {
            return Some(format!("`{device}` is swap"));
        }
        let holder = self
            .names(&format!("sys/class/block/{device}/holders"))
            .into_iter()
            .next();
        holder.map(|holder| format!("`{device}` is part of `{holder}`"))
    }

    /// Kernel name of a device by its path, which may be a link (`/dev/mapper`, `/dev/disk/by-uuid`).
    fn kernel_name(&self, path: &str) -> Option<String> {
        let inside = self.root.join(path.strip_prefix('/')?);
        let real = inside.canonicalize_utf8().unwrap_or(inside);
        real.file_name().map(str::to_owned)
    }

    /// It says so, or it hangs on USB (sticks with a fixed disk's manners), or it is a memory card. A loop device is a file.
    fn is_removable(&self, name: &str) -> bool {
        let place = self.root.join("sys/class/block").join(name);
        let place = place.canonicalize_utf8().unwrap_or(place);
        let inside = place.strip_prefix(&self.root).unwrap_or(&place).to_owned();
        let on_usb = inside
            .components()
            .any(|part| part.as_str().starts_with("usb"));
        let card = self.text(&self.at(name, "device/type")).as_deref() == Some("SD");
        let removable = self.text(&self.at(name, "removable")).as_deref() == Some("1");
        let image = name.starts_with("loop") && self.at(name, "loop/backing_file").exists();
        on_usb || card || removable || image
    }

    /// Whose member it is, though nobody uses it now.
    fn owner(&self, device: &str) -> Option<String> {
        let mut file = std::fs::File::open(self.root.join("dev").join(device)).ok()?;
        signatures::owner(&mut file).map(|owner| {
            format!(
                "`{device}` is {owner}; if that may go, empty it with `wipefs --all /dev/{device}`"
            )
        })
    }

    fn at(&self, name: &str, attribute: &str) -> Utf8PathBuf {
        self.root.join("sys/class/block").join(name).join(attribute)
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let entries = self.root.join(folder).read_dir_utf8();
        let entries = entries.into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_owned()).collect()
    }

    fn text(&self, path: &Utf8Path) -> Option<String> {
        std::fs::read_to_string(path)
            .ok()
            .map(|text| text.trim().to_owned())
    }
}

#[cfg(test)]
#[path = "disks_tests.rs"]
mod tests;
