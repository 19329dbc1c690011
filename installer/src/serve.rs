//! `serve`: looks after this machine's role, for ever. A service; one round with `--once`.

use std::time::Duration;

use service::serve::{self, Report, State};
use system::System;

use crate::arguments::Serve;
use crate::{output, this::This};

/// Between two rounds: at least, and at most where a round takes seconds.
const PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Runs rounds; says on the console what changes.
///
/// # Errors
/// The node file or the role data cannot be read.
pub fn run(system: &dyn System, options: &Serve, json: bool) -> anyhow::Result<u8> {
    let this = This::read(system)?;
    let mut last: Option<Report> = None;
    loop {
        let began = system.now();
        let report = serve::round(system, &this.roles, &this.node, authority::now());
        serve::write(system, &report)?;
        if last.as_ref().is_none_or(|last| key(last) != key(&report)) {
            let line = words(&this.node.role, &report);
            if options.once || report.state == State::Idle {
                output::note(&line);
            } else {
                output::aloud(system, &line);
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
        let took = system.now().saturating_sub(began);
        system.sleep(system::rest(PAUSE, LONGEST_PAUSE, took));
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
