//! How things look: signs and styles for terminals with and without colour and line drawing. Nothing is said by colour alone.

use ratatui::{
    style::{Color, Modifier, Style},
    symbols::border,
};
use roles::role::Purpose;

/// What the terminal can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Lines and blocks; only signs that the Linux console's font has (code page 437).
    pub unicode: bool,
    /// Colours.
    pub colour: bool,
}

const ASCII_BORDER: border::Set<'static> = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

impl Look {
    /// For serial lines and unknown terminals.
    pub const PLAIN: Self = Self {
        unicode: false,
        colour: false,
    };
    /// For the rest.
    pub const FULL: Self = Self {
        unicode: true,
        colour: true,
    };

    /// By `TERM`, the language (`LC_ALL`, `LC_CTYPE` or `LANG`) and `NO_COLOR`. The Linux console is in UTF-8 mode since 2.6.24
    /// whatever the language says (console_codes(4)).
    #[must_use]
    pub fn detect(term: Option<&str>, language: Option<&str>, no_colour: bool) -> Self {
        let term = term.unwrap_or_default();
        let language = language.unwrap_or_default().to_ascii_lowercase();
        let utf8 = language.contains("utf-8") || language.contains("utf8");
        let capable = [
            "linux",
            "xterm",
            "screen",
            "tmux",
            "rxvt",
            "alacritty",
            "foot",
            "kitty",
        ]
        .iter()
        .any(|known| term.starts_with(known));
        Self {
            unicode: capable && (utf8 || term == "linux"),
            colour: capable && !no_colour,
        }
    }

    fn sign(self, unicode: &'static str, ascii: &'static str) -> &'static str {
        if self.unicode { unicode } else { ascii }
    }

    /// Lines around a window.
    #[must_use]
    pub fn border(self) -> border::Set<'static> {
        if self.unicode {
            border::PLAIN
        } else {
            ASCII_BORDER
        }
    }

    /// A rule.
    #[must_use]
    pub fn rule(self) -> &'static str {
        self.sign("─", "-")
    }

    /// A line between columns.
    #[must_use]
    pub fn bar(self) -> &'static str {
        self.sign("│", "|")
    }

    /// Full and empty parts of a bar.
    #[must_use]
    pub fn gauge(self) -> (&'static str, &'static str) {
        (self.sign("█", "#"), self.sign("░", "."))
    }

    /// The marked line.
    #[must_use]
    pub fn marker(self) -> &'static str {
        self.sign("►", ">")
    }

    /// Done.
    #[must_use]
    pub fn done(self) -> &'static str {
        self.sign("√", "x")
    }

    /// A turning wheel.
    #[must_use]
    pub fn spinner(self, frame: u64) -> &'static str {
        ["|", "/", "-", "\\"][usize::try_from(frame % 4).unwrap_or(0)]
    }

    /// More lines above or below.
    #[must_use]
    pub fn more(self) -> (&'static str, &'static str) {
        (self.sign("▲", "^"), self.sign("▼", "v"))
    }

    fn coloured(self, colour: Color, style: Style) -> Style {
        if self.colour { style.fg(colour) } else { style }
    }

    /// First line of the screen.
    #[must_use]
    pub fn head(self) -> Style {
        if self.colour {
            Style::new()
                .bg(Color::Blue)
                .fg(Color::White)
                .add_modifier(Modifier::BOLD)
        } else {
            Style::new().add_modifier(Modifier::REVERSED)
        }
    }

    /// Titles.
    #[must_use]
    pub fn title(self) -> Style {
        self.coloured(Color::Cyan, Style::new().add_modifier(Modifier::BOLD))
    }

    /// What matters.
    #[must_use]
    pub fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// What does not.
    #[must_use]
    pub fn dim(self) -> Style {
        self.coloured(Color::DarkGray, Style::new())
    }

    /// The marked line.
    #[must_use]
    pub fn marked(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// Good news.
    #[must_use]
    pub fn good(self) -> Style {
        self.coloured(Color::Green, Style::new())
    }

    /// To be looked at.
    #[must_use]
    pub fn warn(self) -> Style {
        self.coloured(Color::Yellow, Style::new())
    }

    /// Bad news.
    #[must_use]
    pub fn bad(self) -> Style {
        self.coloured(Color::LightRed, Style::new().add_modifier(Modifier::BOLD))
    }

    /// Keys.
    #[must_use]
    pub fn key(self) -> Style {
        self.coloured(Color::Cyan, Style::new().add_modifier(Modifier::BOLD))
    }

    /// A bay by its use.
    #[must_use]
    pub fn purpose(self, purpose: Option<Purpose>) -> Style {
        let colour = match purpose {
            Some(Purpose::Os) => Color::LightBlue,
            Some(Purpose::Data) => Color::Green,
            Some(Purpose::Log) => Color::Yellow,
            Some(Purpose::Cache) => Color::LightYellow,
            Some(Purpose::Special) => Color::LightMagenta,
            Some(Purpose::Spare) => Color::LightRed,
            None => Color::DarkGray,
        };
        self.coloured(colour, Style::new())
    }
}

#[cfg(test)]
mod tests {
    use super::Look;

    #[test]
    fn by_terminal_and_language() {
        for (term, language, unicode, colour) in [
            (Some("linux"), None, true, true),
            (Some("xterm-256color"), Some("en_GB.UTF-8"), true, true),
            (Some("xterm-256color"), Some("C"), false, true),
            (Some("vt220"), Some("C.UTF-8"), false, false),
            (Some("nonsense"), Some("C.UTF-8"), false, false),
            (None, None, false, false),
        ] {
            let look = Look::detect(term, language, false);
            assert_eq!((look.unicode, look.colour), (unicode, colour), "{term:?}");
        }
        assert!(!Look::detect(Some("linux"), None, true).colour);
    }
}
