//! Which server of a cluster is the master: the active one, and never two. A master changes the configuration that all share,
//! so it is whoever holds a lock on a file in the store; the NFS server gives it to one client at a time (RFC 8881, 9.1).
//!
//! The lock is held by a unit (`flock ... sleep`), not by a round: it lives as long as the unit, and the server gives it up
//! for a machine that is dead (its lease runs out). The balancer sends all to the planned master while that one is well, so the
//! other one hands the lock back when the planned master asks for it.

use serde::{Deserialize, Serialize};

/// The locked file; its content is the holder's name.
pub const LOCK: &str = ".rackwright-master";
/// What the planned master writes while it is well and waits for the lock.
pub const WANTED: &str = ".rackwright-master-wanted";
/// The unit that holds the lock.
pub const UNIT: &str = "rackwright-master.service";
/// Seconds for which a wish is good: longer than a round, clocks of a cluster differ by less.
const FRESH: u64 = 60;

/// A wish of the planned master.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// Who wants it.
    pub node: String,
    /// Seconds since 1970.
    pub at: u64,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen<'a> {
    /// This machine.
    pub node: &'a str,
    /// It is the master while all is well.
    pub planned: bool,
    /// Its unit holds the lock.
    pub holds: bool,
    /// Name in the locked file.
    pub holder: Option<&'a str>,
    /// The planned master's wish.
    pub wish: Option<&'a Wish>,
    /// Seconds since 1970.
    pub now: u64,
}

/// What this server does about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    /// It is the master.
    Master,
    /// Nobody is known to be: try to take the lock.
    Try,
    /// Try, and say that it is wanted.
    Ask,
    /// It was the master and is no more: flag off first, then the lock.
    Yield,
}

/// The decision.
#[must_use]
pub fn decide(seen: &Seen<'_>) -> Duty {
    let wanted = seen
        .wish
        .is_some_and(|wish| wish.node != seen.node && seen.now.saturating_sub(wish.at) <= FRESH);
    // After a cut line the server may have given the lock to another one, which then wrote its name.
    let lost = seen.holder.is_some_and(|holder| holder != seen.node);
    match (seen.holds, seen.planned) {
        (true, _) if lost => Duty::Yield,
        (true, false) if wanted => Duty::Yield,
        (true, _) => Duty::Master,
        (false, true) => Duty::Ask,
        (false, false) if wanted => Duty::Yield,
        (false, false) => Duty::Try,
    }
}

/// The unit. Exit code 75 says that another one has it; that is no failure.
#[must_use]
pub fn unit(mount: &str) -> String {
    format!(
        "# Written by rackwright-serve. While it runs, this server is the master of the mail program.\n[Unit]\n\
         Description=Lock of the mail program's master\n\n[Service]\nType=exec\n\
         ExecStart=/usr/bin/flock --nonblock --conflict-exit-code 75 --no-fork {mount}/{LOCK} /usr/bin/sleep infinity\n\
         SuccessExitStatus=75\n"
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decisions() {
        let wish = |node: &str, at| {
            Some(Wish {
                node: node.into(),
                at,
            })
        };
        let table = [
            // planned, holds, holder, wish, decision
            (true, false, None, None, Duty::Ask),
            (true, true, Some("iw1"), None, Duty::Master),
            (true, true, Some("iw2"), None, Duty::Yield),
            (false, false, Some("iw2"), None, Duty::Try),
            (false, false, Some("iw2"), wish("iw2", 990), Duty::Yield),
            (false, true, Some("iw1"), wish("iw2", 900), Duty::Master),
            (false, true, Some("iw1"), wish("iw2", 990), Duty::Yield),
            (false, true, Some("iw2"), None, Duty::Yield),
        ];
        for (planned, holds, holder, wish, wanted) in table {
            let seen = Seen {
                node: "iw1",
                planned,
                holds,
                holder,
                wish: wish.as_ref(),
                now: 1000,
            };
            assert_eq!(decide(&seen), wanted, "{seen:?}");
        }
    }

    proptest! {
        /// Whoever does not hold the lock, or sees another's name in it, is no master.
        #[test]
        fn no_master_without_the_lock(planned: bool, holds: bool, holder in 0_u8..3, at in 0_u64..200, now in 0_u64..200) {
            let holder = ["iw1", "iw2"].get(usize::from(holder)).copied();
            let wish = Wish { node: "iw2".into(), at };
            let seen = Seen { node: "iw1", planned, holds, holder, wish: Some(&wish), now };
            if decide(&seen) == Duty::Master {
                prop_assert!(holds && holder != Some("iw2"));
            }
        }
    }
}
