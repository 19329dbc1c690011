//! Node file, role, inventory and image in, plan and context out: the same for `plan`, `apply` and `install`.

use anyhow::{Context as _, bail};
use camino::{Utf8Path, Utf8PathBuf};
use firmware::{Finding, Inventory};
use plan::{Choices, Plan, RootImage, Seed};
use roles::{NodeFile, folder::RoleSet};
use run::{
    Context,
    appliance::boot_facts::{self, BootFacts, Mode},
    node_source::{self, NodeText},
};
use sha2::{Digest, Sha256};
use system::System;

use crate::{arguments::Sources, findings, inventory};

/// Everything an install needs.
pub struct Survey {
    /// What will be done.
    pub plan: Plan,
    /// Facts for the engine.
    pub context: Context,
    /// The node file.
    pub node: NodeFile,
    /// How the machine differs from the reference, worst first, waivers applied.
    pub findings: Vec<Finding>,
}

/// What the initrd found; absent outside of a Rackwright system.
pub fn boot_facts(system: &dyn System) -> anyhow::Result<Option<BootFacts>> {
    match system.read(Utf8Path::new(boot_facts::PATH)) {
        Ok(content) => {
            let text = String::from_utf8_lossy(&content);
            let facts = boot_facts::parse(&text)
                .with_context(|| format!("cannot read `{}`", boot_facts::PATH))?;
            Ok(Some(facts))
        }
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Block device of the running root image; empty outside of a Rackwright system.
pub fn root_device(facts: Option<BootFacts>) -> Utf8PathBuf {
    facts
        .map(|facts| facts.root_device)
        .unwrap_or_default()
        .into()
}

/// Collects and plans. `tell` gets a line when it has to wait.
pub fn survey(
    system: &dyn System,
    sources: &Sources,
    tell: &mut dyn FnMut(&str),
) -> anyhow::Result<Survey> {
    let roles = roles::folder::read(&sources.roles)?;
    let (text, node) = node_file(system, sources.node.as_deref(), &roles, tell)?;
    let inventory = inventory(system, sources)?;
    let facts = boot_facts(system)?;
    let image = match (&sources.root_image, &facts) {
        (Some(path), _) => image_file(system, path)?,
        (None, Some(facts)) => RootImage {
            size: facts.root.size,
            sha256: facts.root.sha256.clone(),
            version: facts.root.version.clone(),
        },
        (None, None) => bail!(
            "this is not a running Rackwright image: there is no `{}`\nhint: give the root image with `--root-image FILE`",
            boot_facts::PATH
        ),
    };
    if let Some(facts) = &facts
        && sources.root_image.is_none()
        && facts.root.role != node.role
    {
        bail!(
            "`{}` is for role `{}`, this image is for role `{}`\nhint: boot the image of role `{}`",
            text.name,
            node.role,
            facts.root.role,
            node.role
        );
    }
    boot_files_are_there(system, facts.as_ref())?;
    if is_live(facts.as_ref()) {
        run::secrets::receive(system, &node.node)?;
    }
    let Some(folder) = roles.roles.get(&node.role) else {
        bail!("there is no role `{}` in `{}`", node.role, sources.roles);
    };
    let serial = inventory.board.serial.clone().unwrap_or_default();
    let permit = node
        .permit
        .as_ref()
        .map(|permit| permit.id.as_str())
        .unwrap_or_default();
    let seed = Seed::new(&[&node.node, &serial, permit]);
    let choices = choices(sources, &node)?;
    let plan = plan::make_with(&folder.role, &node, &inventory, &image, &seed, &choices);
    let judged = findings::judge(
        &node,
        &inventory,
        plan.is_ok(),
        run::secrets::bmc_password(system)?.is_some(),
    )?;
    for line in judged.useless_waivers {
        tell(&line);
    }
    // What the machine lacks often explains why there is no plan.
    let plan = plan.inspect_err(|_| {
        for line in findings::lines(&judged.findings) {
            tell(&line);
        }
    })?;
    let context = Context::new(
        inventory,
        text.text,
        node.role.clone(),
        image.version,
        root_device(facts),
    );
    Ok(Survey {
        plan,
        context,
        node,
        findings: judged.findings,
    })
}

fn is_live(facts: Option<&BootFacts>) -> bool {
    facts.is_some_and(|facts| matches!(facts.mode, Mode::Install | Mode::Rescue))
}

/// The installed machine starts with the medium's kernel and initrd: without them nothing may be wiped.
fn boot_files_are_there(system: &dyn System, facts: Option<&BootFacts>) -> anyhow::Result<()> {
    if !is_live(facts) {
        return Ok(());
    }
    for path in [run::context::KERNEL, run::context::INITRD] {
        if !system.exists(Utf8Path::new(path)) {
            bail!(
                "the medium brought no `{path}` for the installed machine\n\
                 hint: write the medium again; for a network boot, serve what `rackwright pxe` makes"
            );
        }
    }
    Ok(())
}

/// What the node file and the command line say together: either may allow or keep, neither takes back.
fn choices(sources: &Sources, node: &NodeFile) -> anyhow::Result<Choices> {
    let keep = match node.storage.data.as_deref() {
        None | Some("new") => false,
        Some("keep") => true,
        Some(other) => bail!("storage.data is `{other}`\nhint: one of: new, keep"),
    };
    let mut allowed = node.storage.destroy.clone();
    for key in &sources.destroy {
        if !allowed.contains(key) {
            allowed.push(key.clone());
        }
    }
    Ok(Choices {
        allowed,
        keep_data: keep || sources.keep_data,
    })
}

/// Only a live system may install: the running appliance sits on the very disks.
pub fn must_be_live(system: &dyn System) -> anyhow::Result<()> {
    match boot_facts(system)?.map(|facts| facts.mode) {
        Some(Mode::Install | Mode::Rescue) => Ok(()),
        Some(mode) => bail!(
            "this machine runs from its disks (mode `{}`)\nhint: boot the medium to install",
            mode.name()
        ),
        None => bail!("this is not a running Rackwright image\nhint: boot the medium to install"),
    }
}

/// The node file: the one that was named, else as the unattended install finds it.
pub fn node_file(
    system: &dyn System,
    node: Option<&Utf8Path>,
    roles: &RoleSet,
    tell: &mut dyn FnMut(&str),
) -> anyhow::Result<(NodeText, NodeFile)> {
    let Some(path) = node else {
        return Ok(node_source::load(system, roles, tell)?);
    };
    let text = String::from_utf8(system.read(path)?)
        .with_context(|| format!("`{path}` is not UTF-8 text"))?;
    let node = roles::parse::node_file(path.as_str(), &text, Some(roles))?;
    let name = path.to_string();
    Ok((NodeText { name, text }, node))
}

fn inventory(system: &dyn System, sources: &Sources) -> anyhow::Result<Inventory> {
    match &sources.inventory {
        Some(path) if path.as_str().ends_with(".tar.zst") => inventory::replay(path),
        Some(path) => {
            let content = system.read(path)?;
            serde_json::from_slice(&content)
                .with_context(|| format!("`{path}` is not a saved inventory"))
        }
        None => Ok(inventory::probe(Utf8Path::new("/"))),
    }
}

fn image_file(system: &dyn System, path: &Utf8Path) -> anyhow::Result<RootImage> {
    let content = system.read(path)?;
    Ok(RootImage {
        size: content.len() as u64,
        sha256: hex::encode(Sha256::digest(&content)),
        version: env!("CARGO_PKG_VERSION").into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(destroy: &[&str], keep_data: bool) -> Sources {
        Sources {
            node: None,
            roles: "roles".into(),
            inventory: None,
            root_image: None,
            destroy: destroy.iter().map(ToString::to_string).collect(),
            keep_data,
        }
    }

    fn node(storage: &str) -> NodeFile {
        let text = format!("format = 1\nnode = \"ctl1\"\nrole = \"control\"\n[storage]\n{storage}");
        roles::parse::node_file("node.toml", &text, None).unwrap()
    }

    #[test]
    fn node_file_and_command_line_add_up() {
        for (storage, destroy, keep, allowed, kept) in [
            ("", &[][..], false, &[][..], false),
            ("data = \"new\"", &[], false, &[], false),
            ("data = \"keep\"", &[], false, &[], true),
            ("data = \"new\"", &[], true, &[], true),
            ("destroy = [\"a\"]", &["b", "a"], false, &["a", "b"], false),
            ("", &["b"], false, &["b"], false),
        ] {
            let choices = choices(&sources(destroy, keep), &node(storage)).unwrap();
            assert_eq!(choices.allowed, allowed, "{storage}");
            assert_eq!(choices.keep_data, kept, "{storage}");
        }
    }
}
