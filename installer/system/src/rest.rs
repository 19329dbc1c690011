//! How long those wait who look again and again: three consoles, the join, the care for the role. A look takes milliseconds on a
//! server and seconds on a machine that is busy or emulated, where all of them together took half of it (a balancer that waited
//! for its databases: 700 s of processor time in 12 minutes, 212 of them in the service manager that they ask; 2026-11-30).

use std::time::Duration;

/// What a watcher may take of a processor: one part in ten.
const PARTS: u32 = 9;
/// The pause after a look that `took` so long: `least`, longer if the look was long, but no longer than `most`; where a look takes
/// longer than that, as long as the look, so that it never takes more than half of a processor.
#[must_use]
pub fn rest(least: Duration, most: Duration, took: Duration) -> Duration {
    took.saturating_mul(PARTS).min(most.max(took)).max(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_looks_are_rare() {
        for (least, most, took, pause) in [
            (2_000, 60_000, 15, 2_000),
            (2_000, 60_000, 1_000, 9_000),
            (30_000, 60_000, 2_000, 30_000),
            (2_000, 60_000, 100_000, 100_000),
            (90_000, 60_000, 70_000, 90_000),
        ] {
            let milliseconds = Duration::from_millis;
            assert_eq!(
                rest(milliseconds(least), milliseconds(most), milliseconds(took)),
                milliseconds(pause)
            );
        }
    }
}
