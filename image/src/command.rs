//! Starts programs for the builder. One trait, so that a test can hand in a host that fails.

use system::{Command, CommandError, Live, Output};

/// Runs commands to their end.
pub trait Runner {
    /// Runs `command`; an exit code other than 0 is an error that quotes the line and the last KiB of stderr.
    fn run(&self, command: &Command) -> Result<Output, CommandError>;
}

/// The real host.
#[derive(Debug, Default, Clone, Copy)]
pub struct Host;

impl Runner for Host {
    fn run(&self, command: &Command) -> Result<Output, CommandError> {
        Live.run(command)
    }
}

/// A command from a program and its arguments.
pub fn command<A: Into<String>>(program: &str, arguments: impl IntoIterator<Item = A>) -> Command {
    Command::new(program).args(arguments)
}
