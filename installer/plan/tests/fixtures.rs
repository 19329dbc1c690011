//! Every role on every simulated machine, probed by the code that runs on servers: a plan, or the reason why not.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use firmware::fixture::{Machine, names};
use plan::make;
use plan::select::ineligible;
use roles::role::{Layout, Purpose};
use support::{ROLES, image, node, role, seed};

#[test]
fn every_role_on_every_machine() {
    let roles: Vec<_> = ROLES.iter().map(|name| (*name, role(name))).collect();
    let mut text = String::new();
    for machine in names() {
        let inventory = Machine::named(machine).unwrap().inventory().unwrap();
        let _ = writeln!(text, "{machine}");
        for (name, role) in &roles {
            match make(role, &node(name), &inventory, &image(), &seed()) {
                Ok(plan) => {
                    let mut groups: BTreeMap<&str, usize> = BTreeMap::new();
                    for disk in &plan.disks {
                        *groups.entry(&disk.group).or_default() += 1;
                    }
                    let groups: Vec<String> = groups
                        .iter()
                        .map(|(group, count)| format!("{group} {count}"))
                        .collect();
                    let _ = writeln!(
                        text,
                        "  {name}: {} steps, {}",
                        plan.steps.len(),
                        groups.join(", ")
                    );
                    for id in plan.destroys() {
                        let disk = inventory.disks.iter().find(|disk| disk.id == id).unwrap();
                        assert_eq!(ineligible(disk), None);
                    }
                }
                Err(error) => {
                    let _ = writeln!(
                        text,
                        "  {name}: {}",
                        error.to_string().lines().next().unwrap_or_default()
                    );
                }
            }
        }
    }
    insta::assert_snapshot!(text);
}

#[test]
fn every_machine_takes_its_own_role() {
    for machine in names().filter(|name| *name != "storage-36") {
        let fixture = Machine::named(machine).unwrap();
        let inventory = fixture.inventory().unwrap();
        let mut node = node(&fixture.role);
        if machine == "lb" {
            // A virtual machine has one disk, mirrored below it; the node file says so.
            let mut need = role("lb").disks[0].clone();
            need.count = 1;
            node.disks = vec![need];
        }
        let plan = make(&role(&fixture.role), &node, &inventory, &image(), &seed());
        assert!(plan.is_ok(), "{machine}: {}", plan.unwrap_err());
    }
}

#[test]
fn a_full_chassis_by_one_line_in_the_node_file() {
    let inventory = Machine::named("storage-36").unwrap().inventory().unwrap();
    let mut node = node("storage");
    let mut need = role("storage")
        .disks
        .into_iter()
        .find(|need| need.purpose == Purpose::Data)
        .unwrap();
    let data = |disk: &&firmware::inventory::Disk| {
        disk.rotational == Some(true) && disk.size > 3_900_000_000_000
    };
    need.count = inventory.disks.iter().filter(data).count() as u32;
    if let Some(Layout::Zfs { vdev, width, .. }) = &mut need.layout {
        *vdev = "mail".into();
        *width = need.count;
    }
    node.disks = vec![need];
    let plan = make(&role("storage"), &node, &inventory, &image(), &seed()).unwrap();
    insta::assert_snapshot!(format!(
        "{}\n{}",
        plan::explain::summary(&plan),
        plan.notes.join("\n")
    ));
}
