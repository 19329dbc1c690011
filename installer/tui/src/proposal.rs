//! What follows from machine and node file: the findings and the plan, or why there is none. Made by the same pure functions
//! as in an unattended install, so that what Review shows is what an install does.

use firmware::{
    Finding, Reference,
    compare::{self, Adjustments},
};
use plan::{Choices, Plan, PlanError, RootImage, Seed};
use roles::{NodeFile, role::Purpose};

use crate::{facts::Facts, message::Installed};

/// Findings of the preflight are not the hardware's (`preflight::PREFIX`).
const NETWORK: &str = "preflight.";

/// What follows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Proposal {
    /// The plan.
    pub plan: Option<Plan>,
    /// Its digest.
    pub digest: String,
    /// Why there is no plan.
    pub error: Option<PlanError>,
    /// Against the reference, worst first, waivers applied.
    pub findings: Vec<Finding>,
    /// What is wrong with the node file itself.
    pub problems: Vec<String>,
}

impl Proposal {
    /// Nothing keeps it from being confirmed.
    #[must_use]
    pub fn can_install(&self) -> bool {
        self.plan
            .as_ref()
            .is_some_and(|plan| !plan.steps.is_empty())
            && self.problems.is_empty()
            && !self.findings.iter().any(Finding::blocks)
    }
}

/// The node file as TOML.
#[must_use]
pub fn text(node: &NodeFile) -> String {
    toml::to_string(node).unwrap_or_default()
}

/// Plans for this machine and node file.
#[must_use]
pub fn propose(facts: &Facts, node: &NodeFile) -> Proposal {
    let problems = match roles::parse::node_file("node file", &text(node), None) {
        Ok(_) => Vec::new(),
        Err(found) => found
            .items()
            .iter()
            .map(|item| match &item.hint {
                Some(hint) => format!("{} ({hint})", item.message),
                None => item.message.clone(),
            })
            .collect(),
    };
    let (plan, error) = match make(facts, node) {
        Ok(plan) => (Some(plan), None),
        Err(error) => (None, Some(error)),
    };
    let digest = plan.as_ref().map(Plan::digest).unwrap_or_default();
    Proposal {
        findings: findings(facts, node, plan.is_some()),
        plan,
        digest,
        error,
        problems,
    }
}

/// As `install` makes it: seed, choices and image are the same.
fn make(facts: &Facts, node: &NodeFile) -> Result<Plan, PlanError> {
    let image = RootImage {
        size: facts.image_size,
        sha256: facts.image_sha256.clone(),
        version: facts.version.clone(),
    };
    let serial = facts.inventory.board.serial.clone().unwrap_or_default();
    let permit = node.permit.as_ref().map_or("", |permit| &permit.id);
    let seed = Seed::new(&[&node.node, &serial, permit]);
    let choices = Choices {
        allowed: node.storage.destroy.clone(),
        keep_data: node.storage.data.as_deref() == Some("keep"),
    };
    plan::make_with(&facts.role, node, &facts.inventory, &image, &seed, &choices)
}

fn findings(facts: &Facts, node: &NodeFile, planned: bool) -> Vec<Finding> {
    let Ok(reference) = Reference::built_in() else {
        return Vec::new();
    };
    let adjustments = Adjustments {
        data_disks: node
            .disks
            .iter()
            .find(|need| need.purpose == Purpose::Data)
            .map(|need| need.count),
        planned,
        sets_bmc_password: facts.bmc_password && node.bmc.is_some(),
    };
    let mut findings =
        compare::compare_adjusted(&reference, &node.role, &facts.inventory, adjustments);
    let waivers: Vec<_> = node
        .waivers
        .iter()
        .filter(|waiver| !waiver.finding.starts_with(NETWORK))
        .cloned()
        .collect();
    compare::waive(&mut findings, &waivers);
    findings
}

/// What follows where the machine is to be emptied.
#[must_use]
pub fn decommission(facts: &Facts, node: &NodeFile) -> Proposal {
    let made = plan::decommission::make(
        &node.node,
        &facts.role.name,
        &facts.inventory,
        &node.storage.destroy,
    );
    let (plan, error) = match made {
        Ok(plan) => (Some(plan), None),
        Err(error) => (None, Some(error)),
    };
    let digest = plan.as_ref().map(Plan::digest).unwrap_or_default();
    Proposal {
        plan,
        digest,
        error,
        ..Proposal::default()
    }
}

/// What follows where the installed system is to be brought back. The plan was made by the same function as the one that is
/// carried out, outside of this program: only there the recorded plan can be read.
#[must_use]
pub fn repair(installed: Option<&Installed>) -> Proposal {
    let Some(installed) = installed else {
        return Proposal::default();
    };
    let digest = installed.plan.as_ref().map(Plan::digest);
    Proposal {
        plan: installed.plan.clone(),
        digest: digest.unwrap_or_default(),
        problems: installed.problem.iter().cloned().collect(),
        ..Proposal::default()
    }
}
