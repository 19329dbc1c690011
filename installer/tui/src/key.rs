//! Keys as plain data: what a terminal sent, independent of the library that read it, so that a recording can hold them.

use serde::{Deserialize, Serialize};

/// One key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Key {
    /// A character.
    Char(char),
    /// A character with Control.
    Control(char),
    /// A function key.
    F(u8),
    /// Enter.
    Enter,
    /// Escape.
    Esc,
    /// Tabulator.
    Tab,
    /// Tabulator with Shift.
    BackTab,
    /// Backspace.
    Backspace,
    /// Delete.
    Delete,
    /// Up.
    Up,
    /// Down.
    Down,
    /// Left.
    Left,
    /// Right.
    Right,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
    /// Home.
    Home,
    /// End.
    End,
}

/// Keys with a name of their own in key strings.
const NAMES: [(&str, Key); 14] = [
    ("Enter", Key::Enter),
    ("Esc", Key::Esc),
    ("Tab", Key::Tab),
    ("BackTab", Key::BackTab),
    ("Backspace", Key::Backspace),
    ("Delete", Key::Delete),
    ("Up", Key::Up),
    ("Down", Key::Down),
    ("Left", Key::Left),
    ("Right", Key::Right),
    ("PageUp", Key::PageUp),
    ("PageDown", Key::PageDown),
    ("Home", Key::Home),
    ("End", Key::End),
];

impl Key {
    /// Reads a key string: `n<Down><Enter>mail-1<C-l><F12>`. What is in no brackets stands for itself, and so does a bracket
    /// that encloses no known name.
    #[must_use]
    pub fn parse(text: &str) -> Vec<Self> {
        let mut keys = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let named = rest
                .strip_prefix('<')
                .and_then(|rest| rest.split_once('>'))
                .and_then(|(name, after)| Some((Self::named(name)?, after)));
            if let Some((key, after)) = named {
                keys.push(key);
                rest = after;
            } else {
                keys.push(Self::Char(first));
                rest = &rest[first.len_utf8()..];
            }
        }
        keys
    }

    fn named(name: &str) -> Option<Self> {
        if let Some((_, key)) = NAMES.iter().find(|(known, _)| *known == name) {
            return Some(*key);
        }
        if let Some(letter) = name.strip_prefix("C-") {
            let mut letters = letter.chars();
            return match (letters.next(), letters.next()) {
                (Some(letter), None) => Some(Self::Control(letter)),
                _ => None,
            };
        }
        name.strip_prefix('F')?.parse().ok().map(Self::F)
    }

    /// As people call it: `Enter`, `Ctrl-C`, `n`.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Char(' ') => "Space".to_owned(),
            Self::Char(letter) => letter.to_string(),
            Self::Control(letter) => format!("Ctrl-{}", letter.to_ascii_uppercase()),
            Self::F(number) => format!("F{number}"),
            named => NAMES
                .iter()
                .find(|(_, key)| *key == named)
                .map_or_else(String::new, |(name, _)| (*name).to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Key;

    #[test]
    fn key_strings() {
        assert_eq!(
            Key::parse("a<Enter><C-l><F12><x>"),
            [
                Key::Char('a'),
                Key::Enter,
                Key::Control('l'),
                Key::F(12),
                Key::Char('<'),
                Key::Char('x'),
                Key::Char('>'),
            ]
        );
    }
}
