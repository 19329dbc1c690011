//! Whoever sits at the depot: the board on a terminal, or lines where there is none; and news for a webhook.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use board::hook::{Hook, News};
use board::terminal::Effect;
use board::words;
use depot::store::Store;
use tui::look::Look;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(500);
/// A permit that is armed at the board.
const HOUR: u64 = 3600;

/// The board, until somebody leaves it.
pub fn board(store: &Store) {
    let variable = |name: &str| std::env::var(name).ok();
    let language = variable("LC_ALL")
        .or_else(|| variable("LC_CTYPE"))
        .or_else(|| variable("LANG"));
    let look = Look::detect(
        variable("TERM").as_deref(),
        language.as_deref(),
        variable("NO_COLOR").is_some(),
    );
    let ended = board::terminal::run(look, &|| store.rack(authority::now()), &|effect| {
        act(store, &effect).unwrap_or_else(|message| message.lines().collect::<Vec<_>>().join(" "))
    });
    if let Err(error) = ended {
        tracing::warn!("the board ended: {error:#}");
    }
}

fn act(store: &Store, effect: &Effect) -> Result<String, String> {
    let now = authority::now();
    match effect {
        Effect::Arm(node) => depot::admin::arm(store, node, false, HOUR, false)
            .map(|permit| format!("{node} may be installed once: permit {}", permit.id)),
        Effect::Disarm(node) => store
            .disarm(now, node)
            .map(|()| format!("{node} may not be installed"))
            .map_err(|error| error.to_string()),
        Effect::Approve(node, fingerprint) => store
            .approve(now, node, fingerprint)
            .map(|()| format!("{node} goes on"))
            .map_err(|error| error.to_string()),
    }
}

/// Lines on standard error, for as long as the process lives: a fold over what the depot shows.
pub fn lines(store: &Store) {
    let mut last: BTreeMap<String, String> = BTreeMap::new();
    loop {
        let rack = store.rack(authority::now());
        for machine in &rack.machines {
            let line = format!(
                "{:12} {:10} {}",
                machine.node,
                words::phase(machine.phase),
                machine.line.as_deref().unwrap_or_default()
            );
            let line = line.trim_end().to_owned();
            let before = last.insert(machine.node.clone(), line.clone());
            if before.is_some_and(|before| before != line) {
                say(&line);
            }
        }
        for stranger in &rack.strangers {
            let guess = stranger.guess.as_deref();
            let line = format!(
                "a machine waits: {} (board {}, from {}){}",
                stranger.fingerprint,
                stranger.board.as_deref().unwrap_or("unknown"),
                stranger.from,
                guess.map_or_else(String::new, |guess| format!(", may be {guess}"))
            );
            let before = last.insert(stranger.fingerprint.clone(), line.clone());
            if before.as_ref() != Some(&line) {
                say(&line);
            }
        }
        std::thread::sleep(PAUSE);
    }
}

/// Who goes away without reading is no reason to stop.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Tells the webhook, if there is one, for as long as the process lives.
pub fn news(store: &Store, hook: Option<&Hook>) {
    loop {
        let news = store.news();
        if let Some(hook) = hook.filter(|_| !news.is_empty()) {
            let rack = store.rack(authority::now());
            for (node, phase) in news {
                let machine = rack.machines.iter().find(|machine| machine.node == node);
                let line = machine.and_then(|machine| machine.line.clone());
                hook.tell(News::new(&rack.cluster, &node, phase, line));
            }
        }
        std::thread::sleep(PAUSE);
    }
}
