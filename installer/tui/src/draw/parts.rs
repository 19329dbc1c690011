//! What several screens are made of.

use ratatui::{
    Frame,
    layout::Rect,
    style::Style,
    text::{Line, Span},
    widgets::{Block, Borders, Clear, Paragraph},
};

use super::View;
use crate::look::Look;

/// At most `width` characters; what is cut off is shown as `..`.
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(2)).collect();
    format!("{}..", kept.trim_end())
        .chars()
        .take(width)
        .collect()
}

/// Filled up with blanks.
pub fn pad(text: &str, width: usize) -> String {
    format!("{text:width$}")
}

/// A column: cut, then filled up.
pub fn column(text: &str, width: usize) -> String {
    pad(&cut(text, width), width)
}

/// Lines of at most `width` characters; all but the first begin with `indent` blanks.
pub fn wrap(text: &str, width: usize, indent: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for part in text.lines() {
        let lead = (part.len() - part.trim_start().len()).min(width / 2);
        let hang = (lead + indent).min(width / 2);
        let mut line = " ".repeat(lead);
        let mut empty = true;
        // Runs of blanks are the columns of a table.
        for word in part.trim().split(' ') {
            if word.is_empty() {
                if !empty && line.chars().count() < width {
                    line.push(' ');
                }
                continue;
            }
            let mut word = word.to_owned();
            if !empty && line.chars().count() + 1 + word.chars().count() > width {
                let full = std::mem::replace(&mut line, " ".repeat(hang));
                lines.push(full.trim_end().to_owned());
                empty = true;
            }
            if !empty {
                line.push(' ');
            }
            // A word longer than a line is broken: a path, a key.
            while line.chars().count() + word.chars().count() > width {
                let room = width.saturating_sub(line.chars().count()).max(1);
                let rest: String = word.chars().skip(room).collect();
                line.extend(word.chars().take(room));
                lines.push(std::mem::replace(&mut line, " ".repeat(hang)));
                word = rest;
            }
            line.push_str(&word);
            empty = false;
        }
        lines.push(line);
    }
    lines
}

/// Draws lines as they are.
pub fn text(frame: &mut Frame<'_>, area: Rect, lines: Vec<Line<'_>>) {
    frame.render_widget(Paragraph::new(lines), area);
}

/// A rule over the whole width.
pub fn rule(frame: &mut Frame<'_>, area: Rect, look: Look) {
    let line = look.rule().repeat(area.width as usize);
    text(frame, area, vec![Line::styled(line, look.dim())]);
}

/// A title.
pub fn title(text: &str, look: Look) -> Line<'static> {
    Line::styled(text.to_owned(), look.title())
}

/// `name: value` in columns.
pub fn pair(name: &str, value: &str, width: usize, look: Look) -> Line<'static> {
    Line::from(vec![
        Span::styled(format!("{name:width$} "), look.dim()),
        Span::raw(value.to_owned()),
    ])
}

/// The part of an area that begins `x` columns and `y` rows inside of it.
pub fn inner(area: Rect, x: u16, y: u16, width: u16, height: u16) -> Rect {
    let x = x.min(area.width);
    let y = y.min(area.height);
    Rect {
        x: area.x + x,
        y: area.y + y,
        width: width.min(area.width - x),
        height: height.min(area.height - y),
    }
}

/// A list with a marked line, scrolled so that the mark is seen. Each entry is one line.
pub fn list(
    frame: &mut Frame<'_>,
    area: Rect,
    entries: Vec<Line<'_>>,
    marked: Option<usize>,
    view: &View,
) {
    let height = area.height as usize;
    if height == 0 {
        return;
    }
    let total = entries.len();
    let first = window(total, height, marked.unwrap_or(0));
    let width = area.width as usize;
    let lines = entries
        .into_iter()
        .enumerate()
        .skip(first)
        .take(height)
        .map(|(index, mut line)| {
            let here = marked == Some(index);
            let sign = if here { view.look.marker() } else { " " };
            line.spans.insert(0, Span::raw(format!("{sign} ")));
            if here {
                // One block: colours inside of it would be patches.
                for span in &mut line.spans {
                    span.style = Style::new();
                }
                let length = line.width();
                line.spans
                    .push(Span::raw(" ".repeat(width.saturating_sub(length + 2))));
                line = line.patch_style(view.look.marked());
            }
            line
        })
        .collect();
    let narrow = Rect {
        width: area.width.saturating_sub(2),
        ..area
    };
    text(frame, narrow, lines);
    more(frame, area, first, total, view.look);
}

/// Signs at the right edge where there is more than is shown.
pub fn more(frame: &mut Frame<'_>, area: Rect, first: usize, total: usize, look: Look) {
    let (up, down) = look.more();
    let height = area.height as usize;
    let place = |row: u16| inner(area, area.width.saturating_sub(1), row, 1, 1);
    if first > 0 {
        text(frame, place(0), vec![Line::raw(up)]);
    }
    if first + height < total {
        text(
            frame,
            place(area.height.saturating_sub(1)),
            vec![Line::raw(down)],
        );
    }
}

/// First line shown of a list, with the marked one well inside.
pub fn window(total: usize, height: usize, marked: usize) -> usize {
    if total <= height {
        return 0;
    }
    marked
        .saturating_sub(height / 2)
        .min(total.saturating_sub(height))
}

/// A bar.
pub fn gauge(done: u64, total: u64, width: usize, look: Look) -> String {
    let (full, empty) = look.gauge();
    let part = u128::from(done) * width as u128 / u128::from(total.max(1));
    let part = usize::try_from(part).unwrap_or(width).min(width);
    format!("{}{}", full.repeat(part), empty.repeat(width - part))
}

/// A window over the screen; gives the area inside.
pub fn boxed(frame: &mut Frame<'_>, area: Rect, title: &str, look: Look) -> Rect {
    frame.render_widget(Clear, area);
    let name = format!(" {} ", cut(title, area.width.saturating_sub(6) as usize));
    let block = Block::new()
        .borders(Borders::ALL)
        .border_set(look.border())
        .title(Line::styled(name, look.title()));
    let inside = block.inner(area);
    frame.render_widget(block, area);
    inside
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_wider_than_its_place() {
        for (text, width) in [
            ("ab cd ef", 5),
            ("abcdefghijkl", 5),
            ("  a bcd", 4),
            ("", 3),
        ] {
            for line in wrap(text, width, 2) {
                assert!(line.chars().count() <= width, "{line:?} {width}");
            }
        }
        assert_eq!(cut("abcdef", 4), "ab..");
        assert_eq!(cut("abcd", 4), "abcd");
        assert_eq!(wrap("  one two three", 9, 2), ["  one two", "    three"]);
    }

    #[test]
    fn the_marked_line_is_shown() {
        for total in 0..30 {
            for height in 1..12 {
                for marked in 0..total {
                    let first = window(total, height, marked);
                    assert!(first <= marked && marked < first + height);
                }
            }
        }
    }
}
