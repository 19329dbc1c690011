//! The offline permit: who may install without anyone at the keyboard, and once only.
//!
//! A permit is spent when `BeginInstall` writes its id into `install.json`. The first bytes are written earlier, by the first
//! `Wipe`: after a power cut between the two the disks carry no trace of an install, and the same permit must still work, as
//! nobody could come and write another. So a permit means "until this machine has been installed once", not "until a byte was
//! written". An install that was begun with the same permit may be continued.

use roles::node::Permit;

use crate::install_state::{InstallState, Progress, Repair};

/// Task of a permit that names none.
pub const INSTALL: &str = "install";
/// Task of a permit to bring back what a changed disk took away.
pub const REPAIR: &str = "repair";

/// What the permit is compared with.
#[derive(Debug, Clone, Copy)]
pub struct Request<'request> {
    /// Serial number of the board, if it could be read.
    pub board_serial: Option<&'request str>,
    /// Digest of the plan.
    pub plan: &'request str,
    /// What the plan does: `install` or `repair`.
    pub task: &'request str,
    /// What the target disks say of an earlier install, one entry for each state file system found.
    pub prior: &'request [InstallState],
}

/// Why nothing is written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Another machine.
    #[error(
        "the permit is for board `{permitted}`, this is board `{found}`\nhint: give this machine its own node file"
    )]
    Board {
        /// In the permit.
        permitted: String,
        /// In the machine.
        found: String,
    },
    /// Another plan.
    #[error(
        "the permit is for plan `{permitted}`, this machine gives plan `{found}`\nhint: look at the plan again and renew `permit.plan`"
    )]
    Plan {
        /// In the permit.
        permitted: String,
        /// Computed.
        found: String,
    },
    /// For something else.
    #[error(
        "the permit is for task `{permitted}`, this would be `{task}`\nhint: write the task into `permit.task`, with a new `permit.id`"
    )]
    Task {
        /// In the permit.
        permitted: String,
        /// Of the plan.
        task: String,
    },
    /// Spent on a repair.
    #[error(
        "already repaired with this permit (`{permit}`)\nhint: to repair again, change `permit.id` in the node file; to run what is installed, remove the medium"
    )]
    Repaired {
        /// Its id.
        permit: String,
    },
    /// Spent.
    #[error(
        "already installed with this permit (`{permit}`)\nhint: to install again, change `permit.id` in the node file; to run what is installed, remove the medium"
    )]
    Spent {
        /// Its id.
        permit: String,
    },
}

/// Decides. Pure.
pub fn check(permit: &Permit, request: Request<'_>) -> Result<(), Refusal> {
    let permitted = permit.task.as_deref().unwrap_or(INSTALL);
    if permitted != request.task {
        return Err(Refusal::Task {
            permitted: permitted.to_owned(),
            task: request.task.to_owned(),
        });
    }
    if let Some(permitted) = &permit.board_serial {
        let found = request.board_serial.unwrap_or("unknown");
        if found != permitted {
            return Err(Refusal::Board {
                permitted: permitted.clone(),
                found: found.to_owned(),
            });
        }
    }
    if let Some(permitted) = &permit.plan
        && permitted != request.plan
    {
        return Err(Refusal::Plan {
            permitted: permitted.clone(),
            found: request.plan.to_owned(),
        });
    }
    let repaired = |state: &InstallState| {
        let own = |repair: &&Repair| repair.permit.as_deref() == Some(permit.id.as_str());
        state
            .repairs
            .iter()
            .find(own)
            .is_some_and(|repair| repair.done)
    };
    if request.prior.iter().any(repaired) {
        return Err(Refusal::Repaired {
            permit: permit.id.clone(),
        });
    }
    let spent = |state: &InstallState| {
        state.permit.as_deref() == Some(permit.id.as_str()) && state.state != Progress::Incomplete
    };
    if request.prior.iter().any(spent) {
        return Err(Refusal::Spent {
            permit: permit.id.clone(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(permit: &str, state: Progress) -> InstallState {
        InstallState {
            state,
            permit: Some(permit.into()),
            plan: "digest".into(),
            role: "control".into(),
            version: "1".into(),
            slots: Default::default(),
            repairs: Vec::new(),
        }
    }

    #[test]
    fn rules() {
        let permit = Permit {
            id: "p1".into(),
            board_serial: Some("ZM1".into()),
            plan: Some("digest".into()),
            task: None,
        };
        let ask = |serial, plan, prior: &[InstallState]| {
            let request = Request {
                board_serial: serial,
                plan,
                task: "install",
                prior,
            };
            check(&permit, request)
                .map_err(|refusal| refusal.to_string().lines().next().unwrap().to_owned())
        };
        let spent = Err("already installed with this permit (`p1`)".to_owned());
        assert_eq!(ask(Some("ZM1"), "digest", &[]), Ok(()));
        assert_eq!(
            ask(Some("ZM2"), "digest", &[]),
            Err("the permit is for board `ZM1`, this is board `ZM2`".into())
        );
        assert_eq!(
            ask(None, "digest", &[]),
            Err("the permit is for board `ZM1`, this is board `unknown`".into())
        );
        assert_eq!(
            ask(Some("ZM1"), "other", &[]),
            Err("the permit is for plan `digest`, this machine gives plan `other`".into())
        );
        assert_eq!(
            ask(Some("ZM1"), "digest", &[state("p1", Progress::Unproven)]),
            spent
        );
        assert_eq!(
            ask(Some("ZM1"), "digest", &[state("p1", Progress::Installed)]),
            spent
        );
        assert_eq!(
            ask(Some("ZM1"), "digest", &[state("p1", Progress::Unknown)]),
            spent
        );
        assert_eq!(
            ask(Some("ZM1"), "digest", &[state("p1", Progress::Incomplete)]),
            Ok(())
        );
        assert_eq!(
            ask(Some("ZM1"), "digest", &[state("p0", Progress::Installed)]),
            Ok(())
        );
        let both = [
            state("p0", Progress::Installed),
            state("p1", Progress::Installed),
        ];
        assert_eq!(ask(Some("ZM1"), "digest", &both), spent);
    }

    #[test]
    fn tasks_and_repairs() {
        let repaired = |permit: &str, done| InstallState {
            repairs: vec![Repair {
                permit: Some(permit.into()),
                plan: "digest".into(),
                done,
                replaced: vec![],
            }],
            ..state("p0", Progress::Installed)
        };
        let ask = |permitted: Option<&str>, task: &str, prior: InstallState| {
            let permit = Permit {
                id: "p1".into(),
                board_serial: None,
                plan: None,
                task: permitted.map(Into::into),
            };
            let request = Request {
                board_serial: None,
                plan: "digest",
                task,
                prior: &[prior],
            };
            check(&permit, request)
                .map_err(|refusal| refusal.to_string().lines().next().unwrap().to_owned())
        };
        let wrong = |permitted: &str, task: &str| {
            Err(format!(
                "the permit is for task `{permitted}`, this would be `{task}`"
            ))
        };
        let before = || state("p0", Progress::Installed);
        assert_eq!(ask(Some("repair"), "repair", before()), Ok(()));
        assert_eq!(ask(Some("install"), "install", before()), Ok(()));
        assert_eq!(ask(None, "repair", before()), wrong("install", "repair"));
        assert_eq!(
            ask(Some("repair"), "install", before()),
            wrong("repair", "install")
        );
        assert_eq!(
            ask(Some("repiar"), "install", before()),
            wrong("repiar", "install")
        );
        assert_eq!(
            ask(Some("repair"), "repair", repaired("p1", true)),
            Err("already repaired with this permit (`p1`)".into())
        );
        assert_eq!(
            ask(None, "install", repaired("p1", true)),
            Err("already repaired with this permit (`p1`)".into())
        );
        assert_eq!(ask(Some("repair"), "repair", repaired("p1", false)), Ok(()));
        assert_eq!(ask(Some("repair"), "repair", repaired("p2", true)), Ok(()));
        assert_eq!(
            ask(Some("repair"), "repair", state("p1", Progress::Installed)),
            Err("already installed with this permit (`p1`)".into())
        );
    }
}
