//! `decommission`: shows what would be emptied, asks for the name, empties all disks. Nothing is installed, and no permit
//! can do it.

use anyhow::bail;
use camino::Utf8Path;
use plan::StablePaths;
use run::{Context, console::Consoles};
use system::System;

use crate::{apply, arguments, inventory, output, survey};

pub fn run(
    system: &dyn System,
    options: &arguments::Decommission,
    json: bool,
) -> anyhow::Result<u8> {
    survey::must_be_live(system)?;
    let result = prepare(system, options);
    let (plan, context) = match result {
        Ok(both) => both,
        Err(error) => {
            if options.confirmed.is_some() {
                // Whoever watches the events must see why nothing happens.
                Consoles::on(system, &[]).tell(run::Event::Ended {
                    outcome: run::Outcome::Refused,
                    message: output::explain(&error),
                });
            }
            return Err(error);
        }
    };
    Ok(apply::code(apply::carry_out(
        system, &plan, &context, json,
    )?))
}

fn prepare(
    system: &dyn System,
    options: &arguments::Decommission,
) -> anyhow::Result<(plan::Plan, Context)> {
    let facts = survey::boot_facts(system)?;
    let role = facts
        .as_ref()
        .map(|facts| facts.root.role.clone())
        .unwrap_or_default();
    let version = facts
        .as_ref()
        .map(|facts| facts.root.version.clone())
        .unwrap_or_default();
    let inventory = inventory::probe(Utf8Path::new("/"));
    let plan = plan::decommission::make(&options.name, &role, &inventory, &options.destroy)?;
    let digest = plan.digest();
    match &options.confirmed {
        Some(confirmed) if *confirmed == digest => {}
        Some(_) => bail!(
            "the disks are not those that were confirmed\nhint: look at the machine again and confirm what is shown"
        ),
        None => {
            output::note(&plan::explain(&plan, &StablePaths::new(&inventory)));
            apply::confirm(&options.name, "empty this machine")?;
        }
    }
    let context = Context::new(
        inventory,
        String::new(),
        role,
        version,
        survey::root_device(facts),
    );
    Ok((plan, context))
}
