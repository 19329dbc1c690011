//! Two control servers: who decides, and how the other follows. Nobody decides by himself to take over: two servers cannot
//! tell a dead one from a cut cable. What is decided here is what needs no guess.

use crate::{
    client::{CallError, Client},
    now,
    store::{Store, StoreError},
    wire::Standing,
};

/// What a control server does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It decides; nothing to do.
    Serve,
    /// It is the first of a new cluster and becomes the active one.
    Begin,
    /// It follows the other one.
    Follow,
    /// It does not know enough: it waits for the other one.
    Wait,
}

/// What to do, from how this server and the other one stand. `first`: it stands first in the plan; `alone`: the plan has no
/// other; `other`: absent if it does not answer.
#[must_use]
pub fn next(own: &Standing, other: Option<&Standing>, first: bool, alone: bool) -> Step {
    if own.epoch == 0 {
        return match other {
            None if alone => Step::Begin,
            // A reinstalled server knows nothing, and the other one may have given rights away.
            None => Step::Wait,
            Some(other) if other.epoch > 0 => Step::Follow,
            Some(_) if first => Step::Begin,
            Some(_) => Step::Wait,
        };
    }
    let is_active = own.active == own.node;
    match other {
        Some(other) if other.epoch > own.epoch => Step::Follow,
        // Both were promoted while cut off from one another: the name decides, the same way on both.
        Some(other)
            if is_active
                && other.epoch == own.epoch
                && other.active == other.node
                && other.node < own.node =>
        {
            Step::Follow
        }
        Some(other) if !is_active && other.epoch == own.epoch => Step::Follow,
        _ if is_active => Step::Serve,
        _ => Step::Wait,
    }
}

/// One look at the other server, and what follows from it.
///
/// # Errors
/// Disk, or what the other one sent cannot be taken.
pub fn once(
    store: &Store,
    other: Option<&Client>,
    first: bool,
    alone: bool,
) -> Result<Step, StoreError> {
    let own = store.standing(now());
    let standing = other.and_then(|client| client.standing().ok());
    // A configuration that names this server as the other one must not make it follow itself.
    let standing = standing.filter(|other| other.node != own.node);
    let step = next(&own, standing.as_ref(), first, alone);
    match (step, other) {
        (Step::Begin, _) => {
            let epoch = store.promote(now(), 0)?;
            tracing::info!("this is the active control server, epoch {epoch}");
        }
        (Step::Follow, Some(client)) => follow(store, client, &own)?,
        _ => {}
    }
    Ok(step)
}

fn follow(store: &Store, client: &Client, own: &Standing) -> Result<(), StoreError> {
    let path = format!("/v1/log?record={}&digest={}", own.record, own.digest);
    match client.log(&path) {
        Ok(lines) => store.follow(now(), &lines, false),
        Err(CallError::Refused(refusal)) if refusal.reason == "diverged" => {
            match client.log("/v1/log/whole") {
                Ok(lines) => {
                    tracing::warn!(
                        "the log of the other control server is taken whole, the own one is kept beside it"
                    );
                    store.follow(now(), &lines, true)
                }
                Err(_) => Ok(()),
            }
        }
        // Said again in a second.
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(node: &str, active: &str, epoch: u64) -> Standing {
        Standing {
            node: node.into(),
            active: active.into(),
            epoch,
            record: epoch,
            digest: String::new(),
            behind: None,
        }
    }

    #[test]
    fn who_decides() {
        let (new1, new2) = (standing("ct1", "", 0), standing("ct2", "", 0));
        let (ct1, ct2) = (standing("ct1", "ct1", 1), standing("ct2", "ct1", 1));
        let (promoted, stale) = (standing("ct2", "ct2", 2), standing("ct1", "ct1", 1));
        let both = standing("ct1", "ct1", 2);
        let cases = [
            ("the only one", &new1, None, true, true, Step::Begin),
            (
                "the first of two",
                &new1,
                Some(&new2),
                true,
                false,
                Step::Begin,
            ),
            (
                "the second of two",
                &new2,
                Some(&new1),
                false,
                false,
                Step::Wait,
            ),
            ("the first, alone up", &new1, None, true, false, Step::Wait),
            (
                "reinstalled",
                &new1,
                Some(&promoted),
                true,
                false,
                Step::Follow,
            ),
            (
                "reinstalled, not replaced",
                &new1,
                Some(&ct2),
                true,
                false,
                Step::Follow,
            ),
            ("active", &ct1, Some(&ct2), true, false, Step::Serve),
            ("active, other down", &ct1, None, true, false, Step::Serve),
            ("standby", &ct2, Some(&ct1), false, false, Step::Follow),
            ("standby, other down", &ct2, None, false, false, Step::Wait),
            (
                "came back late",
                &stale,
                Some(&promoted),
                true,
                false,
                Step::Follow,
            ),
            (
                "promoted",
                &promoted,
                Some(&stale),
                false,
                false,
                Step::Serve,
            ),
            (
                "both promoted, second",
                &promoted,
                Some(&both),
                false,
                false,
                Step::Follow,
            ),
            (
                "both promoted, first",
                &both,
                Some(&promoted),
                true,
                false,
                Step::Serve,
            ),
            (
                "standby of a standby",
                &ct2,
                Some(&new1),
                false,
                false,
                Step::Wait,
            ),
        ];
        for (name, own, other, first, alone, expected) in cases {
            assert_eq!(next(own, other, first, alone), expected, "{name}");
        }
    }
}
