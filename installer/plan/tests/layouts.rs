//! Layouts: defaults for many disks, spread over the parts of the machine, what survives, and keep mode.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use firmware::inventory::{Bay, Disk, DiskId, DiskPath, Holder, Inventory};
use plan::topology::{Outcome, Part, Set, spares, spread, verdicts};
use plan::{Action, Choices, Plan, PlanError, StablePaths, make, make_with};
use proptest::prelude::*;
use roles::NodeFile;
use roles::role::{DiskNeed, Layout, Purpose};
use roles::selector::{Selector, Transport};
use support::{ES3, HE8, Machine, PRO2, RED, SM863, SSD800MH, image, machine, node, role, seed};

/// A disk by the controllers and expanders it is reached through.
fn disk(number: u32, side: &str, paths: &[(&str, &str)]) -> Disk {
    Disk {
        id: DiskId(format!("wwn-{number:04}")),
        bay: Some(Bay {
            side: side.into(),
            slot: number,
        }),
        paths: paths
            .iter()
            .map(|(hba, expander)| DiskPath {
                hba: Some((*hba).into()),
                expander: Some((*expander).into()),
                ..DiskPath::default()
            })
            .collect(),
        ..Disk::default()
    }
}

/// Storage node with `count` data disks laid out by `vdev`; 24 bays in front, the rest behind.
fn storage(count: u32, vdev: &str, width: u32) -> (NodeFile, Inventory) {
    let mut node = node("storage");
    let mut need = role("storage")
        .disks
        .into_iter()
        .find(|need| need.purpose == Purpose::Data)
        .unwrap();
    need.count = count;
    if let Some(Layout::Zfs {
        vdev: theirs,
        width: wide,
        datasets,
        ..
    }) = &mut need.layout
    {
        *theirs = vdev.into();
        *wide = width;
        datasets.truncate(1);
    }
    node.disks = vec![need];
    let front = count.min(24);
    let inventory = Machine::default()
        .disks(ES3, 2, Some("inside"), 0)
        .disks(SSD800MH, 2, Some("inside"), 2)
        .disks(SM863, 2, None, 0)
        .disks(HE8, front, Some("front"), 0)
        .disks(HE8, count - front, Some("rear"), 0)
        .inventory;
    (node, inventory)
}

fn pool_line(plan: &Plan, inventory: &Inventory) -> String {
    let bays: BTreeMap<String, String> = inventory
        .disks
        .iter()
        .map(|disk| {
            let bay = disk.bay.as_ref().map_or("sata".into(), |bay| {
                format!("{}{}", &bay.side[..1], bay.slot)
            });
            (disk.id.to_string(), bay)
        })
        .collect();
    let create = plan
        .steps
        .iter()
        .find(|step| matches!(step.action, Action::CreatePool { .. }))
        .unwrap();
    let lines = plan::commands::commands(&create.action, &StablePaths::new(inventory)).unwrap();
    let words = lines[1].arguments.iter().skip_while(|word| *word != "tank");
    let short = |word: &String| {
        let id = word
            .trim_start_matches("/dev/disk/by-id/")
            .split("-part")
            .next()
            .unwrap_or_default();
        bays.get(id).cloned().unwrap_or_else(|| word.clone())
    };
    words.map(short).collect::<Vec<_>>().join(" ")
}

#[test]
fn defaults_for_many_disks() {
    let mut text = String::new();
    for purpose in ["mail", "capacity"] {
        for count in [5, 10, 15, 16, 20, 25, 36] {
            let (node, inventory) = storage(count, purpose, count);
            let plan = make(&role("storage"), &node, &inventory, &image(), &seed()).unwrap();
            text += &format!("{purpose} {count}\n  {}\n", pool_line(&plan, &inventory));
            for note in plan.notes.iter().filter(|note| note.starts_with("data:")) {
                text += &format!("  {note}\n");
            }
        }
    }
    insta::assert_snapshot!(text);
}

#[test]
fn shapes_in_words() {
    let mut text = String::new();
    for (count, vdev, width) in [
        (36, "raidz2 spares 4", 8),
        (36, "draid2:8d spares 2", 36),
        (12, "mirror", 3),
        (9, "raidz3", 9),
    ] {
        let (node, inventory) = storage(count, vdev, width);
        let plan = make(&role("storage"), &node, &inventory, &image(), &seed()).unwrap();
        text += &format!(
            "{count} as {vdev} {width}\n  {}\n",
            pool_line(&plan, &inventory)
        );
    }
    insta::assert_snapshot!(text);
}

#[test]
fn special_and_spare_groups_join_the_pool() {
    let (mut node, inventory) = storage(6, "mirror", 2);
    let pick = |range: std::ops::Range<usize>| Selector {
        wwn: inventory.disks[range]
            .iter()
            .filter_map(|disk| disk.wwn.clone())
            .collect(),
        ..Selector::default()
    };
    let need = |purpose, count, select| DiskNeed {
        purpose,
        count,
        optional: false,
        select: vec![select],
        layout: None,
    };
    node.disks[0].count = 4;
    node.disks[0].select = vec![pick(6..10)];
    node.disks.push(need(Purpose::Spare, 2, pick(10..12)));
    node.disks.push(need(Purpose::Special, 2, pick(4..6)));
    node.disks.push(need(
        Purpose::Cache,
        1,
        Selector {
            model: Some("none".into()),
            ..Selector::default()
        },
    ));
    node.disks.last_mut().unwrap().optional = true;
    let plan = make(&role("storage"), &node, &inventory, &image(), &seed()).unwrap();
    insta::assert_snapshot!(pool_line(&plan, &inventory), @"tank mirror f0 f2 mirror f1 f3 special mirror sata sata log mirror i2 i3 spare f4 f5");
    // A single special device would be a single point of failure for all.
    node.disks[2].count = 1;
    node.disks[2].select = vec![pick(4..5)];
    let error = make(&role("storage"), &node, &inventory, &image(), &seed()).unwrap_err();
    assert!(
        matches!(error, PlanError::Layout { ref group, .. } if group == "special"),
        "{error}"
    );
}

#[test]
fn md_levels() {
    let mut text = String::new();
    for (level, count, spare) in [
        (0, 2, 0),
        (1, 2, 1),
        (5, 3, 1),
        (6, 5, 0),
        (10, 4, 1),
        (10, 5, 0),
    ] {
        let mut node = node("galera");
        let mut need = role("galera").disks[1].clone();
        need.count = count;
        let wwn = |inventory: &Inventory, from: usize, to: usize| Selector {
            wwn: inventory.disks[from..to]
                .iter()
                .filter_map(|disk| disk.wwn.clone())
                .collect(),
            ..Selector::default()
        };
        let inventory = Machine::default()
            .disks(RED, 2, None, 0)
            .disks(PRO2, count + spare, None, 2)
            .inventory;
        let end = 2 + count as usize;
        need.select = vec![wwn(&inventory, 2, end)];
        need.layout = Some(Layout::Md {
            level,
            file_system: "xfs".into(),
            mount: "/var/lib/mysql".into(),
        });
        node.disks = vec![need];
        if spare > 0 {
            let select = vec![wwn(&inventory, end, end + spare as usize)];
            node.disks.push(DiskNeed {
                purpose: Purpose::Spare,
                count: spare,
                optional: false,
                select,
                layout: None,
            });
        }
        node.storage.initial_sync = Some("skip".into());
        let plan = make(&role("galera"), &node, &inventory, &image(), &seed()).unwrap();
        let create = plan
            .steps
            .iter()
            .find(|step| step.id.ends_with("array-mysql"))
            .unwrap();
        let line =
            &plan::commands::commands(&create.action, &StablePaths::new(&inventory)).unwrap()[0];
        let short = line
            .arguments
            .iter()
            .filter(|word| !word.starts_with("/dev/disk"))
            .cloned();
        text += &format!("{}\n", short.collect::<Vec<_>>().join(" "));
        for note in plan.notes.iter().filter(|note| note.starts_with("data:")) {
            text += &format!("  {note}\n");
        }
    }
    insta::assert_snapshot!(text);
}

#[test]
fn what_survives() {
    let cross: Vec<Disk> = (0..4)
        .map(|n| {
            disk(
                n,
                if n < 2 { "a" } else { "b" },
                &[(["h0", "h1"][n as usize / 2], "x")],
            )
        })
        .collect();
    let all: Vec<&Disk> = cross.iter().collect();
    let sets: Vec<Set> = spread(&all, 2)
        .into_iter()
        .map(|disks| Set {
            disks,
            tolerates: 1,
        })
        .collect();
    let want = [
        (Part::Hba("h0".into()), Outcome::Survives),
        (Part::Hba("h1".into()), Outcome::Survives),
        (Part::Expander("x".into()), Outcome::Stops),
        (Part::Enclosure("a".into()), Outcome::Survives),
        (Part::Enclosure("b".into()), Outcome::Survives),
    ];
    assert_eq!(verdicts(&sets, &BTreeSet::new()), want.into());

    let dual: Vec<Disk> = (0..4)
        .map(|n| disk(n, "front", &[("h0", "x0"), ("h1", "x1")]))
        .collect();
    let all: Vec<&Disk> = dual.iter().collect();
    let sets: Vec<Set> = spread(&all, 2)
        .into_iter()
        .map(|disks| Set {
            disks,
            tolerates: 1,
        })
        .collect();
    let through_one = verdicts(&sets, &BTreeSet::new());
    assert_eq!(through_one[&Part::Hba("h0".into())], Outcome::Interrupts);
    assert_eq!(
        through_one[&Part::Expander("x1".into())],
        Outcome::Interrupts
    );
    assert_eq!(
        through_one[&Part::Enclosure("front".into())],
        Outcome::Stops
    );
    let through_all = verdicts(&sets, &dual.iter().map(|disk| disk.id.clone()).collect());
    assert_eq!(through_all[&Part::Hba("h0".into())], Outcome::Survives);
    assert_eq!(through_all[&Part::Expander("x1".into())], Outcome::Survives);
    assert_eq!(
        through_all[&Part::Enclosure("front".into())],
        Outcome::Stops
    );
}

#[test]
fn sata_in_a_dual_expander_bay_is_named() {
    let (mut node, mut inventory) = storage(4, "mirror", 2);
    let odd = inventory.disks.last_mut().unwrap();
    odd.transport = Transport::Sata;
    odd.paths.truncate(1);
    node.disks[0].select[0].transport = vec![Transport::Sas, Transport::Sata];
    node.disks[0].select[0].size = Some("7 TB..".into());
    let plan = make(&role("storage"), &node, &inventory, &image(), &seed()).unwrap();
    let note = "data: disk front:3 has one path where others have two: SATA has one port, on the primary expander";
    assert!(
        plan.notes.iter().any(|line| line == note),
        "{:#?}",
        plan.notes
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// No set gets more of the disks that fall together than it must, every disk is in exactly one set, and the order in
    /// which the disks were found does not matter.
    #[test]
    fn sets_are_spread(
        sides in prop::collection::vec(prop::sample::select(&["front", "rear", "shelf"][..]), 2..40),
        width in 1_usize..6,
        turn in any::<prop::sample::Index>(),
    ) {
        let disks: Vec<Disk> = sides.iter().enumerate().map(|(n, side)| disk(n as u32, side, &[("h", "x")])).collect();
        let count = disks.len() / width;
        prop_assume!(count > 0);
        let (all, left) = spares(&disks.iter().collect::<Vec<_>>(), disks.len() - count * width);
        prop_assert_eq!(left.len(), disks.len() - count * width);
        let sets = spread(&all, count);
        let mut seen = BTreeSet::new();
        for set in &sets {
            prop_assert_eq!(set.len(), width);
            for side in ["front", "rear", "shelf"] {
                let inside = |disks: &[&Disk]| disks.iter().filter(|d| d.bay.as_ref().unwrap().side == side).count();
                prop_assert!(inside(set) <= inside(&all).div_ceil(count));
            }
            seen.extend(set.iter().map(|disk| disk.id.clone()));
        }
        prop_assert_eq!(seen.len(), all.len());
        let mut turned = all.clone();
        turned.rotate_left(turn.index(all.len()));
        let names = |sets: Vec<Vec<&Disk>>| -> Vec<Vec<DiskId>> {
            sets.iter().map(|set| set.iter().map(|disk| disk.id.clone()).collect()).collect()
        };
        prop_assert_eq!(names(spread(&turned, count)), names(sets));
    }
}

fn keeping(name: &str, inventory: &Inventory) -> Result<Plan, PlanError> {
    let choices = Choices {
        keep_data: true,
        ..Choices::default()
    };
    make_with(
        &role(name),
        &node(name),
        inventory,
        &image(),
        &seed(),
        &choices,
    )
}

#[test]
fn keep_leaves_a_pool_alone_and_takes_its_hostid() {
    let mut inventory = machine("storage");
    let ids: Vec<DiskId> = inventory
        .disks
        .iter()
        .filter(|d| d.size != ES3.size && !d.removable)
        .map(|d| d.id.clone())
        .collect();
    inventory.found.push(Holder {
        kind: "zfs".into(),
        name: Some("tank".into()),
        uuid: Some("8012345678901234567".into()),
        disks: ids.clone(),
        host: Some("storage1 (hostid 1a2b3c4d)".into()),
        ..Holder::default()
    });
    let plan = keeping("storage", &inventory).unwrap();
    for id in &ids {
        assert!(!plan.destroys().contains(id), "{id}");
    }
    assert_eq!(plan.destroys().len(), 2);
    let state = plan.steps.iter().find_map(|step| match &step.action {
        Action::WriteState { hostid, .. } => Some(hostid.as_str()),
        _ => None,
    });
    assert_eq!(state, Some("1a2b3c4d"));
    insta::assert_snapshot!(plan::explain::summary(&plan));

    // Destroyed: its import would take more than a name.
    inventory.found[0].detail = Some("destroyed, txg 7, labels 0 1 2 3".into());
    assert!(keeping("storage", &inventory).is_err());
    inventory.found[0].detail = Some("exported, txg 7, labels 0 1 2 3".into());
    assert!(keeping("storage", &inventory).is_ok());
    // Not whole, or somebody else's: no.
    let missing = inventory.found[0].disks.remove(0);
    assert!(matches!(
        keeping("storage", &inventory),
        Err(PlanError::Keep { .. })
    ));
    // The label of a hot spare names no pool; the disk is kept all the same.
    inventory.found.push(Holder {
        kind: "zfs-spare".into(),
        uuid: Some("77".into()),
        disks: vec![missing.clone()],
        ..Holder::default()
    });
    let plan = keeping("storage", &inventory).unwrap();
    assert!(!plan.destroys().contains(&missing));
}

#[test]
fn keep_needs_array_and_file_system() {
    let mut inventory = machine("galera");
    let ids: Vec<DiskId> = inventory.disks[2..6]
        .iter()
        .map(|disk| disk.id.clone())
        .collect();
    insta::assert_snapshot!(keeping("galera", &inventory).unwrap_err().to_string());
    let holder = |kind: &str, uuid: &str| Holder {
        kind: kind.into(),
        uuid: Some(uuid.into()),
        disks: ids.clone(),
        ..Holder::default()
    };
    inventory.found.push(holder("md", "aa:bb"));
    assert!(keeping("galera", &inventory).is_err());
    inventory.found.push(holder("xfs", "1234-5678"));
    let plan = keeping("galera", &inventory).unwrap();
    assert_eq!(plan.destroys().len(), 2);
    let mounts = plan.steps.iter().find_map(|step| match &step.action {
        Action::WriteState { mounts, .. } => Some(mounts.clone()),
        _ => None,
    });
    assert_eq!(
        mounts.unwrap().last().map(|mount| mount.uuid.clone()),
        Some("1234-5678".into())
    );
    // Without `keep` the same machine is wiped.
    assert_eq!(
        make(
            &role("galera"),
            &node("galera"),
            &inventory,
            &image(),
            &seed()
        )
        .unwrap()
        .destroys()
        .len(),
        6
    );
}

#[test]
fn an_array_that_reaches_beyond_the_plan_is_guarded() {
    let mut inventory = machine("control");
    let mut stranger = inventory.disks[0].clone();
    stranger.id = DiskId("wwn-0x5000000000000001".into());
    stranger.size = 1 << 30;
    inventory.found.push(Holder {
        kind: "md".into(),
        uuid: Some("aa:bb".into()),
        disks: vec![inventory.disks[0].id.clone(), stranger.id.clone()],
        ..Holder::default()
    });
    inventory.disks.push(stranger);
    let error = make(
        &role("control"),
        &node("control"),
        &inventory,
        &image(),
        &seed(),
    )
    .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("it also lies on disks that the plan leaves alone"),
        "{error}"
    );
}
