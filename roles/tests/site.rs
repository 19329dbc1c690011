//! Site files: what `init` makes passes every rule, and every rule has a file that breaks it, with the exact message, and a
//! neighbour that does not.
//!
//! `UPDATE_GOLDEN=1 cargo test -p roles --test site` writes the messages anew; read the difference before you commit it.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read its files has failed"
)]

use proptest::prelude::*;
use roles::site::{self, model::Setup, rules::RULES, sizing};

/// What `init` makes has no error, and no warning but that a setup is too small for so many users.
fn passes(setup: Setup, users: u64) {
    let text = site::init(setup, users, "mail");
    let (site, found) = site::check("site.toml", &text, None);
    let unexpected: Vec<String> = found
        .items()
        .iter()
        .filter(|item| {
            !(item.code == "E32" && users > sizing::largest() && setup != Setup::Cluster)
        })
        .map(ToString::to_string)
        .collect();
    assert!(
        unexpected.is_empty(),
        "{setup:?} {users}\n{}\n{text}",
        unexpected.join("\n")
    );
    assert!(!found.has_errors());
    let site = site.unwrap();
    assert_eq!((site.setup, site.users), (setup, users));
    for item in sizing::size(users, setup).items {
        let count = site
            .nodes
            .iter()
            .filter(|node| node.role == item.what)
            .count();
        if sizing::reference(&item.what).is_some() {
            assert_eq!(
                count, item.count as usize,
                "{setup:?} {users}: {}",
                item.what
            );
        }
    }
}

#[test]
fn init_passes_at_every_edge_of_the_table() {
    for setup in Setup::ALL {
        for row in sizing::rows() {
            for users in [row.users, row.users + 1] {
                passes(setup, users);
            }
        }
        passes(setup, 1);
        passes(setup, 100_000);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn init_passes_every_rule(setup in 0_usize..4, users in 1_u64..100_000) {
        passes(Setup::ALL[setup], users);
    }
}

#[test]
fn the_sizing_table_is_the_references() {
    let rows: Vec<String> = sizing::rows()
        .iter()
        .map(|row| {
            format!(
                "{} {} {} {} {} {}",
                row.users, row.memory, row.cores, row.storage_memory, row.hdd, row.speed
            )
        })
        .collect();
    assert_eq!(
        rows,
        [
            "1000 16 4 32 5 1000",
            "5000 32 4 64 10 1000",
            "10000 64 6 128 15 10000",
            "15000 64 6 128 20 10000",
            "25000 64 8 128 25 10000",
        ]
    );
    assert_eq!(sizing::row(1_000).users, 1_000);
    assert_eq!(sizing::row(1_001).users, 5_000);
    assert_eq!(sizing::row(70_000).users, 25_000);
}

#[test]
fn rule_ids_are_one_to_forty_five() {
    let numbers: Vec<usize> = RULES
        .iter()
        .map(|rule| rule.id[1..].parse().unwrap())
        .collect();
    assert_eq!(numbers, (1..=45).collect::<Vec<_>>());
    for rule in RULES {
        assert!(
            rule.id.starts_with(['E', 'W']) && rule.reason.len() > 30 && rule.cure.len() > 10,
            "{}",
            rule.id
        );
    }
}
