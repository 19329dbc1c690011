//! Roles, node files and selectors: what a machine should be, as data.
//!
//! Pure: parsers take text, renderers give text. Only [`folder`] reads files, and does nothing else.

pub mod address;
mod check;
pub mod common;
pub mod compile;
pub mod diagnostic;
pub mod draw;
pub mod folder;
pub mod network_config;
pub mod node;
pub mod parse;
pub mod reference;
pub mod render;
pub mod role;
mod schema;
pub mod selector;
mod shape;
pub mod site;
pub mod wiring;

pub use common::Common;
pub use diagnostic::{Diagnostic, Diagnostics};
pub use folder::{RoleFolder, RoleSet};
pub use node::NodeFile;
pub use role::Role;
pub use site::Site;
