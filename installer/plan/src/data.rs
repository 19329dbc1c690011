//! What all data groups share: one partition per disk, the same size throughout, and what comes out for the rest of the plan.

use firmware::inventory::Disk;

use crate::build::Builder;
use crate::error::PlanError;
use crate::make::label;
use crate::os::{FIRST, MIB, SPARE_END};
use crate::seed::Seed;
use crate::size::decimal;
use crate::step::{Action, Check, Device, Mount, Partition};

/// Smallest data partition that makes sense: mkfs.xfs refuses less than 300 MB, ZFS less than 64 MiB.
const LEAST: u64 = 512 * MIB;

/// What data groups add to the running appliance, and the choices they are laid out by.
#[derive(Debug, Default)]
pub(crate) struct Data {
    /// File systems to mount.
    pub mounts: Vec<Mount>,
    /// Array names in use.
    pub names: Vec<String>,
    /// The node file allows arrays without a first resync.
    pub assume_clean: bool,
    /// hostid a pool that is kept was made with.
    pub hostid: Option<String>,
}

/// Adds the step that gives a disk a GPT with one partition of `size` bytes.
pub(crate) fn partition(
    disk: &Disk,
    name: &str,
    kind: &str,
    size: u64,
    seed: &Seed,
    build: &mut Builder,
) -> Device {
    let id = &disk.id;
    let uuid = seed.uuid(&format!("gpt {id}"));
    let device = Device::Disk { disk: id.clone() };
    build.step(
        &format!("partition-{id}"),
        format!("partition disk {} as {name}", label(disk)),
        Check::PartitionTable {
            device: device.clone(),
            uuid: uuid.clone(),
        },
        Action::Partition {
            device,
            uuid,
            partitions: vec![Partition {
                name: name.into(),
                kind: kind.into(),
                uuid: seed.uuid(&format!("partition {name} {id}")),
                size: Some(size),
            }],
        },
    );
    Device::Partition {
        disk: id.clone(),
        number: 1,
    }
}

/// Bytes a partition may have on the smallest of the disks, so that it fits on all.
pub(crate) fn room(group: &str, disks: &[&Disk]) -> Result<u64, PlanError> {
    let smallest = disks.iter().map(|disk| disk.size).min().unwrap_or_default();
    let size = smallest.saturating_sub(FIRST + SPARE_END) / MIB * MIB;
    if size < LEAST {
        return Err(PlanError::TooSmall {
            group: group.into(),
            has: smallest,
            least: FIRST + SPARE_END + LEAST,
            reason: "a data partition".into(),
        });
    }
    Ok(size)
}

/// Says what is odd about a group: sizes or sectors that differ, paths that are missing.
pub(crate) fn oddities(group: &str, disks: &[&Disk], size: u64, build: &mut Builder) {
    let largest = disks.iter().map(|disk| disk.size).max().unwrap_or_default();
    if largest > size + SPARE_END + largest / 100 {
        build.note(format!(
            "{group}: disks differ in size; all are used as if they had {}, the smallest",
            decimal(size)
        ));
    }
    let native = disks
        .iter()
        .filter(|disk| disk.logical_sector == 4096)
        .count();
    if native != 0 && native != disks.len() {
        build.note(format!(
            "{group}: {native} of {} disks have 4096-byte logical sectors, the others 512",
            disks.len()
        ));
    }
    for line in crate::topology::single_path(disks) {
        build.note(format!("{group}: {line}"));
    }
}
