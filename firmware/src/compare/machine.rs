//! Board, processors, memory, boot mode and BMC.

use super::{Case, Finding, Weight};
use crate::inventory::BootMode;
use crate::reference::is_older;

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    let mut findings = vec![board(case), memory(case), boot(case)];
    findings.extend(bios(case));
    findings.extend(secure_boot(case));
    findings.extend(processors(case));
    findings.extend(bmc(case));
    findings
}

fn board(case: &Case<'_>) -> Finding {
    let name = case.inventory.board.name.as_deref();
    let wanted = &case.role.boards;
    let fits =
        wanted.is_empty() || name.is_some_and(|name| wanted.iter().any(|known| known == name));
    Finding::new(
        "board.name",
        "board",
        if fits { Weight::Pass } else { Weight::Info },
    )
    .expected(if wanted.is_empty() {
        "any".to_owned()
    } else {
        wanted.join(", ")
    })
    .found(name.unwrap_or("no board name"))
    .advice("not a board of the reference: it is judged by what it can do")
}

fn bios(case: &Case<'_>) -> Option<Finding> {
    let board = &case.inventory.board;
    let floor = case
        .reference
        .board(board.name.as_deref()?)?
        .bios_floor
        .as_deref()?;
    let version = board.bios_version.as_deref()?;
    let weight = if is_older(version, floor) {
        Weight::Info
    } else {
        Weight::Pass
    };
    Some(
        Finding::new("board.bios", "BIOS", weight)
            .expected(format!("{floor} or later"))
            .found(version)
            .advice("older BIOS versions list the board's network ports wrongly, so the kernel names them otherwise; ports are matched by MAC address here, so nothing breaks"),
    )
}

fn boot(case: &Case<'_>) -> Finding {
    let uefi = case.inventory.boot == BootMode::Uefi;
    // The virtual load balancer has no choice; on metal BIOS works too.
    Finding::new(
        "boot.mode",
        "boot mode",
        if uefi { Weight::Pass } else { Weight::Info },
    )
    .expected("UEFI")
    .found(if uefi { "UEFI" } else { "BIOS" })
    .advice("both work; the X10 menu for it is Boot > Boot mode select")
}

fn secure_boot(case: &Case<'_>) -> Option<Finding> {
    let on = case.inventory.secure_boot?;
    let weight = match (on, case.role.compiled_modules) {
        (false, _) => Weight::Pass,
        (true, true) => Weight::Warn,
        (true, false) => Weight::Info,
    };
    Some(
        Finding::new("boot.secure", "Secure Boot", weight)
            .expected("off, or keys enrolled for this image")
            .found(if on { "on" } else { "off" })
            .advice("the kernel then refuses modules that are not signed with an enrolled key, and firmware tools do not work; menu: Security > Secure Boot"),
    )
}

fn memory(case: &Case<'_>) -> Finding {
    let wanted = &case.role.memory;
    let gibibytes = case.inventory.memory >> 30;
    // What the kernel manages is a little less than what is fitted; a GiB of slack covers it.
    let exact = if case.inventory.modules.is_empty() {
        gibibytes + 1
    } else {
        gibibytes
    };
    let weight = if exact < wanted.fail_below {
        Weight::Fail
    } else if exact < wanted.warn_below {
        Weight::Warn
    } else {
        Weight::Pass
    };
    Finding::new("memory.total", "memory", weight)
        .expected(format!("{} GiB, at least {} GiB", wanted.reference, wanted.fail_below))
        .found(format!("{gibibytes} GiB"))
        .advice("a module may be missing, disabled or badly seated: compare with the BIOS start screen and the event log of the BMC")
}

fn processors(case: &Case<'_>) -> Vec<Finding> {
    let cpus = &case.inventory.cpus;
    let cores: u32 = cpus.iter().map(|cpu| cpu.cores).sum();
    let mut findings = vec![
        Finding::new(
            "cpu.cores",
            "processor cores",
            if cores >= case.role.cores {
                Weight::Pass
            } else {
                Weight::Info
            },
        )
        .expected(format!("{} or more", case.role.cores))
        .found(cores.to_string())
        .advice("fewer cores serve fewer users; see the sizing table"),
    ];
    let count = u32::try_from(cpus.len()).unwrap_or(u32::MAX);
    if case.role.sockets < 2 || case.is_virtual() || count == 0 {
        return findings;
    }
    let family = case
        .inventory
        .board
        .name
        .as_deref()
        .and_then(|name| case.reference.board(name));
    let behind = family
        .and_then(|family| family.second_socket_slots.as_deref())
        .unwrap_or("some slots");
    findings.push(
        Finding::new(
            "cpu.sockets",
            "processors",
            if count >= case.role.sockets {
                Weight::Pass
            } else {
                Weight::Warn
            },
        )
        .expected(case.role.sockets.to_string())
        .found(count.to_string())
        .advice(format!(
            "the CPU 2 socket is empty, and {behind} hang off it: cards there cannot be seen"
        )),
    );
    findings
}

fn bmc(case: &Case<'_>) -> Vec<Finding> {
    let weight = match (&case.inventory.bmc, case.is_virtual()) {
        (Some(_), _) => Weight::Pass,
        (None, true) => Weight::Info,
        (None, false) => Weight::Warn,
    };
    let mut findings = vec![
        Finding::new("bmc.present", "BMC", weight)
            .expected("a BMC that the kernel reaches by KCS")
            .found(if case.inventory.bmc.is_some() { "present" } else { "none" })
            .advice("without it there is no remote console; on an X10 board look for a jumper that disables it (JPB1)"),
    ];
    let mode = case
        .inventory
        .bmc
        .as_ref()
        .and_then(|bmc| bmc.lan.as_ref())
        .and_then(|lan| lan.mode.as_deref());
    if let Some(mode) = mode {
        findings.push(
            Finding::new("bmc.lan-mode", "BMC network port", if mode == "dedicated" { Weight::Pass } else { Weight::Warn })
                .expected("dedicated")
                .found(mode)
                .advice("the BMC may talk through a port of the mail network; the installer can set it to `dedicated`"),
        );
    }
    let factory = case.inventory.bmc.as_ref();
    if let Some(factory) = factory.and_then(|bmc| bmc.factory_password) {
        let (weight, advice) = match (factory, case.adjustments.sets_bmc_password) {
            (false, _) => (Weight::Pass, ""),
            (true, true) => (Weight::Warn, "the install sets another"),
            (true, false) => (
                Weight::Fail,
                "everyone knows it: change it in the BMC's web page, or have a password delivered for `[bmc]` of the node file",
            ),
        };
        findings.push(
            Finding::new("bmc.password", "BMC account ADMIN", weight)
                .expected("a password of its own")
                .found(if factory {
                    "the factory's password"
                } else {
                    "not the factory's password"
                })
                .advice(advice),
        );
    }
    let floor = case
        .inventory
        .board
        .name
        .as_deref()
        .and_then(|name| case.reference.board(name)?.bmc_floor.as_deref());
    let firmware = case
        .inventory
        .bmc
        .as_ref()
        .and_then(|bmc| bmc.firmware.as_deref());
    if let (Some(floor), Some(firmware)) = (floor, firmware) {
        let weight = if is_older(firmware, floor) {
            Weight::Info
        } else {
            Weight::Pass
        };
        findings.push(
            Finding::new("bmc.firmware", "BMC firmware", weight)
                .expected(format!("{floor} or later"))
                .found(firmware)
                .advice("update it from the BMC's own web page; the installer never does"),
        );
    }
    findings
}
