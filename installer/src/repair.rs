//! `repair`: after a disk was changed, brings back what it took away. Also the unattended form, when the node file's permit
//! has `task = "repair"`.

use anyhow::{Context as _, bail};
use camino::Utf8Path;
use firmware::Inventory;
use plan::{Plan, StablePaths, repair::RepairError};
use roles::{NodeFile, Role, folder::RoleSet};
use run::{
    Context, Outcome,
    appliance::boot_facts::Mode,
    console::Consoles,
    node_source::{self, NodeSourceError, NodeText},
    permit,
    recorded::{self, Recorded},
};
use system::System;
use tui::message::Installed;

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
    if let Some(confirmed) = &options.confirmed {
        return confirmed_at_the_wizard(system, options, confirmed, json);
    }
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

/// The name was typed below the plan with this digest; whoever watches the events must see why nothing happens.
fn confirmed_at_the_wizard(
    system: &dyn System,
    options: &Repair,
    confirmed: &str,
    json: bool,
) -> anyhow::Result<u8> {
    let survey = survey(system, options, &mut output::note).and_then(|survey| {
        if survey.plan.digest() != confirmed {
            bail!(
                "the disks are not those that were confirmed\n\
                 hint: look at the machine again and confirm what is shown"
            );
        }
        Ok(survey)
    });
    match survey {
        Ok(survey) => {
            let outcome = apply::carry_out(system, &survey.plan, &survey.context, json)?;
            Ok(apply::code(outcome))
        }
        Err(error) => {
            Consoles::on(system, &[]).tell(run::Event::Ended {
                outcome: Outcome::Refused,
                message: output::explain(&error),
            });
            Err(error)
        }
    }
}

/// What is installed here and what it lacks, for the wizard. The same plan as a repair with these keys allowed.
///
/// # Errors
/// There is no installed system, or it cannot be told which.
pub fn look(system: &dyn System, allowed: &[String]) -> anyhow::Result<(Installed, Inventory)> {
    let options = Repair {
        destroy: allowed.to_vec(),
        ..Repair::unattended()
    };
    let found = find(system, &options, &mut |_| {})?;
    let plan = found.plan(&options);
    let version = found.recorded.install.version.clone();
    let installed = Installed::compare(&found.recorded.plan, version, plan);
    Ok((installed, found.inventory))
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
    node: &NodeFile,
    tell: &mut dyn FnMut(&str),
) -> anyhow::Result<Option<Survey>> {
    let options = Repair::unattended();
    let task = node
        .permit
        .as_ref()
        .and_then(|permit| permit.task.as_deref());
    if task != Some(permit::REPAIR) {
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

/// What is there and what was recorded.
struct Found {
    inventory: Inventory,
    recorded: Recorded,
    text: String,
    node: NodeFile,
    role: Role,
}

impl Found {
    fn plan(&self, options: &Repair) -> Result<Plan, RepairError> {
        let mut allowed = options.destroy.clone();
        allowed.extend(self.node.storage.destroy.iter().cloned());
        plan::repair::make(
            &self.recorded.plan,
            &self.role,
            &self.node,
            &self.inventory,
            &allowed,
        )
    }
}

fn find(
    system: &dyn System,
    options: &Repair,
    tell: &mut dyn FnMut(&str),
) -> anyhow::Result<Found> {
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
                .clone()
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
    Ok(Found {
        inventory,
        role: folder.role.clone(),
        recorded,
        text,
        node,
    })
}

/// What is there, what was recorded, and the plan.
fn survey(
    system: &dyn System,
    options: &Repair,
    tell: &mut dyn FnMut(&str),
) -> anyhow::Result<Survey> {
    let found = find(system, options, tell)?;
    let plan = found.plan(options)?;
    let context = Context::new(
        found.inventory,
        found.text,
        found.recorded.install.role,
        found.recorded.install.version,
        survey::root_device(survey::boot_facts(system)?),
    );
    Ok(Survey {
        plan,
        context,
        node: found.node,
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
