//! `galera recover`: an operator runs it on each member, in any order and as often as it asks for it. It never starts anything
//! on another machine: it says where to go next.

use camino::Utf8Path;
use system::{Command, System};

use super::{
    join::UNIT,
    recover::{Node, Step, next, position},
    right::{self, Asked},
    state,
};
use crate::{
    context::Context,
    journal,
    settings::{self, Galera},
    sql::words,
    unit,
};

const JOIN: &str = "rackwright-join.service";
/// Flag: an operator said in this boot that members are lost and off. While there is no majority of the planned votes, this
/// one serves without; it is cleared as soon as there is one, so that a later split finds the rule as it was.
pub const LOST: &str = "members-lost";
/// What `galera_recovery` found here; in memory, so that a start makes it old.
const POSITION: &str = "/run/rackwright/join/position";

/// What `galera recover` did, and what is next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// For the operator.
    pub text: String,
    /// Nothing is left to do.
    pub over: bool,
}

/// The facts of a peer, as it tells them.
fn node(asked: &Asked) -> Node {
    match &asked.told {
        None => Node::Unreachable,
        Some(told) if told.running || asked.listens => Node::Running {
            primary: told.primary,
        },
        Some(told) => Node::Stopped {
            view: told.view,
            position: told.position.as_deref().and_then(position),
        },
    }
}

/// The position that was found in this boot and is still true, because the server did not run since.
#[must_use]
pub fn known_position(system: &dyn System) -> Option<String> {
    let bytes = system.read(Utf8Path::new(POSITION)).ok()?;
    Some(String::from_utf8_lossy(&bytes).trim().to_owned())
}

/// One step of the recovery, as far as it is this machine's. `confirmed`: names of lost members that the operator typed.
/// `waited`: all were started, and no Primary component came of it within a minute.
///
/// # Errors
/// Words of what failed.
pub fn recover(
    context: &Context<'_>,
    confirmed: &[String],
    waited: bool,
) -> Result<Report, String> {
    let system = context.system;
    let plan: Galera = settings::of(context.role, context.node)?;
    let own = &context.node.node;
    let asked = right::ask(context.outside, &settings::peers(context.node, &["galera"]));
    let mut nodes: Vec<(String, Node)> = asked
        .iter()
        .map(|peer| (peer.name.clone(), node(peer)))
        .collect();
    nodes.push((own.clone(), here(system)?));
    nodes.sort_by(|one, other| one.0.cmp(&other.0));
    let uuid = journal::read(system)
        .map_err(|error| error.to_string())?
        .cluster(&plan.cluster_name)
        .map(str::to_owned);
    let uuid = uuid
        .or_else(|| {
            asked
                .iter()
                .find_map(|peer| peer.told.as_ref()?.cluster.clone())
        })
        .ok_or("no member knows the UUID of this cluster: there is nothing to recover")?;
    let step = next(&nodes, &uuid, confirmed, waited);
    let goes_on = match &step {
        Step::Bootstrap { node, .. } => node == own,
        Step::StartOthers(names) => names.contains(own),
        _ => false,
    };
    if goes_on && !confirmed.is_empty() {
        unit::set(system, LOST, true)?;
    }
    act(system, own, &nodes, &step)
}

fn here(system: &dyn System) -> Result<Node, String> {
    if let Ok(seen) = state::ask(system) {
        return Ok(Node::Running {
            primary: seen.status.primary,
        });
    }
    // A member that hangs outside a Primary component has no socket.
    if !matches!(unit::state(system, UNIT)?.as_str(), "inactive" | "failed") {
        return Ok(Node::Running { primary: false });
    }
    Ok(Node::Stopped {
        view: system.exists(&state::file("gvwstate.dat")),
        position: known_position(system).as_deref().and_then(position),
    })
}

fn act(
    system: &dyn System,
    own: &str,
    nodes: &[(String, Node)],
    step: &Step,
) -> Result<Report, String> {
    let mine = |names: &[String]| names.iter().any(|name| name == own);
    let others = |names: &[String]| -> Vec<String> {
        names.iter().filter(|name| *name != own).cloned().collect()
    };
    let go_on = |done: &str, names: &[String]| {
        let rest = others(names);
        Report {
            text: match (done.is_empty(), rest.is_empty()) {
                (true, true) => "nothing to do here".to_owned(),
                (true, false) => format!("run the same command on: {}", rest.join(", ")),
                (false, true) => format!("{done}; run the same command again"),
                (false, false) => format!("{done}; run the same command on: {}", rest.join(", ")),
            },
            over: false,
        }
    };
    Ok(match step {
        Step::StartOthers(names) if names.is_empty() => Report {
            text: "a Primary component lives, and every member that answers runs".to_owned(),
            over: true,
        },
        Step::StartOthers(names) | Step::StartAll(names) => {
            if mine(names) {
                start(system)?;
                go_on("MariaDB was started here", names)
            } else {
                go_on("", names)
            }
        }
        Step::Stop(names) => {
            if mine(names) {
                // The join first: it would start the server again. A server that waits for others does not end by itself
                // (measured), so it is killed.
                unit::systemctl(system, &["stop", JOIN])?;
                unit::systemctl(system, &["kill", "--signal=SIGKILL", UNIT])?;
                unit::systemctl(system, &["stop", UNIT])?;
                go_on("MariaDB was stopped here", names)
            } else {
                go_on("", names)
            }
        }
        Step::FindPosition(names) => {
            if mine(names) {
                let found = find_position(system)?;
                go_on(&format!("the last write set here is `{found}`"), names)
            } else {
                go_on("", names)
            }
        }
        Step::Confirm(names) => Report {
            text: format!(
                "these members do not answer, and one of them may have the latest mail: {0}\nhint: start them; if they are \
                 lost for good, switch them off, then add `--lost {0}`",
                names.join(",")
            ),
            over: false,
        },
        Step::Bootstrap { node, then } if node == own => {
            bootstrap(system)?;
            Report {
                text: format!(
                    "the cluster was made anew from this member; run the same command on: {}",
                    then.join(", ")
                ),
                over: then.is_empty(),
            }
        }
        Step::Bootstrap { node, .. } => Report {
            text: format!("`{node}` has the latest write set: run the same command there"),
            over: false,
        },
        Step::NoData => Report {
            text: format!(
                "no member that answers holds data of this cluster ({}): restore a backup",
                nodes
                    .iter()
                    .map(|(name, _)| name.as_str())
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
            over: false,
        },
    })
}

fn start(system: &dyn System) -> Result<(), String> {
    forget(system)?;
    unit::start(system, UNIT)?;
    look_again(system)
}

/// The join says on the console how it goes on.
fn look_again(system: &dyn System) -> Result<(), String> {
    unit::systemctl(system, &["restart", "--no-block", JOIN])
}

fn forget(system: &dyn System) -> Result<(), String> {
    system
        .remove(Utf8Path::new(POSITION))
        .map_err(|error| error.to_string())
}

/// Asks InnoDB; the server is stopped. Debian's `galera_recovery` prints `--wsrep_start_position=UUID:SEQNO`.
fn find_position(system: &dyn System) -> Result<String, String> {
    let output = system
        .run(&Command::new("galera_recovery"))
        .map_err(|error| words(&error))?;
    let found = output
        .stdout
        .split_whitespace()
        .find_map(|word| word.strip_prefix("--wsrep_start_position="))
        .ok_or("`galera_recovery` found no position")?
        .to_owned();
    system
        .make_directory(Utf8Path::new(unit::FOLDER))
        .and_then(|()| system.write(Utf8Path::new(POSITION), found.as_bytes(), 0o644))
        .map_err(|error| error.to_string())?;
    Ok(found)
}

/// The only other place that makes a Primary component.
fn bootstrap(system: &dyn System) -> Result<(), String> {
    let path = state::file("grastate.dat");
    let text = system.read(&path).map_err(|error| error.to_string())?;
    let safe = state::safe_to_bootstrap(&String::from_utf8_lossy(&text));
    system
        .write(&path, safe.as_bytes(), 0o660)
        .map_err(|error| error.to_string())?;
    let owner = Command::new("chown").args(["mysql:mysql", path.as_str()]);
    system.run(&owner).map_err(|error| words(&error))?;
    // The last view names members that are not there: the server would wait for them.
    system
        .remove(&state::file("gvwstate.dat"))
        .map_err(|error| error.to_string())?;
    forget(system)?;
    unit::allow(system, UNIT)?;
    system
        .run(&Command::new("galera_new_cluster"))
        .map_err(|error| words(&error))?;
    look_again(system)
}
