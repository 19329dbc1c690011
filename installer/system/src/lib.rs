//! The only crate that starts processes and touches devices.
//!
//! Everything else sees them through `System`, so that a recorded, failing or simulated system can stand in.

pub mod command;
pub mod live;

pub use command::{Command, CommandError, Output};
pub use live::Live;
