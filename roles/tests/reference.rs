//! The JSON schemas and docs/site-file.md are what the key tables say; every key of the site file has its line and an
//! example that can be read.
//!
//! `UPDATE_GOLDEN=1 cargo test -p roles --test reference` writes them anew.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read its files has failed"
)]

use camino::Utf8Path;
use roles::reference;
use serde_json::Value;

fn committed(path: &str, now: &str) {
    let path = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, now).unwrap();
    }
    let then = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        then == now,
        "{path} is not up to date; UPDATE_GOLDEN=1 cargo test -p roles --test reference"
    );
}

fn pretty(schema: &Value) -> String {
    format!("{}\n", serde_json::to_string_pretty(schema).unwrap())
}

#[test]
fn what_is_committed_is_up_to_date() {
    committed("schema/site.json", &pretty(&reference::site_schema()));
    committed("schema/node.json", &pretty(&reference::node_schema()));
    committed("../docs/site-file.md", &reference::site_document());
}

/// Every key of the site file is explained, and its example is TOML of its own type.
#[test]
fn every_key_is_explained() {
    let document = reference::site_document();
    let mut rows = 0;
    for line in document
        .lines()
        .filter(|line| line.starts_with("| `") || line.starts_with("| **`"))
    {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        assert_eq!(cells.len(), 4, "{line}");
        assert!(cells[2].len() > 2, "{line}");
        if cells[3] != "below" {
            let example = cells[3].trim_matches('`');
            toml::from_str::<toml::Table>(example)
                .unwrap_or_else(|error| panic!("{example}: {error}"));
        }
        rows += 1;
    }
    assert!(rows > 150, "{rows}");
}
