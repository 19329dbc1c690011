//! What a machine is: the inventory, how it is probed, and what it should be.

pub mod fixture;
pub mod inventory;
pub mod ipmi;
pub mod live;
pub mod probe;
pub mod recording;
pub mod report;
pub mod signature;

pub use inventory::Inventory;
