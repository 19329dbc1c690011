//! Rules that protect data, over random machines and selectors.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use firmware::inventory::{Bay, Disk, DiskId, DiskPath, Holder, Inventory};
use plan::commands::commands;
use plan::select::{excluded, ineligible};
use plan::{Action, Device, Plan, StablePaths, make};
use proptest::prelude::*;
use roles::selector::{Selector, Transport};
use support::{image, machine, node, role, seed};

fn transport() -> impl Strategy<Value = Transport> {
    prop::sample::select(vec![
        Transport::Sata,
        Transport::Sas,
        Transport::Nvme,
        Transport::Usb,
        Transport::Virtio,
        Transport::Unknown,
    ])
}

const MODELS: [&str; 3] = ["HUH728080AL5200", "ST1000NM0023", "Samsung SSD 850 PRO 1TB"];
const SIZES: [u64; 4] = [0, 240_057_409_536, 1_000_204_886_016, 8_001_563_222_016];

prop_compose! {
    fn disk()(
        number in 0_u64..1000,
        model in prop::option::of(prop::sample::select(&MODELS[..])),
        size in prop::sample::select(&SIZES[..]),
        rotational in prop::option::of(any::<bool>()),
        transport in transport(),
        bay in prop::option::of((prop::sample::select(&["front", "rear"][..]), 0_u32..24)),
        has_wwn in any::<bool>(),
        has_path in any::<bool>(),
        flags in prop::collection::vec(prop::bool::weighted(0.1), 5),
    ) -> Disk {
        let wwn = format!("0x{number:016x}");
        Disk {
            id: DiskId(format!("wwn-{wwn}")),
            model: model.map(Into::into),
            vendor: model.map(|_| "ATA".into()),
            serial: model.map(|_| format!("S{number}")),
            wwn: has_wwn.then_some(wwn),
            size,
            physical_sector: 4096,
            rotational,
            transport,
            paths: vec![DiskPath {
                kernel_name: format!("sd{number}"),
                hba: has_path.then(|| "0000:02:00.0".into()),
                by_path: has_path.then(|| format!("pci-0000:02:00.0-{number}")),
                ..DiskPath::default()
            }],
            bay: bay.map(|(side, slot)| Bay { side: side.into(), slot }),
            removable: flags[0],
            read_only: flags[1],
            boot_medium: flags[2],
            mounted: if flags[3] { vec!["/mnt".into()] } else { vec![] },
            faults: if flags[4] { vec!["520-byte sectors".into()] } else { vec![] },
            ..Disk::default()
        }
    }
}

prop_compose! {
    fn selector()(
        bay in prop::option::of(prop::sample::select(&["front:0-11", "rear:0", "front:3"][..])),
        model in prop::option::of(prop::sample::select(&["HUH*", "*", "st1000*", "nothing"][..])),
        vendor in prop::option::of(prop::sample::select(&["ATA", "HGST"][..])),
        serial in prop::collection::vec((0_u64..1000).prop_map(|n| format!("S{n}")), 0..3),
        wwn in prop::collection::vec((0_u64..1000).prop_map(|n| format!("0x{n:016x}")), 0..3),
        size in prop::option::of(prop::sample::select(&["200 GB..", "..2 TB", "8 TB", "0 B.."][..])),
        rotational in prop::option::of(any::<bool>()),
        transport in prop::collection::vec(transport(), 0..3),
        sector in prop::option::of(prop::sample::select(&[512_u32, 4096][..])),
        path in prop::option::of(prop::sample::select(&["pci-*", "usb*"][..])),
        hba in prop::option::of(prop::sample::select(&["0000:02:00.0", "0000:8*"][..])),
    ) -> Selector {
        Selector {
            bay: bay.map(Into::into), model: model.map(Into::into), vendor: vendor.map(Into::into),
            serial, wwn, size: size.map(Into::into), rotational, transport, sector,
            path: path.map(Into::into), hba: hba.map(Into::into),
        }
    }
}

/// All selectors that are `selector` with one condition of `other` more.
fn narrowed(selector: &Selector, other: &Selector) -> Vec<Selector> {
    let mut all = Vec::new();
    macro_rules! option {
        ($($field:ident),*) => {$(
            if selector.$field.is_none() && other.$field.is_some() {
                all.push(Selector { $field: other.$field.clone(), ..selector.clone() });
            }
        )*};
    }
    macro_rules! list {
        ($($field:ident),*) => {$(
            if selector.$field.is_empty() && !other.$field.is_empty() {
                all.push(Selector { $field: other.$field.clone(), ..selector.clone() });
            }
        )*};
    }
    option!(bay, model, vendor, size, rotational, sector, path, hba);
    list!(serial, wwn, transport);
    all
}

/// Disks each step writes, found anew from the actions.
fn written(plan: &Plan) -> Vec<BTreeSet<DiskId>> {
    fn under(device: &Device, arrays: &BTreeMap<String, Vec<Device>>) -> BTreeSet<DiskId> {
        match device {
            Device::Disk { disk } | Device::Partition { disk, .. } => {
                BTreeSet::from([disk.clone()])
            }
            Device::Array { uuid } | Device::ArrayPartition { uuid, .. } => arrays[uuid]
                .iter()
                .flat_map(|member| under(member, arrays))
                .collect(),
        }
    }
    let mut arrays = BTreeMap::new();
    let mut pools: BTreeMap<String, BTreeSet<DiskId>> = BTreeMap::new();
    let mut all = Vec::new();
    for step in &plan.steps {
        all.push(match &step.action {
            Action::Wipe { disk } => BTreeSet::from([disk.clone()]),
            Action::Partition { device, .. }
            | Action::MakeFileSystem { device, .. }
            | Action::WriteImage { device, .. } => under(device, &arrays),
            Action::CreateArray {
                uuid,
                members,
                spares,
                ..
            } => {
                arrays.insert(
                    uuid.clone(),
                    members.iter().chain(spares).cloned().collect(),
                );
                under(&Device::Array { uuid: uuid.clone() }, &arrays)
            }
            Action::CreatePool { name, vdevs, .. } => {
                let disks: BTreeSet<DiskId> = vdevs
                    .iter()
                    .flat_map(|vdev| &vdev.members)
                    .flat_map(|d| under(d, &arrays))
                    .collect();
                pools.insert(name.clone(), disks.clone());
                disks
            }
            Action::CreateDataset { name, .. } => pools[name.split('/').next().unwrap()].clone(),
            Action::BeginInstall { state } | Action::WriteState { state, .. } => {
                under(state, &arrays)
            }
            Action::MakeBootable { disk, esp, .. } => under(esp, &arrays)
                .into_iter()
                .chain([disk.clone()])
                .collect(),
            Action::FinishInstall {
                state,
                pools: exported,
            } => {
                let mut disks = under(state, &arrays);
                disks.extend(exported.iter().flat_map(|pool| pools[pool].clone()));
                disks
            }
            repair => panic!("an install has no {repair:?}"),
        });
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn adding_a_condition_never_widens(disk in disk(), one in selector(), other in selector()) {
        let before = excluded(&disk, &one).unwrap().is_none();
        for narrow in narrowed(&one, &other) {
            let after = excluded(&disk, &narrow).unwrap().is_none();
            prop_assert!(before || !after, "{narrow:?} matches what {one:?} does not");
        }
    }

    #[test]
    fn a_disk_that_lacks_a_property_never_matches(mut disk in disk(), one in selector()) {
        disk.bay = None;
        disk.model = None;
        disk.vendor = None;
        disk.serial = None;
        disk.wwn = None;
        disk.rotational = None;
        disk.transport = Transport::Unknown;
        disk.paths.clear();
        let asks = Selector { size: None, sector: None, ..one.clone() } != Selector::default();
        prop_assert!(!asks || excluded(&disk, &one).unwrap().is_some());
    }

    #[test]
    fn what_is_ineligible_never_matches(disk in disk(), one in selector()) {
        let never = disk.boot_medium || disk.removable || disk.read_only || disk.size == 0
            || disk.transport == Transport::Usb || !disk.faults.is_empty() || !disk.mounted.is_empty();
        prop_assert_eq!(ineligible(&disk).is_some(), never);
        prop_assert!(!never || excluded(&disk, &one).unwrap().is_some());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Random disks beside the reference ones: the plan is the same, or there is none; nothing else is ever written.
    #[test]
    fn other_disks_are_never_touched(
        name in prop::sample::select(&support::ROLES[..]),
        others in prop::collection::vec(disk(), 0..6),
        shuffle in any::<prop::sample::Index>(),
    ) {
        let (role, node) = (role(name), node(name));
        let mine = machine(name);
        let alone = make(&role, &node, &mine, &image(), &seed()).unwrap();
        let mut crowded = mine.clone();
        for other in &others {
            if crowded.disks.iter().all(|disk| disk.id != other.id) {
                crowded.disks.push(other.clone());
            }
        }
        let turn = shuffle.index(crowded.disks.len());
        crowded.disks.rotate_left(turn);
        let Ok(plan) = make(&role, &node, &crowded, &image(), &seed()) else { return Ok(()) };
        prop_assert_eq!(&plan, &alone);
        prop_assert_eq!(plan.digest(), alone.digest());
        for disk in &crowded.disks {
            if ineligible(disk).is_some() {
                prop_assert!(!plan.destroys().contains(&disk.id));
            }
        }
    }

    /// Whatever a selector in the node file says, disks that may not be used are not.
    #[test]
    fn ineligible_disks_are_never_destroyed(disks in prop::collection::vec(disk(), 2..8), select in selector()) {
        let mut node = node("lb");
        let mut need = role("lb").disks[0].clone();
        need.select = vec![select];
        node.disks = vec![need];
        let mut seen = BTreeSet::new();
        let disks: Vec<Disk> = disks.into_iter().filter(|disk| seen.insert(disk.id.clone())).collect();
        let inventory = Inventory { disks, ..Inventory::default() };
        if let Ok(plan) = make(&role("lb"), &node, &inventory, &image(), &seed()) {
            for id in plan.destroys() {
                let disk = inventory.disks.iter().find(|disk| disk.id == id).unwrap();
                prop_assert!(ineligible(disk).is_none());
            }
        }
    }

    /// Disks under something foreign are in no plan unless it was allowed by name.
    #[test]
    fn foreign_disks_are_never_destroyed(
        name in prop::sample::select(&support::ROLES[..]),
        kind in prop::sample::select(&["zfs", "lvm", "imsm", "gfs2", "vmfs", "ceph_bluestore", "ddf"][..]),
        index in any::<prop::sample::Index>(),
    ) {
        let mut inventory = machine(name);
        let disk = index.get(&inventory.disks).id.clone();
        inventory.found.push(Holder {
            kind: kind.into(),
            name: Some("theirs".into()),
            uuid: Some("1234".into()),
            disks: vec![disk.clone()],
            ..Holder::default()
        });
        if let Ok(plan) = make(&role(name), &node(name), &inventory, &image(), &seed()) {
            prop_assert!(!plan.destroys().contains(&disk));
        }
        let choices = plan::Choices { allowed: vec!["1234".to_owned()], ..Default::default() };
        let plan = plan::make_with(&role(name), &node(name), &inventory, &image(), &seed(), &choices).unwrap();
        prop_assert_eq!(plan.guards.is_empty(), !plan.destroys().contains(&disk));
    }
}

#[test]
fn every_step_names_exactly_what_it_writes() {
    for name in support::ROLES {
        let plan = make(&role(name), &node(name), &machine(name), &image(), &seed()).unwrap();
        for (step, written) in plan.steps.iter().zip(written(&plan)) {
            assert_eq!(
                step.destroys.iter().cloned().collect::<BTreeSet<_>>(),
                written,
                "{name} {}",
                step.id
            );
        }
        // A disk is wiped before anything else is done to it.
        let wiped: BTreeSet<DiskId> = plan
            .steps
            .iter()
            .filter_map(|step| match &step.action {
                Action::Wipe { disk } => Some(disk.clone()),
                _ => None,
            })
            .collect();
        assert_eq!(wiped, plan.destroys(), "{name}");
    }
}

#[test]
fn kernel_names_boot_and_holders_of_our_own_do_not_change_the_digest() {
    for name in support::ROLES {
        let inventory = machine(name);
        let one = make(&role(name), &node(name), &inventory, &image(), &seed()).unwrap();
        let mut again = inventory.clone();
        again.disks.reverse();
        again.boot = firmware::inventory::BootMode::Uefi;
        for (number, path) in again
            .disks
            .iter_mut()
            .flat_map(|disk| &mut disk.paths)
            .enumerate()
        {
            path.kernel_name = format!("sdz{number}");
            path.device = (65, number as u32);
        }
        // The install was interrupted: its own array and pool lie on the disks.
        again.found.push(Holder {
            kind: "md".into(),
            name: Some("any:os".into()),
            uuid: Some(seed().array("array os")),
            disks: vec![again.disks[0].id.clone()],
            ..Holder::default()
        });
        again.found.push(Holder {
            kind: "zfs".into(),
            name: Some("tank".into()),
            uuid: Some("99".into()),
            disks: one
                .disks
                .iter()
                .filter(|d| d.group == "data")
                .map(|d| d.id.clone())
                .collect(),
            host: Some(seed().hostid()),
            ..Holder::default()
        });
        if !["storage", "backup"].contains(&name) {
            again.found.pop();
        }
        let two = make(&role(name), &node(name), &again, &image(), &seed()).unwrap();
        assert_eq!(one.digest(), two.digest(), "{name}");
        assert_eq!(one.steps, two.steps, "{name}");
    }
}

#[test]
fn identifiers_are_unique_and_commands_name_only_planned_disks() {
    for name in support::ROLES {
        let inventory = machine(name);
        let plan = make(&role(name), &node(name), &inventory, &image(), &seed()).unwrap();
        let mut seen = BTreeSet::new();
        for step in &plan.steps {
            assert!(seen.insert(step.id.clone()), "{name} {}", step.id);
            if let Action::Partition {
                uuid, partitions, ..
            } = &step.action
            {
                for one in partitions
                    .iter()
                    .map(|partition| &partition.uuid)
                    .chain([uuid])
                {
                    assert!(seen.insert(one.clone()), "{name}: {one} twice");
                }
            }
            let ours: BTreeSet<String> = step
                .destroys
                .iter()
                .map(|id| format!("/dev/disk/by-id/{id}"))
                .collect();
            for line in commands(&step.action, &StablePaths::new(&inventory)).unwrap() {
                for word in line.arguments.iter().filter(|word| word.contains("/wwn-")) {
                    let disk = word.split("-part").next().unwrap();
                    assert!(ours.contains(disk), "{name} {}: {word}", step.id);
                }
            }
        }
    }
}
