//! The reference machines pass; every deviation gives exactly the verdicts written beside it.

use roles::selector::Transport;

use super::*;

use crate::fixture::{self, Machine};
use Weight::{Fail, Info, Warn};
use deviations::{DATA, SSD, remove};

mod deviations;

fn inventory(name: &str) -> Inventory {
    Machine::named(name).unwrap().inventory().unwrap()
}

/// What is not as expected.
fn verdicts(role: &str, inventory: &Inventory) -> Vec<(String, Weight)> {
    let reference = Reference::built_in().unwrap();
    let findings = compare(&reference, role, inventory);
    findings
        .into_iter()
        .filter(|finding| finding.weight > Weight::Pass)
        .map(|finding| {
            assert!(finding.advice.is_some(), "{} gives no advice", finding.id);
            assert!(
                !finding.expected.is_empty() && !finding.found.is_empty(),
                "{} says nothing",
                finding.id
            );
            (finding.id, finding.weight)
        })
        .collect()
}

#[test]
fn reference_machines_pass() {
    for name in fixture::names() {
        let expected: &[(&str, Weight)] = match name {
            "storage-36" => &[("disks.log.count", Warn), ("disks.os.attached", Info)],
            "lb" => &[("bmc.present", Info), ("boot.mode", Info)],
            _ => &[],
        };
        let role = Machine::named(name).unwrap().role;
        let found = verdicts(&role, &inventory(name));
        let found: Vec<(&str, Weight)> = found
            .iter()
            .map(|(id, weight)| (id.as_str(), *weight))
            .collect();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn a_node_file_may_want_fewer_disks() {
    let reference = Reference::built_in().unwrap();
    let mut small = inventory("storage");
    remove(&mut small, DATA, 11);
    let count = |adjustments| {
        let findings = compare_adjusted(&reference, "storage", &small, adjustments);
        findings
            .iter()
            .find(|finding| finding.id == "disks.data.count")
            .unwrap()
            .weight
    };
    assert_eq!(count(Adjustments::default()), Fail);
    assert_eq!(
        count(Adjustments {
            data_disks: Some(5),
            planned: false,
            ..Adjustments::default()
        }),
        Weight::Pass
    );
    // The planner found them by selectors of the node file: the law is kept, the number is advice.
    assert_eq!(
        count(Adjustments {
            data_disks: None,
            planned: true,
            ..Adjustments::default()
        }),
        Warn
    );
}

#[test]
fn waivers_need_a_finding_that_may_be_waived() {
    let reference = Reference::built_in().unwrap();
    let mut spoiled = inventory("production");
    spoiled.memory = 512 << 20;
    remove(&mut spoiled, SSD, 1);
    let mut findings = compare(&reference, "production", &spoiled);
    let waiver = |finding: &str| Waiver {
        finding: finding.into(),
        reason: "a test machine".into(),
    };
    let waivers = [
        waiver("memory.total"),
        waiver("disks.data.count"),
        waiver("no.such"),
        waiver("nic.ports"),
    ];
    let useless: Vec<(&str, UselessWaiver)> = waive(&mut findings, &waivers)
        .into_iter()
        .map(|(waiver, why)| (waiver.finding.as_str(), why))
        .collect();
    assert_eq!(
        useless,
        [
            ("disks.data.count", UselessWaiver::CannotBeWaived),
            ("no.such", UselessWaiver::NoSuchFinding),
            ("nic.ports", UselessWaiver::Passed),
        ]
    );
    let blocking: Vec<&str> = findings
        .iter()
        .filter(|finding| finding.blocks())
        .map(|finding| finding.id.as_str())
        .collect();
    assert_eq!(blocking, ["disks.data.count"]);
}

#[test]
fn a_role_without_reference_is_not_refused() {
    let reference = Reference::built_in().unwrap();
    let findings = compare(&reference, "fax", &inventory("lb"));
    assert_eq!((findings.len(), findings[0].weight), (1, Info));
}

/// The names of a reference board do not make a machine one: with other adapters, few processors and little memory it
/// still installs.
#[test]
fn a_simulated_server_that_calls_itself_a_reference_board_is_not_refused() {
    let reference = Reference::built_in().unwrap();
    for name in fixture::names() {
        let machine = Machine::named(name).unwrap();
        let mut it = machine.inventory().unwrap();
        it.memory = 2 << 30;
        it.cpus.truncate(1);
        it.cpus[0].cores = 2;
        it.enclosures.clear();
        it.bmc = None;
        for hba in &mut it.hbas {
            hba.id = "1af4:1048".into();
            hba.class = "010000".into();
            hba.firmware = None;
        }
        it.nics.truncate(2);
        for nic in &mut it.nics {
            nic.id = Some("1af4:1041".into());
            nic.speed = None;
        }
        for disk in &mut it.disks {
            disk.paths.truncate(1);
            disk.transport = Transport::Virtio;
            disk.size /= 100;
            disk.model = None;
        }
        let adjustments = Adjustments {
            data_disks: None,
            planned: true,
            ..Adjustments::default()
        };
        let findings = compare_adjusted(&reference, &machine.role, &it, adjustments);
        let blocking: Vec<&Finding> = findings.iter().filter(|it| it.blocks()).collect();
        assert!(blocking.is_empty(), "{name}: {blocking:?}");
    }
}
