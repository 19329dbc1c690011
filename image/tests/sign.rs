//! Signatures of images, by our program and by Debian's `minisign`. Without that program the test fails and says how to get it.

#![expect(clippy::unwrap_used, reason = "a panic in a test is the report")]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use camino::Utf8Path;
use image::manifest::Manifest;
use program::shown;

mod program;

fn image(folder: &Path, version: &str) {
    let place = folder.join(version);
    std::fs::create_dir(&place).unwrap();
    std::fs::write(place.join("vmlinuz"), "kernel").unwrap();
    let manifest = Manifest {
        format: 1,
        role: "lb".into(),
        version: version.into(),
        source: None,
        kernel: "6.12".into(),
        epoch: 0,
        key: String::new(),
        files: BTreeMap::new(),
        packages: Vec::new(),
        payloads: Vec::new(),
    };
    manifest.seal(Utf8Path::from_path(&place).unwrap()).unwrap();
}

fn minisign(folder: &Path, words: &[&str]) -> bool {
    let status = Command::new("minisign")
        .args(words)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status
        .unwrap_or_else(|error| {
            panic!("cannot start `minisign`: {error}\nhint: `apt-get install minisign`")
        })
        .success()
}

#[test]
fn signed_and_checked_by_either_program() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    image(here, "1");
    image(here, "2");
    let rackwright = |words: &[&str]| shown(here, words, "");
    insta::assert_snapshot!("keygen", rackwright(&["keygen", "key"]));
    let mode = here.join("key").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    insta::assert_snapshot!("keygen-again", rackwright(&["keygen", "key"]));
    insta::assert_snapshot!(
        "verify-unsigned",
        rackwright(&["verify", "1", "--key", "key.pub"])
    );
    insta::assert_snapshot!("verify-sums", rackwright(&["verify", "1"]));
    insta::assert_snapshot!("sign", rackwright(&["sign", "1", "--key", "key"]));
    insta::assert_snapshot!("verify", rackwright(&["verify", "1", "--key", "key.pub"]));
    assert!(minisign(
        here,
        &["-V", "-p", "key.pub", "-m", "1/manifest.json"]
    ));

    // Theirs by ours.
    assert!(minisign(
        here,
        &["-G", "-W", "-p", "their.pub", "-s", "their.key"]
    ));
    assert!(minisign(
        here,
        &[
            "-S",
            "-s",
            "their.key",
            "-m",
            "1/manifest.json",
            "-t",
            "lb 1"
        ]
    ));
    assert!(rackwright(&["verify", "1", "--key", "their.pub"]).starts_with("exit code 0\n"));
    // The ids of the keys differ each time.
    let other = rackwright(&["verify", "1", "--key", "key.pub"]);
    let expected = "error: the signature `1/manifest.json.minisig` is not good: Signature key id: ";
    assert!(
        other.starts_with(
            "exit code 1
"
        ) && other.contains(expected),
        "{other}"
    );
    assert!(rackwright(&["sign", "1", "--key", "their.key"]).starts_with("exit code 0\n"));
    assert!(minisign(
        here,
        &["-V", "-p", "their.pub", "-m", "1/manifest.json"]
    ));

    // One changed byte of a file, of the manifest, and a manifest of another image.
    std::fs::write(here.join("1/vmlinuz"), "kernem").unwrap();
    insta::assert_snapshot!(
        "verify-changed-file",
        rackwright(&["verify", "1", "--key", "their.pub"])
    );
    let manifest = here.join("1/manifest.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace("6.12", "6.13")).unwrap();
    insta::assert_snapshot!(
        "verify-changed-manifest",
        rackwright(&["verify", "1", "--key", "their.pub"])
    );
    assert!(!minisign(
        here,
        &["-V", "-p", "their.pub", "-m", "1/manifest.json"]
    ));
    assert!(minisign(
        here,
        &[
            "-S",
            "-s",
            "their.key",
            "-m",
            "2/manifest.json",
            "-t",
            "lb 1"
        ]
    ));
    insta::assert_snapshot!(
        "verify-other-image",
        rackwright(&["verify", "2", "--key", "their.pub"])
    );

    std::fs::set_permissions(here.join("key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    insta::assert_snapshot!("sign-open-key", rackwright(&["sign", "2", "--key", "key"]));
    insta::assert_snapshot!(
        "sign-no-key",
        rackwright(&["sign", "2", "--key", "their.pub"])
    );
}

#[test]
fn help_fits_a_terminal() {
    for command in ["keygen", "sign", "verify"] {
        let help = shown(Path::new("."), &[command, "--help"], "");
        insta::assert_snapshot!(format!("help-{command}"), help);
        assert!(
            help.lines().all(|line| line.chars().count() <= 80),
            "{help}"
        );
    }
}
