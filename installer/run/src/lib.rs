//! The engine and all that runs on the machine: steps, events, journal, boot rendering, health, status.

pub mod actions;
pub mod appliance;
pub mod bmc;
pub mod checks;
pub mod console;
pub mod context;
pub mod devices;
pub mod engine;
pub mod event;
pub mod grub;
pub mod identity;
pub mod install_state;
pub mod journal;
pub mod node_source;
pub mod permit;
pub mod pools;
pub mod prior;
pub mod recorded;
pub mod secrets;
pub mod stream;

pub use context::Context;
pub use engine::execute;
pub use event::{Event, Outcome, Record};
