//! The step `seen`: this server serves, and another machine has read what it wrote. A server that only thinks well of itself
//! is not enough: after a forced split each half is content.

use crate::{context::Context, endpoint::sample, galera::state, settings, sql, step::Outcome};

/// Reads what machines wrote.
pub const CANARIES: &str = "SELECT node, token FROM rackwright.canary;";

/// Asked again and again while it has to hold.
#[must_use]
pub fn step(context: &Context<'_>) -> Outcome {
    attempt(context).unwrap_or_else(Outcome::Failed)
}

fn attempt(context: &Context<'_>) -> Result<Outcome, String> {
    let system = context.system;
    let Ok(seen) = state::ask(system) else {
        return Ok(Outcome::Wait("the server to answer".into()));
    };
    let peers = settings::peers(context.node, &["galera", "database"]);
    if peers.is_empty() {
        return Ok(Outcome::Done(
            "serves; there is no other machine to see it".into(),
        ));
    }
    if let Some(why) = sample::unfit(context, &seen) {
        return Ok(Outcome::Wait(format!("this server to be fit: {why}")));
    }
    if seen.status.read_only {
        return replica(context, &peers);
    }
    // A token of this boot: what another one read of an earlier one proves nothing.
    let (name, token) = (&context.node.node, &context.boot);
    let (name_literal, token_literal) = (sql::literal(name), sql::literal(token));
    sql::run(
        system,
        &format!(
            "REPLACE INTO rackwright.canary SELECT {name_literal}, {token_literal} FROM DUAL WHERE NOT EXISTS \
                  (SELECT 1 FROM rackwright.canary WHERE node={name_literal} AND token={token_literal});\n"
        ),
        20,
    )?;
    let reader = peers.iter().find(|peer| {
        context
            .outside
            .ask(&peer.address)
            .is_some_and(|told| told.canaries.get(name) == Some(token))
    });
    Ok(match reader {
        Some(peer) => Outcome::Done(format!("`{}` has read what this server wrote", peer.name)),
        None => Outcome::Wait("another server to read what this one wrote".into()),
    })
}

/// A replica writes nothing: it has what the writer wrote.
fn replica(context: &Context<'_>, peers: &[settings::Peer]) -> Result<Outcome, String> {
    let rows = sql::run(context.system, CANARIES, sql::LOOK)?;
    let here = |name: &str, token: &str| sql::value(&rows, name) == Some(token);
    let same = peers.iter().find(|peer| {
        context.outside.ask(&peer.address).is_some_and(|told| {
            told.canaries
                .get(&peer.name)
                .is_some_and(|token| here(&peer.name, token))
        })
    });
    Ok(match same {
        Some(peer) => Outcome::Done(format!("has what `{}` wrote", peer.name)),
        None => Outcome::Wait("what the primary wrote".into()),
    })
}
