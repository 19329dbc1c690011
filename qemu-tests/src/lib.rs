//! Simulated reference servers: machines, disks, networks and BMCs in code, and what is proven on them.
//!
//! A machine is data ([`machine::Specification`]); [`machine::Machine`] gives it a directory with its disks;
//! [`machine::Running`] is one boot of it. The guest itself says how it fares, as event lines
//! ([`run::event::Record`]) on a virtio serial port; nothing is guessed from its console.

pub mod demo;
pub mod guise;
pub mod host;
pub mod images;
pub mod machine;
pub mod machines;
pub mod mutations;
pub mod node;
pub mod prove;
pub mod rack;
pub mod random;
pub mod scenario;
pub mod switch;
