//! Where disks hang, and what that means: members of one set are spread over controllers, enclosures and expanders, and
//! the plan says which single failure a set of disks survives.
//!
//! A disk of several paths is used through dm-multipath or through one of them, by plan and never both. Through
//! dm-multipath it goes away when its last path does; else a part that carries one of its paths may take the disk away
//! until the next start, but not its data.

use std::collections::{BTreeMap, BTreeSet};

use firmware::inventory::{Disk, DiskId};

/// A set of disks that belong together: a mirror, a raidz, an md array.
#[derive(Debug, Clone)]
pub struct Set<'a> {
    /// Members.
    pub disks: Vec<&'a Disk>,
    /// So many may be lost.
    pub tolerates: usize,
}

/// What may fail as a whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// A host bus adapter, by PCI address.
    Hba(String),
    /// An expander.
    Expander(String),
    /// An enclosure with its backplane: `front`, `rear`.
    Enclosure(String),
}

impl std::fmt::Display for Part {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Hba(name) => write!(formatter, "HBA {name}"),
            Self::Expander(name) => write!(formatter, "expander {name}"),
            Self::Enclosure(name) => write!(formatter, "enclosure {name}"),
        }
    }
}

/// What a failure does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Goes on, whichever path is in use.
    Survives,
    /// May stop; goes on after a restart, through the other paths.
    Interrupts,
    /// Stops until the part is replaced.
    Stops,
}

/// The one value all paths share, if they do and it is known.
fn sole<'a>(
    disk: &'a Disk,
    part: impl Fn(&'a firmware::inventory::DiskPath) -> Option<&'a str>,
) -> Option<&'a str> {
    let values: BTreeSet<Option<&str>> = disk.paths.iter().map(part).collect();
    match (values.len(), values.first()) {
        (1, Some(value)) => *value,
        _ => None,
    }
}

/// Sorted so that disks that fall together stand together: sole HBA, enclosure, sole expander, slot, name.
pub fn sort(disks: &mut [&Disk]) {
    disks.sort_by_cached_key(|disk| {
        (
            sole(disk, |path| path.hba.as_deref()).map(str::to_owned),
            disk.bay.is_none(),
            disk.bay.as_ref().map(|bay| bay.side.clone()),
            sole(disk, |path| path.expander.as_deref()).map(str::to_owned),
            disk.bay.as_ref().map(|bay| bay.slot),
            disk.id.clone(),
        )
    });
}

/// Divides disks into `count` sets of equal size, each as widely spread as can be: of disks that fall together (`b` of
/// them) no set gets more than `b / count`, rounded up. The number of disks is a multiple of `count`.
#[must_use]
pub fn spread<'a>(disks: &[&'a Disk], count: usize) -> Vec<Vec<&'a Disk>> {
    let mut sorted = disks.to_vec();
    sort(&mut sorted);
    let count = count.max(1);
    (0..count)
        .map(|set| sorted.iter().skip(set).step_by(count).copied().collect())
        .collect()
}

/// Takes `count` spares out of `disks`: always from the enclosure that has most left, its highest slot first.
#[must_use]
pub fn spares<'a>(disks: &[&'a Disk], count: usize) -> (Vec<&'a Disk>, Vec<&'a Disk>) {
    let mut rest = disks.to_vec();
    sort(&mut rest);
    let mut spares = Vec::new();
    while spares.len() < count && !rest.is_empty() {
        let side = |disk: &Disk| disk.bay.as_ref().map(|bay| bay.side.clone());
        let mut sizes: BTreeMap<Option<String>, usize> = BTreeMap::new();
        for disk in &rest {
            *sizes.entry(side(disk)).or_default() += 1;
        }
        let largest = sizes
            .into_iter()
            .max_by_key(|(_, size)| *size)
            .map(|(side, _)| side);
        let place = rest
            .iter()
            .rposition(|disk| Some(side(disk)) == largest)
            .unwrap_or(rest.len() - 1);
        spares.push(rest.remove(place));
    }
    (rest, spares)
}

/// Every part that is known, and what its failure does to the sets as a whole. `all_paths` are the disks that are used
/// through all of their paths.
#[must_use]
pub fn verdicts(sets: &[Set<'_>], all_paths: &BTreeSet<DiskId>) -> BTreeMap<Part, Outcome> {
    let mut parts = BTreeSet::new();
    for disk in sets.iter().flat_map(|set| &set.disks) {
        parts.extend(disk.bay.iter().map(|bay| Part::Enclosure(bay.side.clone())));
        for path in &disk.paths {
            parts.extend(path.hba.clone().map(Part::Hba));
            parts.extend(path.expander.clone().map(Part::Expander));
        }
    }
    parts
        .into_iter()
        .map(|part| {
            let outcome = outcome(sets, &part, all_paths);
            (part, outcome)
        })
        .collect()
}

fn outcome(sets: &[Set<'_>], part: &Part, all_paths: &BTreeSet<DiskId>) -> Outcome {
    let on = |path: &firmware::inventory::DiskPath| match part {
        Part::Hba(name) => path.hba.as_ref() == Some(name),
        Part::Expander(name) => path.expander.as_ref() == Some(name),
        Part::Enclosure(_) => false,
    };
    let inside = |disk: &Disk| matches!((part, &disk.bay), (Part::Enclosure(side), Some(bay)) if bay.side == *side);
    let gone =
        |disk: &&&Disk| inside(disk) || (!disk.paths.is_empty() && disk.paths.iter().all(on));
    let touched =
        |disk: &&&Disk| gone(disk) || (!all_paths.contains(&disk.id) && disk.paths.iter().any(on));
    let worst = |test: &dyn Fn(&&&Disk) -> bool| {
        sets.iter()
            .any(|set| set.disks.iter().filter(test).count() > set.tolerates)
    };
    if worst(&gone) {
        Outcome::Stops
    } else if worst(&touched) {
        Outcome::Interrupts
    } else {
        Outcome::Survives
    }
}

/// The verdicts as lines for people.
#[must_use]
pub fn sentences(name: &str, sets: &[Set<'_>], all_paths: &BTreeSet<DiskId>) -> Vec<String> {
    let tolerates = sets
        .iter()
        .map(|set| set.tolerates)
        .min()
        .unwrap_or_default();
    let mut lines = vec![match tolerates {
        0 => format!("{name}: does not survive the loss of a disk"),
        1 => format!("{name}: survives the loss of any one disk"),
        more => format!("{name}: survives the loss of any {more} disks"),
    }];
    let verdicts = verdicts(sets, all_paths);
    let list = |wanted: Outcome| {
        let parts: Vec<String> = verdicts
            .iter()
            .filter(|(_, outcome)| **outcome == wanted)
            .map(|(part, _)| part.to_string())
            .collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    };
    if verdicts.is_empty() {
        lines.push(format!(
            "{name}: controllers and enclosures are not known, so nothing is said of their failure"
        ));
    }
    if let Some(parts) = list(Outcome::Survives) {
        lines.push(format!(
            "{name}: survives the failure of any one of {parts}"
        ));
    }
    if let Some(parts) = list(Outcome::Interrupts) {
        lines.push(format!(
            "{name}: may stop at the failure of any one of {parts}; no data is lost, and after a restart it goes on \
             through the other paths"
        ));
    }
    if let Some(parts) = list(Outcome::Stops) {
        lines.push(format!(
            "{name}: stops at the failure of any one of {parts}, until it is replaced"
        ));
    }
    lines
}

/// SATA disks in an enclosure with two expanders have one path only, while their SAS neighbours have two.
#[must_use]
pub fn single_path(disks: &[&Disk]) -> Vec<String> {
    let dual = disks.iter().any(|disk| disk.paths.len() > 1);
    disks
        .iter()
        .filter(|disk| dual && disk.paths.len() == 1 && disk.bay.is_some())
        .map(|disk| {
            let why = if disk.transport == roles::selector::Transport::Sata {
                "SATA has one port, on the primary expander"
            } else {
                "look at cable and expander"
            };
            format!(
                "disk {} has one path where others have two: {why}",
                crate::make::label(disk)
            )
        })
        .collect()
}
