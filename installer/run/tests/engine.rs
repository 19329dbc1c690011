//! The engine on a machine in memory: a whole install, every single effect failing, power cuts, and what must never happen.

#![expect(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod machine;

use machine::{Machine, PERMIT};
use run::{
    Event, Outcome,
    install_state::{InstallState, Progress},
};
use system::{
    System,
    failing::{Failing, Fault},
};

#[test]
fn a_whole_install() {
    let machine = Machine::new();
    let (outcome, events) = machine.execute(&machine.simulated);
    assert_eq!(outcome, Outcome::Done, "{events:#?}");
    machine.assert_untouched();
    let state = machine.install_state().unwrap();
    assert_eq!(state.state, Progress::Unproven);
    assert_eq!(state.permit.as_deref(), Some(PERMIT));
    assert_eq!(state.slots["a"].sha256, machine.image_digest());
    assert_eq!(
        machine.state_file("/node.toml").unwrap(),
        machine.context.node_file.as_bytes()
    );
    assert_eq!(machine.state_file("/hostid").unwrap(), b"0a1b2c3d\n");
    assert_eq!(
        machine.state_file("/ssh/ssh_host_ed25519_key").unwrap(),
        b"private"
    );
    assert_eq!(machine.slot_a(), machine.image);
    for esp in ["aaaa0001", "aaaa0002"] {
        let file = |path: &str| machine.simulated.file_on(esp, path);
        assert_eq!(file("/rackwright/a/vmlinuz").unwrap(), b"kernel");
        assert_eq!(file("/rackwright/a/initrd.zst").unwrap(), b"initrd");
        assert_eq!(file("/EFI/BOOT/grubx64.efi"), file("/EFI/BOOT/BOOTX64.EFI"));
        let menu = String::from_utf8(file("/grub/grub.cfg").unwrap()).unwrap();
        let volume = format!("AAAA-{}", &esp[4..]);
        assert!(
            menu.contains(&format!(
                "search --no-floppy --fs-uuid --set=root {volume}\n"
            )),
            "{menu}"
        );
    }
    assert!(machine.simulated.mounts().is_empty());
    let started = events
        .iter()
        .filter(|event| matches!(event, Event::Started { .. }))
        .count();
    assert_eq!(started, machine.plan.steps.len());
    // Commands, in order, are part of what people sign off.
    insta::assert_snapshot!(machine.simulated.commands().join("\n"));
}

#[test]
fn a_second_run_with_the_same_permit_writes_nothing() {
    let machine = Machine::new();
    assert_eq!(machine.execute(&machine.simulated).0, Outcome::Done);
    for state in [Progress::Unproven, Progress::Installed] {
        let mut file = machine.install_state().unwrap();
        file.state = state;
        machine.put_install_state(&file);
        machine.reboot();
        let before = machine.contents();
        let (outcome, events) = machine.execute(&machine.simulated);
        assert_eq!(outcome, Outcome::Refused, "{events:#?}");
        let Some(Event::Ended { message, .. }) = events.last() else {
            panic!("{events:#?}")
        };
        assert!(
            message.starts_with("already installed with this permit"),
            "{message}"
        );
        assert_eq!(machine.contents(), before);
        machine.assert_untouched();
        assert!(machine.simulated.mounts().is_empty());
    }
}

#[test]
fn a_new_permit_installs_again() {
    let mut machine = Machine::new();
    assert_eq!(machine.execute(&machine.simulated).0, Outcome::Done);
    machine.reboot();
    machine.context.permit.as_mut().unwrap().id = "another".into();
    let (outcome, events) = machine.execute(&machine.simulated);
    assert_eq!(outcome, Outcome::Done, "{events:#?}");
    assert_eq!(
        machine.install_state().unwrap().permit.as_deref(),
        Some("another")
    );
    let skipped = events
        .iter()
        .any(|event| matches!(event, Event::Skipped { .. }));
    assert!(!skipped, "a finished install must not be resumed");
    machine.assert_untouched();
}

#[test]
fn refused_before_the_first_write() {
    type Change = fn(&mut Machine);
    let table: &[(Change, &str)] = &[
        (
            |machine| machine.context.inventory.board.serial = Some("ZM2".into()),
            "the permit is for board `ZM1`, this is board `ZM2`",
        ),
        (
            |machine| machine.context.permit.as_mut().unwrap().plan = Some("0123".into()),
            "the permit is for plan `0123`, this machine gives plan",
        ),
        (
            |machine| machine.context.inventory.disks[1].boot_medium = true,
            "disk `wwn-0x5000000000000002` of the plan is the boot medium or write-protected",
        ),
        (
            |machine| {
                machine.context.inventory.disks.remove(0);
            },
            "disk `wwn-0x5000000000000001` of the plan is not in this machine",
        ),
        (
            |machine| {
                machine.plan.steps.pop();
            },
            "the plan does not end with its one `finish-install` or `finish-repair` step",
        ),
        (
            |machine| {
                machine.simulated.answer(
                    "mdadm --examine",
                    Err("mdadm: cannot open: Input/output error"),
                )
            },
            "cannot tell whether this permit was used before",
        ),
    ];
    for (change, expected) in table {
        let mut machine = Machine::new();
        assert_eq!(machine.execute(&machine.simulated).0, Outcome::Done);
        machine.reboot();
        machine.context.permit.as_mut().unwrap().id = "new".into();
        change(&mut machine);
        let before = machine.contents();
        let (outcome, events) = machine.execute(&machine.simulated);
        assert_eq!(outcome, Outcome::Refused, "{expected}: {events:#?}");
        let Some(Event::Ended { message, .. }) = events.last() else {
            panic!("{events:#?}")
        };
        assert!(message.starts_with(expected), "{message}");
        assert_eq!(machine.contents(), before, "{expected}");
    }
}

/// Fails effect N for every N, once as an error and once as a power cut, and installs again afterwards.
fn fail_every_effect(fault: fn(u64) -> Fault, part: u64, parts: u64) {
    let machine = Machine::new();
    let counting = Failing::new(&machine.simulated, Fault::Never);
    assert_eq!(machine.execute(&counting).0, Outcome::Done);
    let effects = match fault(0) {
        Fault::From(_) => counting.changes(),
        _ => counting.count(),
    };
    assert!(effects > 100, "{effects}");
    for number in (0..effects).filter(|number| number % parts == part) {
        let machine = Machine::new();
        let failing = Failing::new(&machine.simulated, fault(number));
        let (outcome, events) = machine.execute(&failing);
        machine.assert_untouched();
        let last = machine.plan.steps.last().unwrap();
        let finishing = events
            .iter()
            .any(|event| matches!(event, Event::Started { step } if *step == last.id));
        if let Some(state) = machine.install_state() {
            assert!(
                finishing || state.state == Progress::Incomplete,
                "effect {number}: {state:?}"
            );
        }
        if outcome == Outcome::Done {
            // Only what is retried, or only asked, may fail without an end.
            assert!(
                matches!(fault(number), Fault::Once(_)),
                "effect {number}: {events:#?}"
            );
            assert_eq!(machine.slot_a(), machine.image);
            assert_eq!(machine.install_state().unwrap().state, Progress::Unproven);
            continue;
        }
        let told = events
            .iter()
            .any(|event| matches!(event, Event::Failed { .. }));
        assert!(
            told || outcome == Outcome::Refused,
            "effect {number}: {events:#?}"
        );

        machine.reboot();
        let (outcome, events) = machine.execute(&machine.simulated);
        let spent = outcome == Outcome::Refused
            && finishing
            && machine.install_state().unwrap().state == Progress::Unproven;
        assert!(
            outcome == Outcome::Done || spent,
            "after effect {number}: {events:#?}"
        );
        machine.assert_untouched();
        assert_eq!(machine.slot_a(), machine.image, "after effect {number}");
        assert_eq!(machine.install_state().unwrap().state, Progress::Unproven);
    }
}

#[test]
fn every_effect_fails_once_even() {
    fail_every_effect(Fault::Once, 0, 2);
}

#[test]
fn every_effect_fails_once_odd() {
    fail_every_effect(Fault::Once, 1, 2);
}

#[test]
fn the_power_goes_at_every_effect_even() {
    fail_every_effect(Fault::From, 0, 2);
}

#[test]
fn the_power_goes_at_every_effect_odd() {
    fail_every_effect(Fault::From, 1, 2);
}

#[test]
fn an_interrupted_install_goes_on_where_it_was() {
    let machine = Machine::new();
    machine
        .simulated
        .answer("zfs create", Err("cannot create: out of space"));
    let (outcome, events) = machine.execute(&machine.simulated);
    assert_eq!(outcome, Outcome::Failed);
    let Some(Event::Failed { error, .. }) = events
        .iter()
        .find(|event| matches!(event, Event::Failed { .. }))
    else {
        panic!("{events:#?}")
    };
    assert!(
        error.ends_with("ended with exit code 1\ncannot create: out of space"),
        "{error}"
    );
    assert_eq!(machine.install_state().unwrap().state, Progress::Incomplete);
    machine.reboot();
    machine.simulated.swap_names("sda", "sdb");
    let mut again = machine;
    again.swap_inventory_names();
    again.simulated.forget_answers();
    let (outcome, events) = again.execute(&again.simulated);
    assert_eq!(outcome, Outcome::Done, "{events:#?}");
    let skipped: Vec<&str> = events
        .iter()
        .filter_map(|event| match event {
            Event::Skipped { step, .. } => Some(step.as_str()),
            _ => None,
        })
        .collect();
    // Ten before the state file system, the image, two tables and the pool.
    assert_eq!(skipped.len(), 14, "{skipped:?}");
    again.assert_untouched();
    assert_eq!(again.slot_a(), again.image);
}

#[test]
fn an_interrupted_install_of_another_plan_is_not_gone_on_with() {
    let mut machine = Machine::new();
    let cancelled = machine.execute_until(&machine.simulated, "begin");
    assert_eq!(cancelled.0, Outcome::Cancelled);
    assert_eq!(machine.install_state().unwrap().state, Progress::Incomplete);
    machine.reboot();
    machine.plan.node = "renamed".into();
    let (outcome, events) = machine.execute(&machine.simulated);
    assert_eq!(outcome, Outcome::Done);
    assert!(
        !events
            .iter()
            .any(|event| matches!(event, Event::Skipped { .. }))
    );
}

#[test]
fn traces_that_do_not_hold_mean_starting_anew() {
    let machine = Machine::new();
    assert_eq!(
        machine.execute_until(&machine.simulated, "bootable").0,
        Outcome::Cancelled
    );
    machine.reboot();
    // The slot was changed behind our back.
    machine.corrupt_slot();
    let (outcome, events) = machine.execute(&machine.simulated);
    assert_eq!(outcome, Outcome::Done, "{events:#?}");
    let warned = events.iter().any(
        |event| matches!(event, Event::Warned { message, .. } if message.contains("starting anew: it is not as it was left")),
    );
    assert!(warned, "{events:#?}");
    assert_eq!(machine.slot_a(), machine.image);
}

#[test]
fn a_bad_root_image_leaves_the_slot_unbootable() {
    type Change = fn(&mut Machine);
    let table: &[(Change, &str)] = &[
        (
            |machine| machine.shrink_medium(),
            "the root image on `/dev/sdm` has 1048576 bytes, not 1118208",
        ),
        (
            |machine| machine.simulated.put("sdm", 1_100_000, b"flipped"),
            "the root image on the medium has sha256",
        ),
        (
            |machine| machine.simulated.put("sdm", 0, b"flipped"),
            "the root image on the medium has sha256",
        ),
    ];
    for (change, expected) in table {
        let mut machine = Machine::new();
        change(&mut machine);
        machine.remember_medium();
        let (outcome, events) = machine.execute(&machine.simulated);
        assert_eq!(outcome, Outcome::Failed);
        let Some(Event::Failed { error, hint, .. }) = events
            .iter()
            .find(|event| matches!(event, Event::Failed { .. }))
        else {
            panic!("{events:#?}")
        };
        assert!(error.starts_with(expected), "{error}");
        assert!(
            hint.as_ref().unwrap().contains("write it again"),
            "{hint:?}"
        );
        assert!(machine.slot_a()[..1 << 20].iter().all(|byte| *byte == 0));
        assert_eq!(machine.install_state().unwrap().state, Progress::Incomplete);
        machine.assert_untouched();
    }
}

#[test]
fn a_disk_that_was_exchanged_is_not_written() {
    let machine = Machine::new();
    machine.simulated.swap_names("sda", "sdz");
    let before = machine.contents();
    let (outcome, events) = machine.execute(&machine.simulated);
    assert_eq!(outcome, Outcome::Failed);
    let Some(Event::Failed { error, .. }) = events
        .iter()
        .find(|event| matches!(event, Event::Failed { .. }))
    else {
        panic!("{events:#?}")
    };
    assert_eq!(
        error,
        "`sda` is not disk `wwn-0x5000000000000001` any more: its name is `0x50000000000000ff`, not `0x5000000000000001`"
    );
    assert_eq!(machine.contents(), before);
}

#[test]
fn a_disk_that_is_pulled_on_the_way_ends_the_install() {
    let machine = Machine::new();
    let mut failed = None;
    let outcome = run::execute(
        &machine.plan,
        &machine.context,
        &machine.simulated,
        &mut |event| match event {
            Event::Started { step } if step.ends_with("finish") => {
                machine.simulated.remove_disk("sdb");
            }
            Event::Failed { error, hint, .. } => failed = Some((error, hint)),
            _ => {}
        },
        &mut || Ok(()),
        &|| false,
    );
    assert_eq!(outcome, Outcome::Failed);
    let (error, _hint) = failed.unwrap();
    assert_eq!(
        error,
        "`sdb` is not disk `wwn-0x5000000000000002` any more: it is gone"
    );
    let state = machine.install_state().unwrap();
    assert_eq!(state.state, run::install_state::Progress::Incomplete);
}

#[test]
fn a_mounted_disk_and_a_foreign_array_are_refused() {
    let machine = Machine::new();
    assert_eq!(
        machine.execute_until(&machine.simulated, "begin").0,
        Outcome::Cancelled
    );
    machine.reboot();
    let mut other = machine;
    other.plan.node = "renamed".into();
    other.leave_array_running();
    let disks: Vec<String> = ["sda", "sdb", "sdc", "sdd"].map(str::to_owned).to_vec();
    other.simulated.allow_writes(&disks, &disks);
    let state = other.state_node();
    other
        .simulated
        .mount(state.as_str().into(), "/mnt".into(), "ext4", false, "")
        .unwrap();
    let (outcome, events) = other.execute(&other.simulated);
    assert_eq!(outcome, Outcome::Failed);
    let shown = format!("{events:?}");
    assert!(shown.contains("is mounted at `/mnt`"), "{shown}");
    other.simulated.unmount("/mnt".into()).unwrap();
    let (outcome, events) = other.execute(&other.simulated);
    assert_eq!(outcome, Outcome::Done, "{events:#?}");
    other.assert_untouched();
}

#[test]
fn holders_are_stopped_from_the_top_down() {
    let mut machine = Machine::installed();
    machine.leave_array_running();
    machine.simulated.add_mapping("dm-0", &["md127p4"]);
    machine.simulated.add_mapping("dm-1", &["dm-0"]);
    machine.context.permit.as_mut().unwrap().id = "another".into();
    let before = machine.simulated.commands().len();
    let (outcome, events) = machine.execute(&machine.simulated);
    assert_eq!(outcome, Outcome::Done, "{events:#?}");
    let commands = machine.simulated.commands();
    let stops: Vec<&str> = commands[before..]
        .iter()
        .map(String::as_str)
        .filter(|line| line.starts_with("dmsetup") || line.starts_with("mdadm --stop"))
        .collect();
    assert_eq!(
        stops,
        [
            "dmsetup remove --retry /dev/dm-1",
            "dmsetup remove --retry /dev/dm-0",
            "mdadm --stop /dev/md127",
        ]
    );
    machine.assert_untouched();
}

#[test]
fn a_mapped_device_that_lies_on_a_foreign_disk_is_refused() {
    let mut machine = Machine::installed();
    machine.simulated.add_mapping("dm-0", &["sda", "sdz"]);
    machine.context.permit.as_mut().unwrap().id = "another".into();
    let before = machine.contents();
    let (outcome, events) = machine.execute(&machine.simulated);
    assert_eq!(outcome, Outcome::Failed);
    let shown = format!("{events:?}");
    assert!(
        shown.contains("`/dev/dm-0` lies also on `/dev/sdz`, which is not part of this plan"),
        "{shown}"
    );
    assert_eq!(machine.contents(), before);
}

#[test]
fn a_second_path_of_the_same_disk_is_not_foreign() {
    let mut machine = Machine::installed();
    let second = machine.context.inventory.disks[5].paths[0].clone();
    machine.context.inventory.disks[0].paths.push(second);
    machine.simulated.add_mapping("dm-0", &["sda", "sdz"]);
    machine.context.permit.as_mut().unwrap().id = "another".into();
    let (outcome, events) = machine.execute(&machine.simulated);
    assert_eq!(outcome, Outcome::Done, "{events:#?}");
    machine.assert_untouched();
}

#[test]
fn install_json_reads_back() {
    let machine = Machine::new();
    machine.execute(&machine.simulated);
    let file = machine.state_file("/install.json").unwrap();
    let text = String::from_utf8(file).unwrap();
    let state: InstallState = serde_json::from_str(&text).unwrap();
    insta::assert_snapshot!(
        text.replace(&state.plan, "DIGEST")
            .replace(&machine.image_digest(), "SHA256")
    );
}

#[test]
fn the_last_word_is_asked_before_the_first_write_and_only_where_all_else_allows_it() {
    let machine = Machine::new();
    let before = machine.contents();
    let asked = std::cell::Cell::new(0);
    let mut messages = Vec::new();
    let mut attempt = |answer: Result<(), String>| {
        run::execute(
            &machine.plan,
            &machine.context,
            &machine.simulated,
            &mut |event| {
                if let Event::Ended { message, .. } = event {
                    messages.push(message);
                }
            },
            &mut || {
                asked.set(asked.get() + 1);
                answer.clone()
            },
            &|| false,
        )
    };
    assert_eq!(attempt(Err("somebody said no".into())), Outcome::Refused);
    assert_eq!(machine.contents(), before);
    assert_eq!(attempt(Ok(())), Outcome::Done);
    assert_eq!(asked.get(), 2);
    // The permit is spent: nobody has to be asked.
    assert_eq!(attempt(Ok(())), Outcome::Refused);
    assert_eq!(asked.get(), 2);
    assert_eq!(messages[0], "somebody said no");
}
