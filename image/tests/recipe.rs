//! A layer is made again exactly when something it depends on changed.

#![expect(clippy::unwrap_used, reason = "a panic in a test is the report")]

use image::cache::Key;
use image::payload::{ByRole, Payload, PayloadEntry, Source};
use image::recipe::{Identity, Lock, Package, Programs, RoleLayers, Shared, Tools, requests};
use roles::folder::RoleSet;
use roles::site::model::PayloadKind;

/// Everything that keys are made from.
#[derive(Clone)]
struct World {
    set: RoleSet,
    lock: Lock,
    tools: Key,
    programs: Programs,
    identity: Identity,
    payloads: Vec<Payload>,
}

fn package(name: &str, digest: &str) -> Package {
    Package {
        name: name.to_owned(),
        version: "1".to_owned(),
        architecture: "amd64".to_owned(),
        file: format!("{name}_1_amd64.deb"),
        size: 1,
        sha256: digest.to_owned(),
    }
}

fn world() -> World {
    let folder = camino::Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../roles");
    let set = roles::folder::read(&folder).unwrap();
    let sets = [
        ("base", vec![package("bash", "01")]),
        (
            "kernel",
            vec![
                package("linux-image-6.12.1-amd64", "02"),
                package("linux-image-amd64", "03"),
            ],
        ),
        ("loaders", vec![package("ipxe", "08")]),
        (
            "zfs",
            vec![package("zfs-dkms", "04"), package("gcc-14", "05")],
        ),
        (
            "role:control",
            vec![package("bash", "01"), package("dnsmasq", "06")],
        ),
        (
            "role:storage",
            vec![package("bash", "01"), package("zfsutils-linux", "07")],
        ),
    ];
    World {
        set,
        lock: Lock {
            epoch: 1,
            sets: sets
                .into_iter()
                .map(|(name, list)| (name.to_owned(), list))
                .collect(),
        },
        tools: Tools::new(&[]).key(),
        programs: Programs {
            installer: "i".to_owned(),
            init: "n".to_owned(),
        },
        identity: Identity {
            version: "0.1.0".to_owned(),
            source: None,
            node_file: None,
            carried: None,
        },
        payloads: Vec::new(),
    }
}

/// Every key by a short name.
fn keys(world: &World) -> Vec<(String, Key)> {
    let World {
        set,
        lock,
        tools,
        programs,
        identity,
        payloads,
    } = world;
    let shared = Shared::new(set, lock, tools, programs);
    let mut keys: Vec<(String, Key)> = [
        ("base", &shared.base),
        ("kernel", &shared.kernel),
        ("zfs", &shared.zfs),
        ("initrd", &shared.initrd),
        ("loaders", &shared.loaders),
    ]
    .map(|(name, key)| (name.to_owned(), key.clone()))
    .into();
    for role in ["control", "storage"] {
        let layers =
            RoleLayers::new(set, role, lock, &shared, programs, identity, payloads).unwrap();
        for key in [layers.packages, layers.modules, layers.root, layers.image] {
            keys.push((format!("{role}.{}", key.stage), key));
        }
    }
    keys
}

fn changed(change: impl FnOnce(&mut World)) -> String {
    let before = world();
    let mut after = before.clone();
    change(&mut after);
    keys(&before)
        .into_iter()
        .zip(keys(&after))
        .filter(|(before, after)| before != after)
        .map(|(before, _)| before.0)
        .collect::<Vec<_>>()
        .join(" ")
}

fn set_digest(world: &mut World, set: &str, name: &str) {
    let packages = world.lock.sets.get_mut(set).unwrap();
    packages
        .iter_mut()
        .find(|package| package.name == name)
        .unwrap()
        .sha256 = "ff".to_owned();
}

#[test]
fn keys_change_exactly_when_their_inputs_do() {
    assert_eq!(changed(|_| {}), "");
    // A template: only the packing and what follows.
    assert_eq!(
        changed(|world| {
            world
                .set
                .roles
                .get_mut("control")
                .unwrap()
                .templates
                .insert("x".to_owned(), "y".to_owned());
        }),
        "control.root control.image"
    );
    assert_eq!(
        changed(|world| {
            world
                .set
                .common_templates
                .insert("x".to_owned(), "y".to_owned());
        }),
        "control.root control.image storage.root storage.image"
    );
    // The installer: not the initrd. The first process: not the root.
    assert_eq!(
        changed(|world| world.programs.installer.push('x')),
        "control.root control.image storage.root storage.image"
    );
    assert_eq!(
        changed(|world| world.programs.init.push('x')),
        "initrd control.image storage.image"
    );
    // Modules of the initrd alone.
    assert_eq!(
        changed(|world| world.set.common.initrd_load.push("x".to_owned())),
        "initrd control.root control.image storage.root storage.image"
    );
    assert_eq!(
        changed(|world| world.set.common.image_modules.push("x".to_owned())),
        "control.modules control.root control.image storage.modules storage.root storage.image"
    );
    // A package of one role.
    assert_eq!(
        changed(|world| set_digest(world, "role:control", "dnsmasq")),
        "control.role control.root control.image"
    );
    // ZFS is compiled again for another ZFS, not for another compiler, and only roles with ZFS follow.
    assert_eq!(
        changed(|world| set_digest(world, "zfs", "zfs-dkms")),
        "zfs storage.modules storage.root storage.image"
    );
    assert_eq!(changed(|world| set_digest(world, "zfs", "gcc-14")), "");
    // The kernel: everything but packages. The package that only points to the kernel: nothing.
    assert_eq!(
        changed(|world| set_digest(world, "kernel", "linux-image-6.12.1-amd64")),
        "kernel zfs initrd control.modules control.root control.image storage.modules storage.root storage.image"
    );
    assert_eq!(
        changed(|world| set_digest(world, "kernel", "linux-image-amd64")),
        ""
    );
    // A base package: everything that stands on the base.
    assert_eq!(
        changed(|world| set_digest(world, "base", "bash")),
        "base initrd control.role control.root control.image storage.role storage.root storage.image"
    );
    assert_eq!(
        changed(|world| world.identity.carried = Some("k".to_owned())),
        "control.image storage.image"
    );
    // A node file touches the medium only.
    assert_eq!(
        changed(|world| world.identity.node_file = Some("n".to_owned())),
        "control.image storage.image"
    );
}

fn payload(digest: &str, kind: PayloadKind) -> Payload {
    Payload {
        entry: PayloadEntry {
            name: "zrepl".to_owned(),
            kind,
            file: "zrepl".to_owned(),
            path: None,
            size: 1,
            sha256: digest.to_owned(),
            platform: None,
            root: None,
        },
        source: Source {
            file: "/p/zrepl".into(),
            sha256: digest.to_owned(),
        },
        root: None,
    }
}

#[test]
fn a_payload_changes_the_root_and_nothing_before_it() {
    let with = |digest: &str, place: &str| {
        let mut payload = payload(digest, PayloadKind::Binary);
        payload.source.file = place.into();
        let mut world = world();
        world.payloads.push(payload);
        keys(&world)
    };
    let differ = |before: Vec<(String, Key)>, after: Vec<(String, Key)>| {
        let both = before.into_iter().zip(after);
        let changed = both.filter(|(before, after)| before != after);
        changed.map(|(before, _)| before.0).collect::<Vec<_>>()
    };
    let roots = [
        "control.root",
        "control.image",
        "storage.root",
        "storage.image",
    ];
    assert_eq!(differ(keys(&world()), with("aa", "/p")), roots);
    assert_eq!(differ(with("aa", "/p"), with("bb", "/p")), roots);
    // Where it lies on the workstation does not matter.
    assert!(differ(with("aa", "/p"), with("aa", "/elsewhere")).is_empty());
    // What a Debian package depends on is resolved with the role's packages.
    let own = ByRole::from([("lb".to_owned(), vec![payload("cc", PayloadKind::Deb)])]);
    let wanted = ["lb", "control"].map(str::to_owned);
    let asked = requests(&world().set, &wanted, &own);
    let debs: Vec<(&str, usize)> = asked
        .iter()
        .map(|request| (request.name.as_str(), request.debs.len()))
        .filter(|(_, debs)| *debs > 0)
        .collect();
    assert_eq!(debs, [("role:lb", 1)]);
}

#[test]
fn only_roles_with_zfs_ask_for_a_compiler() {
    let set = world().set;
    let names = |roles: &[&str]| {
        let wanted: Vec<_> = roles.iter().map(|name| (*name).to_owned()).collect();
        requests(&set, &wanted, &ByRole::new())
            .into_iter()
            .map(|request| request.name)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(names(&["control"]), "base kernel loaders role:control");
    assert_eq!(
        names(&["lb", "storage"]),
        "base kernel loaders zfs role:lb role:storage"
    );
}

#[test]
fn a_ninth_role_needs_no_code() {
    let mut set = world().set;
    let mut ninth = set.roles["control"].clone();
    ninth.role.name = "ninth".to_owned();
    ninth.role.packages = vec!["nginx".to_owned()];
    set.roles.insert("ninth".to_owned(), ninth);
    let requests = requests(&set, &["ninth".to_owned()], &ByRole::new());
    assert_eq!(requests.last().unwrap().name, "role:ninth");
    assert_eq!(requests.last().unwrap().packages.last().unwrap(), "nginx");
}
