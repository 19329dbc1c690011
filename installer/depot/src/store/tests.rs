use proptest::prelude::*;
use run::event::{Event, Outcome, Record};

use super::told::{append, events_file};
use super::*;
use crate::wire::{Bundle, Events, Health, Secret, Spend};

const NODE: &str = "db1";
const BOARD: &str = "ZM1";

fn known() -> Vec<Known> {
    let machine = |node: &str, serial: Option<&str>, mac: &str| Known {
        node: node.to_owned(),
        role: "galera".to_owned(),
        place: None,
        facts: Facts {
            serial: serial.map(str::to_owned),
            bmc_mac: None,
            macs: [mac.to_owned()].into(),
        },
    };
    vec![
        machine(NODE, Some(BOARD), "02:00:00:00:00:01"),
        machine("db2", None, "02:00:00:00:00:02"),
    ]
}

fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
    (folder, path)
}

fn open(path: &Utf8Path) -> Store {
    Store::open(path, "mail", known()).unwrap()
}

fn hello(serial: &str, mac: &str) -> Hello {
    Hello {
        serial: Some(serial.to_owned()),
        bmc_mac: None,
        macs: [mac.to_owned()].into(),
        role: "galera".into(),
        version: "1".into(),
    }
}

fn one() -> Hello {
    hello(BOARD, "02:00:00:00:00:01")
}

const fn wish(on_sight: bool) -> Wish {
    Wish {
        keep_data: false,
        seconds: 3600,
        on_sight,
    }
}

fn print(number: u8) -> String {
    Secret::new([number; 32]).fingerprint()
}

fn spend(permit: &str, plan: &str) -> Spend {
    Spend {
        permit: permit.into(),
        plan: plan.into(),
        board: Some(BOARD.into()),
    }
}

fn record(sequence: u64, event: Event) -> Record {
    Record {
        sequence,
        at: sequence * 1000,
        event,
    }
}

fn install() -> Vec<Record> {
    vec![
        record(
            0,
            Event::Planned {
                node: NODE.into(),
                digest: "plan".into(),
                steps: vec![
                    ("wipe".into(), "wipe disk".into()),
                    ("write".into(), "write the root image".into()),
                ],
            },
        ),
        record(
            1,
            Event::Started {
                step: "write".into(),
            },
        ),
        record(
            2,
            Event::Progress {
                step: "write".into(),
                done: 50,
                total: 100,
                unit: "bytes".into(),
            },
        ),
    ]
}

fn ended(outcome: Outcome) -> Record {
    record(
        3,
        Event::Ended {
            outcome,
            message: "`db1` is installed".into(),
        },
    )
}

fn of(store: &Store, now: u64, node: &str) -> view::Machine {
    let machines = store.rack(now).machines;
    machines.into_iter().find(|one| one.node == node).unwrap()
}

#[test]
fn from_hello_to_healthy_and_through_a_restart() {
    let (_kept, path) = folder();
    let store = open(&path);
    // No permit: nothing is said, and an operator sees who asks.
    assert_eq!(store.hello(1, &print(1), &one(), "a").unwrap(), Met::Wait);
    assert_eq!(store.rack(1).strangers[0].guess.as_deref(), Some(NODE));
    assert_eq!(
        store.approve(2, NODE, &print(1)).unwrap_err().to_string(),
        "`db1` has no permit\nhint: `rackwright arm db1` first, then compare the fingerprints"
    );
    let permit = store.arm(2, NODE, "p1", wish(false)).unwrap();
    assert!(store.may_install(2, NODE) && !store.may_install(2, "db2"));
    assert_eq!(store.hello(3, &print(1), &one(), "a").unwrap(), Met::Wait);
    store.approve(4, NODE, &print(1)).unwrap();
    assert_eq!(
        store.hello(5, &print(1), &one(), "a").unwrap(),
        Met::Granted {
            node: NODE.into(),
            permit
        }
    );
    assert!(store.rack(5).strangers.is_empty());
    // An answer that was lost is asked for again.
    store.spend(6, &print(1), &spend("p1", "plan")).unwrap();
    store.spend(6, &print(1), &spend("p1", "plan")).unwrap();
    assert!(store.spend(6, &print(1), &spend("p1", "other")).is_err());
    let mut events = Events {
        from: 0,
        records: install(),
    };
    assert_eq!(store.events(7, &print(1), &events).unwrap(), 3);
    drop(store);

    let store = open(&path);
    let machine = of(&store, 8, NODE);
    assert_eq!(machine.phase, Phase::Installing);
    let step = machine.step.unwrap();
    assert_eq!((step.number, step.of, step.percent), (2, 2, 75));
    // The machine tells again what it is not sure of; nothing is taken twice, nothing is missed.
    events.records.push(ended(Outcome::Done));
    assert_eq!(store.events(9, &print(1), &events).unwrap(), 4);
    assert_eq!(store.events(9, &print(1), &events).unwrap(), 4);
    let late = Events {
        from: 6,
        records: install(),
    };
    assert_eq!(
        store.events(9, &print(1), &late).unwrap_err().to_string(),
        "events 4 and later are wanted"
    );
    let machine = of(&store, 9, NODE);
    assert_eq!(machine.phase, Phase::Installed);
    assert_eq!(machine.reports.len(), 1);
    let text = store.report(NODE, &machine.reports[0].name).unwrap();
    assert_eq!(String::from_utf8(text).unwrap().lines().count(), 4);
    assert_eq!(store.report(NODE, "../../depot.log"), None);
    let health = Health {
        healthy: true,
        unwell: BTreeMap::new(),
    };
    store.health(10, &print(1), &health).unwrap();
    assert_eq!(of(&store, 10, NODE).phase, Phase::Healthy);
    assert_eq!(
        store.news(),
        [
            (NODE.to_owned(), Phase::Installed),
            (NODE.to_owned(), Phase::Healthy)
        ]
    );
    // A second network boot: no permit, the local disk.
    assert!(!store.may_install(11, NODE));
    assert!(store.spend(11, &print(1), &spend("p1", "plan")).is_err());
}

#[test]
fn who_is_taken_on_sight() {
    for (serial, mac, role, taken) in [
        (BOARD, "02:00:00:00:00:01", "galera", true),
        // The board decides, not a card that was moved.
        (BOARD, "02:00:00:00:00:77", "galera", true),
        ("ZM9", "02:00:00:00:00:01", "galera", false),
        (BOARD, "02:00:00:00:00:01", "lb", false),
    ] {
        let (_kept, path) = folder();
        let store = open(&path);
        store.arm(1, NODE, "p1", wish(true)).unwrap();
        let mut hello = hello(serial, mac);
        hello.role = role.into();
        let met = store.hello(2, &print(1), &hello, "a").unwrap();
        assert_eq!(met != Met::Wait, taken, "{serial} {mac} {role}");
        // Only the first one.
        if taken {
            assert_eq!(store.hello(3, &print(2), &hello, "a").unwrap(), Met::Wait);
        }
    }
    // Without a board in the site file nobody is taken on sight.
    let (_kept, path) = folder();
    let store = open(&path);
    store.arm(1, "db2", "p1", wish(true)).unwrap();
    let hello = hello("ZM9", "02:00:00:00:00:02");
    assert_eq!(store.hello(2, &print(1), &hello, "a").unwrap(), Met::Wait);
    store.approve(3, "db2", &print(1)).unwrap();
    assert_eq!(of(&store, 3, "db2").board.as_deref(), Some("ZM9"));
}

#[test]
fn a_wrong_board_and_a_permit_that_is_over() {
    let (_kept, path) = folder();
    let store = open(&path);
    store.arm(1, NODE, "p1", wish(false)).unwrap();
    let other = hello("ZM9", "02:00:00:00:00:01");
    store.hello(2, &print(1), &other, "a").unwrap();
    assert_eq!(
        store.approve(2, NODE, &print(1)).unwrap_err().to_string(),
        "`db1` has board `ZM1` by the site file, this machine has `ZM9`\n\
         hint: correct `serial` in the site file, or look which machine you stand at"
    );
    store.hello(3, &print(2), &one(), "a").unwrap();
    store.approve(3, NODE, &print(2)).unwrap();
    let late = store.spend(3601, &print(2), &spend("p1", "plan"));
    assert_eq!(
        late.unwrap_err().to_string(),
        "the permit `p1` is not armed for this machine\nhint: `rackwright arm` it on the depot"
    );
    assert_eq!(of(&store, 3601, NODE).phase, Phase::New);
    assert_eq!(
        of(&store, 3601, NODE).line.as_deref(),
        Some("its permit is over: nothing was installed")
    );
    assert!(store.arm(1, "db9", "p", wish(true)).is_err());
    assert_eq!(
        store.disarm(1, "db2").unwrap_err().to_string(),
        "`db2` has no permit to take back"
    );
}

#[test]
fn who_installs_is_not_armed_anew() {
    let (_kept, path) = folder();
    let store = open(&path);
    store.arm(1, NODE, "p1", wish(true)).unwrap();
    store.hello(2, &print(1), &one(), "a").unwrap();
    store.spend(3, &print(1), &spend("p1", "plan")).unwrap();
    assert!(store.arm(60, NODE, "p2", wish(true)).is_err());
    assert!(store.disarm(60, NODE).is_err());
    // It lost its power.
    store.arm(200, NODE, "p2", wish(true)).unwrap();
    // What the old one still says counts no more.
    let events = Events {
        from: 0,
        records: vec![ended(Outcome::Done)],
    };
    assert!(store.events(201, &print(1), &events).is_err());
}

#[test]
fn a_failed_install_leaves_its_bundle() {
    let (_kept, path) = folder();
    let store = open(&path);
    store.arm(1, NODE, "p1", wish(true)).unwrap();
    store.hello(2, &print(1), &one(), "a").unwrap();
    store.spend(3, &print(1), &spend("p1", "plan")).unwrap();
    let records = vec![ended(Outcome::Failed)];
    store
        .events(4, &print(1), &Events { from: 0, records })
        .unwrap();
    let bundle = Bundle {
        summary: "a disk".into(),
        files: BTreeMap::from([("kernel.txt".into(), "I/O error".into())]),
    };
    store.bundle(5, &print(1), &bundle).unwrap();
    let machine = of(&store, 6, NODE);
    assert_eq!(machine.phase, Phase::Failed);
    assert_eq!(machine.reports.len(), 2);
    assert!(machine.reports.iter().all(|report| report.failed));
    assert!(store.bundle(5, &print(2), &bundle).is_err());
}

/// 1000 machines with 100 events each are listed within a second (debug builds, too).
#[test]
fn a_thousand_machines() {
    let (_kept, path) = folder();
    let known: Vec<Known> = (0..1000)
        .map(|number| Known {
            node: format!("node{number}"),
            role: "galera".into(),
            place: None,
            facts: Facts {
                serial: Some(format!("ZM{number}")),
                ..Facts::default()
            },
        })
        .collect();
    let mut state = State::default();
    let (mut log, _) = Log::open(&path).unwrap();
    for known in &known {
        let permit = Permit {
            id: "p".into(),
            board: None,
            keep_data: false,
            expires: 100,
            on_sight: true,
            spent: None,
        };
        let node = known.node.clone();
        state.apply(1, &Change::Armed { node, permit });
        let records: Vec<Record> = (0..100)
            .map(|number| {
                let event = Event::Warned {
                    step: None,
                    message: format!("number {number} of a hundred"),
                };
                record(number, event)
            })
            .collect();
        append(&events_file(&path, &known.node, "p"), &records, true).unwrap();
    }
    let whole = Change::Whole {
        state: state.clone(),
    };
    log.append(1, &whole, &state).unwrap();
    drop(log);
    let began = std::time::Instant::now();
    let store = Store::open(&path, "mail", known).unwrap();
    let opened = began.elapsed();
    let began = std::time::Instant::now();
    let rack = store.rack(2);
    let listed = began.elapsed();
    assert_eq!(rack.machines.len(), 1000);
    assert_eq!(rack.machines[7].warnings.len(), 20);
    assert!(listed.as_millis() < 1000, "{listed:?}");
    assert!(opened.as_secs() < 10, "{opened:?}");
}

#[derive(Debug, Clone)]
enum Act {
    Arm(bool),
    Disarm,
    Hello(u8),
    Approve(u8),
    Spend(u8, u8),
    End(u8, bool),
    Wait(u16),
    Restart,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        any::<bool>().prop_map(Act::Arm),
        Just(Act::Disarm),
        (0..3_u8).prop_map(Act::Hello),
        (0..3_u8).prop_map(Act::Approve),
        (0..3_u8, 0..4_u8).prop_map(|(who, permit)| Act::Spend(who, permit)),
        (0..3_u8, any::<bool>()).prop_map(|(who, done)| Act::End(who, done)),
        (0..2000_u16).prop_map(Act::Wait),
        Just(Act::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever happens: each permit is spent by one machine and for one plan, before its end, and no machine spends what it
    /// was not approved for.
    #[test]
    fn a_permit_is_spent_once(acts in prop::collection::vec(act(), 1..40)) {
        let (_kept, path) = folder();
        let mut store = open(&path);
        let mut now = 1;
        let mut armed: Vec<(String, u64)> = Vec::new();
        let mut spent: BTreeMap<String, (u8, usize)> = BTreeMap::new();
        for (number, act) in acts.into_iter().enumerate() {
            now += 1;
            match act {
                Act::Arm(on_sight) => {
                    let id = format!("p{}", armed.len());
                    if store.arm(now, NODE, &id, wish(on_sight)).is_ok() {
                        armed.push((id, now + 3600));
                    }
                }
                Act::Disarm => {
                    store.disarm(now, NODE).ok();
                }
                Act::Hello(who) => {
                    store.hello(now, &print(who), &one(), "a").ok();
                }
                Act::Approve(who) => {
                    store.approve(now, NODE, &print(who)).ok();
                }
                Act::Spend(who, permit) => {
                    let id = format!("p{permit}");
                    // Another plan each time: only the first may be.
                    if store.spend(now, &print(who), &spend(&id, &number.to_string())).is_ok() {
                        let (last, expires) = armed.last().unwrap();
                        prop_assert_eq!(last, &id, "only the last permit counts");
                        prop_assert!(now < *expires);
                        prop_assert!(spent.insert(id, (who, number)).is_none(), "spent twice");
                    }
                }
                Act::End(who, done) => {
                    let outcome = if done { Outcome::Done } else { Outcome::Failed };
                    let records = vec![ended(outcome)];
                    store.events(now, &print(who), &Events { from: 0, records }).ok();
                }
                Act::Wait(seconds) => now += u64::from(seconds),
                Act::Restart => {
                    let before = store.rack(now);
                    drop(store);
                    store = open(&path);
                    let mut after = store.rack(now);
                    // Strangers say hello again, and nothing else is forgotten but when machines were heard.
                    after.strangers.clone_from(&before.strangers);
                    after.revision = before.revision;
                    for (one, other) in after.machines.iter_mut().zip(&before.machines) {
                        one.heard = other.heard;
                    }
                    prop_assert_eq!(after, before);
                }
            }
        }
    }

    /// A log that a crash cut anywhere gives a state that was, and goes on.
    #[test]
    fn a_log_cut_anywhere(cut in 0_usize..2000) {
        let (_kept, path) = folder();
        let store = open(&path);
        store.arm(1, NODE, "p1", wish(true)).unwrap();
        store.hello(2, &print(1), &one(), "a").unwrap();
        store.spend(3, &print(1), &spend("p1", "plan")).unwrap();
        drop(store);
        let file = path.join("depot.log");
        let whole = fs_err::read(&file).unwrap();
        let cut = cut % (whole.len() + 1);
        fs_err::write(&file, &whole[..cut]).unwrap();
        let lines = whole[..cut].iter().filter(|byte| **byte == b'\n').count();
        let store = open(&path);
        let expected = [Phase::New, Phase::Armed, Phase::Armed, Phase::Installing];
        prop_assert_eq!(of(&store, 4, NODE).phase, expected[lines]);
        store.arm(500, NODE, "p2", wish(true)).unwrap();
        drop(store);
        prop_assert_eq!(of(&open(&path), 501, NODE).phase, Phase::Armed);
    }

    /// Damage in the middle stops the start; it never gives a permit back.
    #[test]
    fn a_flipped_bit(at in 0_usize..2000, bit in 0_u8..8) {
        let (_kept, path) = folder();
        let store = open(&path);
        store.arm(1, NODE, "p1", wish(true)).unwrap();
        store.hello(2, &print(1), &one(), "a").unwrap();
        store.spend(3, &print(1), &spend("p1", "plan")).unwrap();
        store.events(4, &print(1), &Events { from: 0, records: vec![ended(Outcome::Done)] }).unwrap();
        drop(store);
        let file = path.join("depot.log");
        let mut bytes = fs_err::read(&file).unwrap();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        fs_err::write(&file, &bytes).unwrap();
        if let Ok(store) = Store::open(&path, "mail", known()) {
            prop_assert!(!store.may_install(5, NODE));
        }
    }
}
