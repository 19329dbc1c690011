//! What `rackwright` prints and its exit code, for everything that ends before the first byte is built.

#![expect(clippy::unwrap_used, reason = "a panic in a test is the report")]

use std::process::Command;

fn rackwright(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_rackwright"))
        .args(arguments)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data"))
        .env_remove("RACKWRIGHT_CACHE")
        .env_remove("RACKWRIGHT_MIRROR")
        .output()
        .unwrap();
    let text = format!(
        "exit code {}\n--- stdout\n{}--- stderr\n{}",
        output.status.code().unwrap(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    text.replace(env!("CARGO_MANIFEST_DIR"), "[SOURCE]/image")
}

#[test]
fn help() {
    insta::assert_snapshot!("help", rackwright(&["--help"]));
    insta::assert_snapshot!("help-build", rackwright(&["build", "--help"]));
    for line in rackwright(&["build", "--help"]).lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn an_unknown_role_is_named_with_the_nearest() {
    insta::assert_snapshot!("unknown-role", rackwright(&["build", "contrl"]));
    insta::assert_snapshot!("no-role", rackwright(&["build"]));
}

#[test]
fn role_data_that_is_not_there() {
    insta::assert_snapshot!(
        "no-role-data",
        rackwright(&["build", "control", "--roles", "nowhere"])
    );
}

#[test]
fn a_bad_node_file_stops_before_anything_is_built() {
    insta::assert_snapshot!(
        "bad-node-file",
        rackwright(&["build", "control", "--node", "bad-node.toml"])
    );
    insta::assert_snapshot!(
        "other-role",
        rackwright(&["build", "lb", "--node", "good-node.toml"])
    );
}

#[test]
fn inspect() {
    insta::assert_snapshot!("inspect", rackwright(&["inspect", "image"]));
    insta::assert_snapshot!(
        "inspect-verify",
        rackwright(&["inspect", "--verify", "image"])
    );
    insta::assert_snapshot!(
        "inspect-truncated",
        rackwright(&["inspect", "--verify", "truncated"])
    );
    insta::assert_snapshot!(
        "inspect-damaged",
        rackwright(&["inspect", "--verify", "damaged"])
    );
    insta::assert_snapshot!("inspect-nothing", rackwright(&["inspect", "nothing"]));
}
