//! The installed system: which of its disks are there, what could take the place of the others, and what a repair does.

use plan::{size::decimal, step::PlannedDisk};
use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};

use super::{View, parts, review};
use crate::{message::Wait, state::Wizard, text};

pub fn draw(frame: &mut Frame<'_>, area: Rect, wizard: &Wizard, view: &View) {
    let look = view.look;
    let width = area.width as usize;
    let Some(installed) = wizard
        .installed
        .as_ref()
        .filter(|_| !wizard.waits.contains_key(&Wait::Installed))
    else {
        let line = format!(
            "{} {}",
            look.spinner(view.frame),
            text::LOOKING_FOR_INSTALLED
        );
        parts::text(frame, area, vec![Line::raw(line)]);
        return;
    };
    let recorded = wizard.recorded();
    let missing = recorded.iter().filter(|(_, there)| !there).count();
    let head = if installed.node.is_empty() {
        Line::styled(text::NO_INSTALLED, look.bad())
    } else {
        let style = if missing > 0 { look.bad() } else { look.good() };
        Line::from(vec![
            Span::styled(installed.node.clone(), look.strong()),
            Span::raw(format!(", version {}: ", installed.version)),
            Span::styled(text::disks_missing(recorded.len(), missing), style),
        ])
    };
    parts::text(frame, parts::inner(area, 0, 0, area.width, 1), vec![head]);

    let below = below(wizard, width, view);
    // The list keeps a third of the screen; what does not fit below is in the plan, and in the text that Enter shows.
    let most = area.height.saturating_sub(2) * 2 / 3;
    let tall = u16::try_from(below.len()).unwrap_or(most).min(most);
    let list = area.height.saturating_sub(tall + 2);
    let mut top = 1;
    if !recorded.is_empty() {
        let serials = recorded
            .iter()
            .filter_map(|(disk, _)| disk.serial.as_ref())
            .map(|serial| serial.chars().count())
            .max()
            .unwrap_or(1);
        let title = parts::title(text::RECORDED, look);
        parts::text(frame, parts::inner(area, 0, 1, area.width, 1), vec![title]);
        let height = list.min(u16::try_from(recorded.len()).unwrap_or(list));
        let entries = recorded
            .iter()
            .map(|(disk, there)| row(disk, *there, serials, width, view))
            .collect();
        let place = parts::inner(area, 0, 2, area.width, height);
        parts::list(frame, place, entries, Some(wizard.cursor()), view);
        top = 2 + height;
    }
    let rest = parts::inner(area, 0, top, area.width, area.height);
    let mut below = below;
    let room = rest.height as usize;
    if below.len() > room && room > 0 {
        let hidden = below.len() - room + 1;
        below.truncate(room - 1);
        below.push(Line::styled(text::more_with_enter(hidden), look.dim()));
    }
    parts::text(frame, rest, below);
}

/// The line is that of Review: serial numbers are never cut, since they are compared with labels.
fn row(
    disk: &PlannedDisk,
    there: bool,
    serials: usize,
    width: usize,
    view: &View,
) -> Line<'static> {
    let (state, style) = if there {
        (text::THERE, view.look.good())
    } else {
        (text::MISSING, view.look.bad())
    };
    let mut line = review::row(disk, serials, width.saturating_sub(12));
    line.spans
        .insert(0, Span::styled(parts::pad(state, 8), style));
    line
}

/// Disks that could take a place, and what follows.
fn below(wizard: &Wizard, width: usize, view: &View) -> Vec<Line<'static>> {
    let look = view.look;
    let mut lines = Vec::new();
    let strangers = wizard.strangers();
    if wizard
        .installed
        .as_ref()
        .is_some_and(|found| !found.node.is_empty())
    {
        lines.push(Line::raw(""));
        lines.push(parts::title(
            &format!("{}: {}", text::NEW_HERE, strangers.len()),
            look,
        ));
        let model = if width > 100 { 28 } else { 20 };
        for disk in strangers {
            let line = format!(
                "  {} {} {}  {}",
                parts::column(&text::place(disk), 22),
                parts::pad(&decimal(disk.size), 7),
                parts::column(disk.model.as_deref().unwrap_or("-"), model),
                disk.serial.as_deref().unwrap_or("-")
            );
            lines.push(Line::raw(parts::cut(&line, width)));
        }
    }
    lines.push(Line::raw(""));
    lines.push(parts::title(text::WHAT_REPAIR_DOES, look));
    let (said, style) = match wizard.plan().filter(|plan| !plan.steps.is_empty()) {
        Some(plan) => {
            let mut said = vec![text::repair_steps(plan.steps.len(), plan.destroys().len())];
            said.extend(plan.notes.iter().cloned());
            (said, ratatui::style::Style::new())
        }
        None if wizard.proposal.problems.is_empty() => (text::obstacles(wizard), look.good()),
        None => (text::obstacles(wizard), look.bad()),
    };
    for line in said {
        for (index, part) in parts::wrap(&line, width.saturating_sub(2), 0)
            .into_iter()
            .enumerate()
        {
            let mark = if index == 0 { "- " } else { "  " };
            lines.push(Line::styled(format!("{mark}{part}"), style));
        }
    }
    if wizard.facts.shell {
        lines.push(Line::styled(text::RESCUE, look.dim()));
    }
    lines
}
