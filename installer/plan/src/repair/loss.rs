//! Whether what is left can rebuild what is gone.

use crate::repair::error::RepairError;
use crate::repair::place;
use crate::step::{Action, Device, Plan, PlannedDisk, Vdev};

/// Refuses if the system, an array or a pool cannot be rebuilt from the disks that are left. Where a spare may have stepped
/// in, the array or the pool itself must tell.
pub(super) fn bearable(recorded: &Plan, lost: &[&PlannedDisk]) -> Result<(), RepairError> {
    let is_lost = |device: &Device| {
        disk_of(device).is_some_and(|disk| lost.iter().any(|planned| planned.id == *disk))
    };
    let list = |devices: &[&Device]| {
        let places: Vec<String> = devices
            .iter()
            .filter_map(|device| disk_of(device))
            .filter_map(|disk| lost.iter().find(|planned| planned.id == *disk))
            .map(|planned| place(planned))
            .collect();
        places.join(", ")
    };
    for step in &recorded.steps {
        match &step.action {
            Action::CreateArray {
                name,
                level,
                members,
                spares,
                ..
            } => {
                let gone: Vec<&Device> = members.iter().filter(|member| is_lost(member)).collect();
                if gone.len() == members.len() && name == "os" {
                    return Err(RepairError::NoSystem { disks: list(&gone) });
                }
                let spared = *level != 0 && spares.iter().any(|spare| !is_lost(spare));
                if !spared && !array_stands(*level, members, &is_lost) {
                    return Err(RepairError::Lost {
                        what: format!("array `{name}` (RAID{level})"),
                        disks: list(&gone),
                    });
                }
            }
            Action::CreatePool { name, vdevs, .. } => {
                let spared = vdevs.iter().any(|vdev| {
                    vdev.kind == "spare" && vdev.members.iter().any(|spare| !is_lost(spare))
                });
                for vdev in vdevs {
                    let gone: Vec<&Device> = vdev
                        .members
                        .iter()
                        .filter(|member| is_lost(member))
                        .collect();
                    if gone.len() > tolerates(vdev) && !(spared && vdev.kind != "log") {
                        return Err(RepairError::Lost {
                            what: format!("`{}` of pool `{name}`", vdev.kind),
                            disks: list(&gone),
                        });
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

pub(super) fn disk_of(device: &Device) -> Option<&firmware::inventory::DiskId> {
    match device {
        Device::Disk { disk } | Device::Partition { disk, .. } => Some(disk),
        _ => None,
    }
}

fn array_stands(level: u32, members: &[Device], is_lost: &dyn Fn(&Device) -> bool) -> bool {
    let gone = members.iter().filter(|member| is_lost(member)).count();
    match level {
        0 => gone == 0,
        1 => gone < members.len(),
        // near=2 on an even number: neighbours hold the same (md(4)).
        10 if members.len().is_multiple_of(2) => {
            !members.chunks(2).any(|pair| pair.iter().all(is_lost))
        }
        6 => gone <= 2,
        _ => gone <= 1,
    }
}

/// How many members of a vdev may be gone.
fn tolerates(vdev: &Vdev) -> usize {
    let count = vdev.members.len();
    match vdev.kind.as_str() {
        // The intent log of one device is replaced by a new one; what it held is lost with it.
        "log" if count == 1 => 1,
        "cache" | "spare" => count,
        "mirror" | "log" | "special" => count - 1,
        kind => kind
            .trim_start_matches("raidz")
            .trim_start_matches("draid")
            .chars()
            .next()
            .and_then(|digit| digit.to_digit(10))
            .map_or(0, |parity| parity as usize),
    }
}
