//! Each refusal to export, and that old data never gets out.

use super::*;
use proptest::prelude::*;

fn mark(epoch: u64, owner: &str) -> Mark {
    Mark {
        epoch,
        owner: owner.to_owned(),
    }
}

fn answer(from: &str, mark: Option<Mark>) -> Answer {
    Answer {
        from: from.to_owned(),
        mark,
    }
}

fn question<'a>(own: Option<&'a Mark>, asked: &'a [String], answers: &'a [Answer]) -> Question<'a> {
    Question {
        node: "st1",
        tree: "tank/mail-root",
        exists: true,
        readonly: false,
        own,
        sink_of: None,
        asked,
        answers,
        confirmed: false,
        serves: false,
    }
}

#[test]
fn each_refusal_has_its_words() {
    let asked = ["bk1".to_owned(), "ct1".to_owned()];
    let none: [Answer; 0] = [];
    let (own, foreign) = (mark(3, "st1"), mark(3, "st2"));
    let silent = [answer("bk1", None), answer("ct1", None)];
    let one = [answer("bk1", None)];
    let before = [answer("bk1", Some(mark(3, "st1"))), answer("ct1", None)];
    let newer = [answer("bk1", Some(mark(4, "bk1")))];
    let same = [answer("ct1", Some(mark(3, "bk1")))];
    let older = [answer("bk1", None), answer("ct1", Some(mark(2, "bk1")))];
    let table: Vec<(&str, Question<'_>, &str)> = vec![
        ("first", question(None, &asked, &silent), "epoch 1 of st1"),
        (
            "own",
            question(Some(&own), &asked, &older),
            "epoch 3 of st1",
        ),
        (
            "no peers",
            question(Some(&own), &[], &none),
            "epoch 3 of st1",
        ),
        (
            "alone",
            question(Some(&own), &asked, &none),
            "no answer from `bk1` and `ct1`",
        ),
        (
            "made anew",
            Question {
                confirmed: true,
                ..question(None, &asked, &before)
            },
            "`tank/mail-root` is new, and `bk1` knows this machine's store in epoch 3",
        ),
        (
            "one is silent",
            question(Some(&own), &asked, &one),
            "no answer from `ct1`: whether it took over",
        ),
        (
            "one is silent, served before",
            Question {
                serves: true,
                ..question(Some(&own), &asked, &one)
            },
            "epoch 3 of st1",
        ),
        (
            "older, served before",
            Question {
                serves: true,
                ..question(Some(&own), &asked, &newer)
            },
            "would bring back old mail",
        ),
        (
            "confirmed",
            Question {
                confirmed: true,
                ..question(Some(&own), &asked, &none)
            },
            "epoch 3 of st1",
        ),
        (
            "foreign",
            question(Some(&foreign), &asked, &silent),
            "belongs to `st2` since epoch 3",
        ),
        (
            "older",
            question(Some(&own), &asked, &newer),
            "this machine's data is of epoch 3, `bk1` knows epoch 4 of `bk1`",
        ),
        (
            "older, confirmed",
            Question {
                confirmed: true,
                ..question(Some(&own), &asked, &newer)
            },
            "would bring back old mail",
        ),
        (
            "reinstalled source",
            question(None, &asked, &older),
            "this machine's data is of epoch 0",
        ),
        (
            "twice",
            question(Some(&own), &asked, &same),
            "`ct1` says that epoch 3 belongs to `bk1`",
        ),
        (
            "sink",
            Question {
                sink_of: Some("st2"),
                ..question(None, &asked, &silent)
            },
            "by the plan `st2` exports",
        ),
        (
            "read-only",
            Question {
                readonly: true,
                ..question(Some(&own), &asked, &silent)
            },
            "is read-only: it is received",
        ),
        (
            "missing",
            Question {
                exists: false,
                ..question(None, &asked, &silent)
            },
            "there is no data set",
        ),
    ];
    for (name, question, wanted) in table {
        let said = match may_export(&question) {
            Ok(mark) => format!("epoch {} of {}", mark.epoch, mark.owner),
            Err(refusal) => refusal.to_string(),
        };
        assert!(said.contains(wanted), "{name}: {said}");
    }
}

proptest! {
    /// Whatever is confirmed: if anybody knows a higher epoch, nothing is exported.
    #[test]
    fn older_data_is_never_exported(own in 1u64..9, others in proptest::collection::vec((1u64..9, 0usize..3), 0..4), confirmed: bool) {
        let names = ["st1", "st2", "bk1"];
        let own = mark(own, "st1");
        let answers: Vec<Answer> = others.iter().map(|(epoch, owner)| answer("x", Some(mark(*epoch, names[*owner])))).collect();
        let asked = ["x".to_owned()];
        let result = may_export(&Question { confirmed, ..question(Some(&own), &asked, &answers) });
        if others.iter().any(|(epoch, _)| *epoch > own.epoch) {
            prop_assert!(result.is_err());
        }
    }
}
