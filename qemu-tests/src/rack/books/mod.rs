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
