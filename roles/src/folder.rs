//! Reads role folders. The only file access in this crate.

use std::collections::BTreeMap;

use crate::{Role, common::Common};

/// All role folders of one place, and what is common to them.
#[derive(Debug, Clone, PartialEq)]
pub struct RoleSet {
    /// `common/common.toml`.
    pub common: Common,
    /// `common/templates/`: file name to text.
    pub common_templates: BTreeMap<String, String>,
    /// Folders with a `role.toml`, by name.
    pub roles: BTreeMap<String, RoleFolder>,
}

/// One role folder.
#[derive(Debug, Clone, PartialEq)]
pub struct RoleFolder {
    /// `role.toml`.
    pub role: Role,
    /// `templates/`: file name to text.
    pub templates: BTreeMap<String, String>,
}
