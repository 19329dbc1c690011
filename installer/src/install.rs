//! `install`: the unattended service of the live system. Everything it has to say goes to every console; its own standard
//! output is only the journal of the live system.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};
use nix::sys::signal::{SigSet, Signal};
use roles::NodeFile;
use run::{
    Event, Outcome,
    console::{CONSOLES, Consoles},
    node_source,
};
use serde::Serialize;
use system::{Command, Network, System};

use crate::{
    apply,
    arguments::{Install, Sources},
    countdown::{self, Listeners},
    depot::Depot,
    findings, output, preflight, repair,
    survey::{self, Survey},
};

/// Time to read the last lines before the machine restarts.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Units of the wizard: the screen and both serial lines. A line that is not there skips its unit.
const WIZARDS: [&str; 3] = [
    "rackwright-tui@tty1.service",
    "rackwright-tui@ttyS0.service",
    "rackwright-tui@ttyS1.service",
];
/// The node file keeps the shell closed: this file is the condition of the root shells' unit.
pub const CLOSED: &str = "/run/rackwright/shell-closed";
/// A node file that is not installed unattended, for the wizard. May hold a password hash: root's alone.
pub const FOUND: &str = "/run/rackwright/found-node.toml";

pub fn run(system: &dyn System, network: &dyn Network, options: &Install) -> u8 {
    let mut consoles = if options.watched {
        Consoles::on(system, &[])
    } else {
        Consoles::new(system)
    };
    let mut by_hand = false;
    let depot = (!options.watched)
        .then(|| Depot::of(system))
        .flatten()
        .map(Rc::new);
    if let Some(depot) = &depot {
        let depot = Rc::clone(depot);
        consoles.also(move |record| depot.tell(record));
    }
    let outcome = match prepare(system, network, options, depot.as_deref(), &mut consoles) {
        Ok((survey, cancel)) => {
            let shared = RefCell::new(&mut consoles);
            run::execute(
                &survey.plan,
                &survey.context,
                system,
                &mut |event| {
                    shared.borrow_mut().tell(event);
                },
                &mut || {
                    if options.watched {
                        return Ok(());
                    }
                    let Some(console) = last_chance(system, &survey, &shared.borrow(), &cancel)
                    else {
                        return spend(system, depot.as_deref(), &survey);
                    };
                    leave_for_wizard(system, &survey);
                    by_hand = true;
                    Err(format!(
                        "Esc was pressed on {console}: the wizard goes on, and nothing was written"
                    ))
                },
                &cancel,
            )
        }
        Err(error) => {
            by_hand = is_for_a_person(&error) && !options.watched;
            consoles.tell(Event::Ended {
                outcome: Outcome::Refused,
                message: output::explain(&error),
            });
            Outcome::Refused
        }
    };
    if let Some(depot) = &depot {
        depot.end(system, outcome, &mut |line| consoles.say(line));
    }
    match outcome {
        Outcome::Refused if by_hand => {
            let start = Command::new("systemctl").args(["start", "--no-block"]);
            match system.run(&start.args(WIZARDS)) {
                Ok(_) => return 0,
                Err(error) => consoles.say(&format!("error: {error}")),
            }
        }
        Outcome::Done if options.watched => {}
        Outcome::Done => {
            consoles.say("restarting from the disks");
            system.sleep(LAST_WORDS);
            if let Err(error) = system.run(&Command::new("systemctl").arg("reboot")) {
                consoles.say(&format!(
                    "error: {error}\nhint: restart the machine by hand"
                ));
            }
        }
        Outcome::Refused => {
            consoles.say(&format!(
                "nothing was written; this system stays up, {}",
                way_in(system)
            ));
        }
        Outcome::Failed | Outcome::Cancelled => {
            consoles.say(&format!(
                "the install is INCOMPLETE; this system stays up, {}",
                way_in(system)
            ));
        }
    }
    apply::code(outcome)
}

/// The depot's permit is spent there first: what it does not know of is not written.
fn spend(system: &dyn System, depot: Option<&Depot>, survey: &Survey) -> Result<(), String> {
    let (Some(depot), Some(permit)) = (depot, &survey.context.permit) else {
        return Ok(());
    };
    let board = survey.context.inventory.board.serial.clone();
    depot.spend(system, &permit.id, &survey.plan.digest(), board)
}

/// Nothing is wrong, but nobody has said yes yet.
#[derive(Debug, thiserror::Error)]
#[error(
    "the node file of `{node}` has no permit, so nothing is installed unattended\n\
     hint: run `rackwright-installer apply` here, or add to the node file:\n\
     [permit]\nid = \"any unique text\"\nplan = \"{digest}\""
)]
struct NoPermit {
    node: String,
    digest: String,
}

/// What the consoles lead to.
fn way_in(system: &dyn System) -> &'static str {
    if system.exists(Utf8Path::new(CLOSED)) {
        "and the node file keeps the shell closed"
    } else {
        "with a root shell on every console"
    }
}

/// Closes the root shells of this live system, if the node file says so. In rescue mode they are open before any node file is
/// read.
fn keep_policy(system: &dyn System, node: &NodeFile) {
    if node.console.is_open() {
        return;
    }
    // The second screen has had one since the boot.
    let stop = Command::new("systemctl").args(["stop", "--no-block", "rackwright-shell@tty2"]);
    let closed = system
        .write(Utf8Path::new(CLOSED), b"", 0o600)
        .map_err(anyhow::Error::from)
        .and_then(|()| Ok(system.run(&stop)?));
    if let Err(error) = closed {
        tracing::warn!(%error, "the shell cannot be closed");
    }
}

/// The wizard is what helps.
fn is_for_a_person(error: &anyhow::Error) -> bool {
    error.is::<NoPermit>()
        || matches!(
            error.downcast_ref(),
            Some(run::node_source::NodeSourceError::Nowhere)
        )
}

/// Everything before the first write.
fn prepare(
    system: &dyn System,
    network: &dyn Network,
    options: &Install,
    depot: Option<&Depot>,
    consoles: &mut Consoles<'_>,
) -> anyhow::Result<(Survey, impl Fn() -> bool + use<>)> {
    let facts = survey::boot_facts(system)?;
    if let Some(facts) = facts {
        consoles.tell(Event::Booted {
            mode: facts.mode.name().into(),
            role: facts.root.role,
            version: facts.root.version,
        });
        for message in facts.warnings {
            consoles.tell(Event::Warned {
                step: None,
                message,
            });
        }
    }
    survey::must_be_live(system)?;
    if let Some(depot) = depot {
        let facts = survey::boot_facts(system)?;
        let (role, version) = facts
            .map(|facts| (facts.root.role, facts.root.version))
            .unwrap_or_default();
        depot.meet(system, network, &role, &version, &mut |line| {
            consoles.say(line);
        })?;
    }
    let sources = Sources {
        node: options.node.clone(),
        roles: Utf8PathBuf::from(run::appliance::ROLES),
        inventory: None,
        root_image: None,
        destroy: Vec::new(),
        keep_data: false,
    };
    let mut tell = |line: &str| {
        consoles.tell(Event::Warned {
            step: None,
            message: line.to_owned(),
        });
    };
    // What was confirmed at the wizard is an install, whatever lies on a medium.
    let permitted = if options.watched {
        None
    } else {
        let roles = roles::folder::read(&sources.roles)?;
        let (_, node) = node_source::load(system, &roles, &mut tell)?;
        // Before anything can fail: then there would be a shell.
        keep_policy(system, &node);
        repair::permitted(system, &node, &mut tell)?
    };
    let mut survey = match permitted {
        Some(survey) => survey,
        None => {
            let mut survey = survey::survey(system, &sources, &mut tell)?;
            let found = preflight::before_install(system, network, &survey, &mut tell)?;
            record(system, "preflight.json", &found.measured);
            survey.findings.extend(found.findings);
            survey
        }
    };
    record(system, "inventory.json", &survey.context.inventory);
    record(system, "findings.json", &survey.findings);
    for message in findings::lines(&survey.findings) {
        consoles.tell(Event::Warned {
            step: None,
            message,
        });
    }
    findings::gate(&survey.findings)?;
    survey.context.permit.clone_from(&survey.node.permit);
    if survey.context.permit.is_none() {
        leave_for_wizard(system, &survey);
        return Err(NoPermit {
            node: survey.node.node.clone(),
            digest: survey.plan.digest(),
        }
        .into());
    }
    Ok((survey, stop_requests()?))
}

/// The node file, for the screens.
fn leave_for_wizard(system: &dyn System, survey: &Survey) {
    let text = survey.context.node_file.as_bytes();
    system.write(Utf8Path::new(FOUND), text, 0o600).ok();
}

/// The seconds in which somebody at a console can say no; gives the console.
fn last_chance(
    system: &dyn System,
    survey: &Survey,
    consoles: &Consoles<'_>,
    stop: &dyn Fn() -> bool,
) -> Option<String> {
    let seconds = survey.node.console.wait();
    if seconds == 0 {
        return None;
    }
    let task = if survey.plan.is_repair() {
        "repair"
    } else {
        "install"
    };
    countdown::wait(
        seconds,
        &mut Listeners::on(&CONSOLES),
        &|time| system.sleep(time),
        &mut |left| {
            consoles.say(&format!(
                "unattended {task} of {} in {left} s; Esc leads to the wizard instead",
                survey.node.node
            ));
        },
        stop,
    )
}

/// Keeps a fact of this boot below `/run/rackwright`; an install does not fail for want of it.
fn record<T: Serialize>(system: &dyn System, name: &str, value: &T) {
    if let Ok(json) = serde_json::to_vec_pretty(value) {
        let path = Utf8Path::new("/run/rackwright").join(name);
        system.write(&path, &json, 0o600).ok();
    }
}

/// Turns SIGTERM and SIGINT into a question that the engine asks between steps.
pub fn stop_requests() -> anyhow::Result<impl Fn() -> bool + use<>> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGINT);
    // Blocked here and in all threads begun later; the standard library gives children an empty mask again.
    signals.thread_block()?;
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    std::thread::spawn(move || {
        while signals.wait().is_ok() {
            told.store(true, Ordering::Relaxed);
        }
    });
    Ok(move || stop.load(Ordering::Relaxed))
}
