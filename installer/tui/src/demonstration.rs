//! The whole wizard on a machine that is not there: an example, or a capture. Nothing but a node file and a recording is
//! written.

use std::{
    io::{self, IsTerminal},
    sync::Arc,
    time::Instant,
};

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    facts::Facts,
    log::{self, Log},
    look::Look,
    message::Line,
    simulated::Simulated,
    terminal::{self, Program},
};

/// What to show.
pub struct Demonstration<'a> {
    /// The machine.
    pub facts: Facts,
    /// Keep the session in this file.
    pub record: Option<Utf8PathBuf>,
    /// Play this first.
    pub replay: Vec<Line>,
    /// Only ASCII, no colour.
    pub plain: bool,
    /// Part of a step's id in which the first install fails.
    pub fail: Option<String>,
    /// It was told to end by a signal.
    pub stop: &'a dyn Fn() -> bool,
}

/// Runs it until somebody leaves.
///
/// # Errors
/// If the terminal or a file cannot be used.
pub fn run(demonstration: Demonstration<'_>) -> io::Result<()> {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(io::Error::other(
            "the wizard needs a terminal\nhint: start it in a terminal window, or on a console of the machine",
        ));
    }
    let log = match &demonstration.record {
        Some(path) => {
            // One session in one file: another one would be folded into this.
            if path.exists() {
                return Err(io::Error::other(format!(
                    "`{path}` exists already\nhint: give the recording another name"
                )));
            }
            Log::file(path)?
        }
        None => Log::memory(),
    };
    let mut executor = Simulated::new(demonstration.facts);
    executor.folder = Some(".".into());
    executor.fail_once = demonstration.fail;
    let began = Instant::now();
    terminal::run(Program {
        console: "demo".to_owned(),
        look: look(demonstration.plain),
        log,
        executor: &mut executor,
        clock: Arc::new(move || u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)),
        stop: demonstration.stop,
        replay: demonstration.replay,
    })
}

/// What this terminal can do.
#[must_use]
pub fn look(plain: bool) -> Look {
    if plain {
        return Look::PLAIN;
    }
    let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    // In the order of setlocale(3).
    let language = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(variable);
    Look::detect(
        variable("TERM").as_deref(),
        language.as_deref(),
        variable("NO_COLOR").is_some(),
    )
}

/// Reads a recording.
///
/// # Errors
/// If it cannot be read, or holds nothing.
pub fn recording(path: &Utf8Path) -> io::Result<Vec<Line>> {
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("cannot read `{path}`: {error}"));
    let lines = log::parse(&std::fs::read_to_string(path).map_err(named)?);
    if lines.is_empty() {
        return Err(io::Error::other(format!(
            "`{path}` holds no recording\nhint: a recording is made with --record, or with Ctrl-R on a machine"
        )));
    }
    Ok(lines)
}
