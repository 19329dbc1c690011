//! How long those wait who look again and again: three consoles, the join, the care for the role. A look takes milliseconds on a
//! server and seconds on a machine that is busy or emulated, where all of them together took half of it (a balancer that waited
//! for its databases: 700 s of processor time in 12 minutes, 212 of them in the service manager that they ask; 2026-11-30).

use std::time::Duration;

/// What a watcher may take of a processor: one part in ten.
const PARTS: u32 = 9;
/// Nobody is blind for longer.
const MOST: Duration = Duration::from_secs(60);

/// The pause after a look that `took` so long: `least`, and longer if the look was long.
#[must_use]
pub fn rest(least: Duration, took: Duration) -> Duration {
    took.saturating_mul(PARTS).min(MOST).max(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_looks_are_rare() {
        for (least, took, pause) in [
            (2_000, 15, 2_000),
            (2_000, 1_000, 9_000),
            (30_000, 2_000, 30_000),
            (2_000, 100_000, 60_000),
            (90_000, 100_000, 90_000),
        ] {
            let milliseconds = Duration::from_millis;
            assert_eq!(
                rest(milliseconds(least), milliseconds(took)),
                milliseconds(pause)
            );
        }
    }
}
