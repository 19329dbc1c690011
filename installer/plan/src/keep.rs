//! Keep mode: a new system, the old data. Nothing of a data group is opened; the plan only proves from the inventory that
//! what the role wants is there, whole, and says how it is mounted again.

use std::collections::BTreeSet;

use firmware::inventory::{DiskId, Holder, Inventory};
use roles::role::{Layout, Purpose};

use crate::build::Builder;
use crate::data::Data;
use crate::error::PlanError;
use crate::select::Group;
use crate::step::Mount;

/// Checks that a data group's array or pool is there and notes how it comes back. `others` are the groups that joined a
/// pool.
pub(crate) fn keep(
    group: &Group<'_>,
    others: &[&Group<'_>],
    layout: &Layout,
    inventory: &Inventory,
    data: &mut Data,
    build: &mut Builder,
) -> Result<(), PlanError> {
    match layout {
        Layout::Md {
            file_system, mount, ..
        } => {
            // A spare of the array may come from a group of its own.
            let spares: Vec<&Group<'_>> = others
                .iter()
                .filter(|other| other.need.purpose == Purpose::Spare)
                .copied()
                .collect();
            let (own, disks) = (ids(group, &[]), ids(group, &spares));
            let array = only(group, inventory, "md array", |holder| {
                holder.kind == "md" && between(&own, holder, &disks)
            })?;
            let kinds: &[&str] = if file_system == "ext4" {
                &["ext4", "ext", "filesystem"]
            } else {
                &["xfs", "filesystem"]
            };
            let fs = only(group, inventory, "file system with a UUID", |holder| {
                kinds.contains(&holder.kind.as_str())
                    && holder.uuid.is_some()
                    && !holder.disks.is_empty()
                    && holder.disks.iter().all(|disk| disks.contains(disk))
            })?;
            build.note(format!("{}: kept: {}", group.name, words(array)));
            data.mounts.push(Mount {
                path: mount.clone(),
                uuid: fs.uuid.clone().unwrap_or_default(),
                kind: file_system.clone(),
            });
        }
        Layout::Zfs { pool, .. } => {
            let disks = ids(group, others);
            // Labels of spares name no pool (vdev_label_init), so spares are known by being spares.
            let members: BTreeSet<DiskId> = ids(group, &[])
                .into_iter()
                .filter(|disk| !is_spare(inventory, disk))
                .collect();
            let found = only(group, inventory, &format!("pool `{pool}`"), |holder| {
                holder.kind == "zfs"
                    && holder.name.as_deref() == Some(pool)
                    && !destroyed(holder)
                    && between(&members, holder, &disks)
            })?;
            build.note(format!("{}: kept: {}", group.name, words(found)));
            // The pool must find its owner again, or the import asks for force.
            let host = found.host.as_deref();
            match (host.and_then(hostid), &data.hostid) {
                (None, _) => build.note(format!(
                    "{}: which hostid used the pool last is not known; unless it was exported, its first import needs force",
                    group.name
                )),
                (Some(theirs), Some(taken)) if theirs != *taken => build.note(format!(
                    "{}: the pool was last used by hostid {theirs}, another kept pool by {taken}, which this machine \
                     takes; unless it was exported, its first import needs force",
                    group.name
                )),
                (Some(theirs), _) => {
                    build.note(format!(
                        "{}: last used by {}; this machine takes that hostid, so that the import needs no force",
                        group.name,
                        host.unwrap_or(&theirs)
                    ));
                    data.hostid = Some(theirs);
                }
            }
        }
    }
    Ok(())
}

fn ids(group: &Group<'_>, others: &[&Group<'_>]) -> BTreeSet<DiskId> {
    group
        .disks
        .iter()
        .chain(others.iter().flat_map(|other| &other.disks))
        .map(|disk| disk.id.clone())
        .collect()
}

/// On all of `least`, and on nothing outside `most`.
fn between(least: &BTreeSet<DiskId>, holder: &Holder, most: &BTreeSet<DiskId>) -> bool {
    let on: BTreeSet<DiskId> = holder.disks.iter().cloned().collect();
    !on.is_empty() && on.is_superset(least) && on.is_subset(most)
}

fn is_spare(inventory: &Inventory, disk: &DiskId) -> bool {
    inventory
        .found
        .iter()
        .any(|holder| holder.kind == "zfs-spare" && holder.disks.contains(disk))
}

/// Its label says so; an import would need `-D`.
fn destroyed(holder: &Holder) -> bool {
    holder
        .detail
        .as_deref()
        .is_some_and(|detail| detail.starts_with("destroyed"))
}

fn only<'a>(
    group: &Group<'_>,
    inventory: &'a Inventory,
    what: &str,
    is: impl Fn(&Holder) -> bool,
) -> Result<&'a Holder, PlanError> {
    let found: Vec<&Holder> = inventory.found.iter().filter(|holder| is(holder)).collect();
    match found.as_slice() {
        [one] => Ok(one),
        many => {
            let disks: Vec<String> = group.disks.iter().map(|disk| disk.id.to_string()).collect();
            Err(PlanError::Keep {
                group: group.name.clone(),
                what: what.into(),
                found: many.len(),
                disks: disks.join(", "),
            })
        }
    }
}

fn words(holder: &Holder) -> String {
    let words = [
        Some(holder.kind.as_str()),
        holder.name.as_deref(),
        holder.uuid.as_deref(),
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// The hostid out of what the label says of its last host: `storage1 (hostid 1a2b3c4d)`.
fn hostid(host: &str) -> Option<String> {
    let mut words = host
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    words.find(|word| *word == "hostid")?;
    let word = words.next()?.to_lowercase();
    let is_hostid =
        word.len() == 8 && word.chars().all(|c| c.is_ascii_hexdigit()) && word != "00000000";
    is_hostid.then_some(word)
}
