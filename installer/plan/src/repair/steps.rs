//! The steps of a repair, in order. Every step names the new disks it writes, and no other.

use std::collections::BTreeSet;

use firmware::inventory::{Disk, DiskId, Inventory};

use crate::repair::RepairError;
use crate::repair::loss::disk_of;
use crate::repair::record::table;
use crate::step::{Action, Check, Device, LostMember, Plan, PlannedDisk, Replaced, Step, Vdev};

type Pair<'a> = (&'a PlannedDisk, &'a Disk);

/// Makes the steps. `record` is the plan with the new disks in it.
pub(super) fn make(
    recorded: &Plan,
    record: &Plan,
    pairs: &[Pair<'_>],
    inventory: &Inventory,
) -> Result<Vec<Step>, RepairError> {
    let wrong = |reason: &str| RepairError::Record {
        reason: reason.into(),
    };
    let state = record
        .steps
        .iter()
        .find_map(|step| match &step.action {
            Action::FinishInstall { state, .. } => Some(state.clone()),
            _ => None,
        })
        .ok_or_else(|| wrong("it has no end"))?;
    let Device::ArrayPartition { uuid: system, .. } = &state else {
        return Err(wrong("the state file system does not lie in an array"));
    };
    let mut maker = Maker {
        recorded,
        record,
        pairs,
        there: inventory.disks.iter().map(|disk| &disk.id).collect(),
        steps: Vec::new(),
    };
    if !maker.open_array(system) {
        return Err(wrong("it does not make the array that the state lies in"));
    }
    maker.add(
        "begin",
        "note that the repair has begun".into(),
        &[],
        Check::Never,
        Action::BeginRepair {
            state: state.clone(),
            replaced: pairs
                .iter()
                .map(|(lost, new)| Replaced {
                    lost: lost.id.clone(),
                    new: new.id.clone(),
                })
                .collect(),
        },
    );
    for (_, new) in pairs {
        maker.prepare(new)?;
    }
    for array in maker.arrays(system) {
        maker.fill_array(&array, array != *system);
    }
    for (_, new) in pairs {
        maker.make_bootable(new)?;
    }
    let pools = maker.fill_pools();
    maker.add(
        "finish",
        "record the new disks, export pools".into(),
        &[],
        Check::Never,
        Action::FinishRepair {
            state,
            pools,
            record: Box::new(record.clone()),
        },
    );
    Ok(maker.finish())
}

struct Maker<'a> {
    recorded: &'a Plan,
    record: &'a Plan,
    pairs: &'a [Pair<'a>],
    there: BTreeSet<&'a DiskId>,
    steps: Vec<Step>,
}

impl<'a> Maker<'a> {
    fn add(
        &mut self,
        slug: &str,
        title: String,
        destroys: &[&DiskId],
        done_when: Check,
        action: Action,
    ) {
        self.steps.push(Step {
            id: slug.into(),
            title,
            destroys: destroys.iter().map(|id| (*id).clone()).collect(),
            done_when,
            action,
        });
    }

    /// Numbers the steps.
    fn finish(mut self) -> Vec<Step> {
        let width = if self.steps.len() > 99 { 3 } else { 2 };
        for (index, step) in self.steps.iter_mut().enumerate() {
            step.id = format!("{:0width$}-{}", index + 1, step.id);
        }
        self.steps
    }

    fn is_new(&self, device: &Device) -> bool {
        disk_of(device).is_some_and(|disk| self.pairs.iter().any(|(_, new)| new.id == *disk))
    }

    fn is_there(&self, device: &Device) -> bool {
        disk_of(device).is_some_and(|disk| self.there.contains(disk)) && !self.is_new(device)
    }

    fn label(&self, disk: &DiskId) -> String {
        let planned = self.record.disks.iter().find(|planned| planned.id == *disk);
        match planned.and_then(|planned| planned.bay.clone()) {
            Some(bay) => bay,
            None => disk.to_string(),
        }
    }

    /// Name, UUID and devices of an array.
    fn array(&self, wanted: &str) -> Option<(&'a str, Vec<&'a Device>)> {
        self.record
            .steps
            .iter()
            .find_map(|step| match &step.action {
                Action::CreateArray {
                    name,
                    uuid,
                    members,
                    spares,
                    ..
                } if uuid == wanted => {
                    Some((name.as_str(), members.iter().chain(spares).collect()))
                }
                _ => None,
            })
    }

    /// UUIDs of the arrays that get a new member, the system's first.
    fn arrays(&self, system: &str) -> Vec<String> {
        let mut uuids: Vec<String> = self
            .record
            .steps
            .iter()
            .filter_map(|step| match &step.action {
                Action::CreateArray {
                    uuid,
                    members,
                    spares,
                    ..
                } if members
                    .iter()
                    .chain(spares)
                    .any(|device| self.is_new(device)) =>
                {
                    Some(uuid.clone())
                }
                _ => None,
            })
            .collect();
        uuids.sort_by_key(|uuid| uuid != system);
        uuids
    }

    fn open_array(&mut self, uuid: &str) -> bool {
        let Some((name, devices)) = self.array(uuid) else {
            return false;
        };
        let pick = |wanted: &dyn Fn(&Device) -> bool| -> Vec<Device> {
            devices
                .iter()
                .filter(|device| wanted(device))
                .map(|device| (*device).clone())
                .collect()
        };
        let members = pick(&|device| self.is_there(device));
        let joining = pick(&|device| self.is_new(device));
        let name = name.to_owned();
        self.add(
            &format!("open-{name}"),
            format!("start array {name} with the members that are left"),
            &[],
            Check::Running { uuid: uuid.into() },
            Action::OpenArray {
                name: name.clone(),
                uuid: uuid.into(),
                members,
                joining,
            },
        );
        true
    }

    fn fill_array(&mut self, uuid: &str, open: bool) {
        if open {
            self.open_array(uuid);
        }
        let Some((name, devices)) = self.array(uuid) else {
            return;
        };
        for member in devices {
            let Some(disk) = disk_of(member).filter(|_| self.is_new(member)) else {
                continue;
            };
            let title = format!("add disk {} to array {name}", self.label(disk));
            self.add(
                &format!("add-{name}-{disk}"),
                title,
                &[disk],
                Check::Member {
                    array: uuid.into(),
                    member: member.clone(),
                },
                Action::AddMember {
                    name: name.into(),
                    array: uuid.into(),
                    member: member.clone(),
                },
            );
        }
    }

    /// Wipe, partitions, and the EFI system partition if it is an OS disk: as the record has them.
    fn prepare(&mut self, new: &Disk) -> Result<(), RepairError> {
        let id = &new.id;
        let label = self.label(id);
        self.add(
            &format!("wipe-{id}"),
            format!("wipe new disk {label}"),
            &[id],
            Check::Blank { disk: id.clone() },
            Action::Wipe { disk: id.clone() },
        );
        let Some((uuid, partitions)) = table(self.record, id) else {
            return Err(RepairError::Record {
                reason: format!("it does not partition disk `{id}`"),
            });
        };
        let device = Device::Disk { disk: id.clone() };
        self.add(
            &format!("partition-{id}"),
            format!("partition new disk {label} as the lost one was"),
            &[id],
            Check::PartitionTable {
                device: device.clone(),
                uuid: uuid.into(),
            },
            Action::Partition {
                device,
                uuid: uuid.into(),
                partitions: partitions.to_vec(),
            },
        );
        for step in &self.record.steps {
            if let Action::MakeFileSystem {
                device: Device::Partition { disk, .. },
                ..
            } = &step.action
                && disk == id
            {
                self.add(
                    &format!("filesystem-esp-{id}"),
                    format!("make the EFI system partition of disk {label}"),
                    &[id],
                    step.done_when.clone(),
                    step.action.clone(),
                );
            }
        }
        Ok(())
    }

    fn make_bootable(&mut self, new: &Disk) -> Result<(), RepairError> {
        let bootable = |step: &'a Step| match &step.action {
            Action::MakeBootable { disk, esp, array } => Some((disk, esp, array)),
            _ => None,
        };
        let record = self.record;
        let Some((disk, esp, array)) = record
            .steps
            .iter()
            .filter_map(bootable)
            .find(|(disk, ..)| **disk == new.id)
        else {
            return Ok(());
        };
        let from = record
            .steps
            .iter()
            .filter_map(bootable)
            .map(|(_, esp, _)| esp)
            .find(|esp| self.is_there(esp));
        let Some(from) = from else {
            return Err(RepairError::Record {
                reason: "no disk is left to boot from".into(),
            });
        };
        let title = format!("make disk {} bootable by BIOS and UEFI", self.label(disk));
        self.add(
            &format!("bootable-{disk}"),
            title,
            &[disk],
            Check::Never,
            Action::CopyBootable {
                disk: disk.clone(),
                esp: esp.clone(),
                from: from.clone(),
                array: array.clone(),
            },
        );
        Ok(())
    }

    /// Names of the pools that get a new device.
    fn fill_pools(&mut self) -> Vec<String> {
        let mut names = Vec::new();
        let record = self.record;
        for step in &record.steps {
            let Action::CreatePool {
                name,
                hostid,
                ashift,
                vdevs,
                ..
            } = &step.action
            else {
                continue;
            };
            let devices = || vdevs.iter().flat_map(|vdev| &vdev.members);
            if !devices().any(|device| self.is_new(device)) {
                continue;
            }
            names.push(name.clone());
            let pick = |wanted: &dyn Fn(&Device) -> bool| -> Vec<Device> {
                devices().filter(|device| wanted(device)).cloned().collect()
            };
            let members = pick(&|device| self.is_there(device));
            let joining = pick(&|device| self.is_new(device));
            let without_log = vdevs.iter().any(|vdev| {
                vdev.kind == "log" && !vdev.members.iter().any(|member| self.is_there(member))
            });
            self.add(
                &format!("open-{name}"),
                format!("import pool {name} with the members that are left"),
                &[],
                Check::Pool { name: name.clone() },
                Action::OpenPool {
                    name: name.clone(),
                    hostid: hostid.clone(),
                    members,
                    joining,
                    without_log,
                },
            );
            for vdev in vdevs {
                self.fill_vdev(name, *ashift, vdev);
            }
        }
        names
    }

    fn fill_vdev(&mut self, pool: &str, ashift: u32, vdev: &Vdev) {
        let one_of_many = vdev.members.len() > 1;
        let redundant = one_of_many && !["cache", "spare"].contains(&vdev.kind.as_str());
        for member in &vdev.members {
            let Some(disk) = disk_of(member) else {
                continue;
            };
            let Some((lost, _)) = self.pairs.iter().find(|(_, new)| new.id == *disk) else {
                continue;
            };
            let number = match member {
                Device::Partition { number, .. } => *number as usize,
                _ => 1,
            };
            // The GUID the lost one had, not that of the new record.
            let partition = table(self.recorded, &lost.id)
                .and_then(|(_, partitions)| partitions.get(number.checked_sub(1)?))
                .map(|partition| partition.uuid.clone())
                .unwrap_or_default();
            let title = format!("give pool {pool} disk {} ({})", self.label(disk), vdev.kind);
            self.add(
                &format!("replace-{pool}-{disk}"),
                title,
                &[disk],
                Check::PoolMember {
                    pool: pool.into(),
                    member: member.clone(),
                },
                Action::ReplaceMember {
                    pool: pool.into(),
                    ashift,
                    vdev: vdev.kind.clone(),
                    lost: LostMember {
                        disk: lost.id.clone(),
                        partition,
                        wwn: lost.wwn.clone(),
                        serial: lost.serial.clone(),
                    },
                    member: member.clone(),
                    redundant,
                },
            );
        }
    }
}
