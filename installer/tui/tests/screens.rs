//! Every screen on a serial line (80x24, ASCII) and on a wide one, for small and large machines and for one with faults.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use support::play;
use tui::{Message, play::Play};

/// Screens with the keys that lead there from the start.
const WAYS: [(&str, &str); 18] = [
    ("01-welcome", ""),
    ("01-repair", "<Down><Enter>"),
    ("01-repair-review", "<Down><Enter><Enter>"),
    ("02-hardware", "2"),
    ("03-disks", "3"),
    ("03-disks-table", "3tt<Down>t"),
    ("03-disks-use", "3<Enter>"),
    ("03-disks-layout", "3l"),
    ("03-disks-lies", "3d"),
    ("04-network", "4<Down><Down>"),
    (
        "04-network-edit",
        "4<Down><Down><Down><Enter><C-u>10.0.0.300<Enter>",
    ),
    ("05-bmc", "5"),
    ("06-cluster", "6"),
    ("07-review", "7"),
    ("07-review-confirm", "7<Enter>wrong<Enter>"),
    ("07-review-dry-run", "7d"),
    ("90-help", "3?"),
    ("91-leave", "<C-c>"),
];

fn snapshots(machine: &str) {
    for (name, keys) in WAYS {
        let mut play = play(machine);
        play.keys(keys);
        both(machine, name, &play);
    }
    let mut play = play(machine);
    if play.wizard().unwrap().can_install() {
        let node = play.wizard().unwrap().node.node.clone();
        play.executor.fail_once = Some("slot-a".to_owned());
        play.held = Some(std::collections::VecDeque::new());
        play.keys("7<Enter>").keys(&node).keys("<Enter>");
        let image = play
            .held
            .as_ref()
            .unwrap()
            .iter()
            .position(|message| matches!(message, Message::Event { record, .. }
                if matches!(&record.event, run::Event::Finished { step, .. } if step.contains("array"))))
            .unwrap();
        play.release(image);
        both(machine, "08-progress", &play);
        play.release(usize::MAX);
        both(machine, "08-progress-failed", &play);
        play.keys("b<Down><Down><Down><Enter>");
        both(machine, "08-progress-code", &play);
        play.keys("<Esc>r").release(usize::MAX);
        both(machine, "09-done", &play);
    }
    let mut facts = support::facts(machine);
    facts.mode = tui::facts::Mode::Console;
    both(machine, "10-console", &Play::new(facts));
}

fn both(machine: &str, name: &str, play: &Play) {
    for (width, height) in [(80, 24), (128, 48)] {
        let text = play.text(width, height);
        for line in text.lines() {
            assert!(line.chars().count() <= width as usize);
        }
        if width == 80 {
            assert!(text.is_ascii(), "{machine} {name}\n{text}");
        }
        insta::assert_snapshot!(format!("{machine}-{name}-{width}x{height}"), text);
    }
}

#[test]
fn control() {
    snapshots("control");
}

#[test]
fn galera() {
    snapshots("galera");
}

#[test]
fn storage_36() {
    snapshots("storage-36");
}

#[test]
fn faults() {
    snapshots("faults");
}

#[test]
fn any_size() {
    for (width, height) in [
        (1, 1),
        (20, 5),
        (60, 16),
        (79, 23),
        (110, 16),
        (200, 60),
        (255, 255),
    ] {
        for (_, keys) in WAYS {
            for machine in ["control", "faults"] {
                let mut play = play(machine);
                play.keys(keys);
                assert!(!play.text(width, height).is_empty());
            }
        }
    }
}
