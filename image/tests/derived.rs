//! `compile`, `draw` and `network-config` from outside: what they print, write, leave alone and refuse.

#![expect(clippy::unwrap_used, reason = "a panic in a test is the report")]

use std::{os::unix::fs::PermissionsExt, path::Path};

use program::shown;
use roles::site::{self, model::Setup};

mod program;

fn first_site() -> String {
    site::init(Setup::Ha, 5000, "mail")
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn compile_writes_once_and_only_what_changed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("site.toml"), first_site()).unwrap();
    let arguments = ["compile", "site.toml", "-o", "nodes/"];
    insta::assert_snapshot!("compile", shown(folder.path(), &arguments, ""));
    assert_eq!(mode(&at("site.seed")), 0o600);
    assert_eq!(mode(&at("secrets")), 0o700);
    for entry in std::fs::read_dir(at("secrets")).unwrap() {
        let path = entry.unwrap().path();
        assert!(
            path.ends_with(".made-by-rackwright") || mode(&path) == 0o600,
            "{path:?}"
        );
    }
    insta::assert_snapshot!("compile-again", shown(folder.path(), &arguments, ""));

    // A machine less: its files go, a file of somebody else's stays.
    let text = first_site();
    let site = roles::parse::site_file("site.toml", &text, None).unwrap();
    let gone = &site.nodes[0].name;
    std::fs::write(at("nodes/by-hand.toml"), "mine").unwrap();
    std::fs::write(
        at("site.toml"),
        text.replace(&format!("\"{gone}\""), "\"renamed\""),
    )
    .unwrap();
    insta::assert_snapshot!("compile-renamed", shown(folder.path(), &arguments, ""));
    assert!(!at(&format!("nodes/{gone}.toml")).exists());
    assert!(at("nodes/renamed.toml").exists());
    assert_eq!(
        std::fs::read_to_string(at("nodes/by-hand.toml")).unwrap(),
        "mine"
    );
}

#[test]
fn compile_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let arguments = ["compile", "-"];
    let wrong = first_site().replace("users = 5000", "users = 5000\nsetpu = 1");
    let refused = shown(folder.path(), &arguments, &wrong);
    insta::assert_snapshot!("compile-wrong", refused);
    assert!(
        !at("nodes").exists() && !at("site.seed").exists(),
        "nothing is made of a wrong file"
    );

    std::fs::write(at("site.seed"), "short").unwrap();
    std::fs::set_permissions(at("site.seed"), std::fs::Permissions::from_mode(0o644)).unwrap();
    insta::assert_snapshot!(
        "compile-open-seed",
        shown(folder.path(), &arguments, &first_site())
    );
    std::fs::set_permissions(at("site.seed"), std::fs::Permissions::from_mode(0o600)).unwrap();
    insta::assert_snapshot!(
        "compile-bad-seed",
        shown(folder.path(), &arguments, &first_site())
    );
    std::fs::remove_file(at("site.seed")).unwrap();

    std::fs::create_dir(at("nodes")).unwrap();
    let site = roles::parse::site_file("site.toml", &first_site(), None).unwrap();
    let name = format!("nodes/{}.toml", site.nodes[0].name);
    std::fs::write(at(&name), "by hand").unwrap();
    insta::assert_snapshot!(
        "compile-foreign",
        shown(folder.path(), &arguments, &first_site())
    );
    assert_eq!(std::fs::read_to_string(at(&name)).unwrap(), "by hand");
    insta::assert_snapshot!(
        "compile-no-permit",
        shown(folder.path(), &["compile", "-", "--permit", " "], "")
    );
}

#[test]
fn draw_and_network_config() {
    let folder = tempfile::tempdir().unwrap();
    insta::assert_snapshot!(
        "draw",
        shown(folder.path(), &["draw", "-", "-o", "wall"], &first_site())
    );
    assert!(folder.path().join("wall/index.html").exists());
    insta::assert_snapshot!(
        "network-config",
        shown(folder.path(), &["network-config", "-"], &first_site())
    );
}

#[test]
fn help_fits_a_terminal() {
    for command in ["compile", "draw", "network-config"] {
        let help = shown(Path::new("."), &[command, "--help"], "");
        insta::assert_snapshot!(format!("help-{command}"), help);
        assert!(
            help.lines().all(|line| line.chars().count() <= 80),
            "{help}"
        );
    }
}
