//! `apply`: shows the plan, asks for the node's name, installs.

use std::io::{self, BufRead};

use anyhow::bail;
use plan::{Plan, StablePaths};
use run::{
    Context, Outcome,
    console::{Consoles, Lines},
    journal,
};
use system::{Network, System};

use crate::{
    FAILED, REFUSED, arguments, findings, install, output, preflight,
    survey::{self, Survey},
};

pub fn run(
    system: &dyn System,
    network: &dyn Network,
    options: &arguments::Apply,
    json: bool,
) -> anyhow::Result<u8> {
    survey::must_be_live(system)?;
    if options.sources.inventory.is_some() || options.sources.root_image.is_some() {
        bail!(
            "`apply` installs this machine from the running image\nhint: leave out `--inventory` and `--root-image`"
        );
    }
    let mut survey = survey::survey(system, &options.sources, &mut output::note)?;
    output::note(&format!("{}\n", findings::text(&survey.findings)));
    let asked = preflight::before_install(system, network, &survey, &mut output::note)?;
    let what = "of the network";
    output::note(&format!("{}\n", findings::text_of(what, &asked.findings)));
    survey.findings.extend(asked.findings);
    findings::gate(&survey.findings)?;
    let paths = StablePaths::new(&survey.context.inventory);
    output::note(&plan::explain(&survey.plan, &paths));
    consent(&mut survey, options.permit, "install")?;
    let outcome = carry_out(system, &survey.plan, &survey.context, json)?;
    if outcome == Outcome::Done {
        output::note("remove the medium and restart: `systemctl reboot`");
    }
    Ok(code(outcome))
}

/// Executes a plan and shows its events.
pub fn carry_out(
    system: &dyn System,
    plan: &Plan,
    context: &Context,
    json: bool,
) -> anyhow::Result<Outcome> {
    let cancel = install::stop_requests()?;
    let mut consoles = Consoles::on(system, &[]);
    let mut lines = Lines::default();
    let mut failed = Ok(());
    let outcome = run::execute(
        plan,
        context,
        system,
        &mut |event| {
            let record = consoles.tell(event);
            let result = if json {
                output::text(&journal::line(&record))
            } else {
                lines
                    .of(&record)
                    .iter()
                    .try_for_each(|line| output::text(&format!("{line}\n")))
            };
            // What cannot be shown any more must not stop an install half way.
            failed = result.and(std::mem::replace(&mut failed, Ok(())));
        },
        &mut || Ok(()),
        &cancel,
    );
    Ok(outcome)
}

/// Exit code of an outcome.
pub fn code(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Done => 0,
        Outcome::Refused => REFUSED,
        Outcome::Failed | Outcome::Cancelled => FAILED,
    }
}

/// The right to write: the node file's permit, or the node's name typed by whoever is there. `task`: install or repair.
pub fn consent(survey: &mut Survey, permit: bool, task: &str) -> anyhow::Result<()> {
    if !permit {
        return confirm(&survey.plan.node, task);
    }
    survey.context.permit.clone_from(&survey.node.permit);
    if survey.context.permit.is_none() {
        bail!("the node file has no permit\nhint: leave out `--permit` and type the node's name");
    }
    Ok(())
}

/// Asks for the node's name. `task` is what is about to be done.
pub fn confirm(node: &str, task: &str) -> anyhow::Result<()> {
    output::note(&format!(
        "type the node's name, `{node}`, to destroy what is listed above and {task}:"
    ));
    typed(&mut io::stdin().lock(), node)
}

/// Nothing but the name is a yes.
fn typed(input: &mut dyn BufRead, node: &str) -> anyhow::Result<()> {
    let mut answer = String::new();
    input.read_line(&mut answer)?;
    if answer.trim() != node {
        bail!("`{}` is not `{node}`: nothing was written", answer.trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_is_a_yes() {
        for (answer, good) in [
            ("mail-1\n", true),
            ("mail-1", true),
            ("", false),
            ("\n", false),
            ("y\n", false),
            ("mail-10\n", false),
            ("MAIL-1\n", false),
        ] {
            let said = typed(&mut answer.as_bytes(), "mail-1");
            assert_eq!(said.is_ok(), good, "{answer:?}");
        }
        let error = typed(&mut "yes\n".as_bytes(), "mail-1").unwrap_err();
        assert_eq!(
            error.to_string(),
            "`yes` is not `mail-1`: nothing was written"
        );
    }
}
