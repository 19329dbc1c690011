//! Enclosures and bays. Which side a backplane is on is told by its number of slots, never by its name: vendors and
//! models differ from lot to lot, and front and rear both count from slot 0.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};

use super::fold::Folded;
use super::tree::Tree;
use crate::inventory::{Bay, Disk, Enclosure};

const CLASS: &str = "/sys/class/enclosure";
/// Slots of the front and rear backplane of the 36-bay chassis (SC847).
const FRONT_SLOTS: u32 = 24;
/// See [`FRONT_SLOTS`].
const REAR_SLOTS: u32 = 12;

/// Enclosures as SES shows them, keyed by their directory name (`0:0:24:0`). One chassis seen over two HBAs has two
/// entries with one id.
pub fn read(tree: &Tree) -> BTreeMap<String, Enclosure> {
    tree.list(CLASS)
        .into_iter()
        .map(|directory| {
            let base = format!("{CLASS}/{directory}");
            let text = |attribute: &str| tree.text(&format!("{base}/{attribute}"));
            let slots = slots(tree, &base);
            let id = text("id").unwrap_or_else(|| directory.clone());
            let side = match slots {
                FRONT_SLOTS => "front".to_owned(),
                REAR_SLOTS => "rear".to_owned(),
                _ => id.clone(),
            };
            let name = [text("device/vendor"), text("device/model")]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(" ");
            (
                directory,
                Enclosure {
                    id,
                    name,
                    side,
                    slots,
                },
            )
        })
        .collect()
}

/// Files that light a disk's locate LED when `1` is written to them and put it out with `0`, one per path through an
/// enclosure; the kernel takes a moment, and some backplanes answer another number than they were given. Writing is the
/// caller's effect.
pub fn locate_files(root: &Utf8Path, disk: &Disk) -> Vec<Utf8PathBuf> {
    let tree = Tree::new(root);
    let mut files = Vec::new();
    for path in &disk.paths {
        let device = format!("/sys/block/{}/device", path.kernel_name);
        for entry in tree
            .list(&device)
            .into_iter()
            .filter(|name| name.starts_with("enclosure_device:"))
        {
            let file = format!("{device}/{entry}/locate");
            if tree.exists(&file) {
                files.push(tree.path(&file));
            }
        }
    }
    files
}

/// Entries with a `slot` file that are disk slots; the `components` attribute counts the same but is 0 on some.
fn slots(tree: &Tree, base: &str) -> u32 {
    let entries = tree.list(base).into_iter().filter(|entry| {
        let kind = tree.text(&format!("{base}/{entry}/type"));
        tree.exists(&format!("{base}/{entry}/slot"))
            && kind.is_none_or(|kind| kind == "device" || kind == "array device")
    });
    match u32::try_from(entries.count()) {
        Ok(count) if count > 0 => count,
        _ => tree.number(&format!("{base}/components")).unwrap_or(0),
    }
}

/// Gives every disk its bay, and returns the enclosures, once each.
pub fn place(
    seen: &BTreeMap<String, Enclosure>,
    folded: Vec<Folded>,
) -> (Vec<Disk>, Vec<Enclosure>) {
    let mut enclosures = unambiguous(seen, &folded);
    let side = |enclosures: &BTreeMap<String, Enclosure>, directory: &str| {
        enclosures
            .get(directory)
            .map_or_else(|| directory.to_owned(), |enclosure| enclosure.side.clone())
    };
    let disks = folded
        .into_iter()
        .map(|Folded { mut disk, slots }| {
            disk.bay = slots.first().map(|(directory, slot)| Bay {
                side: side(&enclosures, directory),
                slot: *slot,
            });
            disk
        })
        .collect();
    let mut known = BTreeSet::new();
    enclosures.retain(|_, enclosure| known.insert(enclosure.id.clone()));
    (disks, enclosures.into_values().collect())
}

/// A second shelf with 24 slots would be `front` too. Two disks in one bay betray it: then ids are the names.
fn unambiguous(
    seen: &BTreeMap<String, Enclosure>,
    folded: &[Folded],
) -> BTreeMap<String, Enclosure> {
    let mut tenants: BTreeMap<(String, u32), BTreeSet<usize>> = BTreeMap::new();
    for (index, entry) in folded.iter().enumerate() {
        for (directory, slot) in &entry.slots {
            if let Some(enclosure) = seen.get(directory) {
                tenants
                    .entry((enclosure.side.clone(), *slot))
                    .or_default()
                    .insert(index);
            }
        }
    }
    let clashing: BTreeSet<String> = tenants
        .into_iter()
        .filter(|(_, disks)| disks.len() > 1)
        .map(|((side, _), _)| side)
        .collect();
    let mut enclosures = seen.clone();
    for enclosure in enclosures
        .values_mut()
        .filter(|enclosure| clashing.contains(&enclosure.side))
    {
        enclosure.side = enclosure.id.clone();
    }
    enclosures
}
