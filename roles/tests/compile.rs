//! Site file -> node files and secrets: what may never happen, for every setup and for sites that nobody wrote.

#![expect(clippy::unwrap_used, reason = "a panic in a test is the report")]

mod wired;

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8Path;
use proptest::prelude::*;
use roles::{
    RoleSet,
    compile::{Compiled, SecretError, Seed, compile, planned_vips},
    site::{
        self, Site,
        model::{BondMode, Link, LinkPort, Setup, SiteNode},
    },
};

fn shipped() -> RoleSet {
    roles::folder::read(Utf8Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn seed() -> Seed {
    Seed::new([7; 32])
}

fn first_site(setup: Setup, users: u64) -> Site {
    let (site, found) = site::check("site.toml", &site::init(setup, users, "mail"), None);
    assert!(!found.has_errors(), "{}", found.render(false));
    site.unwrap()
}

/// A site with any number of machines of each role, their addresses by number.
fn grown(counts: &[(&str, u32)]) -> Site {
    let mut site = first_site(Setup::Cluster, 60_000);
    let models: BTreeMap<String, SiteNode> = site
        .nodes
        .iter()
        .rev()
        .map(|node| (node.role.clone(), node.clone()))
        .collect();
    site.nodes.clear();
    let mut number = 0;
    for (role, count) in counts {
        for index in 0..*count {
            let mut node = models[*role].clone();
            number += 1;
            node.name = format!("{role}-{index}");
            let address =
                |network: u32| format!("10.{network}.{}.{}", number / 250, number % 250 + 1);
            node.addresses = (100..)
                .zip(models[*role].addresses.keys())
                .map(|(network, name): (u32, _)| (name.clone(), address(network)))
                .collect();
            if let Some(bmc) = &mut node.bmc {
                bmc.address = address(99);
                bmc.mac = Some(format!(
                    "0c:c4:7b:00:{:02x}:{:02x}",
                    number / 256,
                    number % 256
                ));
            }
            node.serial = Some(format!("SN{number}"));
            site.nodes.push(node);
        }
    }
    for network in &mut site.networks {
        network.subnet = "10.0.0.0/8".to_owned();
        network.gateway = None;
    }
    site.vips.iter_mut().for_each(|vip| vip.candidates.clear());
    site.galera.bootstrap = None;
    site.galera.writers.clear();
    site.storage.source = None;
    site.storage.sinks.clear();
    wired::wire(&mut site);
    site
}

fn texts(site: &Site, roles: &RoleSet) -> BTreeMap<String, String> {
    let compiled = compile(site, &seed(), Some(roles), None);
    let texts = compiled.texts().unwrap();
    texts
        .into_iter()
        .map(|(name, text)| (name.to_owned(), text))
        .collect()
}

/// Every setup's first site compiles to node files without a complaint, whose templates render.
#[test]
fn every_setup_compiles_and_renders() {
    let roles = shipped();
    for (setup, users) in [
        (Setup::Standard, 1000),
        (Setup::Standard, 25_000),
        (Setup::Failover, 5000),
        (Setup::Ha, 25_000),
        (Setup::Cluster, 60_000),
    ] {
        let bare = first_site(setup, users);
        let mut site = bare.clone();
        wired::wire(&mut site);
        for site in [bare, site] {
            let compiled = compile(&site, &seed(), Some(&roles), Some("first"));
            for (name, text) in compiled.texts().unwrap() {
                let node = roles::parse::node_file(name, &text, Some(&roles))
                    .unwrap_or_else(|wrong| panic!("{}", wrong.render(false)));
                assert_eq!(Some(&node), compiled.node_file(name).as_ref());
                let facts = roles::render::BootFacts {
                    mode: roles::render::BootMode::Run,
                    role: node.role.clone(),
                    version: "0.1.0".to_owned(),
                    slot: Some("a".to_owned()),
                    machine_id: None,
                    mounts: Vec::new(),
                    multipath: Vec::new(),
                    ports: Default::default(),
                    accounts: None,
                };
                roles::render::files(&roles, &roles.roles[&node.role], Some(&node), &facts)
                    .unwrap();
            }
        }
    }
}

#[test]
fn node_files_of_a_cluster() {
    let roles = shipped();
    let mut site = first_site(Setup::Ha, 25_000);
    wired::wire(&mut site);
    let compiled = compile(&site, &seed(), Some(&roles), Some("install-1"));
    for role in ["lb", "production", "galera", "storage"] {
        let name = site.nodes_of(role)[0].name.clone();
        insta::assert_snapshot!(
            format!("node_{role}"),
            compiled.texts().unwrap()[name.as_str()]
        );
    }
}

/// Everything that a program could print or write in clear, as one text.
fn everything_shown(compiled: &Compiled, seed: &Seed) -> String {
    let mut shown: String = compiled.texts().unwrap().into_values().collect();
    shown.push_str(&format!("{compiled:?} {seed:?}"));
    for secrets in compiled.secrets.values() {
        shown.push_str(&format!("{secrets:?}"));
        for (_, secret) in secrets.iter() {
            shown.push_str(&format!("{secret:?}"));
        }
    }
    shown.push_str(&SecretError::Closed.to_string());
    shown
}

#[test]
fn no_secret_is_shown_or_stands_in_a_node_file() {
    let site = first_site(Setup::Cluster, 60_000);
    let seed = seed();
    let compiled = compile(&site, &seed, Some(&shipped()), None);
    let shown = everything_shown(&compiled, &seed);
    let mut count = 0;
    for (name, secrets) in &compiled.secrets {
        let sealed = seed.seal(name, secrets);
        for (purpose, secret) in secrets.iter() {
            count += 1;
            assert!(secret.expose().len() >= 16, "{purpose}");
            assert!(
                !shown.contains(secret.expose()),
                "{purpose} of {name} is shown"
            );
            assert!(
                !sealed.contains(secret.expose()),
                "{purpose} of {name} is not sealed"
            );
            let digits: String = secret
                .expose()
                .bytes()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            assert!(
                !sealed.contains(&digits),
                "{purpose} of {name} is not sealed"
            );
        }
    }
    assert!(count > 20);
    assert!(!shown.contains(&"07".repeat(8)), "the seed is shown");
}

#[test]
fn sealed_files_open_with_their_seed_alone() {
    let site = first_site(Setup::Ha, 1000);
    let seed = seed();
    let compiled = compile(&site, &seed, None, None);
    let (name, secrets) = compiled.secrets.first_key_value().unwrap();
    let sealed = seed.seal(name, secrets);
    assert_eq!(
        sealed,
        seed.seal(name, secrets),
        "the same secrets, the same bytes"
    );
    let opened = seed.open(&sealed).unwrap();
    assert_eq!(opened.len(), secrets.iter().count());
    for (purpose, secret) in secrets.iter() {
        assert_eq!(opened[purpose].expose(), secret.expose());
    }
    assert_eq!(Seed::new([8; 32]).open(&sealed), Err(SecretError::Closed));
    // For another machine: the name is part of what is proved.
    let other = sealed.replacen(name.as_str(), "somebody", 1);
    assert_eq!(seed.open(&other), Err(SecretError::Closed));
    let last = if sealed.trim_end().ends_with('0') {
        '1'
    } else {
        '0'
    };
    let changed = format!("{}{last}\n", &sealed[..sealed.len() - 2]);
    assert_eq!(seed.open(&changed), Err(SecretError::Closed));
    for text in [
        "",
        "rackwright-sealed 1 st1",
        "rackwright-sealed 1 st1\n00",
        "rackwright-sealed 1 st1\nzz",
        "x\n",
    ] {
        assert_eq!(seed.open(text), Err(SecretError::Form), "{text:?}");
    }
}

#[test]
fn seed_files() {
    let text = seed().text();
    assert_eq!(*Seed::parse(&text).unwrap().text(), *text);
    for wrong in [
        "",
        "rackwright-seed 1",
        "rackwright-seed 1\n00",
        "rackwright-seed 2\n",
        &"0".repeat(64),
    ] {
        assert_eq!(
            Seed::parse(wrong).err(),
            Some(SecretError::Seed),
            "{wrong:?}"
        );
    }
    // Known answers: a change of the derivation would lock every running cluster out of its boards.
    assert_eq!(seed().bmc_password("st1").expose(), KNOWN_PASSWORD);
    assert_ne!(seed().bmc_password("st2").expose(), KNOWN_PASSWORD);
}

const KNOWN_PASSWORD: &str = "48zghs3pug7zhen7";

#[test]
fn a_permit_names_the_machine_and_its_board() {
    let mut site = first_site(Setup::Ha, 1000);
    site.nodes[0].serial = Some("ZM15AS000001".to_owned());
    let name = site.nodes[0].name.clone();
    let permit = |id| {
        compile(&site, &seed(), None, id)
            .node_file(&name)
            .unwrap()
            .permit
    };
    let given = permit(Some("today")).unwrap();
    assert_eq!(given.id, format!("today-{name}"));
    assert_eq!(given.board_serial.as_deref(), Some("ZM15AS000001"));
    assert_eq!(permit(None), None);
}

/// Ports and bonds: names, legs, and what is tagged.
#[test]
fn links_become_ports_bonds_and_networks() {
    let mut site = first_site(Setup::Ha, 25_000);
    let node = site
        .nodes
        .iter_mut()
        .find(|node| node.role == "storage")
        .unwrap();
    let port = |mac: &str| LinkPort {
        mac: Some(mac.to_owned()),
        ..LinkPort::default()
    };
    let link = |bond: Option<&str>, networks: &[&str], ports: Vec<LinkPort>| Link {
        bond: bond.map(ToOwned::to_owned),
        mode: bond.map(|_| BondMode::ActiveBackup),
        networks: networks.iter().map(|name| (*name).to_owned()).collect(),
        mtu: None,
        ports,
    };
    node.links = vec![
        link(None, &["mgmt"], vec![port("0C:C4:7A:00:00:01")]),
        link(
            Some("bond0"),
            &["storage"],
            vec![port("0c:c4:7a:00:00:02"), port("0c:c4:7a:00:00:03")],
        ),
    ];
    let name = node.name.clone();
    let file = compile(&site, &seed(), None, None)
        .node_file(&name)
        .unwrap();
    let names: Vec<&str> = file.ports.iter().map(|port| port.name.as_str()).collect();
    assert_eq!(names, ["mgmt0", "bond0a", "bond0b"]);
    assert_eq!(file.ports[0].mac.as_deref(), Some("0c:c4:7a:00:00:01"));
    assert_eq!(
        file.bonds[0].lacp_rate, None,
        "LACP means nothing to active-backup"
    );
    let on: Vec<_> = file
        .networks
        .iter()
        .map(|network| (network.on.as_deref(), network.vlan))
        .collect();
    assert_eq!(on, [(Some("mgmt0"), None), (Some("bond0"), None)]);
    assert_eq!(
        file.networks
            .iter()
            .filter(|network| network.gateway.is_some())
            .count(),
        1
    );
}

fn any_counts() -> impl Strategy<Value = Vec<(&'static str, u32)>> {
    (0..3u32, 0..3u32, 0..4u32, 1..6u32, 0..3u32, 0..2u32).prop_map(
        |(control, lb, production, galera, storage, backup)| {
            vec![
                ("control", control),
                ("lb", lb),
                ("production", production),
                ("galera", galera),
                ("storage", storage),
                ("backup", backup),
            ]
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_same_site_gives_the_same_bytes(counts in any_counts()) {
        let roles = shipped();
        let site = grown(&counts);
        prop_assert_eq!(texts(&site, &roles), texts(&site.clone(), &roles));
        let again = compile(&site, &seed(), None, None);
        for (name, secrets) in &compile(&site, &seed(), None, None).secrets {
            prop_assert_eq!(seed().seal(name, secrets), seed().seal(name, &again.secrets[name]));
        }
    }

    #[test]
    fn nothing_is_shared_that_must_not_be(counts in any_counts()) {
        let site = grown(&counts);
        let compiled = compile(&site, &seed(), Some(&shipped()), None);
        let (mut addresses, mut macs, mut domains, mut mail) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for name in compiled.names() {
            let node = compiled.node_file(name).unwrap();
            for address in node.networks.iter().flat_map(|network| &network.addresses) {
                prop_assert!(addresses.insert(address.clone()), "{} twice", address);
            }
            for mac in node.ports.iter().filter_map(|port| port.mac.clone()) {
                prop_assert!(macs.insert(mac.clone()), "{} twice", mac);
            }
            if let Some(domain) = node.settings.get("gtid_domain_id") {
                prop_assert!(domains.insert(domain.to_string()));
            }
            if let Some(id) = node.settings.get("mail_id") {
                prop_assert!(mail.insert(id.to_string()));
            }
        }
        let mut ids = BTreeSet::new();
        for vip in planned_vips(&site) {
            prop_assert!(vip.virtual_router_id > 0);
            prop_assert!(ids.insert((vip.vip.network.clone(), vip.virtual_router_id)));
        }
    }

    /// A renamed machine is the same machine: every file differs in its name and in nothing else.
    #[test]
    fn renaming_changes_only_what_names_it(counts in any_counts(), pick in any::<prop::sample::Index>()) {
        let roles = shipped();
        let site = grown(&counts);
        let mut renamed = site.clone();
        let index = pick.index(site.nodes.len());
        let old = site.nodes[index].name.clone();
        renamed.nodes[index].name = "xyzzy".to_owned();
        let expected: BTreeMap<String, String> = texts(&site, &roles)
            .into_iter()
            .map(|(name, text)| {
                let name = if name == old { "xyzzy".to_owned() } else { name };
                (name, text.replace(&format!("\"{old}\""), "\"xyzzy\""))
            })
            .collect();
        prop_assert_eq!(texts(&renamed, &roles), expected);
    }

    /// A machine more changes no other's numbers.
    #[test]
    fn adding_changes_no_number(counts in any_counts()) {
        let roles = shipped();
        let before = grown(&counts);
        let mut after = before.clone();
        // Of each role one more, with addresses that no other has.
        let mut more = counts.clone();
        more.iter_mut().for_each(|(_, count)| *count += 1);
        for (number, mut node) in (0..).zip(grown(&more).nodes) {
            let number: u32 = number;
            node.name = format!("new-{number}");
            node.addresses.values_mut().for_each(|address| *address = format!("10.200.7.{number}"));
            after.nodes.push(node);
        }
        let ids = |site: &Site| planned_vips(site).iter().map(|vip| vip.virtual_router_id).collect::<Vec<_>>();
        prop_assert_eq!(ids(&before), ids(&after));
        let (old, new) = (compile(&before, &seed(), Some(&roles), None), compile(&after, &seed(), Some(&roles), None));
        for name in old.names() {
            let (old, new) = (old.node_file(name).unwrap(), new.node_file(name).unwrap());
            for key in ["server_id", "gtid_domain_id", "segment", "fsid"] {
                prop_assert_eq!(old.settings.get(key), new.settings.get(key));
            }
            prop_assert_eq!(old.networks, new.networks);
            prop_assert_eq!(old.ports, new.ports);
        }
    }
}

/// What this thread used: other work on the machine must not decide a test. First field of proc_pid_schedstat, nanoseconds.
fn on_processor() -> std::time::Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    std::time::Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

/// Prints how long a thousand machines take; the bound holds with optimisation only:
/// `cargo test --release -p roles --test compile thousand -- --nocapture`.
#[test]
fn a_thousand_machines() {
    let site = grown(&[
        ("control", 2),
        ("lb", 2),
        ("production", 988),
        ("galera", 3),
        ("storage", 2),
        ("backup", 3),
    ]);
    let text = toml::to_string(&site).unwrap();
    let roles = shipped();
    let start = on_processor();
    let (parsed, _) = site::check("site.toml", &text, Some(&roles));
    let checked = on_processor() - start;
    let compiled = compile(&parsed.unwrap(), &seed(), Some(&roles), None);
    let texts = compiled.texts().unwrap();
    let all = on_processor() - start;
    assert_eq!(texts.len(), 1000);
    let shown = format!(
        "check {checked:?}, compile and write as text {:?}",
        all.checked_sub(checked).unwrap()
    );
    assert!(cfg!(debug_assertions) || all.as_secs_f64() < 1.0, "{shown}");
    std::io::Write::write_all(&mut std::io::stdout(), format!("{shown}\n").as_bytes()).unwrap();
}

/// With control servers every other machine gets a token that they take, and the authority's secret stays with them; without,
/// every machine gets its identity, signed by the authority of the pin.
#[test]
fn every_machine_has_its_way_to_a_certificate() {
    for setup in Setup::ALL {
        let text = site::init(setup, 1000, "mail");
        let site = site::check("site.toml", &text, None).0.unwrap();
        let compiled = compile(&site, &seed(), None, Some("of today"));
        let authority = identity::Authority::new(seed().authority().expose()).unwrap();
        let controls = site.nodes_of("control");
        for node in &site.nodes {
            let name = &node.name;
            let file = compiled.node_file(name).unwrap();
            let said = file.authority.unwrap();
            assert_eq!(said.pin, authority.pin());
            assert_eq!(said.servers.len(), controls.len());
            let secrets = &compiled.secrets[name];
            let one = |purpose: &str| {
                let found = secrets.iter().find(|(name, _)| *name == purpose);
                found.map(|(_, secret)| secret.expose().to_owned())
            };
            assert_eq!(
                one("ca-key-seed").is_some(),
                node.role == "control",
                "{name}"
            );
            assert_eq!(one("identity-key").is_some(), controls.is_empty(), "{name}");
            let enrols = !controls.is_empty() && node.role != "control";
            assert_eq!(one("join-token").is_some(), enrols, "{name}");
            if let Some(token) = one("join-token") {
                let key = identity::TokenKey::new(seed().authority().expose());
                let token = identity::Token::parse(&token).unwrap();
                key.check(&token, name, &node.role, 0).unwrap();
            }
            if let Some(key) = one("identity-key") {
                // As it comes out of the sealed file: line feeds and all.
                let opened = seed().open(&seed().seal(name, secrets)).unwrap();
                let certificate = opened["identity-certificate"].expose();
                assert_eq!(opened["identity-key"].expose(), key);
                let read = identity::check_pair(certificate, &key).unwrap();
                assert_eq!((&read.name, &read.role), (name, &node.role));
                let issuer = opened["identity-authority"].expose();
                assert_eq!(identity::Certificate::parse(issuer).unwrap().pin, said.pin);
            }
        }
    }
}
