//! Renders `/etc`: role + node file + facts of this boot give files and links. Pure; `run` writes them.

mod access;
mod firewall;
mod hosts;
mod mounts;
mod multipath;
mod network;
mod services;
mod templates;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{NodeFile, RoleFolder, RoleSet};

pub use access::Accounts;

/// One file of `/etc`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenderedFile {
    /// Absolute path.
    pub path: String,
    /// What it is.
    pub content: Content,
}

/// Content of a rendered file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// A file with permission bits.
    File {
        /// Text.
        text: String,
        /// Permission bits, such as `0o644`.
        mode: u32,
    },
    /// A symbolic link.
    Link {
        /// Where it points.
        target: String,
    },
}

impl RenderedFile {
    /// A file that all may read.
    fn text(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self::with_mode(path, text, 0o644)
    }

    fn with_mode(path: impl Into<String>, text: impl Into<String>, mode: u32) -> Self {
        Self {
            path: path.into(),
            content: Content::File {
                text: text.into(),
                mode,
            },
        }
    }

    fn link(path: impl Into<String>, target: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            content: Content::Link {
                target: target.into(),
            },
        }
    }
}

/// What this boot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BootMode {
    /// Live system that installs.
    Install,
    /// Live system with a shell.
    Rescue,
    /// Running appliance.
    Run,
    /// Booted from disks whose install did not finish.
    Incomplete,
}

impl BootMode {
    /// The unit that systemd starts.
    #[must_use]
    pub fn target(self) -> &'static str {
        match self {
            Self::Install => "rackwright-install.target",
            Self::Rescue => "rackwright-rescue.target",
            Self::Incomplete => "rackwright-incomplete.target",
            Self::Run => "multi-user.target",
        }
    }
}

/// A data file system that was made at install.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataMount {
    /// Mount point.
    pub path: String,
    /// File system UUID.
    pub uuid: String,
    /// `xfs` or `ext4`.
    pub kind: String,
}

/// What is known about this boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootFacts {
    /// What this boot is.
    pub mode: BootMode,
    /// Role of the image.
    pub role: String,
    /// Version of the image.
    pub version: String,
    /// `a` or `b` in the running appliance.
    pub slot: Option<String>,
    /// 32 hexadecimal digits; absent in the live system (systemd then makes one for this boot).
    pub machine_id: Option<String>,
    /// Data file systems to mount in the running appliance.
    pub mounts: Vec<DataMount>,
    /// WWNs (`0x...`) of the disks that the running appliance uses through dm-multipath, by the plan of its install; none:
    /// one path each.
    #[serde(default)]
    pub multipath: Vec<String>,
    /// Permanent MAC addresses of the ports under `[[ports]]`, by their names, as the install found them.
    #[serde(default)]
    pub ports: BTreeMap<String, String>,
    /// Account files of the image, to which the administrator is added.
    pub accounts: Option<Accounts>,
}

/// Why `/etc` could not be rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// A template is wrong or wants a value that is not there.
    #[error("template `{role}/templates/{name}` failed at line {line}: {message}")]
    Template {
        /// Role folder or `common`.
        role: String,
        /// File name.
        name: String,
        /// Line of the template, from 1; 0 if unknown.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// A template that the role file names is not there.
    #[error("there is no template `{role}/templates/{name}`")]
    Missing {
        /// Role folder or `common`.
        role: String,
        /// File name.
        name: String,
    },
}

/// Everything to write into `/etc`, sorted by path, each path once. What the role renders goes over what is built in,
/// and what is built in goes over the common templates.
///
/// # Errors
/// A template fails; nothing else can.
pub fn files(
    roles: &RoleSet,
    folder: &RoleFolder,
    node: Option<&NodeFile>,
    facts: &BootFacts,
) -> Result<Vec<RenderedFile>, RenderError> {
    let context = templates::Context::new(roles, folder, node, facts);
    let mut all = templates::render(
        "common",
        &roles.common.templates,
        &roles.common_templates,
        &context,
    )?;
    all.extend(identity(&context, node, facts));
    all.extend(network::files(roles, folder, node, facts));
    all.extend(access::files(node, facts));
    all.push(firewall::file(roles, folder, node));
    if facts.mode == BootMode::Run {
        all.extend(mounts::files(&facts.mounts));
        all.extend(multipath::files(&facts.multipath));
        all.extend(services::modules(folder));
        let name = &folder.role.name;
        all.extend(templates::render(
            name,
            &folder.role.templates,
            &folder.templates,
            &context,
        )?);
        let start = &folder.role.services.start;
        let wants = mounts::wants(&facts.mounts, start, &all);
        all.extend(wants);
    }
    let links = services::links(roles, folder, facts.mode, &all);
    all.extend(links);
    // A later file of the same path replaces the earlier one.
    let unique: BTreeMap<String, RenderedFile> = all
        .into_iter()
        .map(|file| (file.path.clone(), file))
        .collect();
    Ok(unique.into_values().collect())
}

/// Who this machine is.
fn identity(
    context: &templates::Context,
    node: Option<&NodeFile>,
    facts: &BootFacts,
) -> Vec<RenderedFile> {
    let name = &context.hostname;
    let machine_id = facts
        .machine_id
        .as_ref()
        .map_or_else(String::new, |id| format!("{id}\n"));
    vec![
        RenderedFile::text("/etc/hostname", format!("{name}\n")),
        RenderedFile::text("/etc/hosts", hosts::text(name, node)),
        // Empty means: make one for this boot, and do not treat it as a first boot (machine-id(5)).
        RenderedFile::with_mode("/etc/machine-id", machine_id, 0o444),
        RenderedFile::text(
            "/etc/rackwright-release",
            format!(
                "ROLE={}\nVERSION={}\nSLOT={}\n",
                facts.role,
                facts.version,
                facts.slot.as_deref().unwrap_or("live")
            ),
        ),
    ]
}
