//! One path or dm-multipath: by plan, never both, never for the disks of the system.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::collections::BTreeSet;

use firmware::inventory::{Disk, Inventory};
use plan::{Action, Plan, PlanError, make};
use proptest::prelude::*;
use roles::role::Purpose;
use roles::selector::Transport;
use support::{HE8, ROLES, image, machine, node, role, seed};

fn plan(name: &str, word: Option<&str>, inventory: &Inventory) -> Plan {
    let mut node = node(name);
    node.storage.multipath = word.map(Into::into);
    make(&role(name), &node, inventory, &image(), &seed()).unwrap()
}

fn chosen(plan: &Plan) -> Vec<String> {
    let state = plan.steps.iter().find_map(|step| match &step.action {
        Action::WriteState { multipath, .. } => Some(multipath.clone()),
        _ => None,
    });
    state.unwrap()
}

fn notes(plan: &Plan) -> Vec<&str> {
    plan.notes
        .iter()
        .filter(|note| note.starts_with("multipath: "))
        .map(String::as_str)
        .collect()
}

/// Steps without what says how the running system reaches its disks.
fn layout(plan: &Plan) -> Vec<plan::Step> {
    let mut steps = plan.steps.clone();
    for step in &mut steps {
        if let Action::WriteState { multipath, .. } = &mut step.action {
            multipath.clear();
        }
    }
    steps
}

/// The same machine with one cable to each disk.
fn one_path(mut inventory: Inventory) -> Inventory {
    for disk in &mut inventory.disks {
        disk.paths.truncate(1);
    }
    inventory
}

#[test]
fn what_the_word_does() {
    let dual = machine("storage");
    let single = one_path(dual.clone());
    let count = |word, inventory: &Inventory| chosen(&plan("storage", word, inventory)).len();
    // 16 data disks and 2 log disks are SAS; the cache disks are SATA.
    for (word, on_dual, on_single) in [
        (None, 18, 0),
        (Some("auto"), 18, 0),
        (Some("single"), 0, 0),
        (Some("dm"), 18, 18),
    ] {
        assert_eq!(count(word, &dual), on_dual, "{word:?}");
        assert_eq!(count(word, &single), on_single, "{word:?}");
    }
    // One disk with a second path is enough for `auto`, and takes its neighbours with it: their cable may come back.
    let mut mixed = single.clone();
    let other = dual
        .disks
        .iter()
        .find(|disk| disk.size == HE8.size)
        .unwrap();
    mixed
        .disks
        .iter_mut()
        .find(|disk| disk.id == other.id)
        .unwrap()
        .paths = other.paths.clone();
    assert_eq!(count(None, &mixed), 18);
    let text = [
        plan("storage", None, &dual),
        plan("storage", Some("single"), &dual),
        plan("storage", Some("dm"), &single),
        plan("storage", None, &single),
        plan("galera", None, &machine("galera")),
        plan("galera", Some("dm"), &machine("galera")),
        plan("lb", None, &machine("lb")),
    ]
    .iter()
    .map(|plan| notes(plan).join("\n"))
    .collect::<Vec<_>>()
    .join("\n--\n");
    insta::assert_snapshot!(text);
}

#[test]
fn a_word_nobody_knows() {
    let mut node = node("storage");
    node.storage.multipath = Some("both".into());
    let error = make(
        &role("storage"),
        &node,
        &machine("storage"),
        &image(),
        &seed(),
    )
    .unwrap_err();
    assert!(matches!(error, PlanError::Multipath { .. }));
    assert_eq!(
        error.to_string(),
        "`both` is not a value of `multipath`\nhint: write `auto`, `single` or `dm`"
    );
}

#[test]
fn all_paths_in_use_turn_an_interruption_into_survival() {
    let dual = machine("storage");
    let dm = plan("storage", Some("dm"), &dual);
    let single = plan("storage", Some("single"), &dual);
    let line = |plan: &Plan, words: &str| {
        let found = plan.notes.iter().find(|note| note.starts_with(words));
        found.cloned().unwrap_or_default()
    };
    let part = "HBA 0000:02:00.0";
    assert!(line(&single, "data: may stop at the failure").contains(part));
    assert!(!line(&single, "data: survives the failure").contains(part));
    assert_eq!(line(&dm, "data: may stop at the failure"), "");
    assert!(line(&dm, "data: survives the failure").contains(part));
    // The only enclosure of all members is no matter of paths.
    assert_eq!(line(&dm, "data: stops"), line(&single, "data: stops"));
}

#[test]
fn sata_behind_an_interposer_is_named_and_left_on_one_path() {
    let mut inventory = machine("storage");
    let cache: &mut Disk = inventory
        .disks
        .iter_mut()
        .find(|disk| disk.transport == Transport::Sata)
        .unwrap();
    let mut second = cache.paths[0].clone();
    second.kernel_name.push('x');
    cache.paths.push(second);
    let wwn = cache.wwn.clone().unwrap();
    let plan = plan("storage", None, &inventory);
    assert!(!chosen(&plan).contains(&wwn));
    assert!(
        notes(&plan)
            .iter()
            .any(|note| note.contains("is SATA and has 2 paths")),
        "{:#?}",
        notes(&plan)
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Second paths change how the running system reaches the disks, and no disk's place; dm is chosen if and only if the rule
    /// says so; disks of the system, and disks outside the plan, are never in the list.
    #[test]
    fn paths_move_no_disk(
        name in prop::sample::select(&ROLES[..]),
        word in prop::sample::select(&[None, Some("auto"), Some("single"), Some("dm")][..]),
        lost in prop::collection::vec(any::<bool>(), 64),
    ) {
        let dual = machine(name);
        let mut cut = dual.clone();
        for (disk, lost) in cut.disks.iter_mut().zip(&lost) {
            if *lost {
                disk.paths.truncate(1);
            }
        }
        let (whole, plan) = (plan(name, Some("single"), &cut), plan(name, word, &cut));
        prop_assert_eq!(layout(&whole), layout(&plan));
        prop_assert_eq!(whole.destroys(), plan.destroys());
        let disk = |id| cut.disks.iter().find(|disk| disk.id == id).unwrap();
        let able: Vec<&Disk> = plan.disks.iter()
            .filter(|planned| planned.purpose != Purpose::Os)
            .map(|planned| disk(planned.id.clone()))
            .filter(|disk| !matches!(disk.transport, Transport::Sata | Transport::Nvme | Transport::Usb))
            .collect();
        let wanted = match word {
            Some("single") => false,
            Some("dm") => true,
            _ => able.iter().any(|disk| disk.paths.len() > 1),
        };
        let expected: BTreeSet<String> = able.iter().filter(|_| wanted).filter_map(|disk| disk.wwn.clone()).collect();
        let list = chosen(&plan);
        prop_assert_eq!(list.iter().cloned().collect::<BTreeSet<_>>(), expected);
        prop_assert!(list.is_sorted());
        for planned in plan.disks.iter().filter(|planned| planned.purpose == Purpose::Os) {
            prop_assert!(!list.iter().any(|wwn| Some(wwn) == planned.wwn.as_ref()));
        }
    }
}
