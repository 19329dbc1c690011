//! `prepare-boot`: renders `/etc` inside the new root, before systemd starts. It never stops a boot: what it cannot do ends in
//! the incomplete target and in words on the consoles.

use roles::{
    NodeFile, RoleSet,
    render::{self, Accounts, BootFacts as RenderFacts, BootMode, Content},
};
use system::{System, SystemError, Tree};

use super::{
    NODE_FILE, ROLES,
    boot_facts::{self, BootFacts, Mode},
    incomplete, minimal, progress,
};
use crate::{
    console::Consoles,
    install_state::Progress,
    node_source::{self, NodeText},
    secrets,
};

/// Files of `/state/etc` that were laid over the rendered ones, as a JSON list of paths.
pub const OWN_FILES: &str = "/run/rackwright/own-files.json";

/// Data file systems, as the plan gave them.
const MOUNTS: &str = "/state/mounts.json";
/// WWNs (`0x...`) of the disks that dm-multipath owns, as a JSON list, as the plan gave them.
pub const MULTIPATH: &str = "/state/multipath.json";
/// Permanent MAC addresses of the ports of the node file by their names, as the plan gave them.
const PORTS: &str = "/state/ports.json";

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// Default target of systemd.
    pub target: String,
    /// Why the machine starts no role service.
    pub incomplete: Option<String>,
    /// Things to know.
    pub warnings: Vec<String>,
}

/// Why `/etc` could not be rendered.
#[derive(Debug, thiserror::Error)]
enum PrepareError {
    #[error(transparent)]
    System(#[from] SystemError),
    #[error("`{path}` is missing")]
    Missing { path: String },
    #[error("`{path}` is damaged: {reason}")]
    Damaged { path: String, reason: String },
    #[error("the role data of this image is damaged: {0}")]
    Roles(#[from] roles::folder::FolderError),
    #[error("this image is for the role `{0}`, but has no data for it")]
    NoRole(String),
    #[error(transparent)]
    Render(#[from] roles::render::RenderError),
}

/// The command: prepares `/` and says on every console what went wrong.
pub fn prepare_boot(system: &dyn System) -> Prepared {
    let tree = Tree::new("/");
    let live = tree
        .read(boot_facts::PATH)
        .ok()
        .flatten()
        .and_then(|text| boot_facts::parse(&text).ok())
        .is_some_and(|facts| facts.mode != Mode::Run);
    // In the live system the network of the node file is wanted before there is a network.
    let found = if live {
        node_source::find_offline(system)
    } else {
        Ok(None)
    };
    let (node, complaint) = match found {
        Ok(node) => (node, None),
        Err(error) => (None, Some(error.to_string())),
    };
    let mut prepared = prepare(&tree, node);
    prepared.warnings.extend(complaint);
    if !live && let Err(error) = secrets::restore(system) {
        prepared.warnings.push(format!(
            "the secrets of this machine are not there: {error}"
        ));
    }
    let consoles = Consoles::new(system);
    for warning in &prepared.warnings {
        consoles.say(&format!("warning: {warning}"));
    }
    if let Some(reason) = &prepared.incomplete {
        consoles.say(&incomplete::notice(reason));
    }
    prepared
}

/// Renders `/etc` of the tree. `live_node`: the node file of the live system, if one was found.
pub fn prepare(tree: &Tree, live_node: Option<NodeText>) -> Prepared {
    match render_all(tree, live_node) {
        Ok(prepared) => prepared,
        Err(error) => {
            let mut reason = format!("this machine's /etc could not be rendered:\n{error}");
            if let Err(error) = minimal::write(tree, &reason) {
                reason.push_str(&format!("\n{error}"));
            }
            Prepared {
                target: BootMode::Incomplete.target().to_owned(),
                incomplete: Some(reason),
                warnings: Vec::new(),
            }
        }
    }
}

fn render_all(tree: &Tree, live_node: Option<NodeText>) -> Result<Prepared, PrepareError> {
    let facts = boot_facts(tree)?;
    let roles = roles::folder::read(&tree.real(ROLES))?;
    let folder = roles
        .roles
        .get(&facts.root.role)
        .ok_or_else(|| PrepareError::NoRole(facts.root.role.clone()))?;
    let mut warnings = Vec::new();
    let (mode, node, reason) = match facts.mode {
        Mode::Run => running(tree, &roles, &facts.root.role)?,
        Mode::Rescue => (
            BootMode::Rescue,
            live(live_node, &roles, &mut warnings),
            None,
        ),
        Mode::Install => (
            BootMode::Install,
            live(live_node, &roles, &mut warnings),
            None,
        ),
        Mode::Unknown => (
            BootMode::Rescue,
            None,
            Some(format!(
                "`{}` names a mode this version does not know",
                boot_facts::PATH
            )),
        ),
    };
    let render_facts = RenderFacts {
        mode,
        role: facts.root.role.clone(),
        version: facts.root.version.clone(),
        slot: facts.slot.clone(),
        machine_id: line(tree, "/state/machine-id")?,
        mounts: recorded(tree, MOUNTS)?,
        multipath: recorded(tree, MULTIPATH)?,
        ports: recorded(tree, PORTS)?,
        accounts: Some(accounts(tree)?),
    };
    for file in render::files(&roles, folder, node.as_ref(), &render_facts)? {
        match file.content {
            Content::File { text, mode } => tree.put_file(&file.path, text.as_bytes(), mode)?,
            Content::Link { target } => tree.put_link(&file.path, &target)?,
        }
    }
    if let Some(bytes) = hostid(tree)? {
        tree.put_file("/etc/hostid", &bytes, 0o644)?;
    }
    if let Some(reason) = &reason {
        tree.put_file(incomplete::REASON, reason.as_bytes(), 0o644)?;
    }
    let own = tree.lay_over("/state/etc", "/etc")?;
    let list = serde_json::Value::from(own).to_string();
    tree.put_file(OWN_FILES, list.as_bytes(), 0o644)?;
    Ok(Prepared {
        target: mode.target().to_owned(),
        incomplete: reason,
        warnings,
    })
}

fn boot_facts(tree: &Tree) -> Result<BootFacts, PrepareError> {
    let path = boot_facts::PATH.to_owned();
    let text = tree
        .read(&path)?
        .ok_or_else(|| PrepareError::Missing { path: path.clone() })?;
    boot_facts::parse(&text).map_err(|error| PrepareError::Damaged {
        path,
        reason: error.to_string(),
    })
}

/// Mode, node file and, if the machine is not ready, why.
fn running(
    tree: &Tree,
    roles: &RoleSet,
    role: &str,
) -> Result<(BootMode, Option<NodeFile>, Option<String>), PrepareError> {
    let node = match tree.read(NODE_FILE)? {
        None => Err(format!("there is no node file `{NODE_FILE}`")),
        Some(text) => roles::parse::node_file(NODE_FILE, &text, Some(roles))
            .map_err(|wrong| format!("the node file of this machine is not valid:\n{wrong}")),
    };
    let node = node.and_then(|node| {
        if node.role == role {
            Ok(node)
        } else {
            Err(format!(
                "the node file is for the role `{}`, this image is for `{role}`",
                node.role
            ))
        }
    });
    let install = match tree.read(progress::PATH)? {
        None => Err(format!(
            "there is no `{}`: the install did not finish",
            progress::PATH
        )),
        Some(text) => match progress::parse(&text) {
            Ok(Progress::Unproven | Progress::Installed) => Ok(()),
            Ok(Progress::Incomplete) => {
                Err("the install of this machine did not finish".to_owned())
            }
            Ok(Progress::Unknown) => Err(format!(
                "`{}` holds a state that this version does not know",
                progress::PATH
            )),
            Err(error) => Err(error.to_string()),
        },
    };
    Ok(match (install, node) {
        (Ok(()), Ok(node)) => (BootMode::Run, Some(node), None),
        (Err(reason), node) => (BootMode::Incomplete, node.ok(), Some(reason)),
        (Ok(()), Err(reason)) => (BootMode::Incomplete, None, Some(reason)),
    })
}

/// A wrong node file does not keep the live system from starting: the installer says the same again and stops.
fn live(found: Option<NodeText>, roles: &RoleSet, warnings: &mut Vec<String>) -> Option<NodeFile> {
    let found = found?;
    roles::parse::node_file(&found.name, &found.text, Some(roles))
        .map_err(|wrong| warnings.push(format!("the node file is not valid:\n{wrong}")))
        .ok()
}

/// A list that the install wrote; an install of an older version wrote none.
fn recorded<T: serde::de::DeserializeOwned + Default>(
    tree: &Tree,
    path: &str,
) -> Result<T, PrepareError> {
    match tree.read(path)? {
        None => Ok(T::default()),
        Some(text) => serde_json::from_str(&text).map_err(|error| PrepareError::Damaged {
            path: path.to_owned(),
            reason: error.to_string(),
        }),
    }
}

fn accounts(tree: &Tree) -> Result<Accounts, PrepareError> {
    let read = |path: &str| -> Result<String, PrepareError> {
        tree.read(path)?.ok_or_else(|| PrepareError::Missing {
            path: path.to_owned(),
        })
    };
    Ok(Accounts {
        passwd: read("/etc/passwd")?,
        shadow: read("/etc/shadow")?,
        group: read("/etc/group")?,
    })
}

/// `/etc/hostid` is four bytes in the byte order of the machine (gethostid(3)); `/state/hostid` is text.
fn hostid(tree: &Tree) -> Result<Option<[u8; 4]>, PrepareError> {
    let path = "/state/hostid";
    let Some(text) = line(tree, path)? else {
        return Ok(None);
    };
    let number = u32::from_str_radix(&text, 16).map_err(|_| PrepareError::Damaged {
        path: path.to_owned(),
        reason: format!("`{text}` is not a number of 8 hexadecimal digits"),
    })?;
    Ok(Some(number.to_le_bytes()))
}

/// A file of one line; none if it is not there or empty.
fn line(tree: &Tree, path: &str) -> Result<Option<String>, PrepareError> {
    let text = tree.read(path)?.unwrap_or_default();
    Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
}

#[cfg(test)]
#[path = "prepare_tests.rs"]
mod tests;
