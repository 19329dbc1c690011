//! A database server outside Galera: alone, primary, or replica. Who may write is said by a fencing epoch that both of a pair
//! keep; nothing writes because it did so before.

pub mod decide;
pub mod gtid;
pub mod join;
pub mod operator;

/// The resource whose epoch says who may write.
pub const RESOURCE: &str = "database:primary";
