//! One round of looking after a role: what is missing is said and waited for, what is there is started, what must not go on
//! is stopped. Every round does the same, so nothing depends on the order in which machines start.

use camino::Utf8Path;
use roles::{NodeFile, RoleSet};
use serde::{Deserialize, Serialize};
use system::{Command, System, drained};

use crate::{front, replication, round, sessions, settings};

/// Where the last round is written.
pub const REPORT: &str = "/run/rackwright/service.json";
/// How far this machine's role is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// In service.
    Ready,
    /// Waits for another machine.
    Waits,
    /// A rule forbids it; somebody must act.
    Refused,
    /// A command failed.
    Failed,
    /// The node file plans nothing for it.
    Idle,
}

/// Result of a round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// How far.
    pub state: State,
    /// What is in service, what is waited for, what is wrong.
    pub detail: String,
    /// TCP ports that must answer now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listens: Vec<u16>,
    /// Age of the copies, on storage servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replication: Option<Box<replication::State>>,
}

impl Report {
    /// Without replication.
    #[must_use]
    pub fn new(state: State, detail: impl Into<String>) -> Self {
        Self {
            state,
            detail: detail.into(),
            listens: Vec::new(),
            replication: None,
        }
    }

    /// In service.
    #[must_use]
    pub fn ready(detail: impl Into<String>) -> Self {
        Self::new(State::Ready, detail)
    }

    /// Waits.
    #[must_use]
    pub fn waits(detail: impl Into<String>) -> Self {
        Self::new(State::Waits, detail)
    }

    /// Refused.
    #[must_use]
    pub fn refused(why: &dyn std::fmt::Display) -> Self {
        Self::new(State::Refused, why.to_string())
    }

    /// Nothing to do.
    #[must_use]
    pub fn idle() -> Self {
        Self::new(State::Idle, "the node file has no plan for it")
    }
}

/// One round for this machine.
#[must_use]
pub fn round(system: &dyn System, roles: &RoleSet, node: &NodeFile, now: u64) -> Report {
    let Some(folder) = roles.roles.get(&node.role) else {
        return Report::idle();
    };
    let role = &folder.role;
    let report = match node.role.as_str() {
        "storage" | "backup" => role
            .settings_as(node)
            .map(|settings| round::storage::round(system, node, &settings, now)),
        "production" | "standalone" => role
            .settings_as(node)
            .map(|settings| round::mail::round(system, node, &settings, now)),
        "lb" => role
            .settings_as(node)
            .map(|settings| front_round(system, node, &settings)),
        _ => return Report::idle(),
    };
    report.unwrap_or_else(|error| Report::refused(&error))
}

/// keepalived does the work; here is only what its own parser does not see, and the store of web sessions.
fn front_round(system: &dyn System, node: &NodeFile, settings: &settings::Front) -> Report {
    if settings.vips.is_empty() {
        return Report::idle();
    }
    if drained::is(system) {
        return Report::waits(drained::WORDS);
    }
    if let Some(refusal) = front::check(settings, node).first() {
        return Report::refused(refusal);
    }
    match sessions::round(system, node, settings) {
        Ok(()) => Report::ready("keepalived has a sound plan"),
        Err(report) => report,
    }
}

/// Writes the report where `status` finds it.
///
/// # Errors
/// The file cannot be written.
pub fn write(system: &dyn System, report: &Report) -> Result<(), system::SystemError> {
    let text = serde_json::to_vec(report).unwrap_or_default();
    system.make_directory(Utf8Path::new("/run/rackwright"))?;
    system.write(Utf8Path::new(REPORT), &text, 0o644)
}

/// Reads the last report.
#[must_use]
pub fn read(system: &dyn System) -> Option<Report> {
    serde_json::from_slice(&system.read(Utf8Path::new(REPORT)).ok()?).ok()
}

/// Runs a command; its error as text.
pub(crate) fn run(system: &dyn System, words: &[&str]) -> Result<String, String> {
    let Some((program, arguments)) = words.split_first() else {
        return Ok(String::new());
    };
    let command = Command::new(*program)
        .args(arguments.iter().copied())
        .timeout(std::time::Duration::from_secs(90));
    system
        .run(&command)
        .map(|output| output.stdout)
        .map_err(|error| error.to_string())
}
