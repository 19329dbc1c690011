//! md arrays with a file system.

use firmware::inventory::Disk;
use roles::role::Layout;

use crate::build::Builder;
use crate::data::{Data, oddities, partition, room};
use crate::error::PlanError;
use crate::os::LINUX_RAID;
use crate::seed::Seed;
use crate::select::Group;
use crate::size::decimal;
use crate::step::{Action, Check, Device, Mount};
use crate::topology::{self, Set};

/// The largest chunk that is also a valid XFS log stripe unit (mkfs.xfs(8): 256 KiB).
const CHUNK: u32 = 256;

/// Array and file system name: letters, digits and dashes of the last part of the mount point, 12 characters at most (an
/// XFS label holds no more).
pub(crate) fn array_name(mount: &str, used: &[String]) -> String {
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
    // `os` and `var` would be two names for two things; a dash first would be an option.
    let taken = ["", "os", "var", "state"].contains(&clean.as_str()) || clean.starts_with('-');
    let base = if taken { "data".to_owned() } else { clean };
    let mut name = base.clone();
    let mut number = 2;
    while used.contains(&name) {
        name = format!("{base}{number}");
        number += 1;
    }
    name
}

/// Members in the order md wants them, and the sets that must not lose more than they tolerate.
///
/// RAID10 `near=2` puts the two copies on neighbours (md(4)), so neighbours are the sides of a mirror.
fn arrange<'a>(level: u32, disks: &[&'a Disk]) -> (Vec<&'a Disk>, Vec<Set<'a>>) {
    let count = disks.len();
    if level == 10 && count.is_multiple_of(2) {
        let pairs = topology::spread(disks, count / 2);
        let sets = pairs
            .iter()
            .map(|pair| Set {
                disks: pair.clone(),
                tolerates: 1,
            })
            .collect();
        return (pairs.into_iter().flatten().collect(), sets);
    }
    let mut sorted = disks.to_vec();
    topology::sort(&mut sorted);
    let tolerates = match level {
        0 => 0,
        1 => count - 1,
        6 => 2,
        _ => 1,
    };
    (
        sorted.clone(),
        vec![Set {
            disks: sorted,
            tolerates,
        }],
    )
}

/// Adds an md array with its file system. `spares` are disks of spare groups.
pub(crate) fn lay_out(
    group: &Group<'_>,
    spares: &[&Group<'_>],
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
    let level = *level;
    let wrong = |reason: String| Err(PlanError::layout(&group.name, reason));
    let count = group.disks.len();
    let least = match level {
        0 | 1 | 10 => 2,
        5 => 3,
        6 => 4,
        _ => return wrong(format!("RAID level {level} is not one of 0, 1, 5, 6, 10")),
    };
    if count < least {
        return wrong(format!(
            "RAID{level} needs at least {least} disks, it has {count}"
        ));
    }
    if !["xfs", "ext4"].contains(&file_system.as_str()) {
        return wrong(format!(
            "file system `{file_system}` is not `xfs` or `ext4`"
        ));
    }
    let spare_disks: Vec<&Disk> = spares
        .iter()
        .flat_map(|group| group.disks.iter().copied())
        .collect();
    if level == 0 && !spare_disks.is_empty() {
        return wrong("RAID0 has no use for a spare".into());
    }
    let size = room(&group.name, &group.disks)?;
    if let Some(small) = spare_disks
        .iter()
        .find(|disk| room(&group.name, &[disk]).is_ok_and(|own| own < size))
    {
        return wrong(format!(
            "spare {} with {} is smaller than a member of {}",
            small.id,
            decimal(small.size),
            decimal(size)
        ));
    }
    oddities(&group.name, &group.disks, size, build);
    let name = array_name(mount, &data.names);
    let (members, sets) = arrange(level, &group.disks);
    let mut cut = |disks: &[&Disk]| -> Vec<Device> {
        disks
            .iter()
            .map(|disk| partition(disk, &format!("data-{name}"), LINUX_RAID, size, seed, build))
            .collect()
    };
    let (members, spares) = (cut(&members), cut(&spare_disks));
    let uuid = seed.array(&format!("array {name}"));
    // Skipping the first resync is only right where any content is consistent: parity over unknown bytes is not.
    let skip = data.assume_clean && !matches!(level, 5 | 6);
    if data.assume_clean && !skip {
        build.note(format!(
            "{}: resync is not skipped, because the parity of RAID{level} would be wrong",
            group.name
        ));
    }
    build.step(
        &format!("array-{name}"),
        format!("create array {name}: RAID{level} over {count} disks"),
        Check::Array { uuid: uuid.clone() },
        Action::CreateArray {
            name: name.clone(),
            uuid: uuid.clone(),
            level,
            members,
            chunk: (level != 1).then_some(CHUNK),
            assume_clean: skip,
            spares,
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
    notes(group, level, size, spare_disks.len(), &sets, build);
    data.mounts.push(Mount {
        path: mount.clone(),
        uuid: fs,
        kind: file_system.clone(),
    });
    data.names.push(name);
    Ok(())
}

fn notes(
    group: &Group<'_>,
    level: u32,
    size: u64,
    spares: usize,
    sets: &[Set<'_>],
    build: &mut Builder,
) {
    let disks = group.disks.len() as u64;
    let usable = match level {
        0 => size * disks,
        1 => size,
        5 => size * (disks - 1),
        6 => size * (disks - 2),
        _ => size * disks / 2,
    };
    let spares = match spares {
        0 => String::new(),
        1 => " and 1 spare".into(),
        n => format!(" and {n} spares"),
    };
    build.note(format!(
        "{}: RAID{level} over {disks} disks{spares}, usable {}",
        group.name,
        decimal(usable)
    ));
    if level != 1 {
        build.note(format!(
            "{}: chunk {CHUNK} KiB, the largest that suits the XFS log; partitions and data offset are aligned to 1 MiB; \
             mkfs reads stripe unit and width from the array",
            group.name
        ));
    }
    for line in topology::sentences(&group.name, sets, &build.multipath.disks) {
        build.note(line);
    }
}
