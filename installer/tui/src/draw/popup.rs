//! What lies over a screen.

use qrcode::{EcLevel, QrCode};
use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};
use tui_input::Input;

use super::{View, parts};
use crate::{
    fields::{self, FieldId},
    keymap,
    state::{MenuItem, Popup, Wizard},
    text,
};

pub fn draw(frame: &mut Frame<'_>, area: Rect, wizard: &Wizard, popup: &Popup, view: &View) {
    match popup {
        Popup::Help { scroll } => help(frame, area, wizard, *scroll, view),
        Popup::Text {
            title,
            lines,
            scroll,
        } => read(frame, area, title, lines, *scroll, view),
        Popup::Menu {
            title,
            items,
            selected,
        } => menu(frame, area, title, items, *selected, view),
        Popup::Edit {
            field,
            input,
            error,
        } => edit(frame, area, wizard, field, input, error.as_deref(), view),
        Popup::Confirm {
            word, input, error, ..
        } => confirm(frame, area, wizard, word, input, error.as_deref(), view),
        Popup::Code { text } => code(frame, area, text, view),
    }
}

/// A window in the middle.
fn middle(area: Rect, width: u16, height: u16) -> Rect {
    let width = width.min(area.width);
    let height = height.min(area.height);
    parts::inner(
        area,
        (area.width - width) / 2,
        (area.height - height) / 2,
        width,
        height,
    )
}

fn help(frame: &mut Frame<'_>, area: Rect, wizard: &Wizard, scroll: usize, view: &View) {
    let place = middle(area, 76, area.height);
    let inside = parts::boxed(
        frame,
        place,
        &format!("{}: {}", text::HELP, text::step(wizard.screen)),
        view.look,
    );
    let mut lines: Vec<Line<'_>> =
        parts::wrap(text::about(wizard.screen), inside.width as usize - 2, 0)
            .into_iter()
            .map(Line::raw)
            .collect();
    lines.push(Line::raw(""));
    let mut before = "";
    for binding in keymap::bindings(wizard.screen) {
        if binding.label == before {
            continue;
        }
        before = binding.label;
        let mut keys: Vec<String> = binding.keys.iter().map(|key| key.name()).collect();
        if binding.label == text::KEY_STEP {
            keys = vec!["1 .. 7".to_owned()];
        }
        lines.push(Line::from(vec![
            Span::styled(parts::pad(&keys.join(", "), 16), view.look.key()),
            Span::raw(binding.label),
        ]));
    }
    let total = lines.len();
    let first = scroll.min(total.saturating_sub(inside.height as usize));
    parts::text(
        frame,
        parts::inner(inside, 1, 0, inside.width - 2, inside.height),
        lines.into_iter().skip(first).collect(),
    );
    parts::more(frame, inside, first, total, view.look);
}

fn read(
    frame: &mut Frame<'_>,
    area: Rect,
    title: &str,
    lines: &[String],
    scroll: usize,
    view: &View,
) {
    let width = area.width.min(100);
    let room = width.saturating_sub(4) as usize;
    let wrapped: Vec<String> = lines
        .iter()
        .flat_map(|line| {
            if line.is_empty() {
                vec![String::new()]
            } else if line.chars().count() <= room {
                vec![line.clone()]
            } else {
                parts::wrap(line, room, 4)
            }
        })
        .collect();
    let height = u16::try_from(wrapped.len() + 2)
        .unwrap_or(u16::MAX)
        .min(area.height);
    let place = middle(area, width, height.max(4));
    let inside = parts::boxed(frame, place, title, view.look);
    let total = wrapped.len();
    let first = scroll.min(total.saturating_sub(inside.height as usize));
    parts::text(
        frame,
        parts::inner(inside, 1, 0, inside.width.saturating_sub(2), inside.height),
        wrapped.into_iter().skip(first).map(Line::raw).collect(),
    );
    parts::more(frame, inside, first, total, view.look);
}

fn menu(
    frame: &mut Frame<'_>,
    area: Rect,
    title: &str,
    items: &[MenuItem],
    selected: usize,
    view: &View,
) {
    let look = view.look;
    let label = items
        .iter()
        .map(|item| item.label.chars().count())
        .max()
        .unwrap_or(0)
        .min(30);
    let detail = items
        .iter()
        .map(|item| item.detail.chars().count())
        .max()
        .unwrap_or(0);
    let width = (label + detail + 9).max(title.chars().count() + 6).max(30);
    let width = u16::try_from(width).unwrap_or(u16::MAX).min(area.width);
    let height = u16::try_from(items.len() + 2).unwrap_or(u16::MAX);
    let inside = parts::boxed(frame, middle(area, width, height), title, look);
    let room = (inside.width as usize).saturating_sub(label + 6);
    let entries = items
        .iter()
        .map(|item| {
            let style = if item.choice.is_some() {
                look.strong()
            } else {
                look.dim()
            };
            Line::from(vec![
                Span::styled(parts::column(&item.label, label), style),
                Span::styled(
                    format!("  {}", parts::cut(&item.detail, room)),
                    if item.choice.is_some() {
                        ratatui::style::Style::new()
                    } else {
                        look.dim()
                    },
                ),
            ])
        })
        .collect();
    parts::list(frame, inside, entries, Some(selected), view);
}

/// The part of what is typed that fits, with the cursor in it.
fn typed(frame: &mut Frame<'_>, area: Rect, input: &Input, view: &View) {
    let width = area.width.saturating_sub(1) as usize;
    let scroll = input.visual_scroll(width);
    let shown: String = input.value().chars().skip(scroll).take(width).collect();
    parts::text(
        frame,
        area,
        vec![Line::styled(
            parts::pad(&shown, area.width as usize),
            view.look.marked(),
        )],
    );
    let column = u16::try_from(input.visual_cursor().saturating_sub(scroll)).unwrap_or(0);
    frame.set_cursor_position((area.x + column.min(area.width.saturating_sub(1)), area.y));
}

fn edit(
    frame: &mut Frame<'_>,
    area: Rect,
    wizard: &Wizard,
    id: &FieldId,
    input: &Input,
    error: Option<&str>,
    view: &View,
) {
    let fields = fields::fields(wizard, wizard.screen);
    let title = match (fields.iter().find(|field| field.id == *id), id) {
        (Some(field), _) => format!("{} {}", field.group, field.label),
        (None, FieldId::Waiver(finding)) => format!("waive {finding}: why it is accepted"),
        (None, _) => text::CHOOSE.to_owned(),
    };
    let place = middle(area, 72, 6);
    let inside = parts::boxed(frame, place, &title, view.look);
    let row = |y: u16, height: u16| parts::inner(inside, 1, y, inside.width - 2, height);
    typed(frame, row(1, 1), input, view);
    if let Some(error) = error {
        let lines = parts::wrap(&format!("! {error}"), inside.width as usize - 2, 2);
        let lines = lines
            .into_iter()
            .map(|line| Line::styled(line, view.look.bad()))
            .collect();
        parts::text(frame, row(2, 2), lines);
    }
}

fn confirm(
    frame: &mut Frame<'_>,
    area: Rect,
    wizard: &Wizard,
    word: &str,
    input: &Input,
    error: Option<&str>,
    view: &View,
) {
    let look = view.look;
    let count = wizard.plan().map_or(0, |plan| plan.destroys().len());
    let place = middle(area, 72, 9);
    let inside = parts::boxed(frame, place, text::TYPE_NAME, look);
    let row = |y: u16, height: u16| parts::inner(inside, 1, y, inside.width - 2, height);
    parts::text(
        frame,
        row(0, 4),
        vec![
            Line::styled(text::destroys(count, word), look.bad()),
            Line::raw(text::NOTHING_UNDONE),
            Line::raw(format!("plan {:.32}", wizard.proposal.digest)),
        ],
    );
    typed(frame, row(4, 1), input, view);
    if let Some(error) = error {
        parts::text(
            frame,
            row(5, 2),
            parts::wrap(&format!("! {error}"), inside.width as usize - 2, 2)
                .into_iter()
                .map(|line| Line::styled(line, look.bad()))
                .collect(),
        );
    }
}

/// The largest picture that fits: two rows of it in one line with half blocks, else two columns for each square.
fn code(frame: &mut Frame<'_>, area: Rect, said: &str, view: &View) {
    let room = |quiet: usize| {
        let (width, height) = (area.width as usize, area.height as usize);
        if view.look.unicode {
            width.min(height * 2).saturating_sub(quiet)
        } else {
            (width / 2).min(height).saturating_sub(quiet)
        }
    };
    let mut length = said.chars().count();
    let picture = loop {
        let part: String = said.chars().take(length).collect();
        match QrCode::with_error_correction_level(part.as_bytes(), EcLevel::L) {
            Ok(code) if code.width() <= room(4) => break Some(code),
            // Version and plan stand first: a picture of less than them is of no use.
            _ if length < 40 => break None,
            _ => length -= 8,
        }
    };
    let Some(picture) = picture else {
        let lines = [text::CODE_TOO_LARGE.to_owned(), said.to_owned()];
        return read(frame, area, text::AS_CODE, &lines, 0, view);
    };
    let size = picture.width();
    let dark = |x: usize, y: usize| {
        // Two squares of quiet zone on each side.
        let inside = (2..size + 2).contains(&x) && (2..size + 2).contains(&y);
        inside && picture[(x - 2, y - 2)] == qrcode::Color::Dark
    };
    let lines: Vec<Line<'_>> = if view.look.unicode {
        (0..(size + 4).div_ceil(2))
            .map(|row| {
                let signs: String = (0..size + 4)
                    .map(|x| match (dark(x, row * 2), dark(x, row * 2 + 1)) {
                        (true, true) => ' ',
                        (false, true) => '▀',
                        (true, false) => '▄',
                        (false, false) => '█',
                    })
                    .collect();
                Line::raw(signs)
            })
            .collect()
    } else {
        (0..size + 4)
            .map(|y| {
                let spans: Vec<Span<'_>> = (0..size + 4)
                    .map(|x| {
                        let style = if dark(x, y) {
                            ratatui::style::Style::new()
                        } else {
                            view.look.marked()
                        };
                        Span::styled("  ", style)
                    })
                    .collect();
                Line::from(spans)
            })
            .collect()
    };
    frame.render_widget(ratatui::widgets::Clear, area);
    let width = u16::try_from(if view.look.unicode {
        size + 4
    } else {
        2 * size + 8
    })
    .unwrap_or(0);
    let height = u16::try_from(lines.len()).unwrap_or(0);
    parts::text(frame, middle(area, width, height), lines);
}
