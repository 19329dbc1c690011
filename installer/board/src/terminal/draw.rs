//! How the board looks, from 80 by 24 on. Reads the state and nothing else.

use depot::view::{Machine, Phase};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::Style,
    text::{Line, Span},
    widgets::{Block, Clear, Paragraph, Wrap},
};
use tui::look::Look;

use super::keys::HELP;
use super::state::{Ask, State};
use crate::{elevation, page, words};

/// Lines for the selected machine.
const DETAILS: u16 = 7;
/// Columns of a bar.
const BAR: usize = 10;

/// Draws it.
pub fn draw(frame: &mut Frame, state: &State, look: Look) {
    let strangers = u16::try_from(state.rack.strangers.len().min(3)).unwrap_or(3);
    let [head, list, waiting, details, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(3),
        Constraint::Length(strangers),
        Constraint::Length(DETAILS),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let title = format!(
        " {}  {} ",
        if state.rack.cluster.is_empty() {
            "rackwright"
        } else {
            &state.rack.cluster
        },
        page::summary(&state.rack)
    );
    frame.render_widget(Paragraph::new(title).style(look.head()), head);
    machines(frame, list, state, look);
    for (row, stranger) in waiting.rows().zip(&state.rack.strangers) {
        let guess = stranger.guess.as_deref().unwrap_or("?");
        let text = format!(
            " waits: {}  board {}  may be {guess}",
            stranger.fingerprint,
            stranger.board.as_deref().unwrap_or("unknown")
        );
        frame.render_widget(Paragraph::new(text).style(look.warn()), row);
    }
    about(frame, details, state, look);
    let foot_text = state.told.as_deref().unwrap_or(HELP);
    frame.render_widget(
        Paragraph::new(format!(" {foot_text}")).style(look.dim()),
        foot,
    );
    if let Some((ask, typed)) = &state.ask {
        question(frame, ask, typed, look);
    }
}

fn machines(frame: &mut Frame, area: Rect, state: &State, look: Look) {
    let mut lines = Vec::new();
    let mut at = 0;
    for column in elevation::columns(&state.rack) {
        let name = if column.name.is_empty() {
            "not in a rack"
        } else {
            column.name
        };
        lines.push(Line::styled(format!(" {name}"), look.title()));
        for (_, machine) in column.machines {
            let selected = state.selected.as_ref() == Some(&machine.node);
            if selected {
                at = lines.len();
            }
            lines.push(row(machine, selected, area.width, look));
        }
    }
    // The selected line stays in sight.
    let height = usize::from(area.height);
    let from = (at + 1).saturating_sub(height);
    let shown: Vec<Line> = lines.into_iter().skip(from).take(height).collect();
    frame.render_widget(Paragraph::new(shown), area);
}

fn colour(phase: Phase, look: Look) -> Style {
    match phase {
        Phase::Healthy => look.good(),
        Phase::Failed => look.bad(),
        Phase::Armed | Phase::Installing | Phase::Installed => look.warn(),
        Phase::New | Phase::Unknown => look.dim(),
    }
}

fn row(machine: &Machine, selected: bool, width: u16, look: Look) -> Line<'static> {
    let unit = machine
        .place
        .as_ref()
        .map_or_else(String::new, |place| format!("u{}", place.unit));
    let bar = machine.step.as_ref().map_or_else(String::new, |step| {
        let done = usize::from(step.percent) * BAR / 100;
        let (full, empty) = look.gauge();
        format!(
            "{}{} {:>3} % ",
            full.repeat(done),
            empty.repeat(BAR - done),
            step.percent
        )
    });
    let marker = if selected { look.marker() } else { " " };
    let begin = format!(
        "{marker} {unit:>4} {:<14} {:<10} ",
        machine.node, machine.role
    );
    let state = format!(
        "{} {:<10} ",
        words::letter(machine.phase),
        words::phase(machine.phase)
    );
    let used = begin.chars().count() + state.chars().count() + bar.chars().count();
    let room = usize::from(width).saturating_sub(used);
    let line: String = machine
        .line
        .as_deref()
        .unwrap_or_default()
        .chars()
        .take(room)
        .collect();
    let base = if selected {
        look.marked()
    } else {
        Style::default()
    };
    Line::from(vec![
        Span::styled(begin, base),
        Span::styled(state, colour(machine.phase, look)),
        Span::raw(bar),
        Span::raw(line),
    ])
}

fn about(frame: &mut Frame, area: Rect, state: &State, look: Look) {
    let Some(machine) = state.machine() else {
        return;
    };
    let now = state.rack.now;
    let mut lines = vec![format!(
        "board {}, heard {}",
        machine.board.as_deref().unwrap_or("unknown"),
        machine.heard.map_or_else(
            || "never".to_owned(),
            |heard| format!("{} ago", words::ago(now, heard))
        )
    )];
    if let Some(step) = &machine.step {
        lines.push(format!(
            "step {} of {}: {}",
            step.number, step.of, step.title
        ));
    }
    if let Some(permit) = &machine.permit {
        let spent = match permit.spent {
            Some(spent) => format!("spent {} ago", words::ago(now, spent)),
            None if permit.expires <= now => "its time is over".to_owned(),
            None => format!("ends in {}", words::ago(permit.expires, now)),
        };
        let keep = if permit.keep_data { ", keeps data" } else { "" };
        lines.push(format!("permit {}: {spent}{keep}", permit.id));
    }
    lines.extend(machine.line.clone());
    lines.extend(
        machine
            .warnings
            .iter()
            .rev()
            .take(2)
            .map(|warning| format!("warning: {warning}")),
    );
    if let Some(report) = machine.reports.first() {
        lines.push(format!(
            "rackwright depot --report {}/{}",
            machine.node, report.name
        ));
    }
    let block = Block::bordered()
        .border_set(look.border())
        .title(format!(" {} ", machine.node));
    let text: Vec<Line> = lines.into_iter().map(Line::from).collect();
    frame.render_widget(Paragraph::new(text).block(block), area);
}

fn question(frame: &mut Frame, ask: &Ask, typed: &str, look: Look) {
    let text = match ask {
        Ask::Arm(node) => format!(
            "{node} may be installed once within an hour: its disks are written.\n\nType its name: {typed}_"
        ),
        Ask::Approve(fingerprint) => format!(
            "A machine shows {fingerprint}.\nCompare it with the machine's own screen.\n\nType the machine's name: {typed}_"
        ),
    };
    let area = frame.area();
    let width = area.width.saturating_sub(8).min(70);
    let height = 8.min(area.height);
    let popup = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    frame.render_widget(Clear, popup);
    let block = Block::bordered()
        .border_set(look.border())
        .title(" Enter: yes   Esc: no ");
    frame.render_widget(
        Paragraph::new(text).wrap(Wrap { trim: false }).block(block),
        popup,
    );
}
