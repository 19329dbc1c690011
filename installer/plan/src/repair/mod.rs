//! Repair: after a disk was changed, bring back what it took away and nothing else. Pure: the plan that was recorded when the
//! machine was installed is compared with the disks that are there now.
//!
//! A recorded disk that is there is never written as a disk: new bytes reach it only through its own array or pool. What
//! comes out is a plan like any other, whose `destroys` names only the new disks, and which carries the record of the
//! machine as it will be: as if it had been installed on the disks it has now.

mod error;
mod loss;
mod record;
mod replacements;
mod steps;

use std::collections::BTreeSet;

use firmware::inventory::{Disk, DiskId, Holder, Inventory};
use roles::{NodeFile, Role};
use sha2::{Digest, Sha256};

pub use error::RepairError;

use crate::error::PlanError;
use crate::guard;
use crate::seed::Seed;
use crate::step::{Action, Guard, Plan, PlannedDisk};

/// Makes a repair plan from the plan that the machine was installed by. Without anything to do, the plan has no steps and its
/// notes say so. `allowed` are the keys of guarded things that may be destroyed, as for an install.
///
/// # Errors
/// Says what cannot be brought back, and what to do.
pub fn make(
    recorded: &Plan,
    role: &Role,
    node: &NodeFile,
    inventory: &Inventory,
    allowed: &[String],
) -> Result<Plan, RepairError> {
    if !recorded
        .steps
        .iter()
        .any(|step| matches!(step.action, Action::FinishInstall { .. }))
    {
        return Err(RepairError::NoInstall);
    }
    let there = |id: &DiskId| inventory.disks.iter().find(|disk| &disk.id == id);
    let mut notes = Vec::new();
    let mut lost: Vec<&PlannedDisk> = Vec::new();
    for planned in &recorded.disks {
        match there(&planned.id) {
            None => lost.push(planned),
            Some(disk) => {
                for fault in &disk.faults {
                    notes.push(format!(
                        "{} of `{}` is there, but: {fault}; if it is to be replaced, pull it first",
                        place(planned),
                        planned.group
                    ));
                }
            }
        }
    }
    let known = recorded.disks.len();
    if lost.is_empty() {
        notes.insert(
            0,
            format!("nothing is missing: all {known} disks of the installed system are there"),
        );
        return Ok(plan(recorded, inventory, Vec::new(), notes));
    }
    loss::bearable(recorded, &lost)?;
    let (pairs, still_missing) = replacements::find(recorded, &lost, role, node, inventory)?;
    notes.extend(still_missing);

    let seed = Seed::new(&["repair", &recorded.digest()]);
    for (lost, new) in &pairs {
        notes.push(format!(
            "{} of `{}` is gone; {} takes its place",
            place(lost),
            lost.group,
            of_disk(new)
        ));
    }
    let record = record::substitute(recorded, &pairs, &seed)?;
    let steps = steps::make(recorded, &record, &pairs, inventory)?;
    notes.push(
        "only the new disks are wiped; disks of the installed system that are there keep their content".into(),
    );
    notes.push(format!(
        "the new disks get partitions as the lost ones had, with new GUIDs; {known} disks are recorded as before"
    ));
    let mut made = plan(&record, inventory, steps, notes);
    made.guards = guards(recorded, inventory, &made.destroys(), allowed)?;
    // For people; neither in the record nor in the digest.
    for disk in &mut made.disks {
        disk.holds = held(inventory, &disk.id);
    }
    Ok(made)
}

fn plan(
    record: &Plan,
    inventory: &Inventory,
    steps: Vec<crate::step::Step>,
    notes: Vec<String>,
) -> Plan {
    let disks: Vec<PlannedDisk> = record
        .disks
        .iter()
        .filter(|planned| inventory.disks.iter().any(|disk| disk.id == planned.id))
        .map(|planned| PlannedDisk {
            holds: Vec::new(),
            ..planned.clone()
        })
        .collect();
    Plan {
        node: record.node.clone(),
        role: record.role.clone(),
        inventory: facts(&disks),
        steps,
        notes,
        disks,
        guards: Vec::new(),
    }
}

/// Facts of the disks that are used: the same after a restart.
fn facts(disks: &[PlannedDisk]) -> String {
    let mut hash = Sha256::new();
    for disk in disks {
        hash.update(format!("{}\n{}\n", disk.id, disk.size));
    }
    hex::encode(hash.finalize())
}

/// What of others lies on the new disks. What an interrupted repair of this machine left there, or what the disk carried
/// when it was part of this machine before, is not of others.
fn guards(
    recorded: &Plan,
    inventory: &Inventory,
    destroys: &BTreeSet<DiskId>,
    allowed: &[String],
) -> Result<Vec<Guard>, RepairError> {
    let (pools, hostid) = pools(recorded);
    let foreign: Vec<Holder> = inventory
        .found
        .iter()
        .filter(|holder| !is_own(recorded, holder, &pools, &hostid))
        .cloned()
        .collect();
    let guards = guard::guards(&foreign, destroys, &pools, &hostid);
    let denied: Vec<Guard> = guards
        .iter()
        .filter(|guard| !allowed.contains(&guard.key))
        .cloned()
        .collect();
    if denied.is_empty() {
        return Ok(guards);
    }
    Err(PlanError::Guarded { guards: denied }.into())
}

fn pools(recorded: &Plan) -> (Vec<String>, String) {
    let mut names = Vec::new();
    let mut id = String::new();
    for step in &recorded.steps {
        if let Action::CreatePool { name, hostid, .. } = &step.action {
            names.push(name.clone());
            id.clone_from(hostid);
        }
    }
    (names, id)
}

/// An array or a pool of the installed system itself.
fn is_own(recorded: &Plan, holder: &Holder, pools: &[String], hostid: &str) -> bool {
    let uuid = holder.uuid.as_deref().map(plain).unwrap_or_default();
    match holder.kind.as_str() {
        "md" => recorded.steps.iter().any(|step| {
            matches!(&step.action, Action::CreateArray { uuid: own, .. } if plain(own) == uuid)
        }),
        "zfs" => guard::reason(holder, pools, hostid).is_none(),
        _ => false,
    }
}

/// The disk carries a label of an array of the installed system.
fn on_own_array(recorded: &Plan, inventory: &Inventory, disk: &DiskId) -> bool {
    inventory.found.iter().any(|holder| {
        holder.kind == "md" && holder.disks.contains(disk) && is_own(recorded, holder, &[], "")
    })
}

fn held(inventory: &Inventory, disk: &DiskId) -> Vec<String> {
    let words = |holder: &Holder| {
        let words = [
            Some(holder.kind.as_str()),
            holder.name.as_deref(),
            holder.uuid.as_deref(),
            holder.detail.as_deref(),
        ];
        words.into_iter().flatten().collect::<Vec<_>>().join(" ")
    };
    let on_it = inventory
        .found
        .iter()
        .filter(|holder| holder.disks.contains(disk));
    on_it.map(words).collect()
}

/// Only the hexadecimal digits, lower case.
fn plain(uuid: &str) -> String {
    uuid.chars()
        .filter(char::is_ascii_hexdigit)
        .map(|digit| digit.to_ascii_lowercase())
        .collect()
}

/// A recorded disk as people find it: bay, model, serial number.
fn place(disk: &PlannedDisk) -> String {
    words(
        &disk.id,
        disk.bay.as_deref(),
        disk.model.as_deref(),
        disk.serial.as_deref(),
    )
}

fn of_disk(disk: &Disk) -> String {
    words(
        &disk.id,
        bay(disk).as_deref(),
        disk.model.as_deref(),
        disk.serial.as_deref(),
    )
}

fn words(id: &DiskId, bay: Option<&str>, model: Option<&str>, serial: Option<&str>) -> String {
    let mut text = match bay {
        Some(bay) => format!("disk {id} in bay {bay}"),
        None => format!("disk {id}"),
    };
    let more: Vec<String> = [
        model.map(str::to_owned),
        serial.map(|serial| format!("serial {serial}")),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !more.is_empty() {
        text.push_str(&format!(" ({})", more.join(", ")));
    }
    text
}

fn bay(disk: &Disk) -> Option<String> {
    let bay = disk.bay.as_ref()?;
    Some(format!("{}:{}", bay.side, bay.slot))
}
