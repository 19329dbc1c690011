//! `repair`: after a disk was changed, brings back what it took away. Also the unattended form, when the node file's permit
//! has `task = "repair"`.

use anyhow::{Context as _, bail};
use camino::Utf8Path;
use firmware::Inventory;
use plan::StablePaths;
use roles::{NodeFile, folder::RoleSet};
use run::{
    Context, Outcome,
    appliance::boot_facts::Mode,
    node_source::{self, NodeSourceError, NodeText},
    permit, recorded,
};
use system::System;

use crate::{
    apply,
    arguments::{self, Repair},
    inventory, output,
    survey::{self, Survey},
};

/// The node file that was recorded, as it stands in messages.
const RECORDED: &str = "/state/node.toml";

pub fn run(system: &dyn System, options: &Repair, json: bool) -> anyhow::Result<u8> {
    must_be_ours(system)?;
    let mut survey = survey(system, options, &mut output::note)?;
    if survey.plan.steps.is_empty() {
        return nothing_to_do(&survey, json);
    }
    if options.dry_run && json {
        output::json(&survey.plan)?;
        return Ok(0);
    }
    let paths = StablePaths::new(&survey.context.inventory);
    let explained = plan::explain(&survey.plan, &paths);
    if options.dry_run {
        output::text(&explained)?;
        return Ok(0);
    }
    output::note(&explained);
    apply::consent(&mut survey, options.permit, "repair")?;
    let outcome = apply::carry_out(system, &survey.plan, &survey.context, json)?;
    let live = survey::must_be_live(system).is_ok();
    if outcome == Outcome::Done && live {
        output::note("remove the medium and restart: `systemctl reboot`");
    }
    Ok(apply::code(outcome))
}

fn nothing_to_do(survey: &Survey, json: bool) -> anyhow::Result<u8> {
    if json {
        output::json(&survey.plan)?;
    } else {
        for note in &survey.plan.notes {
            output::text(&format!("{note}\n"))?;
        }
    }
    Ok(0)
}

/// The repair that the node file permits to the unattended service; none if its permit is for an install.
pub fn permitted(
    system: &dyn System,
    tell: &mut dyn FnMut(&str),
) -> anyhow::Result<Option<Survey>> {
    let options = Repair {
        dry_run: false,
        permit: true,
        node: None,
        roles: run::appliance::ROLES.into(),
        destroy: Vec::new(),
    };
    let roles = roles::folder::read(&options.roles)?;
    let (_, node) = node_source::load(system, &roles, tell)?;
    let task = node.permit.and_then(|permit| permit.task);
    if task.as_deref() != Some(permit::REPAIR) {
        return Ok(None);
    }
    let survey = survey(system, &options, tell)?;
    if survey.plan.steps.is_empty() {
        // Not "done": a restart would end here again for as long as the medium is in.
        bail!(
            "{}\nhint: remove the medium and restart",
            survey.plan.notes.join("\n")
        );
    }
    Ok(Some(survey))
}

/// What is there, what was recorded, and the plan.
fn survey(
    system: &dyn System,
    options: &Repair,
    tell: &mut dyn FnMut(&str),
) -> anyhow::Result<Survey> {
    let roles = roles::folder::read(&options.roles)?;
    let inventory: Inventory = inventory::probe(Utf8Path::new("/"));
    let given = given_node_file(system, options, &roles, tell)?;
    let name = given.as_ref().map(|(_, node)| node.node.as_str());
    let recorded = recorded::find(system, &inventory, name)?;
    let (text, node) = match given {
        Some(given) => given,
        None => {
            let text = recorded
                .node_file
                .context("the installed system has no node file\nhint: give one with `--node`")?;
            let node = roles::parse::node_file(RECORDED, &text, Some(&roles))?;
            (text, node)
        }
    };
    let role = &recorded.plan.role;
    let Some(folder) = roles.roles.get(role) else {
        bail!(
            "there is no role `{role}` in `{}`\nhint: boot the image of role `{role}`",
            options.roles
        );
    };
    if node.role != *role {
        bail!(
            "the node file is for role `{}`, what is installed is `{role}`\n\
             hint: a repair never turns one role into another",
            node.role
        );
    }
    let mut allowed = options.destroy.clone();
    allowed.extend(node.storage.destroy.iter().cloned());
    let plan = plan::repair::make(&recorded.plan, &folder.role, &node, &inventory, &allowed)?;
    let context = Context::new(
        inventory,
        text,
        recorded.install.role,
        recorded.install.version,
        survey::root_device(survey::boot_facts(system)?),
    );
    Ok(Survey {
        plan,
        context,
        node,
        // No gate: the machine has been installed and runs, and a repair makes it no worse.
        findings: Vec::new(),
    })
}

/// The node file that was given, or that the live system finds; none: the recorded one counts.
fn given_node_file(
    system: &dyn System,
    options: &arguments::Repair,
    roles: &RoleSet,
    tell: &mut dyn FnMut(&str),
) -> anyhow::Result<Option<(String, NodeFile)>> {
    if let Some(path) = &options.node {
        let text = String::from_utf8(system.read(path)?)
            .with_context(|| format!("`{path}` is not UTF-8 text"))?;
        let node = roles::parse::node_file(path.as_str(), &text, Some(roles))?;
        return Ok(Some((text, node)));
    }
    if survey::must_be_live(system).is_err() {
        return Ok(None);
    }
    match node_source::load(system, roles, tell) {
        Ok((NodeText { text, .. }, node)) => Ok(Some((text, node))),
        Err(NodeSourceError::Nowhere) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A repair also runs on the running appliance, after a hot swap: it opens nothing that is in use, and the new disk is in use
/// by nobody.
fn must_be_ours(system: &dyn System) -> anyhow::Result<()> {
    match survey::boot_facts(system)?.map(|facts| facts.mode) {
        Some(Mode::Install | Mode::Rescue | Mode::Run) => Ok(()),
        _ => bail!(
            "this is not a running Rackwright image\nhint: boot the medium, or run it on the installed machine"
        ),
    }
}
