//! What a step of a join gives each time it is asked, and what stops a join for good.

use std::fmt;

/// A refusal: time does not cure it, somebody has to act. The identifiers stand in docs/cluster.md.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Stable name.
    pub id: &'static str,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.id)
    }
}

/// Answer of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Holds now.
    Done(String),
    /// Not yet; the words follow "waits for".
    Wait(String),
    /// A command or file failed; it is tried again.
    Failed(String),
    /// Stop.
    Refuse(Refused),
}

impl Outcome {
    /// From the answer of a command.
    pub fn tried<T>(result: Result<T, impl fmt::Display>, next: impl FnOnce(T) -> Self) -> Self {
        match result {
            Ok(value) => next(value),
            Err(error) => Self::Failed(error.to_string()),
        }
    }
}
