//! The chassis with every bay by its use, or the table of disks; beside it the marked disk and what the plan survives.

use std::collections::BTreeMap;

use firmware::inventory::{Disk, DiskId};
use plan::{Action, Device, Plan, size::decimal};
use ratatui::{
    Frame,
    layout::Rect,
    style::Style,
    text::{Line, Span},
};
use roles::role::Purpose;

use super::{View, WIDE, parts};
use crate::{
    chassis::{self, Side, Spot},
    draft,
    state::{Screen, Wizard},
    text,
};

/// Columns of a bay, with the line on its left.
const BAY: u16 = 7;

/// Use of a disk: purpose, and the number of its vdev.
type Uses = BTreeMap<DiskId, (Purpose, Option<usize>)>;

pub fn draw(frame: &mut Frame<'_>, area: Rect, wizard: &Wizard, view: &View) {
    let uses = uses(wizard);
    let sides = chassis::sides(&wizard.facts.inventory);
    let spots = wizard.spots();
    let widest = sides.iter().map(|side| side.columns).max().unwrap_or(4);
    let map_width = (u16::try_from(widest.max(4)).unwrap_or(4) * BAY + 1).min(area.width);
    let map_height = map_height(&sides, &spots);
    let wide = area.width >= WIDE && area.height > map_height + 8;
    if wide {
        let map = parts::inner(area, 0, 0, map_width, map_height);
        draw_map(frame, map, wizard, &sides, &spots, &uses, view);
        let rest = parts::inner(area, map_width + 3, 0, area.width, map_height);
        detail(frame, rest, wizard, &uses, view);
        let below = parts::inner(area, 0, map_height + 1, area.width, area.height);
        table(frame, below, wizard, &spots, &uses, view);
    } else if wizard.other_view {
        table(frame, area, wizard, &spots, &uses, view);
    } else if map_width > 40 {
        let map = parts::inner(area, 0, 0, map_width, map_height);
        draw_map(frame, map, wizard, &sides, &spots, &uses, view);
        let rest = parts::inner(area, 0, map_height + 1, area.width, area.height);
        detail(frame, rest, wizard, &uses, view);
    } else {
        let map = parts::inner(area, 0, 0, map_width, area.height);
        draw_map(frame, map, wizard, &sides, &spots, &uses, view);
        let rest = parts::inner(area, map_width + 2, 0, area.width, area.height);
        detail(frame, rest, wizard, &uses, view);
    }
}

/// By the plan if there is one: it knows the vdevs and the spares.
fn uses(wizard: &Wizard) -> Uses {
    let Some(plan) = wizard.plan() else {
        return draft::uses(&wizard.facts.role, &wizard.node, &wizard.facts.inventory)
            .into_iter()
            .map(|(id, purpose)| (id, (purpose, None)))
            .collect();
    };
    let mut uses: Uses = plan
        .disks
        .iter()
        .map(|disk| (disk.id.clone(), (disk.purpose, None)))
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
                match uses.get_mut(disk) {
                    Some((purpose, _)) if vdev.kind == "spare" => *purpose = Purpose::Spare,
                    Some((Purpose::Data, number)) => *number = Some(index),
                    _ => {}
                }
            }
        }
    }
    uses
}

fn loose_rows(spots: &[Spot]) -> u16 {
    let loose = spots.iter().filter(|spot| spot.bay.is_none()).count();
    if loose == 0 {
        0
    } else {
        1 + u16::try_from(loose.div_ceil(4)).unwrap_or(4)
    }
}

fn map_height(sides: &[Side], spots: &[Spot]) -> u16 {
    let bays: usize = sides.iter().map(|side| side.rows + 2).sum();
    u16::try_from(bays).unwrap_or(20) + loose_rows(spots) + 3
}

fn draw_map(
    frame: &mut Frame<'_>,
    area: Rect,
    wizard: &Wizard,
    sides: &[Side],
    spots: &[Spot],
    uses: &Uses,
    view: &View,
) {
    let look = view.look;
    let mut y = 0;
    // Drawn last: its brackets lie over its neighbours' lines.
    let mut marked: Option<(Rect, Line<'static>)> = None;
    let cursor = wizard.cursors.get(&Screen::Disks).copied().unwrap_or(0);
    let spot_at = |side: &str, slot: u32| {
        spots.iter().position(|spot| {
            spot.bay
                .as_ref()
                .is_some_and(|(name, number)| name == side && *number == slot)
        })
    };
    for side in sides {
        let width = u16::try_from(side.columns).unwrap_or(4) * BAY + 1;
        let height = u16::try_from(side.rows).unwrap_or(1) + 2;
        let title = format!("{}, {} bays", side.name, side.slots);
        parts::boxed(frame, parts::inner(area, 0, y, width, height), &title, look);
        for row in 0..side.rows {
            for column in 0..side.columns {
                let Some(slot) = side.slot(column, row) else {
                    continue;
                };
                let Some(index) = spot_at(&side.name, slot) else {
                    continue;
                };
                let x = u16::try_from(column).unwrap_or(0) * BAY;
                let place =
                    parts::inner(area, x, y + 1 + u16::try_from(row).unwrap_or(0), BAY + 1, 1);
                let disk = disk_of(wizard, &spots[index]);
                let line = bay(
                    &slot.to_string(),
                    disk,
                    uses,
                    index == cursor,
                    column == 0,
                    view,
                );
                if index == cursor {
                    marked = Some((place, line));
                } else {
                    parts::text(frame, place, vec![line]);
                }
            }
        }
        y += height;
    }
    let loose: Vec<(usize, &Spot)> = spots
        .iter()
        .enumerate()
        .filter(|(_, spot)| spot.bay.is_none())
        .collect();
    if !loose.is_empty() {
        let title = Line::styled(text::NO_BAY, look.dim());
        parts::text(frame, parts::inner(area, 0, y, area.width, 1), vec![title]);
        for (number, (index, spot)) in loose.iter().enumerate() {
            let disk = disk_of(wizard, spot);
            let name = disk
                .and_then(|disk| disk.paths.first())
                .map_or("", |path| path.kernel_name.as_str());
            let name = name.strip_prefix("nvme").unwrap_or(name);
            let name: String = name
                .chars()
                .rev()
                .take(3)
                .collect::<Vec<_>>()
                .into_iter()
                .rev()
                .collect();
            let x = u16::try_from(number % 4).unwrap_or(0) * BAY;
            let row = y + 1 + u16::try_from(number / 4).unwrap_or(0);
            let line = bay(&name, disk, uses, *index == cursor, true, view);
            let place = parts::inner(area, x, row, BAY + 1, 1);
            if *index == cursor {
                marked = Some((place, line));
            } else {
                parts::text(frame, place, vec![line]);
            }
        }
        y += loose_rows(spots);
    }
    if let Some((place, line)) = marked {
        parts::text(frame, place, vec![line]);
    }
    let mut legend: Vec<Line<'_>> = Vec::new();
    for line in parts::wrap(&text::LEGEND.replace("  ", "\n"), 12, 0).chunks(3) {
        let words: Vec<String> = line.iter().map(|word| parts::pad(word, 9)).collect();
        legend.push(Line::styled(words.join(" "), look.dim()));
    }
    parts::text(frame, parts::inner(area, 0, y, area.width, 3), legend);
}

fn disk_of<'a>(wizard: &'a Wizard, spot: &Spot) -> Option<&'a Disk> {
    wizard.facts.inventory.disks.get(spot.disk?)
}

/// One bay: ` 5 D17`, with brackets where the mark is.
fn bay(
    name: &str,
    disk: Option<&Disk>,
    uses: &Uses,
    marked: bool,
    first: bool,
    view: &View,
) -> Line<'static> {
    let look = view.look;
    let (word, style) = match disk {
        None => (String::new(), look.dim()),
        Some(disk) if !disk.faults.is_empty() => ("!".to_owned(), look.bad()),
        Some(disk) if disk.boot_medium => ("*".to_owned(), look.dim()),
        Some(disk) => match uses.get(&disk.id) {
            Some((purpose, number)) => {
                let number = number.map(|number| number.to_string()).unwrap_or_default();
                (
                    format!("{}{number}", text::letter(Some(*purpose))),
                    look.purpose(Some(*purpose)),
                )
            }
            None => (text::letter(None).to_string(), look.purpose(None)),
        },
    };
    let (left, right) = match (marked, first) {
        (true, _) => ("[", "]"),
        (false, true) => (look.bar(), look.bar()),
        (false, false) => ("", look.bar()),
    };
    let content = format!("{name:>3}{word:>3}");
    let style = if marked {
        style.patch(look.marked())
    } else {
        style
    };
    let mut spans = Vec::new();
    if left.is_empty() {
        // The line on the left belongs to the bay before, which may be the marked one.
        spans.push(Span::raw(look.bar()));
    } else {
        spans.push(Span::styled(
            left,
            if marked { look.strong() } else { Style::new() },
        ));
    }
    spans.push(Span::styled(content, style));
    spans.push(Span::styled(
        right,
        if marked { look.strong() } else { Style::new() },
    ));
    Line::from(spans)
}

fn detail(frame: &mut Frame<'_>, area: Rect, wizard: &Wizard, uses: &Uses, view: &View) {
    let look = view.look;
    let width = area.width as usize;
    let mut lines = Vec::new();
    match wizard.disk() {
        None => lines.push(Line::raw(text::EMPTY_BAY)),
        Some(disk) => {
            let purpose = uses.get(&disk.id).map(|(purpose, _)| *purpose);
            let lit = if wizard.light.as_ref() == Some(&disk.id) {
                ", light on"
            } else {
                ""
            };
            lines.push(Line::styled(
                parts::cut(
                    &format!("{}: {}{lit}", text::place(disk), text::purpose(purpose)),
                    width,
                ),
                look.title(),
            ));
            lines.extend(
                text::disk_lines(disk)
                    .iter()
                    .map(|line| Line::raw(parts::cut(line, width))),
            );
            let held: Vec<&str> = wizard
                .facts
                .inventory
                .found
                .iter()
                .filter(|holder| holder.disks.contains(&disk.id))
                .map(|holder| holder.kind.as_str())
                .collect();
            if !held.is_empty() {
                lines.push(Line::styled(
                    parts::cut(&format!("on it   {}  (d)", held.join(", ")), width),
                    look.warn(),
                ));
            }
        }
    }
    lines.push(Line::raw(""));
    match (&wizard.proposal.error, wizard.plan()) {
        (Some(error), _) => {
            lines.push(Line::styled(text::NO_PLAN_BECAUSE, look.bad()));
            for line in parts::wrap(&error.to_string(), width, 2) {
                lines.push(Line::raw(line));
            }
        }
        (None, Some(plan)) => lines.extend(notes(plan, width, view)),
        (None, None) => {}
    }
    let room = area.height as usize;
    if lines.len() > room && room > 0 {
        lines.truncate(room - 1);
        lines.push(Line::styled(text::MORE_IN_PLAN, look.dim()));
    }
    parts::text(frame, area, lines);
}

fn notes(plan: &Plan, width: usize, view: &View) -> Vec<Line<'static>> {
    let mut lines = vec![parts::title(text::SURVIVES, view.look)];
    // What is asked first comes first: room and failures, then the reasons of everything else.
    let first = |note: &str| {
        ["survive", "usable", "stop"]
            .iter()
            .any(|word| note.contains(word))
    };
    let (first, rest): (Vec<&String>, Vec<&String>) =
        plan.notes.iter().partition(|note| first(note));
    for note in first.into_iter().chain(rest) {
        for line in parts::wrap(note, width, 2) {
            lines.push(Line::raw(line));
        }
    }
    lines
}

fn table(
    frame: &mut Frame<'_>,
    area: Rect,
    wizard: &Wizard,
    spots: &[Spot],
    uses: &Uses,
    view: &View,
) {
    let look = view.look;
    let wide = area.width >= WIDE;
    let model = if wide { 28 } else { 20 };
    let head = format!(
        "  {}{}{}{}{}{}{}",
        parts::pad("place", 10),
        parts::pad("for", 9),
        parts::pad("size", 9),
        parts::pad("model", model + 1),
        parts::pad("serial", 20),
        parts::pad("paths", 7),
        if wide {
            "WWN                 health"
        } else {
            ""
        }
    );
    parts::text(
        frame,
        parts::inner(area, 0, 0, area.width, 1),
        vec![Line::styled(
            parts::cut(&head, area.width as usize),
            look.dim(),
        )],
    );
    let entries: Vec<Line<'_>> = spots
        .iter()
        .map(|spot| match disk_of(wizard, spot) {
            None => {
                let (side, slot) = spot.bay.clone().unwrap_or_default();
                Line::styled(
                    format!("{}-", parts::pad(&format!("{side} {slot}"), 10)),
                    look.dim(),
                )
            }
            Some(disk) => {
                let purpose = uses.get(&disk.id).map(|(purpose, _)| *purpose);
                let mut rest = format!(
                    "{}{} {}{}",
                    parts::pad(&decimal(disk.size), 9),
                    parts::column(disk.model.as_deref().unwrap_or("-"), model),
                    parts::column(disk.serial.as_deref().unwrap_or("-"), 19),
                    parts::pad(&format!(" {}", disk.paths.len()), 7),
                );
                if wide {
                    rest.push_str(&format!(
                        " {} {}",
                        parts::column(disk.wwn.as_deref().unwrap_or("-"), 19),
                        parts::cut(&text::health(disk), 14)
                    ));
                }
                Line::from(vec![
                    Span::raw(parts::column(&text::place(disk), 10)),
                    Span::styled(parts::pad(text::purpose(purpose), 9), look.purpose(purpose)),
                    Span::raw(rest),
                ])
            }
        })
        .collect();
    let cursor = wizard.cursors.get(&Screen::Disks).copied().unwrap_or(0);
    let below = parts::inner(area, 0, 1, area.width, area.height);
    parts::list(frame, below, entries, Some(cursor), view);
}
