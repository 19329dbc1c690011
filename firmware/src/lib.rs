//! What a machine is: the inventory, how it is probed, and what it should be.

pub mod fixture;
pub mod inventory;
pub mod ipmi;
pub mod probe;

pub use inventory::Inventory;
