//! Where an install is: a fold over its events, as every front end.

use camino::Utf8Path;
use run::event::{Event, Outcome, Record};

use crate::view::Step;

/// Warnings that are kept in memory for each machine.
const WARNINGS: usize = 20;
/// Letters of a line that are kept.
const LETTERS: usize = 300;

/// What was heard of one install.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Live {
    /// Events that were taken.
    pub have: u64,
    /// Bytes of them in their file.
    pub bytes: u64,
    /// Seconds since 1970, when the machine was last heard.
    pub heard: Option<u64>,
    /// Titles, in order.
    steps: Vec<(String, String)>,
    /// Number of the running step, from 0, and how much of it is done, of 100.
    at: Option<(usize, u64)>,
    /// Last line, for people.
    pub line: Option<String>,
    /// What it warned of.
    pub warnings: Vec<String>,
    /// The end, until it was written down: well, and one line.
    pub ended: Option<(bool, String)>,
}

impl Live {
    /// Of an earlier run of the depot; an empty one where there is no file.
    #[must_use]
    pub fn read(path: &Utf8Path) -> Self {
        let mut live = Self::default();
        let text = fs_err::read_to_string(path).unwrap_or_default();
        live.bytes = text.len() as u64;
        // A line that a crash left half was not counted to the machine: it is told again.
        for record in text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
        {
            live.take(&record);
        }
        live
    }

    /// Adds one event.
    pub fn take(&mut self, record: &Record) {
        self.have += 1;
        match &record.event {
            Event::Planned { steps, .. } => {
                self.steps.clone_from(steps);
                self.at = None;
                self.say(format!("{} steps", steps.len()));
            }
            Event::Started { step } => {
                self.at = self.index(step).map(|index| (index, 0));
                let title = self.title(step);
                self.say(title);
            }
            Event::Progress {
                step, done, total, ..
            } => {
                let percent = done.saturating_mul(100).checked_div(*total).unwrap_or(0);
                self.at = self.index(step).map(|index| (index, percent.min(100)));
            }
            Event::Retrying { step, reason, .. } => {
                let line = format!("{}: {reason}", self.title(step));
                self.say(line);
            }
            Event::Warned { message, .. } => {
                let message: String = message.chars().take(LETTERS).collect();
                if !self.warnings.contains(&message) {
                    self.warnings.push(message);
                }
                if self.warnings.len() > WARNINGS {
                    self.warnings.remove(0);
                }
            }
            Event::Finished { step, .. } => {
                self.at = self.index(step).map(|index| (index, 100));
            }
            Event::Failed { step, error, .. } => {
                let line = format!("{}: {error}", self.title(step));
                self.say(line);
            }
            Event::Ended { outcome, message } => {
                let line = match &self.line {
                    Some(why) if *outcome == Outcome::Failed => format!("{message}: {why}"),
                    _ => message.clone(),
                };
                self.say(line.clone());
                // A refusal wrote nothing.
                if *outcome != Outcome::Refused {
                    self.ended = Some((*outcome == Outcome::Done, line));
                }
            }
            Event::Booted { .. }
            | Event::Skipped { .. }
            | Event::Health { .. }
            | Event::Unknown => {}
        }
    }

    fn say(&mut self, line: String) {
        self.line = Some(
            line.lines()
                .collect::<Vec<_>>()
                .join(" ")
                .chars()
                .take(LETTERS)
                .collect(),
        );
    }

    fn index(&self, step: &str) -> Option<usize> {
        self.steps.iter().position(|(id, _)| id == step)
    }

    fn title(&self, step: &str) -> String {
        self.steps
            .iter()
            .find(|(id, _)| id == step)
            .map_or_else(|| step.to_owned(), |(_, title)| title.clone())
    }

    /// The step that runs.
    #[must_use]
    pub fn step(&self) -> Option<Step> {
        let (index, percent) = self.at?;
        let of = self.steps.len().max(1);
        let whole = (index * 100 + usize::try_from(percent).unwrap_or(0)) / of;
        Some(Step {
            number: u32::try_from(index + 1).unwrap_or(u32::MAX),
            of: u32::try_from(of).unwrap_or(u32::MAX),
            title: self.steps.get(index)?.1.clone(),
            percent: u8::try_from(whole.min(100)).unwrap_or(100),
        })
    }
}
