//! One look at this machine, for the health endpoint and for the join.

use std::collections::BTreeMap;

use system::{delivered::secret, drained};

use crate::{
    context::Context,
    database::RESOURCE,
    galera::{
        health::{Status, Use, why_not},
        join::{JOINING, UNIT, WANTS},
        operator::{LOST, known_position},
        state::{self, Seen},
    },
    journal,
    seen::CANARIES,
    settings::{self, Galera},
    sql,
    told::Told,
    unit,
};

/// Everything that answers are made of.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// For others.
    pub told: Told,
    /// Why `/`, `/writer`, `/reader` and `/reader?donor=ok` answer 503.
    pub unfit: [Option<String>; 4],
    /// The server answered.
    pub answers: bool,
    /// Shared by all databases; proves answers.
    pub secret: String,
}

/// Ways of use in the order of [`Sample::unfit`].
pub const USES: [Use; 4] = [
    Use::Member,
    Use::Writer,
    Use::Reader { donor: false },
    Use::Reader { donor: true },
];

/// Votes of the plan.
fn voters(context: &Context<'_>) -> Option<usize> {
    if context.role.name != "galera" {
        return None;
    }
    let plan: Galera = settings::of(context.role, context.node).ok()?;
    Some(plan.votes())
}

/// Why a use is not possible: a Galera member by the plan's votes, another server by what it may.
fn judge(status: &Status, voters: Option<usize>, usage: Use) -> Option<String> {
    match (voters, usage) {
        (Some(voters), usage) => why_not(status, voters, usage),
        (None, Use::Writer) if status.read_only => Some("read only".to_owned()),
        (None, _) => None,
    }
}

/// Why this server does not serve as a member.
#[must_use]
pub fn unfit(context: &Context<'_>, seen: &Seen) -> Option<String> {
    judge(
        &accepting(context, &seen.status),
        voters(context),
        Use::Member,
    )
}

/// With the operator's word that members are lost, which ends when there is a majority again.
fn accepting(context: &Context<'_>, status: &Status) -> Status {
    let majority = voters(context).is_none_or(|voters| status.is_majority(voters));
    let lost = context.system.exists(&unit::flag(LOST));
    if majority && lost {
        // Tried again at the next look.
        drop(unit::set(context.system, LOST, false));
    }
    Status {
        accepted: lost && !majority,
        ..status.clone()
    }
}

/// Looks. `alone`: no other member is synced.
#[must_use]
pub fn take(context: &Context<'_>, session: &mut sql::Session<'_>, alone: bool) -> Sample {
    let system = context.system;
    let seen = state::look(session);
    let unfit = match &seen {
        Err(_) => USES.map(|_| Some("the server does not answer".to_owned())),
        Ok(seen) => {
            let status = Status {
                alone,
                ..accepting(context, &seen.status)
            };
            // Not of a member: it votes. And not where nobody else could serve.
            let drained = drained::is(system) && !alone;
            USES.map(|usage| {
                let drained = drained && usage != Use::Member;
                judge(&status, voters(context), usage)
                    .or_else(|| drained.then(|| drained::WORDS.to_owned()))
            })
        }
    };
    let answers = seen.is_ok();
    let mut told = recorded(context);
    told.unfit.clone_from(&unfit[0]);
    match seen {
        Ok(seen) => {
            told.running = true;
            told.primary = seen.status.primary;
            told.size = seen.status.size;
            told.state = seen.status.state;
            told.writable = !seen.status.read_only;
            told.gtid = seen.gtid;
            told.members = seen.members;
            // The running server's own word goes over what a file says.
            if seen.status.primary && seen.uuid.is_some() {
                told.cluster = seen.uuid;
            }
            told.position = None;
            told.canaries = canaries(session);
        }
        Err(_) => {
            // Debian's unit counts as running while it starts or hangs without a socket.
            told.running = unit::state(system, UNIT)
                .is_ok_and(|state| !matches!(state.as_str(), "inactive" | "failed"));
        }
    }
    Sample {
        told,
        unfit,
        answers,
        secret: secret(system, "database-replication").unwrap_or_default(),
    }
}

/// What files say.
fn recorded(context: &Context<'_>) -> Told {
    let system = context.system;
    let name = settings::of::<Galera>(context.role, context.node)
        .map(|plan| plan.cluster_name)
        .unwrap_or_default();
    // A journal or directory that cannot be read must not look like one that knows nothing.
    let (known, holds_right, epoch) = match journal::read(system) {
        Ok(journal) => (
            journal.cluster(&name).map(str::to_owned),
            journal.holds_right(&name),
            journal.epoch(RESOURCE),
        ),
        Err(_) => (Some("unreadable".to_owned()), false, Default::default()),
    };
    let on_disk = match state::data(system) {
        Ok(crate::galera::decide::Data::Of(uuid)) => Some(uuid),
        Ok(crate::galera::decide::Data::New) => None,
        Err(_) => Some("unreadable".to_owned()),
    };
    Told {
        node: context.node.node.clone(),
        cluster: known.or(on_disk),
        holds_right,
        wants_data: system.exists(&unit::flag(WANTS)),
        joining: system.exists(&unit::flag(JOINING)),
        view: system.exists(&state::file("gvwstate.dat")),
        position: known_position(system),
        epoch: epoch.number,
        owner: epoch.owner,
        ..Told::default()
    }
}

/// Empty before the table is there.
fn canaries(session: &mut sql::Session<'_>) -> BTreeMap<String, String> {
    session
        .look(CANARIES)
        .unwrap_or_default()
        .into_iter()
        .filter_map(|row| {
            let mut columns = row.into_iter();
            Some((columns.next()?, columns.next()?))
        })
        .collect()
}
