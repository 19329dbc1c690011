//! Recordings and reports: played on the installer's screens, whoever made them.

use std::sync::OnceLock;

use camino::Utf8Path;
use tui::report::Report;
use tui::{Facts, Line, Look, Message, State, View, example, key::Key, log, screenshot, update};

use crate::samples;

/// The machine that they are played on.
fn facts() -> Option<Facts> {
    static FACTS: OnceLock<Option<Facts>> = OnceLock::new();
    let make = || {
        let roles = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../../roles");
        let (role, inventory) = example::machine("control")?;
        example::of_role(&role, inventory, &roles).ok()
    };
    FACTS.get_or_init(make).clone()
}

fn play(lines: impl IntoIterator<Item = Line>) {
    let mut state = State::default();
    for line in lines {
        let _ = update(&mut state, &line);
    }
    let view = View {
        look: Look::PLAIN,
        frame: 0,
        console: "ttyS1".to_owned(),
    };
    let _ = screenshot::buffer(&state, &view, 80, 24);
}

/// A recording: after a machine was looked at, and without.
pub(crate) fn recording(bytes: &[u8]) {
    let lines = log::parse(&String::from_utf8_lossy(bytes));
    play(lines.clone());
    if let Some(facts) = facts() {
        let begin = Line {
            from: "ttyS1".to_owned(),
            at: 0,
            message: Message::Begin {
                facts: Box::new(facts),
            },
        };
        play(std::iter::once(begin).chain(lines));
    }
}

pub(crate) fn recordings() -> Vec<Vec<u8>> {
    let line = |message| Line {
        from: "ttyS1".to_owned(),
        at: 5,
        message,
    };
    let keys = Key::parse("<Enter>nnnn?<Esc>nn<Enter>abc<Enter>");
    let text = keys
        .into_iter()
        .filter_map(|key| serde_json::to_string(&line(Message::Key { key })).ok())
        .collect::<Vec<_>>()
        .join("\n");
    let mut all = vec![text.into_bytes()];
    all.extend(samples(&[
        r#"{"from": "a", "at": 1, "message": {"is": "event", "line": 0, "record": {"sequence": 0, "at": 0, "event": "planned", "node": "a", "digest": "b", "steps": [["x", "X"]]}}}
{"from": "a", "at": 2, "message": {"is": "event", "line": 1, "record": {"sequence": 1, "at": 9, "event": "failed", "step": "x", "error": "e", "hint": "h"}}}
{"from": "a", "at": 3, "message": {"is": "done", "what": "start", "good": false, "text": "t"}}
{"from": "a", "at": 4, "message": {"is": "journal", "lines": ["x"]}}
{"from": "a", "at": 5, "message": {"is": "paste", "text": "x"}}
{"from": "a", "at": 6, "message": {"is": "status", "status": {}}}"#,
    ]));
    all
}

/// A report that a depot keeps: what a machine said of itself.
pub(crate) fn report(bytes: &[u8]) {
    let report = Report::read(&String::from_utf8_lossy(bytes));
    if let Some(facts) = facts() {
        play(report.recording(facts));
    }
}

pub(crate) fn reports() -> Vec<Vec<u8>> {
    samples(&[
        r#"{"sequence": 0, "at": 0, "event": "planned", "node": "a", "digest": "b", "steps": [["x", "X"], ["y", "Y"]]}
{"sequence": 1, "at": 5, "event": "started", "step": "x"}
{"sequence": 2, "at": 6, "event": "progress", "step": "x", "done": 5, "total": 10, "unit": "bytes"}
{"sequence": 3, "at": 7, "event": "finished", "step": "x", "milliseconds": 5}
{"sequence": 4, "at": 8, "event": "ended", "outcome": "done", "message": "m"}"#,
        r#"{"summary": "x", "files": {"inventory.json": "{}", "events.jsonl": "{\"sequence\": 0, \"at\": 0, \"event\": \"planned\", \"node\": \"a\", \"digest\": \"b\", \"steps\": []}"}}"#,
    ])
}
