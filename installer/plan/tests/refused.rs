//! What is refused, with the exact words.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use firmware::inventory::{Holder, Inventory};
use plan::{PlanError, RootImage, make};
use roles::role::{DiskNeed, Layout, Purpose};
use roles::selector::Selector;
use support::{HE8, INTEL, Machine, PRO1, RED, VIRTIO, image, machine, node, role, seed};

fn refusal(name: &str, inventory: &Inventory) -> String {
    make(&role(name), &node(name), inventory, &image(), &seed())
        .unwrap_err()
        .to_string()
}

#[test]
fn too_few() {
    let inventory = Machine::default()
        .disks(INTEL, 1, None, 0)
        .disks(HE8, 1, Some("front"), 3)
        .stick()
        .inventory;
    insta::assert_snapshot!(refusal("control", &inventory));
}

#[test]
fn too_many_is_never_the_first() {
    let inventory = Machine::default().disks(VIRTIO, 3, None, 0).inventory;
    insta::assert_snapshot!(refusal("lb", &inventory));
}

#[test]
fn no_disk_at_all() {
    insta::assert_snapshot!(refusal("lb", &Inventory::default()));
}

#[test]
fn a_later_alternative_does_not_save_one_that_matches_too_many() {
    let inventory = Machine::default()
        .disks(RED, 3, None, 0)
        .disks(PRO1, 4, None, 3)
        .disks(INTEL, 2, None, 7)
        .inventory;
    let text = refusal("production", &inventory);
    assert!(
        text.starts_with("group `os` needs exactly 2 disks, 3 match\n"),
        "{text}"
    );
}

#[test]
fn a_later_alternative_serves_if_the_first_matches_too_few() {
    let inventory = Machine::default()
        .disks(INTEL, 2, None, 0)
        .disks(PRO1, 4, None, 2)
        .inventory;
    let plan = make(
        &role("production"),
        &node("production"),
        &inventory,
        &image(),
        &seed(),
    )
    .unwrap();
    assert_eq!(
        plan.disks.iter().filter(|disk| disk.group == "os").count(),
        2
    );
}

#[test]
fn two_groups_one_disk() {
    let mut node = node("production");
    let select = |size: &str| {
        vec![Selector {
            size: Some(size.into()),
            ..Selector::default()
        }]
    };
    let need = |purpose, count, size| DiskNeed {
        purpose,
        count,
        optional: false,
        select: select(size),
        layout: None,
    };
    node.disks = vec![
        need(Purpose::Os, 2, "700 GB..800 GB"),
        need(Purpose::Data, 6, "700 GB.."),
    ];
    let error = make(
        &role("production"),
        &node,
        &machine("production"),
        &image(),
        &seed(),
    )
    .unwrap_err();
    insta::assert_snapshot!(error.to_string());
}

#[test]
fn unequal_os_disks() {
    let mut inventory = machine("control");
    inventory.disks[1].size -= inventory.disks[1].size / 50;
    insta::assert_snapshot!(refusal("control", &inventory));
    // Within 1 % they are a pair, and the larger is cut to the smaller.
    let mut inventory = machine("control");
    inventory.disks[1].size -= inventory.disks[1].size / 200;
    let plan = make(
        &role("control"),
        &node("control"),
        &inventory,
        &image(),
        &seed(),
    )
    .unwrap();
    let sizes: Vec<u64> = plan
        .steps
        .iter()
        .filter_map(|step| match &step.action {
            plan::Action::Partition { partitions, .. } if partitions[0].name == "bios" => {
                partitions[2].size
            }
            _ => None,
        })
        .collect();
    assert_eq!(sizes.len(), 2);
    assert_eq!(sizes[0], sizes[1]);
}

#[test]
fn too_small_for_the_image() {
    let image = RootImage {
        size: 20 << 30,
        ..image()
    };
    let inventory = Machine::default().disks(VIRTIO, 2, None, 0).inventory;
    let error = make(&role("lb"), &node("lb"), &inventory, &image, &seed()).unwrap_err();
    insta::assert_snapshot!(error.to_string());
}

#[test]
fn the_least_size_it_names_is_enough_and_a_little_less_is_not() {
    let inventory = |size| {
        let mut inventory = Machine::default().disks(VIRTIO, 2, None, 0).inventory;
        inventory.disks.iter_mut().for_each(|disk| disk.size = size);
        inventory
    };
    let mut node = node("lb");
    let mut need = role("lb").disks[0].clone();
    need.select = vec![Selector {
        size: Some("1 MB..".into()),
        ..Selector::default()
    }];
    node.disks = vec![need];
    let plan = |size| make(&role("lb"), &node, &inventory(size), &image(), &seed());
    let Err(PlanError::TooSmall { least, .. }) = plan(1 << 30) else {
        panic!("1 GiB is enough?")
    };
    assert!(plan(least).is_ok());
    assert!(matches!(
        plan(least - (2 << 20)),
        Err(PlanError::TooSmall { .. })
    ));
}

#[test]
fn layouts_that_do_not_fit() {
    let with = |layout: Layout, count: u32| {
        let mut node = node("production");
        let mut need = role("production").disks[1].clone();
        need.count = count;
        need.layout = Some(layout);
        node.disks = vec![need];
        let mut inventory = Machine::default().disks(RED, 2, None, 0).inventory;
        inventory.disks.extend(
            Machine::default()
                .disks(RED, 2, None, 0)
                .disks(PRO1, count, None, 2)
                .inventory
                .disks
                .split_off(2),
        );
        make(&role("production"), &node, &inventory, &image(), &seed())
            .unwrap_err()
            .to_string()
    };
    let md = |level| Layout::Md {
        level,
        file_system: "xfs".into(),
        mount: "/srv/x".into(),
    };
    let zfs = |vdev: &str, width| Layout::Zfs {
        pool: "tank".into(),
        vdev: vdev.into(),
        width,
        datasets: vec![],
    };
    let mut text = String::new();
    for (layout, count) in [
        (md(3), 4),
        (md(6), 3),
        (md(5), 2),
        (
            Layout::Md {
                level: 10,
                file_system: "btrfs".into(),
                mount: "/srv/x".into(),
            },
            4,
        ),
        (zfs("mirror", 2), 5),
        (zfs("raidz2", 2), 4),
        (zfs("stripe", 2), 4),
    ] {
        text += &with(layout, count);
        text.push('\n');
    }
    insta::assert_snapshot!(text);
}

#[test]
fn guarded() {
    let mut inventory = machine("storage");
    inventory.found.push(Holder {
        kind: "zfs".into(),
        name: Some("tank".into()),
        uuid: Some("8012345678901234567".into()),
        disks: inventory.disks[..2]
            .iter()
            .map(|disk| disk.id.clone())
            .collect(),
        host: Some("storage2".into()),
        ..Holder::default()
    });
    insta::assert_snapshot!(refusal("storage", &inventory));
}

#[test]
fn a_wrong_word_for_the_first_resync() {
    let mut node = node("galera");
    node.storage.initial_sync = Some("fast".into());
    let error = make(
        &role("galera"),
        &node,
        &machine("galera"),
        &image(),
        &seed(),
    )
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "`fast` is not a value of `initial_sync`\nhint: write `full` or `skip`"
    );
}

#[test]
fn a_size_that_is_none() {
    let mut node = node("lb");
    let mut need = role("lb").disks[0].clone();
    need.select = vec![Selector {
        size: Some("big".into()),
        ..Selector::default()
    }];
    node.disks = vec![need.clone()];
    let error = make(&role("lb"), &node, &machine("lb"), &image(), &seed()).unwrap_err();
    insta::assert_snapshot!(error.to_string());
    need.select = vec![Selector::default()];
    node.disks = vec![need];
    let error = make(&role("lb"), &node, &machine("lb"), &image(), &seed()).unwrap_err();
    insta::assert_snapshot!(error.to_string());
}
