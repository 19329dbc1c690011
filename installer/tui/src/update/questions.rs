//! What keys lay over the screens: menus, questions, texts to read.

use plan::{PlanError, StablePaths};
use roles::role::Purpose;
use tui_input::Input;

use crate::{
    draft,
    fields::{self, FieldId},
    state::{Choice, MenuItem, Popup, Screen, Task, Wizard},
    text,
};

impl Wizard {
    pub(super) fn ask(&mut self, title: &str, yes: &str, detail: &str, choice: Choice) {
        self.popup = Some(Popup::Menu {
            title: title.to_owned(),
            items: vec![
                MenuItem {
                    label: text::STAY.to_owned(),
                    detail: String::new(),
                    choice: Some(Choice::Nothing),
                },
                MenuItem {
                    label: yes.to_owned(),
                    detail: detail.to_owned(),
                    choice: Some(choice),
                },
            ],
            selected: 0,
        });
    }

    pub(super) fn show_finding(&mut self) {
        let cursor = self.cursor();
        if let Some(finding) = self.findings().get(cursor) {
            let lines = text::finding(finding);
            let title = finding.part.clone();
            self.popup = Some(Popup::Text {
                title,
                lines,
                scroll: 0,
            });
        }
    }

    pub(super) fn waive(&mut self) {
        let cursor = self.cursor();
        let Some(finding) = self
            .findings()
            .get(cursor)
            .map(|finding| (*finding).clone())
        else {
            return;
        };
        if !finding.waivable {
            self.say(false, text::CANNOT_BE_WAIVED.to_owned());
        } else if finding.weight == firmware::Weight::Pass {
            self.say(false, text::NOTHING_TO_WAIVE.to_owned());
        } else {
            self.popup = Some(Popup::Edit {
                input: Input::new(finding.waived.clone().unwrap_or_default()),
                field: FieldId::Waiver(finding.id),
                error: None,
            });
        }
    }

    pub(super) fn menu_of_uses(&mut self) {
        let Some(disk) = self.disk().cloned() else {
            self.say(false, text::EMPTY_BAY.to_owned());
            return;
        };
        if let Some(reason) = plan::select::ineligible(&disk) {
            self.say(false, text::cannot_be_used(&reason));
            return;
        }
        let now = draft::uses(&self.facts.role, &self.node, &self.facts.inventory)
            .get(&disk.id)
            .copied();
        let pool = matches!(
            draft::layout(&self.facts.role, &self.node),
            Some(roles::role::Layout::Zfs { .. })
        );
        let data = draft::data_need(&self.facts.role, &self.node).is_some();
        let mut choices = vec![Some(Purpose::Os)];
        if data {
            choices.extend([Some(Purpose::Data), Some(Purpose::Spare)]);
        }
        if pool {
            choices.extend([
                Some(Purpose::Log),
                Some(Purpose::Cache),
                Some(Purpose::Special),
            ]);
        }
        choices.push(None);
        let selected = choices
            .iter()
            .position(|choice| *choice == now)
            .unwrap_or(0);
        self.popup = Some(Popup::Menu {
            title: text::use_of(&disk),
            items: choices
                .into_iter()
                .map(|purpose| MenuItem {
                    label: text::purpose(purpose).to_owned(),
                    detail: text::purpose_detail(purpose).to_owned(),
                    choice: Some(Choice::Use(disk.id.clone(), purpose)),
                })
                .collect(),
            selected,
        });
    }

    pub(super) fn menu_of_layouts(&mut self) {
        let mut items = fields::layouts(self);
        if items.is_empty() {
            self.say(false, text::NO_DATA_GROUP.to_owned());
            return;
        }
        let keep = self.node.storage.data.as_deref() == Some("keep");
        items.push(MenuItem {
            label: if keep {
                text::NEW_DATA
            } else {
                text::KEEP_DATA
            }
            .to_owned(),
            detail: if keep {
                text::NEW_DATA_DETAIL
            } else {
                text::KEEP_DATA_DETAIL
            }
            .to_owned(),
            choice: Some(Choice::KeepData(!keep)),
        });
        self.popup = Some(Popup::Menu {
            title: text::LAYOUT_OF_DATA.to_owned(),
            items,
            selected: 0,
        });
    }

    pub(super) fn menu_of_guards(&mut self) {
        let mut guards = match (&self.proposal.error, self.plan()) {
            (Some(PlanError::Guarded { guards }), _) => guards.clone(),
            (_, Some(plan)) => plan.guards.clone(),
            _ if self.task == Task::Repair => self
                .installed
                .as_ref()
                .map(|found| found.guards.clone())
                .unwrap_or_default(),
            _ => Vec::new(),
        };
        guards.dedup_by(|a, b| a.key == b.key);
        if guards.is_empty() {
            self.say(true, text::NOTHING_GUARDED.to_owned());
            return;
        }
        let items = guards
            .into_iter()
            .map(|guard| MenuItem {
                label: text::guard(&guard, self.node.storage.destroy.contains(&guard.key)),
                detail: guard.reason.clone(),
                choice: Some(Choice::Allow(guard.key)),
            })
            .collect();
        self.popup = Some(Popup::Menu {
            title: text::GUARDED.to_owned(),
            items,
            selected: 0,
        });
    }

    pub(super) fn show_what_lies(&mut self) {
        let Some(disk) = self.disk() else {
            self.say(false, text::EMPTY_BAY.to_owned());
            return;
        };
        let lines = text::what_lies(disk, &self.facts.inventory);
        let title = text::use_of(disk);
        self.popup = Some(Popup::Text {
            title,
            lines,
            scroll: 0,
        });
    }

    pub(super) fn last_question(&mut self) {
        if self.progress.running() {
            self.go(Screen::Progress);
        } else if self.can_install() {
            self.popup = Some(Popup::Confirm {
                digest: self.proposal.digest.clone(),
                word: self.word().to_owned(),
                input: Input::default(),
                error: None,
            });
        } else {
            self.popup = Some(Popup::Text {
                title: text::CANNOT_INSTALL.to_owned(),
                lines: text::obstacles(self),
                scroll: 0,
            });
        }
    }

    pub(super) fn dry_run(&mut self) {
        let (title, lines) = match self.plan() {
            Some(plan) => {
                let paths = StablePaths::new(&self.facts.inventory);
                let text = plan::explain(plan, &paths);
                (text::DRY_RUN, text.lines().map(str::to_owned).collect())
            }
            None => (text::CANNOT_INSTALL, text::obstacles(self)),
        };
        self.popup = Some(Popup::Text {
            title: title.to_owned(),
            lines,
            scroll: 0,
        });
    }

    pub(super) fn show_log(&mut self) {
        self.popup = Some(Popup::Text {
            title: text::LOG.to_owned(),
            scroll: self.progress.log.len().saturating_sub(10),
            lines: self.progress.log.clone(),
        });
    }

    pub(super) fn show_journal(&mut self) {
        self.popup = Some(Popup::Text {
            title: text::LOG.to_owned(),
            scroll: self.journal.len().saturating_sub(10),
            lines: self.journal.clone(),
        });
    }
}
