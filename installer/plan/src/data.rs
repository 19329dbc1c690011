//! Data groups: md array with a file system, or ZFS pool with its data sets.

use std::collections::BTreeMap;

use firmware::inventory::Disk;
use roles::role::{Dataset, Layout, Purpose};

use crate::build::Builder;
use crate::make::{PlanError, label};
use crate::os::{FIRST, LINUX_RAID, MIB, SPARE_END};
use crate::seed::Seed;
use crate::select::Group;
use crate::size::decimal;
use crate::step::{Action, Check, Device, Mount, Partition, Vdev};

/// OpenZFS on Linux marks its partitions with Solaris' /usr type.
pub const ZFS: &str = "6A898CC3-1DD2-11B2-99A6-080020736631";
/// The intent log never holds more than a few seconds of writes; the rest of the SSD stays free for wear levelling.
const LOG_SIZE: u64 = 32 << 30;
/// Smallest data partition that makes sense: mkfs.xfs refuses less than 300 MB, ZFS less than 64 MiB.
const LEAST: u64 = 512 * MIB;
/// The largest chunk that is also a valid XFS log stripe unit (mkfs.xfs(8): 256 KiB).
const CHUNK: u32 = 256;

/// One GPT partition over the disk, the same size on all disks of the set.
fn partition(
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

fn room(group: &str, disks: &[&Disk]) -> Result<u64, PlanError> {
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

fn unequal(group: &str, disks: &[&Disk], size: u64, build: &mut Builder) {
    let largest = disks.iter().map(|disk| disk.size).max().unwrap_or_default();
    if largest > size + SPARE_END + largest / 100 {
        build.note(format!(
            "{group}: disks differ in size; all are used as if they had {}, the smallest",
            decimal(size)
        ));
    }
}

/// Array and file system names: letters, digits and dashes of the last part of the mount point, 12 characters at most
/// (an XFS label holds no more).
fn array_name(mount: &str, used: &[String]) -> String {
    let last = mount
        .rsplit('/')
        .find(|part| !part.is_empty())
        .unwrap_or("data");
    let clean: String = last
        .to_lowercase()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
        .take(10)
        .collect();
    // `os` and `var` would be two names for two things.
    let base = if ["", "os", "var", "state"].contains(&clean.as_str()) {
        "data".to_owned()
    } else {
        clean
    };
    let mut name = base.clone();
    let mut number = 2;
    while used.contains(&name) {
        name = format!("{base}{number}");
        number += 1;
    }
    name
}

/// What data groups add to the running appliance.
#[derive(Debug, Default)]
pub(crate) struct Data {
    pub mounts: Vec<Mount>,
    pub names: Vec<String>,
    /// The node file allows arrays without a first resync.
    pub assume_clean: bool,
}

/// Adds an md array with its file system.
pub(crate) fn md(
    group: &Group<'_>,
    layout: &Layout,
    seed: &Seed,
    data: &mut Data,
    build: &mut Builder,
) -> Result<(), PlanError> {
    let Layout::Md {
        level,
        file_system,
        mount,
    } = layout
    else {
        return Ok(());
    };
    let (level, assume_clean) = (*level, data.assume_clean);
    let count = group.disks.len();
    let least = match level {
        0 | 1 | 10 => 2,
        5 => 3,
        6 => 4,
        _ => {
            return Err(PlanError::layout(
                &group.name,
                format!("RAID level {level} is not one of 0, 1, 5, 6, 10"),
            ));
        }
    };
    if count < least {
        return Err(PlanError::layout(
            &group.name,
            format!("RAID{level} needs at least {least} disks, it has {count}"),
        ));
    }
    if !["xfs", "ext4"].contains(&file_system.as_str()) {
        return Err(PlanError::layout(
            &group.name,
            format!("file system `{file_system}` is not `xfs` or `ext4`"),
        ));
    }
    let size = room(&group.name, &group.disks)?;
    unequal(&group.name, &group.disks, size, build);
    let name = array_name(mount, &data.names);
    let members = group
        .disks
        .iter()
        .map(|disk| partition(disk, &format!("data-{name}"), LINUX_RAID, size, seed, build))
        .collect();
    let uuid = seed.array(&format!("array {name}"));
    // Skipping the first resync is only right where any content is consistent: parity over unknown bytes is not.
    let skip = assume_clean && !matches!(level, 5 | 6);
    if assume_clean && !skip {
        build.note(format!(
            "{}: resync is not skipped, because the parity of RAID{level} would be wrong",
            group.name
        ));
    }
    let chunk = (level != 1).then_some(CHUNK);
    build.step(
        &format!("array-{name}"),
        format!("create array {name}: RAID{level} over {count} disks"),
        Check::Array { uuid: uuid.clone() },
        Action::CreateArray {
            name: name.clone(),
            uuid: uuid.clone(),
            level,
            members,
            spares: Vec::new(),
            chunk,
            assume_clean: skip,
        },
    );
    let device = Device::Array { uuid };
    let fs = seed.uuid(&format!("fs {name}"));
    build.step(
        &format!("filesystem-{name}"),
        format!("make file system {name} ({file_system})"),
        Check::FileSystem {
            device: device.clone(),
            uuid: fs.clone(),
        },
        Action::MakeFileSystem {
            device,
            kind: file_system.clone(),
            label: name.clone(),
            uuid: fs.clone(),
        },
    );
    let disks = count as u64;
    let usable = match level {
        0 => size * disks,
        1 => size,
        5 => size * (disks - 1),
        6 => size * (disks - 2),
        _ => size * disks / 2,
    };
    let survives = match level {
        0 => "no disk",
        1 => "all disks but one",
        5 => "any one disk",
        6 => "any two disks",
        _ => "any one disk, more if no two copies are on them",
    };
    build.note(format!(
        "{}: RAID{level}, usable {}, survives the loss of {survives}",
        group.name,
        decimal(usable)
    ));
    data.mounts.push(Mount {
        path: mount.clone(),
        uuid: fs,
        kind: file_system.clone(),
    });
    data.names.push(name);
    Ok(())
}

/// Adds a pool with all groups that join it.
pub(crate) fn zfs(
    group: &Group<'_>,
    others: &[&Group<'_>],
    layout: &Layout,
    seed: &Seed,
    build: &mut Builder,
) -> Result<(), PlanError> {
    let Layout::Zfs {
        pool,
        vdev,
        width,
        datasets,
    } = layout
    else {
        return Ok(());
    };
    let count = group.disks.len();
    let width = *width as usize;
    let least = match vdev.as_str() {
        "mirror" | "raidz1" => 2,
        "raidz2" => 3,
        "raidz3" => 4,
        _ => {
            return Err(PlanError::layout(
                &group.name,
                format!("vdev `{vdev}` is not one of `mirror`, `raidz1`, `raidz2`, `raidz3`"),
            ));
        }
    };
    if width < least {
        return Err(PlanError::layout(
            &group.name,
            format!("a {vdev} needs a width of at least {least}, it has {width}"),
        ));
    }
    if count == 0 || !count.is_multiple_of(width) {
        return Err(PlanError::layout(
            &group.name,
            format!("{count} disks do not divide into {vdev}s of {width}"),
        ));
    }
    let all = || {
        group
            .disks
            .iter()
            .chain(others.iter().flat_map(|other| &other.disks))
    };
    let size = room(&group.name, &group.disks)?;
    unequal(&group.name, &group.disks, size, build);
    let data: Vec<Device> = group
        .disks
        .iter()
        .map(|disk| partition(disk, &format!("data-{pool}"), ZFS, size, seed, build))
        .collect();
    // Sides of a mirror come from the two halves of the bays.
    let vdev_count = count / width;
    let mut vdevs: Vec<Vdev> = (0..vdev_count)
        .map(|index| Vdev {
            kind: vdev.clone(),
            members: (0..width)
                .filter_map(|side| data.get(index + side * vdev_count).cloned())
                .collect(),
        })
        .collect();
    for (purpose, kind) in [
        (Purpose::Special, "special"),
        (Purpose::Log, "log"),
        (Purpose::Cache, "cache"),
        (Purpose::Spare, "spare"),
    ] {
        for other in others
            .iter()
            .filter(|other| other.need.purpose == purpose && !other.disks.is_empty())
        {
            let mut size = room(&other.name, &other.disks)?;
            match purpose {
                Purpose::Log => size = size.min(LOG_SIZE),
                Purpose::Special if other.disks.len() < 2 => {
                    return Err(PlanError::layout(
                        &other.name,
                        "a special device must be mirrored: with it the pool is lost".into(),
                    ));
                }
                Purpose::Spare => {
                    let wanted = room(&group.name, &group.disks)?;
                    if size < wanted {
                        return Err(PlanError::layout(
                            &other.name,
                            format!(
                                "a spare of {} cannot replace a member of {}",
                                decimal(size),
                                decimal(wanted)
                            ),
                        ));
                    }
                    size = wanted;
                }
                _ => {}
            }
            let members = other
                .disks
                .iter()
                .map(|disk| partition(disk, &format!("{kind}-{pool}"), ZFS, size, seed, build))
                .collect();
            vdevs.push(Vdev {
                kind: kind.into(),
                members,
            });
        }
    }
    let sector = all()
        .map(|disk| disk.physical_sector.max(disk.logical_sector))
        .max()
        .unwrap_or(512);
    let ashift = sector.max(4096).next_power_of_two().trailing_zeros();
    build.step(
        &format!("pool-{pool}"),
        format!("create pool {pool}: {vdev_count} x {vdev} of {width}"),
        Check::Pool { name: pool.clone() },
        Action::CreatePool {
            name: pool.clone(),
            hostid: seed.hostid(),
            ashift,
            vdevs,
            properties: pool_properties(),
        },
    );
    data_sets(pool, datasets, build);
    let parity = match vdev.as_str() {
        "mirror" => width - 1,
        "raidz3" => 3,
        "raidz2" => 2,
        _ => 1,
    };
    let usable = size * (vdev_count * (width - parity)) as u64;
    build.note(format!(
        "{}: pool {pool}, {vdev_count} x {vdev} of {width}, usable {} before overhead, survives {parity} per {vdev}",
        group.name,
        decimal(usable)
    ));
    build.note(format!(
        "{}: ashift {ashift}: never below 12, so that a 4K disk can replace a 512-byte one",
        group.name
    ));
    build.note(format!(
        "{}: hostid {} is fixed before the pool exists, so that the first boot owns it",
        group.name,
        seed.hostid()
    ));
    Ok(())
}

fn data_sets(pool: &str, datasets: &[Dataset], build: &mut Builder) {
    for dataset in datasets {
        let name = format!("{pool}/{}", dataset.name);
        build.step(
            &format!("dataset-{}", name.replace('/', "-")),
            format!("create data set {name}"),
            Check::Dataset { name: name.clone() },
            Action::CreateDataset {
                name,
                properties: dataset.properties.clone(),
            },
        );
    }
}

/// Properties of the pool's root, inherited by all data sets. `docs/storage.md` says why.
fn pool_properties() -> BTreeMap<String, String> {
    [
        ("acltype", "posixacl"),
        ("atime", "off"),
        ("compression", "lz4"),
        ("dnodesize", "auto"),
        ("mountpoint", "none"),
        ("normalization", "none"),
        ("xattr", "sa"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}
