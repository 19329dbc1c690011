//! Paths become disks: by WWN, then by serial number. Everything that plans or writes comes after this, so that a disk
//! seen twice can never be taken for two.

use std::collections::BTreeMap;

use roles::selector::Transport;

use super::path::PathFacts;
use crate::inventory::{Disk, DiskId};

/// One disk and the enclosure slots its paths named.
#[derive(Debug, Clone, PartialEq)]
pub struct Folded {
    /// The disk; its bay is still open.
    pub disk: Disk,
    /// Enclosure directory name and slot, once per path that had one.
    pub slots: Vec<(String, u32)>,
}

/// Folds paths into disks, in order of each disk's first path. No path is lost, no two disks share a WWN.
pub fn fold(paths: Vec<PathFacts>) -> Vec<Folded> {
    let mut groups: Vec<Vec<PathFacts>> = Vec::new();
    let mut by_name: BTreeMap<String, usize> = BTreeMap::new();
    let (named, unnamed): (Vec<_>, Vec<_>) = paths
        .into_iter()
        .enumerate()
        .partition(|(_, facts)| name(facts).is_some());
    let mut order: Vec<usize> = Vec::new();
    for (position, facts) in named {
        let index = *by_name
            .entry(name(&facts).unwrap_or_default())
            .or_insert_with(|| {
                groups.push(Vec::new());
                order.push(position);
                groups.len() - 1
            });
        groups[index].push(facts);
    }
    // A path whose identification page could not be read still belongs to the disk with its serial number.
    for (position, facts) in unnamed {
        let matching: Vec<usize> = (0..groups.len())
            .filter(|index| {
                groups[*index]
                    .iter()
                    .any(|other| same_serial(other, &facts))
            })
            .collect();
        match matching.as_slice() {
            [index] => groups[*index].push(facts),
            _ => {
                groups.push(vec![facts]);
                order.push(position);
            }
        }
    }
    let mut folded: Vec<(usize, Folded)> = order
        .into_iter()
        .zip(groups.into_iter().filter_map(|group| disk(&group)))
        .collect();
    folded.sort_by_key(|(position, _)| *position);
    let mut folded: Vec<Folded> = folded.into_iter().map(|(_, folded)| folded).collect();
    distinguish(&mut folded);
    folded
}

/// The name two paths must share to be one disk without further question.
fn name(facts: &PathFacts) -> Option<String> {
    facts.wwn.clone().or_else(|| {
        // `t10.` and `nvme.` names hold vendor, model and serial. A `t10.` name without a serial would name a model.
        let wwid = facts.wwid.as_deref()?;
        let serial = facts.serial.as_deref()?;
        (facts.transport != Some(Transport::Usb) && wwid.contains(serial)).then(|| wwid.to_owned())
    })
}

/// USB bridges and sticks share serial numbers too often to be folded by them.
fn same_serial(a: &PathFacts, b: &PathFacts) -> bool {
    a.serial.is_some()
        && a.serial == b.serial
        && a.vendor == b.vendor
        && a.model == b.model
        && a.size == b.size
        && a.transport != Some(Transport::Usb)
        && b.transport != Some(Transport::Usb)
}

fn disk(group: &[PathFacts]) -> Option<Folded> {
    let first = group.first()?;
    let any =
        |get: fn(&PathFacts) -> &Option<String>| group.iter().find_map(|facts| get(facts).clone());
    let wwn = any(|facts| &facts.wwn);
    let vendor = any(|facts| &facts.vendor);
    // A path that lacks the long sources shows a cut name: take the longest.
    let model = group
        .iter()
        .filter_map(|facts| facts.model.clone())
        .max_by_key(String::len);
    let serial = any(|facts| &facts.serial);
    let disk = Disk {
        id: id(
            group,
            wwn.as_deref(),
            vendor.as_deref(),
            model.as_deref(),
            serial.as_deref(),
        ),
        firmware: group
            .iter()
            .filter_map(|facts| facts.firmware.clone())
            .max_by_key(String::len),
        size: group.iter().map(|facts| facts.size).max().unwrap_or(0),
        logical_sector: first.logical_sector,
        physical_sector: first.physical_sector,
        rotational: group.iter().find_map(|facts| facts.rotational),
        transport: group
            .iter()
            .find_map(|facts| facts.transport)
            .unwrap_or(Transport::Unknown),
        removable: group
            .iter()
            .any(|facts| facts.removable || facts.transport == Some(Transport::Usb)),
        read_only: group.iter().any(|facts| facts.read_only),
        paths: group.iter().map(|facts| facts.path.clone()).collect(),
        faults: faults(group, model.as_deref(), vendor.as_deref()),
        wwn,
        vendor,
        model,
        serial,
        ..Disk::default()
    };
    Some(Folded {
        disk,
        slots: group
            .iter()
            .filter_map(|facts| facts.slot.clone())
            .collect(),
    })
}

fn id(
    group: &[PathFacts],
    wwn: Option<&str>,
    vendor: Option<&str>,
    model: Option<&str>,
    serial: Option<&str>,
) -> DiskId {
    if let Some(wwn) = wwn {
        return DiskId(format!("wwn-{wwn}"));
    }
    if let Some(serial) = serial {
        let words: Vec<String> = [vendor, model, Some(serial)]
            .into_iter()
            .flatten()
            .map(|part| part.split_whitespace().collect::<Vec<_>>().join("_"))
            .collect();
        return DiskId(format!("serial-{}", words.join("-")));
    }
    let place = group
        .iter()
        .find_map(|facts| facts.path.by_path.clone())
        .or_else(|| {
            let path = &group.first()?.path;
            Some(format!(
                "{}-{}",
                path.hba.as_deref().unwrap_or("unknown"),
                path.kernel_name
            ))
        });
    DiskId(format!("path-{}", place.unwrap_or_default()))
}

/// Two disks must not share an id either: what is left alike (sticks with one serial number) is told apart by place and
/// named as a fault, so that nothing is planned on a guess.
fn distinguish(folded: &mut [Folded]) {
    let mut seen: BTreeMap<DiskId, usize> = BTreeMap::new();
    for entry in folded.iter() {
        *seen.entry(entry.disk.id.clone()).or_default() += 1;
    }
    for entry in folded
        .iter_mut()
        .filter(|entry| seen.get(&entry.disk.id).is_some_and(|count| *count > 1))
    {
        let kernel_name = entry
            .disk
            .paths
            .first()
            .map(|path| path.kernel_name.clone())
            .unwrap_or_default();
        entry.disk.id = DiskId(format!("{}@{kernel_name}", entry.disk.id.0));
        entry
            .disk
            .faults
            .push("another disk has the same serial number and no WWN tells them apart".to_owned());
    }
}

fn faults(group: &[PathFacts], model: Option<&str>, vendor: Option<&str>) -> Vec<String> {
    let mut faults = Vec::new();
    let differ = |values: Vec<String>| values.iter().any(|value| Some(value) != values.first());
    let serials: Vec<String> = group
        .iter()
        .filter_map(|facts| facts.serial.clone())
        .collect();
    if differ(serials.clone()) {
        faults.push(format!(
            "paths with one WWN report different serial numbers: {}",
            serials.join(", ")
        ));
    }
    let sizes: Vec<String> = group
        .iter()
        .filter(|facts| facts.size != 0)
        .map(|facts| facts.size.to_string())
        .collect();
    if differ(sizes.clone()) {
        faults.push(format!(
            "paths report different sizes: {} bytes",
            sizes.join(", ")
        ));
    }
    if group.iter().all(|facts| facts.size == 0) {
        let relabelled = model.is_some_and(|model| model.contains("CLAR"))
            || vendor.is_some_and(|vendor| vendor.eq_ignore_ascii_case("NETAPP"));
        faults.push(if relabelled {
            "size 0: a disk from another maker's array, formatted with 520-byte sectors; \
             reformat it with `sg_format --format --size=512`"
                .to_owned()
        } else {
            "size 0: not ready, formatted with 520-byte sectors, or plugged in while running; \
             rescan or reboot, then `sg_readcap` tells the sector size"
                .to_owned()
        });
    }
    let sector = group.first().map_or(512, |facts| facts.logical_sector);
    if !matches!(sector, 512 | 4096) {
        faults.push(format!(
            "{sector}-byte sectors: reformat it with `sg_format --format --size=512`"
        ));
    }
    if group.iter().any(|facts| facts.read_only) {
        faults.push("write-protected".to_owned());
    }
    // One dead path of two is a matter of cabling; without any the disk is lost.
    let states: Vec<&String> = group
        .iter()
        .filter_map(|facts| facts.state.as_ref())
        .collect();
    if let (Some(state), true) = (states.first(), states.len() == group.len()) {
        faults.push(format!(
            "no path to it works: the kernel calls it `{state}`"
        ));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::DiskPath;
    use proptest::prelude::*;

    fn facts(kernel_name: &str, wwn: Option<&str>, serial: Option<&str>) -> PathFacts {
        PathFacts {
            path: DiskPath {
                kernel_name: kernel_name.into(),
                ..DiskPath::default()
            },
            wwn: wwn.map(str::to_owned),
            serial: serial.map(str::to_owned),
            size: 8_001_563_222_016,
            logical_sector: 512,
            physical_sector: 4096,
            transport: Some(Transport::Sas),
            ..PathFacts::default()
        }
    }

    fn names(folded: &[Folded]) -> Vec<Vec<&str>> {
        folded
            .iter()
            .map(|entry| {
                entry
                    .disk
                    .paths
                    .iter()
                    .map(|path| path.kernel_name.as_str())
                    .collect()
            })
            .collect()
    }

    #[test]
    fn rules() {
        let w1 = Some("0x5000cca261280e68");
        let w2 = Some("0x5000cca261280e6c");
        for (title, paths, expected) in [
            (
                "two paths",
                vec![facts("sda", w1, Some("A")), facts("sdb", w1, Some("A"))],
                vec![vec!["sda", "sdb"]],
            ),
            (
                "four paths",
                ["sda", "sdb", "sdc", "sdd"]
                    .map(|name| facts(name, w1, Some("A")))
                    .to_vec(),
                vec![vec!["sda", "sdb", "sdc", "sdd"]],
            ),
            (
                "two disks",
                vec![facts("sda", w1, Some("A")), facts("sdb", w2, Some("B"))],
                vec![vec!["sda"], vec!["sdb"]],
            ),
            (
                "interleaved",
                vec![
                    facts("sda", w1, None),
                    facts("sdb", w2, None),
                    facts("sdc", w1, None),
                ],
                vec![vec!["sda", "sdc"], vec!["sdb"]],
            ),
            (
                "one path without WWN",
                vec![facts("sda", None, Some("A")), facts("sdb", w1, Some("A"))],
                vec![vec!["sdb", "sda"]],
            ),
            (
                "serial only",
                vec![facts("sda", None, Some("A")), facts("sdb", None, Some("A"))],
                vec![vec!["sda", "sdb"]],
            ),
            (
                "nothing known",
                vec![facts("sda", None, None), facts("sdb", None, None)],
                vec![vec!["sda"], vec!["sdb"]],
            ),
        ] {
            assert_eq!(names(&fold(paths)), expected, "{title}");
        }
    }

    #[test]
    fn usb_sticks_with_one_serial_number_stay_two_and_are_faulty() {
        let sticks: Vec<PathFacts> = ["sda", "sdb"]
            .map(|name| PathFacts {
                transport: Some(Transport::Usb),
                ..facts(name, None, Some("1"))
            })
            .to_vec();
        let folded = fold(sticks);
        assert_eq!(folded.len(), 2);
        assert_ne!(folded[0].disk.id, folded[1].disk.id);
        assert_eq!(folded[0].disk.faults.len(), 1);
    }

    #[test]
    fn named_causes() {
        let base = facts("sda", Some("0x5000cca261280e68"), Some("A"));
        for (change, expected) in [
            (
                PathFacts {
                    size: 0,
                    ..base.clone()
                },
                "size 0: not ready",
            ),
            (
                PathFacts {
                    size: 0,
                    model: Some("HUH72808CLAR8000".into()),
                    ..base.clone()
                },
                "size 0: a disk from another maker's array",
            ),
            (
                PathFacts {
                    logical_sector: 520,
                    ..base.clone()
                },
                "520-byte sectors",
            ),
            (
                PathFacts {
                    read_only: true,
                    ..base.clone()
                },
                "write-protected",
            ),
            (
                PathFacts {
                    state: Some("offline".into()),
                    ..base.clone()
                },
                "no path to it works: the kernel calls it `offline`",
            ),
        ] {
            let folded = fold(vec![change]);
            assert!(
                folded[0]
                    .disk
                    .faults
                    .iter()
                    .any(|fault| fault.starts_with(expected)),
                "{expected}: {folded:?}"
            );
        }
        let clash = fold(vec![
            base.clone(),
            PathFacts {
                serial: Some("B".into()),
                ..base
            },
        ]);
        assert_eq!(
            clash[0].disk.faults,
            ["paths with one WWN report different serial numbers: A, B"]
        );
    }

    proptest! {
        #[test]
        fn wwn_is_unique_and_no_path_is_lost(
            picks in prop::collection::vec((prop::option::of(0u8..6), prop::option::of(0u8..6), any::<bool>()), 0..40)
        ) {
            let paths: Vec<PathFacts> = picks.iter().enumerate().map(|(index, (wwn, serial, usb))| PathFacts {
                wwn: wwn.map(|number| format!("0x500000000000000{number}")),
                serial: serial.map(|number| format!("S{number}")),
                transport: Some(if *usb { Transport::Usb } else { Transport::Sas }),
                ..facts(&format!("sd{index}"), None, None)
            }).collect();
            let folded = fold(paths.clone());
            let mut wwns: Vec<_> = folded.iter().filter_map(|entry| entry.disk.wwn.clone()).collect();
            let count = wwns.len();
            wwns.sort();
            wwns.dedup();
            prop_assert_eq!(wwns.len(), count);
            let mut ids: Vec<_> = folded.iter().map(|entry| entry.disk.id.clone()).collect();
            ids.sort();
            ids.dedup();
            prop_assert_eq!(ids.len(), folded.len());
            let mut names: Vec<_> = folded.iter().flat_map(|entry| entry.disk.paths.iter().map(|path| path.kernel_name.clone())).collect();
            names.sort();
            let mut expected: Vec<_> = paths.iter().map(|facts| facts.path.kernel_name.clone()).collect();
            expected.sort();
            prop_assert_eq!(names, expected);
        }
    }
}
