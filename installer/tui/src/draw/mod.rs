//! Draws `&State`. Nothing here changes anything, and nothing here decides anything.

mod console;
mod disks;
mod forms;
mod hardware;
mod parts;
mod popup;
mod progress;
mod repair;
mod review;
mod welcome;

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};

use crate::{
    keymap,
    look::Look,
    state::{Screen, State, Wizard},
    text,
};

/// What is the console's own, and not the machine's.
#[derive(Debug, Clone)]
pub struct View {
    /// What the terminal can do.
    pub look: Look,
    /// Counts up a few times a second.
    pub frame: u64,
    /// Name of this console: `ttyS1`.
    pub console: String,
}

/// From this width on, columns stand beside each other.
const WIDE: u16 = 110;

/// Draws the whole screen.
pub fn draw(frame: &mut Frame<'_>, state: &State, view: &View) {
    let area = frame.area();
    if area.width < 60 || area.height < 16 {
        parts::text(frame, area, vec![Line::raw(text::TOO_SMALL)]);
        return;
    }
    let Some(wizard) = &state.wizard else {
        return starting(frame, area, state, view);
    };
    let rows = |y: u16, height: u16| Rect {
        x: area.x,
        y: area.y + y,
        width: area.width,
        height,
    };
    head(frame, rows(0, 1), wizard, view);
    let body = if Screen::STEPS.contains(&wizard.screen) {
        steps(frame, rows(1, 1), wizard, view);
        parts::rule(frame, rows(2, 1), view.look);
        rows(3, area.height - 5)
    } else {
        parts::rule(frame, rows(1, 1), view.look);
        rows(2, area.height - 4)
    };
    let body = Rect {
        x: body.x + 1,
        width: body.width.saturating_sub(2),
        ..body
    };
    match wizard.screen {
        Screen::Welcome => welcome::draw(frame, body, wizard, view),
        Screen::Repair => repair::draw(frame, body, wizard, view),
        Screen::Hardware => hardware::draw(frame, body, wizard, view),
        Screen::Disks => disks::draw(frame, body, wizard, view),
        Screen::Network => forms::network(frame, body, wizard, view),
        Screen::Bmc => forms::bmc(frame, body, wizard, view),
        Screen::Cluster => forms::cluster(frame, body, wizard, view),
        Screen::Review => review::draw(frame, body, wizard, view),
        Screen::Progress => progress::draw(frame, body, wizard, view),
        Screen::Done => progress::done(frame, body, wizard, view),
        Screen::Console => console::draw(frame, body, wizard, view),
    }
    said(frame, rows(area.height - 2, 1), state, wizard, view);
    keys(frame, rows(area.height - 1, 1), wizard, view);
    if let Some(over) = &wizard.popup {
        popup::draw(frame, body, wizard, over, view);
    }
}

fn starting(frame: &mut Frame<'_>, area: Rect, state: &State, view: &View) {
    if let Some(why) = &state.stuck {
        let mut lines = vec![Line::styled(text::STUCK, view.look.bad()), Line::raw("")];
        lines.extend(
            parts::wrap(why, area.width as usize, 2)
                .into_iter()
                .map(Line::raw),
        );
        lines.push(Line::raw(""));
        lines.push(Line::styled(text::STUCK_HELP, view.look.dim()));
        parts::text(frame, area, lines);
        return;
    }
    let middle = Rect {
        y: area.y + area.height / 2 - 2,
        height: 4,
        ..area
    };
    let lines = vec![
        Line::styled(text::PRODUCT, view.look.title()).centered(),
        Line::raw(format!(
            "{} {}",
            text::LOOKING,
            view.look.spinner(view.frame)
        ))
        .centered(),
        Line::raw(""),
        Line::styled(
            parts::cut(text::LOOKING_DETAIL, area.width as usize),
            view.look.dim(),
        )
        .centered(),
    ];
    parts::text(frame, middle, lines);
}

fn head(frame: &mut Frame<'_>, area: Rect, wizard: &Wizard, view: &View) {
    let facts = &wizard.facts;
    let board = &facts.inventory.board;
    let left = format!(
        " {} {}  {}  role {}",
        text::PRODUCT,
        facts.version,
        wizard.node.node,
        facts.role.name
    );
    let machine = [board.name.as_deref(), board.serial.as_deref()];
    let machine: Vec<&str> = machine.into_iter().flatten().collect();
    let right = if facts.simulated {
        format!("{} ", text::SIMULATED)
    } else {
        format!("{}  {} ", machine.join(" "), view.console)
    };
    let width = area.width as usize;
    let room = width.saturating_sub(right.chars().count() + 1);
    let line = format!("{} {right}", parts::pad(&parts::cut(&left, room), room));
    parts::text(frame, area, vec![Line::styled(line, view.look.head())]);
}

fn steps(frame: &mut Frame<'_>, area: Rect, wizard: &Wizard, view: &View) {
    let mut spans = vec![Span::raw(" ")];
    for (index, screen) in Screen::STEPS.iter().enumerate() {
        let here = *screen == wizard.screen;
        let trouble = wizard.trouble(*screen) && *screen != Screen::Review;
        let mark = if trouble { "!" } else { "" };
        let word = format!("{} {}{mark}", index + 1, text::step(*screen));
        let style = match (here, trouble) {
            (true, _) => view.look.marked().patch(view.look.strong()),
            (false, true) => view.look.bad(),
            (false, false) => ratatui::style::Style::new(),
        };
        // The brackets say where one is, where nothing can be shown in reverse.
        spans.push(Span::styled(
            if here {
                format!("[{word}]")
            } else {
                format!(" {word} ")
            },
            style,
        ));
    }
    parts::text(frame, area, vec![Line::from(spans)]);
}

/// What is waited for, what was said, or who holds the keyboard.
fn said(frame: &mut Frame<'_>, area: Rect, state: &State, wizard: &Wizard, view: &View) {
    let look = view.look;
    let other = state
        .keyboard
        .as_ref()
        .filter(|holder| **holder != view.console);
    let waits: Vec<String> = wizard
        .waits
        .iter()
        .map(|(what, since)| {
            let seconds = state.now.saturating_sub(*since) / 1000;
            match seconds {
                0..=2 => text::waiting(*what).to_owned(),
                seconds => format!("{} ({seconds} s)", text::waiting(*what)),
            }
        })
        .collect();
    let room = area.width as usize - 2;
    let line = if let Some(notice) = &wizard.notice {
        let style = if notice.good { look.good() } else { look.bad() };
        let mark = if notice.good { "" } else { "! " };
        Line::styled(
            format!(" {}", parts::cut(&format!("{mark}{}", notice.text), room)),
            style,
        )
    } else if !waits.is_empty() {
        let text = format!("{} {}", look.spinner(view.frame), waits.join(", "));
        Line::styled(format!(" {}", parts::cut(&text, room)), look.warn())
    } else if let Some(holder) = other {
        Line::styled(
            format!(" {}", parts::cut(&text::keyboard_elsewhere(holder), room)),
            look.warn(),
        )
    } else {
        Line::raw("")
    };
    parts::text(frame, area, vec![line]);
}

fn keys(frame: &mut Frame<'_>, area: Rect, wizard: &Wizard, view: &View) {
    let mut spans = vec![Span::raw(" ")];
    let mut room = area.width as usize - 1;
    for (key, label) in keymap::hints(wizard) {
        let length = key.chars().count() + label.chars().count() + 3;
        if length > room {
            break;
        }
        room -= length;
        spans.push(Span::styled(key, view.look.key()));
        spans.push(Span::raw(format!(" {label}  ")));
    }
    parts::text(frame, area, vec![Line::from(spans)]);
}
