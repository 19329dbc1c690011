//! The record of a machine: the plan it was installed by, with every disk that was changed since in the place of the one
//! before it.

use firmware::inventory::{Disk, DiskId};
use serde_json::Value;

use crate::repair::{RepairError, bay};
use crate::seed::Seed;
use crate::step::{Action, Check, Device, Partition, Plan, PlannedDisk};

/// The recorded plan as if the new disks had been there from the start: with GUIDs of their own, so that nothing of a lost
/// disk that comes back is ever taken for something of the new one.
pub(super) fn substitute(
    recorded: &Plan,
    pairs: &[(&PlannedDisk, &Disk)],
    seed: &Seed,
) -> Result<Plan, RepairError> {
    let unreadable = |error: serde_json::Error| RepairError::Record {
        reason: error.to_string(),
    };
    // Over the JSON form, so that no kind of device or action can be forgotten: a disk is a string that is its id.
    let mut value = serde_json::to_value(recorded).map_err(unreadable)?;
    for (lost, new) in pairs {
        rename(&mut value, &lost.id, &new.id);
    }
    let mut plan: Plan = serde_json::from_value(value).map_err(unreadable)?;
    for (lost, new) in pairs {
        for step in &mut plan.steps {
            match &mut step.action {
                Action::WriteState { multipath, .. } => {
                    // The running appliance uses the new disk as it used the lost one.
                    for wwn in multipath {
                        if let (Some(old), Some(new)) = (&lost.wwn, &new.wwn)
                            && wwn == old
                        {
                            wwn.clone_from(new);
                        }
                    }
                }
                Action::Partition {
                    device: Device::Disk { disk },
                    uuid,
                    partitions,
                } if *disk == new.id => {
                    *uuid = seed.uuid(&format!("gpt {disk}"));
                    for partition in partitions {
                        partition.uuid = seed.uuid(&format!("partition {} {disk}", partition.name));
                    }
                    if let Check::PartitionTable { uuid: check, .. } = &mut step.done_when {
                        check.clone_from(uuid);
                    }
                }
                Action::MakeFileSystem {
                    device: Device::Partition { disk, .. },
                    uuid,
                    ..
                } if *disk == new.id => {
                    *uuid = seed.volume(&format!("esp {disk}"));
                    if let Check::FileSystem { uuid: check, .. } = &mut step.done_when {
                        check.clone_from(uuid);
                    }
                }
                _ => {}
            }
        }
        for disk in plan.disks.iter_mut().filter(|disk| disk.id == new.id) {
            // Where bays are not known now, it is where the lost one was.
            disk.bay = bay(new).or(disk.bay.take());
            disk.model.clone_from(&new.model);
            disk.serial.clone_from(&new.serial);
            disk.wwn.clone_from(&new.wwn);
            disk.size = new.size;
            disk.holds.clear();
        }
    }
    Ok(plan)
}

fn rename(value: &mut Value, from: &DiskId, to: &DiskId) {
    match value {
        Value::String(text) if *text == from.0 => text.clone_from(&to.0),
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, from, to)),
        Value::Object(fields) => fields
            .values_mut()
            .for_each(|field| rename(field, from, to)),
        _ => {}
    }
}

/// Table GUID and partitions of a disk.
pub(super) fn table<'a>(plan: &'a Plan, disk: &DiskId) -> Option<(&'a str, &'a [Partition])> {
    plan.steps.iter().find_map(|step| match &step.action {
        Action::Partition {
            device: Device::Disk { disk: other },
            uuid,
            partitions,
        } if other == disk => Some((uuid.as_str(), partitions.as_slice())),
        _ => None,
    })
}
