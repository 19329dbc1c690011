//! The chassis as a drawing: every bay, coloured and labelled by its use, so that a person at the rack can compare.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use firmware::inventory::{DiskId, Inventory};
use roles::role::Purpose;

use crate::size::decimal;
use crate::step::{Action, Device, Plan};

const BAY: (usize, usize) = (172, 40);
const MARGIN: usize = 12;
const TITLE: usize = 26;

/// An SVG drawing of all enclosures and of the disks outside them.
#[must_use]
pub fn svg(plan: &Plan, inventory: &Inventory) -> String {
    let uses = uses(plan);
    let mut body = String::new();
    let mut y = MARGIN;
    let mut width = 4 * BAY.0;
    text(
        &mut body,
        MARGIN,
        y + 14,
        "bold",
        &format!(
            "{}, role {}, plan {:.12}",
            plan.node,
            plan.role,
            plan.digest()
        ),
    );
    y += TITLE;
    for (side, slots) in sides(inventory) {
        let (columns, rows) = grid(slots);
        text(
            &mut body,
            MARGIN,
            y + 14,
            "normal",
            &format!("{side}, {slots} bays"),
        );
        y += TITLE;
        for slot in 0..slots {
            // Slots count from the bottom up, column by column (SC846 and SC847 backplanes).
            let (column, row) = (slot as usize / rows, rows - 1 - slot as usize % rows);
            let disk = inventory.disks.iter().find(|disk| {
                disk.bay
                    .as_ref()
                    .is_some_and(|bay| bay.side == side && bay.slot == slot)
            });
            let cell = cell(disk.map(|disk| (&disk.id, disk.size)), &uses);
            draw(
                &mut body,
                MARGIN + column * BAY.0,
                y + row * BAY.1,
                &slot.to_string(),
                &cell,
            );
        }
        width = width.max(columns * BAY.0);
        y += rows * BAY.1 + MARGIN;
    }
    let loose: Vec<_> = inventory
        .disks
        .iter()
        .filter(|disk| disk.bay.is_none())
        .collect();
    if !loose.is_empty() {
        text(
            &mut body,
            MARGIN,
            y + 14,
            "normal",
            "disks whose bay is not known",
        );
        y += TITLE;
        for (index, disk) in loose.iter().enumerate() {
            let name = disk.serial.as_deref().unwrap_or(&disk.id.0);
            let cell = cell(Some((&disk.id, disk.size)), &uses);
            draw(
                &mut body,
                MARGIN + index % 4 * BAY.0,
                y + index / 4 * BAY.1,
                name,
                &cell,
            );
        }
        y += loose.len().div_ceil(4) * BAY.1 + MARGIN;
    }
    let width = width + 2 * MARGIN;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{y}\" viewBox=\"0 0 {width} {y}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n{body}</svg>\n"
    )
}

struct Cell {
    fill: &'static str,
    word: String,
}

/// Purpose and word of each disk in the plan: data disks are named by their vdev, as `zpool status` counts them.
fn uses(plan: &Plan) -> BTreeMap<DiskId, (Purpose, String)> {
    let mut uses: BTreeMap<DiskId, (Purpose, String)> = plan
        .disks
        .iter()
        .map(|disk| (disk.id.clone(), (disk.purpose, disk.group.clone())))
        .collect();
    for step in &plan.steps {
        let Action::CreatePool { vdevs, .. } = &step.action else {
            continue;
        };
        for (index, vdev) in vdevs.iter().enumerate() {
            for member in &vdev.members {
                let Device::Partition { disk, .. } = member else {
                    continue;
                };
                let Some((purpose, word)) = uses.get_mut(disk) else {
                    continue;
                };
                match vdev.kind.as_str() {
                    "spare" => (*purpose, *word) = (Purpose::Spare, "spare".into()),
                    kind if *purpose == Purpose::Data => *word = format!("{kind}-{index}"),
                    _ => {}
                }
            }
        }
    }
    let destroys = plan.destroys();
    for (id, (_, word)) in &mut uses {
        if !destroys.contains(id) {
            word.push_str(" (kept)");
        }
    }
    uses
}

fn cell(disk: Option<(&DiskId, u64)>, uses: &BTreeMap<DiskId, (Purpose, String)>) -> Cell {
    let Some((id, size)) = disk else {
        return Cell {
            fill: "#ffffff",
            word: "empty".into(),
        };
    };
    match uses.get(id) {
        Some((purpose, word)) => Cell {
            fill: colour(*purpose),
            word: format!("{word} {}", decimal(size)),
        },
        None => Cell {
            fill: "#dddddd",
            word: format!("not used {}", decimal(size)),
        },
    }
}

/// Okabe and Ito's palette, which colour-blind people can tell apart; the word says the same.
fn colour(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Os => "#56b4e9",
        Purpose::Data => "#7fd1b9",
        Purpose::Log => "#e69f00",
        Purpose::Cache => "#f0e442",
        Purpose::Special => "#cc79a7",
        Purpose::Spare => "#ff9d73",
    }
}

/// Sides with their number of slots: as the enclosures say, else as far as disks are seen.
fn sides(inventory: &Inventory) -> BTreeMap<String, u32> {
    let mut sides: BTreeMap<String, u32> = BTreeMap::new();
    for enclosure in &inventory.enclosures {
        // A broken enclosure page must not make a drawing of a million bays.
        sides.insert(enclosure.side.clone(), enclosure.slots.min(128));
    }
    for bay in inventory
        .disks
        .iter()
        .filter_map(|disk| disk.bay.as_ref())
        .filter(|bay| bay.slot < 128)
    {
        let slots = sides.entry(bay.side.clone()).or_default();
        *slots = (*slots).max(bay.slot + 1);
    }
    sides
}

/// Columns and rows of a backplane with so many slots.
fn grid(slots: u32) -> (usize, usize) {
    let rows = match slots {
        0..=8 => 1,
        9..=12 => 3,
        _ => 6,
    };
    ((slots as usize).div_ceil(rows), rows)
}

fn draw(body: &mut String, x: usize, y: usize, name: &str, cell: &Cell) {
    let _ = writeln!(
        body,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{}\" rx=\"3\" fill=\"{}\" stroke=\"#333333\"/>",
        BAY.0 - 4,
        BAY.1 - 4,
        cell.fill
    );
    text(body, x + 6, y + 15, "bold", name);
    text(body, x + 6, y + 30, "normal", &cell.word);
}

fn text(body: &mut String, x: usize, y: usize, weight: &str, words: &str) {
    let words = words
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let _ = writeln!(
        body,
        "<text x=\"{x}\" y=\"{y}\" font-weight=\"{weight}\">{words}</text>"
    );
}
