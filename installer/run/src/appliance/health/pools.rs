//! ZFS pools, from `zpool list` (zpool-list(8)), and what each device of them says.

use std::collections::BTreeSet;

use camino::Utf8Path;
use serde::{Deserialize, Serialize};
use system::{Command, System};

use crate::{devices::disks_under, pools::leaves};

/// One imported pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// Name.
    pub name: String,
    /// `ONLINE`, `DEGRADED`, `FAULTED`, `SUSPENDED`, ...
    pub health: String,
    /// Bytes.
    pub size: u64,
    /// Bytes in use.
    pub allocated: u64,
    /// What it is made of.
    #[serde(default)]
    pub devices: Vec<PoolDevice>,
}

/// One device of a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolDevice {
    /// Where the pool found it last.
    pub path: String,
    /// Kernel names of the disks under it, one for each path to it; none if it is gone.
    pub disks: BTreeSet<String>,
    /// `ONLINE`, `UNAVAIL`, `REMOVED`, `AVAIL`, ...
    pub state: String,
    /// It works, or could at any time (a spare).
    pub works: bool,
}

impl PoolDevice {
    /// `sdc UNAVAIL`; the path where the disk is gone.
    #[must_use]
    pub fn text(&self) -> String {
        let name = self.disks.first().unwrap_or(&self.path);
        format!("{name} {}", self.state)
    }
}

impl Pool {
    /// Devices that do not work.
    pub fn faults(&self) -> impl Iterator<Item = &PoolDevice> {
        self.devices.iter().filter(|device| !device.works)
    }
}

/// All imported pools; none where there is no ZFS.
pub fn pools(system: &dyn System) -> Vec<Pool> {
    let command = Command::new("zpool").args(["list", "-Hp", "-o", "name,health,size,allocated"]);
    let text = system.run(&command).map(|output| output.stdout);
    let mut pools = parse(&text.unwrap_or_default());
    for pool in &mut pools {
        // A pool that answers the first question and not the second is told without devices.
        let leaves = leaves(system, &pool.name).unwrap_or_default();
        pool.devices = leaves
            .into_iter()
            .map(|leaf| PoolDevice {
                disks: disks(system, &leaf.path),
                works: leaf.works(),
                path: leaf.path,
                state: leaf.state,
            })
            .collect();
    }
    pools
}

fn disks(system: &dyn System, path: &str) -> BTreeSet<String> {
    let node = system.resolve(Utf8Path::new(path)).ok();
    node.and_then(|node| Some(disks_under(system, node.file_name()?)))
        .unwrap_or_default()
}

fn parse(text: &str) -> Vec<Pool> {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split('\t');
            Some(Pool {
                name: fields.next()?.to_owned(),
                health: fields.next()?.to_owned(),
                size: fields.next()?.parse().unwrap_or(0),
                allocated: fields.next()?.trim().parse().unwrap_or(0),
                devices: Vec::new(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use system::{Simulated, simulated::SimulatedDisk};

    #[test]
    fn pools_and_their_devices() {
        let system = Simulated::new();
        system.add_disk("sdb", SimulatedDisk::new(1 << 20, (8, 16)));
        system.answer("zpool list", Ok("tank\tDEGRADED\t1000\t250\nbroken\n"));
        system.answer(
            "zpool status",
            Ok(r#"{"pools": {"tank": {"vdevs": {"tank": {"vdevs": {
                "a": {"guid": "3", "path": "/dev/sdb", "state": "FAULTED"},
                "b": {"guid": "4", "path": "/dev/disk/by-partuuid/b", "state": "REMOVED"},
                "c": {"guid": "5", "path": "/dev/disk/by-partuuid/c", "state": "ONLINE"}}}}}}}"#),
        );
        let pools = pools(&system);
        assert_eq!(pools.len(), 1);
        assert_eq!((pools[0].size, pools[0].allocated), (1000, 250));
        let faults: Vec<String> = pools[0].faults().map(PoolDevice::text).collect();
        assert_eq!(faults, ["sdb FAULTED", "/dev/disk/by-partuuid/b REMOVED"]);
    }
}
