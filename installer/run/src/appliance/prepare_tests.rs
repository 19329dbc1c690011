//! `/etc` of machines in a temporary folder.

use camino::Utf8PathBuf;

use super::*;

const BOOT: &str = r#"{"mode":"MODE","medium":null,"root_device":"/dev/md127p1","root":{"role":"lb","version":"0.1.0","size":1,"sha256":"0","kernel":"6.12"},"array":null,"slot":"a","node_file":null,"warnings":[]}"#;
const NODE: &str = "format = 1\nnode = \"lb1\"\nrole = \"lb\"\n\n[access]\nuser = \"ops\"\nssh_keys = [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl a@b\"]\n\n[[networks]]\nname = \"mgmt\"\ndhcp = true\n";

struct Machine {
    _folder: tempfile::TempDir,
    tree: Tree,
}

impl Machine {
    /// An image with the project's own role data.
    fn new(mode: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tree = Tree::new(Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap());
        let data = Utf8PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../roles"));
        std::fs::create_dir_all(tree.real(ROLES).parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(data.canonicalize_utf8().unwrap(), tree.real(ROLES)).unwrap();
        let machine = Self {
            _folder: folder,
            tree,
        };
        machine.put(boot_facts::PATH, &BOOT.replace("MODE", mode));
        machine.put("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n");
        machine.put("/etc/shadow", "root:*:20000:0:99999:7:::\n");
        machine.put("/etc/group", "root:x:0:\nadm:x:4:\n");
        machine
    }

    fn installed(state: &str) -> Self {
        let machine = Self::new("run");
        machine.put("/state/install.json", &format!(r#"{{"state": "{state}"}}"#));
        machine.put("/state/node.toml", NODE);
        machine.put("/state/machine-id", "0123456789abcdef0123456789abcdef\n");
        machine.put("/state/hostid", "0a0b0c0d\n");
        machine
    }

    fn put(&self, path: &str, text: &str) {
        self.tree.put_file(path, text.as_bytes(), 0o644).unwrap();
    }

    fn get(&self, path: &str) -> String {
        self.tree
            .read(path)
            .unwrap()
            .unwrap_or_else(|| panic!("{path} is missing"))
    }

    fn target(&self) -> String {
        let link = self.tree.real("/etc/systemd/system/default.target");
        link.read_link_utf8()
            .unwrap()
            .file_name()
            .unwrap()
            .to_owned()
    }
}

#[test]
fn an_installed_machine() {
    let machine = Machine::installed("unproven");
    machine.put("/state/etc/motd", "own\n");
    let prepared = prepare(&machine.tree, None);
    assert_eq!(prepared.incomplete, None);
    assert_eq!(prepared.target, "multi-user.target");
    assert_eq!(machine.target(), "multi-user.target");
    assert_eq!(machine.get("/etc/hostname"), "lb1\n");
    assert!(machine.get("/etc/passwd").contains("\nops:x:1000:1000:"));
    assert!(machine.get("/etc/shadow").contains("\nops:!:"));
    assert!(machine.get("/etc/shadow").starts_with("root:*:"));
    assert_eq!(
        std::fs::read(machine.tree.real("/etc/hostid")).unwrap(),
        [0x0d, 0x0c, 0x0b, 0x0a]
    );
    assert_eq!(
        machine.get("/etc/machine-id"),
        "0123456789abcdef0123456789abcdef\n"
    );
    assert_eq!(machine.get("/etc/motd"), "own\n");
    assert_eq!(machine.get(OWN_FILES), r#"["/etc/motd"]"#);
}

#[test]
fn rendering_twice_changes_nothing() {
    let machine = Machine::installed("installed");
    prepare(&machine.tree, None);
    let first = machine.get("/etc/passwd");
    prepare(&machine.tree, None);
    assert_eq!(machine.get("/etc/passwd"), first);
}

#[test]
fn what_keeps_a_machine_from_starting_its_role() {
    let spoil: [(&str, &str, Option<&str>, &str); 6] = [
        (
            "incomplete",
            "",
            None,
            "the install of this machine did not finish",
        ),
        (
            "of the future",
            "",
            None,
            "`/state/install.json` holds a state that this version does not know",
        ),
        (
            "installed",
            "/state/install.json",
            Some("{"),
            "`/state/install.json` is damaged: EOF while parsing an object at line 1 column 1",
        ),
        (
            "installed",
            "/state/install.json",
            None,
            "there is no `/state/install.json`: the install did not finish",
        ),
        (
            "installed",
            "/state/node.toml",
            None,
            "there is no node file `/state/node.toml`",
        ),
        (
            "installed",
            "/state/node.toml",
            Some("format = 1\nnode = \"x\"\nrole = \"storage\"\n"),
            "the node file is for the role `storage`, this image is for `lb`",
        ),
    ];
    for (state, path, content, expected) in spoil {
        let machine = Machine::installed(state);
        match content {
            Some(text) => machine.put(path, text),
            None if !path.is_empty() => std::fs::remove_file(machine.tree.real(path)).unwrap(),
            None => {}
        }
        let prepared = prepare(&machine.tree, None);
        assert_eq!(prepared.incomplete.as_deref(), Some(expected));
        assert_eq!(machine.target(), "rackwright-incomplete.target");
        assert_eq!(machine.get(incomplete::REASON), expected);
    }
}

#[test]
fn a_wrong_node_file_is_shown_with_its_place() {
    let machine = Machine::installed("installed");
    machine.put(
        "/state/node.toml",
        "format = 1\nnode = \"lb1\"\nrole = \"lb\"\nrolle = 1\n",
    );
    let reason = prepare(&machine.tree, None).incomplete.unwrap();
    assert!(reason.contains("/state/node.toml:4:1: "), "{reason}");
}

#[test]
fn an_image_that_cannot_be_rendered_still_boots_and_says_why() {
    for spoil in [ROLES, boot_facts::PATH, "/etc/passwd"] {
        let machine = Machine::installed("installed");
        std::fs::remove_file(machine.tree.real(spoil)).unwrap();
        let prepared = prepare(&machine.tree, None);
        assert_eq!(prepared.target, "rackwright-incomplete.target");
        let reason = machine.get(incomplete::REASON);
        assert!(
            reason.starts_with("this machine's /etc could not be rendered:\n"),
            "{reason}"
        );
        assert_eq!(machine.target(), "rackwright-incomplete.target");
        assert!(
            machine
                .get("/etc/systemd/system/rackwright-incomplete.service")
                .contains("ExecStart=")
        );
    }
}

#[test]
fn the_live_system() {
    for (mode, target) in [
        ("install", "rackwright-install.target"),
        ("rescue", "rackwright-rescue.target"),
    ] {
        let machine = Machine::new(mode);
        let node = NodeText {
            name: "/dev/sda3:node.toml".into(),
            text: NODE.into(),
        };
        let prepared = prepare(&machine.tree, Some(node));
        assert_eq!(
            (prepared.target.as_str(), prepared.warnings.len()),
            (target, 0),
            "{prepared:?}"
        );
        assert_eq!(machine.target(), target);
        let wrong = NodeText {
            name: "/dev/sda3:node.toml".into(),
            text: "format = 1\nx = 1\n".into(),
        };
        let prepared = prepare(&machine.tree, Some(wrong));
        assert_eq!(prepared.target, target);
        assert!(
            prepared.warnings[0].contains("/dev/sda3:node.toml:2:1"),
            "{prepared:?}"
        );
    }
}

/// The port is known by its place until the install has recorded its MAC address.
#[test]
fn ports_are_named_by_what_the_install_recorded() {
    let machine = Machine::installed("installed");
    let node = "format = 1\nnode = \"n1\"\nrole = \"lb\"\n[[ports]]\nname = \"mgmt0\"\npath = \"0000:03:00.0\"\n\
                [[networks]]\nname = \"mgmt\"\non = \"mgmt0\"\naddresses = [\"192.0.2.10/24\"]\n";
    machine.put("/state/node.toml", node);
    let link = "/etc/systemd/network/10-mgmt0.link";
    prepare(&machine.tree, None);
    assert!(
        machine
            .get(link)
            .contains("Property=RACKWRIGHT_PORT=mgmt0\n")
    );

    machine.put("/state/ports.json", r#"{"mgmt0": "0c:c4:7a:00:00:01"}"#);
    prepare(&machine.tree, None);
    assert!(
        machine
            .get(link)
            .contains("PermanentMACAddress=0c:c4:7a:00:00:01\n")
    );

    machine.put("/state/ports.json", "[]");
    let reason = prepare(&machine.tree, None).incomplete.unwrap();
    assert!(
        reason.contains("`/state/ports.json` is damaged"),
        "{reason}"
    );
}

#[test]
fn planned_disks_are_used_through_all_paths() {
    let unit = "/etc/systemd/system/multipathd.service";
    let machine = Machine::installed("installed");
    prepare(&machine.tree, None);
    assert!(machine.tree.real(unit).is_symlink());

    let machine = Machine::installed("installed");
    machine.put(MULTIPATH, r#"["0x5000cca261280e68"]"#);
    prepare(&machine.tree, None);
    assert!(!machine.tree.real(unit).is_symlink());
    assert!(
        machine
            .get("/etc/multipath.conf")
            .contains("wwid \"^35000cca261280e68$\"")
    );

    machine.put(MULTIPATH, "[");
    let reason = prepare(&machine.tree, None).incomplete.unwrap();
    assert!(
        reason.contains("`/state/multipath.json` is damaged"),
        "{reason}"
    );
}
