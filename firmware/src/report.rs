//! An inventory for people: plain text, at most 80 columns, meaning never by colour.

use std::fmt::Write;

use roles::selector::Transport;

use crate::Inventory;
use crate::compare::{Finding, Weight};
use crate::inventory::{Bay, BootMode, Disk, Enclosure, Health, PortModule};

/// The whole inventory as text.
pub fn text(inventory: &Inventory) -> String {
    let mut out = String::new();
    machine(&mut out, inventory);
    disks(&mut out, inventory);
    ports(&mut out, inventory);
    controllers(&mut out, inventory);
    found(&mut out, inventory);
    for gap in &inventory.gaps {
        line(
            &mut out,
            &format!("not known: {}: {}", gap.part, gap.reason),
        );
    }
    let map = bay_map(inventory, &kind_and_serial);
    if !map.is_empty() {
        out.push('\n');
        out.push_str(&map);
    }
    out
}

/// Adds a line, broken at blanks so that it stays within 80 columns.
fn line(out: &mut String, text: &str) {
    let indent = (text.len() - text.trim_start().len()).max(4);
    let mut width = 0;
    for (number, word) in text.split(' ').enumerate() {
        let length = word.chars().count();
        if number > 0 && width + 1 + length > 80 {
            let _ = write!(out, "\n{:indent$}", "");
            width = indent;
        } else if number > 0 {
            out.push(' ');
            width += 1;
        }
        out.push_str(word);
        width += length;
    }
    out.push('\n');
}

fn machine(out: &mut String, inventory: &Inventory) {
    let board = &inventory.board;
    let known = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".to_owned());
    let product = board
        .product
        .as_deref()
        .map(|product| format!(" ({product})"))
        .unwrap_or_default();
    let name = board.name.as_deref().unwrap_or("no board name");
    line(
        out,
        &format!(
            "board    {} {name}{product}, serial {}",
            known(&board.vendor),
            known(&board.serial)
        ),
    );
    let mode = match (inventory.boot, inventory.secure_boot) {
        (BootMode::Bios, _) => "BIOS",
        (BootMode::Uefi, Some(true)) => "UEFI, Secure Boot on",
        (BootMode::Uefi, _) => "UEFI",
    };
    line(
        out,
        &format!(
            "firmware {} of {}, booted by {mode}",
            known(&board.bios_version),
            known(&board.bios_date)
        ),
    );
    let sockets = if board.sockets > 0 {
        format!(" of {} sockets", board.sockets)
    } else {
        String::new()
    };
    let cores: u32 = inventory.cpus.iter().map(|cpu| cpu.cores).sum();
    let model = inventory
        .cpus
        .first()
        .map_or("unknown", |cpu| cpu.model.as_str());
    line(
        out,
        &format!(
            "cpu      {}{sockets}, {cores} cores, {model}",
            inventory.cpus.len()
        ),
    );
    let modules = if inventory.modules.is_empty() {
        String::new()
    } else {
        format!(", {} modules", inventory.modules.len())
    };
    line(
        out,
        &format!("memory   {} GiB{modules}", inventory.memory >> 30),
    );
    match &inventory.bmc {
        Some(bmc) => {
            let maker = match bmc.manufacturer {
                Some(10876 | 47488) => "Supermicro".to_owned(),
                Some(number) => format!("maker {number}"),
                None => "unknown maker".to_owned(),
            };
            let product = bmc
                .product
                .map(|id| format!(" product {id:#06x}"))
                .unwrap_or_default();
            line(
                out,
                &format!(
                    "bmc      {maker}{product}, firmware {}",
                    known(&bmc.firmware)
                ),
            );
            if let Some(lan) = &bmc.lan {
                let mode = lan.mode.as_deref().unwrap_or("unknown mode");
                let vlan = lan
                    .vlan
                    .map(|vlan| format!(", VLAN {vlan}"))
                    .unwrap_or_default();
                let address = known(&lan.address);
                line(
                    out,
                    &format!(
                        "         {address} ({}), {mode}, MAC {}{vlan}",
                        known(&lan.source),
                        known(&lan.mac)
                    ),
                );
            }
        }
        None => line(out, "bmc      none found"),
    }
}

fn disks(out: &mut String, inventory: &Inventory) {
    let _ = writeln!(
        out,
        "\n{:<9} {:<22} {:<16} {:<16} {:>7} {:<5}",
        "BAY", "MODEL", "SERIAL", "WWN", "SIZE", "PATHS"
    );
    let mut ordered: Vec<&Disk> = inventory.disks.iter().collect();
    ordered.sort_by_key(|disk| (disk.bay.is_none(), disk.bay.clone()));
    for disk in ordered {
        let place = disk
            .bay
            .as_ref()
            .map_or_else(|| attachment(disk).to_owned(), bay_name);
        let wwn = disk.wwn.as_deref().unwrap_or("-").trim_start_matches("0x");
        let _ = writeln!(
            out,
            "{:<9} {:<22} {:<16} {:<16} {:>7} {:>5}",
            cut(&place, 9),
            cut(disk.model.as_deref().unwrap_or("-"), 22),
            cut_front(disk.serial.as_deref().unwrap_or("-"), 16),
            cut(wwn, 16),
            size(disk.size),
            disk.paths.len()
        );
        if disk.boot_medium {
            line(
                out,
                "          in use: this system was booted from it or has it mounted",
            );
        }
        for path in &disk.paths {
            if let Some(state) = inventory.dead_paths.get(&path.kernel_name) {
                line(
                    out,
                    &format!("          path {} is {state}", path.kernel_name),
                );
            }
        }
        for fault in &disk.faults {
            line(out, &format!("          fault: {fault}"));
        }
        if let Some(Health::Warned { cause }) = &disk.health {
            line(out, &format!("          health: {cause}"));
        }
    }
    if inventory.disks.is_empty() {
        out.push_str("no disks\n");
    }
}

fn ports(out: &mut String, inventory: &Inventory) {
    let _ = writeln!(
        out,
        "\n{:<10} {:<12} {:<4} {:<17} {:<9} {:<10} LINK",
        "PORT", "PCI", "NO", "MAC", "ID", "DRIVER"
    );
    for nic in &inventory.nics {
        let link = match (nic.carrier, nic.speed) {
            (Some(true), Some(speed)) => format!("{speed} Mb/s"),
            (Some(true), None) => "up".to_owned(),
            (Some(false), _) => "no link".to_owned(),
            (None, _) => "port down".to_owned(),
        };
        let kind = nic
            .port_type
            .as_deref()
            .filter(|kind| *kind != "eth")
            .map(|kind| format!(" {kind}"))
            .unwrap_or_default();
        let _ = writeln!(
            out,
            "{:<10} {:<12} {:<4} {:<17} {:<9} {:<10} {link}{kind}",
            cut(&nic.kernel_name, 10),
            nic.address.as_deref().unwrap_or("-"),
            nic.dev_port,
            nic.mac.as_deref().unwrap_or("-"),
            nic.id.as_deref().unwrap_or("-"),
            cut(nic.driver.as_deref().unwrap_or("-"), 10),
        );
        if let Some(fitted) = &nic.module {
            line(out, &format!("           {}", module(fitted)));
        } else if let Some(reason) = &nic.no_module {
            line(out, &format!("           no module: {reason}"));
        }
    }
}

/// `SFP+ direct attach copper, 3 m, Mellanox MC3309130-003 MT1612VS00123`.
pub fn module(module: &PortModule) -> String {
    let together = |words: &[Option<&str>]| {
        let words: Vec<&str> = words.iter().copied().flatten().collect();
        (!words.is_empty()).then(|| words.join(" "))
    };
    let power: Vec<String> = module
        .receive_power
        .iter()
        .map(|power| match power {
            0 => "nothing".to_owned(),
            // 0 dBm is one milliwatt.
            power => format!("{:.1}", 10.0 * (f64::from(*power) / 1e6).log10()),
        })
        .collect();
    let unit = if module.receive_power.iter().any(|power| *power > 0) {
        " dBm"
    } else {
        ""
    };
    let parts = [
        together(&[Some(module.form.as_str()), module.kind.as_deref()]),
        module.wavelength.map(|length| format!("{length} nm")),
        module.length.map(|length| format!("{length} m")),
        together(&[
            module.vendor.as_deref(),
            module.part.as_deref(),
            module.serial.as_deref(),
        ]),
        module.temperature.map(|degrees| format!("{degrees} C")),
        (!power.is_empty()).then(|| format!("receives {}{unit}", power.join(", "))),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn controllers(out: &mut String, inventory: &Inventory) {
    if !inventory.hbas.is_empty() {
        let _ = writeln!(
            out,
            "\n{:<12} {:<10} {:<10} {:<12} {:<13} LINK",
            "CONTROLLER", "ID", "DRIVER", "BOARD", "FIRMWARE"
        );
    }
    for hba in &inventory.hbas {
        let link = hba
            .link
            .as_ref()
            .and_then(|link| Some(format!("x{} of x{}", link.width?, link.max_width?)));
        let _ = writeln!(
            out,
            "{:<12} {:<10} {:<10} {:<12} {:<13} {}",
            hba.address,
            hba.id,
            hba.driver.as_deref().unwrap_or("-"),
            cut(hba.board.as_deref().unwrap_or("-"), 12),
            cut(hba.firmware.as_deref().unwrap_or("-"), 13),
            link.as_deref().unwrap_or("-"),
        );
    }
}

fn found(out: &mut String, inventory: &Inventory) {
    if !inventory.found.is_empty() {
        out.push_str("\nfound on the disks:\n");
    }
    for holder in &inventory.found {
        let name = holder
            .name
            .as_deref()
            .map(|name| format!(" `{name}`"))
            .unwrap_or_default();
        let uuid = holder
            .uuid
            .as_deref()
            .map(|uuid| format!(" {uuid}"))
            .unwrap_or_default();
        let host = holder
            .host
            .as_deref()
            .map(|host| format!(", last used by {host}"))
            .unwrap_or_default();
        let detail = holder
            .detail
            .as_deref()
            .map(|detail| format!(", {detail}"))
            .unwrap_or_default();
        let running = if holder.active { ", running" } else { "" };
        let count = holder.disks.len();
        let disks = if count == 1 {
            holder.disks[0].to_string()
        } else {
            format!("{count} disks")
        };
        line(
            out,
            &format!(
                "  {}{name}{uuid} on {disks}{running}{host}{detail}",
                holder.kind
            ),
        );
    }
}

/// Findings for people, worst first, with what to do. Passed checks are only counted.
pub fn findings(findings: &[Finding]) -> String {
    let mut out = String::new();
    for finding in findings
        .iter()
        .filter(|finding| finding.weight > Weight::Pass)
    {
        let weight = match (finding.weight, &finding.waived) {
            (_, Some(_)) => "waived",
            (Weight::Fail, None) => "FAIL",
            (Weight::Warn, None) => "warn",
            _ => "info",
        };
        line(
            &mut out,
            &format!(
                "{weight:<6} {}: {}, expected {} [{}]",
                finding.part, finding.found, finding.expected, finding.id
            ),
        );
        if let Some(reason) = &finding.waived {
            line(&mut out, &format!("       waived: {reason}"));
        } else if let Some(advice) = &finding.advice {
            line(&mut out, &format!("       {advice}"));
        }
    }
    let passed = findings
        .iter()
        .filter(|finding| finding.weight == Weight::Pass)
        .count();
    line(
        &mut out,
        &format!("{passed} of {} checks passed", findings.len()),
    );
    out
}

/// `front:3`.
pub fn bay_name(bay: &Bay) -> String {
    format!("{}:{}", bay.side, bay.slot)
}

fn attachment(disk: &Disk) -> &'static str {
    match disk.transport {
        Transport::Sata => "sata",
        Transport::Sas => "sas",
        Transport::Nvme => "nvme",
        Transport::Usb => "usb",
        Transport::Virtio => "virtio",
        Transport::Unknown => "unknown",
    }
}

/// Decimal units, as disk makers print them.
pub fn size(bytes: u64) -> String {
    let (divisor, unit) = match bytes {
        0..1_000_000_000 => (1_000_000, "MB"),
        1_000_000_000..1_000_000_000_000 => (1_000_000_000, "GB"),
        _ => (1_000_000_000_000, "TB"),
    };
    let whole = bytes / divisor;
    let hundredths = bytes % divisor * 100 / divisor;
    if unit == "TB" && whole < 100 {
        format!("{whole}.{hundredths:02} {unit}")
    } else {
        format!("{whole} {unit}")
    }
}

/// At most `width` characters; `~` shows that something is missing.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width - 1).collect();
    format!("{kept}~")
}

/// As [`cut`], but keeps the end: serial numbers differ there.
fn cut_front(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().skip(length + 1 - width).collect();
    format!("~{kept}")
}

fn kind_and_serial(disk: &Disk) -> String {
    let kind = match disk.rotational {
        Some(true) => "HDD",
        Some(false) => "SSD",
        None => "???",
    };
    let serial = disk.serial.as_deref().unwrap_or("-");
    let skip = serial.chars().count().saturating_sub(8);
    format!("{kind} {}", serial.chars().skip(skip).collect::<String>())
}

/// Every enclosure as seen by somebody who stands before it, each bay with what `label` says of its disk (cut at 14
/// characters). Columns are counted from the bottom, as Supermicro numbers them; other enclosures are listed.
pub fn bay_map(inventory: &Inventory, label: &dyn Fn(&Disk) -> String) -> String {
    let mut out = String::new();
    for enclosure in &inventory.enclosures {
        let _ = writeln!(
            out,
            "{} ({}, {} bays)",
            enclosure.side, enclosure.name, enclosure.slots
        );
        let (columns, rows) = shape(enclosure);
        let rule = format!("+{}\n", "------------------+".repeat(columns as usize));
        for row in (0..rows).rev() {
            out.push_str(&rule);
            out.push('|');
            for column in 0..columns {
                let slot = column * rows + row;
                let disk = inventory.disks.iter().find(|disk| {
                    disk.bay
                        .as_ref()
                        .is_some_and(|bay| bay.side == enclosure.side && bay.slot == slot)
                });
                let text = match disk {
                    _ if slot >= enclosure.slots => String::new(),
                    Some(disk) => format!("{slot:>2} {}", cut(&label(disk), 14)),
                    None => format!("{slot:>2} -"),
                };
                let _ = write!(out, "{text:<18}|");
            }
            out.push('\n');
        }
        out.push_str(&rule);
    }
    out
}

/// Columns and rows: the SC847 has 4 x 6 at the front and 4 x 3 at the back.
fn shape(enclosure: &Enclosure) -> (u32, u32) {
    (4, enclosure.slots.div_ceil(4).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{self, Machine};

    #[test]
    fn every_machine_fits_80_columns() {
        for name in fixture::names() {
            let text = text(&Machine::named(name).unwrap().inventory().unwrap());
            for line in text.lines() {
                assert!(line.chars().count() <= 80, "{name}: {line}");
            }
        }
    }

    #[test]
    fn findings_of_a_spoiled_machine() {
        let mut inventory = Machine::named("storage").unwrap().inventory().unwrap();
        inventory.cpus.truncate(1);
        inventory.memory = 16 << 30;
        inventory.disks[3].faults = vec!["size 0: not ready".into()];
        let reference = crate::Reference::built_in().unwrap();
        let mut list = crate::compare(&reference, "storage", &inventory);
        let waiver = crate::compare::Waiver {
            finding: "memory.total".into(),
            reason: "a test rack".into(),
        };
        assert!(crate::compare::waive(&mut list, &[waiver]).is_empty());
        insta::assert_snapshot!(findings(&list));
    }

    #[test]
    fn complaints_stand_beside_their_disk_and_port() {
        let mut machine = Machine::named("storage").unwrap();
        machine.disks[0].failing = vec![1];
        let mut inventory = machine.inventory().unwrap();
        let cause = "SMART: it is too hot (0B/01)".into();
        inventory.disks[0].health = Some(Health::Warned { cause });
        inventory.nics[2].module = None;
        inventory.nics[2].no_module = Some("the cage is empty".into());
        let text = text(&inventory);
        let below = |start: &str| {
            let mut lines = text.lines().skip_while(|line| !line.starts_with(start));
            lines.nth(1).unwrap().trim()
        };
        assert_eq!(below("front:0 "), "health: SMART: it is too hot (0B/01)");
        assert_eq!(
            below("front:1 "),
            "fault: says it is failing (SMART: failure predicted, hardware (5D/10))"
        );
        assert_eq!(below("enp131s0 "), "no module: the cage is empty");
        let reference = crate::Reference::built_in().unwrap();
        let list = findings(&crate::compare(&reference, "storage", &inventory));
        assert!(
            list.contains("warn   disk in front:0 HUH728080AL5204 VJGR0X00: SMART: it is too hot")
        );
    }

    #[test]
    fn sizes() {
        for (bytes, expected) in [
            (0, "0 MB"),
            (240_057_409_536, "240 GB"),
            (1_024_209_543_168, "1.02 TB"),
            (8_001_563_222_016, "8.00 TB"),
            (21_474_836_480, "21 GB"),
        ] {
            assert_eq!(size(bytes), expected);
        }
    }

    #[test]
    fn control() {
        insta::assert_snapshot!(text(
            &Machine::named("control").unwrap().inventory().unwrap()
        ));
    }

    #[test]
    fn storage() {
        insta::assert_snapshot!(text(
            &Machine::named("storage").unwrap().inventory().unwrap()
        ));
    }
}
