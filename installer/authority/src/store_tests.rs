//! What was promised holds: after a crash at any byte, on the other control server, and against everybody who asks.

use super::*;
use proptest::prelude::*;

fn folder() -> (tempfile::TempDir, camino::Utf8PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = camino::Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
    (folder, path)
}

fn caller(node: &str) -> Caller {
    let role = if node.starts_with("ct") {
        "control"
    } else {
        "galera"
    };
    Caller {
        node: node.into(),
        role: role.into(),
    }
}

fn active(path: &Utf8Path) -> Store {
    let store = Store::open(path, "ct1").unwrap();
    store.promote(1, 0).unwrap();
    store
}

fn bootstrap(cluster: &str) -> Claim {
    Claim::TakeBootstrap {
        cluster: cluster.into(),
    }
}

fn raise(from: u64, owner: &str) -> Claim {
    Claim::RaiseEpoch {
        resource: "storage:mail".into(),
        from,
        owner: owner.into(),
    }
}

#[test]
fn claims_are_decided_once_and_survive_a_restart() {
    let (_keep, path) = folder();
    let store = active(&path);
    let ask = |store: &Store, now, node: &str, claim| store.claim(now, &caller(node), claim);
    assert_eq!(
        ask(&store, 5, "db1", bootstrap("mail")).unwrap(),
        Answer::Granted
    );
    assert_eq!(
        ask(&store, 5, "db1", bootstrap("mail")).unwrap(),
        Answer::Granted
    );
    let held = Answer::HeldBy { node: "db1".into() };
    assert_eq!(ask(&store, 5, "db2", bootstrap("mail")).unwrap(), held);
    let spend = |uuid: &str| Claim::SpendBootstrap {
        cluster: "mail".into(),
        uuid: uuid.into(),
    };
    assert_eq!(ask(&store, 6, "db2", spend("u")).unwrap(), Answer::NotHeld);
    assert_eq!(ask(&store, 6, "db1", spend("u")).unwrap(), Answer::Done);
    assert_eq!(ask(&store, 6, "db1", spend("u")).unwrap(), Answer::Done);
    assert_eq!(ask(&store, 6, "db1", spend("v")).unwrap(), Answer::NotHeld);

    let lease = |seconds| Claim::Lease {
        what: "joiner".into(),
        seconds,
    };
    let granted = |granted| Answer::Lease { granted };
    assert_eq!(ask(&store, 10, "db1", lease(60)).unwrap(), granted(true));
    assert_eq!(ask(&store, 69, "db2", lease(60)).unwrap(), granted(false));
    assert_eq!(ask(&store, 70, "db2", lease(60)).unwrap(), granted(true));
    let release = Claim::Release {
        what: "joiner".into(),
    };
    assert_eq!(ask(&store, 71, "db1", release).unwrap(), Answer::Done);
    assert_eq!(ask(&store, 71, "db1", lease(1)).unwrap(), granted(false));

    let number = |number, owner: &str| Answer::Epoch {
        number,
        owner: owner.into(),
    };
    assert_eq!(
        ask(&store, 80, "st1", raise(0, "st1")).unwrap(),
        number(1, "st1")
    );
    assert_eq!(
        ask(&store, 80, "st2", raise(0, "st2")).unwrap(),
        Answer::Changed { number: 1 }
    );
    assert!(matches!(
        ask(&store, 80, "st2", raise(1, "st1")),
        Err(StoreError::NotYours { .. })
    ));
    assert_eq!(
        ask(&store, 80, "ct1", raise(1, "st2")).unwrap(),
        number(2, "st2")
    );

    let before = store.state();
    drop(store);
    let store = Store::open(&path, "ct1").unwrap();
    assert_eq!(store.state(), before);
    let spent = Answer::Spent {
        by: "db1".into(),
        uuid: "u".into(),
    };
    assert_eq!(ask(&store, 90, "db3", bootstrap("mail")).unwrap(), spent);
}

#[test]
fn a_token_is_good_for_one_key() {
    let (_keep, path) = folder();
    let store = active(&path);
    store.spend_token(5, "db1", "token", "key").unwrap();
    // The answer was lost on the way: the machine asks again with its key.
    store.spend_token(6, "db1", "token", "key").unwrap();
    let error = store.spend_token(7, "db1", "token", "other").unwrap_err();
    assert!(matches!(error, StoreError::TokenSpent { .. }));
}

#[test]
fn words_that_are_no_names_are_refused() {
    let (_keep, path) = folder();
    let store = active(&path);
    for cluster in ["", "a b", "a\nb", &"x".repeat(129)] {
        let got = store.claim(1, &caller("db1"), bootstrap(cluster));
        assert!(matches!(got, Err(StoreError::Name { .. })), "{cluster}");
    }
    let report = Claim::Report {
        state: "joining".into(),
        detail: format!("\u{1b}[31m{}", "é".repeat(2000)),
    };
    store.claim(1, &caller("db1"), report).unwrap();
    let detail = store.state().nodes["db1"].detail.clone();
    assert!(detail.len() <= DETAIL && !detail.contains('\u{1b}'));
}

#[test]
fn only_one_process_and_only_the_active_server() {
    let (_keep, path) = folder();
    let store = Store::open(&path, "ct1").unwrap();
    assert!(matches!(Log::open(&path), Err(LogError::Locked(_))));
    let got = store.claim(1, &caller("db1"), bootstrap("mail"));
    assert!(matches!(got, Err(StoreError::Standby { .. })));
}

#[test]
fn the_other_server_follows_and_takes_over() {
    let ((_keep1, path1), (_keep2, path2)) = (folder(), folder());
    let first = active(&path1);
    let second = Store::open(&path2, "ct2").unwrap();
    let follow = |now| {
        let standing = second.standing(now);
        let lines = first.lines_after(standing.record, &standing.digest);
        second.follow(now, &lines.unwrap(), false).unwrap();
    };
    follow(1);
    first.claim(2, &caller("db1"), bootstrap("mail")).unwrap();
    follow(3);
    assert_eq!(second.state(), first.state());
    assert_eq!(second.standing(9).behind, Some(6));
    assert!(second.claim(3, &caller("db2"), bootstrap("mail")).is_err());

    // Promoted: it decides, with what it knew, and under a higher epoch.
    assert_eq!(second.promote(10, 0).unwrap(), 2);
    let held = Answer::HeldBy { node: "db1".into() };
    assert_eq!(
        second.claim(10, &caller("db2"), bootstrap("mail")).unwrap(),
        held
    );

    // The first one went on for itself; it comes back, keeps its own history aside and takes the other's.
    first.claim(11, &caller("db3"), bootstrap("other")).unwrap();
    let standing = first.standing(12);
    assert_eq!(second.lines_after(standing.record, &standing.digest), None);
    first.follow(12, &second.all_lines(), true).unwrap();
    assert_eq!(first.state(), second.state());
    assert!(!first.is_active());
    assert!(path1.join("claims.log.until-12").exists());
}

#[test]
fn a_long_log_becomes_one_record_and_is_followed_all_the_same() {
    let ((_keep1, path1), (_keep2, path2)) = (folder(), folder());
    let mut log = Log::open(&path1).unwrap().0;
    let mut state = State::default();
    for number in 0..5 {
        let change = Record::Renewed {
            node: format!("n{number}"),
        };
        log.append(number, change.clone()).unwrap();
        state.apply(number, &change);
    }
    let late = log.last().1.to_owned();
    log.append(9, Record::Whole(Box::new(state.clone())))
        .unwrap();
    log.append(9, Record::Renewed { node: "x".into() }).unwrap();
    // Five records were forgotten: who is behind them needs everything, who is not goes on.
    assert_eq!(log.after(5, &late), None);
    assert_eq!(log.all().lines().count(), 2);
    let all = log.all();
    drop(log);
    let (log, again) = Log::open(&path1).unwrap();
    assert_eq!(log.last().0, 7);
    assert_eq!(again.events.len(), 6);
    let store = Store::open(&path2, "ct2").unwrap();
    store.follow(1, &all, true).unwrap();
    assert_eq!(store.state(), again);
}

#[test]
fn damage_in_the_middle_stops_and_is_named() {
    let (_keep, path) = folder();
    let store = active(&path);
    store.claim(1, &caller("db1"), bootstrap("mail")).unwrap();
    drop(store);
    let file = path.join("claims.log");
    let text = fs_err::read_to_string(&file).unwrap();
    let cases = [
        (text.replacen("ct1", "ct2", 1), 1, "the checksum is wrong"),
        (
            text.lines().skip(1).map(|l| format!("{l}\n")).collect(),
            1,
            "the beginning is missing",
        ),
    ];
    for (changed, at, words) in cases {
        fs_err::write(&file, changed).unwrap();
        match Log::open(&path) {
            Err(LogError::Damaged { line, reason, .. }) => assert_eq!((line, reason), (at, words)),
            other => panic!("{other:?}"),
        }
    }
    let json = r#"{"number":1,"at":0,"before":"","change":{"record":"of-tomorrow"}}"#;
    let newer = format!("{} {json}\n", crate::record::digest(json));
    fs_err::write(&file, &newer).unwrap();
    assert!(matches!(Log::open(&path), Err(LogError::Damaged { .. })));
    assert_eq!(fs_err::read_to_string(&file).unwrap(), newer);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Cut at any byte, the log opens with exactly the records whose lines are whole, and goes on.
    #[test]
    fn a_crash_at_any_byte_loses_no_whole_record(count in 1..8_u64, cut in 0.0..1.0_f64, noise: u8) {
        let (_keep, path) = folder();
        let store = active(&path);
        for number in 0..count {
            store.claim(number, &caller("db1"), bootstrap(&format!("c{number}"))).unwrap();
        }
        drop(store);
        let file = path.join("claims.log");
        let bytes = fs_err::read(&file).unwrap();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place in a short file")]
        let at = (bytes.len() as f64 * cut) as usize;
        let mut left = bytes[..at].to_vec();
        let whole = left.iter().filter(|byte| **byte == b'\n').count();
        if noise < 128 && !left.is_empty() && left.last() != Some(&b'\n') {
            left.push(noise.max(11));
        }
        fs_err::write(&file, &left).unwrap();
        let (log, _) = Log::open(&path).unwrap();
        prop_assert_eq!(usize::try_from(log.last().0).unwrap(), whole);
        drop(log);
        let store = active(&path);
        store.claim(99, &caller("db2"), bootstrap("new")).unwrap();
    }

    /// Whatever anybody claims in whatever order: one holder of a right for ever, and numbers only count up.
    #[test]
    fn never_two_holders(asked in proptest::collection::vec((0..3_u8, 0..4_u8, 0..3_u64), 1..40)) {
        let (_keep, path) = folder();
        let mut store = active(&path);
        let (mut granted, mut number) = (std::collections::BTreeSet::new(), 0);
        for (what, who, from) in asked {
            let node = format!("n{who}");
            match what {
                0 => if store.claim(1, &caller(&node), bootstrap("mail")).unwrap() == Answer::Granted {
                    granted.insert(node);
                },
                1 => if let Answer::Epoch { number: new, .. } = store.claim(1, &caller(&node), raise(from, &node)).unwrap() {
                    prop_assert_eq!(new, number + 1);
                    number = new;
                },
                _ => {
                    drop(store);
                    store = Store::open(&path, "ct1").unwrap();
                }
            }
        }
        prop_assert!(granted.len() <= 1);
    }
}
