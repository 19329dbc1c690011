//! The program: a terminal, the list of messages, an executor. The only part that knows of all three.

use std::{
    io::{self, Stdout, Write},
    panic,
    sync::{Arc, Once},
    time::Duration,
};

use ratatui::{
    Terminal, TerminalOptions, Viewport,
    backend::CrosstermBackend,
    crossterm::{
        cursor, event, execute, queue,
        terminal::{self, Clear, ClearType},
    },
    layout::Rect,
};

use crate::{
    draw::{View, draw},
    executor::{Executor, Post},
    facts::Mode,
    key::Key,
    log::Log,
    look::Look,
    message::{Effect, Line, Message},
    state::State,
    update::update,
};

/// Size where the terminal does not tell: a serial line has none (tty_ioctl(4), `TIOCGWINSZ` gives zeros).
const USUAL: (u16, u16) = (80, 24);
/// How long a key is waited for before others' messages are looked at: short enough to feel immediate.
const POLL: Duration = Duration::from_millis(40);
/// The same where nothing moved for a while: a key still counts at once, and three consoles that look 25 times a second were a
/// sixth of a processor on an idle machine, emulated; twice a second still an eighth (2026-11-30).
const STILL: Duration = Duration::from_secs(2);
/// Nothing moves that has not moved for so long, in milliseconds.
const WHILE: u64 = 5_000;
/// The kernel writes on the same line: a console that nobody touches is written anew this often, in milliseconds.
const CLEAN: u64 = 60_000;
/// A spinner turns this often; a serial line carries one sign for it.
const TURN: u64 = 250;

/// Everything the program runs with.
pub struct Program<'a> {
    /// Name of this console.
    pub console: String,
    /// What the terminal can do.
    pub look: Look,
    /// The list of messages.
    pub log: Log,
    /// What carries out effects.
    pub executor: &'a mut dyn Executor,
    /// Milliseconds of a clock that all consoles share and that never goes back.
    pub clock: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// The program shall end: it was told so by a signal.
    pub stop: &'a dyn Fn() -> bool,
    /// Messages to be played before any key counts.
    pub replay: Vec<Line>,
}

/// Runs until somebody leaves or it is told to stop. The terminal is then as it was before.
///
/// # Errors
/// If the terminal cannot be used.
pub fn run(program: Program<'_>) -> io::Result<()> {
    let mut screen = Raw::new()?;
    let mut shown = open(screen_size())?;
    let result = Loop {
        view: View {
            look: program.look,
            frame: 0,
            console: program.console.clone(),
        },
        program,
        state: State::default(),
        size: screen_size(),
    }
    .run(&mut shown, &mut screen);
    screen.restore();
    result
}

struct Loop<'a> {
    program: Program<'a>,
    state: State,
    view: View,
    size: (u16, u16),
}

type Shown = Terminal<CrosstermBackend<Stdout>>;

impl Loop<'_> {
    fn run(&mut self, shown: &mut Shown, screen: &mut Raw) -> io::Result<()> {
        let mut reader = self.program.log.reader();
        // What others did before: seen, not done again.
        for line in reader.lines() {
            update(&mut self.state, &line);
        }
        let (clock, log, console) = (
            self.program.clock.clone(),
            self.program.log.clone(),
            self.program.console.clone(),
        );
        let post: Post = Arc::new(move |message| {
            log.append(Line {
                from: console.clone(),
                at: clock(),
                message,
            });
        });
        shown.draw(|frame| draw(frame, &self.state, &self.view))?;
        let replay = std::mem::take(&mut self.program.replay);
        if !replay.is_empty() {
            self.replay(shown, replay)?;
        } else {
            let known = self.state.wizard.is_some();
            self.program.executor.begin(known, &post);
        }
        let mut drawn = u64::MAX;
        let mut cleaned = (self.program.clock)();
        let mut moved = cleaned;
        while !(self.program.stop)() {
            let mut changed = self.resized(shown)?;
            for line in reader.lines() {
                changed = true;
                let own = line.from == self.program.console;
                let effects = update(&mut self.state, &line);
                if let Some(wizard) = &self.state.wizard {
                    self.program.executor.seen(wizard.progress.lines);
                }
                for effect in effects.into_iter().filter(|_| own) {
                    if effect == Effect::Leave {
                        return Ok(());
                    }
                    self.carry_out(effect, shown, screen, &post)?;
                }
            }
            let now = (self.program.clock)();
            if self.is_console() && now.saturating_sub(cleaned) > CLEAN {
                cleaned = now;
                anew(shown, self.size)?;
                changed = true;
            }
            self.view.frame = now / TURN;
            let turning = self.turning() && self.view.frame != drawn;
            if changed || turning {
                (drawn, moved) = (self.view.frame, now);
                shown.draw(|frame| draw(frame, &self.state, &self.view))?;
            }
            let still = now.saturating_sub(moved) > WHILE;
            if event::poll(if still { STILL } else { POLL })? {
                // All that has come, so that pasted text is drawn once.
                while event::poll(Duration::ZERO)? {
                    match read(event::read()?) {
                        Some(message) => post(message),
                        None => continue,
                    }
                }
            }
        }
        Ok(())
    }

    /// Something on the screen moves.
    fn turning(&self) -> bool {
        self.state
            .wizard
            .as_ref()
            .is_none_or(|wizard| !wizard.waits.is_empty() || wizard.progress.running())
    }

    fn is_console(&self) -> bool {
        let wizard = self.state.wizard.as_ref();
        wizard.is_some_and(|wizard| wizard.facts.mode == Mode::Console)
    }

    fn resized(&mut self, shown: &mut Shown) -> io::Result<bool> {
        let size = screen_size();
        if size == self.size {
            return Ok(false);
        }
        self.size = size;
        anew(shown, size)?;
        Ok(true)
    }

    fn carry_out(
        &mut self,
        effect: Effect,
        shown: &mut Shown,
        screen: &mut Raw,
        post: &Post,
    ) -> io::Result<()> {
        if effect == Effect::Redraw {
            anew(shown, self.size)?;
        } else if effect.takes_console() {
            screen.restore();
            self.program.executor.on_console(&effect, post);
            screen.enter()?;
            anew(shown, self.size)?;
        } else {
            self.program.executor.carry_out(effect, post);
        }
        Ok(())
    }

    /// Plays a recording; long waits are shortened. Any key goes on at once, and Ctrl-C ends it.
    fn replay(&mut self, shown: &mut Shown, lines: Vec<Line>) -> io::Result<()> {
        let mut before = lines.first().map_or(0, |line| line.at);
        for line in lines {
            let wait = line.at.saturating_sub(before).min(700);
            before = line.at;
            if event::poll(Duration::from_millis(wait))?
                && read(event::read()?)
                    == Some(Message::Key {
                        key: Key::Control('c'),
                    })
            {
                return Ok(());
            }
            update(&mut self.state, &line);
            self.view.frame = line.at / TURN;
            shown.draw(|frame| draw(frame, &self.state, &self.view))?;
        }
        Ok(())
    }
}

fn open(size: (u16, u16)) -> io::Result<Shown> {
    Terminal::with_options(
        CrosstermBackend::new(io::stdout()),
        TerminalOptions {
            viewport: Viewport::Fixed(Rect::new(0, 0, size.0, size.1)),
        },
    )
}

/// An empty screen. Not `Terminal::clear` or `resize`: they ask the terminal where its cursor is and fail without an answer,
/// which a serial line may never give.
fn anew(shown: &mut Shown, size: (u16, u16)) -> io::Result<()> {
    execute!(io::stdout(), Clear(ClearType::All))?;
    *shown = open(size)?;
    Ok(())
}

fn screen_size() -> (u16, u16) {
    match terminal::window_size() {
        Ok(size) if size.columns > 0 && size.rows > 0 => {
            (size.columns.min(500), size.rows.min(200))
        }
        _ => USUAL,
    }
}

/// Raw mode and the other screen, until it is dropped. A panic restores the terminal before it is told.
struct Raw {
    active: bool,
}

impl Raw {
    fn new() -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let tell = panic::take_hook();
            panic::set_hook(Box::new(move |information| {
                leave();
                tell(information);
            }));
        });
        let mut raw = Self { active: false };
        raw.enter()?;
        Ok(raw)
    }

    fn enter(&mut self) -> io::Result<()> {
        terminal::enable_raw_mode()?;
        self.active = true;
        execute!(
            io::stdout(),
            terminal::EnterAlternateScreen,
            Clear(ClearType::All),
            cursor::Hide
        )
    }

    fn restore(&mut self) {
        if std::mem::replace(&mut self.active, false) {
            leave();
        }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.restore();
    }
}

fn leave() {
    let mut out = io::stdout();
    queue!(out, terminal::LeaveAlternateScreen, cursor::Show).ok();
    out.flush().ok();
    terminal::disable_raw_mode().ok();
}

/// A terminal's event as a message, if it means anything here.
fn read(event: event::Event) -> Option<Message> {
    use event::{Event, KeyCode, KeyEventKind, KeyModifiers};
    match event {
        Event::Paste(text) => Some(Message::Paste { text }),
        Event::Key(key) if key.kind != KeyEventKind::Release => {
            let key = match key.code {
                KeyCode::Char(letter) if key.modifiers.contains(KeyModifiers::CONTROL) => {
                    Key::Control(letter.to_ascii_lowercase())
                }
                KeyCode::Char(letter) => Key::Char(letter),
                KeyCode::F(number) => Key::F(number),
                KeyCode::Enter => Key::Enter,
                KeyCode::Esc => Key::Esc,
                KeyCode::Tab => Key::Tab,
                KeyCode::BackTab => Key::BackTab,
                KeyCode::Backspace => Key::Backspace,
                KeyCode::Delete => Key::Delete,
                KeyCode::Up => Key::Up,
                KeyCode::Down => Key::Down,
                KeyCode::Left => Key::Left,
                KeyCode::Right => Key::Right,
                KeyCode::PageUp => Key::PageUp,
                KeyCode::PageDown => Key::PageDown,
                KeyCode::Home => Key::Home,
                KeyCode::End => Key::End,
                _ => return None,
            };
            Some(Message::Key { key })
        }
        _ => None,
    }
}
