//! Findings, worst first, with the marked one in full.

use firmware::{Finding, Weight};
use ratatui::{
    Frame,
    layout::Rect,
    style::Style,
    text::{Line, Span},
};

use super::{View, WIDE, parts};
use crate::{look::Look, state::Wizard, text};

/// Lines of the detail below the list.
const DETAIL: u16 = 6;

pub fn draw(frame: &mut Frame<'_>, area: Rect, wizard: &Wizard, view: &View) {
    let look = view.look;
    let findings = wizard.findings();
    let wide = area.width >= WIDE;
    let count = |wanted: &str| {
        findings
            .iter()
            .filter(|finding| text::weight(finding) == wanted)
            .count()
    };
    let summary = Line::from(vec![
        Span::styled(format!("{} FAIL", count("FAIL")), bad(count("FAIL"), look)),
        Span::raw(format!(
            "   {} warn   {} waived   {} info   {} ok   of {} checks",
            count("warn"),
            count("waived"),
            count("info"),
            count("ok"),
            findings.len()
        )),
    ]);
    parts::text(
        frame,
        parts::inner(area, 0, 0, area.width, 1),
        vec![summary],
    );
    if findings.is_empty() {
        let line = Line::raw(text::NO_FINDINGS);
        parts::text(frame, parts::inner(area, 0, 2, area.width, 1), vec![line]);
        return;
    }
    let (listed, detail) = if wide {
        let left = area.width * 11 / 20;
        (
            parts::inner(area, 0, 2, left, area.height - 2),
            parts::inner(area, left + 2, 2, area.width - left - 2, area.height - 2),
        )
    } else {
        let height = area.height.saturating_sub(DETAIL + 3);
        parts::rule(
            frame,
            parts::inner(area, 0, height + 2, area.width, 1),
            look,
        );
        (
            parts::inner(area, 0, 1, area.width, height + 1),
            parts::inner(area, 0, height + 3, area.width, DETAIL),
        )
    };
    let width = listed.width as usize - 4;
    let longest = findings
        .iter()
        .map(|finding| finding.part.chars().count())
        .max()
        .unwrap_or(0);
    let entries = findings
        .iter()
        .map(|finding| {
            // As much as the longest name needs, and half at most: what was found stands in the detail, too.
            let part = longest.min(width.saturating_sub(8) / 2);
            Line::from(vec![
                Span::styled(parts::pad(text::weight(finding), 7), style(finding, look)),
                Span::raw(format!(
                    "{} {}",
                    parts::column(&finding.part, part),
                    parts::cut(&finding.found, width.saturating_sub(part + 8))
                )),
            ])
        })
        .collect();
    parts::list(frame, listed, entries, Some(wizard.cursor()), view);
    if let Some(finding) = findings.get(wizard.cursor()) {
        let head = format!("{} [{}]", finding.part, finding.id);
        let mut lines: Vec<Line<'_>> = parts::wrap(&head, detail.width as usize, 2)
            .into_iter()
            .map(|line| Line::styled(line, look.strong()))
            .collect();
        for line in text::finding(finding).iter().skip(2) {
            for line in parts::wrap(line, detail.width as usize, 4) {
                lines.push(Line::raw(line));
            }
        }
        parts::text(frame, detail, lines);
    }
}

fn bad(count: usize, look: Look) -> Style {
    if count > 0 { look.bad() } else { Style::new() }
}

/// The style of a finding's weight.
pub fn style(finding: &Finding, look: Look) -> Style {
    match (finding.weight, finding.waived.is_some()) {
        (Weight::Fail | Weight::Warn, true) | (Weight::Info, _) => look.dim(),
        (Weight::Fail, false) => look.bad(),
        (Weight::Warn, false) => look.warn(),
        (Weight::Pass, _) => look.good(),
    }
}
