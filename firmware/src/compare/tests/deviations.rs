//! The table: a reference machine, what is different about it, and every verdict that changes.

use roles::selector::Transport;

use super::super::Weight;
use super::super::Weight::{Fail, Info, Warn};
use super::{inventory, verdicts};
use crate::fixture::{self, Machine};
use crate::inventory::{BmcLan, BootMode, Disk, Health, Inventory, Nic};

/// Disks of a machine by what makes them a group.
fn pick<'a>(
    inventory: &'a mut Inventory,
    model: &'static str,
) -> impl Iterator<Item = &'a mut Disk> {
    inventory.disks.iter_mut().filter(move |disk| {
        disk.model
            .as_deref()
            .is_some_and(|text| text.starts_with(model))
    })
}

pub(super) fn remove(inventory: &mut Inventory, model: &str, count: usize) {
    let mut left = count;
    inventory.disks.retain(|disk| {
        let gone = left > 0
            && disk
                .model
                .as_deref()
                .is_some_and(|text| text.starts_with(model));
        left -= usize::from(gone);
        !gone
    });
}

fn connectx(inventory: &mut Inventory) -> impl Iterator<Item = &mut Nic> {
    inventory
        .nics
        .iter_mut()
        .filter(|nic| nic.id.as_deref() == Some("15b3:1007"))
}

/// As the probe marks a disk that answers so.
fn fail(disk: &mut Disk) {
    let cause = "SMART: a threshold is exceeded".to_owned();
    disk.faults.push(format!("says it is failing ({cause})"));
    disk.health = Some(Health::Failing { cause });
}

type Spoil = fn(&mut Inventory);
type Case = (
    &'static str,
    &'static str,
    Spoil,
    &'static [(&'static str, Weight)],
);

pub(super) const DATA: &str = "HUH728080AL5204";
pub(super) const SSD: &str = "Samsung SSD 850 PRO";

/// Machine, what is different, and every verdict that changes.
#[rustfmt::skip]
const DEVIATIONS: &[Case] = &[
    // Board, processors, memory, boot, BMC.
    ("control", "another board", |it| it.board.name = Some("X11SSH-F".into()), &[("board.name", Info)]),
    ("control", "the sister board", |it| it.board.name = Some("X10SRi-F".into()), &[]),
    ("control", "rebadged by another vendor", |it| it.board.vendor = Some("DEPO Computers".into()), &[]),
    ("control", "no board name at all", |it| it.board.name = None, &[("board.name", Info)]),
    ("storage", "old BIOS", |it| it.board.bios_version = Some("3.0a".into()), &[("board.bios", Info)]),
    ("control", "BIOS boot", |it| it.boot = BootMode::Bios, &[("boot.mode", Info)]),
    ("control", "Secure Boot", |it| it.secure_boot = Some(true), &[("boot.secure", Info)]),
    ("storage", "Secure Boot with ZFS", |it| it.secure_boot = Some(true), &[("boot.secure", Warn)]),
    ("control", "one module of four missing", |it| it.memory = 48 << 30, &[("memory.total", Warn)]),
    ("control", "8 GiB", |it| it.memory = 8 << 30, &[("memory.total", Warn)]),
    ("control", "half a GiB", |it| it.memory = 512 << 20, &[("memory.total", Fail)]),
    ("control", "more memory", |it| it.memory = 128 << 30, &[]),
    ("production", "one module of eight missing", |it| it.memory = 224 << 30, &[("memory.total", Warn)]),
    ("production", "16 GiB", |it| it.memory = 16 << 30, &[("memory.total", Warn)]),
    ("galera", "half the memory", |it| it.memory = 256 << 30, &[("memory.total", Warn)]),
    ("galera", "slower memory", |it| it.modules[0].configured_speed = Some(1866), &[]),
    ("control", "fewer cores", |it| it.cpus[0].cores = 4, &[("cpu.cores", Info)]),
    (
        "storage",
        "second socket empty",
        |it| {
            it.cpus.truncate(1);
            it.hbas.retain(|hba| hba.address != "0000:82:00.0");
            it.nics
                .retain(|nic| nic.address.as_deref() != Some("0000:83:00.0"));
            for disk in &mut it.disks {
                disk.paths
                    .retain(|path| path.hba.as_deref() != Some("0000:82:00.0"));
            }
        },
        &[
            ("cpu.cores", Info),
            ("cpu.sockets", Warn),
            ("disks.data.paths", Warn),
            ("hba.count", Warn),
            ("nic.separate", Warn),
        ],
    ),
    ("control", "no BMC", |it| it.bmc = None, &[("bmc.present", Warn)]),
    (
        "control",
        "BMC on a shared port",
        |it| {
            let lan = BmcLan {
                mode: Some("failover".into()),
                ..BmcLan::default()
            };
            if let Some(bmc) = &mut it.bmc {
                bmc.lan = Some(lan);
            }
        },
        &[("bmc.lan-mode", Warn)],
    ),
    (
        "lb",
        "on metal without BMC",
        |it| {
            it.board.vendor = Some("Supermicro".into());
            it.board.product = Some("Super Server".into());
        },
        &[("bmc.present", Warn)],
    ),
    // Controllers and enclosures.
    (
        "control",
        "SATA controller in RAID mode",
        |it| {
            it.hbas[0].class = "010400".into();
            it.hbas[0].id = "8086:2826".into();
        },
        &[("controller.raid-class", Fail)],
    ),
    (
        "control",
        "SATA controller in RAID mode, but the disks of an unknown board are seen",
        |it| {
            it.board.name = Some("X11SSH-F".into());
            it.hbas[0].class = "010400".into();
        },
        &[("controller.raid-class", Warn), ("board.name", Info)],
    ),
    (
        "control",
        "SATA controller in RAID mode that hides the disks of an unknown board",
        |it| {
            it.board.name = Some("X11SSH-F".into());
            it.hbas[0].class = "010400".into();
            for path in it.disks.iter_mut().flat_map(|disk| &mut disk.paths) {
                path.hba = None;
            }
        },
        &[("controller.raid-class", Fail), ("board.name", Info)],
    ),
    ("control", "SATA controller in IDE mode", |it| it.hbas[0].class = "01018f".into(), &[("controller.ide-class", Warn)]),
    (
        "production",
        "a RAID card",
        |it| {
            let card = crate::inventory::Hba {
                address: "0000:04:00.0".into(),
                id: "1000:005d".into(),
                class: "010400".into(),
                ..Default::default()
            };
            it.hbas.push(card);
        },
        &[("controller.hardware-raid:0000:04:00.0", Warn)],
    ),
    (
        "storage",
        "no SAS controller",
        |it| {
            it.hbas.retain(|hba| hba.id != "1000:0097");
            it.disks.retain(|disk| disk.transport != Transport::Sas);
            it.enclosures.clear();
        },
        &[
            ("disks.data.count", Fail),
            ("disks.os.count", Fail),
            ("hba.count", Warn),
            ("disks.log.count", Warn),
            ("enclosure.slots", Warn),
        ],
    ),
    ("storage", "IR firmware", |it| it.hbas[1].mode = Some("ir".into()), &[("hba.mode:0000:02:00.0", Warn)]),
    ("storage", "old SAS firmware, SAS disks only", |it| it.hbas[1].firmware = Some("16.00.10.00".into()), &[("hba.firmware:0000:02:00.0", Info)]),
    (
        "storage",
        "old SAS firmware with SATA disks behind it",
        |it| {
            it.hbas[1].firmware = Some("16.00.01.00".into());
            for disk in pick(it, "SAMSUNG") {
                disk.paths[0].hba = Some("0000:02:00.0".into());
            }
        },
        &[("hba.firmware:0000:02:00.0", Warn)],
    ),
    ("storage", "SAS firmware not readable", |it| it.hbas[2].firmware = None, &[("hba.firmware:0000:82:00.0", Info)]),
    (
        "storage",
        "controller in a narrow slot",
        |it| {
            if let Some(link) = &mut it.hbas[2].link {
                link.width = Some(4);
            }
        },
        &[("hba.link:0000:82:00.0", Warn)],
    ),
    (
        "storage",
        "newer controllers",
        |it| {
            for hba in it.hbas.iter_mut().skip(1) {
                hba.id = "1000:00af".into();
            }
        },
        &[],
    ),
    ("storage", "controller nobody knows", |it| it.hbas[1].id = "9005:028f".into(), &[("hba.model:0000:02:00.0", Info)]),
    ("storage", "no enclosure services", |it| it.enclosures.clear(), &[("enclosure.slots", Warn)]),
    ("storage", "another enclosure", |it| it.enclosures[0].slots = 16, &[("enclosure.slots", Info)]),
    // System disks.
    ("control", "one system disk", |it| remove(it, "INTEL", 1), &[("disks.os.count", Fail)]),
    ("control", "no disk but the stick", |it| remove(it, "INTEL", 2), &[("disks.none", Fail), ("disks.os.count", Fail)]),
    ("control", "spinning system disks", |it| pick(it, "INTEL").for_each(|disk| disk.rotational = Some(true)), &[("disks.os.kind", Warn)]),
    ("control", "unequal system disks", |it| pick(it, "INTEL").take(1).for_each(|disk| disk.size *= 2), &[("disks.os.equal", Warn)]),
    ("control", "another model", |it| pick(it, "INTEL").for_each(|disk| disk.model = Some("KINGSTON SEDC500M480G".into())), &[]),
    ("production", "solid-state system disks", |it| pick(it, "WDC").for_each(|disk| disk.rotational = Some(false)), &[("disks.os.kind", Info)]),
    ("production", "one system disk", |it| remove(it, "WDC", 1), &[("disks.os.count", Fail)]),
    ("storage", "SATA system disks", |it| pick(it, "ST1000NM").for_each(|disk| disk.transport = Transport::Sata), &[("disks.os.attached", Info)]),
    ("storage", "one system disk", |it| remove(it, "ST1000NM", 1), &[("disks.os.count", Fail)]),
    ("lb", "disk too small", |it| it.disks[0].size = 8_000_000_000, &[("disks.os.count", Fail)]),
    // Data disks.
    ("production", "three data disks", |it| remove(it, SSD, 1), &[("disks.data.count", Fail)]),
    ("production", "desktop disks", |it| pick(it, SSD).for_each(|disk| disk.model = Some("Samsung SSD 850 EVO 1TB".into())), &[("disks.data.model", Warn)]),
    (
        "production",
        "one desktop disk among four",
        |it| {
            pick(it, SSD)
                .take(1)
                .for_each(|disk| disk.model = Some("Samsung SSD 860 QVO 1TB".into()))
        },
        &[("disks.data.model", Warn), ("disks.data.mixed", Warn)],
    ),
    ("production", "model nobody knows", |it| pick(it, SSD).for_each(|disk| disk.model = Some("ACME 1".into())), &[("disks.data.model", Warn)]),
    (
        "production",
        "data-centre disks",
        |it| pick(it, SSD).for_each(|disk| disk.model = Some("SAMSUNG MZ7KM960HAHP-00005".into())),
        &[("disks.data.model", Info)],
    ),
    ("production", "larger disks", |it| pick(it, SSD).for_each(|disk| disk.size *= 2), &[]),
    ("galera", "smaller data disks", |it| pick(it, SSD).for_each(|disk| disk.size = 1_024_209_543_168), &[("disks.data.size", Warn)]),
    ("galera", "three data disks", |it| remove(it, SSD, 1), &[("disks.data.count", Fail)]),
    ("storage", "fifteen data disks", |it| remove(it, DATA, 1), &[("disks.data.count", Fail)]),
    (
        "storage",
        "more and larger disks",
        |it| {
            let mut extra = pick(it, DATA).next().unwrap().clone();
            extra.id.0.push('x');
            it.disks.push(extra);
            for disk in pick(it, DATA) {
                disk.size = 12_000_138_625_024;
            }
        },
        &[],
    ),
    ("storage", "one smaller data disk", |it| { pick(it, DATA).take(1).for_each(|disk| disk.size = 6_001_175_126_016) }, &[("disks.data.size", Warn)]),
    ("storage", "one 4Kn disk", |it| { pick(it, DATA).take(1).for_each(|disk| disk.logical_sector = 4096) }, &[("disks.data.sectors", Warn)]),
    (
        "storage",
        "size 0",
        |it| {
            pick(it, DATA).take(1).for_each(|disk| {
                disk.size = 0;
                disk.faults = vec!["size 0: not ready".into()];
            })
        },
        &[
            ("disk.fault:wwn-0x5000cca261280e68", Fail),
            ("disks.data.count", Fail),
        ],
    ),
    (
        "storage",
        "520-byte sectors in a spare disk",
        |it| {
            let mut extra = pick(it, DATA).next().unwrap().clone();
            extra.id.0 = "wwn-0x5000cca26fffffff".into();
            extra.faults = vec!["520-byte sectors: reformat it".into()];
            it.disks.push(extra);
        },
        &[("disk.fault:wwn-0x5000cca26fffffff", Warn)],
    ),
    (
        "storage",
        "a data disk that says it is failing",
        |it| pick(it, DATA).take(1).for_each(fail),
        &[
            ("disk.fault:wwn-0x5000cca261280e68", Fail),
            ("disks.data.count", Fail),
        ],
    ),
    (
        "storage",
        "a failing disk that nobody needs",
        |it| {
            let mut extra = pick(it, DATA).next().unwrap().clone();
            extra.id.0 = "wwn-0x5000cca26fffffff".into();
            fail(&mut extra);
            it.disks.push(extra);
        },
        &[("disk.fault:wwn-0x5000cca26fffffff", Warn)],
    ),
    (
        "production",
        "a system disk that says it is failing",
        |it| pick(it, "WDC").take(1).for_each(fail),
        &[
            ("disk.fault:wwn-0x50014ee6b0a1b200", Fail),
            ("disks.os.count", Fail),
        ],
    ),
    (
        "storage",
        "a disk that is too hot",
        |it| {
            let cause = "SMART: it is too hot (0B/01)".into();
            pick(it, DATA).next().unwrap().health = Some(Health::Warned { cause });
        },
        &[("disk.health:wwn-0x5000cca261280e68", Warn)],
    ),
    ("storage", "health that is not known", |it| pick(it, DATA).for_each(|disk| disk.health = None), &[]),
    ("storage", "empty cages", |it| connectx(it).for_each(|nic| nic.module = None), &[]),
    (
        "storage",
        "write-protected system disk",
        |it| {
            pick(it, "ST1000NM").take(1).for_each(|disk| {
                disk.read_only = true;
                disk.faults = vec!["write-protected".into()];
            })
        },
        &[
            ("disks.os.count", Fail),
            ("disk.fault:wwn-0x5000c50084a10000", Warn),
        ],
    ),
    ("storage", "one disk on one path", |it| { pick(it, DATA).take(1).for_each(|disk| disk.paths.truncate(1)) }, &[("disks.data.paths", Warn)]),
    (
        "storage",
        "one dead path",
        |it| {
            let name = pick(it, DATA).next().unwrap().paths[1].kernel_name.clone();
            it.dead_paths.insert(name, "offline".into());
        },
        &[("disks.data.paths", Warn)],
    ),
    (
        "storage",
        "both paths over one controller",
        |it| pick(it, DATA).for_each(|disk| disk.paths[1].hba = disk.paths[0].hba.clone()),
        &[("disks.data.paths", Warn)],
    ),
    // Log and cache.
    ("storage", "no intent log", |it| remove(it, "HUSMH", 2), &[("disks.log.count", Warn)]),
    ("storage", "one log disk", |it| remove(it, "HUSMH", 1), &[("disks.log.count", Warn)]),
    (
        "storage",
        "SATA log with protection",
        |it| {
            pick(it, "HUSMH").for_each(|disk| {
                disk.transport = Transport::Sata;
                disk.model = Some("INTEL SSDSC2BA400G3".into());
            })
        },
        &[("disks.log.attached", Info)],
    ),
    (
        "storage",
        "log without protection",
        |it| {
            pick(it, "HUSMH").for_each(|disk| disk.model = Some("Samsung SSD 850 PRO 512GB".into()))
        },
        &[("disks.log.plp", Warn)],
    ),
    ("storage", "log model nobody knows", |it| pick(it, "HUSMH").for_each(|disk| disk.model = Some("ACME".into())), &[("disks.log.plp", Info)]),
    ("storage", "no read cache", |it| remove(it, "SAMSUNG", 2), &[("disks.cache.count", Info)]),
    // Network.
    ("control", "one port", |it| it.nics.truncate(1), &[("nic.ports", Warn)]),
    ("control", "no port", |it| it.nics.clear(), &[("nic.ports", Fail)]),
    ("production", "no fast adapter", |it| it.nics.truncate(2), &[("nic.speed", Warn)]),
    ("production", "one fast port", |it| it.nics.truncate(3), &[("nic.speed", Warn)]),
    (
        "production",
        "another fast adapter",
        |it| {
            connectx(it).for_each(|nic| {
                nic.id = Some("8086:1572".into());
                nic.port_type = None;
            })
        },
        &[],
    ),
    ("production", "plain ConnectX-3", |it| connectx(it).for_each(|nic| nic.id = Some("15b3:1003".into())), &[]),
    (
        "production",
        "old ConnectX-3 firmware",
        |it| connectx(it).for_each(|nic| nic.firmware = Some("2.36.5150".into())),
        &[("nic.firmware:0000:81:00.0", Warn)],
    ),
    ("production", "ConnectX-3 firmware not readable", |it| connectx(it).for_each(|nic| nic.firmware = None), &[("nic.firmware:0000:81:00.0", Info)]),
    (
        "production",
        "ConnectX-3 on four lanes",
        |it| {
            connectx(it).for_each(|nic| {
                if let Some(link) = &mut nic.link {
                    link.width = Some(4);
                }
            })
        },
        &[("nic.link:0000:81:00.0", Warn)],
    ),
    (
        "production",
        "a port in InfiniBand mode",
        |it| {
            connectx(it)
                .skip(1)
                .for_each(|nic| nic.port_type = Some("auto (ib)".into()))
        },
        &[("nic.port-type:0000:81:00.0:1", Warn)],
    ),
    ("storage", "no adapter of its own for NFS", |it| it.nics.truncate(2), &[("nic.separate", Warn)]),
    (
        "storage",
        "gigabit only",
        |it| {
            it.nics.truncate(2);
            for nic in &mut it.nics {
                nic.id = Some("8086:1521".into());
                nic.speed = Some(1000);
            }
        },
        &[("nic.speed", Warn), ("nic.separate", Warn)],
    ),
    ("lb", "one port", |it| it.nics.truncate(1), &[("nic.ports", Info)]),
];

#[test]
fn deviations() {
    assert!(DEVIATIONS.len() >= 40, "{}", DEVIATIONS.len());
    let bases: std::collections::BTreeMap<&str, Inventory> = fixture::names()
        .map(|name| (name, inventory(name)))
        .collect();
    let mut wrong = Vec::new();
    for (machine, title, spoil, expected) in DEVIATIONS {
        let base = &bases[machine];
        let role = Machine::named(machine).unwrap().role;
        let before = verdicts(&role, base);
        let mut spoiled = base.clone();
        spoil(&mut spoiled);
        let mut changed: Vec<(String, Weight)> = verdicts(&role, &spoiled)
            .into_iter()
            .filter(|verdict| !before.contains(verdict))
            .collect();
        let mut expected: Vec<(String, Weight)> = expected
            .iter()
            .map(|(id, weight)| ((*id).to_owned(), *weight))
            .collect();
        changed.sort();
        expected.sort();
        if changed != expected {
            wrong.push(format!(
                "{machine}, {title}:\n  expected {expected:?}\n  found    {changed:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
