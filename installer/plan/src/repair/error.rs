//! Why there is no repair.

use crate::error::PlanError;
use crate::select::Candidates;

/// Why there is no repair.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RepairError {
    /// The recorded plan is not one of an install.
    #[error(
        "the recorded plan is not that of an install\n\
         hint: nothing can be brought back by it; install with `storage.data = \"keep\"` to keep the data"
    )]
    NoInstall,
    /// The system itself is gone.
    #[error(
        "all disks of the system are gone: {disks}\n\
         hint: a repair needs one of them; install with `storage.data = \"keep\"` and a new permit: that makes the system anew \
         and leaves the data as it is"
    )]
    NoSystem {
        /// Which.
        disks: String,
    },
    /// More is gone than can be rebuilt.
    #[error(
        "{what} has lost more than it can rebuild: {disks}\n\
         hint: put one of these disks back if it can still be read; else restore from a backup after a new install"
    )]
    Lost {
        /// `array mysql (RAID5)`.
        what: String,
        /// Which.
        disks: String,
    },
    /// What was on the disk is not recorded.
    #[error(
        "{disk} was kept from an earlier install, so it is not recorded what was on it\n\
         hint: replace it by hand, with `mdadm --add` or `zpool replace`"
    )]
    NotRecorded {
        /// Which.
        disk: String,
    },
    /// No new disk.
    #[error(
        "disks are gone, and there is none to take their place\n{missing}\n\
         hint: put a disk of at least the same size into the same bay; without bays exactly one unused disk must fit\n{table}"
    )]
    NoReplacement {
        /// One line each.
        missing: String,
        /// All disks that are not part of the installed system.
        table: Candidates,
    },
    /// More than one new disk.
    #[error(
        "group `{group}`: {lost} gone, and {found} unused disks could take the place\n\
         hint: leave only the right ones in the machine; never is one of several taken by chance\n{table}"
    )]
    Ambiguous {
        /// Group.
        group: String,
        /// How many are gone.
        lost: usize,
        /// How many fit.
        found: usize,
        /// All disks that are not part of the installed system.
        table: Candidates,
    },
    /// The disk in the bay cannot be used.
    #[error(
        "{disk} is where `{lost}` was, but cannot take its place: {reason}\n\
         hint: put another disk into this bay"
    )]
    Unfit {
        /// The new one.
        disk: String,
        /// The one that is gone.
        lost: String,
        /// Why.
        reason: String,
    },
    /// The record does not say what it must.
    #[error(
        "the recorded plan cannot be read as one: {reason}\n\
         hint: was `plan.json` on the state file system changed by hand?"
    )]
    Record {
        /// What is wrong.
        reason: String,
    },
    /// As for an install.
    #[error(transparent)]
    Plan(#[from] PlanError),
}
