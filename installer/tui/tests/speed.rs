//! Redrawing costs little: 36 disks of two paths each, on the largest screen. The bound is for an unoptimised build on a busy
//! machine; docs/performance.md has the figures of an optimised one.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::time::{Duration, Instant};

use ratatui::{Terminal, backend::TestBackend};
use support::play;
use tui::{Look, draw};

#[test]
fn a_redraw_of_72_paths() {
    let mut play = play("storage-36");
    for (keys, name) in [
        ("3", "disks"),
        ("t", "table"),
        ("7", "review"),
        ("2", "hardware"),
    ] {
        play.keys(keys);
        let mut terminal = Terminal::new(TestBackend::new(128, 48)).unwrap();
        let view = tui::play::view(Look::FULL);
        let mut best = Duration::MAX;
        for _ in 0..20 {
            let began = Instant::now();
            terminal
                .draw(|frame| draw(frame, &play.state, &view))
                .unwrap();
            best = best.min(began.elapsed());
        }
        println!("{name}: {} us", best.as_micros());
        assert!(best < Duration::from_millis(60), "{name}: {best:?}");
    }
}
