//! What every role's image has, read from `roles/common/common.toml`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::role::{HealthCheck, Port, Services, Template};

/// The common part of all images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Common {
    /// Format of this file, `1`.
    pub format: u32,
    /// Debian packages in the base layer, shared by all roles.
    pub packages: Vec<String>,
    /// Kernel modules kept in the root image (with their dependencies): names, or globs below `kernel/`.
    pub image_modules: Vec<String>,
    /// Kernel modules put into the initrd (with their dependencies): same form.
    pub initrd_modules: Vec<String>,
    /// Modules the initrd loads always; everything else by modalias.
    pub initrd_load: Vec<String>,
    /// Units of every role.
    #[serde(default)]
    pub services: Services,
    /// Ports of every role.
    #[serde(default)]
    pub ports: Vec<Port>,
    /// Templates of every role.
    #[serde(default)]
    pub templates: Vec<Template>,
    /// Health checks of every role.
    #[serde(default)]
    pub health: Vec<HealthCheck>,
    /// Defaults handed to templates.
    #[serde(default)]
    pub settings: BTreeMap<String, toml::Value>,
}
