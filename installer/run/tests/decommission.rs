//! Emptying a machine: exactly the disks of the plan, in its order, and nothing without a person.

#![expect(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod machine;

use firmware::inventory::Holder;
use machine::Machine;
use plan::{Action, Plan, PlanError};
use run::{Event, Outcome};
use system::failing::{Failing, Fault};

/// An installed machine with a foreign stick in it.
fn installed() -> Machine {
    let mut machine = Machine::installed();
    machine.context.inventory.disks[5].removable = true;
    machine.context.permit = None;
    machine
}

fn plan(machine: &Machine, allowed: &[&str]) -> Result<Plan, PlanError> {
    let allowed: Vec<String> = allowed.iter().map(|key| (*key).to_owned()).collect();
    plan::decommission::make("mail1", "storage", &machine.context.inventory, &allowed)
}

fn started(events: &[Event]) -> Vec<&str> {
    let started = events.iter().filter_map(|event| match event {
        Event::Started { step } => Some(step.as_str()),
        _ => None,
    });
    started.collect()
}

#[test]
fn all_disks_of_the_machine_and_no_other() {
    let machine = installed();
    let plan = plan(&machine, &[]).unwrap();
    let expected: Vec<String> = (0..4)
        .map(|number| format!("0{}-wipe-{}", number + 1, machine.id_at(number)))
        .collect();
    let steps: Vec<&str> = plan.steps.iter().map(|step| step.id.as_str()).collect();
    assert_eq!(steps, expected);
    assert!(
        plan.steps
            .iter()
            .all(|step| matches!(step.action, Action::Wipe { .. }))
    );
    let notes = plan.notes.join("\n");
    assert!(notes.contains("the running system came from it"), "{notes}");
    assert!(notes.contains("removable or USB"), "{notes}");

    let (outcome, events) = machine.execute_plan(&plan, &machine.simulated);
    assert_eq!(outcome, Outcome::Done, "{events:#?}");
    assert_eq!(started(&events), expected);
    let Some(Event::Ended { message, .. }) = events.last() else {
        panic!("{events:#?}")
    };
    assert_eq!(message, "the disks of `mail1` are empty");
    machine.assert_untouched();
    for name in ["sda", "sdb", "sdc", "sdd"] {
        for (offset, length) in [(0, 1 << 20), ((18 << 20) - (1 << 20), 1 << 20)] {
            let content = machine.simulated.get(name, offset, length).unwrap();
            assert!(content.iter().all(|byte| *byte == 0), "{name} at {offset}");
        }
    }
    // Nothing is left that a repair or a boot could find.
    machine.reboot();
    let nowhere = machine.repair_plan().unwrap_err();
    assert!(
        nowhere.contains("no installed system was found"),
        "{nowhere}"
    );
}

#[test]
fn a_permit_never_empties_a_machine() {
    let mut machine = installed();
    machine.context.permit = Machine::new().context.permit;
    let before = machine.contents();
    let plan = plan(&machine, &[]).unwrap();
    let (outcome, events) = machine.execute_plan(&plan, &machine.simulated);
    assert_eq!(outcome, Outcome::Refused);
    let Some(Event::Ended { message, .. }) = events.last() else {
        panic!("{events:#?}")
    };
    assert_eq!(
        message,
        "a permit never empties a machine: only a person does"
    );
    assert_eq!(machine.contents(), before);
}

#[test]
fn what_belongs_to_others_is_named_first() {
    let mut machine = installed();
    let disks = vec![machine.id_at(2), machine.id_at(3)];
    machine.context.inventory.found.push(Holder {
        kind: "gfs2".into(),
        name: Some("cluster:mail".into()),
        uuid: Some("1234-shared".into()),
        disks,
        ..Holder::default()
    });
    let Err(PlanError::Guarded { guards }) = plan(&machine, &["other"]) else {
        panic!("a shared file system must be named");
    };
    assert_eq!(guards.len(), 1);
    assert_eq!(guards[0].key, "1234-shared");
    let allowed = plan(&machine, &["1234-shared"]).unwrap();
    assert_eq!(allowed.steps.len(), 4);
    assert_eq!(allowed.guards.len(), 1);
}

#[test]
fn another_disk_than_the_confirmed_one_stops_it() {
    let mut machine = installed();
    let plan = plan(&machine, &[]).unwrap();
    machine.change_disk(1, "0x50000000000000bb");
    let before = machine.contents();
    let (outcome, events) = machine.execute_plan(&plan, &machine.simulated);
    assert_eq!(outcome, Outcome::Refused, "{events:#?}");
    assert_eq!(machine.contents(), before);
    // And a new plan has another digest than the one that was confirmed.
    let new =
        plan::decommission::make("mail1", "storage", &machine.context.inventory, &[]).unwrap();
    assert_ne!(new.digest(), plan.digest());
}

/// Any single failure: what was reached is empty, what comes after is as it was, and nobody calls it done.
#[test]
fn a_failure_is_never_called_done() {
    let machine = installed();
    let plan = plan(&machine, &[]).unwrap();
    for at in [5, 20, 40, 80] {
        let machine = installed();
        let failing = Failing::new(&machine.simulated, Fault::From(at));
        let (outcome, events) = machine.execute_plan(&plan, &failing);
        if matches!(outcome, Outcome::Done) {
            assert_eq!(started(&events).len(), 4, "effect {at}");
        } else {
            let ended = matches!(events.last(), Some(Event::Ended { outcome: said, .. }) if *said == outcome);
            assert!(ended, "effect {at}: {events:#?}");
        }
        machine.assert_untouched();
    }
}
