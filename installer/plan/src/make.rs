//! Role, node file and inventory in, plan out.

use std::collections::{BTreeMap, BTreeSet};

use firmware::Reference;
use firmware::inventory::{Disk, DiskId, Inventory};
use roles::role::{DiskNeed, Layout, Purpose};
use roles::{NodeFile, Role};
use sha2::{Digest, Sha256};

use crate::build::Builder;
use crate::data::Data;
use crate::error::PlanError;
use crate::seed::Seed;
use crate::select::{Group, select};
use crate::step::{Action, Check, Device, Guard, Mount, Plan, PlannedDisk};
use crate::{bmc, guard, keep, md, multipath, os, ports, select, zfs};

/// The root image to install: the one the installer itself runs from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootImage {
    /// Bytes.
    pub size: u64,
    /// Hexadecimal digest.
    pub sha256: String,
    /// Version, for people.
    pub version: String,
}

/// What a node's owner decides beyond role and disks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choices {
    /// Keys of guarded things that may be destroyed (see [`Guard::key`]).
    pub allowed: Vec<String>,
    /// Install the system anew and leave every data group as it is.
    pub keep_data: bool,
}

/// Makes a plan; nothing guarded may be destroyed, nothing is kept.
///
/// # Errors
/// Says what is wrong with role, node file or machine.
pub fn make(
    role: &Role,
    node: &NodeFile,
    inventory: &Inventory,
    image: &RootImage,
    seed: &Seed,
) -> Result<Plan, PlanError> {
    make_with(role, node, inventory, image, seed, &Choices::default())
}

/// Makes a plan that may destroy the guarded things whose keys (see [`Guard::key`]) are `allowed`.
///
/// # Errors
/// Says what is wrong with role, node file or machine.
pub fn make_allowing(
    role: &Role,
    node: &NodeFile,
    inventory: &Inventory,
    image: &RootImage,
    seed: &Seed,
    allowed: &[String],
) -> Result<Plan, PlanError> {
    let choices = Choices {
        allowed: allowed.to_vec(),
        ..Choices::default()
    };
    make_with(role, node, inventory, image, seed, &choices)
}

/// Makes a plan by the owner's choices.
///
/// # Errors
/// Says what is wrong with role, node file or machine.
pub fn make_with(
    role: &Role,
    node: &NodeFile,
    inventory: &Inventory,
    image: &RootImage,
    seed: &Seed,
    choices: &Choices,
) -> Result<Plan, PlanError> {
    let assume_clean = match node.storage.initial_sync.as_deref() {
        None | Some("full") => false,
        Some("skip") => true,
        Some(value) => {
            return Err(PlanError::InitialSync {
                value: value.into(),
            });
        }
    };
    let needs = needs(role, node);
    let groups = select(&needs, &inventory.disks)?;
    let os_group = groups
        .iter()
        .find(|group| group.need.purpose == Purpose::Os && !group.disks.is_empty())
        .ok_or_else(|| PlanError::NoOs {
            role: role.name.clone(),
        })?;

    let ports = names_of_ports(node, inventory)?;
    let mut build = Builder::default();
    for group in groups.iter().filter(|group| group.disks.is_empty()) {
        build.note(format!(
            "{}: no disk matches; the role can do without",
            group.name
        ));
    }
    build.multipath = multipath::decide(&groups, node.storage.multipath.as_deref(), &mut build)?;
    bmc::lay_out(node, inventory, &mut build);
    let wiped = |group: &&Group<'_>| !choices.keep_data || group.need.purpose == Purpose::Os;
    for disk in groups.iter().filter(wiped).flat_map(|group| &group.disks) {
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
    }
    let os = os::lay_out(os_group, image, seed, assume_clean, &mut build)?;
    let mut data = Data {
        assume_clean,
        ..Data::default()
    };
    if choices.keep_data {
        keep_data(&groups, inventory, &mut data, &mut build)?;
    } else {
        lay_out_data(&groups, seed, &mut data, &mut build)?;
    }
    for disk in &os_group.disks {
        let id = &disk.id;
        let device = Device::Partition {
            disk: id.clone(),
            number: 2,
        };
        let uuid = seed.volume(&format!("esp {id}"));
        build.step(
            &format!("filesystem-esp-{id}"),
            format!("make the EFI system partition of disk {}", label(disk)),
            Check::FileSystem {
                device: device.clone(),
                uuid: uuid.clone(),
            },
            Action::MakeFileSystem {
                device,
                kind: "vfat".into(),
                label: "ESP".into(),
                uuid,
            },
        );
    }
    for disk in &os_group.disks {
        let id = &disk.id;
        build.step(
            &format!("bootable-{id}"),
            format!("make disk {} bootable by BIOS and UEFI", label(disk)),
            Check::Never,
            Action::MakeBootable {
                disk: id.clone(),
                esp: Device::Partition {
                    disk: id.clone(),
                    number: 2,
                },
                array: os.array.clone(),
            },
        );
    }
    let mount = |path: &str, uuid: &str| Mount {
        path: path.into(),
        uuid: uuid.into(),
        kind: "ext4".into(),
    };
    let mut mounts = vec![mount("/state", &os.state_uuid), mount("/var", &os.var_uuid)];
    mounts.append(&mut data.mounts);
    build.step(
        "state",
        "write node file and identity".into(),
        Check::Never,
        Action::WriteState {
            state: os.state.clone(),
            hostid: data.hostid.unwrap_or_else(|| seed.hostid()),
            machine_id: seed.machine_id(),
            mounts,
            multipath: build.multipath.wwns.clone(),
            ports,
        },
    );
    let pools = build.pools();
    build.step(
        "finish",
        "export pools, flush, mark the install as unproven".into(),
        Check::Never,
        Action::FinishInstall {
            state: os.state,
            pools: pools.clone(),
        },
    );

    let (steps, notes) = build.finish();
    let destroys: BTreeSet<DiskId> = steps
        .iter()
        .flat_map(|step| step.destroys.iter().cloned())
        .collect();
    let guards = guard::guards(&inventory.found, &destroys, &pools, &seed.hostid());
    let denied: Vec<Guard> = guards
        .iter()
        .filter(|guard| !choices.allowed.contains(&guard.key))
        .cloned()
        .collect();
    if !denied.is_empty() {
        return Err(PlanError::Guarded { guards: denied });
    }
    Ok(Plan {
        node: node.node.clone(),
        role: role.name.clone(),
        inventory: facts(&groups),
        steps,
        notes,
        disks: planned(&groups, inventory),
        guards,
    })
}

/// Permanent MAC address of each port of the node file, by its name.
fn names_of_ports(
    node: &NodeFile,
    inventory: &Inventory,
) -> Result<BTreeMap<String, String>, PlanError> {
    if node.ports.is_empty() {
        return Ok(BTreeMap::new());
    }
    let reference = Reference::built_in().map_err(|error| PlanError::Reference {
        reason: error.to_string(),
    })?;
    let chosen = ports::choose(node, inventory, &reference)?;
    Ok(chosen
        .into_iter()
        .map(|port| (port.name, port.mac))
        .collect())
}

/// The role's disk groups with the node file's over them: a purpose the node file names replaces the role's groups of that
/// purpose. An override without a layout keeps the role's.
#[must_use]
pub fn needs(role: &Role, node: &NodeFile) -> Vec<DiskNeed> {
    let overridden = |purpose: Purpose| node.disks.iter().any(|need| need.purpose == purpose);
    let mut needs: Vec<DiskNeed> = Vec::new();
    let overrides = |purpose: Purpose, needs: &mut Vec<DiskNeed>| {
        for need in node.disks.iter().filter(|need| need.purpose == purpose) {
            let mut need = need.clone();
            if need.layout.is_none() {
                need.layout = role
                    .disks
                    .iter()
                    .find(|theirs| theirs.purpose == purpose)
                    .and_then(|theirs| theirs.layout.clone());
            }
            needs.push(need);
        }
    };
    for need in &role.disks {
        if !overridden(need.purpose) {
            needs.push(need.clone());
        } else if !needs.iter().any(|done| done.purpose == need.purpose) {
            overrides(need.purpose, &mut needs);
        }
    }
    let rest: BTreeSet<Purpose> = node.disks.iter().map(|need| need.purpose).collect();
    for purpose in rest {
        if !role.disks.iter().any(|need| need.purpose == purpose) {
            overrides(purpose, &mut needs);
        }
    }
    needs
}

type Groups<'a, 'b> = Vec<&'b Group<'a>>;

/// Data groups that are there, and the groups that join one of them.
fn data_groups<'a, 'b>(groups: &'b [Group<'a>]) -> (Groups<'a, 'b>, Groups<'a, 'b>) {
    let there = groups
        .iter()
        .filter(|group| !group.disks.is_empty() && group.need.purpose != Purpose::Os);
    there.partition(|group| group.need.purpose == Purpose::Data)
}

fn layout<'b>(group: &'b Group<'_>) -> Result<&'b Layout, PlanError> {
    group
        .need
        .layout
        .as_ref()
        .ok_or_else(|| PlanError::layout(&group.name, "it has no layout".into()))
}

/// Log, cache, special and spare groups join the first pool; without a pool, spares join the first array.
fn lay_out_data(
    groups: &[Group<'_>],
    seed: &Seed,
    data: &mut Data,
    build: &mut Builder,
) -> Result<(), PlanError> {
    let (data_groups, mut others) = data_groups(groups);
    let pool = data_groups
        .iter()
        .any(|group| matches!(group.need.layout, Some(Layout::Zfs { .. })));
    for group in data_groups {
        match layout(group)? {
            layout @ Layout::Md { .. } => {
                let is_mine = |other: &&Group<'_>| !pool && other.need.purpose == Purpose::Spare;
                let (spares, rest) = others.into_iter().partition(is_mine);
                others = rest;
                let spares: Vec<&Group<'_>> = spares;
                md::lay_out(group, &spares, layout, seed, data, build)?;
            }
            layout @ Layout::Zfs { .. } => {
                zfs::lay_out(group, &std::mem::take(&mut others), layout, seed, build)?;
            }
        }
    }
    match others.first() {
        Some(group) => Err(PlanError::layout(
            &group.name,
            "there is nothing it could join".into(),
        )),
        None => Ok(()),
    }
}

fn keep_data(
    groups: &[Group<'_>],
    inventory: &Inventory,
    data: &mut Data,
    build: &mut Builder,
) -> Result<(), PlanError> {
    let (data_groups, others) = data_groups(groups);
    data_groups
        .into_iter()
        .try_for_each(|group| keep::keep(group, &others, layout(group)?, inventory, data, build))
}

/// A disk as people find it in the rack.
pub(crate) fn label(disk: &Disk) -> String {
    match &disk.bay {
        Some(bay) => format!("{}:{}", bay.side, bay.slot),
        None => disk.id.to_string(),
    }
}

fn planned(groups: &[Group<'_>], inventory: &Inventory) -> Vec<PlannedDisk> {
    let holds = |id: &DiskId| {
        inventory
            .found
            .iter()
            .filter(|holder| holder.disks.contains(id))
            .map(|holder| {
                let words: Vec<&str> = [
                    Some(holder.kind.as_str()),
                    holder.name.as_deref(),
                    holder.uuid.as_deref(),
                    holder.host.as_deref(),
                    holder.detail.as_deref(),
                    holder.active.then_some("(running)"),
                ]
                .into_iter()
                .flatten()
                .collect();
                words.join(" ")
            })
            .collect()
    };
    let one = |group: &Group<'_>, disk: &Disk| PlannedDisk {
        id: disk.id.clone(),
        group: group.name.clone(),
        purpose: group.need.purpose,
        bay: disk
            .bay
            .as_ref()
            .map(|bay| format!("{}:{}", bay.side, bay.slot)),
        model: disk.model.clone(),
        serial: disk.serial.clone(),
        wwn: disk.wwn.clone(),
        size: disk.size,
        holds: holds(&disk.id),
    };
    groups
        .iter()
        .flat_map(|group| group.disks.iter().map(move |disk| one(group, disk)))
        .collect()
}

fn facts(groups: &[Group<'_>]) -> String {
    let mut hash = Sha256::new();
    for disk in groups.iter().flat_map(|group| &group.disks) {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        hash.update(format!(
            "{}\n{}\n{}\n{}\n{}\n{} {} {}\n",
            disk.id,
            text(&disk.vendor),
            text(&disk.model),
            text(&disk.serial),
            text(&disk.wwn),
            disk.size,
            disk.logical_sector,
            disk.physical_sector
        ));
    }
    hex::encode(hash.finalize())
}

/// Names of the groups a role and a node file ask for, in the order of the plan.
#[must_use]
pub fn group_names(role: &Role, node: &NodeFile) -> Vec<String> {
    select::names(&needs(role, node))
}
