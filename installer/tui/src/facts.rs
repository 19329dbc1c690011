//! What is known when the program starts: given by an executor, never looked for here.

use firmware::Inventory;
use roles::{NodeFile, Role};
use serde::{Deserialize, Serialize};

/// Everything the screens start from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// What the program is started for.
    pub mode: Mode,
    /// The role of the image.
    pub role: Role,
    /// The machine.
    pub inventory: Inventory,
    /// Version of the image.
    pub version: String,
    /// Size of the root image in bytes.
    pub image_size: u64,
    /// Its sha256.
    pub image_sha256: String,
    /// Any unique text: id of the permit that a confirmation makes.
    pub session: String,
    /// The node file that was found.
    #[serde(default)]
    pub node: Option<NodeFile>,
    /// Where it was found, or why it cannot be used.
    #[serde(default)]
    pub node_source: Option<String>,
    /// Address of the depot, if one is known.
    #[serde(default)]
    pub depot: Option<String>,
    /// Nothing is written anywhere: a demonstration.
    #[serde(default)]
    pub simulated: bool,
    /// A password for the management controller was delivered.
    #[serde(default)]
    pub bmc_password: bool,
    /// F12 opens a root shell.
    #[serde(default = "yes")]
    pub shell: bool,
    /// Things to know about this boot.
    #[serde(default)]
    pub warnings: Vec<String>,
}

fn yes() -> bool {
    true
}

/// What the program is started for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The wizard.
    Install,
    /// The status console of the running appliance.
    Console,
}

impl Facts {
    /// Without what must not leave the machine: the hash of the console password.
    #[must_use]
    pub fn redacted(&self) -> Self {
        let mut facts = self.clone();
        if let Some(node) = &mut facts.node {
            node.access.password_hash = None;
        }
        facts
    }
}
