//! The only crate that starts processes and touches devices.
//!
//! Everything else sees them through [`System`], so that a recorded, failing or simulated system can stand in.

pub mod command;
mod conversation;
pub mod delivered;
pub mod download;
pub mod drained;
mod effects;
pub mod failing;
pub mod guard;
mod ioctl;
pub mod live;
pub mod network;
pub mod process;
pub mod recorded;
mod rest;
pub mod simulated;
pub mod tree;

pub use command::{Command, CommandError, Output};
pub use conversation::Conversation;
pub use download::{DownloadError, download};
pub use effects::{Access, BlockDevice, System, SystemError};
pub use failing::Failing;
pub use guard::Mounted;
pub use live::Live;
pub use network::Network;
pub use process::{Stream, on_terminal};
pub use recorded::Recorded;
pub use rest::rest;
pub use simulated::Simulated;
pub use tree::Tree;
