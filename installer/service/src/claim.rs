//! The takeover of the mail store as the control servers know it. They only ever add a refusal: a takeover must be possible
//! while they are off, so that they know of none proves nothing, and a machine still asks its peers before it exports.

use join::claims::{ClaimError, Claims, Epoch};

use crate::mark::{Answer, Mark};

/// Name of the mail store among the claims.
pub const RESOURCE: &str = "storage:mail";

/// Steps that a number may be raised by at once: it lags behind by the takeovers that were made without control servers.
const FAR: u64 = 10_000;

/// Why the control servers do not let a takeover happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Another machine was faster.
    #[error("{0}\nhint: `rackwright-installer storage status` says who holds the mail store now")]
    Claim(#[from] ClaimError),
    /// A number that no count of takeovers gives.
    #[error(
        "the control servers know epoch {known} of the mail store, and this takeover has {wanted}: one of them is not a count of takeovers\nhint: compare `zfs get org.rackwright:epoch` on all storage servers"
    )]
    Far {
        /// Of the store of claims.
        known: u64,
        /// Of the plan.
        wanted: u64,
    },
}

/// What the control servers know, as one more answer.
#[must_use]
pub fn answer(epoch: &Epoch) -> Answer {
    Answer {
        from: "the control servers".to_owned(),
        mark: (epoch.number > 0).then(|| Mark {
            epoch: epoch.number,
            owner: epoch.owner.clone(),
        }),
    }
}

/// Takes the epoch `wanted` for `node`. `seen`: what was known when the takeover was planned; who changed it since was
/// faster, and this takeover must not happen.
///
/// # Errors
/// Somebody was faster, or no control server answers any more.
pub fn take(claims: &dyn Claims, seen: &Epoch, wanted: u64, node: &str) -> Result<(), Refusal> {
    if wanted.saturating_sub(seen.number) > FAR {
        return Err(Refusal::Far {
            known: seen.number,
            wanted,
        });
    }
    let mut at = seen.number;
    while at < wanted {
        at = claims.raise_epoch(RESOURCE, at, node)?.number;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use join::claims::Memory;

    #[test]
    fn of_two_takeovers_one_happens() {
        let claims = Memory::default();
        let seen = claims.epoch(RESOURCE).unwrap_or_default();
        assert_eq!(answer(&seen).mark, None);
        assert_eq!(take(&claims, &seen, 3, "st2"), Ok(()));
        let late = take(&claims, &seen, 4, "bk1").map_err(|refusal| refusal.to_string());
        assert_eq!(
            late,
            Err("epoch of `storage:mail` is 3, not 0: read it again, somebody else changed it\nhint: `rackwright-installer storage status` says who holds the mail store now".into())
        );
        let known = claims.epoch(RESOURCE).unwrap_or_default();
        let mark = Mark {
            epoch: 3,
            owner: "st2".into(),
        };
        assert_eq!(answer(&known).mark, Some(mark));
        // What is taken already may be taken again: a command that was cut off.
        assert_eq!(take(&claims, &known, 3, "st2"), Ok(()));
        assert_eq!(
            take(&claims, &known, u64::MAX, "st2"),
            Err(Refusal::Far {
                known: 3,
                wanted: u64::MAX
            })
        );
    }
}
