//! How a machine becomes part of its cluster: what may be decided from facts alone, without effects.

pub mod claims;
pub mod galera;
