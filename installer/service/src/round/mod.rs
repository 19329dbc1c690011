//! Rounds of the roles: effects by [`system::System`], decisions by the modules beside it.

pub mod icewarp;
pub mod mail;
pub mod storage;
