//! Words and letters of states. A letter stands beside every colour: nothing is said by colour alone.

use depot::view::{Machine, Phase};

/// For people.
#[must_use]
pub fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::New => "new",
        Phase::Armed => "armed",
        Phase::Installing => "installing",
        Phase::Installed => "installed",
        Phase::Healthy => "healthy",
        Phase::Failed => "failed",
        Phase::Unknown => "unknown",
    }
}

/// One letter, all of them different.
#[must_use]
pub fn letter(phase: Phase) -> char {
    match phase {
        Phase::New => 'N',
        Phase::Armed => 'A',
        Phase::Installing => 'I',
        Phase::Installed => 'D',
        Phase::Healthy => 'H',
        Phase::Failed => 'F',
        Phase::Unknown => '?',
    }
}

/// How far: `14 %`, or nothing.
#[must_use]
pub fn percent(machine: &Machine) -> String {
    machine
        .step
        .as_ref()
        .map_or_else(String::new, |step| format!("{} %", step.percent))
}

/// How long ago: `12 s`, `5 min`, `3 h`, `2 d`.
#[must_use]
pub fn ago(now: u64, then: u64) -> String {
    let seconds = now.saturating_sub(then);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_differ() {
        let all = [
            Phase::New,
            Phase::Armed,
            Phase::Installing,
            Phase::Installed,
            Phase::Healthy,
            Phase::Failed,
            Phase::Unknown,
        ];
        let letters: std::collections::BTreeSet<char> = all.into_iter().map(letter).collect();
        assert_eq!(letters.len(), all.len());
    }

    #[test]
    fn times() {
        for (then, text) in [(1000, "0 s"), (990, "10 s"), (700, "5 min")] {
            assert_eq!(ago(1000, then), text);
        }
        assert_eq!(ago(1_000_000, 1_000_000 - 7200), "2 h");
        assert_eq!(ago(1_000_000, 0), "11 d");
        // A clock that was set back.
        assert_eq!(ago(0, 5), "0 s");
    }
}
