//! ZFS pools with log, cache, special and spare devices, and their data sets.

use std::collections::BTreeMap;

use firmware::inventory::Disk;
use roles::role::{Dataset, Layout, Purpose};

use crate::build::Builder;
use crate::data::{oddities, partition, room};
use crate::error::PlanError;
use crate::layout::PoolLayout;
use crate::seed::Seed;
use crate::select::Group;
use crate::size::decimal;
use crate::step::{Action, Check, Device, Vdev};
use crate::topology::{self, Set};

/// OpenZFS on Linux marks its partitions with Solaris' /usr type.
pub const ZFS: &str = "6A898CC3-1DD2-11B2-99A6-080020736631";
/// The intent log never holds more than a few seconds of writes; the rest of the SSD stays free for wear levelling.
const LOG_SIZE: u64 = 32 << 30;

/// Adds a pool with all groups that join it.
pub(crate) fn lay_out(
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
    let shape = PoolLayout::read(vdev, *width as usize, group.disks.len())
        .map_err(|reason| PlanError::layout(&group.name, reason))?;
    let size = room(&group.name, &group.disks)?;
    oddities(&group.name, &group.disks, size, build);
    let (members, spares) = topology::spares(&group.disks, shape.spare_disks());
    let spread = topology::spread(&members, shape.vdevs);
    let mut sets: Vec<Set<'_>> = spread
        .iter()
        .map(|disks| Set {
            disks: disks.clone(),
            tolerates: shape.tolerates(),
        })
        .collect();

    let mut vdevs = Vec::new();
    for disks in &spread {
        let members = cut(disks, &format!("data-{pool}"), size, seed, build);
        vdevs.push(Vdev {
            kind: shape.word(),
            members,
        });
    }
    for (purpose, kind) in [
        (Purpose::Special, "special"),
        (Purpose::Log, "log"),
        (Purpose::Cache, "cache"),
    ] {
        for other in others.iter().filter(|other| other.need.purpose == purpose) {
            let mut size = room(&other.name, &other.disks)?;
            match purpose {
                Purpose::Log => size = size.min(LOG_SIZE),
                Purpose::Special => {
                    if other.disks.len() < 2 {
                        let reason = "a special device must be mirrored: with it the pool is lost";
                        return Err(PlanError::layout(&other.name, reason.into()));
                    }
                    sets.push(Set {
                        disks: other.disks.clone(),
                        tolerates: other.disks.len() - 1,
                    });
                }
                _ => {}
            }
            vdevs.push(Vdev {
                kind: kind.into(),
                members: cut(&other.disks, &format!("{kind}-{pool}"), size, seed, build),
            });
        }
    }
    let mut spares = spares;
    for other in others
        .iter()
        .filter(|other| other.need.purpose == Purpose::Spare)
    {
        let own = room(&other.name, &other.disks)?;
        if own < size {
            return Err(PlanError::layout(
                &other.name,
                format!(
                    "a spare of {} cannot replace a member of {}",
                    decimal(own),
                    decimal(size)
                ),
            ));
        }
        spares.extend(&other.disks);
    }
    if !spares.is_empty() {
        vdevs.push(Vdev {
            kind: "spare".into(),
            members: cut(&spares, &format!("spare-{pool}"), size, seed, build),
        });
    }

    let all = group
        .disks
        .iter()
        .chain(others.iter().flat_map(|other| &other.disks));
    let sector = all
        .map(|disk| disk.physical_sector.max(disk.logical_sector))
        .max()
        .unwrap_or(512);
    // Beyond 16 KiB ZFS refuses (ashift 16 is its limit, 14 the largest in use).
    let ashift = sector
        .clamp(4096, 16384)
        .next_power_of_two()
        .trailing_zeros();
    build.step(
        &format!("pool-{pool}"),
        format!("create pool {pool}: {shape}"),
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

    build.note(format!(
        "{}: pool {pool}, {}",
        group.name,
        shape.sentence(size)
    ));
    for line in topology::sentences(&group.name, &sets, &build.multipath.disks) {
        build.note(line);
    }
    other_notes(others, build);
    build.note(format!(
        "{}: ashift {ashift}: never below 12, so that a 4K disk can replace a 512-byte one",
        group.name
    ));
    build.note(format!(
        "{}: hostid {} is fixed before the pool exists, so that the first boot owns it; no cache file: the pool is found by \
         its labels",
        group.name,
        seed.hostid()
    ));
    Ok(())
}

fn cut(disks: &[&Disk], name: &str, size: u64, seed: &Seed, build: &mut Builder) -> Vec<Device> {
    disks
        .iter()
        .map(|disk| partition(disk, name, ZFS, size, seed, build))
        .collect()
}

fn other_notes(others: &[&Group<'_>], build: &mut Builder) {
    for other in others {
        let (name, count) = (&other.name, other.disks.len());
        build.note(match (other.need.purpose, count) {
            (Purpose::Log, 1) => format!("{name}: one intent log device: if it fails together with the power, the last writes are lost"),
            (Purpose::Log, _) => format!("{name}: mirrored intent log, {} of each disk; the rest stays free for wear", decimal(LOG_SIZE)),
            (Purpose::Cache, _) => format!("{name}: {count} read cache devices, not mirrored: their loss costs nothing but speed"),
            (Purpose::Special, _) => format!("{name}: mirrored over {count} disks, because with it the pool is lost"),
            _ => continue,
        });
    }
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
