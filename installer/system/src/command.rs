//! One external command: what to start, what came back, and an error that shows the quoted line and the last KiB of stderr.

use serde::{Deserialize, Serialize};

/// A command line. Secrets never go into arguments; give them as `input`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Program name, looked up in PATH.
    pub program: String,
    /// Arguments.
    pub arguments: Vec<String>,
    /// Standard input.
    pub input: Option<String>,
}

/// What a command that ended well wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// Standard output, lossy UTF-8.
    pub stdout: String,
    /// Standard error, lossy UTF-8.
    pub stderr: String,
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It could not be started.
    #[error("cannot start `{line}`: {source}")]
    Start {
        /// Quoted command line.
        line: String,
        /// Cause.
        source: std::io::Error,
    },
    /// It ended with an error.
    #[error("`{line}` ended with {status}\n{stderr}")]
    Failed {
        /// Quoted command line.
        line: String,
        /// `exit code 1` or `signal 9`.
        status: String,
        /// Last KiB of standard error.
        stderr: String,
    },
}
