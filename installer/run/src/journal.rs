//! The journal: records as JSON lines, appended so that a power cut costs at most the last line.

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use system::{System, SystemError};

use crate::{
    event::{Event, Record},
    stream::Stream,
};

/// This boot's journal.
pub const RUN: &str = "/run/rackwright/events.jsonl";
/// File name below the state file system.
pub const STATE: &str = "journal.jsonl";

/// Appends records to one file.
#[derive(Debug)]
pub struct Journal {
    path: Utf8PathBuf,
    stream: Stream,
}

impl Journal {
    /// Goes on with a file, or begins it. A torn last line is ended, so that the next one stands alone.
    pub fn open(system: &dyn System, path: &Utf8Path, now: Duration) -> Result<Self, SystemError> {
        match system.read(path) {
            Ok(content) if !content.is_empty() && !content.ends_with(b"\n") => {
                system.append(path, b"\n")?;
            }
            Ok(_) => {}
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
        Ok(Self {
            path: path.to_owned(),
            stream: Stream::new(now),
        })
    }

    /// Appends one event. Progress is not kept: it says nothing once the step is over, and costs a write to the medium.
    pub fn append(&mut self, system: &dyn System, event: &Event) -> Result<(), SystemError> {
        if matches!(event, Event::Progress { .. }) {
            return Ok(());
        }
        let record = self.stream.record(system.now(), event.clone());
        system.append(&self.path, line(&record).as_bytes())
    }
}

/// One record as a JSON line, with its line end.
pub fn line(record: &Record) -> String {
    let mut text = serde_json::to_string(record).unwrap_or_default();
    text.push('\n');
    text
}

/// The records of a journal; lines that are torn or not understood are left out.
pub fn parse(text: &str) -> Vec<Record> {
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// Steps that ended well since the plan with this digest was last begun; empty if the last plan begun is another one.
pub fn finished(records: &[Record], digest: &str) -> Vec<String> {
    let mut steps = Vec::new();
    let mut ours = false;
    for record in records {
        match &record.event {
            Event::Planned { digest: other, .. } => {
                // A resumed run says `Planned` again; what was finished before stays finished.
                if other != digest {
                    steps.clear();
                }
                ours = other == digest;
            }
            Event::Finished { step, .. } if ours && !steps.contains(step) => {
                steps.push(step.clone());
            }
            // Begun again: not finished any more.
            Event::Started { step } if ours => steps.retain(|other| other != step),
            _ => {}
        }
    }
    if ours { steps } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use system::Simulated;

    use super::*;

    fn events() -> Vec<Event> {
        let planned = |digest: &str| Event::Planned {
            node: "n".into(),
            digest: digest.into(),
            steps: vec![],
        };
        let started = |step: &str| Event::Started { step: step.into() };
        let finished = |step: &str| Event::Finished {
            step: step.into(),
            milliseconds: 1,
        };
        vec![
            planned("old"),
            started("01"),
            finished("01"),
            planned("new"),
            started("01"),
            finished("01"),
            started("02"),
            finished("02"),
            planned("new"),
            started("02"),
        ]
    }

    #[test]
    fn only_steps_finished_under_this_plan_count() {
        let mut stream = Stream::new(Duration::ZERO);
        let records: Vec<Record> = events()
            .into_iter()
            .map(|event| stream.record(Duration::ZERO, event))
            .collect();
        assert_eq!(finished(&records[..7], "new"), ["01"]);
        assert_eq!(finished(&records[..8], "new"), ["01", "02"]);
        assert_eq!(finished(&records, "new"), ["01"]);
        assert!(finished(&records, "old").is_empty());
        assert!(finished(&records, "other").is_empty());
    }

    #[test]
    fn a_torn_line_costs_only_itself() {
        let system = Simulated::new();
        let path = Utf8Path::new("/run/journal");
        let mut journal = Journal::open(&system, path, Duration::ZERO).unwrap();
        for event in &events() {
            journal.append(&system, event).unwrap();
        }
        let whole = system.read(path).unwrap();
        for cut in 0..=whole.len() {
            system.write(path, &whole[..cut], 0o600).unwrap();
            let mut journal = Journal::open(&system, path, Duration::ZERO).unwrap();
            journal.append(&system, &events()[0]).unwrap();
            let text = String::from_utf8(system.read(path).unwrap()).unwrap();
            let before = whole[..cut].iter().filter(|byte| **byte == b'\n').count();
            let read = parse(&text).len();
            // A cut right before the line end leaves a whole line.
            assert!(
                read == before + 1 || read == before + 2,
                "{cut}: {read} of {before}"
            );
        }
    }
}
