//! Real builds: need root (or subordinate ids), the network once, and minutes. Run by `cargo prove`, or
//! `cargo test --release -p image --test builds -- --ignored`.
//!
//! Each begins with what is in `RACKWRIGHT_CACHE` and takes entries away from a copy of it (hard links, beside it); without
//! that variable they begin with nothing and are slow.

#![expect(clippy::unwrap_used, reason = "a panic in a test is the report")]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use camino::{Utf8Path, Utf8PathBuf};

/// One at a time: a build keeps all processors busy.
static TURN: Mutex<()> = Mutex::new(());

struct Place {
    folder: tempfile::TempDir,
    cache: Utf8PathBuf,
}

fn place() -> Place {
    let Ok(given) = std::env::var("RACKWRIGHT_CACHE") else {
        let folder = tempfile::tempdir().unwrap();
        let cache = Utf8PathBuf::from_path_buf(folder.path().join("cache")).unwrap();
        return Place { folder, cache };
    };
    // On the same file system, or hard links could not be made.
    let folder = tempfile::tempdir_in(&given).unwrap();
    let cache = Utf8PathBuf::from_path_buf(folder.path().join("cache")).unwrap();
    fs_err::create_dir(&cache).unwrap();
    let entries = Utf8Path::new(&given).join("v1");
    if entries.exists() {
        let mut copy = Command::new("cp");
        copy.args(["--archive", "--link", entries.as_str(), cache.as_str()]);
        succeeds(copy);
    }
    Place { folder, cache }
}

impl Place {
    fn out(&self, name: &str) -> Utf8PathBuf {
        Utf8PathBuf::from_path_buf(self.folder.path().join(name)).unwrap()
    }

    /// `rackwright build control`, started by the words of `prefix`.
    fn build(&self, prefix: &[&str], out: &Utf8Path, extra: &[&str]) -> Command {
        let words: Vec<&str> = prefix
            .iter()
            .copied()
            .chain([
                env!("CARGO_BIN_EXE_rackwright"),
                "build",
                "control",
                "--json",
                "--out",
                out.as_str(),
                "--cache",
            ])
            .chain([self.cache.as_str()])
            .chain(extra.iter().copied())
            .collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        command
    }

    /// Takes finished layers away, so that the next build makes them again.
    fn forget(&self, stages: &[&str]) {
        for entry in self.cache.join("v1/entries").read_dir_utf8().unwrap() {
            let path = entry.unwrap().into_path();
            let name = path.file_name().unwrap();
            if stages
                .iter()
                .any(|stage| name.starts_with(&format!("{stage}-")))
            {
                fs_err::remove_dir_all(&path).unwrap();
            }
        }
    }
}

fn succeeds(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn sums(out: &Utf8Path) -> String {
    let folder = out.join("control").join(env!("CARGO_PKG_VERSION"));
    let mut inspect = Command::new(env!("CARGO_BIN_EXE_rackwright"));
    inspect.args(["inspect", "--verify", folder.as_str()]);
    succeeds(inspect);
    fs_err::read_to_string(folder.join("SHA256SUMS")).unwrap()
}

#[test]
#[ignore = "minutes, root, network"]
fn a_second_build_needs_no_network_and_gives_the_same_bytes() {
    let _turn = TURN.lock();
    let place = place();
    let (first, second) = (place.out("first"), place.out("second"));
    succeeds(place.build(&[], &first, &[]));
    place.forget(&["role", "modules", "root", "initrd"]);
    // A network namespace of its own has no network at all.
    let events = succeeds(place.build(&["unshare", "--net"], &second, &["--offline"]));
    assert!(
        events.contains("\"event\":\"finished\",\"title\":\"control: root\""),
        "{events}"
    );
    assert_eq!(sums(&first), sums(&second));
}

#[test]
#[ignore = "minutes, root, network"]
fn without_the_network_and_without_packages_the_error_says_what_to_do() {
    let _turn = TURN.lock();
    let place = place();
    succeeds(place.build(&[], &place.out("first"), &[]));
    let snapshot = place.out("snapshot");
    let extra = ["--snapshot-dir", snapshot.as_str()];
    let output = place
        .build(&["unshare", "--net"], &place.out("second"), &extra)
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(
        message.contains("error: cannot fetch the package index"),
        "{message}"
    );
    assert!(
        message.contains("hint: is the mirror reachable?"),
        "{message}"
    );
    assert!(!place.out("second").join("control").exists());
}

#[test]
#[ignore = "minutes, root, network"]
fn a_killed_builder_leaves_nothing_that_is_used() {
    let _turn = TURN.lock();
    let place = place();
    let (first, second) = (place.out("first"), place.out("second"));
    succeeds(place.build(&[], &first, &[]));
    for stage in [
        "control: packages",
        "control: root",
        "initrd",
        "control: medium",
    ] {
        place.forget(&["role", "root", "initrd"]);
        let mut child = place
            .build(&[], &second, &[])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let started = format!("\"event\":\"started\",\"title\":\"{stage}\"");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(
            lines.any(|line| line.unwrap().contains(&started)),
            "{stage} never started"
        );
        std::thread::sleep(std::time::Duration::from_millis(500));
        // SIGKILL: nothing in the builder gets to clean up.
        child.kill().unwrap();
        child.wait().unwrap();
        // The pipe ends when the last process of the build is gone.
        for _ in lines {}
        assert!(
            !second
                .join("control")
                .join(env!("CARGO_PKG_VERSION"))
                .exists(),
            "{stage}"
        );
    }
    succeeds(place.build(&[], &second, &[]));
    assert_eq!(sums(&first), sums(&second));
    let rests = fs_err::read_dir(place.cache.join("v1/tmp"))
        .unwrap()
        .count();
    assert_eq!(rests, 0, "a finished build leaves nothing under tmp/");
}
