//! The operating system disks: GPT, one md RAID1 over them, slots, state and var inside.

use roles::role::Purpose;

use crate::build::Builder;
use crate::error::PlanError;
use crate::make::RootImage;
use crate::seed::Seed;
use crate::select::Group;
use crate::size::decimal;
use crate::step::{Action, Check, Device, Partition};

/// BIOS boot partition (GRUB manual, "BIOS installation").
pub const BIOS_BOOT: &str = "21686148-6449-6E6F-744E-656564454649";
/// EFI system partition (UEFI specification, section 5.3.3).
pub const ESP: &str = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";
/// Linux RAID.
pub const LINUX_RAID: &str = "A19D880F-05FC-4D3B-A006-743F0F84911E";
/// Linux file system.
pub const LINUX: &str = "0FC63DAF-8483-4772-8E79-3D69D8477DE4";

pub(crate) const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// Left free at the end of each disk: a replacement of the "same" size may be a little smaller.
pub(crate) const SPARE_END: u64 = 10 * MIB;
/// Start of the first partition, by the 1 MiB alignment of sfdisk.
pub(crate) const FIRST: u64 = MIB;
const BIOS_SIZE: u64 = MIB;
const ESP_SIZE: u64 = GIB;
/// md 1.2 takes at most 128 MiB and a little for bitmap and data offset (mdadm, super1.c); the inner GPT 2 MiB.
const ARRAY_OVERHEAD: u64 = 160 * MIB;
const SLOT: u64 = 4 * GIB;
const STATE: u64 = 2 * GIB;
const VAR_LEAST: u64 = 4 * GIB;
const SMALL_STATE: u64 = 512 * MIB;
const SMALL_VAR: u64 = GIB;

/// Partition numbers inside the array.
pub(crate) const SLOT_A: u32 = 1;
const STATE_NUMBER: u32 = 3;
const VAR_NUMBER: u32 = 4;

/// What the rest of the plan needs to know of the OS array.
#[derive(Debug, Clone)]
pub(crate) struct Os {
    pub array: String,
    pub state: Device,
    pub state_uuid: String,
    pub var_uuid: String,
}

struct Sizes {
    os: u64,
    slot: u64,
    state: u64,
    small: bool,
}

/// Size of slots and state for `os` partitions of this size.
fn sizes(os: u64, image: &RootImage) -> Option<Sizes> {
    // A fifth more than today's image, so that the next version fits into the other slot.
    let need = (image.size + image.size.div_ceil(5)).div_ceil(MIB) * MIB;
    let room = os.checked_sub(ARRAY_OVERHEAD)?;
    let slot = need.div_ceil(GIB).saturating_mul(GIB).max(SLOT);
    if 2 * slot + STATE + VAR_LEAST <= room {
        return Some(Sizes {
            os,
            slot,
            state: STATE,
            small: false,
        });
    }
    (2 * need + SMALL_STATE + SMALL_VAR <= room).then_some(Sizes {
        os,
        slot: need,
        state: SMALL_STATE,
        small: true,
    })
}

/// Least size of an OS disk for this image.
fn least(image: &RootImage) -> u64 {
    let need = (image.size + image.size.div_ceil(5)).div_ceil(MIB) * MIB;
    FIRST
        + BIOS_SIZE
        + ESP_SIZE
        + ARRAY_OVERHEAD
        + 2 * need
        + SMALL_STATE
        + SMALL_VAR
        + SPARE_END
        + MIB
}

/// Checks the group and adds everything up to `WriteImage`.
pub(crate) fn lay_out(
    group: &Group<'_>,
    image: &RootImage,
    seed: &Seed,
    assume_clean: bool,
    build: &mut Builder,
) -> Result<Os, PlanError> {
    debug_assert_eq!(group.need.purpose, Purpose::Os);
    let smallest = group
        .disks
        .iter()
        .map(|disk| disk.size)
        .min()
        .unwrap_or_default();
    let largest = group
        .disks
        .iter()
        .map(|disk| disk.size)
        .max()
        .unwrap_or_default();
    if u128::from(largest - smallest) * 100 > u128::from(largest) {
        let list = |size: u64| {
            group
                .disks
                .iter()
                .find(|disk| disk.size == size)
                .map(|disk| disk.id.to_string())
                .unwrap_or_default()
        };
        return Err(PlanError::UnequalOs {
            small: format!("{} ({})", list(smallest), decimal(smallest)),
            large: format!("{} ({})", list(largest), decimal(largest)),
        });
    }
    let os = smallest.saturating_sub(FIRST + BIOS_SIZE + ESP_SIZE + SPARE_END) / MIB * MIB;
    let Some(sizes) = sizes(os, image) else {
        return Err(PlanError::TooSmall {
            group: group.name.clone(),
            has: smallest,
            least: least(image),
            reason: format!(
                "two slots for a root image of {} bytes, state and var",
                image.size
            ),
        });
    };

    for disk in &group.disks {
        let id = &disk.id;
        let uuid = seed.uuid(&format!("gpt {id}"));
        let device = Device::Disk { disk: id.clone() };
        let part = |name: &str, kind: &str, size: u64| Partition {
            name: name.into(),
            kind: kind.into(),
            uuid: seed.uuid(&format!("partition {name} {id}")),
            size: Some(size),
        };
        build.step(
            &format!("partition-{id}"),
            format!("partition OS disk {}", crate::make::label(disk)),
            Check::PartitionTable {
                device: device.clone(),
                uuid: uuid.clone(),
            },
            Action::Partition {
                device,
                uuid,
                partitions: vec![
                    part("bios", BIOS_BOOT, BIOS_SIZE),
                    part("esp", ESP, ESP_SIZE),
                    part("os", LINUX_RAID, sizes.os),
                ],
            },
        );
    }

    let array = seed.array("array os");
    let members = group
        .disks
        .iter()
        .map(|disk| Device::Partition {
            disk: disk.id.clone(),
            number: 3,
        })
        .collect();
    build.step(
        "array-os",
        format!(
            "create the OS array: RAID1 over {} disks",
            group.disks.len()
        ),
        Check::Array {
            uuid: array.clone(),
        },
        Action::CreateArray {
            name: "os".into(),
            uuid: array.clone(),
            level: 1,
            members,
            spares: Vec::new(),
            chunk: None,
            assume_clean,
        },
    );
    inside(&array, &sizes, image, seed, build);

    if sizes.small {
        build.note(format!(
            "os: slots of {} MiB and state of {} MiB, because the disks are small",
            sizes.slot / MIB,
            sizes.state / MIB
        ));
    }
    if group.disks.len() == 1 {
        build.note("os: one disk only: the machine does not survive its loss; a second can be added to the array later");
    } else {
        build.note("os: one RAID1 for slots, state and var: one resync, one thing to re-add after a disk swap");
        build.note(
            "os: BIOS boot partition and ESP on every disk, so that any one of them boots alone",
        );
    }
    build.note(format!(
        "os: {} MiB left free at the end, so that a slightly smaller disk can replace one",
        SPARE_END / MIB
    ));
    let at = |number| Device::ArrayPartition {
        uuid: array.clone(),
        number,
    };
    let state = at(STATE_NUMBER);
    Ok(Os {
        state,
        state_uuid: seed.uuid("fs state"),
        var_uuid: seed.uuid("fs var"),
        array,
    })
}

fn inside(array: &str, sizes: &Sizes, image: &RootImage, seed: &Seed, build: &mut Builder) {
    let device = Device::Array { uuid: array.into() };
    let uuid = seed.uuid("gpt array os");
    let part = |name: &str, size: Option<u64>| Partition {
        name: name.into(),
        kind: LINUX.into(),
        uuid: seed.uuid(&format!("partition {name}")),
        size,
    };
    build.step(
        "partition-array-os",
        "partition the OS array: two slots, state, var".into(),
        Check::PartitionTable {
            device: device.clone(),
            uuid: uuid.clone(),
        },
        Action::Partition {
            device,
            uuid,
            partitions: vec![
                part("slot-a", Some(sizes.slot)),
                part("slot-b", Some(sizes.slot)),
                part("state", Some(sizes.state)),
                part("var", None),
            ],
        },
    );
    let at = |number| Device::ArrayPartition {
        uuid: array.into(),
        number,
    };
    for (name, number) in [("state", STATE_NUMBER), ("var", VAR_NUMBER)] {
        let uuid = seed.uuid(&format!("fs {name}"));
        build.step(
            &format!("filesystem-{name}"),
            format!("make file system {name}"),
            Check::FileSystem {
                device: at(number),
                uuid: uuid.clone(),
            },
            Action::MakeFileSystem {
                device: at(number),
                kind: "ext4".into(),
                label: name.into(),
                uuid,
            },
        );
    }
    build.step(
        "begin",
        "mark the install as begun".into(),
        Check::Never,
        Action::BeginInstall {
            state: at(STATE_NUMBER),
        },
    );
    build.step(
        "image-slot-a",
        format!("write root image {} to slot a", image.version),
        Check::Content {
            device: at(SLOT_A),
            size: image.size,
            sha256: image.sha256.clone(),
        },
        Action::WriteImage {
            device: at(SLOT_A),
            size: image.size,
            sha256: image.sha256.clone(),
        },
    );
}
