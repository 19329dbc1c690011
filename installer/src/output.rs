//! The one place that writes to standard output and standard error.

use std::io::{self, Write};

use camino::Utf8Path;
use roles::diagnostic::Diagnostics;
use run::node_source::NodeSourceError;
use serde::Serialize;
use system::System;
use tracing_subscriber::EnvFilter;

/// Data for people.
pub fn text(text: &str) -> anyhow::Result<()> {
    quiet_on_closed_pipe(io::stdout().lock().write_all(text.as_bytes()))
}

/// Data for programs.
pub fn json<T: Serialize>(value: &T) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    self::text(&text)
}

/// `... | head` is no error.
fn quiet_on_closed_pipe(result: io::Result<()>) -> anyhow::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// A line on standard error.
pub fn note(line: &str) {
    writeln!(io::stderr().lock(), "{line}").ok();
}

/// A line for whoever stands before the machine, and for the journal.
pub fn aloud(system: &dyn System, line: &str) {
    note(line);
    let text = format!("{}\r\n", line.replace('\n', "\r\n"));
    system.emit(Utf8Path::new("/dev/console"), text.as_bytes());
}

/// An error with its causes, or, for a wrong file, the place with its source line.
pub fn explain(error: &anyhow::Error) -> String {
    let diagnostics = error
        .downcast_ref::<Diagnostics>()
        .or_else(|| match error.downcast_ref() {
            Some(NodeSourceError::Invalid(diagnostics)) => Some(diagnostics),
            _ => None,
        });
    match diagnostics {
        Some(diagnostics) => diagnostics.render(false).trim_end().to_owned(),
        None => format!("{error:#}"),
    }
}

/// An error on standard error.
pub fn error(error: &anyhow::Error) {
    let text = explain(error);
    let prefix = if text.starts_with("error") {
        ""
    } else {
        "error: "
    };
    note(&format!("{prefix}{text}"));
}

/// Logs go to standard error; `RUST_LOG` chooses which.
pub fn logs(verbose: bool) {
    let level = if verbose { "debug" } else { "warn" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .without_time()
        .init();
}
