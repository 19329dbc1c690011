//! The install at work, and what to do after it.

use firmware::Weight;
use ratatui::{
    Frame,
    layout::Rect,
    style::Style,
    text::{Line, Span},
};

use super::{View, WIDE, parts};
use crate::{
    progress::{Stage, Step},
    state::{Task, Wizard},
    text,
};

pub fn draw(frame: &mut Frame<'_>, area: Rect, wizard: &Wizard, view: &View) {
    let look = view.look;
    let progress = &wizard.progress;
    if progress.steps.is_empty() {
        let line = format!("{} {}", look.spinner(view.frame), text::WAITING_FOR_INSTALL);
        parts::text(frame, area, vec![Line::raw(line)]);
        return;
    }
    let (done, all) = progress.count();
    let bar = area.width.saturating_sub(40).min(50) as usize;
    let warnings = match progress.warnings {
        0 => String::new(),
        1 => "  1 warning".to_owned(),
        some => format!("  {some} warnings"),
    };
    let head = Line::from(vec![
        Span::styled(format!("{}  ", progress.node), look.strong()),
        Span::styled(
            parts::gauge(done as u64, all as u64, bar, look),
            look.good(),
        ),
        Span::raw(format!(" {done} of {all}{warnings}")),
    ]);
    parts::text(frame, parts::inner(area, 0, 0, area.width, 1), vec![head]);
    let rest = parts::inner(area, 0, 2, area.width, area.height);
    let failed = failure(wizard, rest.width as usize, view);
    let tall = u16::try_from(failed.len())
        .unwrap_or(0)
        .min(rest.height * 3 / 5);
    if tall > 0 {
        let y = rest.height - tall;
        parts::text(frame, parts::inner(rest, 0, y, rest.width, tall), failed);
    }
    let rest = parts::inner(rest, 0, 0, rest.width, rest.height - tall);
    if area.width >= WIDE {
        let left = rest.width / 2;
        steps(
            frame,
            parts::inner(rest, 0, 0, left, rest.height),
            wizard,
            view,
        );
        log(
            frame,
            parts::inner(rest, left + 2, 0, rest.width, rest.height),
            wizard,
            view,
        );
    } else if wizard.other_view {
        log(frame, rest, wizard, view);
    } else {
        steps(frame, rest, wizard, view);
    }
}

fn failure(wizard: &Wizard, width: usize, view: &View) -> Vec<Line<'static>> {
    let look = view.look;
    let Some((_, message)) = wizard
        .progress
        .outcome
        .as_ref()
        .filter(|_| !wizard.progress.done())
    else {
        return Vec::new();
    };
    let mut lines = vec![Line::styled(look.rule().repeat(width), look.dim())];
    let add = |text: &str, style: Style, lines: &mut Vec<Line<'static>>| {
        for line in parts::wrap(text, width, 2) {
            lines.push(Line::styled(line, style));
        }
    };
    match &wizard.progress.failure {
        Some(failure) => {
            add(
                &format!("{}: {}", text::FAILED, failure.title),
                look.bad(),
                &mut lines,
            );
            add(&failure.error, Style::new(), &mut lines);
            if let Some(hint) = &failure.hint {
                add(&text::hint(hint), look.warn(), &mut lines);
            }
        }
        None => add(message, look.bad(), &mut lines),
    }
    let ways = if wizard.facts.shell {
        text::TRY
    } else {
        text::TRY_CLOSED
    };
    add(ways, look.dim(), &mut lines);
    lines
}

fn steps(frame: &mut Frame<'_>, area: Rect, wizard: &Wizard, view: &View) {
    let width = area.width as usize;
    let entries = wizard
        .progress
        .steps
        .iter()
        .enumerate()
        .map(|(index, step)| line(index, step, width, view))
        .collect();
    parts::list(frame, area, entries, Some(wizard.cursor()), view);
}

fn line(index: usize, step: &Step, width: usize, view: &View) -> Line<'static> {
    let look = view.look;
    let (mark, style, after) = match &step.stage {
        Stage::Waiting => (" ".to_owned(), look.dim(), String::new()),
        Stage::Running { done, unit, .. } => {
            let after = match done {
                Some((done, total)) => {
                    let percent = u128::from(*done) * 100 / u128::from((*total).max(1));
                    let rate = match (step.stage.rate(), unit.as_str()) {
                        (Some((rate, left)), "bytes") => {
                            format!(" {}/s {}", plan::size::decimal(rate), text::duration(left))
                        }
                        (Some((_, left)), _) => format!(" {}", text::duration(left)),
                        (None, _) => String::new(),
                    };
                    format!(
                        "{} {percent:>3} %{rate}",
                        parts::gauge(*done, *total, 10, look)
                    )
                }
                None => String::new(),
            };
            (look.spinner(view.frame).to_owned(), look.strong(), after)
        }
        Stage::Finished(milliseconds) => (
            look.done().to_owned(),
            look.good(),
            format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100),
        ),
        Stage::Skipped => (look.done().to_owned(), look.dim(), "done before".to_owned()),
        Stage::Failed => ("!".to_owned(), look.bad(), text::FAILED.to_owned()),
    };
    let room = width.saturating_sub(after.chars().count() + 14);
    Line::from(vec![
        Span::styled(format!("[{mark}]"), style),
        Span::raw(format!(
            "{:>3}. {} ",
            index + 1,
            parts::column(&step.title, room)
        )),
        Span::styled(after, style),
    ])
}

fn log(frame: &mut Frame<'_>, area: Rect, wizard: &Wizard, view: &View) {
    let width = area.width as usize;
    let lines: Vec<String> = wizard
        .progress
        .log
        .iter()
        .rev()
        .take(area.height as usize)
        .flat_map(|line| {
            let mut lines = parts::wrap(line, width, 10);
            lines.reverse();
            lines
        })
        .take(area.height as usize)
        .collect();
    let lines = lines
        .into_iter()
        .rev()
        .map(|line| Line::styled(line, view.look.dim()))
        .collect();
    parts::text(frame, area, lines);
}

pub fn done(frame: &mut Frame<'_>, area: Rect, wizard: &Wizard, view: &View) {
    let look = view.look;
    let width = area.width as usize;
    let outcome = match wizard.task {
        Task::Decommission => text::DECOMMISSIONED,
        Task::Repair => text::REPAIRED,
        Task::Install => text::INSTALLED,
    };
    let mut lines = vec![
        Line::raw(""),
        Line::from(vec![
            Span::styled(
                format!("{} {} ", look.done(), wizard.progress.node),
                look.good(),
            ),
            Span::styled(outcome, look.good()),
        ]),
        Line::raw(""),
        parts::title(text::NOW, look),
    ];
    let steps: &[&str] = match wizard.task {
        Task::Decommission => &[text::NOW_STICK, text::NOW_POWER],
        Task::Repair => &[text::NOW_STICK, text::NOW_RESTART],
        Task::Install => &[text::NOW_STICK, text::NOW_CABLES, text::NOW_RESTART],
    };
    for (index, step) in steps.iter().enumerate() {
        for line in parts::wrap(&format!("{}. {step}", index + 1), width, 3) {
            lines.push(Line::raw(line));
        }
    }
    let orders: Vec<String> = wizard
        .proposal
        .findings
        .iter()
        .filter(|finding| finding.weight >= Weight::Warn)
        .filter_map(|finding| finding.advice.clone())
        .filter(|advice| {
            let advice = advice.to_lowercase();
            ["bios", "firmware", "setup", "boot"]
                .iter()
                .any(|word| advice.contains(word))
        })
        .collect();
    if !orders.is_empty() {
        lines.push(Line::raw(""));
        lines.push(parts::title(text::WORK_ORDER, look));
        for order in orders {
            for line in parts::wrap(&format!("- {order}"), width, 2) {
                lines.push(Line::raw(line));
            }
        }
    }
    parts::text(frame, area, lines);
}
