//! Programs of this workspace that stand in each of our test programs, behind a first word: `prove rackwright build lb` is
//! `rackwright build lb`. A test that needs one of them starts itself, so that cargo compiles once, with one set of features,
//! what it otherwise would compile once for each program.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use crate::rack::books;

/// Another program in this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guise {
    /// The builder and depot.
    Rackwright,
    /// A mail client that keeps books.
    Books,
}

impl Guise {
    const ALL: [Self; 2] = [Self::Rackwright, Self::Books];

    const fn word(self) -> &'static str {
        match self {
            Self::Rackwright => "rackwright",
            Self::Books => "books",
        }
    }

    fn run(self, words: impl Iterator<Item = OsString>) -> ExitCode {
        match self {
            Self::Rackwright => image::cli::main(words),
            Self::Books => books::arguments::main(words),
        }
    }

    /// This program as the other one.
    ///
    /// # Errors
    /// If its own path is not known.
    pub fn command(self) -> std::io::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(self.word());
        Ok(command)
    }
}

/// Runs the other program if the command line asks for one.
#[must_use]
pub fn asked() -> Option<ExitCode> {
    let mut words = std::env::args_os().skip(1);
    let first = words.next()?;
    let guise = Guise::ALL.into_iter().find(|guise| first == guise.word())?;
    Some(guise.run(std::iter::once(first).chain(words)))
}
