//! What every step of a join sees of the machine and the world.

use roles::{NodeFile, Role};
use system::System;

use crate::{claims::Claims, outside::Outside};

/// One join.
pub struct Context<'a> {
    /// Effects.
    pub system: &'a dyn System,
    /// Other machines.
    pub outside: &'a dyn Outside,
    /// Claims that control nodes keep, where there are any; else the members are asked.
    pub claims: Option<&'a dyn Claims>,
    /// The role.
    pub role: &'a Role,
    /// The node file.
    pub node: &'a NodeFile,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot: String,
}
