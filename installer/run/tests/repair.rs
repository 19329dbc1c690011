//! Repair on a machine in memory: install, change disks, repair; every single effect failing, and power cuts. Disks that were
//! there keep every byte.

#![expect(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod machine;

use machine::Machine;
use plan::{Action, Plan};
use run::{Event, Outcome, install_state::Progress};
use system::{
    Mounted, System,
    failing::{Failing, Fault},
};

const NEW: [&str; 4] = [
    "0x50000000000000b1",
    "0x50000000000000b2",
    "0x50000000000000b3",
    "0x50000000000000b4",
];

/// An installed machine with these disks changed, and a permit to repair it.
fn changed(numbers: &[usize]) -> Machine {
    let mut machine = Machine::installed();
    for number in numbers {
        machine.change_disk(*number, NEW[*number]);
    }
    machine.permit_repair("repair-1");
    machine
}

/// Everything is as after an install on the disks that are there now.
fn assert_repaired(machine: &Machine, numbers: &[usize]) {
    machine.assert_untouched();
    machine.reboot();
    let plan = machine.repair_plan().unwrap();
    assert_eq!(plan.steps, [], "{:?}", plan.notes);
    let state = machine.install_state().unwrap();
    assert_eq!(state.state, Progress::Installed);
    let repair = state.repairs.last().unwrap();
    assert!(repair.done);
    let new: Vec<_> = repair.replaced.iter().map(|pair| &pair.new).collect();
    let expected: Vec<_> = numbers
        .iter()
        .map(|number| machine.id_at(*number))
        .collect();
    assert_eq!(new, expected.iter().collect::<Vec<_>>());

    let record: Plan = serde_json::from_slice(&machine.state_file("/plan.json").unwrap()).unwrap();
    for number in 0..4 {
        assert_eq!(record.disks[number].id, machine.id_at(number));
    }
    let array = machine.leave_array_running();
    let degraded = machine
        .simulated
        .read(
            format!("/sys/class/block/{array}/md/degraded")
                .as_str()
                .into(),
        )
        .unwrap();
    assert_eq!(degraded, b"0\n");
    assert_eq!(machine.slot_a(), machine.image);
    for step in &record.steps {
        let Action::MakeFileSystem { kind, uuid, .. } = &step.action else {
            continue;
        };
        if kind == "vfat" {
            let file = |path: &str| machine.simulated.file_on(uuid, path).unwrap();
            assert_eq!(file("/rackwright/a/vmlinuz"), b"kernel");
            assert_eq!(file("/rackwright/a/initrd.zst"), b"initrd");
            assert_eq!(file("/grub/grubenv").len(), 1024);
            let menu = String::from_utf8(file("/grub/grub.cfg")).unwrap();
            assert!(menu.contains(&run::grub::volume_id(uuid)), "{menu}");
        }
    }
    machine.simulated.allow_writes(&[], &[]);
    let import = system::Command::new("zpool").args(["import", "tank"]);
    machine.simulated.run(&import).unwrap();
    let leaves = run::pools::leaves(&machine.simulated, "tank").unwrap();
    let states: Vec<&str> = leaves.iter().map(|leaf| leaf.state.as_str()).collect();
    assert_eq!(states, ["ONLINE", "ONLINE"]);
}

#[test]
fn a_changed_disk_is_brought_back_and_nothing_else() {
    for numbers in [&[0][..], &[1], &[2], &[3], &[0, 2], &[1, 3]] {
        let machine = changed(numbers);
        let kept: Vec<usize> = (0..4).filter(|number| !numbers.contains(number)).collect();
        let before: Vec<_> = kept
            .iter()
            .map(|number| machine.content_at(*number))
            .collect();
        let plan = machine.repair_plan().unwrap();
        let destroys: Vec<_> = plan.destroys().into_iter().collect();
        let mut expected: Vec<_> = numbers
            .iter()
            .map(|number| machine.id_at(*number))
            .collect();
        expected.sort();
        assert_eq!(destroys, expected);
        let (outcome, events) = machine.execute_plan(&plan, &machine.simulated);
        assert_eq!(outcome, Outcome::Done, "{events:#?}");
        let Some(Event::Ended { message, .. }) = events.last() else {
            panic!("{events:#?}")
        };
        assert!(message.starts_with("`mail1` is repaired"), "{message}");
        let after: Vec<_> = kept
            .iter()
            .map(|number| machine.content_at(*number))
            .collect();
        assert!(
            before == after,
            "{numbers:?}: a disk that was there was written"
        );
        assert!(machine.simulated.mounts().is_empty());
        assert_repaired(&machine, numbers);
    }
}

#[test]
fn the_commands_of_a_repair() {
    let machine = changed(&[0, 2]);
    let plan = machine.repair_plan().unwrap();
    let before = machine.simulated.commands().len();
    machine.execute_plan(&plan, &machine.simulated);
    insta::assert_snapshot!(machine.simulated.commands()[before..].join("\n"));
}

#[test]
fn nothing_missing_is_nothing_to_do() {
    let machine = changed(&[]);
    let before = machine.contents();
    let plan = machine.repair_plan().unwrap();
    assert_eq!(plan.steps, []);
    assert_eq!(
        plan.notes,
        ["nothing is missing: all 4 disks of the installed system are there"]
    );
    assert_eq!(machine.contents(), before);
    machine.assert_untouched();
}

#[test]
fn a_permit_repairs_once_and_does_not_install() {
    let mut machine = changed(&[0]);
    let (outcome, events) = machine.execute(&machine.simulated);
    assert_eq!(outcome, Outcome::Refused, "{events:#?}");
    machine.context.permit.as_mut().unwrap().task = None;
    let plan = machine.repair_plan().unwrap();
    assert_eq!(
        machine.execute_plan(&plan, &machine.simulated).0,
        Outcome::Refused
    );
    machine.permit_repair("repair-1");
    assert_eq!(
        machine.execute_plan(&plan, &machine.simulated).0,
        Outcome::Done
    );
    machine.reboot();
    machine.change_disk(1, NEW[1]);
    let plan = machine.repair_plan().unwrap();
    let before = machine.contents();
    let (outcome, events) = machine.execute_plan(&plan, &machine.simulated);
    assert_eq!(outcome, Outcome::Refused);
    let Some(Event::Ended { message, .. }) = events.last() else {
        panic!("{events:#?}")
    };
    assert!(
        message.starts_with("already repaired with this permit (`repair-1`)"),
        "{message}"
    );
    assert_eq!(machine.contents(), before);
    machine.permit_repair("repair-2");
    assert_eq!(
        machine.execute_plan(&plan, &machine.simulated).0,
        Outcome::Done
    );
    assert_repaired(&machine, &[1]);
}

#[test]
fn an_unfinished_install_and_no_install_are_refused() {
    let machine = changed(&[0]);
    let mut state = machine.install_state().unwrap();
    state.state = Progress::Incomplete;
    machine.put_install_state(&state);
    let error = machine.repair_plan().unwrap_err();
    assert!(
        error.starts_with("the install of `mail1` did not finish"),
        "{error}"
    );

    let both = changed(&[0, 1]);
    let error = both.repair_plan().unwrap_err();
    assert!(
        error.starts_with("no installed system was found"),
        "{error}"
    );
    assert!(error.contains("storage.data = \"keep\""), "{error}");
}

#[test]
fn the_running_appliance_keeps_its_mounts_and_pools() {
    let mut machine = Machine::installed();
    let disks: Vec<String> = ["sda", "sdb", "sdc", "sdd"].map(str::to_owned).to_vec();
    machine.leave_array_running();
    machine.simulated.allow_writes(&disks, &disks);
    let state = machine.state_node();
    let mounted = Mounted::new(
        &machine.simulated,
        state.as_str().into(),
        "/state".into(),
        "ext4",
        false,
        "",
    )
    .map(std::mem::ManuallyDrop::new);
    assert!(mounted.is_ok());
    drop(mounted);
    let import = system::Command::new("zpool").args(["import", "tank"]);
    machine.simulated.run(&import).unwrap();
    machine.change_disk(0, NEW[0]);
    machine.change_disk(3, NEW[3]);
    machine.context.permit = None;
    let plan = machine.repair_plan().unwrap();
    let (outcome, events) = machine.execute_plan(&plan, &machine.simulated);
    assert_eq!(outcome, Outcome::Done, "{events:#?}");
    assert_eq!(machine.simulated.mounts(), ["/state"]);
    let list = system::Command::new("zpool").args(["list", "-H", "-o", "name", "tank"]);
    machine.simulated.run(&list).unwrap();
    let commands = machine.simulated.commands().join("\n");
    assert_eq!(commands.matches("zpool export").count(), 1, "{commands}");
    assert_repaired(&machine, &[0, 3]);
}

/// Fails effect N for every N, then repairs again.
fn fail_every_effect(numbers: &[usize], fault: fn(u64) -> Fault) {
    let machine = changed(numbers);
    let counting = Failing::new(&machine.simulated, Fault::Never);
    let plan = machine.repair_plan().unwrap();
    assert_eq!(machine.execute_plan(&plan, &counting).0, Outcome::Done);
    let effects = match fault(0) {
        Fault::From(_) => counting.changes(),
        _ => counting.count(),
    };
    assert!(effects > 30, "{effects}");
    for number in 0..effects {
        let machine = changed(numbers);
        let kept: Vec<usize> = (0..4).filter(|disk| !numbers.contains(disk)).collect();
        let content = || -> Vec<_> { kept.iter().map(|disk| machine.content_at(*disk)).collect() };
        let before = content();
        let plan = machine.repair_plan().unwrap();
        let failing = Failing::new(&machine.simulated, fault(number));
        let (outcome, events) = machine.execute_plan(&plan, &failing);
        machine.assert_untouched();
        assert!(content() == before, "effect {number}");
        if outcome != Outcome::Done {
            let told = events
                .iter()
                .any(|event| matches!(event, Event::Failed { .. }));
            assert!(
                told || outcome == Outcome::Refused,
                "effect {number}: {events:#?}"
            );
            machine.reboot();
            let again = machine.repair_plan().unwrap();
            // The record is written before the repair is marked as done; between the two nothing is left to do.
            if !again.steps.is_empty() {
                assert_eq!(again.digest(), plan.digest(), "effect {number}");
                let (outcome, events) = machine.execute_plan(&again, &machine.simulated);
                assert_eq!(outcome, Outcome::Done, "after effect {number}: {events:#?}");
            } else {
                let mut state = machine.install_state().unwrap();
                state
                    .repairs
                    .iter_mut()
                    .for_each(|repair| repair.done = true);
                machine.put_install_state(&state);
            }
        }
        assert!(content() == before, "after effect {number}");
        assert_repaired(&machine, numbers);
    }
}

#[test]
fn every_effect_fails_once_os() {
    fail_every_effect(&[0], Fault::Once);
}

#[test]
fn every_effect_fails_once_data() {
    fail_every_effect(&[2], Fault::Once);
}

#[test]
fn the_power_goes_before_every_change() {
    fail_every_effect(&[1, 3], Fault::From);
}
