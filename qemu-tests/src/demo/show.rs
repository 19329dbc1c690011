//! A fold over the guest's events: a bar on a terminal, plain lines otherwise. All on standard error.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use run::console::Lines;
use run::event::{Event, Record};

/// What is on the screen.
pub(super) struct Show {
    bar: Option<ProgressBar>,
    terminal: bool,
    lines: Lines,
    steps: Vec<(String, String)>,
}

impl Show {
    pub(super) fn new() -> Self {
        Self {
            bar: None,
            terminal: std::io::stderr().is_terminal(),
            lines: Lines::default(),
            steps: Vec::new(),
        }
    }

    /// A line that stays.
    pub(super) fn say(&self, text: &str) {
        let line = || {
            // A reader that went away is no reason to stop.
            let _gone = writeln!(std::io::stderr(), "{text}");
        };
        match &self.bar {
            Some(bar) => bar.suspend(line),
            None => line(),
        }
    }

    /// Nothing to count yet.
    pub(super) fn wait(&mut self, text: &str) {
        if self.terminal {
            let bar = ProgressBar::new_spinner().with_message(text.to_owned());
            bar.set_style(style("{spinner} {msg} {elapsed}"));
            bar.enable_steady_tick(Duration::from_millis(120));
            self.bar = Some(bar);
        } else {
            self.say(text);
        }
    }

    /// One event.
    pub(super) fn record(&mut self, record: &Record) {
        if !self.terminal {
            for line in self.lines.of(record) {
                self.say(&line);
            }
            return;
        }
        match &record.event {
            Event::Planned { steps, .. } => {
                self.steps.clone_from(steps);
                self.done();
                let bar = ProgressBar::new(steps.len() as u64);
                bar.set_style(style("{bar:30} {pos}/{len} {msg} {elapsed}"));
                bar.enable_steady_tick(Duration::from_millis(500));
                self.bar = Some(bar);
            }
            Event::Started { step } => self.message(self.title(step)),
            Event::Progress {
                step, done, total, ..
            } => {
                let percent = done.saturating_mul(100).checked_div(*total).unwrap_or(0);
                self.message(format!("{} {percent} %", self.title(step)));
            }
            Event::Finished { .. } | Event::Skipped { .. } => {
                if let Some(bar) = &self.bar {
                    bar.inc(1);
                }
            }
            _ => {
                for line in self.lines.of(record) {
                    self.say(&line);
                }
            }
        }
    }

    /// Takes the bar away.
    pub(super) fn done(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn message(&self, text: String) {
        if let Some(bar) = &self.bar {
            bar.set_message(text);
        }
    }

    fn title(&self, step: &str) -> String {
        let title = self
            .steps
            .iter()
            .find(|(id, _)| id == step)
            .map(|(_, title)| title.clone());
        title.unwrap_or_else(|| step.to_owned())
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
