//! Compares an inventory with the reference hardware of a role. Pure: the same machine gives the same findings.
//!
//! The reference is advice: being slower, smaller or of another make warns at most, whatever the board calls itself. Only
//! what a role cannot work without fails, and what no reason can replace (a disk, a network port) cannot be waived.

pub use roles::node::Waiver;
use serde::{Deserialize, Serialize};

use crate::Inventory;
use crate::reference::{Reference, RoleReference};

mod controllers;
mod disks;
mod machine;
mod network;
#[cfg(test)]
mod tests;

/// How much a difference matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// As expected.
    Pass,
    /// Harmless, or not to be known.
    Info,
    /// Works, but worse than it should.
    Warn,
    /// Blocks an unattended installation.
    Fail,
}

/// One comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable name for waivers: `memory.total`, `hba.firmware:0000:02:00.0`.
    pub id: String,
    /// Part, for people.
    pub part: String,
    /// What the reference says.
    pub expected: String,
    /// What is there.
    pub found: String,
    /// Weight.
    pub weight: Weight,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// A waiver may set a failure aside. What the role cannot work without is never waivable.
    #[serde(default)]
    pub waivable: bool,
    /// Reason of the waiver that set it aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waived: Option<String>,
}

impl Finding {
    /// A finding that may be waived, and says nothing yet. Whoever compares something else than hardware makes it here, too.
    pub fn new(id: impl Into<String>, part: impl Into<String>, weight: Weight) -> Self {
        Self {
            id: id.into(),
            part: part.into(),
            expected: String::new(),
            found: String::new(),
            weight,
            advice: None,
            waivable: true,
            waived: None,
        }
    }

    /// What should be.
    pub fn expected(mut self, text: impl Into<String>) -> Self {
        self.expected = text.into();
        self
    }

    /// What is.
    pub fn found(mut self, text: impl Into<String>) -> Self {
        self.found = text.into();
        self
    }

    /// What to do; dropped where nothing is wrong.
    pub fn advice(mut self, text: impl Into<String>) -> Self {
        if self.weight != Weight::Pass {
            self.advice = Some(text.into());
        }
        self
    }

    fn law(mut self) -> Self {
        self.waivable = false;
        self
    }

    /// Blocks an unattended installation.
    pub fn blocks(&self) -> bool {
        self.weight == Weight::Fail && self.waived.is_none()
    }
}

/// What a node file changes in the expectations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Adjustments {
    /// Number of data disks, if it is not the role's default.
    pub data_disks: Option<u32>,
    /// The planner found disks for every group: what the role needs is there, so numbers of disks are advice.
    pub planned: bool,
    /// The install sets up the BMC and has a password for it: the factory's goes by itself.
    pub sets_bmc_password: bool,
}

/// Everything that was compared, worst first. A role without reference data gives one finding that says so.
pub fn compare(reference: &Reference, role: &str, inventory: &Inventory) -> Vec<Finding> {
    compare_adjusted(reference, role, inventory, Adjustments::default())
}

/// As [`compare`], with the node file's changes.
pub fn compare_adjusted(
    reference: &Reference,
    role: &str,
    inventory: &Inventory,
    adjustments: Adjustments,
) -> Vec<Finding> {
    let Some(expectation) = reference.role(role) else {
        return vec![
            Finding::new("role.reference", "role", Weight::Info)
                .expected("reference data for the role")
                .found(format!("none for `{role}`"))
                .advice("only the role's own disk and network needs are checked"),
        ];
    };
    let case = Case {
        reference,
        role: expectation,
        inventory,
        adjustments,
    };
    let mut findings = machine::findings(&case);
    findings.extend(controllers::findings(&case));
    findings.extend(disks::findings(&case));
    findings.extend(network::findings(&case));
    findings.sort_by(|a, b| b.weight.cmp(&a.weight).then_with(|| a.id.cmp(&b.id)));
    findings
}

/// Sets waived differences aside. Gives back the waivers that changed nothing, each with the reason.
pub fn waive<'a>(
    findings: &mut [Finding],
    waivers: &'a [Waiver],
) -> Vec<(&'a Waiver, UselessWaiver)> {
    let mut useless = Vec::new();
    for waiver in waivers {
        let mut why = Some(UselessWaiver::NoSuchFinding);
        for finding in findings
            .iter_mut()
            .filter(|finding| finding.id == waiver.finding)
        {
            why = if finding.weight == Weight::Pass {
                Some(UselessWaiver::Passed)
            } else if finding.waivable {
                finding.waived = Some(waiver.reason.clone());
                None
            } else {
                Some(UselessWaiver::CannotBeWaived)
            };
        }
        useless.extend(why.map(|why| (waiver, why)));
    }
    useless
}

/// Why a waiver changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UselessWaiver {
    /// No finding has that id.
    #[error("there is no such finding here")]
    NoSuchFinding,
    /// The check passed.
    #[error("the check passed, so it is not needed")]
    Passed,
    /// The role cannot work without it.
    #[error("it cannot be waived, because the role cannot work without it")]
    CannotBeWaived,
}

/// One comparison's inputs.
struct Case<'a> {
    reference: &'a Reference,
    role: &'a RoleReference,
    inventory: &'a Inventory,
    adjustments: Adjustments,
}

impl Case<'_> {
    /// Makers that hypervisors name themselves after.
    fn is_virtual(&self) -> bool {
        let board = &self.inventory.board;
        let text = [&board.vendor, &board.product]
            .into_iter()
            .flatten()
            .map(|text| text.to_lowercase());
        text.into_iter().any(|text| {
            [
                "qemu",
                "kvm",
                "vmware",
                "virtualbox",
                "virtual machine",
                "xen",
                "bochs",
                "openstack",
            ]
            .iter()
            .any(|name| text.contains(name))
        })
    }
}
