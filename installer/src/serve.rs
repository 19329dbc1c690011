//! `serve`: looks after this machine's role, for ever. A service; one round with `--once`.

use std::time::Duration;

use service::serve::{self, Report, State};
use system::System;

use crate::arguments::Serve;
use crate::{output, storage};

/// Between two rounds.
const PAUSE: Duration = Duration::from_secs(5);
const CONSOLE: &str = "/dev/console";

/// Runs rounds; says on the console what changes.
///
/// # Errors
/// The node file or the role data cannot be read.
pub fn run(system: &dyn System, options: &Serve, json: bool) -> anyhow::Result<u8> {
    let this = storage::this(system)?;
    let mut last: Option<Report> = None;
    loop {
        let report = serve::round(system, &this.roles, &this.node, storage::now());
        serve::write(system, &report)?;
        if last.as_ref().is_none_or(|last| key(last) != key(&report)) {
            let line = words(&this.node.role, &report);
            output::note(&line);
            // The journal has it from the line above; who stands before the machine sees it here.
            if !options.once && report.state != State::Idle {
                system.emit(CONSOLE.into(), format!("{line}\r\n").as_bytes());
            }
        }
        if options.once {
            if json {
                output::json(&report)?;
            }
            return Ok(u8::from(!matches!(
                report.state,
                State::Ready | State::Idle
            )));
        }
        last = Some(report);
        system.sleep(PAUSE);
    }
}

/// What counts as a change: ages and counters in a text do not.
fn key(report: &Report) -> (State, String) {
    (
        report.state,
        report
            .detail
            .chars()
            .filter(|character| !character.is_ascii_digit())
            .collect(),
    )
}

fn words(role: &str, report: &Report) -> String {
    let verb = match report.state {
        State::Ready => "in service",
        State::Waits => "waits",
        State::Refused => "refused",
        State::Failed => "failed, tries again",
        State::Idle => "nothing to do",
    };
    format!(
        "rackwright {role}: {verb}: {}",
        report.detail.lines().next().unwrap_or_default()
    )
}
