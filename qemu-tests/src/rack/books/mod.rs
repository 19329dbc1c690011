//! The books: a mail client outside of the cluster that sends and looks all the time and writes down what it was told, and a
//! check by another way that did not send.
//!
//! `books send` runs through all faults; what it is told goes to a journal ([`journal`]), line by line, on disk before the next
//! thing happens. `books check` reads the mailboxes ([`reader`]), compares them with journals ([`check`]), and measures how long
//! nothing was acknowledged ([`outage`]). Neither knows what a cluster is.

pub mod arguments;
pub mod check;
mod client;
mod imap;
pub mod journal;
pub mod message;
pub mod outage;
mod reader;
mod smtp;
#[cfg(test)]
mod stand_in;
#[cfg(test)]
mod tests;
mod wire;

pub use journal::{Moment, now};

/// First word of a command line that asks one of our programs to be `books`: it stands in every program that needs it, so that
/// nobody has to build a second one.
const WORD: &str = "books";

/// Runs `books` if that is what this program was asked to be.
#[must_use]
pub fn asked() -> Option<std::process::ExitCode> {
    let mut words = std::env::args_os();
    let own = words.next();
    (words.next()? == WORD).then(|| arguments::main(own.into_iter().chain(words)))
}

/// This program as `books`.
///
/// # Errors
/// If its own path is not known.
pub fn command() -> std::io::Result<std::process::Command> {
    let mut command = std::process::Command::new(std::env::current_exe()?);
    command.arg(WORD);
    Ok(command)
}
