//! The loop: keys and the depot's news in, frames out. The terminal is as it was when it ends.

use std::io::stdout;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use depot::view::Rack;
use ratatui::{
    Terminal,
    backend::CrosstermBackend,
    crossterm::{
        cursor,
        event::{self, Event},
        execute,
        terminal::{self, EnterAlternateScreen, LeaveAlternateScreen},
    },
};
use tui::look::Look;

use super::draw::draw;
use super::keys;
use super::state::{Effect, Message, State};

/// How long a key is waited for.
const POLL: Duration = Duration::from_millis(100);
/// Between two looks at the depot: times pass without news, too.
const LOOK: Duration = Duration::from_millis(500);

/// Gives the terminal back.
struct Guard;

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = execute!(stdout(), LeaveAlternateScreen, cursor::Show);
        let _ = terminal::disable_raw_mode();
    }
}

/// Shows the board until somebody leaves. `rack`: the depot's newest word. `act`: does what was wished, and says what became of
/// it.
///
/// # Errors
/// The terminal cannot be used.
pub fn run(look: Look, rack: &dyn Fn() -> Rack, act: &dyn Fn(Effect) -> String) -> Result<()> {
    terminal::enable_raw_mode().context("the terminal cannot be used")?;
    let _guard = Guard;
    execute!(stdout(), EnterAlternateScreen)?;
    let mut terminal = Terminal::new(CrosstermBackend::new(stdout()))?;
    let mut state = State::default();
    let mut looked: Option<Instant> = None;
    loop {
        if looked.is_none_or(|at| at.elapsed() > LOOK) {
            state.take(Message::Rack(rack()));
            looked = Some(Instant::now());
        }
        terminal.draw(|frame| draw(frame, &state, look))?;
        if !event::poll(POLL)? {
            continue;
        }
        if let Event::Key(key) = event::read()? {
            match keys::message(&state, key) {
                Err(()) => return Ok(()),
                Ok(Some(message)) => {
                    if let Some(effect) = state.take(message) {
                        state.take(Message::Told(act(effect)));
                        looked = None;
                    }
                }
                Ok(None) => {}
            }
        }
    }
}
