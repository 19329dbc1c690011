//! Wipe: stop what holds the disk, top down, take off every signature, and prove that nothing is left.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8Path;
use firmware::inventory::DiskId;
use plan::{Device, commands};
use system::Command;

use super::{Act, ActionError, command};
use crate::{
    checks,
    devices::{disks_under, node, partitions},
    identity,
};

/// Holders on holders on holders: more than this is not a machine we know.
const DEPTH: u32 = 16;
/// What makes a disk look used, or bootable, lies in here.
const FIRST: u64 = 1 << 20;

impl Act<'_> {
    pub(super) fn wipe(&mut self, disk: &DiskId) -> Result<(), ActionError> {
        let name = self.devices.kernel_name(disk)?;
        self.export_pools(&name)?;
        self.release(&name, DEPTH)?;
        let found = partitions(self.system, &name);
        for partition in &found {
            self.release(partition, DEPTH)?;
        }
        for partition in found {
            self.wipe_node(&partition)?;
        }
        self.wipe_node(&name)?;
        self.reread(disk)?;
        if checks::blank(self.system, &name)? {
            return Ok(());
        }
        Err(ActionError::with_hint(
            format!("`/dev/{name}` is not blank after it was wiped"),
            "the disk does not keep what is written to it, or something writes to it behind our back: replace it",
        ))
    }

    /// Signatures by program, then both ends by hand: programs know only what they know.
    fn wipe_node(&mut self, name: &str) -> Result<(), ActionError> {
        let path = node(name);
        for line in commands::wipe_device(path.as_str()) {
            self.run_with_retries(&command(line))?;
        }
        // The guard has checked the disk; a partition of it has no name in the plan, so it is opened by path.
        let mut open = self.system.open(&path, system::Access::Write)?;
        let size = open.size()?;
        let zeros = vec![0; checks::CHUNK];
        // From the end to the start, the first MiB last: as long as anything is left, the disk does not look new.
        for (offset, length) in checks::ends(size).into_iter().rev() {
            let mut left = length;
            while left > 0 {
                let step = if left <= FIRST {
                    left
                } else {
                    (left - FIRST).min(zeros.len() as u64)
                };
                let count = usize::try_from(step).unwrap_or(zeros.len());
                left -= step;
                open.write_at(offset + left, &zeros[..count])?;
            }
        }
        open.flush()?;
        Ok(())
    }

    fn reread(&mut self, disk: &DiskId) -> Result<(), ActionError> {
        const TRIES: u32 = 5;
        let device = Device::Disk { disk: disk.clone() };
        for attempt in 2..=TRIES + 1 {
            let mut open = self.open_for_writing(&device)?;
            match open.reread_partitions() {
                Ok(()) => break,
                // EBUSY while udev looks at a partition that is about to go.
                Err(error) if attempt <= TRIES => self.retrying(attempt, error.to_string()),
                Err(error) => return Err(error.into()),
            }
            drop(open);
            self.settle()?;
            self.system.sleep(std::time::Duration::from_secs(1));
        }
        self.settle()
    }

    /// Exports imported pools that use the disk: an earlier run of this program may have left one.
    fn export_pools(&mut self, name: &str) -> Result<(), ActionError> {
        if !self.system.exists(Utf8Path::new("/sys/module/zfs")) {
            return Ok(());
        }
        let list = Command::new("zpool").args(["list", "-H", "-v", "-L", "-P"]);
        let output = self.system.run(&list)?;
        let ours = self.devices.all_names(self.devices.destroys());
        let mut pool = String::new();
        let mut used = BTreeSet::new();
        let mut beyond: BTreeMap<String, String> = BTreeMap::new();
        for line in output.stdout.lines() {
            let first = line
                .split('\t')
                .find(|word| !word.is_empty())
                .unwrap_or_default();
            if !line.starts_with('\t') {
                first.clone_into(&mut pool);
            } else if let Some(member) = first.strip_prefix("/dev/") {
                let under = disks_under(self.system, member);
                if under.contains(name) {
                    used.insert(pool.clone());
                }
                if let Some(foreign) = under.difference(&ours).next() {
                    beyond.insert(pool.clone(), foreign.clone());
                }
            }
        }
        if let Some((pool, foreign)) = used.iter().find_map(|pool| beyond.get_key_value(pool)) {
            return Err(ActionError::with_hint(
                format!(
                    "pool `{pool}` lies also on `/dev/{foreign}`, which is not part of this plan"
                ),
                "look at `zpool status`; take the disk out of the pool by hand, or give the plan all disks of the pool",
            ));
        }
        for pool in used {
            self.warn(format!("pool `{pool}` is exported"));
            self.run(&Command::new("zpool").arg("export").arg(pool))?;
        }
        Ok(())
    }

    /// Stops what sits on a node, from the top down.
    fn release(&mut self, name: &str, depth: u32) -> Result<(), ActionError> {
        if depth == 0 {
            return Err(ActionError::with_hint(
                format!("`/dev/{name}` is held by too many layers"),
                "take them apart by hand",
            ));
        }
        self.refuse_mounted(name)?;
        let holders = self
            .system
            .list(&identity::attributes(name).join("holders"))
            .unwrap_or_default();
        for holder in holders {
            self.refuse_foreign(&holder)?;
            for partition in partitions(self.system, &holder) {
                self.release(&partition, depth - 1)?;
            }
            self.release(&holder, depth - 1)?;
            self.stop(&holder)?;
        }
        Ok(())
    }

    fn refuse_mounted(&mut self, name: &str) -> Result<(), ActionError> {
        let path = node(name);
        let mounts = self.system.read(Utf8Path::new("/proc/self/mounts"))?;
        for line in String::from_utf8_lossy(&mounts).lines() {
            let mut words = line.split(' ');
            let (Some(source), Some(target)) = (words.next(), words.next()) else {
                continue;
            };
            // Mapped devices are mounted by their names under /dev/mapper, which are links.
            let same = source == path.as_str()
                || (source.starts_with("/dev/mapper/")
                    && self
                        .system
                        .resolve(Utf8Path::new(source))
                        .is_ok_and(|node| node == path));
            if same {
                return Err(ActionError::with_hint(
                    format!("`{path}` is mounted at `{target}`"),
                    format!("look at what is there; if it is not needed: `umount {target}`"),
                ));
            }
        }
        let swaps = self
            .system
            .read(Utf8Path::new("/proc/swaps"))
            .unwrap_or_default();
        let used = String::from_utf8_lossy(&swaps)
            .lines()
            .any(|line| line.split_whitespace().next() == Some(path.as_str()));
        if used {
            self.warn(format!("swap on `{path}` is switched off"));
            self.run(&Command::new("swapoff").arg(path.as_str()))?;
        }
        Ok(())
    }

    /// Stopping an array or a volume writes to all disks under it, so all of them must be the plan's.
    fn refuse_foreign(&self, holder: &str) -> Result<(), ActionError> {
        let ours = self.devices.all_names(self.devices.destroys());
        let under = disks_under(self.system, holder);
        let foreign: Vec<&String> = under.difference(&ours).collect();
        let Some(first) = foreign.first() else {
            return Ok(());
        };
        Err(ActionError::with_hint(
            format!("`/dev/{holder}` lies also on `/dev/{first}`, which is not part of this plan"),
            "take it apart by hand, or give the plan all of its disks",
        ))
    }

    fn stop(&mut self, holder: &str) -> Result<(), ActionError> {
        let path = node(holder);
        if holder.starts_with("md") {
            self.warn(format!("array `{holder}` is stopped"));
            return self.run_with_retries(&Command::new("mdadm").arg("--stop").arg(path.as_str()));
        }
        if holder.starts_with("dm-") {
            self.warn(format!("mapped device `{holder}` is removed"));
            return self.run(
                &Command::new("dmsetup")
                    .args(["remove", "--retry"])
                    .arg(path.as_str()),
            );
        }
        if holder.starts_with("bcache") {
            self.warn(format!("cache `{holder}` is stopped"));
            return self.stop_bcache(holder);
        }
        Err(ActionError::with_hint(
            format!("`/dev/{holder}` holds the disk and is of a kind that is not known here"),
            "stop it by hand, then start again",
        ))
    }

    /// bcache has no program of its own (Documentation/admin-guide/bcache.rst, `stop`).
    fn stop_bcache(&mut self, holder: &str) -> Result<(), ActionError> {
        const TRIES: u32 = 10;
        let attributes = identity::attributes(holder);
        self.system.emit(&attributes.join("bcache/stop"), b"1\n");
        for _ in 0..TRIES {
            if !self.system.exists(&attributes) {
                return Ok(());
            }
            self.system.sleep(std::time::Duration::from_secs(1));
        }
        Err(ActionError::with_hint(
            format!("`/dev/{holder}` does not stop"),
            "is something on it still in use? look at `lsblk`",
        ))
    }
}
