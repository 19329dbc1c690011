//! The depot: hands out boot files, node files and permits, and takes reports.
//!
//! One port serves two kinds of things. By plain HTTP what firmware and boot loader can fetch and what is no secret: scripts,
//! kernels, root images (each checked by its SHA-256 before it is used), the time of day. By TLS, with a certificate of the
//! cluster's authority, whose pin the machine knows: node files, secrets, permits, events, reports.

pub mod admin;
pub mod client;
pub mod dhcp;
pub mod direct;
mod line;
pub mod log;
pub mod objects;
pub mod record;
pub mod script;
pub mod server;
pub mod service;
pub mod store;
pub mod view;
pub mod wire;

/// Port of the service.
pub const PORT: u16 = 9211;
