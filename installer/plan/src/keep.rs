//! Keep mode: a new system, the old data. Nothing of a data group is opened; the plan only proves from the inventory that
//! what the role wants is there, whole, and says how it is mounted again.

use std::collections::BTreeSet;

use firmware::inventory::{DiskId, Holder, Inventory};
use roles::role::Layout;

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
            let disks = ids(group, &[]);
            let array = only(group, inventory, "md array", |holder| {
                holder.kind == "md" && same(holder, &disks)
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
            let found = only(group, inventory, &format!("pool `{pool}`"), |holder| {
                holder.kind == "zfs"
                    && holder.name.as_deref() == Some(pool)
                    && holder.disks.iter().all(|disk| disks.contains(disk))
                    && group
                        .disks
                        .iter()
                        .all(|disk| holder.disks.contains(&disk.id))
            })?;
            build.note(format!("{}: kept: {}", group.name, words(found)));
            // The pool must find its owner again, or the import asks for force.
            data.hostid = found.host.as_deref().and_then(hostid);
            if data.hostid.is_none() {
                build.note(format!(
                    "{}: which hostid made the pool is not known; unless it was exported, its first import needs force",
                    group.name
                ));
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

fn same(holder: &Holder, disks: &BTreeSet<DiskId>) -> bool {
    holder.disks.iter().cloned().collect::<BTreeSet<_>>() == *disks
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
