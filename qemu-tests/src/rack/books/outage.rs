//! How long nothing worked, as the client saw it.

use serde::{Deserialize, Serialize};

use super::journal::{Entry, Event, Moment, Protocol};

/// The longest time without a success in a window of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    /// When it began: with the last success before it, or with the window.
    pub begin: Moment,
    /// How long.
    pub milliseconds: u64,
    /// It was not over when the window ended.
    pub open: bool,
}

/// Moments at which a protocol worked: a message was acknowledged, a mailbox was looked at.
#[must_use]
pub fn successes(entries: &[Entry], protocol: Protocol) -> Vec<Moment> {
    let worked = |entry: &&Entry| match entry.event {
        Event::Acknowledged { .. } => protocol == Protocol::Smtp,
        Event::Looked { .. } => protocol == Protocol::Imap,
        _ => false,
    };
    entries
        .iter()
        .filter(worked)
        .map(|entry| entry.at)
        .collect()
}

/// The longest time without a success from `begin` to `end`. Time before the window does not count: what began earlier is
/// another fault's. `successes` are in order of time.
#[must_use]
pub fn longest(successes: &[Moment], begin: Moment, end: Moment) -> Outage {
    let within = successes
        .iter()
        .filter(|at| begin.monotonic < at.monotonic && at.monotonic < end.monotonic);
    let mut since = begin;
    let mut longest = Outage {
        begin,
        milliseconds: 0,
        open: false,
    };
    for (at, open) in within.map(|at| (at, false)).chain([(&end, true)]) {
        if at.since(since) > longest.milliseconds {
            longest = Outage {
                begin: since,
                milliseconds: at.since(since),
                open,
            };
        }
        since = *at;
    }
    longest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(monotonic: u64) -> Moment {
        Moment {
            monotonic,
            wall: 1_000_000 + monotonic,
        }
    }

    #[test]
    fn gaps_are_found_at_both_ends_and_between() {
        for (successes, begin, milliseconds, open) in [
            // The window begins 50 after a success: that time is not its own.
            (&[50_u64, 110, 130, 170][..], 100, 40, false),
            (&[160, 170, 190], 100, 60, false),
            (&[110, 120], 100, 80, true),
            (&[], 100, 100, true),
            (&[50, 250], 100, 100, true),
        ] {
            let successes: Vec<Moment> = successes.iter().map(|time| at(*time)).collect();
            let found = longest(&successes, at(100), at(200));
            assert_eq!(
                (found.milliseconds, found.open),
                (milliseconds, open),
                "{successes:?}"
            );
            assert!(found.begin.monotonic >= begin);
        }
    }

    proptest! {
        /// Nothing worked during an outage, and no longer time without success is in the window.
        #[test]
        fn an_outage_is_empty_and_the_longest(mut times in prop::collection::vec(0_u64..1000, 0..40), begin in 0_u64..500, length in 0_u64..500) {
            times.sort_unstable();
            let successes: Vec<Moment> = times.iter().map(|time| at(*time)).collect();
            let found = longest(&successes, at(begin), at(begin + length));
            let (from, to) = (found.begin.monotonic, found.begin.monotonic + found.milliseconds);
            prop_assert!(begin <= from && to <= begin + length);
            prop_assert!(!times.iter().any(|time| from < *time && *time < to));
            let mut last = begin;
            for time in times.iter().filter(|time| (begin..begin + length).contains(time)) {
                prop_assert!(time - last <= found.milliseconds);
                last = *time;
            }
            prop_assert!(begin + length - last <= found.milliseconds);
        }
    }
}
