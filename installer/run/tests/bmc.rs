//! The BMC's step of an install on a machine in memory with a BMC in memory.

#![expect(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod machine;

use std::sync::{Arc, Mutex};

use firmware::bmc::simulated::{Fault, Simulated as Bmc};
use machine::Machine;
use plan::{Action, Check, Step};
use roles::wiring::BmcSettings;
use run::{Event, Outcome};
use system::{
    Recorded, System,
    failing::{Failing, Fault as SystemFault},
};

const PASSWORD: &str = "correct horse ba";

fn settings() -> BmcSettings {
    BmcSettings {
        address: Some("10.77.10.111/24".into()),
        gateway: Some("10.77.10.1".into()),
        vlan: Some(10),
        mode: Some("dedicated".into()),
        user: Some("rackwright".into()),
    }
}

/// A machine whose plan begins with its BMC.
fn machine(bmc: Bmc, password: Option<&str>) -> (Machine, Arc<Mutex<Bmc>>) {
    let mut machine = Machine::new();
    let step = Step {
        id: "00-bmc".into(),
        title: "set up the BMC".into(),
        destroys: vec![],
        done_when: Check::Bmc {
            settings: settings(),
        },
        action: Action::ConfigureBmc {
            settings: settings(),
        },
    };
    machine.plan.steps.insert(0, step);
    let bmc = Arc::new(Mutex::new(bmc));
    let inside = Arc::clone(&bmc);
    machine.simulated.add_bmc(move |function, command, data| {
        inside.lock().unwrap().answer(function, command, data)
    });
    if let Some(password) = password {
        machine
            .simulated
            .put_file("/run/rackwright/secrets/bmc", password.as_bytes());
    }
    (machine, bmc)
}

fn said(events: &[Event]) -> Vec<String> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::Warned { message, .. } => Some(message.clone()),
            Event::Failed { error, hint, .. } => {
                Some(format!("{error}; {}", hint.clone().unwrap_or_default()))
            }
            _ => None,
        })
        .collect()
}

#[test]
fn an_install_sets_up_the_bmc() {
    let (machine, bmc) = machine(Bmc::x10(), Some(PASSWORD));
    let recorded = Recorded::new(machine.simulated.clone());
    let (outcome, events) = machine.execute(&recorded);
    assert_eq!(outcome, Outcome::Done, "{events:#?}");
    machine.assert_untouched();
    let bmc = bmc.lock().unwrap();
    assert_eq!(bmc.lan[&3], [10, 77, 10, 111]);
    assert_eq!((bmc.users[2].name.as_str(), bmc.mode), ("rackwright", 0));
    // No password in an event, the journal, a command, or what a recording system writes down.
    let journal = machine.state_file("/journal.jsonl").unwrap();
    let all = format!(
        "{events:?}{}{:?}{}{}",
        recorded.lines().join("\n"),
        machine.simulated.commands(),
        String::from_utf8_lossy(&journal),
        serde_json::to_string(&machine.plan).unwrap()
    );
    assert!(all.contains("ipmi 0x06/0x47") && !all.contains("correct horse"));
}

/// Doing it again writes nothing: only questions.
#[test]
fn what_is_as_wanted_is_not_written() {
    let (machine, bmc) = machine(Bmc::x10(), Some(PASSWORD));
    assert_eq!(machine.execute(&machine.simulated).0, Outcome::Done);
    bmc.lock().unwrap().requests.clear();
    let settings = settings();
    let (_, left) = run::bmc::look(&machine.simulated, &settings).unwrap();
    assert!(left.is_none());
    assert_eq!(
        bmc.lock()
            .unwrap()
            .requests
            .iter()
            .filter(|(f, c, data)| {
                matches!((f, c), (6, 0x40 | 0x43 | 0x45 | 0x4c) | (0x0c, 0x01 | 0x21))
                    || ((*f, *c) == (6, 0x47) && data[1] != 3)
            })
            .count(),
        0
    );
}

/// It fails before any disk is touched.
#[test]
fn a_bmc_that_refuses_stops_the_install_before_the_first_write() {
    let mut refusing = Bmc::x10();
    refusing.fault(0x0c, 0x01, Fault::Code(0xd4), u32::MAX);
    let mut forgetful = Bmc::x10();
    forgetful.fault(0x06, 0x45, Fault::Ignore, u32::MAX);
    let mut silent = Bmc::x10();
    silent.fault(0x06, 0x01, Fault::Silent, u32::MAX);
    let mut busy = Bmc::x10();
    busy.fault(0x06, 0x01, Fault::Code(0xc0), u32::MAX);
    let mut full = Bmc::x10();
    for user in &mut full.users {
        user.name = "someone".into();
    }
    let mut lines = Vec::new();
    for (bmc, password) in [
        (refusing, PASSWORD),
        (forgetful, PASSWORD),
        (silent, PASSWORD),
        (busy, PASSWORD),
        (full, PASSWORD),
        (Bmc::x10(), "a password that is too long"),
    ] {
        let (machine, _) = machine(bmc, Some(password));
        let before = machine.contents();
        let (outcome, events) = machine.execute(&machine.simulated);
        assert_eq!(outcome, Outcome::Failed);
        assert!(machine.contents() == before, "a disk was written");
        lines.extend(said(&events));
    }
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn without_a_password_the_rest_is_set_and_said() {
    let (machine, bmc) = machine(Bmc::x10(), None);
    let (outcome, events) = machine.execute(&machine.simulated);
    assert_eq!(outcome, Outcome::Done, "{events:#?}");
    assert_eq!(bmc.lock().unwrap().lan[&3], [10, 77, 10, 111]);
    assert_eq!(bmc.lock().unwrap().users[2].name, "");
    assert_eq!(
        said(&events),
        [
            "BMC: fail: account `ADMIN` still has the factory's password, which everyone knows, and no password was delivered",
            "BMC: user `rackwright` is not made: no password was delivered for it",
        ]
    );
}

/// A busy BMC is waited for, in the machine's own time.
#[test]
fn a_busy_bmc_is_waited_for() {
    let mut bmc = Bmc::x10();
    bmc.fault(0x06, 0x44, Fault::Code(0xc0), 5);
    let (machine, _) = machine(bmc, Some(PASSWORD));
    let before = machine.simulated.now();
    assert_eq!(machine.execute(&machine.simulated).0, Outcome::Done);
    assert!(machine.simulated.now() - before > std::time::Duration::from_millis(1500));
}

/// Whatever request to the BMC fails once: the install ends before its first write, and runs the next time.
#[test]
fn every_request_failing_once() {
    let (machine_, _) = machine(Bmc::x10(), Some(PASSWORD));
    let counting = Failing::new(&machine_.simulated, SystemFault::Never);
    machine_.execute_until(&counting, "bmc");
    let most = counting.count();
    assert!(most > 100, "{most}");
    // Every seventh, from a start that is no multiple: all kinds of requests are met.
    for number in (0..most).step_by(7) {
        let (machine, bmc) = machine(Bmc::x10(), Some(PASSWORD));
        let failing = Failing::new(&machine.simulated, SystemFault::Once(number));
        let (first, events) = machine.execute_until(&failing, "bmc");
        assert_ne!(first, Outcome::Done, "{events:#?}");
        let (second, events) = machine.execute(&machine.simulated);
        assert_eq!(second, Outcome::Done, "effect {number}: {events:#?}");
        assert_eq!(bmc.lock().unwrap().users[2].name, "rackwright");
        machine.assert_untouched();
    }
}
