//! Whatever a file holds, a parser answers with a value or a diagnostic: no panic, no endless loop. Files come from sticks
//! that were pulled too early and from editors at three in the morning.

use proptest::prelude::*;
use roles::selector::{BaySet, SizeRange, glob_matches, parse_size};

const NODE: &str = include_str!("valid/full.toml");
const ROLE: &str = include_str!("../storage/role.toml");
const COMMON: &str = include_str!("../common/common.toml");

fn parse_all(text: &str) {
    for result in [
        roles::parse::node_file("node.toml", text, None).err(),
        roles::parse::role("role.toml", text, &[]).err(),
        roles::parse::common("common.toml", text, &[]).err(),
        roles::parse::site_file("site.toml", text, None).err(),
    ]
    .into_iter()
    .flatten()
    {
        assert!(!result.render(false).is_empty());
    }
}

/// A valid file with one piece cut out and another put in.
fn spoiled(text: &str, at: usize, length: usize, with: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let at = at % (characters.len() + 1);
    let end = (at + length).min(characters.len());
    let (head, tail) = (&characters[..at], &characters[end..]);
    head.iter()
        .chain(with.chars().collect::<Vec<_>>().iter())
        .chain(tail)
        .collect()
}

proptest! {
    #[test]
    fn any_text(text in "\\PC{0,200}") {
        parse_all(&text);
        let _answers = (
            BaySet::parse(&text).is_ok(),
            SizeRange::parse(&text).is_ok(),
            parse_size(&text).is_ok(),
            glob_matches(&text, "wwn-0x5000cca261280e68"),
            roles::address::Cidr::parse(&text).is_some(),
            roles::address::is_mac(&text),
        );
    }

    #[test]
    fn a_spoiled_file(
        file in 0_usize..5, at in 0_usize..20_000, length in 0_usize..60,
        with in "[\\[\\]{}=\"'#,.a-z0-9\\n\\\\ \u{e9}\u{1F4BE}-]{0,12}",
    ) {
        let (small, large) = (
            roles::site::init(roles::site::model::Setup::Failover, 1_000, "mail"),
            roles::site::init(roles::site::model::Setup::Cluster, 30_000, "mail"),
        );
        parse_all(&spoiled([NODE, ROLE, COMMON, &small, &large][file], at, length, &with));
    }

    #[test]
    fn a_glob_of_many_stars_ends(stars in 1_usize..40, text in "a{0,60}") {
        let glob = "a*".repeat(stars) + "b";
        prop_assert!(!glob_matches(&glob, &text));
    }
}
