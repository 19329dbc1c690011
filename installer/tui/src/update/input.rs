//! One-line editing, by the keys that terminals have in common.

use tui_input::{Input, InputRequest, StateChanged};

use crate::key::Key;

/// Characters that a field takes at most: a public key of RSA with 16384 bits has 2700.
const MOST: usize = 4000;

/// Takes a key; says whether it changed or moved anything.
pub fn edit(input: &mut Input, key: Key) -> Option<StateChanged> {
    let request = match key {
        Key::Char(letter) if input.value().chars().count() < MOST => {
            InputRequest::InsertChar(letter)
        }
        Key::Backspace => InputRequest::DeletePrevChar,
        Key::Delete => InputRequest::DeleteNextChar,
        Key::Left => InputRequest::GoToPrevChar,
        Key::Right => InputRequest::GoToNextChar,
        Key::Home | Key::Control('a') => InputRequest::GoToStart,
        Key::End | Key::Control('e') => InputRequest::GoToEnd,
        Key::Control('u') => InputRequest::DeleteLine,
        Key::Control('w') => InputRequest::DeletePrevWord,
        _ => return None,
    };
    input.handle(request)
}

/// Takes pasted text; line ends become blanks.
pub fn paste(input: &mut Input, text: &str) {
    for letter in text.chars() {
        let letter = if letter.is_control() { ' ' } else { letter };
        edit(input, Key::Char(letter));
    }
}
