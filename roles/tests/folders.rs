//! Reading role folders: a ninth role is a folder and nothing else, and a wrong folder says what is wrong.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read its files has failed"
)]

use camino::{Utf8Path, Utf8PathBuf};
use roles::render::{BootFacts, BootMode, Content};

/// A copy of `common/` and one role in a temporary folder.
fn folder(role: &str, text: &str, templates: &[(&str, &str)]) -> (tempfile::TempDir, Utf8PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    let dir = Utf8PathBuf::from_path_buf(temp.path().to_owned()).unwrap();
    let shipped = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("common");
    std::fs::create_dir_all(dir.join("common/templates")).unwrap();
    std::fs::copy(shipped.join("common.toml"), dir.join("common/common.toml")).unwrap();
    for entry in shipped.join("templates").read_dir_utf8().unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(
            entry.path(),
            dir.join("common/templates").join(entry.file_name()),
        )
        .unwrap();
    }
    // Folders without a role file are none of the reader's business.
    std::fs::create_dir_all(dir.join("src")).unwrap();
    std::fs::create_dir_all(dir.join(role).join("templates")).unwrap();
    std::fs::write(dir.join(role).join("role.toml"), text).unwrap();
    for (name, text) in templates {
        std::fs::write(dir.join(role).join("templates").join(name), text).unwrap();
    }
    (temp, dir)
}

const NINTH: &str = r#"
format = 1
name = "archive"
summary = "long-term archive"
packages = ["rsync"]
modules = ["loop"]

[services]
start = ["rsync.service"]

[[disks]]
purpose = "os"
count = 2
select = [{ size = "10 GB.." }]

[[ports]]
service = "rsync"
protocol = "tcp"
port = "873"
from = ["mgmt"]

[[templates]]
source = "rsyncd.conf"
target = "/etc/rsyncd.conf"
mode = "0600"

[settings]
path = "/srv/archive"
"#;

#[test]
fn a_ninth_role_needs_no_code() {
    let (_temp, dir) = folder(
        "archive",
        NINTH,
        &[("rsyncd.conf", "[archive]\npath = {{ settings.path }}\n")],
    );
    let set = roles::folder::read(&dir).unwrap();
    assert_eq!(set.roles.keys().collect::<Vec<_>>(), ["archive"]);
    let node = roles::parse::node_file(
        "a1.toml",
        "format = 1\nnode = \"a1\"\nrole = \"archive\"\n[settings]\npath = \"/srv/other\"\n",
        Some(&set),
    )
    .unwrap();
    let facts = BootFacts {
        mode: BootMode::Run,
        role: "archive".to_owned(),
        version: "0.1.0".to_owned(),
        slot: None,
        machine_id: None,
        mounts: Vec::new(),
        multipath: Vec::new(),
        ports: Default::default(),
        accounts: None,
    };
    let files = roles::render::files(&set, &set.roles["archive"], Some(&node), &facts).unwrap();
    let content = |path: &str| {
        files
            .iter()
            .find(|file| file.path == path)
            .map(|file| &file.content)
    };
    assert_eq!(
        content("/etc/rsyncd.conf"),
        Some(&Content::File {
            text: "[archive]\npath = /srv/other\n".to_owned(),
            mode: 0o600
        })
    );
    assert_eq!(
        content("/etc/systemd/system/multi-user.target.wants/rsync.service"),
        Some(&Content::Link {
            target: "/usr/lib/systemd/system/rsync.service".to_owned()
        })
    );
}

#[test]
fn a_template_that_wants_too_much_fails_with_its_line() {
    let (_temp, dir) = folder(
        "archive",
        NINTH,
        &[("rsyncd.conf", "[archive]\npath = {{ settings.pth }}\n")],
    );
    let set = roles::folder::read(&dir).unwrap();
    let facts = BootFacts {
        mode: BootMode::Run,
        role: "archive".to_owned(),
        version: "0.1.0".to_owned(),
        slot: None,
        machine_id: None,
        mounts: Vec::new(),
        multipath: Vec::new(),
        ports: Default::default(),
        accounts: None,
    };
    let error = roles::render::files(&set, &set.roles["archive"], None, &facts).unwrap_err();
    insta::assert_snapshot!(error, @"template `archive/templates/rsyncd.conf` failed at line 2: undefined value: `settings.pth` is undefined");
}

/// Every mistake in role files, with the exact messages.
#[test]
fn wrong_role_files() {
    let wrong = [
        ("unknown key", NINTH.replace("summary", "sumary")),
        ("unit name", NINTH.replace("rsync.service", "rsync")),
        ("port", NINTH.replace("\"873\"", "\"873-872\"")),
        ("protocol", NINTH.replace("\"tcp\"", "\"sctp\"")),
        ("no port", NINTH.replace("port = \"873\"", "")),
        (
            "template source",
            NINTH.replace("rsyncd.conf\"\ntarget", "rsync.conf\"\ntarget"),
        ),
        (
            "target outside",
            NINTH.replace("/etc/rsyncd.conf", "/usr/rsyncd.conf"),
        ),
        (
            "target climbs",
            NINTH.replace("/etc/rsyncd.conf", "/etc/../usr/rsyncd.conf"),
        ),
        (
            "target relative",
            NINTH.replace("/etc/rsyncd.conf", "etc/rsyncd.conf"),
        ),
        ("mode", NINTH.replace("0600", "rw-")),
        (
            "kernel",
            NINTH.replace("\"rsync\"]", "\"linux-image-amd64\"]"),
        ),
        ("package", NINTH.replace("\"rsync\"]", "\"rsync; true\"]")),
        ("module", NINTH.replace("\"loop\"]", "\"../loop\"]")),
        ("selector", NINTH.replace("10 GB..", "10 GB...")),
    ];
    let mut all = String::new();
    for (what, text) in wrong {
        let found = roles::parse::role("archive/role.toml", &text, &["rsyncd.conf"]).unwrap_err();
        all.push_str(&format!("{what}: {found}\n"));
        for item in found.items() {
            if let Some(hint) = item.hint.as_ref().or(item.label.as_ref()) {
                all.push_str(&format!("    {hint}\n"));
            }
        }
    }
    insta::assert_snapshot!(all);
}

#[test]
fn folders_that_are_wrong() {
    let (_temp, dir) = folder("other", NINTH, &[("rsyncd.conf", "")]);
    let error = roles::folder::read(&dir)
        .unwrap_err()
        .to_string()
        .replace(dir.as_str(), "DIR");
    assert_eq!(
        error,
        "`DIR/other/role.toml` names the role `archive`, but its folder is called `other`"
    );

    let error = roles::folder::read(&dir.join("src"))
        .unwrap_err()
        .to_string()
        .replace(dir.as_str(), "DIR");
    assert_eq!(error, "cannot read `DIR/src/common/common.toml`");

    std::fs::remove_file(dir.join("other/role.toml")).unwrap();
    let error = roles::folder::read(&dir)
        .unwrap_err()
        .to_string()
        .replace(dir.as_str(), "DIR");
    assert_eq!(error, "`DIR` holds no folder with a `role.toml`");
}
