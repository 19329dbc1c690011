//! From role, inventory and node file to a plan. Pure: same input, same bytes.

pub mod commands;
pub mod paths;
pub mod seed;
pub mod step;

pub use commands::{CommandLine, DevicePaths, Work};
pub use seed::Seed;
pub use step::{Action, Check, Device, Plan, Step};
