//! The installed system that is there: the plan it was installed by, as it stands on its state file system. What a repair
//! begins with. Only looks; arrays are started read-only and stopped again.

use std::collections::BTreeSet;

use firmware::Inventory;
use plan::Plan;
use system::System;

use crate::{
    install_state::{InstallState, Progress},
    prior::{self, LookError, Prior},
};

/// One installed system.
pub struct Recorded {
    /// The plan, with every disk that was changed since.
    pub plan: Plan,
    /// The node file it was installed with. May hold a password hash: never logged.
    pub node_file: Option<String>,
    /// How far its install got, and its repairs.
    pub install: InstallState,
}

/// Why there is nothing to repair.
#[derive(Debug, thiserror::Error)]
pub enum RecordedError {
    /// The disks could not be read.
    #[error("cannot look for the installed system: {0}")]
    Look(#[from] LookError),
    /// No state file system.
    #[error(
        "no installed system was found on the disks of this machine\n\
         hint: a repair needs one OS disk that is left; if all are gone, install with `storage.data = \"keep\"` and a new permit"
    )]
    Nowhere,
    /// Another node's.
    #[error(
        "the disks hold node `{found}`, the node file is for `{wanted}`\n\
         hint: is this the right machine? a repair never turns one node into another"
    )]
    OtherNode {
        /// On the disks.
        found: String,
        /// In the node file.
        wanted: String,
    },
    /// More than one.
    #[error(
        "the disks hold several installed systems: {}\n\
         hint: the new disk comes from another machine; wipe it there, or pull it, boot, and wipe it before it is put back",
        .0.join(", ")
    )]
    Several(Vec<String>),
    /// Not finished.
    #[error(
        "the install of `{0}` did not finish\n\
         hint: go on with it first: boot the medium with the permit of the install"
    )]
    Incomplete(String),
    /// Too old.
    #[error(
        "the installed system did not record its plan\n\
         hint: it was installed by an older version; bring the disk in by hand, or install with `storage.data = \"keep\"`"
    )]
    NoPlan,
    /// Damaged.
    #[error("the recorded plan cannot be read: {0}")]
    Damaged(#[from] serde_json::Error),
}

/// Finds the installed system. `node` is the name in the node file, if there is one.
///
/// # Errors
/// There is none, or it cannot be told which.
pub fn find(
    system: &dyn System,
    inventory: &Inventory,
    node: Option<&str>,
) -> Result<Recorded, RecordedError> {
    let names: BTreeSet<String> = inventory
        .disks
        .iter()
        .filter(|disk| !disk.boot_medium && !disk.removable && !disk.read_only && disk.size > 0)
        .filter_map(|disk| disk.paths.first())
        .map(|path| path.kernel_name.clone())
        .collect();
    choose(prior::installed(system, &names)?, inventory, node)
}

fn choose(
    priors: Vec<Prior>,
    inventory: &Inventory,
    node: Option<&str>,
) -> Result<Recorded, RecordedError> {
    let mut found = Vec::new();
    let mut without_plan = false;
    for prior in priors {
        let Some(install) = prior.install else {
            continue;
        };
        let Some(text) = prior.plan else {
            without_plan = true;
            continue;
        };
        found.push(Recorded {
            plan: serde_json::from_slice(&text)?,
            node_file: prior
                .node_file
                .and_then(|bytes| String::from_utf8(bytes).ok()),
            install,
        });
    }
    if let (Some(wanted), Some(first)) = (node, found.first()) {
        let other = first.plan.node.clone();
        found.retain(|recorded| recorded.plan.node == wanted);
        if found.is_empty() {
            return Err(RecordedError::OtherNode {
                found: other,
                wanted: wanted.into(),
            });
        }
    }
    // A disk of another system may have come with it: the machine's own has most of its disks here.
    let here = |recorded: &Recorded| {
        let disks = recorded.plan.disks.iter();
        disks
            .filter(|planned| inventory.disks.iter().any(|disk| disk.id == planned.id))
            .count()
    };
    let most = found.iter().map(here).max().unwrap_or_default();
    found.retain(|recorded| here(recorded) == most);
    if found.len() > 1 {
        let names = found.into_iter().map(|one| one.plan.node).collect();
        return Err(RecordedError::Several(names));
    }
    match found.pop() {
        Some(one) if one.install.state == Progress::Incomplete => {
            Err(RecordedError::Incomplete(one.plan.node))
        }
        Some(one) => Ok(one),
        None if without_plan => Err(RecordedError::NoPlan),
        None => Err(RecordedError::Nowhere),
    }
}
