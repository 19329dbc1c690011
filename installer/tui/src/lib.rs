//! The installer's screens: a state that only messages change, drawn from `&State`, with effects carried out by an executor.
//!
//! Nothing here touches a device or starts a process. What happened is a list of [`message::Line`]s; every console of a machine
//! is a fold over the same list, and so is a replay on another one.

pub mod chassis;
pub mod demonstration;
pub mod draft;
pub mod draw;
pub mod example;
pub mod executor;
pub mod facts;
pub mod fields;
pub mod gallery;
pub mod key;
pub mod keymap;
pub mod log;
pub mod look;
pub mod message;
pub mod play;
pub mod progress;
pub mod proposal;
pub mod report;
pub mod screenshot;
pub mod simulated;
pub mod state;
pub mod terminal;
pub mod text;
pub mod update;

pub use draw::{View, draw};
pub use facts::Facts;
pub use key::Key;
pub use look::Look;
pub use message::{Effect, Line, Message};
pub use state::{Screen, State};
pub use update::update;
