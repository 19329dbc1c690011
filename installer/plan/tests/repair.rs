//! Repair plans: every role with a disk of each group changed, what is refused, and that a disk which is there is never
//! destroyed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::collections::BTreeSet;

use firmware::inventory::{Disk, DiskId, Holder, Inventory};
use plan::repair::RepairError;
use plan::{Action, Plan, StablePaths, explain, make, repair};
use proptest::prelude::*;
use support::{ROLES, image, machine, node, role, seed};

fn installed(name: &str) -> (Plan, Inventory) {
    let inventory = machine(name);
    let plan = make(&role(name), &node(name), &inventory, &image(), &seed()).unwrap();
    (plan, inventory)
}

fn repaired(name: &str, recorded: &Plan, inventory: &Inventory) -> Result<Plan, RepairError> {
    repair::make(recorded, &role(name), &node(name), inventory, &[])
}

/// The same model in the same place, with another name.
fn change(inventory: &mut Inventory, index: usize) -> DiskId {
    let disk = &mut inventory.disks[index];
    let wwn = format!("0x5000ccaff000{index:04x}");
    disk.id = DiskId(format!("wwn-{wwn}"));
    disk.wwn = Some(wwn);
    disk.serial = Some(format!("NEW{index}"));
    disk.id.clone()
}

fn index_of(inventory: &Inventory, id: &DiskId) -> usize {
    inventory
        .disks
        .iter()
        .position(|disk| disk.id == *id)
        .unwrap()
}

/// First disk of each group of the plan.
fn one_of_each_group(plan: &Plan) -> Vec<(String, DiskId)> {
    let mut seen = BTreeSet::new();
    let mut found: Vec<(String, DiskId)> = Vec::new();
    for disk in &plan.disks {
        if seen.insert(disk.group.clone()) {
            found.push((disk.group.clone(), disk.id.clone()));
        }
    }
    found
}

fn titles(plan: &Plan) -> String {
    let lines: Vec<String> = plan
        .steps
        .iter()
        .map(|step| {
            let disks: Vec<&str> = step.destroys.iter().map(|id| id.0.as_str()).collect();
            format!("{} [{}]", step.title, disks.join(" "))
        })
        .collect();
    lines.join("\n")
}

#[test]
fn a_disk_of_every_group_of_every_role() {
    let mut text = String::new();
    for name in ROLES {
        let (recorded, before) = installed(name);
        for (group, lost) in one_of_each_group(&recorded) {
            let mut inventory = before.clone();
            let index = index_of(&inventory, &lost);
            let new = change(&mut inventory, index);
            let plan = repaired(name, &recorded, &inventory)
                .unwrap_or_else(|error| panic!("{name} {group}: {error}"));
            assert_eq!(
                plan.destroys(),
                BTreeSet::from([new.clone()]),
                "{name} {group}"
            );
            text.push_str(&format!("== {name}, {group}\n{}\n", titles(&plan)));

            // The record is as if the machine had been installed so: nothing is missing, and the next loss is found.
            let Some(Action::FinishRepair { record, .. }) =
                plan.steps.last().map(|step| &step.action)
            else {
                panic!("{name} {group}: {plan:#?}");
            };
            assert!(!record.destroys().contains(&lost));
            assert!(record.destroys().contains(&new));
            assert_eq!(record.steps.len(), recorded.steps.len());
            let again = repaired(name, record, &inventory).unwrap();
            assert_eq!(again.steps, [], "{name} {group}");
            // Planned again after a restart it is the same plan.
            let mut later = inventory.clone();
            later.found.push(Holder {
                kind: "gpt".into(),
                disks: vec![new.clone()],
                ..Holder::default()
            });
            let replanned = repaired(name, &recorded, &later).unwrap();
            assert_eq!(replanned.digest(), plan.digest(), "{name} {group}");
        }
    }
    insta::assert_snapshot!(text);
}

/// What is derived from the recorded plan changes with anything in it.
fn without_identifiers(text: &str) -> String {
    let word = |word: &str| -> String {
        let bare = word.trim_start_matches("uuid=").trim_end_matches(',');
        let is_hex = bare.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
        match (is_hex, bare.len()) {
            (true, 36 | 64 | 8) => word.replace(bare, "ID"),
            _ => word.to_owned(),
        }
    };
    let line = |line: &str| line.split(' ').map(word).collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_whole_text() {
    let (recorded, mut inventory) = installed("storage");
    for group in ["os", "data", "log", "cache"] {
        let lost = &one_of_each_group(&recorded)
            .into_iter()
            .find(|(name, _)| name == group)
            .unwrap()
            .1;
        let index = index_of(&inventory, lost);
        change(&mut inventory, index);
    }
    let plan = repaired("storage", &recorded, &inventory).unwrap();
    let text = explain(&plan, &StablePaths::new(&inventory));
    insta::assert_snapshot!(without_identifiers(&text));
}

#[test]
fn nothing_is_missing() {
    for name in ROLES {
        let (recorded, inventory) = installed(name);
        let plan = repaired(name, &recorded, &inventory).unwrap();
        assert_eq!(plan.steps, [], "{name}");
        assert!(
            plan.notes[0].starts_with("nothing is missing: all "),
            "{name}"
        );
    }
}

/// New GUIDs everywhere on the new disk: nothing of the lost one is ever taken for it.
#[test]
fn identifiers_are_new() {
    let (recorded, mut inventory) = installed("storage");
    let lost = recorded.disks[0].id.clone();
    let index = index_of(&inventory, &lost);
    let new = change(&mut inventory, index);
    let plan = repaired("storage", &recorded, &inventory).unwrap();
    let text = serde_json::to_string(&plan).unwrap();
    let ids = |plan: &Plan, disk: &DiskId| -> Vec<String> {
        let mut ids = Vec::new();
        for step in &plan.steps {
            if step.destroys.len() != 1 || step.destroys[0] != *disk {
                continue;
            }
            match &step.action {
                Action::Partition {
                    uuid, partitions, ..
                } => {
                    ids.push(uuid.clone());
                    ids.extend(partitions.iter().map(|partition| partition.uuid.clone()));
                }
                Action::MakeFileSystem { uuid, .. } => ids.push(uuid.clone()),
                _ => {}
            }
        }
        ids
    };
    let (old, fresh) = (ids(&recorded, &lost), ids(&plan, &new));
    assert_eq!(old.len(), 5);
    assert_eq!(fresh.len(), 5);
    for id in old {
        assert!(!text.contains(&id), "{id}");
    }
}

#[test]
fn the_running_system_uses_the_new_disk_as_the_lost_one() {
    let (recorded, mut inventory) = installed("storage");
    let lost = recorded
        .disks
        .iter()
        .find(|disk| disk.group == "data")
        .unwrap();
    let index = index_of(&inventory, &lost.id);
    change(&mut inventory, index);
    let plan = repaired("storage", &recorded, &inventory).unwrap();
    let Some(Action::FinishRepair { record, .. }) = plan.steps.last().map(|step| &step.action)
    else {
        panic!("{plan:#?}");
    };
    let wwns = |plan: &Plan| -> Vec<String> {
        plan.steps
            .iter()
            .find_map(|step| match &step.action {
                Action::WriteState { multipath, .. } => Some(multipath.clone()),
                _ => None,
            })
            .unwrap()
    };
    let (old, new) = (
        &lost.wwn.clone().unwrap(),
        inventory.disks[index].wwn.clone(),
    );
    assert!(wwns(&recorded).contains(old));
    assert!(!wwns(record).contains(old));
    assert!(wwns(record).contains(&new.unwrap()));
    assert_eq!(wwns(record).len(), wwns(&recorded).len());
}

type Change = fn(&mut Inventory, &Plan);

fn message(name: &str, change_it: Change) -> String {
    let (recorded, mut inventory) = installed(name);
    change_it(&mut inventory, &recorded);
    match repaired(name, &recorded, &inventory) {
        Ok(plan) => format!("plan: {}", plan.notes.join("; ")),
        Err(error) => error.to_string(),
    }
}

fn remove(inventory: &mut Inventory, id: &DiskId) -> Disk {
    let index = index_of(inventory, id);
    inventory.disks.remove(index)
}

#[test]
fn refused_and_said() {
    let table: &[(&str, &str, Change)] = &[
        ("both OS disks are gone", "storage", |inventory, plan| {
            for disk in plan.disks.iter().filter(|disk| disk.group == "os") {
                let index = index_of(inventory, &disk.id);
                change(inventory, index);
            }
        }),
        ("an empty bay", "storage", |inventory, plan| {
            remove(inventory, &plan.disks[2].id);
        }),
        ("no bays, no new disk", "control", |inventory, plan| {
            remove(inventory, &plan.disks[0].id);
        }),
        ("no bays, two candidates", "control", |inventory, plan| {
            let index = index_of(inventory, &plan.disks[0].id);
            let mut second = inventory.disks[index].clone();
            change(inventory, index);
            second.id = DiskId("wwn-0x5000ccaff0009999".into());
            inventory.disks.push(second);
        }),
        ("a smaller disk in the bay", "storage", |inventory, plan| {
            let index = index_of(inventory, &plan.disks[2].id);
            change(inventory, index);
            inventory.disks[index].size = 4_000_787_030_016;
        }),
        (
            "a smaller disk without bays",
            "control",
            |inventory, plan| {
                let index = index_of(inventory, &plan.disks[0].id);
                change(inventory, index);
                inventory.disks[index].size = 120_034_123_776;
            },
        ),
        (
            "a foreign pool on the new disk",
            "storage",
            |inventory, plan| {
                let index = index_of(inventory, &plan.disks[2].id);
                let new = change(inventory, index);
                inventory.found.push(Holder {
                    kind: "zfs".into(),
                    name: Some("tank".into()),
                    uuid: Some("1234".into()),
                    host: Some("other (hostid deadbeef)".into()),
                    disks: vec![new],
                    ..Holder::default()
                });
            },
        ),
        (
            "the new disk cannot be used",
            "storage",
            |inventory, plan| {
                let index = index_of(inventory, &plan.disks[2].id);
                change(inventory, index);
                inventory.disks[index].faults = vec!["520-byte sectors".into()];
            },
        ),
        ("both halves of a mirror", "storage", |inventory, plan| {
            let pair = plan.steps.iter().find_map(|step| match &step.action {
                Action::CreatePool { vdevs, .. } => Some(vdevs[0].members.clone()),
                _ => None,
            });
            for member in pair.unwrap() {
                let plan::Device::Partition { disk, .. } = member else {
                    continue;
                };
                let index = index_of(inventory, &disk);
                change(inventory, index);
            }
        }),
        (
            "both copies of a RAID10 pair",
            "galera",
            |inventory, plan| {
                let pair = plan.steps.iter().find_map(|step| match &step.action {
                    Action::CreateArray {
                        level: 10, members, ..
                    } => Some(members[..2].to_vec()),
                    _ => None,
                });
                for member in pair.unwrap() {
                    let plan::Device::Partition { disk, .. } = member else {
                        continue;
                    };
                    let index = index_of(inventory, &disk);
                    change(inventory, index);
                }
            },
        ),
        (
            "one changed, one still missing",
            "storage",
            |inventory, plan| {
                let index = index_of(inventory, &plan.disks[2].id);
                change(inventory, index);
                remove(inventory, &plan.disks[5].id);
            },
        ),
        ("there, but failing", "storage", |inventory, plan| {
            let index = index_of(inventory, &plan.disks[2].id);
            inventory.disks[index].faults = vec!["SMART says it fails".into()];
        }),
    ];
    let mut text = String::new();
    for (what, name, change_it) in table {
        text.push_str(&format!("== {what}\n{}\n\n", message(name, *change_it)));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn what_is_guarded_is_allowed_by_its_key() {
    let (recorded, mut inventory) = installed("storage");
    let index = index_of(&inventory, &recorded.disks[2].id);
    let new = change(&mut inventory, index);
    inventory.found.push(Holder {
        kind: "lvm".into(),
        name: Some("vg0".into()),
        uuid: Some("key-1".into()),
        disks: vec![new],
        ..Holder::default()
    });
    let (role, node) = (role("storage"), node("storage"));
    let make = |keys: &[String]| repair::make(&recorded, &role, &node, &inventory, keys);
    assert!(make(&[]).unwrap_err().to_string().contains("key: key-1"));
    let plan = make(&["key-1".into()]).unwrap();
    assert_eq!(plan.guards.len(), 1);
}

/// After a power cut in the middle of a repair the new disk carries labels of the machine's own array and pool.
#[test]
fn what_an_interrupted_repair_left_is_not_guarded() {
    let (recorded, mut inventory) = installed("storage");
    let (os, data) = (&recorded.disks[0], &recorded.disks[2]);
    let uuid = recorded.steps.iter().find_map(|step| match &step.action {
        Action::CreateArray { uuid, .. } => Some(uuid.replace(':', "")),
        _ => None,
    });
    let mut labelled = Vec::new();
    for planned in [os, data] {
        let index = index_of(&inventory, &planned.id);
        labelled.push(change(&mut inventory, index));
        inventory.disks[index].mounted = vec!["/state".into()];
    }
    let index = index_of(&inventory, &labelled[1]);
    inventory.disks[index].mounted.clear();
    inventory.found = vec![
        Holder {
            kind: "md".into(),
            name: Some("os".into()),
            uuid,
            disks: vec![labelled[0].clone(), recorded.disks[1].id.clone()],
            active: true,
            ..Holder::default()
        },
        Holder {
            kind: "zfs".into(),
            name: Some("tank".into()),
            host: Some(format!("hostid {}", seed().hostid())),
            uuid: Some("77".into()),
            disks: vec![labelled[1].clone(), recorded.disks[3].id.clone()],
            ..Holder::default()
        },
    ];
    let plan = repaired("storage", &recorded, &inventory).unwrap();
    assert_eq!(plan.destroys(), labelled.into_iter().collect());
    assert_eq!(plan.guards, []);
}

#[test]
fn a_new_serial_number_does_not_matter_but_the_rest_does() {
    let (recorded, before) = installed("control");
    let lost = index_of(&before, &recorded.disks[0].id);
    for (selector, fits) in [
        (
            r#"{ size = "200 GB..", serial = ["S0000000", "S0000001"] }"#,
            true,
        ),
        (r#"{ size = "500 GB.." }"#, false),
        (r#"{ serial = ["S0000000", "S0000001"] }"#, false),
        (r#"{ serial = ["NEW0", "S0000001"] }"#, true),
    ] {
        let text = format!(
            "format = 1\nnode = \"control1\"\nrole = \"control\"\n[[disks]]\npurpose = \"os\"\ncount = 2\nselect = [{selector}]\n"
        );
        let node = toml::from_str(&text).unwrap();
        let mut inventory = before.clone();
        change(&mut inventory, lost);
        let made = repair::make(&recorded, &role("control"), &node, &inventory, &[]);
        assert_eq!(made.is_ok(), fits, "{selector}: {made:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is gone, new or strange: a disk of the record that is there is never destroyed, nor is the medium.
    #[test]
    fn a_disk_that_is_there_is_never_destroyed(
        name in prop::sample::select(&ROLES[..]),
        gone in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        changed in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        flags in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..4), 0..4),
        moved in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..3),
        bays in any::<bool>(),
    ) {
        let (recorded, mut inventory) = installed(name);
        let count = recorded.disks.len();
        for index in changed {
            let index = index.index(count);
            change(&mut inventory, index);
        }
        for (one, other) in moved {
            let (one, other) = (one.index(count), other.index(count));
            let bay = inventory.disks[one].bay.clone();
            inventory.disks[one].bay = inventory.disks[other].bay.clone();
            inventory.disks[other].bay = bay;
        }
        for (index, flag) in flags {
            let disk = &mut inventory.disks[index.index(count)];
            match flag {
                0 => disk.boot_medium = true,
                1 => disk.read_only = true,
                2 => disk.mounted = vec!["/mnt".into()],
                _ => disk.removable = true,
            }
        }
        for index in gone {
            let length = inventory.disks.len();
            inventory.disks.remove(index.index(length));
        }
        if !bays {
            inventory.disks.iter_mut().for_each(|disk| disk.bay = None);
        }
        if let Ok(plan) = repaired(name, &recorded, &inventory) {
            for id in plan.destroys() {
                prop_assert!(!recorded.disks.iter().any(|disk| disk.id == id), "{id} is of the record");
                let disk = inventory.disks.iter().find(|disk| disk.id == id).unwrap();
                prop_assert!(plan::select::ineligible(disk).is_none(), "{id}");
            }
            for step in &plan.steps {
                if let Action::Wipe { disk } = &step.action {
                    prop_assert!(step.destroys == [disk.clone()]);
                }
            }
        }
    }
}
