//! Builds bootable appliance images: recipe (pure) -> cached layers -> root -> medium.
//!
//! Everything runs in private namespaces ([`namespace`]) and with tools from a tool root ([`tools`]), so that a build leaves
//! nothing behind when it is killed and does not depend on the host's distribution.

pub mod binaries;
pub mod build;
pub mod cache;
pub mod cli;
pub mod flash;
pub mod glob;
pub mod index;
pub mod initrd;
pub mod layers;
pub mod manifest;
pub mod media;
pub mod namespace;
pub mod payload;
pub mod progress;
pub mod provision;
pub mod pxe;
pub mod recipe;
pub mod sign;
pub mod snapshot;
pub mod tools;
