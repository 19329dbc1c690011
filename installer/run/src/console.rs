//! The plain front end: events as lines on every console, and as JSON lines in files and ports.

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use system::System;

use crate::{
    event::{Event, Outcome, Record},
    journal,
    stream::Stream,
};

/// Where lines go: the screen and both serial ports. Serial over LAN is ttyS1 on the X10 boards.
pub const CONSOLES: [&str; 3] = ["/dev/tty1", "/dev/ttyS0", "/dev/ttyS1"];
/// A port of the hypervisor, if there is one.
pub const PORT: &str = "/dev/virtio-ports/org.rackwright.events";
/// Progress lines come at most this often: a serial line is slow, and its reader is a person.
const PROGRESS: Duration = Duration::from_secs(5);

/// Somebody else who is told.
type Teller<'a> = Box<dyn FnMut(&Record) + 'a>;

/// Writes events to consoles, port and the journal of this boot. Nothing here can fail an install.
pub struct Consoles<'a> {
    system: &'a dyn System,
    consoles: Vec<Utf8PathBuf>,
    stream: Stream,
    lines: Lines,
    /// Gets each record, too.
    also: Option<Teller<'a>>,
}

impl<'a> Consoles<'a> {
    /// To all consoles of this machine.
    pub fn new(system: &'a dyn System) -> Self {
        Self::on(system, &CONSOLES)
    }

    /// To these consoles.
    pub fn on(system: &'a dyn System, consoles: &[&str]) -> Self {
        if let Some(directory) = Utf8Path::new(journal::RUN).parent() {
            system.make_directory(directory).ok();
        }
        Self {
            system,
            consoles: consoles.iter().map(Utf8PathBuf::from).collect(),
            stream: Stream::new(system.now()),
            lines: Lines::default(),
            also: None,
        }
    }

    /// Tells each record to somebody else, too.
    pub fn also(&mut self, tell: impl FnMut(&Record) + 'a) {
        self.also = Some(Box::new(tell));
    }

    /// Tells one event, and gives back its record.
    pub fn tell(&mut self, event: Event) -> Record {
        let record = self.stream.record(self.system.now(), event);
        let json = journal::line(&record);
        self.system
            .append(Utf8Path::new(journal::RUN), json.as_bytes())
            .ok();
        if self.system.exists(Utf8Path::new(PORT)) {
            self.system.emit(Utf8Path::new(PORT), json.as_bytes());
        }
        if let Some(also) = &mut self.also {
            also(&record);
        }
        for line in self.lines.of(&record) {
            self.say(&line);
        }
        record
    }

    /// Writes a line of text to all consoles.
    pub fn say(&self, text: &str) {
        for console in &self.consoles {
            for line in text.lines() {
                // A console may be in raw mode: without the carriage return lines run down like stairs.
                self.system.emit(console, format!("{line}\r\n").as_bytes());
            }
        }
    }
}

/// Turns records into lines for people; a fold, as every front end.
#[derive(Debug, Default)]
pub struct Lines {
    steps: Vec<(String, String)>,
    progress: Option<u64>,
}

impl Lines {
    /// The lines of one record; progress that came too soon after the last gives none.
    pub fn of(&mut self, record: &Record) -> Vec<String> {
        let at = format!("[{:>5}.{}]", record.at / 1000, record.at % 1000 / 100);
        let line = |text: String| text.lines().map(|line| format!("{at} {line}")).collect();
        match &record.event {
            Event::Booted {
                mode,
                role,
                version,
            } => line(format!("rackwright {version}: role {role}, mode {mode}")),
            Event::Planned {
                node,
                digest,
                steps,
            } => {
                self.steps.clone_from(steps);
                line(format!(
                    "plan for {node}: {} steps, digest {digest}",
                    steps.len()
                ))
            }
            Event::Started { step } => {
                self.progress = Some(record.at);
                line(format!("{} ...", self.title(step)))
            }
            Event::Progress {
                step,
                done,
                total,
                unit,
            } => {
                let due = self.progress.is_none_or(|last| {
                    u128::from(record.at.saturating_sub(last)) >= PROGRESS.as_millis()
                });
                if !due {
                    return Vec::new();
                }
                self.progress = Some(record.at);
                let percent = done.saturating_mul(100).checked_div(*total).unwrap_or(0);
                line(format!(
                    "{}: {percent} % ({done} of {total} {unit})",
                    self.title(step)
                ))
            }
            Event::Retrying {
                step,
                attempt,
                reason,
            } => line(format!("{}: attempt {attempt}: {reason}", self.title(step))),
            Event::Warned { message, .. } => line(format!("warning: {message}")),
            Event::Skipped { step, reason } => {
                line(format!("{}: skipped, {reason}", self.title(step)))
            }
            Event::Finished { step, milliseconds } => {
                let seconds = format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100);
                line(format!("{}: done in {seconds}", self.title(step)))
            }
            Event::Failed { step, error, hint } => {
                let mut text = format!("{}: FAILED\nerror: {error}", self.title(step));
                if let Some(hint) = hint {
                    text.push_str(&format!("\nhint: {hint}"));
                }
                line(text)
            }
            Event::Ended { outcome, message } => {
                let word = match outcome {
                    Outcome::Done => "DONE",
                    Outcome::Failed => "FAILED",
                    Outcome::Cancelled => "CANCELLED",
                    Outcome::Refused => "REFUSED",
                };
                line(format!("{word}: {message}"))
            }
            Event::Health { healthy, .. } => line(format!(
                "health: {}",
                if *healthy { "healthy" } else { "NOT HEALTHY" }
            )),
            Event::Unknown => Vec::new(),
        }
    }

    fn title(&self, step: &str) -> String {
        let index = self.steps.iter().position(|(id, _)| id == step);
        match index {
            Some(index) => format!(
                "[{}/{}] {}",
                index + 1,
                self.steps.len(),
                self.steps[index].1
            ),
            None => step.to_owned(),
        }
    }
}
