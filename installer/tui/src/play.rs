//! A session without a terminal: keys in, state and effects out. For tests, screenshots and anybody who asks "what if".

use std::collections::VecDeque;

use crate::{
    draw::View,
    facts::Facts,
    key::Key,
    look::Look,
    message::{Effect, Line, Message},
    screenshot,
    simulated::Simulated,
    state::{State, Wizard},
    update::update,
};

/// The session.
pub struct Play {
    /// The state.
    pub state: State,
    /// What carries out effects, at once.
    pub executor: Simulated,
    /// All effects so far.
    pub effects: Vec<Effect>,
    /// All lines so far: a recording.
    pub lines: Vec<Line>,
    /// Answers that are held back.
    pub held: Option<VecDeque<Message>>,
    now: u64,
}

/// The console that keys come from.
pub const CONSOLE: &str = "ttyS1";

impl Play {
    /// Begins with these facts.
    #[must_use]
    pub fn new(facts: Facts) -> Self {
        let mut play = Self {
            state: State::default(),
            executor: Simulated::new(facts.clone()),
            effects: Vec::new(),
            lines: Vec::new(),
            held: None,
            now: 0,
        };
        play.take(Message::Begin {
            facts: Box::new(facts),
        });
        play
    }

    /// Presses the keys of a key string ([`Key::parse`]).
    pub fn keys(&mut self, keys: &str) -> &mut Self {
        for key in Key::parse(keys) {
            self.take(Message::Key { key });
        }
        self
    }

    /// Takes a message from this console, and all that follows from it.
    pub fn take(&mut self, message: Message) -> &mut Self {
        self.take_from(CONSOLE, message)
    }

    /// Takes a message from any console.
    pub fn take_from(&mut self, console: &str, message: Message) -> &mut Self {
        let mut open = VecDeque::from([message]);
        while let Some(message) = open.pop_front() {
            self.now += 100;
            let line = Line {
                from: console.to_owned(),
                at: self.now,
                message,
            };
            let effects = update(&mut self.state, &line);
            self.lines.push(line);
            for effect in effects {
                let answers = self.executor.answer(&effect).into_iter();
                self.effects.push(effect);
                match &mut self.held {
                    Some(held) => held.extend(answers.map(|(_, message)| message)),
                    None => open.extend(answers.map(|(_, message)| message)),
                }
            }
        }
        self
    }

    /// Lets so many of the held answers come.
    pub fn release(&mut self, most: usize) -> &mut Self {
        for _ in 0..most {
            let Some(message) = self.held.as_mut().and_then(VecDeque::pop_front) else {
                break;
            };
            self.take(message);
        }
        self
    }

    /// The wizard, if there is one yet.
    #[must_use]
    pub fn wizard(&self) -> Option<&Wizard> {
        self.state.wizard.as_deref()
    }

    /// The screen as text.
    #[must_use]
    pub fn text(&self, width: u16, height: u16) -> String {
        let look = if width < 100 { Look::PLAIN } else { Look::FULL };
        screenshot::text(&screenshot::buffer(&self.state, &view(look), width, height))
    }
}

/// A console of this look.
#[must_use]
pub fn view(look: Look) -> View {
    View {
        look,
        frame: 0,
        console: CONSOLE.to_owned(),
    }
}
