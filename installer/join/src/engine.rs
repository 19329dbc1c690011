//! Runs the steps of a role in order, again and again until each is done. Every step may be asked again after it was done, so a
//! join that was cut off begins at the first step and finds most of it done.

use std::time::Duration;

use roles::role::{JoinAction, JoinStep};
use system::System;

use crate::{
    accounts, balancer,
    context::Context,
    database, galera,
    journal::{self, Fact},
    preflight, seen,
    step::{Outcome, Refused},
};

/// Between two questions, at least.
const PAUSE: Duration = Duration::from_secs(2);
/// Most of a long look at others is waiting for the one that is off, which costs nobody a processor.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// After something failed: a server that cannot start is not started every two seconds.
const AFTER_FAILURE: Duration = Duration::from_secs(15);
/// What somebody waits for is said again after this long.
const AGAIN: Duration = Duration::from_secs(300);

/// How a join ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// All steps are done.
    Joined,
    /// This step refused.
    Refused(String, Refused),
}

/// Something to say, once for each change.
pub trait Say {
    /// One line; `step` is the name of the step.
    fn say(&mut self, step: &str, line: &str);
}

/// Runs all steps. `limit`: gives up after this long (`None`: never).
///
/// # Errors
/// The journal cannot be written, or the time is over; the text says which step was not done.
pub fn run(
    context: &Context<'_>,
    say: &mut dyn Say,
    limit: Option<Duration>,
) -> Result<Ended, String> {
    let began = context.system.now();
    for step in &context.role.join {
        let mut asked = Asked::new(context, step);
        loop {
            match asked.ask(say)? {
                Next::Done => break,
                Next::Refused(refused) => return Ok(Ended::Refused(step.id.clone(), refused)),
                Next::Pause(pause) => {
                    if limit
                        .is_some_and(|limit| context.system.now().saturating_sub(began) >= limit)
                    {
                        return Err(format!("step `{}` is not done: {}", step.id, asked.said));
                    }
                    context.system.sleep(pause);
                }
            }
        }
    }
    say.say("join", "all steps are done");
    Ok(Ended::Joined)
}

enum Next {
    Done,
    Refused(Refused),
    Pause(Duration),
}

/// One step while it is asked.
struct Asked<'a> {
    context: &'a Context<'a>,
    step: &'a JoinStep,
    began: Duration,
    /// Since when it holds without a break.
    holds: Option<Duration>,
    late: bool,
    said: String,
    said_at: Duration,
}

impl<'a> Asked<'a> {
    fn new(context: &'a Context<'a>, step: &'a JoinStep) -> Self {
        let now = context.system.now();
        Self {
            context,
            step,
            began: now,
            holds: None,
            late: false,
            said: String::new(),
            said_at: now,
        }
    }

    fn ask(&mut self, say: &mut dyn Say) -> Result<Next, String> {
        let asked = self.context.system.now();
        let outcome = act(self.context, &self.step.does);
        let now = self.context.system.now();
        let rest = system::rest(PAUSE, LONGEST_PAUSE, now.saturating_sub(asked));
        let (words, pause) = match outcome {
            Outcome::Done(detail) => {
                let since = *self.holds.get_or_insert(now);
                if now.saturating_sub(since) >= Duration::from_secs(self.step.hold) {
                    self.record("done", &detail)?;
                    say.say(&self.step.id, &detail);
                    return Ok(Next::Done);
                }
                (format!("holds for {} s: {detail}", self.step.hold), rest)
            }
            Outcome::Refuse(refused) => {
                self.record("refused", &refused.to_string())?;
                say.say(&self.step.id, &format!("REFUSED: {refused}"));
                return Ok(Next::Refused(refused));
            }
            Outcome::Wait(why) => {
                self.holds = None;
                (format!("waits for {why}"), rest)
            }
            Outcome::Failed(error) => {
                self.holds = None;
                (
                    format!("failed, tries again: {error}"),
                    AFTER_FAILURE.max(rest),
                )
            }
        };
        let waited = now.saturating_sub(self.began);
        if !self.late && waited >= Duration::from_secs(self.step.deadline) {
            self.late = true;
            if self.step.optional {
                self.record("skipped", &words)?;
                say.say(&self.step.id, &format!("goes on without it: {words}"));
                return Ok(Next::Done);
            }
            say.say(
                &self.step.id,
                &format!("late after {} s: {words}", waited.as_secs()),
            );
        } else if words != self.said || now.saturating_sub(self.said_at) >= AGAIN {
            say.say(&self.step.id, &words);
            self.said_at = now;
        }
        self.said = words;
        Ok(Next::Pause(pause))
    }

    fn record(&self, state: &str, detail: &str) -> Result<(), String> {
        let fact = Fact::Step {
            boot: self.context.boot.clone(),
            id: self.step.id.clone(),
            state: state.to_owned(),
            detail: detail.to_owned(),
        };
        journal::add(self.context.system, &fact).map_err(|error| error.to_string())
    }
}

fn act(context: &Context<'_>, action: &JoinAction) -> Outcome {
    match action {
        JoinAction::Secrets { names } => preflight::secrets(context.system, names),
        JoinAction::Network { name } => preflight::network(context, name),
        JoinAction::Clock => preflight::clock(context),
        JoinAction::Mount { path } => preflight::mount(context.system, path),
        JoinAction::Check { command } => preflight::check(context.system, command),
        JoinAction::Certificate { group } => preflight::certificate(context, group),
        JoinAction::Galera => galera::join::step(context),
        JoinAction::Database => database::join::step(context),
        JoinAction::Accounts => accounts::step(context),
        JoinAction::Seen => seen::step(context),
        JoinAction::Balancer => balancer::step(context),
        JoinAction::Arbitrator => balancer::arbitrator(context),
    }
}

/// This boot.
#[must_use]
pub fn boot(system: &dyn System) -> String {
    let path = camino::Utf8Path::new("/proc/sys/kernel/random/boot_id");
    let bytes = system.read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
