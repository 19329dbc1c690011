//! The engine and all that runs on the machine: steps, events, journal, boot rendering, health, status.

pub mod appliance;
pub mod event;
pub mod node_source;
