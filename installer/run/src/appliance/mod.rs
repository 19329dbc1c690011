//! The machine after `rackwright-init`: renders `/etc`, tells how the machine is, and proves an install.

pub mod boot_check;
pub mod boot_facts;
pub mod health;
pub mod incomplete;
mod minimal;
pub mod prepare;
pub mod progress;
pub mod status;
mod status_text;
pub mod surroundings;

pub use boot_check::boot_check;
pub use incomplete::show as show_incomplete;
pub use prepare::prepare_boot;
pub use status::status;

/// Role data of the image.
pub const ROLES: &str = "/usr/share/rackwright/roles";
/// The node file of an installed machine.
pub const NODE_FILE: &str = "/state/node.toml";
