//! What the depot remembers of each machine, as a fold over what happened. Pure: the log on disk is a list of these changes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::view::{Phase, Report};

/// Reports that are listed for each machine, newest first.
const REPORTS: usize = 20;

/// Something happened. A name that this version does not know is no record: forgetting what a newer version promised would be
/// worse than not starting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum Change {
    /// Everything before, as one.
    Whole {
        /// The state.
        state: State,
    },
    /// An operator armed a permit.
    Armed {
        /// Machine.
        node: String,
        /// The permit.
        permit: Permit,
    },
    /// An operator took it back.
    Disarmed {
        /// Machine.
        node: String,
    },
    /// A machine proved to be this one.
    Approved {
        /// Machine.
        node: String,
        /// Its fingerprint.
        fingerprint: String,
        /// Serial number of its board.
        board: Option<String>,
    },
    /// The permit was spent: disks are written from here on.
    Spent {
        /// Machine.
        node: String,
        /// Permit's name.
        permit: String,
        /// Digest of the plan.
        plan: String,
    },
    /// The install ended.
    Ended {
        /// Machine.
        node: String,
        /// All steps ended well.
        done: bool,
        /// One line.
        line: String,
    },
    /// The installed machine said how it is.
    Health {
        /// Machine.
        node: String,
        /// All checks hold.
        healthy: bool,
        /// What does not, by check.
        unwell: BTreeMap<String, String>,
    },
    /// A report is kept.
    Reported {
        /// Machine.
        node: String,
        /// Which.
        report: Report,
    },
}

/// A one-shot right to install.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permit {
    /// Name; never used twice.
    pub id: String,
    /// Only this board; absent: the one of the machine that is approved.
    pub board: Option<String>,
    /// Data disks keep what is on them.
    pub keep_data: bool,
    /// Seconds since 1970, when it ends.
    pub expires: u64,
    /// The first machine with the right board that says hello is taken for the right one; else an operator compares
    /// fingerprints.
    pub on_sight: bool,
    /// When it was spent, and for which plan.
    #[serde(default)]
    pub spent: Option<Spent>,
}

/// Of a permit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// Seconds since 1970.
    pub at: u64,
    /// Digest of the plan.
    pub plan: String,
}

/// All machines.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// By name.
    pub machines: BTreeMap<String, Machine>,
}

/// One machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Where it stands. `Armed` also when the permit's time is over: see [`Machine::phase`].
    pub phase: Phase,
    /// The permit that was armed last.
    #[serde(default)]
    pub permit: Option<Permit>,
    /// Fingerprint of the machine that was taken for this one, since the permit was armed.
    #[serde(default)]
    pub fingerprint: Option<String>,
    /// Serial number of its board.
    #[serde(default)]
    pub board: Option<String>,
    /// How the last install ended.
    #[serde(default)]
    pub line: Option<String>,
    /// What the installed machine says of itself that does not hold.
    #[serde(default)]
    pub unwell: BTreeMap<String, String>,
    /// Newest first.
    #[serde(default)]
    pub reports: Vec<Report>,
}

impl Machine {
    /// Where it stands at a time.
    #[must_use]
    pub fn phase(&self, now: u64) -> Phase {
        match self.phase {
            Phase::Armed if self.armed(now).is_none() => Phase::New,
            phase => phase,
        }
    }

    /// The permit that may be spent at a time.
    #[must_use]
    pub fn armed(&self, now: u64) -> Option<&Permit> {
        self.permit.as_ref().filter(|permit| {
            self.phase == Phase::Armed && permit.spent.is_none() && now < permit.expires
        })
    }
}

impl State {
    /// Adds a change that happened at this time. Total: a change that does not fit changes what it can.
    pub fn apply(&mut self, at: u64, change: &Change) {
        let node = match change {
            Change::Whole { state } => {
                self.clone_from(state);
                return;
            }
            Change::Armed { node, .. }
            | Change::Disarmed { node }
            | Change::Approved { node, .. }
            | Change::Spent { node, .. }
            | Change::Ended { node, .. }
            | Change::Health { node, .. }
            | Change::Reported { node, .. } => node,
        };
        let machine = self.machines.entry(node.clone()).or_default();
        match change {
            Change::Whole { .. } => {}
            Change::Armed { permit, .. } => {
                machine.phase = Phase::Armed;
                machine.permit = Some(permit.clone());
                machine.fingerprint = None;
                machine.line = None;
                machine.unwell.clear();
            }
            Change::Disarmed { .. } => {
                machine.phase = Phase::New;
                machine.permit = None;
                machine.fingerprint = None;
            }
            Change::Approved {
                fingerprint, board, ..
            } => {
                machine.fingerprint = Some(fingerprint.clone());
                if let Some(permit) = &mut machine.permit
                    && permit.board.is_none()
                {
                    permit.board.clone_from(board);
                }
                machine.board = board.clone().or(machine.board.take());
            }
            Change::Spent { plan, .. } => {
                machine.phase = Phase::Installing;
                if let Some(permit) = &mut machine.permit {
                    permit.spent = Some(Spent {
                        at,
                        plan: plan.clone(),
                    });
                }
            }
            Change::Ended { done, line, .. } => {
                machine.phase = if *done {
                    Phase::Installed
                } else {
                    Phase::Failed
                };
                machine.line = Some(line.clone());
            }
            Change::Health {
                healthy, unwell, ..
            } => {
                machine.phase = if *healthy {
                    Phase::Healthy
                } else {
                    Phase::Installed
                };
                machine.unwell.clone_from(unwell);
            }
            Change::Reported { report, .. } => {
                machine.reports.retain(|kept| kept.name != report.name);
                machine.reports.insert(0, report.clone());
                machine.reports.truncate(REPORTS);
            }
        }
    }
}
