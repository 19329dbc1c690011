//! The roles of this repository: they parse, and every one renders in every mode.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read its files has failed"
)]

use camino::Utf8Path;
use roles::render::{BootFacts, BootMode, DataMount};

fn shipped() -> roles::RoleSet {
    match roles::folder::read(Utf8Path::new(env!("CARGO_MANIFEST_DIR"))) {
        Ok(set) => set,
        Err(roles::folder::FolderError::Invalid(wrong)) => {
            let text: String = wrong.iter().map(|wrong| wrong.render(false)).collect();
            panic!("{text}");
        }
        Err(error) => panic!("{error}"),
    }
}

fn facts(mode: BootMode, role: &str) -> BootFacts {
    BootFacts {
        mode,
        role: role.to_owned(),
        version: "0.1.0".to_owned(),
        slot: (mode == BootMode::Run).then(|| "a".to_owned()),
        machine_id: Some("0123456789abcdef0123456789abcdef".to_owned()),
        mounts: vec![DataMount {
            path: "/var/lib/mysql".to_owned(),
            uuid: "6f1c7f0e-0d0f-4a1c-9d0a-2f6b2f3b9a11".to_owned(),
            kind: "xfs".to_owned(),
        }],
        accounts: None,
    }
}

#[test]
fn the_eight_roles_are_there() {
    let names: Vec<String> = shipped().roles.into_keys().collect();
    assert_eq!(
        names,
        [
            "backup",
            "control",
            "database",
            "galera",
            "lb",
            "production",
            "standalone",
            "storage"
        ]
    );
}

#[test]
fn every_role_renders_in_every_mode() {
    let set = shipped();
    for (name, folder) in &set.roles {
        for mode in [
            BootMode::Install,
            BootMode::Rescue,
            BootMode::Run,
            BootMode::Incomplete,
        ] {
            let files = roles::render::files(&set, folder, None, &facts(mode, name)).unwrap();
            assert!(files.len() > 20, "{name} {mode:?}");
        }
    }
}

/// Everything rendered, as one text.
fn listing(files: &[roles::render::RenderedFile]) -> String {
    use roles::render::Content;
    let mut text = String::new();
    for file in files {
        match &file.content {
            Content::Link { target } => text.push_str(&format!("==== {} -> {target}\n", file.path)),
            Content::File { text: body, mode } => {
                text.push_str(&format!("==== {} {mode:04o}\n{body}", file.path));
                if !body.ends_with('\n') && !body.is_empty() {
                    text.push_str("(no line end)\n");
                }
            }
        }
    }
    text
}

fn node(file: &str, set: &roles::RoleSet) -> roles::NodeFile {
    let path = Utf8Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/valid")
        .join(file);
    let text = std::fs::read_to_string(path).unwrap();
    roles::parse::node_file(file, &text, Some(set)).unwrap()
}

#[test]
fn galera_running() {
    let set = shipped();
    let mut facts = facts(BootMode::Run, "galera");
    facts.accounts = Some(roles::render::Accounts {
        passwd: "root:x:0:0:root:/root:/bin/bash\n".to_owned(),
        shadow: "root:*:20000:0:99999:7:::\n".to_owned(),
        group: "root:x:0:\nadm:x:4:\nsudo:x:27:someone\n".to_owned(),
    });
    let files = roles::render::files(
        &set,
        &set.roles["galera"],
        Some(&node("full.toml", &set)),
        &facts,
    )
    .unwrap();
    insta::assert_snapshot!(listing(&files));
}

#[test]
fn control_installing_without_a_node_file() {
    let set = shipped();
    let files = roles::render::files(
        &set,
        &set.roles["control"],
        None,
        &facts(BootMode::Install, "control"),
    )
    .unwrap();
    insta::assert_snapshot!(listing(&files));
}

/// In the live modes and after an interrupted install no service of a role may start.
#[test]
fn only_a_running_machine_starts_role_services() {
    use roles::render::Content;
    let set = shipped();
    for (name, folder) in &set.roles {
        for mode in [BootMode::Install, BootMode::Rescue, BootMode::Incomplete] {
            let files = roles::render::files(&set, folder, None, &facts(mode, name)).unwrap();
            let services = &folder.role.services;
            for unit in services.start.iter().chain(&services.masked) {
                let path = format!("/etc/systemd/system/{unit}");
                let masked = files.iter().any(|file| {
                    file.path == path && matches!(&file.content, Content::Link { target } if target == "/dev/null")
                });
                assert!(masked, "{name} {mode:?}: {unit} could start");
            }
            assert!(
                !files
                    .iter()
                    .any(|file| file.path.contains("multi-user.target.wants")),
                "{name} {mode:?}"
            );
        }
    }
}

/// No disk can belong to two groups of a role by size and kind alone: what the groups of one role ask for never overlaps.
#[test]
fn disk_groups_of_a_role_do_not_overlap() {
    let gigabyte = 1_000_000_000_u64;
    for (name, folder) in shipped().roles {
        let disks = &folder.role.disks;
        for (index, a) in disks.iter().enumerate() {
            for b in &disks[index + 1..] {
                for rotational in [true, false] {
                    for transport in ["sata", "sas", "nvme", "virtio"] {
                        for size in (0..20_000).step_by(10).map(|size| size * gigabyte) {
                            let claims = |need: &roles::role::DiskNeed| {
                                need.select.iter().any(|selector| {
                                    let transports =
                                        toml::Value::try_from(&selector.transport).unwrap();
                                    let transports = transports.as_array().unwrap().clone();
                                    selector
                                        .rotational
                                        .is_none_or(|wanted| wanted == rotational)
                                        && (transports.is_empty()
                                            || transports
                                                .iter()
                                                .any(|t| t.as_str() == Some(transport)))
                                        && selector
                                            .size_range()
                                            .unwrap()
                                            .is_none_or(|range| range.contains(size))
                                })
                            };
                            assert!(
                                !(claims(a) && claims(b)),
                                "{name}: {:?} and {:?} both want a {transport} disk of {} GB, rotational {rotational}",
                                a.purpose,
                                b.purpose,
                                size / gigabyte
                            );
                        }
                    }
                }
            }
        }
    }
}
