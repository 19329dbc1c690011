//! The board on a terminal and as a page, for one rack.

use std::collections::BTreeMap;

use board::terminal::{Effect, Message, State, draw};
use board::{figures, page};
use depot::view::{Machine, Permit, Phase, Place, Rack, Report, Step, Stranger};
use ratatui::{Terminal, backend::TestBackend};
use tui::look::Look;

fn machine(node: &str, role: &str, unit: u16, phase: Phase) -> Machine {
    Machine {
        node: node.into(),
        role: role.into(),
        place: (unit > 0).then(|| Place {
            rack: "rack1".into(),
            unit,
            height: 1,
        }),
        board: Some(format!("ZM15S{unit:04}")),
        phase,
        permit: None,
        step: None,
        line: None,
        warnings: Vec::new(),
        heard: None,
        reports: Vec::new(),
        unwell: BTreeMap::new(),
    }
}

fn rack() -> Rack {
    let permit = |spent| Permit {
        id: "999-0a1b2c3d4e5f".into(),
        keep_data: true,
        expires: 4600,
        spent,
    };
    Rack {
        cluster: "mail.example".into(),
        revision: 7,
        now: 1000,
        machines: vec![
            machine("control-1", "control", 1, Phase::Healthy),
            Machine {
                step: Some(Step {
                    number: 5,
                    of: 16,
                    title: "write the root image to slot a".into(),
                    percent: 27,
                }),
                line: Some("write the root image to slot a".into()),
                permit: Some(permit(Some(940))),
                heard: Some(998),
                warnings: vec!["the clock was 437 h off and is set to the depot's".into()],
                ..machine("storage-1", "storage", 10, Phase::Installing)
            },
            Machine {
                line: Some("partition disk wwn-0x5000: it is gone <b>".into()),
                reports: vec![Report {
                    name: "998-aa.bundle.json".into(),
                    at: 999,
                    summary: "the install failed".into(),
                    failed: true,
                    size: 1,
                }],
                ..machine("db-1", "galera", 4, Phase::Failed)
            },
            Machine {
                permit: Some(permit(None)),
                line: Some("waits for the machine to say hello".into()),
                ..machine("db-2", "galera", 5, Phase::Armed)
            },
            machine("lb-1", "lb", 0, Phase::New),
        ],
        strangers: vec![Stranger {
            fingerprint: "abcd-efgh-ijkl-mnop-qrst".into(),
            board: Some("ZM15S0005".into()),
            addresses: vec!["02:00:00:00:00:01".into()],
            from: "10.77.10.99".into(),
            guess: Some("db-2".into()),
            heard: 999,
        }],
    }
}

fn shown(state: &State, look: Look, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, state, look)).unwrap();
    terminal.backend().to_string()
}

#[test]
fn on_a_terminal() {
    let mut state = State::default();
    state.take(Message::Rack(rack()));
    insta::assert_snapshot!("plain_80x24", shown(&state, Look::PLAIN, 80, 24));
    insta::assert_snapshot!("full_128x48", shown(&state, Look::FULL, 128, 48));
    state.take(Message::Move(1));
    state.take(Message::Arm);
    for letter in "db".chars() {
        state.take(Message::Type(letter));
    }
    insta::assert_snapshot!("arm_80x24", shown(&state, Look::PLAIN, 80, 24));
    // Any size is drawn.
    for (width, height) in [(1, 1), (10, 4), (40, 12), (300, 100)] {
        shown(&state, Look::FULL, width, height);
    }
}

#[test]
fn arming_needs_the_whole_name() {
    let mut state = State::default();
    state.take(Message::Rack(rack()));
    assert_eq!(state.selected.as_deref(), Some("storage-1"));
    state.take(Message::Move(1));
    assert_eq!(state.selected.as_deref(), Some("db-2"));
    let type_in = |text: &str, state: &mut State| {
        for letter in text.chars() {
            assert_eq!(state.take(Message::Type(letter)), None);
        }
        state.take(Message::Enter)
    };
    state.take(Message::Arm);
    assert_eq!(type_in("db-", &mut state), None);
    assert!(state.told.as_deref().unwrap().contains("nothing was done"));
    state.take(Message::Arm);
    assert_eq!(
        type_in("db-2", &mut state),
        Some(Effect::Arm("db-2".into()))
    );
    state.take(Message::Approve);
    assert_eq!(type_in("nobody", &mut state), None);
    state.take(Message::Approve);
    assert_eq!(
        type_in("db-2", &mut state),
        Some(Effect::Approve(
            "db-2".into(),
            "abcd-efgh-ijkl-mnop-qrst".into()
        ))
    );
    // Without a question keys of an answer do nothing.
    assert_eq!(state.take(Message::Enter), None);
    assert_eq!(
        state.take(Message::Disarm),
        Some(Effect::Disarm("db-2".into()))
    );
}

#[test]
fn as_a_page() {
    let text = page::render("board.html", &rack()).unwrap();
    insta::assert_snapshot!("part", page::render("part.html", &rack()).unwrap());
    assert!(text.contains("it is gone &lt;b&gt;") && !text.contains("gone <b>"));
    for elsewhere in ["http://", "https://", "//cdn", "@import", "url("] {
        assert!(!text.contains(elsewhere), "{elsewhere}");
    }
    insta::assert_snapshot!("figures", figures::text(&rack()));
}

/// A thousand machines are drawn before anybody waits for them.
#[test]
fn a_thousand_machines() {
    let mut rack = rack();
    let one = rack.machines[1].clone();
    rack.machines = (0..1000_u16)
        .map(|number| Machine {
            node: format!("node-{number}"),
            place: Some(Place {
                rack: format!("rack{}", number / 25),
                unit: number % 25 + 1,
                height: 1,
            }),
            ..one.clone()
        })
        .collect();
    let mut state = State::default();
    state.take(Message::Rack(rack.clone()));
    let began = std::time::Instant::now();
    shown(&state, Look::PLAIN, 128, 48);
    let drawn = began.elapsed();
    let began = std::time::Instant::now();
    let page = page::render("part.html", &rack).unwrap();
    let rendered = began.elapsed();
    assert!(page.len() > 100_000);
    // Without optimisation, on a busy machine.
    assert!(drawn.as_millis() < 500, "{drawn:?}");
    assert!(rendered.as_secs() < 2, "{rendered:?}");
}
