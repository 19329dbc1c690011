//! The cluster's authority, as the control servers serve it: identities, secrets and claims, over TLS with certificates of
//! both sides. One control server is active; the other follows its log and takes over when somebody promotes it. No consensus:
//! two servers cannot outvote each other, and mail flows with both of them down.

pub mod client;
pub mod control;
pub mod enrol;
pub mod follow;
pub mod log;
pub mod record;
pub mod server;
pub mod service;
pub mod store;
pub mod tls;
pub mod wire;

/// Port of the service.
pub const PORT: u16 = 9210;

/// Seconds since 1970 of this machine's clock.
#[must_use]
pub fn now() -> u64 {
    system::Network::clock(&system::Live).as_secs()
}
