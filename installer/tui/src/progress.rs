//! The install as a fold over its events, as every front end is one.

use run::{Event, Outcome, Record, console::Lines};

/// Lines of the log that are kept.
const KEPT: usize = 500;

/// How far a step is.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    /// Not begun.
    Waiting,
    /// In work since this time (milliseconds of its run).
    Running {
        /// Since when.
        since: u64,
        /// Done and all of it, in `unit`.
        done: Option<(u64, u64)>,
        /// `bytes`.
        unit: String,
        /// When that was said.
        at: u64,
    },
    /// Ended well after so many milliseconds.
    Finished(u64),
    /// Done by an earlier run.
    Skipped,
    /// Failed.
    Failed,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Id of the plan.
    pub id: String,
    /// For people.
    pub title: String,
    /// How far.
    pub stage: Stage,
}

/// A failed step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Title of the step.
    pub title: String,
    /// The error with its causes: command, last lines.
    pub error: String,
    /// What to do.
    pub hint: Option<String>,
}

/// All that is known of the install.
#[derive(Debug, Default)]
pub struct Progress {
    /// Node of the plan.
    pub node: String,
    /// Digest of the plan that is carried out.
    pub digest: String,
    /// Its steps.
    pub steps: Vec<Step>,
    /// Lines for people.
    pub log: Vec<String>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// How the run ended.
    pub outcome: Option<(Outcome, String)>,
    /// Warnings so far.
    pub warnings: usize,
    /// Time of the last event, milliseconds since its run began.
    pub at: u64,
    /// Lines of the events file that were folded.
    pub lines: u64,
    words: Lines,
}

impl Progress {
    /// Takes a line of the events file. A line that was taken before, or that is not the next one, changes nothing.
    pub fn take(&mut self, line: u64, record: &Record) -> bool {
        if line != self.lines {
            return false;
        }
        self.lines += 1;
        self.at = record.at;
        self.log.extend(self.words.of(record));
        if self.log.len() > KEPT {
            self.log.drain(..self.log.len() - KEPT);
        }
        let at = record.at;
        match &record.event {
            Event::Planned {
                node,
                digest,
                steps,
            } => {
                self.node.clone_from(node);
                self.digest.clone_from(digest);
                (self.failure, self.outcome, self.warnings) = (None, None, 0);
                self.steps = steps
                    .iter()
                    .map(|(id, title)| Step {
                        id: id.clone(),
                        title: title.clone(),
                        stage: Stage::Waiting,
                    })
                    .collect();
            }
            Event::Started { step } => self.stage(
                step,
                Stage::Running {
                    since: at,
                    done: None,
                    unit: String::new(),
                    at,
                },
            ),
            Event::Progress {
                step,
                done,
                total,
                unit,
            } => {
                let since = match self.step(step).map(|step| &step.stage) {
                    Some(Stage::Running { since, .. }) => *since,
                    _ => at,
                };
                self.stage(
                    step,
                    Stage::Running {
                        since,
                        done: Some((*done, *total)),
                        unit: unit.clone(),
                        at,
                    },
                );
            }
            Event::Finished { step, milliseconds } => {
                self.stage(step, Stage::Finished(*milliseconds));
            }
            Event::Skipped { step, .. } => self.stage(step, Stage::Skipped),
            Event::Failed { step, error, hint } => {
                self.failure = Some(Failure {
                    title: self
                        .step(step)
                        .map_or_else(|| step.clone(), |step| step.title.clone()),
                    error: error.clone(),
                    hint: hint.clone(),
                });
                self.stage(step, Stage::Failed);
            }
            Event::Ended { outcome, message } => {
                self.outcome = Some((*outcome, message.clone()));
            }
            Event::Warned { .. } => self.warnings += 1,
            Event::Booted { .. }
            | Event::Retrying { .. }
            | Event::Health { .. }
            | Event::Unknown => {}
        }
        true
    }

    fn step(&self, id: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.id == id)
    }

    fn stage(&mut self, id: &str, stage: Stage) {
        if let Some(step) = self.steps.iter_mut().find(|step| step.id == id) {
            step.stage = stage;
        }
    }

    /// A plan is being carried out.
    #[must_use]
    pub fn running(&self) -> bool {
        !self.steps.is_empty() && self.outcome.is_none()
    }

    /// Ended well.
    #[must_use]
    pub fn done(&self) -> bool {
        matches!(self.outcome, Some((Outcome::Done, _)))
    }

    /// Number of the step in work, or of the one that failed.
    #[must_use]
    pub fn current(&self) -> Option<usize> {
        self.steps
            .iter()
            .position(|step| matches!(step.stage, Stage::Running { .. } | Stage::Failed))
    }

    /// Steps that are over, and all of them.
    #[must_use]
    pub fn count(&self) -> (usize, usize) {
        let over = self
            .steps
            .iter()
            .filter(|step| matches!(step.stage, Stage::Finished(_) | Stage::Skipped))
            .count();
        (over, self.steps.len())
    }
}

impl Stage {
    /// Bytes per second and seconds left of a step in work that tells how far it is.
    #[must_use]
    pub fn rate(&self) -> Option<(u64, u64)> {
        let Self::Running {
            since,
            done: Some((done, total)),
            at,
            ..
        } = self
        else {
            return None;
        };
        let elapsed = at.saturating_sub(*since);
        let rate = done.checked_mul(1000)?.checked_div(elapsed)?;
        let left = total.saturating_sub(*done).checked_div(rate)?;
        Some((rate, left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(at: u64, event: Event) -> Record {
        Record {
            sequence: 0,
            at,
            event,
        }
    }

    #[test]
    fn a_line_counts_once_and_in_order() {
        let mut progress = Progress::default();
        let planned = Event::Planned {
            node: "n".into(),
            digest: "d".into(),
            steps: vec![("a".into(), "A".into())],
        };
        let started = Event::Started { step: "a".into() };
        let bytes = Event::Progress {
            step: "a".into(),
            done: 100,
            total: 300,
            unit: "bytes".into(),
        };
        assert!(progress.take(0, &record(0, planned.clone())));
        assert!(!progress.take(0, &record(0, planned)));
        assert!(!progress.take(2, &record(0, started.clone())));
        assert!(progress.take(1, &record(1000, started)));
        assert!(progress.take(2, &record(2000, bytes)));
        assert_eq!(progress.steps[0].stage.rate(), Some((100, 2)));
        assert!(progress.running());
    }
}
