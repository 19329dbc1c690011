//! Which key means what.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::state::{Message, State};

/// What a key does; `Err`: leave.
pub(super) fn message(state: &State, key: KeyEvent) -> Result<Option<Message>, ()> {
    if key.kind == KeyEventKind::Release {
        return Ok(None);
    }
    if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
        return Err(());
    }
    let asked = state.ask.is_some();
    Ok(Some(match key.code {
        KeyCode::Esc => Message::Back,
        KeyCode::Enter => Message::Enter,
        KeyCode::Backspace => Message::Rub,
        KeyCode::Char(letter) if asked => Message::Type(letter),
        KeyCode::Char('q') => return Err(()),
        KeyCode::Up | KeyCode::Char('k') => Message::Move(-1),
        KeyCode::Down | KeyCode::Char('j') => Message::Move(1),
        KeyCode::PageUp => Message::Move(-10),
        KeyCode::PageDown => Message::Move(10),
        KeyCode::Char('a') => Message::Arm,
        KeyCode::Char('d') => Message::Disarm,
        KeyCode::Char('p') => Message::Approve,
        _ => return Ok(None),
    }))
}

/// The line at the bottom.
pub(super) const HELP: &str = "up/down select  a arm  d disarm  p approve  q leave";
