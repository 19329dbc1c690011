//! Sticks, written to files: `rackwright flash` and `rackwright media inspect` over a small medium that is laid out like ours.

#![expect(clippy::unwrap_used, reason = "a panic in a test is the report")]

mod program;

use std::io::Cursor;
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use image::initrd::{Carried, RootFile, second_part};
use image::manifest::Manifest;
use program::run;
use roles::site::{self, model::Setup};
use sha2::{Digest, Sha256};

const SECTOR: usize = 2048;
/// Start of the partition, and of the root image, in bytes.
const NODE: usize = 2 << 20;
const NODE_SIZE: usize = 8 << 20;
const ROOT: usize = NODE + NODE_SIZE;

/// An image folder whose medium has a GPT, a FAT partition and as much ISO file system as leads to its initrd.
fn image(folder: &Utf8Path, root_size: usize) -> Utf8PathBuf {
    let root: Vec<u8> = (0..root_size).map(|index| (index / 7) as u8).collect();
    let file = RootFile {
        role: "lb".into(),
        version: "0.1.0".into(),
        size: root.len() as u64,
        sha256: hex::encode(Sha256::digest(&root)),
        kernel: "6.12".into(),
    };
    let initrd = second_part(&file, &Carried::default(), &|_| Ok(String::new()), 0).unwrap();
    let mut medium = vec![0; ROOT + root_size + (1 << 20)];
    let mut put = |at: usize, bytes: &[u8]| medium[at..at + bytes.len()].copy_from_slice(bytes);
    put(512, b"EFI PART");
    put(512 + 72, &2_u64.to_le_bytes());
    put(512 + 80, &8_u32.to_le_bytes());
    put(512 + 84, &128_u32.to_le_bytes());
    for (index, (name, start, size)) in [
        ("RACKWRIGHT", NODE, NODE_SIZE),
        ("rackwright-root", ROOT, root_size),
    ]
    .into_iter()
    .enumerate()
    {
        let at = 1024 + index * 128;
        put(at + 32, &(start as u64 / 512).to_le_bytes());
        put(at + 40, &((start + size) as u64 / 512 - 1).to_le_bytes());
        let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        put(at + 56, &name);
    }
    // ECMA-119 8.4 and 9.1: root folder in sector 20, `RACKWRIG` in 21, its initrd in 22.
    put(16 * SECTOR, b"\x01CD001");
    put(16 * SECTOR + 156, &record(b"\0", 20, SECTOR));
    put(20 * SECTOR, &record(b"RACKWRIG", 21, SECTOR));
    put(21 * SECTOR, &record(b"INITRD.ZST;1", 22, initrd.len()));
    put(22 * SECTOR, &initrd);
    let mut fat = vec![0; NODE_SIZE];
    fatfs::format_volume(Cursor::new(&mut fat[..]), fatfs::FormatVolumeOptions::new()).unwrap();
    put(NODE, &fat);
    put(ROOT, &root);
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("rackwright-lb.iso"), medium).unwrap();
    let manifest = Manifest {
        format: 1,
        role: "lb".into(),
        version: "0.1.0".into(),
        source: None,
        kernel: "6.12".into(),
        epoch: 0,
        key: String::new(),
        files: std::collections::BTreeMap::new(),
        packages: Vec::new(),
        payloads: Vec::new(),
    };
    manifest.seal(folder).unwrap();
    folder.to_owned()
}

fn record(name: &[u8], sector: u32, size: usize) -> Vec<u8> {
    let mut record = vec![0; (33 + name.len()).next_multiple_of(2)];
    record[0] = record.len() as u8;
    record[2..6].copy_from_slice(&sector.to_le_bytes());
    record[10..14].copy_from_slice(&(size as u32).to_le_bytes());
    record[32] = name.len() as u8;
    record[33..33 + name.len()].copy_from_slice(name);
    record
}

struct Folder {
    folder: tempfile::TempDir,
    image: Utf8PathBuf,
}

impl Folder {
    fn new(root_size: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let image = image(
            &Utf8Path::from_path(folder.path()).unwrap().join("image"),
            root_size,
        );
        let new = Self { folder, image };
        std::fs::write(new.path("site.toml"), site::init(Setup::Ha, 5000, "mail")).unwrap();
        let (code, ..) = new.rackwright(&["compile", "site.toml"]);
        assert_eq!(code, 0);
        new
    }

    fn rackwright(&self, words: &[&str]) -> (i32, String, String) {
        run(self.folder.path(), words, "")
    }

    /// As text for a snapshot, without what differs from run to run.
    fn shown(&self, words: &[&str]) -> String {
        let text = program::shown(self.folder.path(), words, "");
        let text = text.replace(self.folder.path().to_str().unwrap(), "FOLDER");
        let seconds = |line: &str| line.split(" (").next().unwrap_or(line).to_owned();
        // The sum of a stick with sealed secrets and a new file system is another one each time.
        let is_sum =
            |word: &str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        let sums: Vec<String> = text
            .split_whitespace()
            .filter(|word| is_sum(word))
            .map(str::to_owned)
            .collect();
        let text = sums.iter().fold(text, |text, sum| text.replace(sum, "SUM"));
        text.lines().map(seconds).collect::<Vec<_>>().join("\n")
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8PathBuf::from_path_buf(self.folder.path().join(name)).unwrap()
    }
}

#[test]
fn a_stick_for_one_machine() {
    let folder = Folder::new(3 << 20);
    let words = [
        "flash", "stick", "--node", "lb1", "--image", "image", "--sealed", "--permit", "today",
    ];
    insta::assert_snapshot!("flash-one", folder.shown(&words));
    let (code, stdout, stderr) = folder.rackwright(&["media", "inspect", "stick", "--json"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let found: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(found["root"]["role"], "lb");
    assert_eq!(found["root_is_whole"], true);
    assert_eq!(found["sealed"], serde_json::json!(["lb1"]));
    assert_eq!(found["nodes"][0]["file"], "node.toml");
    assert_eq!(found["nodes"][0]["content"]["permit"]["id"], "today-lb1");
    // The same words again: it is there now.
    insta::assert_snapshot!("flash-again", folder.shown(&words));
    insta::assert_snapshot!(
        "flash-wrong-name",
        folder.shown(&["flash", "stick", "--image", "image", "--yes", "stik"])
    );
    let (code, ..) = folder.rackwright(&["flash", "stick", "--image", "image", "--yes", "stick"]);
    assert_eq!(code, 0);
    let (_, stdout, _) = folder.rackwright(&["media", "inspect", "stick"]);
    assert!(
        !stdout.contains("sealed") && !stdout.contains("node.toml"),
        "{stdout}"
    );
}

#[test]
fn a_stick_for_the_rack() {
    let folder = Folder::new(3 << 20);
    let (code, stdout, stderr) =
        folder.rackwright(&["flash", "stick", "--all", "--image", "image", "--sealed"]);
    assert_eq!(code, 0, "{stderr}");
    let (_, shown, _) = folder.rackwright(&["media", "inspect", "stick"]);
    assert!(
        stdout.contains("\nlb1.sealed\nlb2.sealed\nnodes/lb1.toml\nnodes/lb2.toml\n"),
        "{stdout}"
    );
    for name in ["lb1", "lb2"] {
        assert!(
            shown.contains(&format!("--- nodes/{name}.toml\n")),
            "{shown}"
        );
    }
    assert!(shown.contains("\nsealed      lb1, lb2\n"), "{shown}");
}

#[test]
fn what_is_no_stick_is_refused() {
    let folder = Folder::new(1 << 20);
    let cases = [
        (
            "flash-no-disk",
            vec!["flash", "/dev/sdzz", "--image", "image"],
        ),
        ("flash-null", vec!["flash", "/dev/null", "--image", "image"]),
        ("flash-folder", vec!["flash", "nodes", "--image", "image"]),
        ("flash-nothing", vec!["flash", "stick"]),
        (
            "flash-no-machine",
            vec!["flash", "stick", "--node", "lb9", "--image", "image"],
        ),
        (
            "flash-other-role",
            vec!["flash", "stick", "--node", "db1", "--image", "image"],
        ),
        (
            "flash-sealed-alone",
            vec!["flash", "stick", "--sealed", "--image", "image"],
        ),
        ("inspect-no-medium", vec!["media", "inspect", "site.toml"]),
    ];
    for (name, words) in cases {
        insta::assert_snapshot!(name, folder.shown(&words));
        assert!(!folder.path("stick").exists(), "{name}");
    }
}

/// The image is not what its manifest says: found while writing, and the stick says that it is incomplete.
#[test]
fn a_changed_image() {
    let folder = Folder::new(1 << 20);
    let iso = folder.image.join("rackwright-lb.iso");
    let mut bytes = std::fs::read(&iso).unwrap();
    bytes[ROOT + 77] ^= 1;
    std::fs::write(&iso, bytes).unwrap();
    let shown = folder.shown(&["flash", "stick", "--image", "image"]);
    assert!(
        shown.contains("but its manifest says") && shown.contains("`stick` is incomplete"),
        "{shown}"
    );
    insta::assert_snapshot!(
        "inspect-incomplete",
        folder.shown(&["media", "inspect", "stick"])
    );
}

/// A power cut, as far as a process can have one.
#[test]
fn a_killed_writer_leaves_a_stick_that_says_so() {
    let folder = Folder::new(96 << 20);
    let mut child = Command::new(env!("CARGO_BIN_EXE_rackwright"))
        .args(["flash", "stick", "--image", "image"])
        .current_dir(folder.folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let stick = folder.path("stick");
    let began = Instant::now();
    // Something behind the head is written: the root image has bytes that are not zero.
    let far = |path: &Utf8Path| {
        let mut bytes = [0; 64];
        let file = std::fs::File::open(path).ok();
        file.is_some_and(|file| file.read_exact_at(&mut bytes, (ROOT + 4096) as u64).is_ok())
            && bytes != [0; 64]
    };
    while !far(&stick) && began.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let (code, _, stderr) = folder.rackwright(&["media", "inspect", "stick"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("it was not written to its end"), "{stderr}");
}

#[test]
fn help_fits_a_terminal() {
    for (name, words) in [
        ("flash", vec!["flash"]),
        ("media-inspect", vec!["media", "inspect"]),
    ] {
        let words: Vec<&str> = words.into_iter().chain(["--help"]).collect();
        let help = program::shown(std::path::Path::new("."), &words, "");
        insta::assert_snapshot!(format!("help-{name}"), help);
        assert!(
            help.lines().all(|line| line.chars().count() <= 80),
            "{help}"
        );
    }
}
