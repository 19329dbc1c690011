//! Galera: when a node makes the cluster, joins it, waits or refuses; whether it serves; how an outage ends.

pub mod decide;
pub mod health;
pub mod join;
pub mod operator;
pub mod recover;
pub mod right;
pub mod state;
