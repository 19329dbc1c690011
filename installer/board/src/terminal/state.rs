//! What the board shows and what is being typed; a pure fold over messages.

use depot::view::{Machine, Rack};

use crate::elevation;

/// Something happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// The depot's newest word.
    Rack(Rack),
    /// Select the next, or the one before.
    Move(isize),
    /// Open the question to arm the selected machine.
    Arm,
    /// Take its permit back.
    Disarm,
    /// Open the question who the first waiting stranger is.
    Approve,
    /// A letter was typed into the open question.
    Type(char),
    /// The last letter is taken back.
    Rub,
    /// Yes.
    Enter,
    /// No; without a question: nothing.
    Back,
    /// What became of a wish.
    Told(String),
}

/// What is to be done outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Arm this machine; fingerprints are compared.
    Arm(String),
    /// Take its permit back.
    Disarm(String),
    /// This fingerprint is this machine.
    Approve(String, String),
}

/// An open question; the answer is the machine's name, typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Really arm it?
    Arm(String),
    /// Which machine shows this fingerprint?
    Approve(String),
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// The depot's newest word.
    pub rack: Rack,
    /// Name of the selected machine.
    pub selected: Option<String>,
    /// The open question, and what was typed.
    pub ask: Option<(Ask, String)>,
    /// What became of the last wish.
    pub told: Option<String>,
}

impl State {
    /// Machines in the order of the lines.
    #[must_use]
    pub fn order(&self) -> Vec<&Machine> {
        elevation::columns(&self.rack)
            .into_iter()
            .flat_map(|column| column.machines)
            .map(|(_, machine)| machine)
            .collect()
    }

    /// The selected machine.
    #[must_use]
    pub fn machine(&self) -> Option<&Machine> {
        let name = self.selected.as_ref()?;
        self.rack
            .machines
            .iter()
            .find(|machine| machine.node == *name)
    }

    /// Takes a message.
    pub fn take(&mut self, message: Message) -> Option<Effect> {
        match message {
            Message::Rack(rack) => {
                self.rack = rack;
                if self.machine().is_none() {
                    self.selected = self.order().first().map(|machine| machine.node.clone());
                }
                None
            }
            Message::Move(by) => {
                self.select(by);
                None
            }
            Message::Arm => {
                let node = self.machine()?.node.clone();
                self.ask = Some((Ask::Arm(node), String::new()));
                None
            }
            Message::Disarm => Some(Effect::Disarm(self.machine()?.node.clone())),
            Message::Approve => {
                let stranger = self.rack.strangers.first()?;
                self.ask = Some((Ask::Approve(stranger.fingerprint.clone()), String::new()));
                None
            }
            Message::Type(letter) => {
                let (_, typed) = self.ask.as_mut()?;
                if typed.len() < 64 {
                    typed.push(letter);
                }
                None
            }
            Message::Rub => {
                self.ask.as_mut()?.1.pop();
                None
            }
            Message::Back => {
                self.ask = None;
                self.told = None;
                None
            }
            Message::Enter => self.answer(),
            Message::Told(line) => {
                self.told = Some(line);
                None
            }
        }
    }

    fn select(&mut self, by: isize) {
        let order = self.order();
        let at = order
            .iter()
            .position(|machine| Some(&machine.node) == self.selected.as_ref())
            .unwrap_or(0);
        let last = order.len().saturating_sub(1);
        let next = at.saturating_add_signed(by).min(last);
        let next = order.get(next).map(|machine| machine.node.clone());
        self.selected = next.or(self.selected.take());
    }

    fn answer(&mut self) -> Option<Effect> {
        let (ask, typed) = self.ask.take()?;
        let known = |name: &str| self.rack.machines.iter().any(|one| one.node == name);
        match ask {
            Ask::Arm(node) if typed == node => Some(Effect::Arm(node)),
            Ask::Approve(fingerprint) if known(&typed) => Some(Effect::Approve(typed, fingerprint)),
            _ => {
                self.told = Some("another name was typed: nothing was done".to_owned());
                None
            }
        }
    }
}
