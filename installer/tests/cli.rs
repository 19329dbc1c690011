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
