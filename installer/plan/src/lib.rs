//! From role, inventory and node file to a plan. Pure: same input, same bytes.

mod bmc;
mod build;
pub mod commands;
mod data;
pub mod decommission;
mod error;
pub mod explain;
pub mod guard;
mod keep;
pub mod layout;
pub mod make;
mod md;
mod multipath;
mod os;
pub mod paths;
pub mod ports;
pub mod repair;
pub mod seed;
pub mod select;
pub mod size;
pub mod step;
pub mod svg;
mod table;
pub mod topology;
mod zfs;

pub use commands::{CommandLine, DevicePaths, Work};
pub use error::PlanError;
pub use explain::explain;
pub use make::{Choices, RootImage, make, make_allowing, make_with};
pub use paths::StablePaths;
pub use seed::Seed;
pub use step::{Action, Check, Device, Plan, Step};
