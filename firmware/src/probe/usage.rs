//! What of the disks is in use now: mounts, swap, and the medium this system was booted from.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::path::device_number;
use super::tree::Tree;
use crate::inventory::Disk;

/// Facts that the initrd left (docs/architecture.md).
const BOOT_FACTS: &str = "/run/rackwright/boot.json";

#[derive(Deserialize)]
struct BootFacts {
    medium: Option<String>,
    root_device: Option<String>,
}

/// Marks disks that are mounted, swapped on or booted from. `medium` is a device path such as `/dev/sda`; without it the
/// initrd's facts are asked.
pub fn mark(tree: &Tree, medium: Option<&str>, disks: &mut [Disk]) {
    let block = BlockDevices::read(tree);
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut note = |device: Option<&str>, purpose: &str| {
        for disk in device
            .map(|device| block.disks_under(device))
            .unwrap_or_default()
        {
            uses.entry(disk).or_default().insert(purpose.to_owned());
        }
    };
    for mount in mounts(tree) {
        note(
            block.name(mount.device, &mount.source).as_deref(),
            &mount.point,
        );
    }
    for source in swaps(tree) {
        note(block.name((0, 0), &source).as_deref(), "swap");
    }
    for disk in disks.iter_mut() {
        let mut mounted: BTreeSet<String> = BTreeSet::new();
        for path in &disk.paths {
            mounted.extend(uses.get(&path.kernel_name).cloned().unwrap_or_default());
        }
        disk.boot_medium = !mounted.is_empty();
        disk.mounted = mounted.into_iter().collect();
    }
    for device in media(tree, medium) {
        let names = block
            .name((0, 0), &device)
            .map(|name| block.disks_under(&name))
            .unwrap_or_default();
        for disk in disks.iter_mut() {
            disk.boot_medium |= disk
                .paths
                .iter()
                .any(|path| names.contains(&path.kernel_name));
        }
    }
}

fn media(tree: &Tree, medium: Option<&str>) -> Vec<String> {
    if let Some(medium) = medium {
        return vec![medium.to_owned()];
    }
    let content = tree.bytes(BOOT_FACTS).unwrap_or_default();
    let facts: Option<BootFacts> = serde_json::from_slice(&content).ok();
    facts
        .map(|facts| {
            [facts.medium, facts.root_device]
                .into_iter()
                .flatten()
                .collect()
        })
        .unwrap_or_default()
}

/// Disks, partitions and what is stacked on them, by kernel name.
struct BlockDevices {
    numbers: BTreeMap<(u32, u32), String>,
    parents: BTreeMap<String, Vec<String>>,
}

impl BlockDevices {
    fn read(tree: &Tree) -> Self {
        let mut devices = Self {
            numbers: BTreeMap::new(),
            parents: BTreeMap::new(),
        };
        for disk in tree.list("/sys/block") {
            let base = format!("/sys/block/{disk}");
            devices.add(tree, &disk, &base, tree.list(&format!("{base}/slaves")));
            for part in tree
                .list(&base)
                .into_iter()
                .filter(|part| part.starts_with(disk.as_str()))
            {
                devices.add(tree, &part, &format!("{base}/{part}"), vec![disk.clone()]);
            }
        }
        devices
    }

    fn add(&mut self, tree: &Tree, name: &str, base: &str, parents: Vec<String>) {
        if let Some(number) = tree
            .text(&format!("{base}/dev"))
            .and_then(|text| device_number(&text))
        {
            self.numbers.insert(number, name.to_owned());
        }
        self.parents.insert(name.to_owned(), parents);
    }

    /// Kernel name by device number (btrfs and overlays have none of a block device), else by `/dev/<name>`.
    fn name(&self, number: (u32, u32), source: &str) -> Option<String> {
        let by_source = || {
            let name = source.strip_prefix("/dev/")?;
            self.parents.contains_key(name).then(|| name.to_owned())
        };
        self.numbers.get(&number).cloned().or_else(by_source)
    }

    /// The disks at the bottom: partitions lead to their disk, arrays to their members.
    fn disks_under(&self, name: &str) -> Vec<String> {
        let mut bottom = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut open = vec![name.to_owned()];
        while let Some(name) = open.pop() {
            if !seen.insert(name.clone()) {
                continue;
            }
            match self.parents.get(&name) {
                Some(parents) if !parents.is_empty() => open.extend(parents.iter().cloned()),
                _ => {
                    bottom.insert(name);
                }
            }
        }
        bottom.into_iter().collect()
    }
}

struct Mount {
    device: (u32, u32),
    point: String,
    source: String,
}

/// `/proc/self/mountinfo` (proc(5)): device number third, mount point fifth, source after the lone dash; else
/// `/proc/mounts`.
fn mounts(tree: &Tree) -> Vec<Mount> {
    let detailed = tree.text("/proc/self/mountinfo").unwrap_or_default();
    let mut mounts: Vec<Mount> = detailed
        .lines()
        .filter_map(|line| {
            let (fields, tail) = line.split_once(" - ")?;
            let fields: Vec<&str> = fields.split(' ').collect();
            Some(Mount {
                device: device_number(fields.get(2)?)?,
                point: unescape(fields.get(4)?),
                source: tail.split(' ').nth(1)?.to_owned(),
            })
        })
        .collect();
    if mounts.is_empty() {
        let plain = tree.text("/proc/mounts").unwrap_or_default();
        mounts.extend(plain.lines().filter_map(|line| {
            let mut fields = line.split(' ');
            let source = fields.next()?.to_owned();
            Some(Mount {
                device: (0, 0),
                point: unescape(fields.next()?),
                source,
            })
        }));
    }
    mounts
}

/// Blanks in mount points are written as `\040`.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ")
}

fn swaps(tree: &Tree) -> Vec<String> {
    let text = tree.text("/proc/swaps").unwrap_or_default();
    text.lines()
        .skip(1)
        .filter_map(|line| Some(line.split_whitespace().next()?.to_owned()))
        .collect()
}
