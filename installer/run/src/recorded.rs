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

#[cfg(test)]
mod tests {
    use firmware::inventory::{Disk, DiskId};
    use plan::step::PlannedDisk;
    use roles::role::Purpose;

    use super::*;

    fn prior(node: &str, disks: &[&str], state: Progress) -> Prior {
        let disk = |id: &&str| PlannedDisk {
            id: DiskId((*id).into()),
            group: "os".into(),
            purpose: Purpose::Os,
            bay: None,
            model: None,
            serial: None,
            wwn: None,
            size: 1,
            holds: vec![],
        };
        let plan = Plan {
            node: node.into(),
            role: "lb".into(),
            inventory: String::new(),
            steps: vec![],
            notes: vec![],
            disks: disks.iter().map(disk).collect(),
            guards: vec![],
        };
        Prior {
            array: node.into(),
            install: Some(InstallState {
                state,
                permit: None,
                plan: String::new(),
                role: "lb".into(),
                version: "1".into(),
                slots: Default::default(),
                repairs: vec![],
            }),
            journal: vec![],
            plan: Some(serde_json::to_vec(&plan).unwrap()),
            node_file: None,
        }
    }

    #[test]
    fn which_system_is_the_machines_own() {
        let inventory = Inventory {
            disks: ["a", "b", "x"]
                .map(|id| Disk {
                    id: DiskId(id.into()),
                    ..Disk::default()
                })
                .to_vec(),
            ..Inventory::default()
        };
        let own = || prior("lb1", &["a", "b"], Progress::Installed);
        // Half of another machine's pair.
        let other = || prior("lb2", &["x", "y"], Progress::Installed);
        let without_plan = || Prior {
            plan: None,
            ..own()
        };
        let choose = |priors: Vec<Prior>, node: Option<&str>| {
            choose(priors, &inventory, node)
                .map(|recorded| recorded.plan.node)
                .map_err(|error| error.to_string().lines().next().unwrap().to_owned())
        };
        let refused = |text: &str| Err(text.to_owned());
        assert_eq!(choose(vec![own()], None), Ok("lb1".into()));
        assert_eq!(choose(vec![own()], Some("lb1")), Ok("lb1".into()));
        assert_eq!(choose(vec![other(), own()], None), Ok("lb1".into()));
        assert_eq!(choose(vec![other(), own()], Some("lb1")), Ok("lb1".into()));
        assert_eq!(
            choose(vec![own()], Some("lb3")),
            refused("the disks hold node `lb1`, the node file is for `lb3`")
        );
        assert_eq!(
            choose(
                vec![other(), prior("lb1", &["a", "c"], Progress::Installed)],
                None
            ),
            refused("the disks hold several installed systems: lb2, lb1")
        );
        assert_eq!(
            choose(vec![], None),
            refused("no installed system was found on the disks of this machine")
        );
        assert_eq!(
            choose(vec![without_plan()], None),
            refused("the installed system did not record its plan")
        );
        assert_eq!(
            choose(
                vec![prior("lb1", &["a", "b"], Progress::Incomplete)],
                Some("lb1")
            ),
            refused("the install of `lb1` did not finish")
        );
    }
}
