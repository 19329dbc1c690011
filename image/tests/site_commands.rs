//! What the commands of the site file print and their exit codes: 0 right (warnings allowed), 1 errors, 2 wrong usage.

#![expect(clippy::unwrap_used, reason = "a panic in a test is the report")]

use std::path::Path;

mod program;

/// Where the files are that the tests read.
fn data() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data"))
}

fn run(arguments: &[&str], input: &str) -> (i32, String, String) {
    program::run(data(), arguments, input)
}

fn shown(arguments: &[&str], input: &str) -> String {
    program::shown(data(), arguments, input)
}

const BROKEN: [(&str, &str); 3] = [
    (
        "ftp_passive = \"30000-30255\"          # or `ftp = false`\n",
        "",
    ),
    ("bootstrap = \"db1\"", "bootstrap = \"lb1\""),
    ("proxy = ", "proxi = "),
];

/// The site file of 1000 users with three things wrong: a warning, a rule, a key.
fn broken() -> String {
    let (_, mut text, _) = run(&["init"], "");
    for (old, new) in BROKEN {
        assert_eq!(text.matches(old).count(), 1, "{old}");
        text = text.replace(old, new);
    }
    text
}

#[test]
fn help_fits_eighty_columns() {
    for command in ["init", "size", "check", "explain", "schema"] {
        let help = shown(&[command, "--help"], "");
        assert!(
            help.lines().all(|line| line.chars().count() <= 80),
            "{help}"
        );
        insta::assert_snapshot!(format!("help-{command}"), help);
    }
}

#[test]
fn what_init_writes_check_takes() {
    for arguments in [
        vec!["init"],
        vec!["init", "--setup", "standard", "--users", "500"],
        vec![
            "init", "--setup", "failover", "--users", "9000", "--name", "post",
        ],
        vec!["init", "--setup", "ha", "--users", "25000"],
        vec!["init", "--users", "80000"],
    ] {
        let (code, file, stderr) = run(&arguments, "");
        assert_eq!((code, stderr.as_str()), (0, ""));
        let (code, stdout, stderr) = run(&["check", "-"], &file);
        assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
        assert!(stdout.contains(" is right: "), "{stdout}");
        assert!(!stdout.contains("warning"), "{stdout}");
    }
    insta::assert_snapshot!(
        "init-ha-25000",
        shown(&["init", "--setup", "ha", "--users", "25000"], "")
    );
    insta::assert_snapshot!("init-failover", shown(&["init", "--setup", "failover"], ""));
}

#[test]
fn init_keeps_what_is_there_and_refuses_a_bad_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("site.toml");
    let path = file.to_str().unwrap();
    let (code, stdout, stderr) = run(&["init", "-o", path], "");
    assert_eq!((code, stdout.as_str()), (0, ""), "{stderr}");
    let first = std::fs::read_to_string(&file).unwrap();
    let (code, _, stderr) = run(&["init", "-o", path, "--users", "9000"], "");
    assert_eq!(code, 1);
    assert!(
        stderr.starts_with("error: cannot write the site file"),
        "{stderr}"
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), first);
    insta::assert_snapshot!("init-bad-name", shown(&["init", "--name", "Mail 1"], ""));
    insta::assert_snapshot!("init-no-users", shown(&["init", "--users", "0"], ""));
}

#[test]
fn size_says_what_and_why() {
    insta::assert_snapshot!("size-ha", shown(&["size", "--users", "12000"], ""));
    insta::assert_snapshot!(
        "size-standard",
        shown(&["size", "--users", "900", "--setup", "standard"], "")
    );
    insta::assert_snapshot!("size-cluster", shown(&["size", "--users", "60000"], ""));
    let (code, json, _) = run(&["size", "--users", "12000", "--json"], "");
    let bill: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (code, &bill["row"], &bill["items"][2]["what"]),
        (0, &15_000.into(), &"galera".into())
    );
}

#[test]
fn check_shows_everything_at_once() {
    let broken = broken();
    insta::assert_snapshot!("check-broken", shown(&["check", "-"], &broken));
    insta::assert_snapshot!(
        "check-broken-json",
        shown(&["check", "-", "--format", "json"], &broken)
    );
    let (code, sarif, _) = run(&["check", "-", "--format", "sarif"], &broken);
    assert_eq!(code, 1);
    let sarif: serde_json::Value = serde_json::from_str(&sarif).unwrap();
    let run_ = &sarif["runs"][0];
    assert_eq!(
        run_["tool"]["driver"]["rules"].as_array().unwrap().len(),
        45
    );
    insta::assert_snapshot!(
        "check-broken-sarif",
        serde_json::to_string_pretty(&run_["results"]).unwrap()
    );
    insta::assert_snapshot!("check-missing", shown(&["check", "nowhere.toml"], ""));
    insta::assert_snapshot!("check-empty", shown(&["check", "-"], ""));
    // A warning alone is no failure.
    let (_, text, _) = run(&["init"], "");
    let warned = text.replace(BROKEN[0].0, "");
    insta::assert_snapshot!("check-warning", shown(&["check", "-"], &warned));
}

#[test]
fn explain_says_why() {
    insta::assert_snapshot!("explain", shown(&["explain", "e15"], ""));
    insta::assert_snapshot!("explain-all", shown(&["explain"], ""));
    insta::assert_snapshot!("explain-near", shown(&["explain", "W15"], ""));
    insta::assert_snapshot!("explain-none", shown(&["explain", "everything"], ""));
}

#[test]
fn schema_prints_what_is_committed() {
    for (what, committed) in [
        ("site", include_str!("../../roles/schema/site.json")),
        ("node", include_str!("../../roles/schema/node.json")),
    ] {
        assert_eq!(
            run(&["schema", what], ""),
            (0, committed.to_owned(), String::new())
        );
    }
    insta::assert_snapshot!("schema-unknown", shown(&["schema", "sight"], ""));
}
