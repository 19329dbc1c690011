//! Disks: each group of the role claims what fits it, then the claimed disks are judged.

use std::collections::BTreeMap;

use roles::role::Purpose;
use roles::selector::Transport;

use super::{Case, Finding, Weight};
use crate::inventory::{Disk, Health};
use crate::reference::{DiskReference, Grade};
use crate::report::size;

const GIGABYTE: u64 = 1_000_000_000;

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    let mut free: Vec<&Disk> = case
        .inventory
        .disks
        .iter()
        .filter(|disk| is_candidate(disk))
        .collect();
    let mut findings = Vec::new();
    if free.is_empty() && !case.adjustments.planned {
        findings.push(
            Finding::new("disks.none", "disks", Weight::Fail)
                .expected("at least one disk that is not removable")
                .found("none")
                .advice("no disk is seen: check cabling, power and the controller's BIOS mode")
                .law(),
        );
    }
    for group in &case.role.disks {
        let claimed = claim(group, &mut free);
        findings.push(count(case, group, &claimed));
        if !claimed.is_empty() {
            judge(case, group, &claimed, &mut findings);
        }
    }
    let lacking = findings
        .iter()
        .any(|finding| finding.weight == Weight::Fail);
    findings.extend(faults(case, lacking));
    findings.extend(case.inventory.disks.iter().filter_map(complaint));
    findings
}

fn is_candidate(disk: &Disk) -> bool {
    !disk.removable
        && disk.transport != Transport::Usb
        && !disk.boot_medium
        && disk.faults.is_empty()
}

/// Takes the group's disks out of `free`: data the largest, the system the smallest, so that six equal disks divide.
fn claim<'a>(group: &DiskReference, free: &mut Vec<&'a Disk>) -> Vec<&'a Disk> {
    let fits = |disk: &Disk| {
        (group.transports.is_empty() || group.transports.contains(&disk.transport))
            && group
                .rotational
                .is_none_or(|wanted| disk.rotational == Some(wanted))
            && disk.size >= group.minimum * GIGABYTE
            && group
                .maximum
                .is_none_or(|most| disk.size <= most * GIGABYTE)
    };
    let mut fitting: Vec<&Disk> = free.iter().copied().filter(|disk| fits(disk)).collect();
    fitting.sort_by_key(|disk| disk.size);
    if group.purpose != Purpose::Os {
        fitting.reverse();
    }
    if !group.all {
        fitting.truncate(group.count as usize);
    }
    free.retain(|disk| !fitting.iter().any(|taken| taken.id == disk.id));
    fitting
}

fn word(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Os => "os",
        Purpose::Data => "data",
        Purpose::Log => "log",
        Purpose::Cache => "cache",
        Purpose::Special => "special",
        Purpose::Spare => "spare",
    }
}

fn id(group: &DiskReference, check: &str) -> String {
    format!("disks.{}.{check}", word(group.purpose))
}

fn part(group: &DiskReference) -> String {
    format!("{} disks", word(group.purpose))
}

fn describe(group: &DiskReference, count: u32) -> String {
    let kind = match group.rotational {
        Some(true) => " spinning",
        Some(false) => " solid-state",
        None => "",
    };
    let transports: Vec<String> = group
        .transports
        .iter()
        .map(|kind| format!("{kind:?}").to_uppercase())
        .collect();
    let transports = if transports.is_empty() {
        String::new()
    } else {
        format!(" {}", transports.join("/"))
    };
    format!(
        "{count}{kind}{transports} disks of {} or more",
        size(group.minimum * GIGABYTE)
    )
}

fn count(case: &Case<'_>, group: &DiskReference, claimed: &[&Disk]) -> Finding {
    let wanted = match (group.purpose, case.adjustments.data_disks) {
        (Purpose::Data, Some(count)) => count,
        _ => group.count,
    };
    let weight = if claimed.len() >= wanted as usize {
        Weight::Pass
    } else if case.adjustments.planned {
        group.missing.min(Weight::Warn)
    } else {
        group.missing
    };
    let finding = Finding::new(id(group, "count"), part(group), weight)
        .expected(describe(group, wanted))
        .found(claimed.len().to_string())
        .advice(match group.purpose {
            Purpose::Os | Purpose::Data if case.adjustments.planned => {
                "the node file or the role chose other disks than the reference has"
            }
            Purpose::Os | Purpose::Data => "add disks, or choose others in the node file; the inventory lists what there is and what is wrong with it",
            Purpose::Log => "without a mirrored intent log every synchronous write waits for the spinning disks",
            _ => "it works without them, only slower",
        });
    if weight == Weight::Fail {
        finding.law()
    } else {
        finding
    }
}

fn judge(case: &Case<'_>, group: &DiskReference, claimed: &[&Disk], findings: &mut Vec<Finding>) {
    if let Some(wish) = &group.kind {
        let others = claimed
            .iter()
            .filter(|disk| disk.rotational != Some(wish.rotational))
            .count();
        let kind = |rotational: bool| {
            if rotational {
                "spinning"
            } else {
                "solid-state"
            }
        };
        findings.push(
            Finding::new(
                id(group, "kind"),
                part(group),
                if others == 0 {
                    Weight::Pass
                } else {
                    wish.weight
                },
            )
            .expected(kind(wish.rotational))
            .found(if others == 0 {
                kind(wish.rotational).to_owned()
            } else {
                format!("{others} {}", kind(!wish.rotational))
            })
            .advice("works, but is not what the reference has"),
        );
    }
    if let Some(wish) = &group.attached {
        let others: Vec<&&Disk> = claimed
            .iter()
            .filter(|disk| !wish.transports.contains(&disk.transport))
            .collect();
        let names = |kinds: &[Transport]| {
            kinds
                .iter()
                .map(|kind| format!("{kind:?}").to_uppercase())
                .collect::<Vec<_>>()
                .join("/")
        };
        let found = others.first().map_or_else(
            || names(&wish.transports),
            |disk| format!("{} {}", others.len(), names(&[disk.transport])),
        );
        findings.push(
            Finding::new(
                id(group, "attached"),
                part(group),
                if others.is_empty() {
                    Weight::Pass
                } else {
                    wish.weight
                },
            )
            .expected(names(&wish.transports))
            .found(found)
            .advice("one path only: such a disk is lost with its controller"),
        );
    }
    if let Some(wanted) = group.wanted_minimum {
        let smallest = claimed.iter().map(|disk| disk.size).min().unwrap_or(0);
        findings.push(
            Finding::new(
                id(group, "size"),
                part(group),
                if smallest >= wanted * GIGABYTE {
                    Weight::Pass
                } else {
                    Weight::Warn
                },
            )
            .expected(format!("{} or more", size(wanted * GIGABYTE)))
            .found(size(smallest))
            .advice("less room than the reference"),
        );
    }
    if group.equal {
        findings.push(equal(group, claimed));
    }
    if group.uniform {
        findings.extend(uniform(group, claimed));
    }
    if group.graded {
        findings.extend(graded(case, group, claimed));
    }
    if group.plp {
        findings.push(protected(case, group, claimed));
    }
    if group.paths > 1 {
        findings.push(paths(&case.inventory.dead_paths, group, claimed));
    }
}

fn equal(group: &DiskReference, claimed: &[&Disk]) -> Finding {
    let smallest = claimed.iter().map(|disk| disk.size).min().unwrap_or(0);
    let largest = claimed.iter().map(|disk| disk.size).max().unwrap_or(0);
    let alike = largest - smallest <= largest / 100;
    Finding::new(
        id(group, "equal"),
        part(group),
        if alike { Weight::Pass } else { Weight::Warn },
    )
    .expected("equal sizes within 1 %")
    .found(if alike {
        "equal".to_owned()
    } else {
        format!("{} and {}", size(smallest), size(largest))
    })
    .advice("a mirror has the size of its smaller disk")
}

fn uniform(group: &DiskReference, claimed: &[&Disk]) -> Vec<Finding> {
    let mut sectors: Vec<u32> = claimed.iter().map(|disk| disk.logical_sector).collect();
    sectors.sort_unstable();
    sectors.dedup();
    let list = sectors
        .iter()
        .map(u32::to_string)
        .collect::<Vec<_>>()
        .join(" and ");
    let mut sizes: Vec<u64> = claimed.iter().map(|disk| disk.size).collect();
    sizes.sort_unstable();
    let median = sizes.get(sizes.len() / 2).copied().unwrap_or(0);
    let smallest = sizes.first().copied().unwrap_or(0);
    let even = smallest >= median / 100 * 95;
    vec![
        Finding::new(
            id(group, "sectors"),
            part(group),
            if sectors.len() > 1 {
                Weight::Warn
            } else {
                Weight::Pass
            },
        )
        .expected("one logical sector size")
        .found(format!("{list} bytes"))
        .advice("512e and 4Kn disks in one vdev cannot replace each other; sort them or reformat"),
        Finding::new(
            id(group, "size"),
            part(group),
            if even { Weight::Pass } else { Weight::Warn },
        )
        .expected(format!("about {}", size(median)))
        .found(size(smallest))
        .advice("the smallest disk sets the size of its whole vdev"),
    ]
}

fn graded(case: &Case<'_>, group: &DiskReference, claimed: &[&Disk]) -> Vec<Finding> {
    let mut models: Vec<&str> = claimed
        .iter()
        .map(|disk| disk.model.as_deref().unwrap_or("unknown"))
        .collect();
    models.sort_unstable();
    models.dedup();
    let weight = models
        .iter()
        .map(
            |model| match case.reference.disk(model).map(|known| known.grade) {
                Some(Grade::Reference) => Weight::Pass,
                Some(Grade::Datacentre) => Weight::Info,
                Some(Grade::Desktop) | None => Weight::Warn,
            },
        )
        .max()
        .unwrap_or(Weight::Pass);
    let advice = if weight == Weight::Info {
        "as good as the reference or better"
    } else {
        "desktop or unknown disks: they stall or wear out under a mail store"
    };
    vec![
        Finding::new(id(group, "model"), part(group), weight)
            .expected("Samsung SSD 850 PRO, or data-centre disks")
            .found(models.join(", "))
            .advice(advice),
        Finding::new(
            id(group, "mixed"),
            part(group),
            if models.len() > 1 {
                Weight::Warn
            } else {
                Weight::Pass
            },
        )
        .expected("one model")
        .found(format!(
            "{} model{}",
            models.len(),
            if models.len() == 1 { "" } else { "s" }
        ))
        .advice("an array is as fast as its slowest disk"),
    ]
}

/// Unknown models are information: nobody can tell from outside.
fn protected(case: &Case<'_>, group: &DiskReference, claimed: &[&Disk]) -> Finding {
    let of = |disk: &Disk| {
        disk.model
            .as_deref()
            .and_then(|model| case.reference.disk(model))
            .and_then(|known| known.plp)
    };
    let without: Vec<&str> = claimed
        .iter()
        .filter(|disk| of(disk) == Some(false))
        .filter_map(|disk| disk.model.as_deref())
        .collect();
    let unknown: Vec<&str> = claimed
        .iter()
        .filter(|disk| of(disk).is_none())
        .filter_map(|disk| disk.model.as_deref())
        .collect();
    let (weight, found) = match (without.first(), unknown.first()) {
        (Some(model), _) => (Weight::Warn, format!("{model} has none")),
        (None, Some(model)) => (Weight::Info, format!("{model} is not known")),
        (None, None) => (Weight::Pass, "present".to_owned()),
    };
    Finding::new(id(group, "plp"), part(group), weight)
        .expected("power-loss protection")
        .found(found)
        .advice("a log disk that loses its cache with the power loses mail that was confirmed")
}

/// Two paths count only over two controllers: two ports of one are lost together.
fn paths(dead: &BTreeMap<String, String>, group: &DiskReference, claimed: &[&Disk]) -> Finding {
    let wanted = group.paths as usize;
    let single: Vec<String> = claimed
        .iter()
        .filter(|disk| {
            let working: Vec<_> = disk
                .paths
                .iter()
                .filter(|path| !dead.contains_key(&path.kernel_name))
                .collect();
            let mut hbas: Vec<&str> = working
                .iter()
                .filter_map(|path| path.hba.as_deref())
                .collect();
            hbas.sort_unstable();
            hbas.dedup();
            disk.transport == Transport::Sas && (working.len() < wanted || hbas.len() < wanted)
        })
        .map(|disk| {
            disk.bay
                .as_ref()
                .map_or_else(|| disk.id.to_string(), crate::report::bay_name)
        })
        .collect();
    let found = match single.as_slice() {
        [] => format!("{wanted} each"),
        [one] => format!("fewer at {one}"),
        [first, .., last] => format!("fewer at {} disks, {first} to {last}", single.len()),
    };
    Finding::new(
        id(group, "paths"),
        part(group),
        if single.is_empty() {
            Weight::Pass
        } else {
            Weight::Warn
        },
    )
    .expected(format!("{wanted} paths over {wanted} controllers"))
    .found(found)
    .advice("all disks of one backplane: a cable or expander; one disk: its second port or the bay")
}

/// What makes a disk unusable is worth a line of its own; it stops an unattended installation where the role lacks disks
/// because of it.
fn faults(case: &Case<'_>, lacking: bool) -> Vec<Finding> {
    let broken = case
        .inventory
        .disks
        .iter()
        .filter(|disk| !disk.faults.is_empty() && !disk.removable);
    broken
        .map(|disk| {
            let failing = matches!(disk.health, Some(Health::Failing { .. }));
            let unreadable = disk
                .faults
                .iter()
                .any(|fault| fault.starts_with("size 0") || fault.contains("-byte sectors"));
            let weight = if lacking && (unreadable || failing) {
                Weight::Fail
            } else {
                Weight::Warn
            };
            Finding::new(format!("disk.fault:{}", disk.id), named(disk), weight)
                .expected("a disk that can be used")
                .found(disk.faults.join("; "))
                .advice(if failing {
                    "it is left alone; replace it, data that is on it first, or waive this finding"
                } else {
                    "it is left alone; pull it, repair it, or waive this finding"
                })
        })
        .collect()
}

/// A disk that complains of what is not its own failure is used all the same.
fn complaint(disk: &Disk) -> Option<Finding> {
    let Some(Health::Warned { cause }) = &disk.health else {
        return None;
    };
    Some(
        Finding::new(
            format!("disk.health:{}", disk.id),
            named(disk),
            Weight::Warn,
        )
        .expected("no complaint")
        .found(cause)
        .advice("it is used; see to its cooling and its enclosure"),
    )
}

/// `disk in front:3 HUH728080AL5204 VJGR0X03`.
fn named(disk: &Disk) -> String {
    let place = disk
        .bay
        .as_ref()
        .map(|bay| format!(" in {}", crate::report::bay_name(bay)))
        .unwrap_or_default();
    let name = [disk.model.as_deref(), disk.serial.as_deref()]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(" ");
    format!("disk{place} {name}")
}
