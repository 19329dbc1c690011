//! The running appliance at a glance. Nothing secret is on it: whoever passes by may read it.

use plan::size::decimal;
use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};
use run::appliance::{health::Verdict, status::Status};

use super::{View, WIDE, parts};
use crate::{chassis, state::Wizard, text};

pub fn draw(frame: &mut Frame<'_>, area: Rect, wizard: &Wizard, view: &View) {
    let look = view.look;
    let Some(status) = &wizard.status else {
        let line = format!("{} {}", look.spinner(view.frame), text::STATUS_WAIT);
        parts::text(frame, area, vec![Line::raw(line)]);
        return;
    };
    let (word, style) = if status.healthy {
        (text::HEALTHY, look.good().patch(look.strong()))
    } else {
        (text::NOT_HEALTHY, look.bad())
    };
    let slot = status
        .slot
        .as_ref()
        .map_or_else(|| status.mode.clone(), |slot| format!("slot {slot}"));
    let head = Line::from(vec![
        Span::styled(word, style),
        Span::styled(
            format!("  {}", status.node.as_deref().unwrap_or("-")),
            look.strong(),
        ),
        Span::raw(format!(
            "  role {}, version {}, {slot}, {}",
            status.role, status.version, status.state
        )),
    ]);
    let width = area.width as usize;
    let wide = area.width >= WIDE;
    let mut top = vec![head];
    top.extend(machine(status, width));
    top.push(Line::raw(""));
    top.extend(health(status, width, if wide { 12 } else { 6 }, view));
    let tall = u16::try_from(top.len()).unwrap_or(8);
    parts::text(frame, parts::inner(area, 0, 0, area.width, tall), top);

    let events = events(status, width, if wide { 8 } else { 3 }, view);
    let last = u16::try_from(events.len()).unwrap_or(4);
    let foot = area.height.saturating_sub(last);
    parts::text(frame, parts::inner(area, 0, foot, area.width, last), events);

    let column = area.width / 2;
    let narrow = column as usize - 2;
    let room = foot.saturating_sub(tall + 2);
    let left = parts::inner(area, 0, tall + 1, column - 1, room);
    let right = parts::inner(area, column, tall + 1, area.width, room);
    let mut lines = networks(status, narrow, view);
    if let Some(database) = &status.database {
        lines.push(Line::raw(""));
        lines.push(parts::title(text::DATABASE, look));
        lines.extend(wrapped(&database.text(), narrow));
    }
    parts::text(frame, left, lines);
    let mut lines = storage(status, narrow, view);
    if wide {
        lines.push(Line::raw(""));
        lines.extend(bays(wizard, status, view));
    }
    let height = u16::try_from(lines.len()).unwrap_or(6).min(right.height);
    let below = parts::inner(right, 0, height + 1, right.width, right.height);
    parts::text(frame, parts::inner(right, 0, 0, right.width, height), lines);
    disks(frame, below, wizard, status, view);
}

/// Memory, and the addresses that make this machine the one that works.
fn machine(status: &Status, width: usize) -> Vec<Line<'static>> {
    let mut words = Vec::new();
    if let Some(memory) = status.memory {
        words.push(text::memory_free(memory.available, memory.total));
    }
    if !status.held.is_empty() {
        let held: Vec<String> = status
            .held
            .iter()
            .map(|held| format!("{} ({})", held.name, held.address))
            .collect();
        words.push(format!("{} {}", text::HOLDS, held.join(", ")));
    }
    if words.is_empty() {
        return Vec::new();
    }
    wrapped(&words.join("; "), width)
}

fn wrapped(text: &str, width: usize) -> Vec<Line<'static>> {
    parts::wrap(text, width, 2)
        .into_iter()
        .map(Line::raw)
        .collect()
}

/// What is not right first, in full sentences; what is, only named.
fn health(status: &Status, width: usize, most: usize, view: &View) -> Vec<Line<'static>> {
    let look = view.look;
    let passed: Vec<&str> = status
        .checks
        .iter()
        .filter(|check| check.result == Verdict::Pass)
        .map(|check| check.name.as_str())
        .collect();
    let mut lines = Vec::new();
    for (verdict, word, style) in [
        (Verdict::Fail, "FAIL", look.bad()),
        (Verdict::Warn, "warn", look.warn()),
    ] {
        for check in status.checks.iter().filter(|check| check.result == verdict) {
            let said = format!("{}: {}", check.name, check.detail).replace('\n', "; ");
            for (index, part) in parts::wrap(&said, width - 5, 0).into_iter().enumerate() {
                let mark = if index == 0 { word } else { "" };
                lines.push(Line::from(vec![
                    Span::styled(parts::pad(mark, 5), style),
                    Span::raw(part),
                ]));
            }
        }
    }
    if lines.len() > most {
        let hidden = lines.len() - most + 1;
        lines.truncate(most - 1);
        lines.push(Line::styled(text::more_of_status(hidden), look.bad()));
    }
    if lines.len() < most && !passed.is_empty() {
        let names = parts::wrap(&passed.join(", "), width - 5, 0);
        let room = most - lines.len();
        let hidden = names.len() > room;
        for (index, mut part) in names.into_iter().take(room).enumerate() {
            if hidden && index + 1 == room {
                part = parts::cut(&format!("{part} ..."), width - 5);
            }
            let mark = if index == 0 { "ok" } else { "" };
            lines.push(Line::from(vec![
                Span::styled(parts::pad(mark, 5), look.good()),
                Span::raw(part),
            ]));
        }
    }
    let title = format!(
        "{}: {} of {}",
        text::CHECKS,
        passed.len(),
        status.checks.len()
    );
    lines.insert(0, parts::title(&title, look));
    lines
}

/// The last of them.
fn events(status: &Status, width: usize, most: usize, view: &View) -> Vec<Line<'static>> {
    if status.events.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![parts::title(text::LAST_EVENTS, view.look)];
    let first = status.events.len().saturating_sub(most);
    lines.extend(
        status.events[first..]
            .iter()
            .map(|event| Line::raw(parts::cut(&event.text(), width))),
    );
    lines
}

fn networks(status: &Status, width: usize, view: &View) -> Vec<Line<'static>> {
    let mut lines = vec![parts::title(text::NETWORKS, view.look)];
    for network in &status.networks {
        let name = format!(
            "{} {} ",
            parts::column(&network.name, 10),
            parts::column(&network.state.to_lowercase(), 7)
        );
        // An address stands whole, in a line of its own where there are several.
        let indent = " ".repeat(name.chars().count());
        let mut before = name;
        for address in &network.addresses {
            let start = std::mem::replace(&mut before, indent.clone());
            lines.push(Line::raw(parts::cut(&format!("{start}{address}"), width)));
        }
        if network.addresses.is_empty() {
            lines.push(Line::raw(before));
        }
    }
    lines
}

/// What matters most first: on 24 rows the end is cut, and an array that is not whole stands among the checks too.
fn storage(status: &Status, width: usize, view: &View) -> Vec<Line<'static>> {
    let mut lines = vec![parts::title(text::STORAGE, view.look)];
    let copy = status
        .service
        .as_ref()
        .and_then(|report| report.replication.as_ref());
    if let Some(copy) = copy {
        let style = if copy.good {
            ratatui::style::Style::new()
        } else {
            view.look.bad()
        };
        let said = format!("{} {}", text::COPY, copy.text());
        lines.extend(
            wrapped(&said, width)
                .into_iter()
                .map(|line| line.style(style)),
        );
    }
    for pool in &status.pools {
        let style = if pool.health == "ONLINE" {
            ratatui::style::Style::new()
        } else {
            view.look.bad()
        };
        lines.push(Line::styled(
            parts::cut(
                &format!(
                    "{} {} {} of {}",
                    pool.name,
                    pool.health,
                    decimal(pool.allocated),
                    decimal(pool.size)
                ),
                width,
            ),
            style,
        ));
        for device in pool.faults() {
            let said = format!("  {}", device.text());
            lines.push(Line::styled(parts::cut(&said, width), view.look.bad()));
        }
    }
    for array in &status.arrays {
        let style = if array.missing > 0 {
            view.look.warn()
        } else {
            ratatui::style::Style::new()
        };
        let said = format!(
            "{} {} {} of {} members, {}",
            array.name,
            array.level,
            array.members.saturating_sub(array.missing),
            array.members,
            array.action_text()
        );
        lines.extend(
            wrapped(&said, width)
                .into_iter()
                .map(|line| line.style(style)),
        );
    }
    lines
}

/// A small map: one sign for each bay, so that a bay without a disk is seen. `!` is a disk that was there when this program began
/// and is not listed any more, one that says it is ill, and one that does not work in its pool.
fn bays(wizard: &Wizard, status: &Status, view: &View) -> Vec<Line<'static>> {
    let inventory = &wizard.facts.inventory;
    let here = |disk: &firmware::inventory::Disk| {
        let serial = disk.serial.as_deref().map(str::trim);
        status
            .disks
            .iter()
            .any(|other| other.serial.as_deref().map(str::trim) == serial)
    };
    let works = |disk: &firmware::inventory::Disk| {
        let mut faults = status.pools.iter().flat_map(|pool| pool.faults());
        !faults.any(|device| {
            let mut names = disk.paths.iter().map(|path| &path.kernel_name);
            names.any(|name| device.disks.contains(name))
        })
    };
    let mut lines = Vec::new();
    for side in chassis::sides(inventory) {
        lines.push(Line::styled(side.name.clone(), view.look.dim()));
        for row in 0..side.rows {
            let signs: Vec<&str> = (0..side.columns)
                .filter_map(|column| side.slot(column, row))
                .map(|slot| {
                    let disk = inventory.disks.iter().find(|disk| {
                        disk.bay
                            .as_ref()
                            .is_some_and(|bay| bay.side == side.name && bay.slot == slot)
                    });
                    match disk {
                        None => ".",
                        Some(disk) if disk.faults.is_empty() && here(disk) && works(disk) => "o",
                        Some(_) => "!",
                    }
                })
                .collect();
            lines.push(Line::raw(signs.join(" ")));
        }
    }
    lines
}

fn disks(frame: &mut Frame<'_>, area: Rect, wizard: &Wizard, status: &Status, view: &View) {
    if area.height < 2 {
        return;
    }
    parts::text(
        frame,
        parts::inner(area, 0, 0, area.width, 1),
        vec![parts::title(
            &format!("{}: {}", text::DISKS, status.disks.len()),
            view.look,
        )],
    );
    let width = area.width as usize;
    let entries = status
        .disks
        .iter()
        .map(|disk| {
            Line::raw(parts::cut(
                &format!(
                    "{} {} {}",
                    parts::column(&disk.name, 7),
                    parts::pad(&decimal(disk.size), 7),
                    disk.serial.as_deref().unwrap_or("-").trim()
                ),
                width.saturating_sub(4),
            ))
        })
        .collect();
    let below = parts::inner(area, 0, 1, area.width, area.height);
    parts::list(frame, below, entries, Some(wizard.cursor()), view);
}
