//! What is wrong with a file, where, and what to do: collected, sorted, shown like a compiler does.

use std::{fmt, ops::Range};

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// It can, but its owner should know.
    Warning,
}

/// One thing that is wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// `syntax`, `unknown-key`, `missing-key`, `wrong-type`, `bad-value`, `conflict`, or a rule of the site file.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// File name as the user gave it.
    pub file: String,
    /// Byte range in the text.
    pub span: Range<usize>,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// Short text at the marked place.
    pub label: Option<String>,
    /// What to do.
    pub hint: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            column,
            message,
            ..
        } = self;
        write!(f, "{file}:{line}:{column}: {message}")
    }
}

/// Everything that is wrong in one file; never empty when returned as an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics {
    /// File name as the user gave it.
    file: String,
    /// The text, secrets blanked.
    source: String,
    /// Where each line of it begins.
    line_starts: Vec<usize>,
    /// In order of the text.
    items: Vec<Diagnostic>,
}

/// Diagnostics that the long form shows; the plain form has all.
const SHOWN: usize = 100;

/// The plain form: one line each, `file:line:column: message`.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, item) in self.items.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{item}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

impl Diagnostics {
    /// Nothing wrong yet.
    #[must_use]
    pub fn new(file: &str, source: &str) -> Self {
        let line_starts = std::iter::once(0)
            .chain(source.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        Self {
            file: file.to_owned(),
            source: blank_secrets(source),
            line_starts,
            items: Vec::new(),
        }
    }

    /// In order of the text.
    #[must_use]
    pub fn items(&self) -> &[Diagnostic] {
        &self.items
    }

    /// Nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Adds one; the returned reference takes label and hint.
    pub fn push(
        &mut self,
        code: &'static str,
        span: Range<usize>,
        message: String,
    ) -> &mut Diagnostic {
        let end = span.end.min(self.source.len());
        let start = span.start.min(end);
        let line = self.line_starts.partition_point(|at| *at <= start);
        let line_start = self.line_starts.get(line - 1).copied().unwrap_or_default();
        let before = self.source.get(line_start..start).unwrap_or_default();
        let diagnostic = Diagnostic {
            code,
            severity: Severity::Error,
            message,
            file: self.file.clone(),
            span: start..end,
            line,
            column: before.chars().count() + 1,
            label: None,
            hint: None,
        };
        // Kept in order of the text; equal places keep the order in which they were found.
        let at = self.items.partition_point(|item| item.span.start <= start);
        self.items.insert(at, diagnostic);
        &mut self.items[at]
    }

    /// At least one of them is an error, not a warning.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.items
            .iter()
            .any(|item| item.severity == Severity::Error)
    }

    /// The value, or everything that is wrong.
    ///
    /// # Errors
    /// At least one error was pushed.
    pub fn into_result<T>(self, value: Option<T>) -> Result<T, Self> {
        match value {
            Some(value) if !self.has_errors() => Ok(value),
            _ => Err(self),
        }
    }

    /// The long form, as a compiler shows it; `color` for terminals.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let mut text = String::new();
        for (index, item) in self.items.iter().take(SHOWN).enumerate() {
            if index > 0 {
                text.push('\n');
            }
            let window = self.window(item);
            let within = item.span.start - window.start..item.span.end - window.start;
            let mut annotation = AnnotationKind::Primary.span(within);
            if let Some(label) = &item.label {
                annotation = annotation.label(label.as_str());
            }
            let level = match item.severity {
                Severity::Error => Level::ERROR,
                Severity::Warning => Level::WARNING,
            };
            let mut group = level
                .primary_title(item.message.as_str())
                .id(item.code)
                .element(
                    Snippet::source(self.source.get(window).unwrap_or_default())
                        .line_start(item.line)
                        .path(self.file.as_str())
                        .annotation(annotation),
                );
            if let Some(hint) = &item.hint {
                group = group.element(Level::HELP.message(hint.as_str()));
            }
            text.push_str(&renderer.render(&[group]));
            text.push('\n');
        }
        if let Some(more @ 1..) = self.items.len().checked_sub(SHOWN) {
            text.push_str(&format!("\nand {more} more of {}\n", self.items.len()));
        }
        text
    }

    /// The lines that a diagnostic is about. The renderer reads all that it is given, for each diagnostic anew: given the whole
    /// file, a mistake that was copied a thousand times took minutes to show.
    fn window(&self, item: &Diagnostic) -> Range<usize> {
        let start = self.line_starts.get(item.line - 1).copied();
        let next = self.line_starts.partition_point(|at| *at <= item.span.end);
        let end = self.line_starts.get(next).copied();
        start.unwrap_or_default()..end.unwrap_or(self.source.len())
    }
}

impl Diagnostic {
    /// Sets the short text at the marked place.
    pub fn label(&mut self, label: impl Into<String>) -> &mut Self {
        self.label = Some(label.into());
        self
    }

    /// Sets what to do.
    pub fn hint(&mut self, hint: impl Into<String>) -> &mut Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Words in the name of a key that holds a secret.
pub(crate) const SECRET_WORDS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "private_key",
    "psk",
    "credential",
];

/// The text with the values of secret keys replaced byte by byte, so that a diagnostic never prints them and all spans
/// stay valid.
fn blank_secrets(source: &str) -> String {
    let mut blanked = String::with_capacity(source.len());
    for line in source.split_inclusive('\n') {
        let value = SECRET_WORDS
            .iter()
            .filter_map(|word| line.find(word))
            .min()
            .and_then(|at| line[at..].find('=').map(|equals| at + equals + 1));
        let Some(value) = value else {
            blanked.push_str(line);
            continue;
        };
        blanked.push_str(&line[..value]);
        for c in line[value..].chars() {
            match c {
                '"' | '\'' | '\n' | '\r' | ' ' => blanked.push(c),
                other => blanked.extend(std::iter::repeat_n('*', other.len_utf8())),
            }
        }
    }
    blanked
}
