//! What a depot kept of an install, as a recording: the same screens that the machine's own consoles showed. The machine itself is
//! taken from the failure bundle where there is one, else an example of its role stands for it.

use std::collections::BTreeMap;

use firmware::Inventory;
use run::{Event, Record};
use serde::Deserialize;

use crate::{
    facts::Facts,
    message::{Line, Message},
};

/// Name in a bundle of what the machine was.
const INVENTORY: &str = "inventory.json";
/// Name in a bundle of what happened.
const EVENTS: &str = "events.jsonl";

/// What a report says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// In their order.
    pub events: Vec<Record>,
    /// What the machine was, if the report says it.
    pub inventory: Option<Inventory>,
}

/// A failure bundle, as the depot keeps it.
#[derive(Deserialize)]
struct Bundle {
    files: BTreeMap<String, String>,
}

impl Report {
    /// Reads the text of either kind: a failure bundle, or lines of events. What cannot be read is left out.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let Ok(bundle) = serde_json::from_str::<Bundle>(text) else {
            return Self {
                events: events(text),
                inventory: None,
            };
        };
        let file = |name: &str| bundle.files.get(name).map(String::as_str);
        Self {
            events: file(EVENTS).map_or_else(Vec::new, events),
            inventory: file(INVENTORY).and_then(|text| serde_json::from_str(text).ok()),
        }
    }

    /// It as a recording on this machine; nothing if it holds no plan: then nothing was done that could be shown.
    #[must_use]
    pub fn recording(&self, facts: Facts) -> Vec<Line> {
        let planned = |record: &Record| matches!(record.event, Event::Planned { .. });
        let Some(at) = self.events.iter().position(planned) else {
            return Vec::new();
        };
        let line = |at, message| Line {
            from: "depot".to_owned(),
            at,
            message,
        };
        let began = self.events.get(at).map_or(0, |record| record.at);
        let begin = Message::Begin {
            facts: Box::new(facts),
        };
        let happened = self
            .events
            .iter()
            .skip(at)
            .zip(0..)
            .map(|(record, number)| {
                let record = record.clone();
                line(
                    record.at,
                    Message::Event {
                        line: number,
                        record,
                    },
                )
            });
        std::iter::once(line(began, begin))
            .chain(happened)
            .collect()
    }
}

fn events(text: &str) -> Vec<Record> {
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{example, state::Screen, state::State, update::update};
    use run::Outcome;

    fn story(outcome: Outcome) -> String {
        let step = || "root".to_owned();
        let mut events = vec![
            Event::Booted {
                mode: "install".into(),
                role: "control".into(),
                version: "1".into(),
            },
            Event::Planned {
                node: "control-1".into(),
                digest: "ab".into(),
                steps: vec![(step(), "write the root image".into())],
            },
            Event::Started { step: step() },
        ];
        if outcome == Outcome::Done {
            events.push(Event::Finished {
                step: step(),
                milliseconds: 1,
            });
        } else {
            events.push(Event::Failed {
                step: step(),
                error: "disk gone".into(),
                hint: None,
            });
        }
        events.push(Event::Ended {
            outcome,
            message: "the end".into(),
        });
        events
            .into_iter()
            .zip(0..)
            .map(|(event, sequence)| {
                let record = Record {
                    sequence,
                    at: sequence * 1000,
                    event,
                };
                serde_json::to_string(&record).unwrap() + "\n"
            })
            .collect()
    }

    fn end(report: &Report) -> State {
        let (role, inventory) = example::machine("control").unwrap();
        let roles = camino::Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../../roles");
        let inventory = report.inventory.clone().unwrap_or(inventory);
        let facts = example::of_role(&role, inventory, &roles).unwrap();
        let mut state = State::default();
        for line in report.recording(facts) {
            update(&mut state, &line);
        }
        state
    }

    #[test]
    fn lines_and_bundles_are_shown_to_their_end() {
        let well = Report::read(&story(Outcome::Done));
        let state = end(&well);
        assert_eq!(state.wizard.unwrap().screen, Screen::Done);

        let (_, inventory) = example::machine("control").unwrap();
        let files = BTreeMap::from([
            (EVENTS, story(Outcome::Failed)),
            (INVENTORY, serde_json::to_string(&inventory).unwrap()),
        ]);
        let text = serde_json::json!({"summary": "x", "files": files}).to_string();
        let failed = Report::read(&text);
        assert_eq!(failed.inventory, Some(inventory));
        let wizard = end(&failed).wizard.unwrap();
        assert_eq!(wizard.screen, Screen::Progress);
        assert_eq!(wizard.progress.failure.unwrap().error, "disk gone");
    }

    #[test]
    fn nothing_that_could_be_shown() {
        let (role, inventory) = example::machine("control").unwrap();
        let roles = camino::Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../../roles");
        let facts = example::of_role(&role, inventory, &roles).unwrap();
        for text in ["", "{}", "x\ny\n", "{\"files\": {}}", "{\"files\": 1}"] {
            assert_eq!(Report::read(text).recording(facts.clone()), [], "{text}");
        }
    }
}
