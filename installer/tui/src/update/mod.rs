//! The only place where the state changes: a state and a message in, effects out. No clock, no file, no process.

mod input;
mod popup;
mod questions;
mod screens;

use crate::{
    facts::Mode,
    key::Key,
    keymap::Action,
    message::{Effect, Line, Message, Wait},
    state::{Notice, Screen, State, Wizard},
    text,
};

/// Takes a message. The effects are for the console that the message came from; all others only see what follows.
pub fn update(state: &mut State, line: &Line) -> Vec<Effect> {
    state.now = line.at;
    if let Message::Begin { facts } = &line.message {
        // A console that starts later than the others reads what they began with.
        if state.wizard.is_some() {
            return Vec::new();
        }
        let mut wizard = Wizard::new((**facts).clone());
        let effects = match wizard.facts.mode {
            Mode::Install => Vec::new(),
            Mode::Console => wizard.wait(Wait::Status, line.at, Effect::Status),
        };
        state.wizard = Some(Box::new(wizard));
        return effects;
    }
    let Some(wizard) = &mut state.wizard else {
        if let Message::Stuck { text } = &line.message {
            state.stuck = Some(text.clone());
        }
        // While the machine is looked at for the first time there is one thing to do.
        return match line.message {
            Message::Key {
                key: Key::Control('c') | Key::Char('q'),
            } => vec![Effect::Leave],
            Message::Key {
                key: Key::F(12) | Key::Char('!'),
            } => vec![Effect::Shell],
            _ => Vec::new(),
        };
    };
    match &line.message {
        Message::Key { key } => {
            let holder = state.keyboard.get_or_insert_with(|| line.from.clone());
            if *holder != line.from {
                if crate::keymap::meaning(wizard.screen, *key) == Some(Action::TakeKeyboard) {
                    wizard.say(true, text::keyboard_taken(&line.from));
                    *holder = line.from.clone();
                }
                return Vec::new();
            }
            wizard.notice = None;
            wizard.key(*key, line.at)
        }
        Message::Paste { text } => {
            if state
                .keyboard
                .as_ref()
                .is_none_or(|holder| *holder == line.from)
            {
                wizard.paste(text);
            }
            Vec::new()
        }
        other => {
            wizard.told(other);
            Vec::new()
        }
    }
}

impl Wizard {
    /// What came from outside.
    fn told(&mut self, message: &Message) {
        match message {
            Message::Probed { inventory } => {
                self.waits.remove(&Wait::Probe);
                self.facts.inventory = (**inventory).clone();
                self.light = None;
                self.propose();
                self.stale_question();
                self.say(true, text::LOOKED.to_owned());
            }
            Message::Network {
                findings,
                neighbours,
            } => {
                self.waits.remove(&Wait::Network);
                let bad = findings.iter().filter(|finding| finding.blocks()).count();
                self.say(bad == 0, text::network_asked(findings.len(), bad));
                self.network = Some(findings.clone());
                self.neighbours.clone_from(neighbours);
            }
            Message::Bmc { lines } => {
                self.waits.remove(&Wait::Bmc);
                self.bmc.clone_from(lines);
            }
            Message::Sticks { sticks } => {
                self.waits.remove(&Wait::Save);
                self.ask_for_stick(sticks);
            }
            Message::Installed {
                installed,
                inventory,
            } => {
                self.waits.remove(&Wait::Installed);
                self.facts.inventory = (**inventory).clone();
                self.installed = Some(installed.clone());
                self.light = None;
                self.propose();
                self.stale_question();
            }
            Message::Event { line, record } => self.event(*line, record),
            Message::Done { what, good, text } => {
                self.waits.remove(what);
                if *what == Wait::Start && !good {
                    self.confirmed = None;
                }
                self.say(*good, text.clone());
            }
            Message::Status { status } => {
                self.waits.remove(&Wait::Status);
                match serde_json::from_value(status.clone()) {
                    Ok(status) => self.status = Some(Box::new(status)),
                    Err(_) => self.say(false, text::STATUS_UNREADABLE.to_owned()),
                }
            }
            Message::Journal { lines } => {
                self.waits.remove(&Wait::Status);
                self.journal.clone_from(lines);
                self.show_journal();
            }
            Message::Begin { .. }
            | Message::Stuck { .. }
            | Message::Key { .. }
            | Message::Paste { .. }
            | Message::Unknown => {}
        }
    }

    /// An install shows itself wherever one is, also after this program was started again.
    fn event(&mut self, line: u64, record: &run::Record) {
        if !self.progress.take(line, record) {
            return;
        }
        self.waits.remove(&Wait::Start);
        if self.facts.mode == Mode::Console {
            return;
        }
        match &record.event {
            run::Event::Planned { .. } => {
                self.popup = None;
                self.confirmed = Some(self.progress.digest.clone());
                self.go(Screen::Progress);
            }
            // Refused before there was a plan: the screens say why themselves, this says that it was tried.
            run::Event::Ended { message, .. } if self.progress.steps.is_empty() => {
                self.say(false, text::first_line(message));
            }
            run::Event::Ended { .. } if self.progress.done() => self.go(Screen::Done),
            run::Event::Ended { .. } => {
                if let Some(index) = self.progress.current() {
                    self.cursors.insert(Screen::Progress, index);
                }
            }
            run::Event::Started { .. } => {
                if let Some(index) = self.progress.current() {
                    self.cursors.insert(Screen::Progress, index);
                }
            }
            _ => {}
        }
    }

    fn say(&mut self, good: bool, text: String) {
        self.notice = Some(Notice { good, text });
    }

    /// Begins to wait for something, unless it is waited for already.
    fn wait(&mut self, what: Wait, now: u64, effect: Effect) -> Vec<Effect> {
        if self.waits.insert(what, now).is_some() {
            self.say(false, text::already_waiting(what));
            return Vec::new();
        }
        vec![effect]
    }

    /// Goes to a screen; back leads to this one.
    fn go(&mut self, screen: Screen) {
        if self.screen == screen {
            return;
        }
        self.back.retain(|other| *other != screen);
        self.back.push(self.screen);
        self.screen = screen;
        self.other_view = false;
        let last = self.length().saturating_sub(1);
        let cursor = self.cursors.entry(screen).or_default();
        *cursor = (*cursor).min(last);
    }
}
