//! Roles, node files and selectors: what a machine should be, as data.
//!
//! Pure: parsers take text, renderers give text. Only [`folder`] reads files, and does nothing else.

pub mod common;
pub mod folder;
pub mod node;
pub mod render;
pub mod role;
pub mod selector;

pub use node::NodeFile;
pub use role::Role;
