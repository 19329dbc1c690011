//! What is done to a rack, one thing after another. Each fault brings the rack back to where it was, by itself or by the steps of
//! the runbook (docs/operations.md), and says which acknowledged mail may be missing because of it.

mod data;
mod links;
mod power;

use std::time::Duration;

use super::{Rack, Shape};
use crate::random::Random;

/// A fault.
pub struct Fault {
    /// As on the command line.
    pub id: &'static str,
    /// For people.
    pub title: &'static str,
    /// The small rack has what it needs.
    pub is_small: bool,
    /// Does it, and brings the rack back.
    pub run: fn(&mut Rack) -> anyhow::Result<()>,
    /// Acknowledged mail that may be missing: why, and how long before the fault it was sent at most.
    pub loss: Option<(&'static str, Duration)>,
}

/// All of them, in the order in which they are done.
pub const FAULTS: &[Fault] = &[
    quiet("none", "nothing", true, |_| Ok(())),
    quiet(
        "writer-power",
        "power cut: Galera writer",
        true,
        power::writer,
    ),
    quiet(
        "member-power",
        "power cut: another Galera member",
        false,
        power::member,
    ),
    quiet(
        "mail-power",
        "power cut: active mail server",
        true,
        power::mail,
    ),
    quiet(
        "balancer-power",
        "power cut: active balancer",
        false,
        power::balancer,
    ),
    quiet(
        "control-power",
        "power cut: both control servers",
        false,
        power::controls,
    ),
    Fault {
        id: "storage-power",
        title: "power cut: active storage server, promotion by hand",
        is_small: false,
        run: power::storage,
        loss: Some((
            "what arrived since the last snapshot that was received",
            Duration::from_secs(600),
        )),
    },
    quiet(
        "member-link",
        "cluster network of one Galera member cut",
        true,
        links::member,
    ),
    quiet(
        "storage-link",
        "storage network of the active mail server cut",
        false,
        links::storage,
    ),
    quiet(
        "galera-outage",
        "all Galera members cut, all come back",
        false,
        power::galera,
    ),
    quiet(
        "galera-two",
        "all Galera members cut, two of three come back",
        false,
        power::two_of_three,
    ),
    quiet(
        "split-brain",
        "split brain forced by hand",
        false,
        links::split_brain,
    ),
    quiet(
        "clock",
        "clock of one Galera member an hour ahead",
        false,
        power::clock,
    ),
    quiet(
        "pool-disk",
        "disk pulled from the mail pool, replaced",
        false,
        data::pool_disk,
    ),
    quiet(
        "os-disk",
        "OS disk of a mail server pulled",
        false,
        data::os_disk,
    ),
    quiet(
        "var-full",
        "/var of the active mail server full",
        false,
        data::var_full,
    ),
    quiet("pool-full", "mail pool full", false, data::pool_full),
    quiet(
        "reinstall",
        "a Galera member reinstalled, the depot killed meanwhile",
        false,
        data::reinstall,
    ),
    quiet("rack-power", "power cut: the whole rack", true, power::rack),
];

/// One after which nothing may be missing.
const fn quiet(
    id: &'static str,
    title: &'static str,
    is_small: bool,
    run: fn(&mut Rack) -> anyhow::Result<()>,
) -> Fault {
    Fault {
        id,
        title,
        is_small,
        run,
        loss: None,
    }
}

/// Those that a rack has machines for.
pub fn of(shape: Shape) -> impl Iterator<Item = &'static Fault> {
    FAULTS
        .iter()
        .filter(move |fault| shape == Shape::Full || fault.is_small)
}

/// Which of them come in a run of `count` random ones: pure, so that a printed seed gives the same again.
#[must_use]
pub fn random(seed: u64, count: usize) -> Vec<&'static Fault> {
    let wild: Vec<&Fault> = FAULTS.iter().filter(|fault| fault.id != "none").collect();
    let mut random = Random::new(seed);
    let picked = (0..count).filter_map(|_| random.pick(&wild).copied());
    picked.collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_a_seed_repeats() {
        let names: BTreeSet<&str> = FAULTS.iter().map(|fault| fault.id).collect();
        assert_eq!(names.len(), FAULTS.len());
        let ids = |seed| {
            random(seed, 12)
                .iter()
                .map(|fault| fault.id)
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(7), ids(7));
        assert_ne!(ids(7), ids(8));
        assert!(!ids(7).contains(&"none"));
    }
}
