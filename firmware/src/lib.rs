//! What a machine is: the inventory, how it is probed, and what it should be.

pub mod inventory;

pub use inventory::Inventory;
