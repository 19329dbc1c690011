//! Takeovers on simulated pools: whatever happens in which order, no file is lost and never do two machines export.

use super::rack::*;
use super::*;
use proptest::prelude::*;

fn lines(steps: &[Step]) -> String {
    steps
        .iter()
        .map(|step| format!("{}\n    {}\n", step.title, step.command.join(" ")))
        .collect()
}

#[test]
fn a_takeover_and_the_way_back() {
    let mut rack = Rack::new();
    rack.write(1);
    rack.tick();
    rack.write(2);
    rack.on[0] = false;
    let view = rack.pools[1].view();
    let request = Promote {
        node: "st2",
        mountpoint: "/var/srv/export",
        now: rack.now + 30,
        fenced: Fenced::Word,
        answers: &[],
        exporting: &[],
        asked: &[],
        last: None,
        place: (0, 1),
        accept_loss: 120,
    };
    let (mark, steps) = promote(&view, &request).unwrap_or_else(|refusal| panic!("{refusal}"));
    assert_eq!(
        mark,
        Mark {
            epoch: 2,
            owner: "st2".into()
        }
    );
    insta::assert_snapshot!("promote", lines(&steps));
}

#[test]
fn the_old_owner_comes_back_and_receives() {
    let mut rack = Rack::new();
    rack.write(1);
    rack.tick();
    rack.write(2);
    rack.on[0] = false;
    rack.now += 30;
    // The epoch of the one that is off is known to the control servers, or to the received tree's own memory.
    let known = [Answer {
        from: "ct1".into(),
        mark: Some(Mark {
            epoch: 1,
            owner: "st1".into(),
        }),
    }];
    let view = rack.pools[1].view();
    let request = Promote {
        node: "st2",
        mountpoint: "/var/srv/export",
        now: rack.now,
        fenced: Fenced::Word,
        answers: &known,
        exporting: &[],
        asked: &[],
        last: None,
        place: (0, 1),
        accept_loss: 120,
    };
    let (mark, steps) = promote(&view, &request).unwrap_or_else(|refusal| panic!("{refusal}"));
    assert_eq!(mark.epoch, 2);
    rack.apply(1, &steps);
    rack.write(3);
    rack.on[0] = true;
    assert!(!rack.exports(0) && rack.exports(1));
    rack.tick();
    let (view, answers) = (rack.pools[0].view(), rack.answers(0));
    let theirs = rack.pools[1].view().snapshots;
    let request = Demote {
        node: "st1",
        answers: &answers,
        theirs: &theirs,
        their_tree: "tank/mail-root",
        release: false,
        now: 1090,
    };
    let steps = demote(&view, &request).unwrap_or_else(|refusal| panic!("{refusal}"));
    insta::assert_snapshot!("demote", lines(&steps));
    rack.apply(0, &steps);
    rack.tick();
    assert_eq!(
        rack.pools[0].sets["tank/received/mail-root/mail"].files,
        Files::from([1, 3])
    );
    assert_eq!(
        rack.pools[0].sets["tank/lost-1/mail"].files,
        Files::from([1, 2]),
        "what only the old one had"
    );
}

#[test]
fn a_planned_change_loses_nothing() {
    let mut rack = Rack::new();
    rack.write(1);
    rack.tick();
    rack.write(2);
    let refusal = rack.promote(1, Fenced::Released);
    assert!(matches!(refusal, Err(Refusal::Exports(_))), "{refusal:?}");
    assert_eq!(rack.demote(0, true), Ok(()));
    assert!(!rack.exports(0));
    let refusal = rack.promote(1, Fenced::Released);
    assert!(matches!(refusal, Err(Refusal::Late(_))), "{refusal:?}");
    rack.tick();
    assert_eq!(rack.promote(1, Fenced::Released), Ok(()));
    assert!(rack.exports(1) && !rack.exports(0));
    assert_eq!(
        rack.pools[1].sets["tank/mail-root/mail"].files,
        Files::from([1, 2])
    );
    assert_eq!(rack.demote(0, false), Ok(()));
    rack.write(3);
    rack.tick();
    assert_eq!(
        rack.pools[0].sets["tank/received/mail-root/mail"].files,
        Files::from([1, 2, 3])
    );
}

#[test]
fn what_was_let_go_of_may_be_taken_back() {
    let mut rack = Rack::new();
    rack.write(1);
    assert_eq!(rack.demote(0, true), Ok(()));
    assert!(!rack.exports(0));
    assert_eq!(rack.promote(0, Fenced::Word), Ok(()));
    assert!(rack.exports(0));
}

#[test]
fn each_refusal_has_its_words() {
    let mut rack = Rack::new();
    rack.write(1);
    let empty = rack.pools[1].view();
    rack.tick();
    rack.now += 600;
    let (first, second) = (rack.pools[0].view(), rack.pools[1].view());
    let exporting = ["st1".to_owned()];
    let base = Promote {
        node: "st2",
        mountpoint: "/e",
        now: rack.now,
        fenced: Fenced::Word,
        answers: &[],
        exporting: &[],
        asked: &[],
        last: None,
        place: (0, 1),
        accept_loss: 120,
    };
    let table = [
        (
            &first,
            Promote {
                node: "st1",
                ..base.clone()
            },
            "this machine holds the mail store already, since epoch 1",
        ),
        (
            &second,
            Promote {
                exporting: &exporting,
                ..base.clone()
            },
            "`st1` exports the mail store at this moment",
        ),
        (
            &second,
            Promote {
                fenced: Fenced::No,
                ..base.clone()
            },
            "the old owner is not known to be off",
        ),
        (&empty, base.clone(), "nothing was received here yet"),
        (
            &second,
            base.clone(),
            "the newest snapshot that is here is 600 s old",
        ),
    ];
    for (view, request, wanted) in table {
        let refusal = promote(view, &request)
            .err()
            .map(|it| it.to_string())
            .unwrap_or_default();
        assert!(refusal.contains(wanted), "{refusal}");
    }
    let mut partial = second.clone();
    partial
        .snapshots
        .retain(|it| it.dataset != "tank/received/mail-root/mail");
    assert!(matches!(
        promote(&partial, &base),
        Err(Refusal::Incomplete(_))
    ));
    let demotion = Demote {
        node: "st1",
        answers: &[],
        theirs: &[],
        their_tree: "tank/mail-root",
        release: false,
        now: 1090,
    };
    assert_eq!(demote(&first, &demotion), Err(Refusal::Owner { epoch: 1 }));
    assert!(matches!(
        demote(&second, &demotion),
        Err(Refusal::Receives(_))
    ));
    let mut kept = first.clone();
    kept.datasets
        .insert("tank/lost-1".into(), Default::default());
    let newer = [Answer {
        from: "st2".into(),
        mark: Some(Mark {
            epoch: 2,
            owner: "st2".into(),
        }),
    }];
    assert!(matches!(
        demote(
            &kept,
            &Demote {
                answers: &newer,
                ..demotion
            }
        ),
        Err(Refusal::Kept(_))
    ));
}

/// `promote --fenced` says for this boot that nobody else took over; without that word the silent one is waited for.
#[test]
fn the_new_owner_exports_with_the_old_one_dead() {
    let mut rack = Rack::new();
    rack.write(1);
    rack.tick();
    rack.on[0] = false;
    assert_eq!(rack.promote(1, Fenced::Word), Ok(()));
    assert!(rack.asks(1, true, false).is_ok());
    assert!(rack.asks(1, false, false).is_err());
}

#[test]
fn a_source_goes_on_while_its_only_receiver_is_away() {
    let mut rack = Rack::new();
    rack.write(1);
    rack.tick();
    rack.on[1] = false;
    assert!(rack.asks(0, false, true).is_ok());
    // Not after a boot.
    assert!(rack.asks(0, false, false).is_err());
}

/// Cut off after each of its steps, served on where it still may, then done again.
#[test]
fn a_release_that_was_cut_off_loses_nothing() {
    for cut in 0..12 {
        let mut rack = Rack::new();
        rack.write(1);
        rack.tick();
        let (view, answers) = (rack.pools[0].view(), rack.answers(0));
        let theirs = rack.pools[1].view().snapshots;
        let request = Demote {
            node: "st1",
            answers: &answers,
            theirs: &theirs,
            their_tree: "tank/mail-root",
            release: true,
            now: rack.now,
        };
        let steps = demote(&view, &request).unwrap_or_else(|refusal| panic!("{refusal}"));
        rack.apply(0, &steps[..cut.min(steps.len())]);
        rack.write(2);
        rack.now += 5;
        let _ = rack.demote(0, true);
        rack.tick();
        assert_eq!(rack.promote(1, Fenced::Released), Ok(()), "cut after {cut}");
        let there = &rack.pools[1].sets["tank/mail-root/mail"].files;
        assert_eq!(*there, rack.written, "cut after {cut}");
    }
}

/// Cut off after each of its steps, then given again.
#[test]
fn a_takeover_that_was_cut_off_goes_on() {
    for back in [false, true] {
        for cut in 0..16 {
            let mut rack = Rack::new();
            rack.write(1);
            rack.tick();
            if back {
                // What lies at its place is set aside.
                rack.on[0] = false;
                assert_eq!(rack.promote(1, Fenced::Word), Ok(()));
                rack.on[0] = true;
                assert_eq!(rack.demote(0, false), Ok(()));
                rack.write(2);
                rack.tick();
            }
            let (machine, other) = if back { (0, 1) } else { (1, 0) };
            rack.on[other] = false;
            let view = rack.pools[machine].view();
            let request = Promote {
                node: NAMES[machine],
                mountpoint: "/var/srv/export",
                now: rack.now,
                fenced: Fenced::Word,
                asked: &[],
                answers: &[],
                exporting: &[],
                last: None,
                place: (machine as u64, 2),
                accept_loss: u64::MAX,
            };
            let (_, steps) = promote(&view, &request).unwrap_or_else(|refusal| panic!("{refusal}"));
            let whole = cut >= steps.len();
            rack.apply(machine, &steps[..cut.min(steps.len())]);
            rack.now += 5;
            if !whole {
                let again = rack.promote(machine, Fenced::Word);
                assert!(
                    matches!(again, Ok(()) | Err(Refusal::Holds(_))),
                    "cut after {cut}: {again:?}"
                );
            }
            assert!(rack.exports(machine), "cut after {cut}");
            let there = &rack.pools[machine].sets["tank/mail-root/mail"].files;
            assert_eq!(*there, rack.written, "cut after {cut}");
        }
    }
}

#[test]
fn no_epoch_is_given_twice() {
    let mut rack = Rack::new();
    rack.write(1);
    rack.tick();
    assert_eq!(rack.demote(0, true), Ok(()));
    rack.tick();
    assert_eq!(rack.promote(1, Fenced::Released), Ok(()));
    rack.on[1] = false;
    assert_eq!(
        rack.promote(0, Fenced::Released),
        Err(Refusal::Unsure("st2".into()))
    );
    // Somebody says it is off, and is wrong.
    assert_eq!(rack.promote(0, Fenced::Word), Ok(()));
    rack.on[1] = true;
    let epochs = [0, 1].map(|it| rack.pools[it].view().mark().map(|mark| mark.epoch));
    assert_eq!(epochs, [Some(2), Some(3)]);
    assert!(rack.asks(0, true, true).is_err() && rack.asks(1, true, true).is_ok());
}

/// Cut off while it let go; the other took over; then the operator mistakes the machine.
#[test]
fn an_overtaken_machine_does_not_go_on() {
    let mut rack = Rack::new();
    rack.write(1);
    rack.tick();
    let set = rack.pools[0].sets.get_mut("tank/mail-root");
    let properties = set.map(|set| &mut set.properties);
    properties.map(|it| it.insert("readonly".to_owned(), "on".to_owned()));
    rack.on[0] = false;
    assert_eq!(rack.promote(1, Fenced::Word), Ok(()));
    rack.on[0] = true;
    assert_eq!(
        rack.promote(0, Fenced::Word),
        Err(Refusal::Exports("st2".into()))
    );
    // It answers, and does not export at this moment.
    let (view, answers) = (rack.pools[0].view(), rack.answers(0));
    let request = Promote {
        node: "st1",
        mountpoint: "/e",
        now: rack.now,
        fenced: Fenced::Word,
        asked: &[],
        answers: &answers,
        exporting: &[],
        last: None,
        place: (0, 2),
        accept_loss: u64::MAX,
    };
    assert_eq!(
        promote(&view, &request),
        Err(Refusal::Overtaken {
            own: 1,
            epoch: 3,
            owner: "st2".into()
        })
    );
}

#[test]
fn places_have_numbers_of_their_own() {
    for known in 1..20 {
        let all: BTreeSet<u64> = (0..3).map(|place| next(known, (place, 3))).collect();
        assert_eq!(all, BTreeSet::from([known + 1, known + 2, known + 3]));
    }
    assert_eq!(next(1, (0, 0)), 2);
    assert_eq!(next(u64::MAX, (0, 2)), u64::MAX);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Writes, snapshots, failures, takeovers and returns in any order.
    #[test]
    fn no_file_is_lost_and_never_do_two_export(actions in proptest::collection::vec((0u8..7, 0usize..2), 1..40)) {
        let mut rack = Rack::new();
        for (number, (action, machine)) in (0u32..).zip(actions) {
            match action {
                0 | 1 => rack.write(number),
                2 => rack.tick(),
                3 => rack.on[machine] = !rack.on[machine],
                4 => {
                    // Fenced means off.
                    let fenced = if rack.on[1 - machine] { Fenced::No } else { Fenced::Word };
                    if rack.on[machine] { let _ = rack.promote(machine, fenced); }
                }
                5 => if rack.on[machine] { let _ = rack.demote(machine, false); },
                _ => if rack.on == [true, true] && rack.demote(machine, true).is_ok() {
                        rack.tick();
                    let _ = rack.promote(1 - machine, Fenced::Released);
                },
            }
            prop_assert!(!(rack.exports(0) && rack.exports(1)), "both export");
            let mut there = rack.pools[0].files();
            there.extend(rack.pools[1].files());
            prop_assert!(rack.written.is_subset(&there), "{:?} lost", rack.written.difference(&there));
        }
    }
}
