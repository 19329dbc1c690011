//! Keys while something lies over the screen.

use roles::node::Permit;
use run::node_source::stick::Stick;
use tui_input::Input;

use super::input;
use crate::{
    draft, fields,
    key::Key,
    keymap,
    message::{Effect, Place, Wait},
    proposal,
    state::{Choice, MenuItem, Popup, Screen, Task, Wizard},
    text,
};

impl Wizard {
    pub(super) fn popup_key(&mut self, mut popup: Popup, key: Key, now: u64) -> Vec<Effect> {
        if matches!(key, Key::Esc | Key::Control('c')) {
            return Vec::new();
        }
        match &mut popup {
            Popup::Help { scroll } | Popup::Text { scroll, .. } => {
                match key {
                    Key::Up | Key::Char('k') => *scroll = scroll.saturating_sub(1),
                    Key::Down | Key::Char('j') => *scroll += 1,
                    Key::PageUp => *scroll = scroll.saturating_sub(10),
                    Key::PageDown | Key::Char(' ') => *scroll += 10,
                    Key::Home => *scroll = 0,
                    Key::End => *scroll = usize::MAX / 2,
                    Key::Enter | Key::Char('q' | '?') => return Vec::new(),
                    _ => {}
                }
                let last = match &popup {
                    Popup::Text { lines, .. } => lines.len().saturating_sub(1),
                    _ => keymap::bindings(self.screen).count(),
                };
                if let Popup::Help { scroll } | Popup::Text { scroll, .. } = &mut popup {
                    *scroll = (*scroll).min(last);
                }
            }
            Popup::Code { .. } => {
                if matches!(key, Key::Enter | Key::Char('q')) {
                    return Vec::new();
                }
            }
            Popup::Menu {
                items, selected, ..
            } => match key {
                Key::Up | Key::Char('k') => *selected = selected.saturating_sub(1),
                Key::Down | Key::Char('j') => {
                    *selected = (*selected + 1).min(items.len().saturating_sub(1));
                }
                Key::Home => *selected = 0,
                Key::End => *selected = items.len().saturating_sub(1),
                Key::Enter | Key::Char(' ') => {
                    let item = items.get(*selected).cloned();
                    match item {
                        Some(item) => match item.choice {
                            Some(choice) => return self.chosen(choice, now),
                            None => self.say(false, item.detail),
                        },
                        None => return Vec::new(),
                    }
                }
                _ => {}
            },
            Popup::Edit {
                field,
                input: line,
                error,
            } => {
                if key == Key::Enter {
                    // Tried on a copy: what is wrong with it changes nothing.
                    let mut node = self.node.clone();
                    match fields::set(&mut node, field, line.value()) {
                        Ok(()) => {
                            self.node = node;
                            self.changed();
                            return Vec::new();
                        }
                        Err(reason) => *error = Some(reason),
                    }
                } else if input::edit(line, key).is_some_and(|changed| changed.value) {
                    *error = None;
                }
            }
            Popup::Confirm {
                digest,
                word,
                input: line,
                error,
            } => {
                if key == Key::Enter {
                    if line.value().trim() == word {
                        let digest = digest.clone();
                        return self.confirmed(&digest, now);
                    }
                    *error = Some(text::not_the_name(line.value().trim(), word));
                } else if input::edit(line, key).is_some_and(|changed| changed.value) {
                    *error = None;
                }
            }
        }
        self.popup = Some(popup);
        Vec::new()
    }

    pub(super) fn paste(&mut self, text: &str) {
        // Never into the last question: a clipboard is no consent.
        if let Some(Popup::Edit {
            input: line, error, ..
        }) = &mut self.popup
        {
            input::paste(line, text);
            *error = None;
        }
    }

    /// The name was typed below the plan with this digest. The plan is made once more: what is done is what was shown.
    fn confirmed(&mut self, digest: &str, now: u64) -> Vec<Effect> {
        self.propose();
        if self.proposal.digest != digest || !self.can_install() {
            self.say(false, text::PLAN_CHANGED.to_owned());
            return Vec::new();
        }
        let effect = self.begin(digest.to_owned());
        self.confirmed = Some(digest.to_owned());
        self.wait(Wait::Start, now, effect)
    }

    /// What carries out the confirmed plan.
    pub(super) fn begin(&self, digest: String) -> Effect {
        let node = self.word().to_owned();
        let allowed = self.node.storage.destroy.clone();
        match self.task {
            Task::Install => Effect::Install {
                node: self.permitted(),
                digest,
            },
            Task::Decommission => Effect::Decommission {
                node,
                allowed,
                digest,
            },
            Task::Repair => Effect::Repair {
                node,
                allowed,
                digest,
            },
        }
    }

    /// The node file with the right to install this plan on this machine.
    pub(super) fn permitted(&self) -> String {
        let mut node = self.node.clone();
        let permit = node.permit.get_or_insert_with(|| Permit {
            id: self.facts.session.clone(),
            board_serial: None,
            plan: None,
            task: None,
        });
        permit
            .board_serial
            .clone_from(&self.facts.inventory.board.serial);
        permit.plan = Some(self.proposal.digest.clone());
        proposal::text(&node)
    }

    /// After a change of the node file: plan anew; what was confirmed is so no more.
    pub(super) fn changed(&mut self) {
        self.confirmed = None;
        let before = self.proposal.digest.clone();
        self.propose();
        self.stale_question();
        if self.proposal.digest.is_empty() {
            self.say(false, text::NO_PLAN.to_owned());
        } else if self.proposal.digest != before {
            self.say(true, text::PLANNED_ANEW.to_owned());
        }
    }

    /// The last question stands only as long as the plan does that it was asked about.
    pub(super) fn stale_question(&mut self) {
        if let Some(Popup::Confirm { digest, .. }) = &self.popup
            && (*digest != self.proposal.digest || !self.can_install())
        {
            self.popup = None;
        }
    }

    fn chosen(&mut self, choice: Choice, now: u64) -> Vec<Effect> {
        match choice {
            Choice::Use(disk, purpose) => {
                let inventory = self.facts.inventory.clone();
                let role = self.facts.role.clone();
                draft::change_use(&role, &mut self.node, &inventory, &disk, purpose);
                self.changed();
            }
            Choice::Layout(layout) => {
                let role = self.facts.role.clone();
                draft::set_layout(&role, &mut self.node, layout);
                self.changed();
            }
            Choice::Carrier(network, carrier) => {
                draft::set_carrier(&mut self.node, &network, &carrier);
                self.changed();
                let last = self.length().saturating_sub(1);
                let cursor = self.cursors.entry(Screen::Network).or_default();
                *cursor = (*cursor).min(last);
            }
            Choice::BmcMode(mode) => {
                fields::set_bmc_mode(&mut self.node, mode);
                self.changed();
            }
            Choice::Shell(shell) => {
                self.node.console.shell = Some(shell);
                self.changed();
            }
            Choice::KeepData(keep) => {
                self.node.storage.data = keep.then(|| "keep".to_owned());
                self.changed();
            }
            Choice::Allow(key) => {
                let destroy = &mut self.node.storage.destroy;
                match destroy.iter().position(|known| *known == key) {
                    Some(index) => {
                        destroy.remove(index);
                    }
                    None => destroy.push(key),
                }
                if self.task == Task::Repair {
                    return self.look_for_installed(now);
                }
                self.changed();
            }
            Choice::Save(place) => {
                let name = format!("{}.toml", self.node.node);
                return self.save(place, name, self.permitted(), now);
            }
            Choice::Bundle(place) => {
                let name = format!("{}-failure.txt", self.node.node);
                return self.save(place, name, self.bundle(), now);
            }
            Choice::Stick(stick) => {
                if let Some((name, text)) = self.file.take() {
                    let effect = Effect::SaveOn { stick, name, text };
                    return self.wait(Wait::Save, now, effect);
                }
            }
            Choice::Code => {
                self.popup = Some(Popup::Code {
                    text: self.short_bundle(),
                });
            }
            Choice::Restart => return self.wait(Wait::Restart, now, Effect::Restart),
            Choice::Leave => return vec![Effect::Leave],
            Choice::Nothing => {}
        }
        Vec::new()
    }

    /// A stick is looked for first, and then chosen.
    fn save(&mut self, place: Place, name: String, text: String, now: u64) -> Vec<Effect> {
        if place == Place::Stick {
            self.file = Some((name, text));
            return self.wait(Wait::Save, now, Effect::Sticks);
        }
        self.wait(Wait::Save, now, Effect::Save { place, name, text })
    }

    /// Which stick: by its name, and none of them by a key that was pressed too often.
    pub(super) fn ask_for_stick(&mut self, sticks: &[Stick]) {
        if self.file.is_none() || self.popup.is_some() {
            return;
        }
        if sticks.is_empty() {
            self.say(false, text::NO_STICK.to_owned());
            return;
        }
        let none = MenuItem {
            label: text::STAY.to_owned(),
            detail: text::NOTHING_WRITTEN.to_owned(),
            choice: Some(Choice::Nothing),
        };
        let items = sticks.iter().map(|stick| MenuItem {
            label: stick.device.clone(),
            detail: text::stick(stick),
            choice: Some(Choice::Stick(stick.clone())),
        });
        self.popup = Some(Popup::Menu {
            title: text::WHICH_STICK.to_owned(),
            items: std::iter::once(none).chain(items).collect(),
            selected: 0,
        });
    }

    /// What an engineer needs to know, without any secret: no node file is in it.
    fn bundle(&self) -> String {
        let mut lines = vec![self.short_bundle(), String::new()];
        lines.extend(self.progress.log.iter().cloned());
        if let Some(plan) = self.plan() {
            lines.push(String::new());
            lines.extend(plan.notes.iter().map(|note| format!("- {note}")));
            lines.push(plan::explain::summary(plan));
        }
        lines.push(firmware::report::text(&self.facts.inventory));
        lines.join("\n")
    }

    fn short_bundle(&self) -> String {
        let board = &self.facts.inventory.board;
        let failure = self.progress.failure.as_ref();
        [
            format!("rackwright {} {}", self.facts.version, self.facts.role.name),
            format!(
                "{} {}",
                board.name.as_deref().unwrap_or("-"),
                board.serial.as_deref().unwrap_or("-")
            ),
            format!("plan {:.16}", self.progress.digest),
            failure.map_or_else(String::new, |failure| {
                format!("{}: {}", failure.title, failure.error)
            }),
        ]
        .join("\n")
    }

    /// Opens a field.
    pub(super) fn edit(&mut self, field: fields::FieldId, value: String) {
        self.popup = Some(match fields::choices(self, &field) {
            Some(items) => {
                let selected = items
                    .iter()
                    .position(|item| item.label == value)
                    .unwrap_or(0);
                Popup::Menu {
                    title: text::CHOOSE.to_owned(),
                    items,
                    selected,
                }
            }
            None => Popup::Edit {
                field,
                input: Input::new(value),
                error: None,
            },
        });
    }

    /// Where a file may go.
    pub(super) fn places(&self, make: impl Fn(Place) -> Choice) -> Vec<MenuItem> {
        [
            (
                Place::Stick,
                text::TO_STICK,
                text::TO_STICK_DETAIL.to_owned(),
            ),
            (
                Place::Depot,
                text::TO_DEPOT,
                self.facts
                    .depot
                    .clone()
                    .unwrap_or_else(|| text::NO_DEPOT.to_owned()),
            ),
            (
                Place::Folder,
                text::TO_FOLDER,
                text::TO_FOLDER_DETAIL.to_owned(),
            ),
        ]
        .into_iter()
        .map(|(place, label, detail)| MenuItem {
            label: label.to_owned(),
            detail,
            choice: (place != Place::Depot || self.facts.depot.is_some()).then(|| make(place)),
        })
        .collect()
    }
}
