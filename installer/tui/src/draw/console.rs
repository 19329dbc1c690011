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
    parts::text(frame, parts::inner(area, 0, 0, area.width, 1), vec![head]);
    let wide = area.width >= WIDE;
    let column = area.width / 2;
    let narrow = column as usize - 2;
    let left = parts::inner(area, 0, 2, column - 1, area.height);
    let right = parts::inner(area, column, 2, area.width, area.height);
    let mut lines = health(status, narrow, view);
    lines.push(Line::raw(""));
    lines.extend(networks(status, narrow, view));
    parts::text(frame, left, lines);
    let mut lines = storage(status, narrow, view);
    if wide {
        lines.push(Line::raw(""));
        lines.extend(bays(wizard, view));
    }
    let height = u16::try_from(lines.len()).unwrap_or(6).min(right.height);
    let below = parts::inner(right, 0, height + 1, right.width, right.height);
    parts::text(frame, parts::inner(right, 0, 0, right.width, height), lines);
    disks(frame, below, wizard, status, view);
}

/// What is not right first; what is, only counted and named as far as there is room.
fn health(status: &Status, width: usize, view: &View) -> Vec<Line<'static>> {
    let look = view.look;
    let passed = status
        .checks
        .iter()
        .filter(|check| check.result == Verdict::Pass)
        .count();
    let mut lines = vec![parts::title(
        &format!("{}: {passed} of {}", text::CHECKS, status.checks.len()),
        look,
    )];
    let mut checks: Vec<_> = status.checks.iter().collect();
    checks.sort_by_key(|check| match check.result {
        Verdict::Fail => 0,
        Verdict::Warn => 1,
        Verdict::Pass => 2,
    });
    for check in checks.into_iter().take(9) {
        let (word, style) = match check.result {
            Verdict::Fail => ("FAIL", look.bad()),
            Verdict::Warn => ("warn", look.warn()),
            Verdict::Pass => ("ok", look.good()),
        };
        let said = match check.result {
            Verdict::Pass => check.name.clone(),
            _ => format!("{}: {}", check.name, check.detail),
        };
        let said = said.lines().next().unwrap_or_default().to_owned();
        lines.push(Line::from(vec![
            Span::styled(parts::pad(word, 5), style),
            Span::raw(parts::cut(&said, width.saturating_sub(5))),
        ]));
    }
    lines
}

fn networks(status: &Status, width: usize, view: &View) -> Vec<Line<'static>> {
    let mut lines = vec![parts::title(text::NETWORKS, view.look)];
    for network in &status.networks {
        lines.push(Line::raw(parts::cut(
            &format!(
                "{} {} {}",
                parts::column(&network.name, 10),
                parts::column(&network.state.to_lowercase(), 7),
                network.addresses.join(" ")
            ),
            width,
        )));
    }
    lines
}

fn storage(status: &Status, width: usize, view: &View) -> Vec<Line<'static>> {
    let mut lines = vec![parts::title(text::STORAGE, view.look)];
    for array in &status.arrays {
        let style = if array.missing > 0 {
            view.look.warn()
        } else {
            ratatui::style::Style::new()
        };
        lines.push(Line::styled(
            parts::cut(
                &format!(
                    "{} {} {} of {} members, {}",
                    array.name,
                    array.level,
                    array.members.saturating_sub(array.missing),
                    array.members,
                    array.action_text()
                ),
                width,
            ),
            style,
        ));
    }
    for pool in &status.pools {
        lines.push(Line::raw(parts::cut(
            &format!(
                "{} {} {} of {}",
                pool.name,
                pool.health,
                decimal(pool.allocated),
                decimal(pool.size)
            ),
            width,
        )));
    }
    lines
}

/// A small map: one sign for each bay, so that a bay without a disk is seen.
fn bays(wizard: &Wizard, view: &View) -> Vec<Line<'static>> {
    let inventory = &wizard.facts.inventory;
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
                        Some(disk) if disk.faults.is_empty() => "o",
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
                    parts::column(&disk.name, 8),
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
