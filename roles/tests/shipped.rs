//! The roles of this repository: they parse, and every one renders in every mode.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read its files has failed"
)]

use camino::Utf8Path;
use roles::render::{BootFacts, BootMode, Content, DataMount};

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
        multipath: Vec::new(),
        ports: Default::default(),
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

/// The rules that let something in, without ICMP, DHCP answers and what was asked for from inside.
fn open_ports(set: &roles::RoleSet, role: &str, node: Option<&str>) -> Vec<String> {
    use roles::render::Content;
    let node = node.map(|text| roles::parse::node_file("n.toml", text, Some(set)).unwrap());
    let files = roles::render::files(
        set,
        &set.roles[role],
        node.as_ref(),
        &facts(BootMode::Run, role),
    )
    .unwrap();
    let file = files
        .iter()
        .find(|file| file.path == "/etc/nftables.conf")
        .unwrap();
    let Content::File { text, .. } = &file.content else {
        panic!("a link");
    };
    assert!(text.contains("hook input priority filter; policy drop;"));
    text.lines()
        .map(str::trim)
        .filter(|line| {
            line.contains("dport") && !line.contains("sport") || line.contains("l4proto 112")
        })
        .map(str::to_owned)
        .collect()
}

#[test]
fn only_listed_ports_are_open_and_only_on_their_networks() {
    let set = shipped();
    let head = "format = 1\nnode = \"n1\"\n";
    let mgmt = "[[networks]]\nname = \"mgmt\"\nmac = \"0c:c4:7a:00:00:01\"\naddresses = [\"10.0.0.2/24\"]\n";
    let public = "[[networks]]\nname = \"public\"\nmac = \"0c:c4:7a:00:00:02\"\naddresses = [\"192.0.2.2/24\"]\n";

    for role in set.roles.keys() {
        let only_ssh = ["tcp dport 22 accept comment \"ssh\""];
        assert_eq!(open_ports(&set, role, None), only_ssh, "{role}");
        let bare = format!("{head}role = \"{role}\"\n");
        assert_eq!(open_ports(&set, role, Some(&bare)), only_ssh, "{role}");
        let both = format!("{head}role = \"{role}\"\n{mgmt}{public}");
        let rules = open_ports(&set, role, Some(&both));
        assert!(
            rules.contains(&"iifname { \"mgmt0\" } tcp dport 22 accept comment \"ssh\"".to_owned())
        );
        // What the port table opens to anyone although nobody could defend it.
        for rule in rules.iter().filter(|rule| rule.contains("public0")) {
            for port in [22, 53, 161, 389, 636, 1080, 13, 3306, 4567, 9200, 2049] {
                assert!(!rule.contains(&format!("dport {port} ")), "{role}: {rule}");
            }
        }
    }
    // Without a management network the administrator comes in by what there is.
    let rules = open_ports(&set, "lb", Some(&format!("{head}role = \"lb\"\n{public}")));
    assert!(rules.contains(&"tcp dport 22 accept comment \"ssh\"".to_owned()));
    assert!(
        rules.contains(&"iifname { \"public0\" } tcp dport 25 accept comment \"SMTP\"".to_owned())
    );
    assert!(
        rules.contains(
            &"iifname { \"public0\" } meta l4proto 112 accept comment \"VRRP\"".to_owned()
        )
    );
}

#[test]
fn every_role_renders_with_networks_and_settings() {
    let set = shipped();
    for (name, folder) in &set.roles {
        let text = format!(
            "format = 1\nnode = \"n1\"\nrole = \"{name}\"\ndomain = \"mail.example\"\ndns = [\"10.0.0.53\"]\n\
             [[networks]]\nname = \"cluster\"\nmac = \"0c:c4:7a:00:00:01\"\naddresses = [\"10.0.0.2/24\"]\n\
             [[networks]]\nname = \"storage\"\nmac = \"0c:c4:7a:00:00:02\"\naddresses = [\"10.0.1.2/24\"]\n\
             [settings]\nrdma = true\narc_max = 1073741824\nvips = [{{ name = \"mail\", network = \"public\", address = \"192.0.2.9/24\", router_id = 51, \
             priority = 150, source = \"192.0.2.2\", peers = [\"192.0.2.3\"] }}]\n\
             databases = [{{ name = \"db1\", address = \"10.0.0.11\" }}, {{ name = \"db2\", address = \"10.0.0.12\" }}]\n"
        );
        let node = roles::parse::node_file("n1.toml", &text, Some(&set))
            .unwrap_or_else(|wrong| panic!("{}", wrong.render(false)));
        let files =
            roles::render::files(&set, folder, Some(&node), &facts(BootMode::Run, name)).unwrap();
        let own: Vec<_> = files
            .into_iter()
            .filter(|file| {
                folder
                    .role
                    .templates
                    .iter()
                    .any(|template| template.target == file.path)
            })
            .collect();
        assert_eq!(own.len(), folder.role.templates.len(), "{name}");
        insta::assert_snapshot!(format!("templates_{name}"), listing(&own));
    }
}

fn link_of<'a>(files: &'a [roles::render::RenderedFile], path: &str) -> Option<&'a str> {
    files.iter().find_map(|file| match &file.content {
        Content::Link { target } if file.path == path => Some(target.as_str()),
        _ => None,
    })
}

#[test]
fn multipath_runs_only_for_planned_disks_and_before_the_pool() {
    let roles = shipped();
    const UNIT: &str = "/etc/systemd/system/multipathd.service";
    const RULE: &str = "/etc/udev/rules.d/60-multipath.rules";
    let mut imports = 0;
    for (name, folder) in &roles.roles {
        for mode in [
            BootMode::Run,
            BootMode::Install,
            BootMode::Rescue,
            BootMode::Incomplete,
        ] {
            let mut facts = facts(mode, name);
            let without = roles::render::files(&roles, folder, None, &facts);
            facts.multipath = vec!["0x5000cca261280e68".to_owned()];
            let with = roles::render::files(&roles, folder, None, &facts);
            let (Ok(without), Ok(with)) = (without, with) else {
                continue;
            };
            let off = Some("/dev/null");
            assert_eq!(
                (link_of(&without, UNIT), link_of(&without, RULE)),
                (off, off),
                "{name} {mode:?}"
            );
            let run = mode == BootMode::Run;
            assert_eq!(
                link_of(&with, UNIT),
                (!run).then_some("/dev/null"),
                "{name} {mode:?}"
            );
            assert_eq!(
                link_of(&with, RULE),
                (!run).then_some("/dev/null"),
                "{name} {mode:?}"
            );
            let import = |files: &[roles::render::RenderedFile]| {
                files.iter().find_map(|file| match &file.content {
                    Content::File { text, .. }
                        if file.path.ends_with("/rackwright-import.service") =>
                    {
                        Some(text.clone())
                    }
                    _ => None,
                })
            };
            if let (Some(without), Some(with)) = (import(&without), import(&with)) {
                imports += 1;
                assert!(without.contains("\nExecStart=/usr/sbin/zpool import -N -d /dev/disk/by-id -o cachefile=none tank\n"), "{without}");
                assert!(!without.contains("/dev/mapper"));
                assert!(with.contains("\nAfter=systemd-udev-trigger.service systemd-modules-load.service multipathd.service\n"));
                assert!(with.contains("\nExecStartPre=-/usr/bin/udevadm wait --settle --timeout=30 /dev/mapper/35000cca261280e68-part1\nExecStart=/usr/sbin/zpool import -N -d /dev/mapper -d /dev/disk/by-id -o cachefile=none tank\n"), "{with}");
            }
        }
    }
    assert_eq!(imports, 2);
}

/// `count = 36` alone is a complete override, and the pool is imported all the same.
#[test]
fn a_pool_without_a_layout_of_its_own_is_imported() {
    let roles = shipped();
    let text = "format = 1\nnode = \"st1\"\nrole = \"storage\"\n[[disks]]\npurpose = \"data\"\ncount = 36\nselect = [{ rotational = true }]\n";
    let node: roles::NodeFile = toml::from_str(text).unwrap();
    let files = roles::render::files(
        &roles,
        &roles.roles["storage"],
        Some(&node),
        &facts(BootMode::Run, "storage"),
    )
    .unwrap();
    assert!(files.iter().any(|file| matches!(&file.content, Content::File { text, .. }
        if file.path.ends_with("/rackwright-import.service") && text.contains("cachefile=none tank\n"))));
}

/// What LVS takes is what the firewall opens to the public network, no port more or less.
#[test]
fn the_balancer_marks_exactly_the_public_ports() {
    let set = shipped();
    let lb = &set.roles["lb"];
    let template = &lb.templates["lvs.nft"];
    for protocol in ["tcp", "udp"] {
        let wanted: std::collections::BTreeSet<&str> = lb
            .role
            .ports
            .iter()
            .filter(|port| port.protocol == protocol && port.peers.is_empty())
            .filter(|port| port.from.iter().any(|from| from == "public"))
            .filter_map(|port| port.port.as_deref())
            .collect();
        let after = template
            .split_once(&format!("set {protocol}_ports"))
            .unwrap()
            .1;
        let elements = after.split_once("elements = {").unwrap().1;
        let elements = elements.split_once('}').unwrap().0;
        let found: std::collections::BTreeSet<&str> = elements.split(',').map(str::trim).collect();
        assert_eq!(found, wanted, "{protocol}");
    }
}
