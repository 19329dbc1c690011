//! This machine as its files say: the node file and the role data of the image. Every command of a running machine begins here.

use anyhow::Context as _;
use authority::control::{self, Own};
use camino::Utf8Path;
use roles::{NodeFile, Role, RoleSet};
use run::appliance;
use serde::de::DeserializeOwned;
use system::System;

/// This machine.
pub struct This {
    /// Node file.
    pub node: NodeFile,
    /// Role data.
    pub roles: RoleSet,
}

impl This {
    /// Reads both.
    ///
    /// # Errors
    /// They cannot be read, or are not valid.
    pub fn read(system: &dyn System) -> anyhow::Result<Self> {
        let roles = roles::folder::read(Utf8Path::new(appliance::ROLES))?;
        let text = system
            .read(Utf8Path::new(appliance::NODE_FILE))
            .context("this machine has no node file")?;
        let text = String::from_utf8(text).context("the node file is not text")?;
        let node = roles::parse::node_file(appliance::NODE_FILE, &text, Some(&roles))?;
        Ok(Self { node, roles })
    }

    /// Its role.
    ///
    /// # Errors
    /// The image is of another version and has no such role.
    pub fn role(&self) -> anyhow::Result<&Role> {
        let folder = self.roles.roles.get(&self.node.role);
        let folder =
            folder.with_context(|| format!("this image has no role `{}`", self.node.role))?;
        Ok(&folder.role)
    }

    /// Settings of its role as a type.
    ///
    /// # Errors
    /// No such role, or a key has another type.
    pub fn settings<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        Ok(self.role()?.settings_as(&self.node)?)
    }

    /// Claims that the control servers keep; absent where the plan has none.
    #[must_use]
    pub fn claims(&self) -> Option<Own> {
        let servers = self.node.authority.as_ref().map(control::servers);
        servers.filter(|servers| !servers.is_empty()).map(Own)
    }
}
