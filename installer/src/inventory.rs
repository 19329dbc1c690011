//! `inventory`: what this machine is, as a table or JSON.

use camino::Utf8Path;
use firmware::{Inventory, inventory::Disk};
use plan::size::decimal;

use crate::{arguments, output};

/// Looks at the machine below a root.
pub fn probe(root: &Utf8Path) -> Inventory {
    firmware::probe::inventory(root, None)
}

pub fn run(options: &arguments::Inventory, json: bool) -> anyhow::Result<u8> {
    let inventory = probe(&options.root);
    if json {
        output::json(&inventory)?;
    } else {
        output::text(&table(&inventory))?;
    }
    Ok(0)
}

/// The inventory for people.
fn table(inventory: &Inventory) -> String {
    let known = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
    let board = &inventory.board;
    let mut text = format!(
        "board   {} {}, serial {}, BIOS {}\nboot    {:?}\nmemory  {} MiB\n",
        known(&board.vendor),
        known(&board.name),
        known(&board.serial),
        known(&board.bios_version),
        inventory.boot,
        inventory.memory >> 20
    );
    for cpu in &inventory.cpus {
        text.push_str(&format!(
            "cpu {}   {}, {} cores\n",
            cpu.socket, cpu.model, cpu.cores
        ));
    }
    text.push_str("\ndisks\n");
    for disk in &inventory.disks {
        text.push_str(&disk_line(disk));
    }
    text.push_str("\nports\n");
    for nic in &inventory.nics {
        let speed = match (nic.carrier, nic.speed) {
            (Some(true), Some(speed)) => format!("{speed} Mb/s"),
            (Some(true), None) => "link".into(),
            (Some(false), _) => "no link".into(),
            (None, _) => "down".into(),
        };
        text.push_str(&format!(
            "  {:<10} {:<17} {:<10} {speed}\n",
            nic.kernel_name,
            known(&nic.mac),
            known(&nic.driver)
        ));
    }
    if !inventory.found.is_empty() {
        text.push_str("\nfound on the disks\n");
        for holder in &inventory.found {
            let disks: Vec<String> = holder.disks.iter().map(ToString::to_string).collect();
            text.push_str(&format!(
                "  {} {} on {}\n",
                holder.kind,
                known(&holder.name),
                disks.join(", ")
            ));
        }
    }
    if !inventory.gaps.is_empty() {
        text.push_str("\nnot readable\n");
        for gap in &inventory.gaps {
            text.push_str(&format!("  {}: {}\n", gap.part, gap.reason));
        }
    }
    text
}

fn disk_line(disk: &Disk) -> String {
    let known = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
    let bay = disk
        .bay
        .as_ref()
        .map_or_else(|| "-".into(), |bay| format!("{}:{}", bay.side, bay.slot));
    let names: Vec<&str> = disk
        .paths
        .iter()
        .map(|path| path.kernel_name.as_str())
        .collect();
    let mut marks = Vec::new();
    if disk.boot_medium {
        marks.push("boot medium".to_owned());
    }
    if disk.read_only {
        marks.push("write-protected".to_owned());
    }
    marks.extend(disk.faults.iter().cloned());
    let marks = if marks.is_empty() {
        String::new()
    } else {
        format!("  [{}]", marks.join("; "))
    };
    format!(
        "  {bay:<9} {:>8}  {:<24} {:<16} {}{marks}\n",
        decimal(disk.size),
        known(&disk.model),
        known(&disk.serial),
        names.join(",")
    )
}
