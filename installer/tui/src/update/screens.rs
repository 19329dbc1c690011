//! Keys on the screens themselves.

use crate::{
    chassis, draft,
    facts::Mode,
    fields::{self, FieldId},
    key::Key,
    keymap::{self, Action},
    message::{Effect, Wait},
    proposal,
    state::{Choice, MenuItem, Popup, Screen, Task, Wizard},
    text,
};

impl Wizard {
    pub(super) fn key(&mut self, key: Key, now: u64) -> Vec<Effect> {
        if key == Key::F(12) {
            return self.shell();
        }
        if key == Key::Control('l') {
            return vec![Effect::Redraw];
        }
        if let Some(popup) = self.popup.take() {
            return self.popup_key(popup, key, now);
        }
        let Some(action) = keymap::meaning(self.screen, key) else {
            return Vec::new();
        };
        self.act(action, now)
    }

    fn act(&mut self, action: Action, now: u64) -> Vec<Effect> {
        match action {
            Action::Help => self.popup = Some(Popup::Help { scroll: 0 }),
            Action::Back => {
                if !matches!(self.screen, Screen::Progress | Screen::Done)
                    && let Some(screen) = self.back.pop()
                {
                    self.screen = screen;
                    self.other_view = false;
                }
            }
            Action::Shell => return self.shell(),
            Action::Redraw => return vec![Effect::Redraw],
            // Who leaves the wizard of a live system has a root shell before him.
            Action::Leave
                if !self.facts.shell
                    && !self.facts.simulated
                    && self.facts.mode == Mode::Install =>
            {
                self.ask(
                    text::LEAVE_CLOSED,
                    text::RESTART,
                    text::LEAVE_CLOSED_DETAIL,
                    Choice::Restart,
                );
            }
            Action::Leave => self.ask(
                text::LEAVE_QUESTION,
                text::LEAVE,
                text::LEAVE_DETAIL,
                Choice::Leave,
            ),
            Action::Record => return self.wait(Wait::Save, now, Effect::Record),
            Action::TakeKeyboard => {}
            Action::Next => {
                let index = Screen::STEPS.iter().position(|step| *step == self.screen);
                if let Some(next) = index.and_then(|index| Screen::STEPS.get(index + 1)) {
                    self.go(*next);
                }
            }
            Action::Goto(number) => {
                if let Some(screen) = Screen::STEPS.get(number) {
                    self.go(*screen);
                }
            }
            Action::Move(columns, rows) => self.move_by(columns, rows),
            Action::Page(lines) => self.move_to(self.cursor().saturating_add_signed(lines)),
            Action::First => self.move_to(0),
            Action::Last => self.move_to(usize::MAX),
            Action::View => self.other_view = !self.other_view,
            other => return self.act_here(other, now),
        }
        Vec::new()
    }

    /// By the node file's policy.
    fn shell(&mut self) -> Vec<Effect> {
        if self.facts.shell {
            return vec![Effect::Shell];
        }
        let words = match self.facts.mode {
            Mode::Install => text::NO_SHELL,
            Mode::Console => text::NO_LOGIN,
        };
        self.say(false, words.to_owned());
        Vec::new()
    }

    fn move_to(&mut self, line: usize) {
        let last = self.length().saturating_sub(1);
        self.cursors.insert(self.screen, line.min(last));
    }

    fn move_by(&mut self, columns: isize, rows: isize) {
        let drawn = self.screen == Screen::Disks && !self.other_view;
        let to = if drawn {
            let spots = self.spots();
            chassis::step(
                &self.facts.inventory,
                &spots,
                self.cursor(),
                (columns, rows),
            )
        } else {
            self.cursor().saturating_add_signed(columns + rows)
        };
        self.move_to(to);
    }

    fn act_here(&mut self, action: Action, now: u64) -> Vec<Effect> {
        match (self.screen, action) {
            (Screen::Welcome, Action::Choose) => return self.task(now),
            (Screen::Welcome | Screen::Hardware | Screen::Disks, Action::Again) => {
                return self.wait(Wait::Probe, now, Effect::Probe);
            }
            (Screen::Repair, Action::Choose) => self.go_to_repair(),
            (Screen::Repair, Action::Again) => return self.look_for_installed(now),
            (Screen::Repair, Action::Guards) => self.menu_of_guards(),
            (Screen::Hardware, Action::Choose) => self.show_finding(),
            (Screen::Hardware, Action::Waive) => self.waive(),
            (Screen::Disks, Action::Use | Action::Choose) => self.menu_of_uses(),
            (Screen::Disks, Action::Layout) => self.menu_of_layouts(),
            (Screen::Disks, Action::Guards) => self.menu_of_guards(),
            (Screen::Disks, Action::Log) => self.show_what_lies(),
            (Screen::Disks, Action::Empty) => {
                let fresh = draft::start(&self.facts);
                self.node.disks = fresh.disks;
                self.node.storage = fresh.storage;
                self.changed();
            }
            (Screen::Disks | Screen::Repair | Screen::Console, Action::Blink) => {
                return self.blink(now);
            }
            (Screen::Network | Screen::Bmc | Screen::Cluster, Action::Choose) => {
                let fields = fields::fields(self, self.screen);
                if let Some(field) = fields.get(self.cursor()) {
                    self.edit(field.id.clone(), field.value.clone());
                }
            }
            (Screen::Network | Screen::Bmc | Screen::Cluster, Action::Empty) => self.empty_field(),
            (Screen::Network | Screen::Cluster, Action::Again) => {
                if !self.proposal.problems.is_empty() {
                    self.say(false, self.proposal.problems.join("; "));
                    return Vec::new();
                }
                let node = proposal::text(&self.node);
                return self.wait(Wait::Network, now, Effect::Network { node });
            }
            (Screen::Network, Action::Blink) => return self.blink_port(now),
            (Screen::Bmc, Action::Again) => {
                let node = proposal::text(&self.node);
                return self.wait(Wait::Bmc, now, Effect::Bmc { node });
            }
            (Screen::Review, Action::Choose) => self.last_question(),
            (Screen::Review, Action::DryRun) => self.dry_run(),
            (Screen::Review | Screen::Done, Action::Save) => {
                if self.task != Task::Install || self.plan().is_none() {
                    self.say(false, text::NOTHING_TO_SAVE.to_owned());
                } else {
                    self.popup = Some(Popup::Menu {
                        title: text::SAVE_NODE_FILE.to_owned(),
                        items: self.places(Choice::Save),
                        selected: 0,
                    });
                }
            }
            (Screen::Progress, _) => return self.act_in_progress(action, now),
            (Screen::Done, Action::Restart) => {
                self.ask(
                    text::RESTART_QUESTION,
                    text::RESTART,
                    text::RESTART_DETAIL,
                    Choice::Restart,
                );
            }
            (Screen::Done, Action::Log) => self.show_log(),
            (Screen::Console, Action::Restart) => self.ask(
                text::RESTART_APPLIANCE,
                text::RESTART,
                text::RESTART_APPLIANCE_DETAIL,
                Choice::Restart,
            ),
            (Screen::Console, Action::Again) => {
                return self.wait(Wait::Status, now, Effect::Status);
            }
            (Screen::Console, Action::Log) => {
                return self.wait(Wait::Status, now, Effect::Journal);
            }
            _ => {}
        }
        Vec::new()
    }

    fn act_in_progress(&mut self, action: Action, now: u64) -> Vec<Effect> {
        match action {
            Action::Choose => match &self.progress.failure {
                Some(failure) => {
                    let mut lines: Vec<String> = failure.error.lines().map(str::to_owned).collect();
                    lines.extend(failure.hint.iter().map(|hint| text::hint(hint)));
                    self.popup = Some(Popup::Text {
                        title: failure.title.clone(),
                        lines,
                        scroll: 0,
                    });
                }
                None => self.show_log(),
            },
            Action::Again if self.progress.outcome.is_some() && !self.progress.done() => {
                // The permit is for this plan and not spent: what was confirmed may go on, and nothing else may.
                let digest = self.proposal.digest.clone();
                if self.confirmed.as_ref() == Some(&digest) && !digest.is_empty() {
                    let effect = self.begin(digest);
                    return self.wait(Wait::Start, now, effect);
                }
                self.say(false, text::PLAN_CHANGED.to_owned());
                self.go(Screen::Review);
            }
            Action::Plan if self.progress.outcome.is_some() => {
                self.screen = Screen::Review;
                self.back = vec![Screen::Welcome];
                self.other_view = false;
            }
            Action::Bundle if self.progress.outcome.is_some() => {
                let mut items = self.places(Choice::Bundle);
                items.push(MenuItem {
                    label: text::AS_CODE.to_owned(),
                    detail: text::AS_CODE_DETAIL.to_owned(),
                    choice: Some(Choice::Code),
                });
                self.popup = Some(Popup::Menu {
                    title: text::SAVE_BUNDLE.to_owned(),
                    items,
                    selected: 0,
                });
            }
            _ => {}
        }
        Vec::new()
    }

    /// The three ways on.
    fn task(&mut self, now: u64) -> Vec<Effect> {
        match self.cursor() {
            0 => {
                self.task = Task::Install;
                self.propose();
                self.go(Screen::Hardware);
            }
            1 => {
                self.task = Task::Repair;
                self.propose();
                self.go(Screen::Repair);
                return self.look_for_installed(now);
            }
            _ => {
                self.task = Task::Decommission;
                self.propose();
                self.go(Screen::Review);
            }
        }
        Vec::new()
    }

    /// Arrays are started for that, read-only, and stopped again.
    pub(super) fn look_for_installed(&mut self, now: u64) -> Vec<Effect> {
        let allowed = self.node.storage.destroy.clone();
        self.wait(Wait::Installed, now, Effect::Installed { allowed })
    }

    /// To the plan, or why there is none.
    fn go_to_repair(&mut self) {
        if self.can_install() {
            self.go(Screen::Review);
        } else if !self.waits.contains_key(&Wait::Installed) {
            self.popup = Some(Popup::Text {
                title: text::NO_REPAIR.to_owned(),
                lines: text::obstacles(self),
                scroll: 0,
            });
        }
    }

    fn blink(&mut self, now: u64) -> Vec<Effect> {
        let disk = match self.facts.mode {
            Mode::Install if self.screen == Screen::Repair => self.recorded_disk(),
            Mode::Install => self.disk().cloned(),
            Mode::Console => self.status_disk(),
        };
        let Some(disk) = disk else {
            self.say(false, text::EMPTY_BAY.to_owned());
            return Vec::new();
        };
        let on = self.light.as_ref() != Some(&disk.id);
        self.light = on.then(|| disk.id.clone());
        self.wait(Wait::Light, now, Effect::LightDisk { disk: disk.id, on })
    }

    /// The marked disk of the installed system, if it is there.
    fn recorded_disk(&self) -> Option<firmware::inventory::Disk> {
        let recorded = self.recorded();
        let (marked, _) = recorded.get(self.cursor())?;
        let mut disks = self.facts.inventory.disks.iter();
        disks.find(|disk| disk.id == marked.id).cloned()
    }

    /// The marked disk of the status console, as the inventory knows it.
    fn status_disk(&self) -> Option<firmware::inventory::Disk> {
        let marked = self.status.as_ref()?.disks.get(self.cursor())?;
        self.facts
            .inventory
            .disks
            .iter()
            .find(|disk| {
                disk.paths
                    .iter()
                    .any(|path| path.kernel_name == marked.name)
            })
            .cloned()
    }

    fn blink_port(&mut self, now: u64) -> Vec<Effect> {
        let fields = fields::fields(self, Screen::Network);
        let network = fields.get(self.cursor()).and_then(|field| {
            self.node
                .networks
                .iter()
                .find(|net| net.name == field.group)
        });
        let port = network.and_then(|network| {
            let ports = draft::ports_of(&self.node, network, &self.facts.inventory);
            ports.first().map(|nic| nic.kernel_name.clone())
        });
        match port {
            Some(port) => self.wait(Wait::Light, now, Effect::LightPort { port }),
            None => {
                self.say(false, text::NO_PORT_HERE.to_owned());
                Vec::new()
            }
        }
    }

    fn empty_field(&mut self) {
        let fields = fields::fields(self, self.screen);
        let Some(field) = fields.get(self.cursor()) else {
            return;
        };
        let mut node = self.node.clone();
        let done = match &field.id {
            FieldId::Carrier(network) => {
                draft::set_carrier(&mut node, network, &draft::Carrier::Nothing);
                Ok(())
            }
            FieldId::BmcMode => {
                fields::set_bmc_mode(&mut node, None);
                Ok(())
            }
            FieldId::Shell => {
                node.console.shell = None;
                Ok(())
            }
            id => fields::set(&mut node, id, ""),
        };
        match done {
            Ok(()) => {
                self.node = node;
                self.changed();
            }
            Err(reason) => self.say(false, reason),
        }
    }
}
