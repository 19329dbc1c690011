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

/// A case: a file of `init` (`ha 1000`) or `small.toml`, with pieces replaced and text added. `@name ` before a piece looks
/// for it in that machine's table.
#[derive(serde::Deserialize)]
struct Case {
    base: String,
    #[serde(default)]
    replace: Vec<(String, String)>,
    #[serde(default)]
    add: String,
}

impl Case {
    fn text(&self, name: &str) -> String {
        let mut text = match self.base.split_once(' ') {
            Some((setup, users)) => {
                let setup = Setup::ALL
                    .into_iter()
                    .find(|known| known.word() == setup)
                    .unwrap();
                site::init(setup, users.parse().unwrap(), "mail")
            }
            None => include_str!("site/small.toml").to_owned(),
        };
        for (old, new) in &self.replace {
            let (from, old) = match old.strip_prefix('@').and_then(|rest| rest.split_once(' ')) {
                Some((node, old)) => (text.find(&format!("name = \"{node}\"")).unwrap(), old),
                None => (0, old.as_str()),
            };
            let at = text[from..]
                .find(old)
                .unwrap_or_else(|| panic!("{name}: no `{old}`"))
                + from;
            text.replace_range(at..at + old.len(), new);
        }
        // Tables that the base has already take the keys that are added to them.
        for table in ["[database]", "[galera]", "[storage.paths]"] {
            assert!(
                text.matches(table).count() + self.add.matches(table).count() < 2,
                "{name}: `{table}` twice"
            );
        }
        text + "\n" + &self.add
    }
}

fn cases(folder: &str) -> Vec<(camino::Utf8PathBuf, Case)> {
    let dir = camino::Utf8Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/site")
        .join(folder);
    let mut paths: Vec<_> = dir
        .read_dir_utf8()
        .unwrap()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.extension() == Some("toml"))
        .collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let case = toml::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            (path, case)
        })
        .collect()
}

#[test]
fn files_that_break_a_rule_say_exactly_this() {
    let mut wrong = Vec::new();
    let mut rules = std::collections::BTreeSet::new();
    for (path, case) in cases("invalid") {
        let name = path.file_stem().unwrap();
        let (_, found) = site::check("site.toml", &case.text(name), None);
        let rule = name.split('-').next().unwrap().to_owned();
        if rule.starts_with(['E', 'W']) {
            if !found.items().iter().any(|item| item.code == rule) {
                wrong.push(format!("{name}: {rule} was not found:\n{found}"));
            }
            rules.insert(rule);
        }
        let shown = format!("{found}\n\n{}", found.render(false));
        let golden = path.with_extension("txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&golden, &shown).unwrap();
        }
        if std::fs::read_to_string(&golden).unwrap_or_default() != shown {
            wrong.push(format!("{golden} differs; now:\n{shown}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for rule in RULES {
        assert!(rules.contains(rule.id), "no file breaks {}", rule.id);
    }
}

#[test]
fn their_neighbours_break_none() {
    let mut wrong = Vec::new();
    let mut rules = std::collections::BTreeSet::new();
    for (path, case) in cases("valid") {
        let name = path.file_stem().unwrap();
        let text = case.text(name);
        let (_, found) = site::check("site.toml", &text, None);
        let rule = name.split('-').next().unwrap().to_owned();
        if found.has_errors() || found.items().iter().any(|item| item.code == rule) {
            wrong.push(format!("{name}: {found}"));
        }
        if let Ok(site) = roles::parse::site_file("site.toml", &text, None) {
            let written = toml::to_string(&site).unwrap();
            let again = roles::parse::site_file("written", &written, None);
            assert_eq!(
                again.as_ref(),
                Ok(&site),
                "{name} does not survive a round trip"
            );
        }
        rules.insert(rule);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for rule in RULES {
        assert!(rules.contains(rule.id), "no file keeps {}", rule.id);
    }
}

/// A thousand machines: many production servers with cables of their own. How long it takes is `docs/performance.md`'s
/// business; that it grows with the machines and not with their square is seen in what 4000 cost against 1000.
fn large(machines: usize) -> String {
    let mut text = site::init(Setup::Cluster, 100_000, "mail")
        .replace("10.77.10.0/24", "10.64.0.0/12")
        .replace("10.77.40.0/24", "10.80.0.0/12")
        .replace("10.77.30.0/24", "10.96.0.0/12")
        .replace("10.77.40.", "10.80.40.")
        .replace("10.77.30.", "10.96.30.")
        .replace("192.0.2.0/24", "10.128.0.0/12")
        .replace("\"192.0.2.", "\"10.128.2.");
    let present = text.matches("[[nodes]]").count();
    for number in present..machines {
        let (high, low) = (number / 200, number % 200 + 1);
        text.push_str(&format!(
            r#"
[[nodes]]
name = "p{number}"
role = "production"
chassis = "rack{high}:u{low}"
addresses = {{ mgmt = "10.65.{high}.{low}", public = "10.129.{high}.{low}", cluster = "10.97.{high}.{low}", storage = "10.81.{high}.{low}" }}
bmc = {{ address = "10.66.{high}.{low}", mac = "0c:c4:7b:00:{high:02x}:{low:02x}" }}
links = [
    {{ networks = ["mgmt", "public"], bond = "bond0", ports = [{{ mac = "0c:c4:7c:00:{high:02x}:{low:02x}", switch = "sw1", port = "a{number}" }}, {{ mac = "0c:c4:7d:00:{high:02x}:{low:02x}", switch = "sw2", port = "a{number}" }}] }},
    {{ networks = ["cluster", "storage"], bond = "bond1", ports = [{{ mac = "0c:c4:7e:00:{high:02x}:{low:02x}", switch = "sw1", port = "b{number}" }}, {{ mac = "0c:c4:7f:00:{high:02x}:{low:02x}", switch = "sw2", port = "b{number}" }}] }},
]
"#
        ));
    }
    text
}

#[test]
fn a_thousand_machines_are_right_and_one_mistake_among_them_is_found() {
    let text = large(1000);
    let (site, found) = site::check("site.toml", &text, None);
    assert!(found.is_empty(), "{found}");
    assert_eq!(site.unwrap().nodes.len(), 1000);
    let text = text.replace("name = \"p900\"", "name = \"p899\"");
    let (_, found) = site::check("site.toml", &text, None);
    assert_eq!(found.items().len(), 1, "{found}");
    assert_eq!(found.items()[0].code, "E34");
}

/// Loose on purpose: the machine that runs this does other things too. With an algorithm that compares every machine with
/// every other this is a factor of 16.
#[test]
fn the_cost_of_a_check_grows_with_the_machines_only() {
    let took = |machines: usize| {
        let text = large(machines);
        (0..3)
            .map(|_| {
                let start = std::time::Instant::now();
                assert!(site::check("site.toml", &text, None).1.is_empty());
                start.elapsed()
            })
            .min()
            .unwrap()
    };
    let (few, many) = (took(1000), took(4000));
    assert!(many < few * 10, "{few:?} for 1000, {many:?} for 4000");
}
