//! Machines that nobody stands in front of: over its BMC each is told to boot from the network once and is switched on; then
//! what the depot says of it is followed until it is healthy.
//!
//! What to do with a machine is a pure function of three things: what an earlier run wrote down, what the depot says, and
//! whether the machine runs. So a second run disturbs nobody who is installing or installed.

pub mod engine;
pub mod record;

use serde::{Deserialize, Serialize};

/// Where a machine stands, as the depot says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// It has no permit.
    New,
    /// It may be installed once.
    Armed,
    /// Its permit is spent, its disks are being written.
    Installing,
    /// All steps ended well; it was not seen healthy yet.
    Installed,
    /// Its role's services were seen to work.
    Healthy,
    /// Its install ended otherwise.
    Failed,
    /// Said by a later version.
    #[serde(other)]
    Unknown,
}

/// What the depot says of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Where it stands.
    pub phase: Phase,
    /// Its last line, for people.
    #[serde(default)]
    pub line: Option<String>,
    /// Of the install, 0 to 100.
    #[serde(default)]
    pub percent: Option<u8>,
}

/// Who knows how installs go: the depot.
pub trait Follow: Sync {
    /// What is known of a machine.
    ///
    /// # Errors
    /// It cannot be asked at the moment; asked again later.
    fn look(&self, node: &str) -> Result<Seen, FollowError>;
}

/// The depot cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the depot does not answer: {0}")]
pub struct FollowError(pub String);

/// How far an earlier run came with a machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "stage")]
pub enum Stage {
    /// Nothing was done.
    #[default]
    New,
    /// Its power was about to be switched.
    Starting {
        /// It ran before.
        was_on: bool,
    },
    /// It was switched on for its install.
    Started,
    /// It was seen healthy.
    Healthy,
}

/// What to do with a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Nothing: it is healthy.
    Done,
    /// Nothing but look: it is on its way.
    Follow,
    /// Boot it from the network; with `cut`, a running machine loses its power for it.
    Start {
        /// It runs.
        cut: bool,
    },
    /// Nothing, for this reason.
    Refuse(&'static str),
}

/// Decides. `seen`: absent if no depot is asked. `on`: the machine runs.
#[must_use]
pub fn decide(stage: Stage, seen: Option<Phase>, on: bool) -> Decision {
    match seen {
        Some(Phase::Healthy) => return Decision::Done,
        Some(Phase::Installing | Phase::Installed) => return Decision::Follow,
        Some(Phase::New) => {
            return Decision::Refuse("the depot has no permit for it: `rackwright arm` it first");
        }
        Some(Phase::Failed) => {
            return Decision::Refuse(
                "its last install failed: read its report, then `rackwright arm` it again",
            );
        }
        Some(Phase::Unknown) => {
            return Decision::Refuse("the depot says something that this version does not know");
        }
        Some(Phase::Armed) | None => {}
    }
    match stage {
        // A new permit, if there is a depot, is a new wish.
        Stage::Healthy if seen.is_none() => Decision::Done,
        Stage::Started if on => Decision::Follow,
        // The run ended between the switch and its record.
        Stage::Starting { was_on: false } if on => Decision::Follow,
        _ => Decision::Start { cut: on },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHASES: [Option<Phase>; 8] = [
        None,
        Some(Phase::New),
        Some(Phase::Armed),
        Some(Phase::Installing),
        Some(Phase::Installed),
        Some(Phase::Healthy),
        Some(Phase::Failed),
        Some(Phase::Unknown),
    ];
    const STAGES: [Stage; 5] = [
        Stage::New,
        Stage::Starting { was_on: false },
        Stage::Starting { was_on: true },
        Stage::Started,
        Stage::Healthy,
    ];

    #[test]
    fn each_case() {
        let armed = Some(Phase::Armed);
        let started = Decision::Start { cut: false };
        let cut = Decision::Start { cut: true };
        let cases = [
            (Stage::New, None, false, started),
            (Stage::New, None, true, cut),
            (Stage::New, armed, false, started),
            (
                Stage::Starting { was_on: false },
                armed,
                true,
                Decision::Follow,
            ),
            (Stage::Starting { was_on: true }, armed, true, cut),
            (Stage::Starting { was_on: true }, armed, false, started),
            (Stage::Started, None, true, Decision::Follow),
            (Stage::Started, armed, true, Decision::Follow),
            (Stage::Started, armed, false, started),
            (Stage::Healthy, None, true, Decision::Done),
            (Stage::Healthy, armed, true, cut),
            (Stage::Started, Some(Phase::Healthy), true, Decision::Done),
        ];
        for (stage, seen, on, expected) in cases {
            assert_eq!(decide(stage, seen, on), expected, "{stage:?} {seen:?} {on}");
        }
    }

    /// Whatever was written down: who installs or is installed keeps its power, and who has no permit is left alone.
    #[test]
    fn only_an_armed_machine_is_switched() {
        for stage in STAGES {
            for seen in PHASES {
                for on in [false, true] {
                    let starts = matches!(decide(stage, seen, on), Decision::Start { .. });
                    let may = matches!(seen, None | Some(Phase::Armed));
                    assert!(!starts || may, "{stage:?} {seen:?} {on}");
                    assert!(decide(stage, seen, on) != Decision::Start { cut: !on });
                }
            }
        }
    }
}
