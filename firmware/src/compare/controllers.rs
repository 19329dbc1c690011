//! Storage controllers and enclosures.

use roles::selector::Transport;

use super::{Case, Finding, Weight};
use crate::inventory::Hba;
use crate::reference::{PartReference, is_older};

const INTEL: &str = "8086:";
const MENU: &str = "Advanced > SATA Configuration > Configure SATA as: AHCI";

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = case
        .inventory
        .hbas
        .iter()
        .filter_map(|hba| class(case, hba))
        .collect();
    let adapters: Vec<(&Hba, Option<&PartReference>)> = case
        .inventory
        .hbas
        .iter()
        .filter(|hba| {
            hba.class.starts_with("0107") || known(case, hba).is_some() || behind_is_sas(case, hba)
        })
        .map(|hba| (hba, known(case, hba)))
        .collect();
    if case.role.controllers > 0 {
        findings.push(count(case, adapters.len()));
        for (hba, part) in &adapters {
            findings.extend(mode(hba));
            if let Some(part) = part {
                findings.extend(firmware(case, hba, part));
                findings.extend(lanes(hba, part));
            } else {
                findings.push(
                    Finding::new(
                        format!("hba.model:{}", hba.address),
                        "SAS controller",
                        Weight::Info,
                    )
                    .expected("SAS3008 (1000:0097) or a newer one")
                    .found(hba.id.clone())
                    .advice("not in the reference data; its firmware is not judged"),
                );
            }
        }
        findings.push(enclosures(case));
    }
    findings
}

fn known<'a>(case: &Case<'a>, hba: &Hba) -> Option<&'a PartReference> {
    case.reference
        .controllers
        .iter()
        .find(|part| part.id == hba.id)
}

fn behind_is_sas(case: &Case<'_>, hba: &Hba) -> bool {
    case.inventory.disks.iter().any(|disk| {
        disk.transport == Transport::Sas
            && disk
                .paths
                .iter()
                .any(|path| path.hba.as_deref() == Some(&hba.address))
    })
}

fn has_disks(case: &Case<'_>, hba: &Hba) -> bool {
    case.inventory.disks.iter().any(|disk| {
        disk.paths
            .iter()
            .any(|path| path.hba.as_deref() == Some(&hba.address))
    })
}

/// PCI class 0104 is RAID, 0101 IDE. By class, not by id: Intel has a dozen ids for one controller.
fn class(case: &Case<'_>, hba: &Hba) -> Option<Finding> {
    let family = case
        .inventory
        .board
        .name
        .as_deref()
        .and_then(|name| case.reference.board(name));
    let menu = family.map_or(MENU, |family| family.sata_menu.as_str());
    let intel = hba.id.starts_with(INTEL);
    if hba.class.starts_with("0104") && intel {
        // The kernel's ahci driver serves this mode too, so disks that are seen can be used; but with boards of the reference
        // the cure is known, and the option ROM, which writes to the disks by itself, goes away with it.
        let weight = if family.is_some() || !has_disks(case, hba) {
            Weight::Fail
        } else {
            Weight::Warn
        };
        return Some(
            Finding::new(
                "controller.raid-class",
                format!("SATA controller {}", hba.address),
                weight,
            )
            .expected("AHCI (PCI class 0106)")
            .found("RAID mode (PCI class 0104)")
            .advice(format!(
                "BIOS menu: {menu}; disks of an old RAID set must be wiped after that"
            )),
        );
    }
    if hba.class.starts_with("0104") {
        return Some(
            Finding::new(format!("controller.hardware-raid:{}", hba.address), "RAID controller", Weight::Warn)
                .expected("a controller that shows plain disks")
                .found(format!("{} (PCI class 0104)", hba.id))
                .advice("volumes of a RAID controller hide their disks: no SMART, no paths, no bays; flash IT firmware or use JBOD mode"),
        );
    }
    // QEMU's machine type `pc` has an IDE controller too; on a board of the reference it is a BIOS setting.
    (hba.class.starts_with("0101") && intel && family.is_some()).then(|| {
        Finding::new(
            "controller.ide-class",
            format!("SATA controller {}", hba.address),
            Weight::Warn,
        )
        .expected("AHCI (PCI class 0106)")
        .found("IDE mode (PCI class 0101)")
        .advice(format!("no hot plug and slow queues; BIOS menu: {menu}"))
    })
}

fn count(case: &Case<'_>, found: usize) -> Finding {
    let wanted = case.role.controllers as usize;
    // Disks are what the role needs, and they are counted; how they are attached is advice.
    let weight = if found < wanted {
        Weight::Warn
    } else {
        Weight::Pass
    };
    let one_processor = case.inventory.cpus.len() == 1 && case.inventory.board.sockets > 1;
    let finding = Finding::new("hba.count", "SAS controllers", weight)
        .expected(wanted.to_string())
        .found(found.to_string());
    if one_processor {
        finding.advice("the CPU 2 socket is empty, slots 4 to 7 hang off it: a controller there cannot be seen")
    } else if found == 0 {
        finding.advice("no SAS controller is seen: check that it sits in its slot and that the slot is enabled")
    } else {
        finding.advice("one controller is one point of failure: its loss takes the pool")
    }
}

fn mode(hba: &Hba) -> Option<Finding> {
    let mode = hba.mode.as_deref()?;
    Some(
        Finding::new(format!("hba.mode:{}", hba.address), "SAS controller firmware kind", if mode == "it" { Weight::Pass } else { Weight::Warn })
            .expected("IT")
            .found(mode.to_uppercase())
            .advice("IR firmware may hide disks behind volumes; flash IT firmware from the maker's tool, never from here"),
    )
}

/// Old SAS3008 firmware resets SATA disks under load; SAS disks are not touched by it.
fn firmware(case: &Case<'_>, hba: &Hba, part: &PartReference) -> Option<Finding> {
    let floor = part.firmware_floor.as_deref()?;
    let Some(found) = hba.firmware.as_deref() else {
        return Some(
            Finding::new(
                format!("hba.firmware:{}", hba.address),
                format!("firmware of {}", part.name),
                Weight::Info,
            )
            .expected(format!("{floor} or later"))
            .found("not readable")
            .advice("is the driver mpt3sas loaded?"),
        );
    };
    let sata = case.inventory.disks.iter().any(|disk| {
        disk.transport == Transport::Sata
            && disk
                .paths
                .iter()
                .any(|path| path.hba.as_deref() == Some(&hba.address))
    });
    let weight = match (is_older(found, floor), sata) {
        (false, _) => Weight::Pass,
        (true, true) => Weight::Warn,
        (true, false) => Weight::Info,
    };
    Some(
        Finding::new(format!("hba.firmware:{}", hba.address), format!("firmware of {}", part.name), weight)
            .expected(format!("{floor} or later"))
            .found(found)
            .advice("older firmware resets SATA disks under load; update it in a maintenance window, without the option ROM (it can stop the boot with a question)"),
    )
}

fn lanes(hba: &Hba, part: &PartReference) -> Option<Finding> {
    let (wanted, width) = (part.lanes?, hba.link.as_ref()?.width?);
    Some(
        Finding::new(
            format!("hba.link:{}", hba.address),
            "PCI Express link of the SAS controller",
            if width >= wanted {
                Weight::Pass
            } else {
                Weight::Warn
            },
        )
        .expected(format!("x{wanted}"))
        .found(format!("x{width}"))
        .advice("the card sits in a narrow slot or not quite in it; reseat it or use another slot"),
    )
}

fn enclosures(case: &Case<'_>) -> Finding {
    let mut found: Vec<u32> = case
        .inventory
        .enclosures
        .iter()
        .map(|enclosure| enclosure.slots)
        .collect();
    found.sort_unstable_by(|a, b| b.cmp(a));
    let list = |slots: &[u32]| {
        slots
            .iter()
            .map(u32::to_string)
            .collect::<Vec<_>>()
            .join(" + ")
    };
    let mut missing = found.clone();
    let complete = case.role.enclosure_slots.iter().all(|wanted| {
        missing
            .iter()
            .position(|slots| slots == wanted)
            .map(|index| missing.remove(index))
            .is_some()
    });
    let weight = match (found.is_empty(), complete) {
        (true, _) => Weight::Warn,
        (false, true) => Weight::Pass,
        (false, false) => Weight::Info,
    };
    let text = if found.is_empty() {
        "none".to_owned()
    } else {
        format!("{} bays", list(&found))
    };
    Finding::new("enclosure.slots", "enclosures", weight)
        .expected(format!("{} bays", list(&case.role.enclosure_slots)))
        .found(text)
        .advice("without enclosure services no bay is known and no locate light can be lit; label the disks by serial number")
}
