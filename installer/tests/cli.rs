//! The program as its users see it: standard output, standard error and exit code.
#![expect(clippy::unwrap_used, reason = "a panic in a test is its report")]

use std::{path::Path, process::Command};

/// Exit code, standard output, standard error; folders by name only.
fn run(folder: &Path, arguments: &[&str]) -> String {
    let roles = concat!(env!("CARGO_MANIFEST_DIR"), "/../roles");
    let arguments = arguments.iter().map(|word| word.replace("ROLES", roles));
    let output = Command::new(env!("CARGO_BIN_EXE_rackwright-installer"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("RUST_LOG")
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(roles, "ROLES");
    format!(
        "exit code {}\n--- stdout\n{}--- stderr\n{}",
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr)
    )
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "good.toml",
        "format = 1\nnode = \"ctl1\"\nrole = \"control\"\n",
    );
    write(
        "typo.toml",
        "format = 1\nnode = \"ctl1\"\nrole = \"control\"\npermitt = 1\n",
    );
    write("root.squashfs", "image");
    folder
}

#[test]
fn a_wrong_node_file_is_shown_with_its_line() {
    let folder = folder();
    let shown = run(
        folder.path(),
        &[
            "plan",
            "--node",
            "typo.toml",
            "--roles",
            "ROLES",
            "--root-image",
            "root.squashfs",
        ],
    );
    insta::assert_snapshot!(shown);
}

#[test]
fn a_machine_without_disks_has_no_plan() {
    let folder = folder();
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    let inventory = run(folder.path(), &["inventory", "--root", "empty", "--json"]);
    let json = inventory
        .split("--- stdout\n")
        .nth(1)
        .unwrap()
        .split("--- stderr")
        .next()
        .unwrap();
    std::fs::write(folder.path().join("inventory.json"), json).unwrap();
    let shown = run(
        folder.path(),
        &[
            "plan",
            "--node",
            "good.toml",
            "--inventory",
            "inventory.json",
            "--roles",
            "ROLES",
            "--root-image",
            "root.squashfs",
        ],
    );
    insta::assert_snapshot!(shown);
}

#[test]
fn nothing_is_installed_outside_of_the_live_system() {
    let folder = folder();
    insta::assert_snapshot!(run(
        folder.path(),
        &["apply", "--node", "good.toml", "--roles", "ROLES"]
    ));
}

/// Standard output of a run that must succeed.
fn output(folder: &Path, arguments: &[&str]) -> String {
    let shown = run(folder, arguments);
    let shown = shown
        .strip_prefix("exit code 0\n--- stdout\n")
        .unwrap_or_else(|| panic!("{shown}"));
    shown.split("--- stderr\n").next().unwrap().to_owned()
}

fn machine(folder: &Path, name: &str) {
    let root = camino::Utf8Path::from_path(folder).unwrap().join(name);
    std::fs::create_dir(&root).unwrap();
    let machine = firmware::fixture::Machine::named(name).unwrap();
    machine.write(&root).unwrap();
}

#[test]
fn a_capture_shows_the_machine_it_was_taken_of() {
    let folder = folder();
    let folder = folder.path();
    for name in ["control", "storage"] {
        machine(folder, name);
        let file = format!("{name}.tar.zst");
        let look = |words: &[&str]| {
            let mut arguments = vec!["inventory"];
            arguments.extend(words);
            output(folder, &arguments)
        };
        let text = look(&["--root", name, "--capture", &file]);
        assert_eq!(text, look(&["--root", name]), "{name}");
        assert_eq!(text, look(&["--from", &file]), "{name}");
        let json = look(&["--root", name, "--json"]);
        assert_eq!(json, look(&["--from", &file, "--json"]), "{name}");
        let judged = look(&["--from", &file, "--role", name, "--json"]);
        let judged: serde_json::Value = serde_json::from_str(&judged).unwrap();
        let plain: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(judged["inventory"], plain, "{name}");
        assert!(judged["findings"].as_array().unwrap().len() > 5, "{name}");
    }
    insta::assert_snapshot!(output(
        folder,
        &[
            "inventory",
            "--from",
            "control.tar.zst",
            "--role",
            "storage"
        ]
    ));
    let json = output(
        folder,
        &["inventory", "--from", "control.tar.zst", "--json"],
    );
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let serial = json["disks"][0]["serial"].as_str().unwrap();
    let capture = [
        "inventory",
        "--root",
        "control",
        "--without-serials",
        "--capture",
        "x.tar.zst",
    ];
    output(folder, &capture);
    assert!(!output(folder, &["inventory", "--from", "x.tar.zst", "--json"]).contains(serial));
}

#[test]
fn a_plan_of_a_capture_tells_findings_and_draws_the_chassis() {
    let folder = folder();
    let folder = folder.path();
    machine(folder, "control");
    output(
        folder,
        &["inventory", "--root", "control", "--capture", "c.tar.zst"],
    );
    let mut arguments = vec![
        "plan",
        "--node",
        "good.toml",
        "--inventory",
        "c.tar.zst",
        "--roles",
        "ROLES",
        "--root-image",
        "root.squashfs",
        "--svg",
        "chassis.svg",
    ];
    let text = output(folder, &arguments);
    assert!(
        text.starts_with("10 of 10 checks against the reference hardware passed\n\n"),
        "{text}"
    );
    let drawing = std::fs::read_to_string(folder.join("chassis.svg")).unwrap();
    assert!(
        drawing.starts_with("<svg") && drawing.trim_end().ends_with("</svg>"),
        "{drawing}"
    );
    arguments.push("--json");
    let json: serde_json::Value = serde_json::from_str(&output(folder, &arguments)).unwrap();
    assert_eq!(json["findings"][0]["weight"], "pass");
    assert_eq!(json["plan"]["node"], "ctl1");
}

#[test]
fn nothing_is_repaired_outside_of_our_systems() {
    let folder = folder();
    insta::assert_snapshot!(run(
        folder.path(),
        &["repair", "--dry-run", "--roles", "ROLES"]
    ));
}

#[test]
fn an_unknown_command() {
    insta::assert_snapshot!(run(folder().path(), &["instal"]));
}

#[test]
fn completions_and_manual_pages() {
    let folder = folder();
    let shown = run(folder.path(), &["generate", "out"]);
    assert!(shown.starts_with("exit code 0\n"), "{shown}");
    for name in [
        "rackwright-installer.bash",
        "rackwright-installer.1",
        "rackwright-installer-plan.1",
    ] {
        assert!(folder.path().join("out").join(name).exists(), "{name}");
    }
}
