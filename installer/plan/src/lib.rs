//! From role, inventory and node file to a plan. Pure: same input, same bytes.

pub mod step;

pub use step::{Action, Check, Plan, Step};
