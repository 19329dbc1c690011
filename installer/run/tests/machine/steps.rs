//! The plan of the simulated machine, step by step.

use super::*;

struct Steps(Vec<Step>);

impl Steps {
    fn add(&mut self, name: &str, disks: &[usize], done_when: Check, action: Action) {
        self.0.push(Step {
            id: format!("{:02}-{name}", self.0.len() + 1),
            title: name.into(),
            destroys: disks.iter().map(|number| id(*number)).collect(),
            done_when,
            action,
        });
    }
}

fn entry(name: &str, size: Option<u64>) -> Partition {
    Partition {
        name: name.into(),
        kind: "0FC63DAF-8483-4772-8E79-3D69D8477DE4".into(),
        uuid: String::new(),
        size,
    }
}

pub(super) fn plan(image: &[u8]) -> Plan {
    let mut steps = Steps(vec![]);
    for disk in 0..4 {
        let check = Check::Blank { disk: id(disk) };
        steps.add(
            &format!("wipe-{disk}"),
            &[disk],
            check,
            Action::Wipe { disk: id(disk) },
        );
    }
    let table = |steps: &mut Steps,
                 name: &str,
                 disks: &[usize],
                 device: Device,
                 uuid: &str,
                 mut parts: Vec<Partition>| {
        for (number, part) in parts.iter_mut().enumerate() {
            part.uuid = format!("{:08x}{}", number + 1, &uuid[8..]);
        }
        let check = Check::PartitionTable {
            device: device.clone(),
            uuid: uuid.into(),
        };
        let action = Action::Partition {
            device,
            uuid: uuid.into(),
            partitions: parts,
        };
        steps.add(name, disks, check, action);
    };
    for disk in 0..2 {
        let uuid = format!("00000000-0000-4000-8000-00000000100{disk}");
        let parts = vec![
            entry("bios", Some(MIB)),
            entry("esp", Some(2 * MIB)),
            entry("os", None),
        ];
        table(
            &mut steps,
            &format!("partition-{disk}"),
            &[disk],
            Device::Disk { disk: id(disk) },
            &uuid,
            parts,
        );
    }
    steps.add(
        "array",
        &[0, 1],
        Check::Array { uuid: ARRAY.into() },
        Action::CreateArray {
            name: "os".into(),
            uuid: ARRAY.into(),
            level: 1,
            members: vec![partition(0, 3), partition(1, 3)],
            spares: vec![],
            chunk: None,
            assume_clean: true,
        },
    );
    let slots = vec![
        entry("slot-a", Some(2 * MIB)),
        entry("slot-b", Some(2 * MIB)),
        entry("state", Some(2 * MIB)),
        entry("var", None),
    ];
    let array = Device::Array { uuid: ARRAY.into() };
    table(
        &mut steps,
        "partition-array",
        &[0, 1],
        array,
        "00000000-0000-4000-8000-000000002000",
        slots,
    );
    let file_system =
        |steps: &mut Steps, name: &str, disks: &[usize], device: Device, kind: &str, uuid: &str| {
            let check = Check::FileSystem {
                device: device.clone(),
                uuid: uuid.into(),
            };
            let action = Action::MakeFileSystem {
                device,
                kind: kind.into(),
                label: name.into(),
                uuid: uuid.into(),
            };
            steps.add(&format!("filesystem-{name}"), disks, check, action);
        };
    file_system(&mut steps, "state", &[0, 1], inside(3), "ext4", STATE_UUID);
    file_system(
        &mut steps,
        "var",
        &[0, 1],
        inside(4),
        "ext4",
        "5555aaaa-0000-4000-8000-000000000002",
    );
    steps.add(
        "begin",
        &[0, 1],
        Check::Never,
        Action::BeginInstall { state: inside(3) },
    );
    let (size, sha256) = (image.len() as u64, IMAGE.1.clone());
    steps.add(
        "image",
        &[0, 1],
        Check::Content {
            device: inside(1),
            size,
            sha256: sha256.clone(),
        },
        Action::WriteImage {
            device: inside(1),
            size,
            sha256,
        },
    );
    for disk in 2..4 {
        let uuid = format!("00000000-0000-4000-8000-00000000100{disk}");
        let whole = Device::Disk { disk: id(disk) };
        table(
            &mut steps,
            &format!("partition-{disk}"),
            &[disk],
            whole,
            &uuid,
            vec![entry("zfs", None)],
        );
    }
    steps.add(
        "pool",
        &[2, 3],
        Check::Pool {
            name: "tank".into(),
        },
        Action::CreatePool {
            name: "tank".into(),
            hostid: "0a1b2c3d".into(),
            ashift: 12,
            vdevs: vec![Vdev {
                kind: "mirror".into(),
                members: vec![partition(2, 1), partition(3, 1)],
            }],
            properties: BTreeMap::from([("atime".into(), "off".into())]),
        },
    );
    steps.add(
        "dataset",
        &[2, 3],
        Check::Dataset {
            name: "tank/mail".into(),
        },
        Action::CreateDataset {
            name: "tank/mail".into(),
            properties: BTreeMap::new(),
        },
    );
    for disk in 0..2 {
        let uuid = format!("aaaa000{}", disk + 1);
        file_system(
            &mut steps,
            &format!("esp-{disk}"),
            &[disk],
            partition(disk, 2),
            "vfat",
            &uuid,
        );
    }
    for disk in 0..2 {
        let action = Action::MakeBootable {
            disk: id(disk),
            esp: partition(disk, 2),
            array: ARRAY.into(),
        };
        steps.add(&format!("bootable-{disk}"), &[disk], Check::Never, action);
    }
    steps.add(
        "state",
        &[0, 1],
        Check::Never,
        Action::WriteState {
            state: inside(3),
            hostid: "0a1b2c3d".into(),
            machine_id: "0123456789abcdef0123456789abcdef".into(),
            mounts: vec![Mount {
                path: "/state".into(),
                uuid: STATE_UUID.into(),
                kind: "ext4".into(),
            }],
            multipath: Vec::new(),
            ports: Default::default(),
        },
    );
    steps.add(
        "finish",
        &[0, 1, 2, 3],
        Check::Never,
        Action::FinishInstall {
            state: inside(3),
            pools: vec!["tank".into()],
        },
    );
    Plan {
        node: "mail1".into(),
        role: "storage".into(),
        inventory: "facts".into(),
        steps: steps.0,
        notes: vec![],
        disks: planned(),
        guards: vec![],
    }
}

fn planned() -> Vec<PlannedDisk> {
    let one = |number: usize| PlannedDisk {
        id: id(number),
        group: if number < 2 { "os" } else { "data" }.into(),
        purpose: if number < 2 {
            Purpose::Os
        } else {
            Purpose::Data
        },
        bay: Some(format!("front:{number}")),
        model: None,
        serial: None,
        wwn: Some(DISKS[number].1.into()),
        size: SIZE,
        holds: vec![],
    };
    (0..4).map(one).collect()
}
