//! The step `galera`: from facts to the one action that makes or joins the cluster.

use camino::Utf8Path;
use system::Command;

use super::{
    decide::{Data, Decision, Refusal, Right, decide},
    right, state,
};
use crate::{
    claims::Bootstrap,
    context::Context,
    data,
    journal::{self, Fact},
    settings::{self, Galera},
    sql::words,
    step::{Outcome, Refused},
    unit,
};

/// MariaDB's unit.
pub const UNIT: &str = "mariadb.service";
/// Flag: this machine has no data and waits for its turn.
pub const WANTS: &str = "wants-data";
/// Flag: this machine starts or receives data.
pub const JOINING: &str = "joining";

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self {
            id: refusal.id(),
            message: refusal.to_string(),
        }
    }
}

/// Asked again and again.
#[must_use]
pub fn step(context: &Context<'_>) -> Outcome {
    match attempt(context) {
        Ok(outcome) => outcome,
        Err(error) => Outcome::Failed(error),
    }
}

fn attempt(context: &Context<'_>) -> Result<Outcome, String> {
    let plan: Galera = settings::of(context.role, context.node)?;
    if plan.members.is_empty() {
        return Ok(Outcome::Done("the node file plans no cluster".into()));
    }
    let system = context.system;
    if let Ok(seen) = state::ask(system) {
        return running(context, &plan, &seen);
    }
    let unit = unit::state(system, UNIT)?;
    let peers = settings::peers(context.node, &["galera"]);
    let asked = right::ask(context.outside, &peers);
    if matches!(
        unit.as_str(),
        "active" | "activating" | "reloading" | "deactivating"
    ) {
        return Ok(Outcome::Wait(starting(context, &asked)));
    }
    // Stopped: what it once received is there, so the turn begins anew.
    unit::set(system, JOINING, false)?;
    let journal = journal::read(system).map_err(|error| error.to_string())?;
    let data = state::data(system)?;
    let right = match right::right(&plan.cluster_name, &journal, &asked) {
        Ok(right) => right,
        Err(refusal) => return Ok(Outcome::Refuse(refusal.into())),
    };
    match decide(plan.bootstrap, &data, &right::peers(&asked), &right) {
        Decision::Refuse(refusal) => Ok(Outcome::Refuse(refusal.into())),
        Decision::Wait(why) => {
            unit::set(
                system,
                WANTS,
                data == Data::New && matches!(right, Right::Spent(_)),
            )?;
            Ok(Outcome::Wait(why))
        }
        Decision::Join => join(context, &data, &asked),
        Decision::Bootstrap => bootstrap(context, &plan, &right),
    }
}

/// The server answers: is it a member yet?
fn running(context: &Context<'_>, plan: &Galera, seen: &state::Seen) -> Result<Outcome, String> {
    if !seen.is_synced() {
        return Ok(Outcome::Wait(format!(
            "this server to be synced: it is `{}`{}",
            seen.words,
            if seen.status.primary {
                ""
            } else {
                ", in no Primary component"
            }
        )));
    }
    let Some(uuid) = &seen.uuid else {
        return Ok(Outcome::Wait("this server to name its cluster".into()));
    };
    let journal = journal::read(context.system).map_err(|error| error.to_string())?;
    match journal.cluster(&plan.cluster_name) {
        Some(known) if known != uuid => {
            return Ok(Outcome::Refuse(
                Refusal::ForeignData {
                    found: uuid.clone(),
                    planned: known.to_owned(),
                }
                .into(),
            ));
        }
        Some(_) => {}
        None => spend(context, plan, uuid)?,
    }
    unit::set(context.system, JOINING, false)?;
    unit::set(context.system, WANTS, false)?;
    Ok(Outcome::Done(format!(
        "member of cluster `{}` ({uuid}), {} of {} votes planned",
        plan.cluster_name,
        seen.status.votes,
        plan.votes()
    )))
}

/// Written down by every member, so that each of them can forbid another cluster.
fn spend(context: &Context<'_>, plan: &Galera, uuid: &str) -> Result<(), String> {
    if let Some(claims) = context.claims
        && plan.bootstrap
        && journal::read(context.system).is_ok_and(|known| known.holds_right(&plan.cluster_name))
    {
        claims
            .spend_bootstrap(&plan.cluster_name, &context.node.node, uuid)
            .map_err(|error| error.to_string())?;
    }
    let fact = Fact::Cluster {
        cluster: plan.cluster_name.clone(),
        uuid: uuid.to_owned(),
    };
    journal::add(context.system, &fact).map_err(|error| error.to_string())
}

fn join(context: &Context<'_>, data: &Data, asked: &[right::Asked]) -> Result<Outcome, String> {
    let system = context.system;
    if *data == Data::New {
        if !system.exists(&unit::flag(WANTS)) {
            unit::set(system, WANTS, true)?;
            // The peers were asked before they could see it: two that begin at the same moment look once more.
            return Ok(Outcome::Wait("a last look at all peers".into()));
        }
        let name = &context.node.node;
        let before: Vec<String> = context
            .node
            .hosts
            .iter()
            .take_while(|host| host.name != *name)
            .map(|host| host.name.clone())
            .collect();
        if let Err(why) = right::turn(asked, &before) {
            return Ok(Outcome::Wait(why));
        }
        data::make(system, Utf8Path::new(state::DATA))?;
        unit::set(system, JOINING, true)?;
    }
    unit::start(system, UNIT)?;
    Ok(Outcome::Wait("MariaDB to start as a member".into()))
}

/// The right is on the medium before the server starts: a power cut between the two leaves a machine that says it has it.
fn bootstrap(context: &Context<'_>, plan: &Galera, right: &Right) -> Result<Outcome, String> {
    let system = context.system;
    data::make(system, Utf8Path::new(state::DATA))?;
    if *right != Right::Mine {
        let granted = match context.claims {
            Some(claims) => claims
                .take_bootstrap(&plan.cluster_name, &context.node.node)
                .map_err(|error| error.to_string())?,
            None => Bootstrap::Granted,
        };
        match granted {
            Bootstrap::Granted => {}
            Bootstrap::HeldBy(node) => {
                return Ok(Outcome::Wait(format!("`{node}` to make the cluster")));
            }
            Bootstrap::Spent { by, .. } => {
                return Ok(Outcome::Wait(format!(
                    "a member of the cluster that `{by}` made"
                )));
            }
        }
        let fact = Fact::Right {
            cluster: plan.cluster_name.clone(),
        };
        journal::add(system, &fact).map_err(|error| error.to_string())?;
        // Another look with the right written down: peers see it from here on.
        return Ok(Outcome::Wait("a last look at all peers".into()));
    }
    unit::allow(system, UNIT)?;
    system
        .run(&Command::new("galera_new_cluster"))
        .map_err(|error| words(&error))?;
    Ok(Outcome::Wait("MariaDB to start with a new cluster".into()))
}

/// MariaDB runs and does not answer: it starts, receives, or hangs outside a Primary component, where it has no socket.
fn starting(context: &Context<'_>, asked: &[right::Asked]) -> String {
    if context.system.exists(&state::file("sst_in_progress")) {
        return "the state transfer to end".into();
    }
    let silent: Vec<String> = asked
        .iter()
        .filter(|peer| !peer.listens)
        .map(|peer| format!("`{}`", peer.name))
        .collect();
    if silent.is_empty() {
        "MariaDB to start".into()
    } else {
        format!(
            "MariaDB to start; silent on port 4567: {}; if they are lost for good: `rackwright-installer galera recover`",
            silent.join(", ")
        )
    }
}
