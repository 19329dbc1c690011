//! The plan: what it destroys, then every step.

use plan::{Plan, size::decimal, step::PlannedDisk};
use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};

use super::{View, WIDE, parts};
use crate::{state::Wizard, text};

pub fn draw(frame: &mut Frame<'_>, area: Rect, wizard: &Wizard, view: &View) {
    let look = view.look;
    let Some(plan) = wizard.plan() else {
        return obstacles(frame, area, wizard, view);
    };
    let mut top = 1;
    let mut head = vec![Line::from(vec![
        Span::raw(if plan.is_repair() {
            text::REPAIR_OF
        } else {
            ""
        }),
        Span::styled(plan.node.clone(), look.strong()),
        Span::raw(format!(
            ", role {}, {} steps, plan {:.16}",
            plan.role,
            plan.steps.len(),
            wizard.proposal.digest
        )),
    ])];
    if !wizard.can_install() && !wizard.progress.running() {
        head.push(Line::styled(
            format!("! {} (Enter)", text::CANNOT_INSTALL),
            look.bad(),
        ));
        top += 1;
    }
    parts::text(frame, parts::inner(area, 0, 0, area.width, top), head);
    let rest = parts::inner(area, 0, top, area.width, area.height);
    if area.width >= WIDE {
        let left = rest.width / 2;
        let right = parts::inner(rest, left + 2, 1, rest.width, rest.height);
        let height = right.height;
        parts::text(
            frame,
            parts::inner(rest, left, 1, 1, height),
            bars(height, view),
        );
        let place = parts::inner(rest, 0, 1, left - 1, height);
        steps(frame, place, plan, wizard, view);
        let lost = lost(plan, view, right.width as usize);
        destroyed(frame, right, lost, view);
    } else {
        // As many lines for what is lost as it needs, half of the screen at most.
        let lost = lost(plan, view, rest.width as usize);
        let height = u16::try_from(lost.len()).unwrap_or(9).min(rest.height / 2);
        let place = parts::inner(rest, 0, 0, rest.width, height);
        destroyed(frame, place, lost, view);
        parts::rule(frame, parts::inner(rest, 0, height, rest.width, 1), look);
        let below = parts::inner(rest, 0, height + 1, rest.width, rest.height);
        steps(frame, below, plan, wizard, view);
    }
}

/// What is lost; what does not fit is counted, never left out silently.
fn destroyed(frame: &mut Frame<'_>, area: Rect, mut lines: Vec<Line<'static>>, view: &View) {
    let height = area.height as usize;
    if lines.len() > height && height > 0 {
        let hidden = lines.len() - height + 1;
        lines.truncate(height - 1);
        lines.push(Line::styled(text::more_lines(hidden), view.look.bad()));
    }
    parts::text(frame, area, lines);
}

fn bars(height: u16, view: &View) -> Vec<Line<'static>> {
    (0..height)
        .map(|_| Line::styled(view.look.bar(), view.look.dim()))
        .collect()
}

fn steps(frame: &mut Frame<'_>, area: Rect, plan: &Plan, wizard: &Wizard, view: &View) {
    let width = area.width as usize;
    let entries = plan
        .steps
        .iter()
        .enumerate()
        .map(|(index, step)| {
            let mark = if step.destroys.is_empty() { " " } else { "!" };
            Line::from(vec![
                Span::styled(mark, view.look.bad()),
                Span::raw(format!(
                    "{:>3}. {}",
                    index + 1,
                    parts::cut(&step.title, width.saturating_sub(11))
                )),
            ])
        })
        .collect();
    parts::list(frame, area, entries, Some(wizard.cursor()), view);
}

/// Disks of the plan: by group, with their numbers, so that they can be compared with the labels on the carriers.
fn lost(plan: &Plan, view: &View, width: usize) -> Vec<Line<'static>> {
    let destroys = plan.destroys();
    let (lost, kept): (Vec<&PlannedDisk>, Vec<&PlannedDisk>) = plan
        .disks
        .iter()
        .partition(|disk| destroys.contains(&disk.id));
    let serials = plan
        .disks
        .iter()
        .filter_map(|disk| disk.serial.as_ref())
        .map(|serial| serial.chars().count())
        .max()
        .unwrap_or(1);
    let row = |disk: &&PlannedDisk| row(disk, serials, width);
    let mut lines = vec![Line::styled(
        format!("{} ({})", text::DESTROYED, lost.len()),
        view.look.bad(),
    )];
    lines.extend(lost.iter().map(row));
    if !kept.is_empty() {
        lines.push(Line::styled(
            format!("{} ({})", text::KEPT, kept.len()),
            view.look.good(),
        ));
        lines.extend(kept.iter().map(row));
    }
    lines
}

/// Serial numbers are never cut: they are what is compared with the label. The model gives way.
pub(super) fn row(disk: &PlannedDisk, serials: usize, width: usize) -> Line<'static> {
    let word = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let model = width.saturating_sub(serials + 28).clamp(8, 28);
    let line = format!(
        "{} {} {} {} {}{}",
        parts::column(&disk.group, 8),
        parts::column(&word(&disk.bay).replace(':', " "), 8),
        parts::pad(&decimal(disk.size), 7),
        parts::column(&word(&disk.model), model),
        parts::pad(&word(&disk.serial), serials),
        if disk.holds.is_empty() {
            String::new()
        } else {
            format!(" holds {}", disk.holds.join("; "))
        }
    );
    Line::raw(parts::cut(line.trim_end(), width))
}

fn obstacles(frame: &mut Frame<'_>, area: Rect, wizard: &Wizard, view: &View) {
    let mut lines = vec![
        Line::styled(text::CANNOT_INSTALL, view.look.bad()),
        Line::raw(""),
    ];
    for obstacle in text::obstacles(wizard) {
        for line in parts::wrap(&obstacle, area.width as usize, 4) {
            lines.push(Line::raw(line));
        }
    }
    parts::text(frame, area, lines);
}
