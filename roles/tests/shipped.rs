//! The roles of this repository: they parse, and every one renders in every mode.

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
