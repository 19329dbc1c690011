//! Why there is no plan: what is wrong, where, and what to do.

use crate::ports::PortError;
use crate::select::SelectError;
use crate::size::decimal;
use crate::step::Guard;

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Disks could not be chosen.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// Network ports could not be chosen.
    #[error(transparent)]
    Ports(#[from] PortError),
    /// The built-in reference data cannot be read; a test of `firmware` keeps that from happening.
    #[error("the built-in reference hardware cannot be read: {reason}")]
    Reference {
        /// What is wrong.
        reason: String,
    },
    /// A role without OS disks cannot be installed.
    #[error(
        "role `{role}` has no disk group with purpose `os`\nhint: give it one, in the role file or in the node file"
    )]
    NoOs {
        /// Role.
        role: String,
    },
    /// The OS disks are not a pair.
    #[error(
        "the OS disks are not equal in size: {small}, {large}\n\
         hint: use two disks within 1 % of each other, or select others in the node file"
    )]
    UnequalOs {
        /// The smallest.
        small: String,
        /// The largest.
        large: String,
    },
    /// A disk is too small.
    #[error(
        "group `{group}`: its smallest disk has {has} bytes ({}), at least {least} ({}) are needed for {reason}\n\
         hint: use larger disks",
        decimal(*has),
        decimal(*least)
    )]
    TooSmall {
        /// Group.
        group: String,
        /// Bytes of the smallest disk.
        has: u64,
        /// Bytes needed.
        least: u64,
        /// For what.
        reason: String,
    },
    /// The layout does not fit the disks.
    #[error("group `{group}`: {reason}\nhint: change the group's layout or count in the node file")]
    Layout {
        /// Group.
        group: String,
        /// What is wrong.
        reason: String,
    },
    /// A choice of paths nobody knows.
    #[error("`{value}` is not a value of `multipath`\nhint: write `auto`, `single` or `dm`")]
    Multipath {
        /// What was written.
        value: String,
    },
    /// A storage choice nobody knows.
    #[error("`{value}` is not a value of `initial_sync`\nhint: write `full` or `skip`")]
    InitialSync {
        /// What was written.
        value: String,
    },
    /// Data to keep is not there, or not clearly.
    #[error(
        "group `{group}` is to be kept, but {found} times instead of once a {what} was found on its disks {disks}\n\
         hint: look at what the inventory shows on these disks; install without `keep` to make it anew"
    )]
    Keep {
        /// Group.
        group: String,
        /// What was looked for.
        what: String,
        /// How often it was found.
        found: usize,
        /// Disks of the group.
        disks: String,
    },
    /// Nothing to decommission.
    #[error(
        "this machine has no disk that may be emptied\nhint: `inventory` shows why each disk is left alone"
    )]
    NothingToEmpty,
    /// Something of others would be destroyed.
    #[error(
        "what lies on the disks is guarded\n{}\n\
         hint: if it may be destroyed, allow it by its key; nothing was written",
        guard_lines(guards)
    )]
    Guarded {
        /// What was not allowed.
        guards: Vec<Guard>,
    },
}

impl PlanError {
    pub(crate) fn layout(group: &str, reason: String) -> Self {
        Self::Layout {
            group: group.into(),
            reason,
        }
    }
}

fn guard_lines(guards: &[Guard]) -> String {
    let line = |guard: &Guard| {
        let disks: Vec<String> = guard.disks.iter().map(ToString::to_string).collect();
        format!(
            "  {} {}: {}\n      key: {}\n      disks: {}",
            guard.kind,
            guard.name.as_deref().unwrap_or("(no name)"),
            guard.reason,
            guard.key,
            disks.join(", ")
        )
    };
    guards.iter().map(line).collect::<Vec<_>>().join("\n")
}
