//! What a machine is: the inventory, how it is probed, and what it should be.

pub mod bmc;
pub mod capture;
pub mod compare;
pub mod fixture;
pub mod health;
pub mod inventory;
pub mod ipmi;
pub mod live;
pub mod port_module;
pub mod probe;
pub mod recording;
pub mod reference;
pub mod report;
pub mod signature;

pub use compare::{Finding, Weight, compare};
pub use inventory::Inventory;
pub use reference::Reference;
