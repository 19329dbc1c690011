//! A screen as SVG: what stands in the documentation is drawn by the program itself.

use std::fmt::Write as _;

use ratatui::{
    Terminal,
    backend::TestBackend,
    buffer::{Buffer, Cell},
    style::{Color, Modifier},
};

use crate::{
    draw::{View, draw},
    state::State,
};

/// Pixels of a character.
const CELL: (f32, f32) = (8.4, 18.0);
const MARGIN: f32 = 12.0;
const PAPER: &str = "#101418";
const INK: &str = "#d8dee6";

/// Draws a state on a screen of this size.
#[must_use]
pub fn buffer(state: &State, view: &View, width: u16, height: u16) -> Buffer {
    let Ok(mut terminal) = Terminal::new(TestBackend::new(width, height));
    match terminal.draw(|frame| draw(frame, state, view)) {
        Ok(_) => terminal.backend().buffer().clone(),
        Err(never) => match never {},
    }
}

/// A screen as lines of text.
#[must_use]
pub fn text(buffer: &Buffer) -> String {
    let mut text = String::new();
    for y in 0..buffer.area.height {
        let line: String = (0..buffer.area.width)
            .map(|x| buffer[(x, y)].symbol())
            .collect();
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// A screen as SVG.
#[must_use]
pub fn svg(buffer: &Buffer) -> String {
    let area = buffer.area;
    let width = f32::from(area.width) * CELL.0 + 2.0 * MARGIN;
    let height = f32::from(area.height) * CELL.1 + 2.0 * MARGIN;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
         height=\"{height:.0}\" font-family=\"DejaVu Sans Mono, Menlo, Consolas, monospace\" font-size=\"14\">\n\
         <rect width=\"{width:.0}\" height=\"{height:.0}\" rx=\"8\" fill=\"{PAPER}\"/>\n"
    );
    for y in 0..area.height {
        let mut x = 0;
        while x < area.width {
            // Neighbours of one style are one piece of text.
            let style = look(&buffer[(x, y)]);
            let from = x;
            let mut words = String::new();
            while x < area.width && look(&buffer[(x, y)]) == style {
                words.push_str(buffer[(x, y)].symbol());
                x += 1;
            }
            piece(&mut out, from, y, x - from, &words, style);
        }
    }
    out.push_str("</svg>\n");
    out
}

type Style = (&'static str, Option<&'static str>, bool);

fn piece(out: &mut String, x: u16, y: u16, columns: u16, words: &str, (ink, paper, bold): Style) {
    let left = MARGIN + f32::from(x) * CELL.0;
    let top = MARGIN + f32::from(y) * CELL.1;
    let length = f32::from(columns) * CELL.0;
    if let Some(paper) = paper {
        let _ = writeln!(
            out,
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{length:.1}\" height=\"{:.1}\" fill=\"{paper}\"/>",
            CELL.1
        );
    }
    if words.trim().is_empty() {
        return;
    }
    let words = words
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let weight = if bold { " font-weight=\"bold\"" } else { "" };
    let _ = writeln!(
        out,
        "<text x=\"{left:.1}\" y=\"{:.1}\" fill=\"{ink}\"{weight} textLength=\"{length:.1}\" \
         lengthAdjust=\"spacingAndGlyphs\" xml:space=\"preserve\">{words}</text>",
        top + 13.5
    );
}

fn look(cell: &Cell) -> Style {
    let (mut ink, mut paper) = (colour(cell.fg).unwrap_or(INK), colour(cell.bg));
    if cell.modifier.contains(Modifier::REVERSED) {
        let before = paper.unwrap_or(PAPER);
        paper = Some(ink);
        ink = before;
    }
    (ink, paper, cell.modifier.contains(Modifier::BOLD))
}

fn colour(colour: Color) -> Option<&'static str> {
    Some(match colour {
        Color::Blue => "#1f4e79",
        Color::White => "#ffffff",
        Color::Cyan => "#5fc9d8",
        Color::DarkGray => "#7d8794",
        Color::Green => "#73c990",
        Color::Yellow => "#d9a441",
        Color::LightYellow => "#f0e06c",
        Color::LightRed => "#ff7b72",
        Color::LightBlue => "#79b8ff",
        Color::LightMagenta => "#d2a8ff",
        _ => return None,
    })
}
