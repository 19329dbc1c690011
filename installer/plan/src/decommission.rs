//! A machine that is to go: every disk it could ever install on is emptied, and nothing is made. The scope is all or nothing
//! on purpose: what is left on a disk that nobody looked at leaves the house with it.

use std::collections::BTreeSet;

use firmware::inventory::{DiskId, Inventory};
use roles::role::Purpose;
use sha2::{Digest, Sha256};

use crate::build::Builder;
use crate::error::PlanError;
use crate::guard;
use crate::make::label;
use crate::select::ineligible;
use crate::step::{Action, Check, Guard, Plan, PlannedDisk};

/// Plans to empty all disks. `allowed` are keys of guarded things that may be destroyed (see [`Guard::key`]).
///
/// # Errors
/// There is no disk to empty, or something guarded lies on one.
pub fn make(
    node: &str,
    role: &str,
    inventory: &Inventory,
    allowed: &[String],
) -> Result<Plan, PlanError> {
    let mut build = Builder::default();
    let mut disks = Vec::new();
    let mut facts = Sha256::new();
    for disk in &inventory.disks {
        if let Some(reason) = ineligible(disk) {
            build.note(format!("{} is left alone: {reason}", label(disk)));
            continue;
        }
        facts.update(format!("{}\n{}\n", disk.id, disk.size));
        build.step(
            &format!("wipe-{}", disk.id),
            format!("wipe disk {}", label(disk)),
            Check::Blank {
                disk: disk.id.clone(),
            },
            Action::Wipe {
                disk: disk.id.clone(),
            },
        );
        disks.push(PlannedDisk {
            id: disk.id.clone(),
            group: "empty".into(),
            purpose: Purpose::Data,
            bay: disk
                .bay
                .as_ref()
                .map(|bay| format!("{}:{}", bay.side, bay.slot)),
            model: disk.model.clone(),
            serial: disk.serial.clone(),
            wwn: disk.wwn.clone(),
            size: disk.size,
            holds: inventory
                .found
                .iter()
                .filter(|holder| holder.disks.contains(&disk.id))
                .map(|holder| match &holder.name {
                    Some(name) => format!("{} {name}", holder.kind),
                    None => holder.kind.clone(),
                })
                .collect(),
        });
    }
    if disks.is_empty() {
        return Err(PlanError::NothingToEmpty);
    }
    build.note("signatures, head and tail of each disk are overwritten and read back; the rest of its content is not");
    let (steps, notes) = build.finish();
    let destroys: BTreeSet<DiskId> = disks.iter().map(|disk| disk.id.clone()).collect();
    let guards = guard::guards(&inventory.found, &destroys, &[], "");
    let denied: Vec<Guard> = guards
        .iter()
        .filter(|guard| !allowed.contains(&guard.key))
        .cloned()
        .collect();
    if !denied.is_empty() {
        return Err(PlanError::Guarded { guards: denied });
    }
    Ok(Plan {
        node: node.to_owned(),
        role: role.to_owned(),
        inventory: hex::encode(facts.finalize()),
        steps,
        notes,
        disks,
        guards,
    })
}
