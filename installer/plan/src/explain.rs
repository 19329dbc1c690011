//! A plan as text for people: what is lost, what is done, with which commands, and why. 80 columns where the words allow.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::commands::{DevicePaths, Work, work};
use crate::select::purpose;
use crate::size::decimal;
use crate::step::{Plan, PlannedDisk};

const WIDTH: usize = 80;

/// The whole plan as text.
#[must_use]
pub fn explain(plan: &Plan, paths: &dyn DevicePaths) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "plan for node {}, role {}", plan.node, plan.role);
    let _ = writeln!(text, "digest {}", plan.digest());
    text.push('\n');
    text.push_str(&summary(plan));
    if !plan.guards.is_empty() {
        text.push_str("\nguarded, and allowed to be destroyed\n");
        for guard in &plan.guards {
            let name = guard.name.as_deref().unwrap_or("(no name)");
            wrap(
                &mut text,
                "  ",
                "    ",
                &format!("{} {name}: {}; key {}", guard.kind, guard.reason, guard.key),
            );
        }
    }
    text.push_str("\nwhy\n");
    for note in &plan.notes {
        wrap(&mut text, "  - ", "    ", note);
    }
    text.push_str("\nsteps\n");
    text.push_str(&steps(plan, paths));
    text
}

/// What is destroyed: the part a person must have read before saying yes.
#[must_use]
pub fn summary(plan: &Plan) -> String {
    let destroys = plan.destroys();
    let (lost, kept): (Vec<&PlannedDisk>, Vec<&PlannedDisk>) = plan
        .disks
        .iter()
        .partition(|disk| destroys.contains(&disk.id));
    let mut text = format!("all content of these {} disks is destroyed\n", lost.len());
    table(&mut text, &lost);
    if !kept.is_empty() {
        let _ = writeln!(
            text,
            "\nthese {} disks are used and keep their content",
            kept.len()
        );
        table(&mut text, &kept);
    }
    text
}

fn table(text: &mut String, disks: &[&PlannedDisk]) {
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
    let rows: Vec<[String; 6]> = disks
        .iter()
        .map(|disk| {
            let group = if disk.group.is_empty() {
                purpose(disk.purpose).to_owned()
            } else {
                disk.group.clone()
            };
            [
                group,
                value(&disk.bay),
                decimal(disk.size),
                value(&disk.model),
                value(&disk.serial),
                value(&disk.wwn),
            ]
        })
        .collect();
    let head = ["for", "bay", "size", "model", "serial", "WWN"].map(str::to_owned);
    let mut widths = [0; 6];
    for row in rows.iter().chain([&head]) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &[String; 6]| {
        let cells: Vec<String> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        format!("  {}", cells.join("  ").trim_end())
    };
    let _ = writeln!(text, "{}", line(&head));
    for row in &rows {
        let _ = writeln!(text, "{}", line(row));
    }
    holders(text, disks);
}

/// What lies on the disks now, as it is taken down: what uses others first, what carries others last.
fn holders(text: &mut String, disks: &[&PlannedDisk]) {
    let mut found: BTreeMap<(usize, &str), Vec<String>> = BTreeMap::new();
    for disk in disks {
        for held in &disk.holds {
            let place = disk.bay.clone().unwrap_or_else(|| disk.id.to_string());
            found.entry((level(held), held)).or_default().push(place);
        }
    }
    if found.is_empty() {
        text.push_str("  nothing is known to lie on them\n");
        return;
    }
    text.push_str("  on them now, from top to bottom\n");
    for ((_, held), places) in found {
        wrap(text, "    ", "      ", held);
        wrap(text, "      on ", "         ", &places.join(", "));
    }
}

/// How far up a holder stands: file systems use arrays, arrays use partitions.
fn level(held: &str) -> usize {
    match held.split_whitespace().next().unwrap_or_default() {
        "gpt" | "mbr" => 4,
        "md" | "imsm" | "ddf" | "mpath" => 3,
        "lvm" | "bcache" => 2,
        "zfs" => 1,
        _ => 0,
    }
}

fn steps(plan: &Plan, paths: &dyn DevicePaths) -> String {
    let mut text = String::new();
    for (number, step) in plan.steps.iter().enumerate() {
        let _ = writeln!(text, "{:3}. {}", number + 1, step.title);
        match work(&step.action, paths) {
            Ok(pieces) => {
                for piece in pieces {
                    piece_text(&mut text, &piece);
                }
            }
            Err(error) => wrap(&mut text, "       ", "       ", &error.to_string()),
        }
    }
    text
}

fn piece_text(text: &mut String, piece: &Work) {
    match piece {
        Work::Native(words) => wrap(text, "       (", "        ", &format!("{words})")),
        Work::Run(line) => {
            // Broken as a shell allows, so that it can be copied.
            let mut column = 0;
            let mut out = String::from("       $");
            for word in words_of(&line.to_string()) {
                let length = word.chars().count() + 1;
                if column > 0 && 8 + column + length + 2 > WIDTH {
                    out.push_str(" \\\n          ");
                    column = 2;
                }
                out.push(' ');
                out.push_str(&word);
                column += length;
            }
            let _ = writeln!(text, "{out}");
            for line in line.input.iter().flat_map(|input| input.lines()) {
                let _ = writeln!(text, "       < {line}");
            }
        }
    }
}

/// Words of a quoted line, without breaking inside quotes.
fn words_of(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for character in line.chars() {
        if character == '\'' {
            quoted = !quoted;
        }
        match words.last_mut() {
            Some(word) if character != ' ' || quoted => word.push(character),
            _ => words.push(String::new()),
        }
    }
    words
}

fn wrap(text: &mut String, first: &str, rest: &str, words: &str) {
    let mut line = first.to_owned();
    let mut empty = true;
    for word in words.split_whitespace() {
        if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(text, "{}", line.trim_end());
            line = rest.to_owned();
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    let _ = writeln!(text, "{}", line.trim_end());
}
