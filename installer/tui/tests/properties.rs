//! Any keys on any machine: nothing panics, nothing is carried out without the typed name, and what is carried out is what
//! Review showed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use proptest::prelude::*;
use support::facts;
use tui::{Effect, Key, Message, State, message::Line, proposal, state::Popup, update};

fn key() -> impl Strategy<Value = Key> {
    prop_oneof![
        4 => prop::sample::select(vec![
            Key::Enter, Key::Enter, Key::Esc, Key::Up, Key::Down, Key::Left, Key::Right, Key::Tab, Key::Home, Key::End,
            Key::PageUp, Key::PageDown, Key::Backspace, Key::Delete, Key::BackTab, Key::F(1), Key::F(12),
        ]),
        3 => prop::sample::select("1234567nulbtdgxrwpihjkq?!R ".chars().collect::<Vec<_>>()).prop_map(Key::Char),
        1 => any::<char>().prop_map(Key::Char),
        1 => prop::sample::select("acelrtuw".chars().collect::<Vec<_>>()).prop_map(Key::Control),
    ]
}

/// Keys, or the whole name at once: chance never types it.
#[derive(Debug, Clone)]
enum Move {
    Key(Key),
    Name,
    Lose(usize),
    Fail,
    Paste(String),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        40 => key().prop_map(Move::Key),
        2 => Just(Move::Name),
        1 => (0..8_usize).prop_map(Move::Lose),
        1 => Just(Move::Fail),
        1 => ".{0,40}".prop_map(Move::Paste),
    ];
    prop::collection::vec(one, 1..120)
}

fn check(machine: &str, moves: &[Move]) -> Result<(), TestCaseError> {
    let facts = facts(machine);
    let mut state = State::default();
    let mut executor = tui::simulated::Simulated::new(facts.clone());
    let mut open: std::collections::VecDeque<Message> = [Message::Begin {
        facts: Box::new(facts.clone()),
    }]
    .into();
    let mut moves = moves.iter();
    let mut at = 0;
    let mut allowed: Option<String> = None;
    loop {
        let Some(message) = open.pop_front() else {
            match moves.next() {
                None => return Ok(()),
                Some(Move::Key(key)) => open.push_back(Message::Key { key: *key }),
                Some(Move::Name) => {
                    let name = state.wizard.as_ref().unwrap().word().to_owned();
                    open.extend(name.chars().map(|letter| Message::Key {
                        key: Key::Char(letter),
                    }));
                    open.push_back(Message::Key { key: Key::Enter });
                }
                Some(Move::Lose(number)) => {
                    let mut inventory = facts.inventory.clone();
                    if *number < inventory.disks.len() {
                        inventory.disks.remove(*number);
                    }
                    open.push_back(Message::Probed {
                        inventory: Box::new(inventory),
                    });
                }
                Some(Move::Fail) => executor.fail_once = Some("wipe".into()),
                Some(Move::Paste(text)) => open.push_back(Message::Paste { text: text.clone() }),
            }
            continue;
        };
        // What the screen shows before the key: the question, what was typed, and the plan below it.
        let (shown, asked) = match &state.wizard {
            None => (String::new(), None),
            Some(wizard) => (
                wizard.proposal.digest.clone(),
                match &wizard.popup {
                    Some(Popup::Confirm {
                        word,
                        input,
                        digest,
                        ..
                    }) if input.value().trim() == word => {
                        prop_assert_eq!(wizard.word(), word);
                        Some(digest.clone())
                    }
                    _ => None,
                },
            ),
        };
        let enter = matches!(message, Message::Key { key: Key::Enter });
        at += 50;
        let line = Line {
            from: "tty1".into(),
            at,
            message,
        };
        let effects = update(&mut state, &line);
        for effect in effects {
            if let Effect::Install { digest, .. }
            | Effect::Decommission { digest, .. }
            | Effect::Repair { digest, .. } = &effect
            {
                if enter && asked.as_ref() == Some(digest) {
                    allowed = Some(digest.clone());
                }
                // Either the name was typed just now, or this very plan is tried again.
                prop_assert_eq!(allowed.as_ref(), Some(digest));
                prop_assert_eq!(&shown, digest);
            }
            if let Effect::Install { node, digest } = &effect {
                let node = roles::parse::node_file("node", node, Some(&support::ROLES));
                let node = node.map_err(|wrong| TestCaseError::fail(wrong.to_string()))?;
                let mut now = facts.clone();
                now.inventory = state.wizard.as_ref().unwrap().facts.inventory.clone();
                prop_assert_eq!(&proposal::propose(&now, &node).digest, digest);
            }
            open.extend(
                executor
                    .answer(&effect)
                    .into_iter()
                    .map(|(_, message)| message),
            );
        }
        // Drawing never panics either; every message would take minutes.
        if at % 700 == 0 {
            for (width, height) in [(80, 24), (128, 48), (61, 17)] {
                let buffer = tui::screenshot::buffer(
                    &state,
                    &tui::play::view(tui::Look::PLAIN),
                    width,
                    height,
                );
                prop_assert_eq!(buffer.area.width, width);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_keys(machine in prop::sample::select(tui::example::names().collect::<Vec<_>>()), moves in moves()) {
        check(machine, &moves)?;
    }
}

/// The test above can fail: typing the name does lead to an install.
#[test]
fn the_name_leads_on() {
    let mut play = support::play("control");
    play.keys("7<Enter>control-1<Enter>");
    assert!(play.effects.iter().any(Effect::destroys));
}
