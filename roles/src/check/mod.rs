//! Rules between the keys of a file: what types alone cannot say.

pub(crate) mod disks;
mod hosts;
mod network;
pub(crate) mod node;
mod pool;
pub(crate) mod role;
mod wiring;

use std::ops::Range;

use toml::de::DeTable;

use crate::{
    diagnostic::{Diagnostic, Diagnostics, Severity},
    parse::span_of,
};

/// Takes complaints about places in one document.
pub(crate) struct Checker<'a, 'i> {
    pub(crate) document: &'a DeTable<'i>,
    pub(crate) found: &'a mut Diagnostics,
    /// What every path is below: empty, or a table with a dot at its end such as `nodes.3.`, so that the rules of node
    /// files can judge what stands inside another file.
    pub(crate) within: String,
}

impl Checker<'_, '_> {
    fn span(&self, path: &str) -> Range<usize> {
        span_of(self.document, &format!("{}{path}", self.within))
    }

    /// A value that cannot be right by itself.
    pub(crate) fn bad(&mut self, path: &str, message: String) -> &mut Diagnostic {
        let span = self.span(path);
        self.found.push("bad-value", span, message)
    }

    /// What a numbered rule has found.
    pub(crate) fn rule(
        &mut self,
        id: &'static str,
        severity: Severity,
        path: &str,
        message: String,
    ) -> &mut Diagnostic {
        let span = self.span(path);
        let diagnostic = self.found.push(id, span, message);
        diagnostic.severity = severity;
        diagnostic
    }

    /// Values that cannot be right together.
    pub(crate) fn conflict(&mut self, path: &str, message: String) -> &mut Diagnostic {
        let span = self.span(path);
        self.found.push("conflict", span, message)
    }
}

/// Format version of all files.
pub(crate) fn check_format(format: u32, checker: &mut Checker<'_, '_>) {
    if format != 1 {
        checker
            .bad("format", format!("format `{format}` is not known"))
            .hint("this version reads format 1");
    }
}

/// RFC 1123 label: letters, digits and hyphens, not at the ends, at most 63 characters. Lower case only, because host
/// names are compared as bytes by more programs than not.
pub(crate) fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Dotted labels, at most 253 characters (RFC 1035 section 2.3.4).
pub(crate) fn is_domain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_label)
}

/// A network's name also names its interface, which Linux limits to 15 characters.
pub(crate) fn is_network_name(text: &str) -> bool {
    (1..=14).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
}

/// What may name a port or bond: fits the kernel (15 characters), and needs no quoting in any file we write.
pub(crate) fn is_interface_name(text: &str) -> bool {
    (1..=15).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b))
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !matches!(text, "lo" | "all" | "default")
}

/// An absolute path without `.`, `..`, empty parts, or characters that need quoting anywhere.
pub(crate) fn is_plain_path(path: &str) -> bool {
    path.strip_prefix('/').is_some_and(|rest| {
        rest.split('/').all(|part| {
            !matches!(part, "" | "." | "..")
                && part
                    .bytes()
                    .all(|b| b.is_ascii_graphic() && !b"\"'\\$%`;&|<>*?".contains(&b))
        })
    })
}
