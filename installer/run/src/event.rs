//! Events: the only thing a front end sees of an install. Every front end is a fold over these.

use serde::{Deserialize, Serialize};

/// One line of the event stream (JSON lines).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// From 0, without holes.
    pub sequence: u64,
    /// Milliseconds since the stream began.
    pub at: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The machine came up in a mode.
    Booted {
        /// `install`, `rescue`, `run`.
        mode: String,
        /// Role of the image.
        role: String,
        /// Version of the image.
        version: String,
    },
    /// A plan is about to be executed.
    Planned {
        /// Node name.
        node: String,
        /// Digest of the plan.
        digest: String,
        /// Step ids and titles.
        steps: Vec<(String, String)>,
    },
    /// A step began.
    Started {
        /// Step id.
        step: String,
    },
    /// A step moves on.
    Progress {
        /// Step id.
        step: String,
        /// Done so far.
        done: u64,
        /// Of how many.
        total: u64,
        /// `bytes`.
        unit: String,
    },
    /// A step is tried again.
    Retrying {
        /// Step id.
        step: String,
        /// Which try this is, from 2.
        attempt: u32,
        /// Why.
        reason: String,
    },
    /// Something to know.
    Warned {
        /// Step id, if any.
        step: Option<String>,
        /// Text.
        message: String,
    },
    /// A step was already done.
    Skipped {
        /// Step id.
        step: String,
        /// Why.
        reason: String,
    },
    /// A step ended well.
    Finished {
        /// Step id.
        step: String,
        /// How long it took.
        milliseconds: u64,
    },
    /// A step failed; nothing after it runs.
    Failed {
        /// Step id.
        step: String,
        /// The error with its causes.
        error: String,
        /// What to do.
        hint: Option<String>,
    },
    /// The run is over.
    Ended {
        /// How.
        outcome: Outcome,
        /// One line.
        message: String,
    },
    /// Result of a health check run, once per boot and on request.
    Health {
        /// All checks hold.
        healthy: bool,
        /// The `status --json` document.
        status: serde_json::Value,
    },
    /// Written by a newer version.
    #[serde(other)]
    Unknown,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// All steps done.
    Done,
    /// A step failed.
    Failed,
    /// Stopped between steps on request.
    Cancelled,
    /// Refused before the first write.
    Refused,
}
