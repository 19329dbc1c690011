//! The client and the check against servers that lose, double, change and hang; and the check's rules by themselves.

use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use proptest::prelude::*;

use super::check::{Checked, Counts, Found, Loss, Told, Window, check};
use super::client::{self, Plan};
use super::imap::Account;
use super::journal::{Entry, Event, Failure, Journal, Moment, Protocol, parse};
use super::reader;
use super::stand_in::{Fate, Store, imap, smtp};
use super::wire::Server;

const BOXES: [&str; 2] = ["anna@example.org", "bert@example.org"];

fn server(address: std::net::SocketAddr) -> Server {
    Server {
        address,
        tls: false,
        connect: Duration::from_millis(500),
        answer: Duration::from_millis(700),
    }
}

fn account(user: &str) -> Account {
    Account {
        user: user.to_owned(),
        password: "right \"and\" \\ odd".to_owned(),
    }
}

/// Sends until `count` messages are through with their fates; gives the journal and what the mailboxes hold.
fn books(fates: &[Fate], count: u64) -> (Vec<Entry>, Vec<Found>) {
    let store = Store::default();
    let plan = Plan {
        run: "7.1".to_owned(),
        seed: 7,
        smtp: server(smtp(&store, fates)),
        imap: server(imap(&store)),
        from: "books@example.net".to_owned(),
        accounts: BOXES.map(account).to_vec(),
        pause: (Duration::from_millis(5), Duration::from_millis(10)),
        // One, so that fates come in the order of messages.
        senders: 1,
        probers: 1,
    };
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::try_from(folder.path().join("journal")).unwrap();
    let journal = Journal::open(&path).unwrap();
    let read = || parse(&fs_err::read_to_string(&path).unwrap()).unwrap();
    let start = Instant::now();
    client::run(&plan, &journal, &|| {
        let sent = |entry: &&Entry| matches!(entry.event, Event::Sent { .. });
        read().iter().filter(sent).count() as u64 >= count || start.elapsed().as_secs() > 30
    })
    .unwrap();
    let mut found = Vec::new();
    for user in BOXES {
        found.extend(reader::read(&plan.imap, &account(user)).unwrap());
    }
    (read(), found)
}

#[test]
fn all_is_well() {
    let (entries, found) = books(&[], 250);
    let checked = check(std::slice::from_ref(&entries), &found, &[]).unwrap();
    assert_eq!(checked.problems(None), Vec::<String>::new());
    let counts = checked.counts(None);
    assert_eq!(
        (counts.sent, counts.found),
        (counts.acknowledged, counts.sent)
    );
    assert!(counts.sent >= 250 && counts.duplicated == 0);
    let newest = |entry: &Entry| matches!(&entry.event, Event::Looked { newest: Some(id), messages, .. } if id.starts_with("7.1-") && *messages > 0);
    assert!(entries.iter().any(newest));
}

#[test]
fn each_kind_of_misbehaviour_is_told_apart() {
    use Fate::*;
    let fates = [
        Deliver,
        Twice,
        Change,
        Lose,
        CutAfterDelivery,
        CutAndLose,
        RefuseRecipient,
        Hang,
        Elsewhere,
        Deliver,
    ];
    let (entries, found) = books(&fates, 10);
    let checked = check(std::slice::from_ref(&entries), &found, &[]).unwrap();
    let told = |number: usize| &checked.messages[&format!("7.1-{number}")].told;
    assert_eq!(
        [4, 5, 6, 7].map(told),
        [
            &Told::Unknown,
            &Told::Unknown,
            &Told::NotTaken,
            &Told::Unknown
        ]
    );
    let counts = checked.counts(None);
    let more = counts.sent - 10;
    assert_eq!(
        counts,
        Counts {
            sent: 10 + more,
            acknowledged: 6 + more,
            // The changed one is not there as it was sent; the one in another's mailbox is not there.
            found: 3 + more,
            lost: 3,
            documented: 0,
            duplicated: 1,
            changed: 1,
            unacknowledged: 1,
        }
    );
    assert_eq!(
        checked.problems(None),
        [
            "3 acknowledged and missing: `7.1-2`, `7.1-3`, `7.1-8`",
            "1 changed: `7.1-2`"
        ]
    );

    // A document excuses what is missing, not what was changed.
    let losses = [
        Loss {
            reason: "queue of iw1".to_owned(),
            ids: ["7.1-3".to_owned(), "7.1-2".to_owned()].into(),
            window: None,
        },
        Loss {
            reason: "replication tail".to_owned(),
            ids: Default::default(),
            window: Some(Window {
                begin: checked.messages["7.1-8"].sent,
                end: Moment {
                    monotonic: checked.messages["7.1-9"].sent.monotonic + 1,
                    wall: 0,
                },
            }),
        },
    ];
    let checked = check(&[entries], &found, &losses).unwrap();
    assert_eq!(
        checked.problems(None),
        ["1 acknowledged and missing: `7.1-2`", "1 changed: `7.1-2`"]
    );
    assert_eq!(
        checked.excuses().into_iter().collect::<Vec<_>>(),
        [("queue of iw1", 1), ("replication tail", 1)]
    );
}

#[test]
fn a_server_that_is_away_is_written_down_and_ends_nothing() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = free.local_addr().unwrap();
    drop(free);
    let plan = Plan {
        run: "1.1".to_owned(),
        seed: 1,
        smtp: server(nobody),
        imap: server(nobody),
        from: "books@example.net".to_owned(),
        accounts: vec![account(BOXES[0])],
        pause: (Duration::from_millis(5), Duration::from_millis(5)),
        senders: 3,
        probers: 2,
    };
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::try_from(folder.path().join("journal")).unwrap();
    let journal = Journal::open(&path).unwrap();
    let start = Instant::now();
    client::run(&plan, &journal, &|| {
        start.elapsed() > Duration::from_millis(300)
    })
    .unwrap();
    let entries = parse(&fs_err::read_to_string(&path).unwrap()).unwrap();
    let failures = entries.iter().filter(|entry| {
        matches!(
            entry.event,
            Event::Failed {
                failure: Failure::Unreachable { .. },
                ..
            }
        )
    });
    assert!(failures.count() > 4);
    let checked = check(&[entries], &[], &[]).unwrap();
    let counts = checked.counts(None);
    assert!(counts.sent > 2 && counts.acknowledged == 0 && counts.lost == 0);
}

fn at(monotonic: u64) -> Moment {
    Moment {
        monotonic,
        wall: monotonic,
    }
}

fn began(run: &str, boot: &str) -> Entry {
    Entry {
        at: at(0),
        event: Event::Began {
            run: run.to_owned(),
            seed: 1,
            boot: boot.to_owned(),
            smtp: String::new(),
            imap: String::new(),
        },
    }
}

#[test]
fn journals_that_do_not_fit_together_are_refused() {
    for (one, other, words) in [
        (began("a", "1"), began("b", "2"), "different boots"),
        (began("a", "1"), began("a", "1"), "twice"),
    ] {
        let error = check(&[vec![one], vec![other]], &[], &[]).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn a_message_of_these_books_that_nobody_sent_is_no_small_thing() {
    let copy = |id: Option<&str>| Found {
        mailbox: "a".to_owned(),
        uid: 1,
        id: id.map(str::to_owned),
        bytes: 1,
        sha256: "x".to_owned(),
    };
    let found = [copy(Some("run-1")), copy(Some("other-1")), copy(None)];
    let checked = check(&[vec![began("run", "1")]], &found, &[]).unwrap();
    assert_eq!(
        checked.problems(None),
        ["1 found, but in no journal: `run-1`"]
    );
    assert_eq!(checked.strange, 2);
}

/// What happens to a message in the property: what the client is told, how many copies there are, whether they are right, and
/// whether a document excuses it.
fn message() -> impl Strategy<Value = (u8, u64, bool, bool)> {
    (0_u8..4, 0_u64..3, prop::bool::weighted(0.8), any::<bool>())
}

fn made(messages: &[(u8, u64, bool, bool)]) -> Checked {
    let mut entries = vec![began("r", "1")];
    let (mut found, mut excused) = (
        Vec::new(),
        Loss {
            reason: "because".to_owned(),
            ids: Default::default(),
            window: None,
        },
    );
    for (number, (told, copies, right, excuse)) in messages.iter().enumerate() {
        let id = format!("r-{number}");
        let time = at(number as u64 * 10);
        entries.push(Entry {
            at: time,
            event: Event::Sent {
                id: id.clone(),
                to: "a".to_owned(),
                bytes: 1,
                sha256: "x".to_owned(),
            },
        });
        let failed = |stage: &str| Event::Failed {
            protocol: Protocol::Smtp,
            id: Some(id.clone()),
            failure: Failure::TimedOut {
                stage: stage.to_owned(),
            },
        };
        let event = match told {
            0 | 1 => Some(Event::Acknowledged {
                id: id.clone(),
                answer: String::new(),
                milliseconds: 0,
            }),
            2 => Some(failed("MAIL")),
            _ => None,
        };
        entries.extend(event.map(|event| Entry { at: time, event }));
        for _ in 0..*copies {
            found.push(Found {
                mailbox: "a".to_owned(),
                uid: 1,
                id: Some(id.clone()),
                bytes: 1,
                sha256: if *right { "x" } else { "y" }.to_owned(),
            });
        }
        if *excuse {
            excused.ids.insert(id);
        }
    }
    check(&[entries], &found, &[excused]).unwrap()
}

proptest! {
    /// Green means: each acknowledged message is there as it was sent, or a document says why not; and nothing was changed.
    #[test]
    fn green_hides_nothing(messages in prop::collection::vec(message(), 0..12)) {
        let checked = made(&messages);
        let harm = messages.iter().any(|(told, copies, right, excuse)| {
            let missing = *told < 2 && *copies == 0 && !excuse;
            missing || (*copies > 0 && !right)
        });
        prop_assert_eq!(checked.problems(None).is_empty(), !harm);
        let counts = checked.counts(None);
        prop_assert_eq!(counts.acknowledged, counts.found + counts.lost + counts.documented);
    }

    /// Windows that lie side by side count each message once.
    #[test]
    fn windows_add_up(messages in prop::collection::vec(message(), 0..12), cut in 0_u64..130) {
        let checked = made(&messages);
        let part = |begin, end| checked.counts(Some(Window { begin: at(begin), end: at(end) }));
        let (all, first, second) = (checked.counts(None), part(0, cut), part(cut, 1000));
        prop_assert_eq!(all.sent, first.sent + second.sent);
        prop_assert_eq!(all.lost, first.lost + second.lost);
        prop_assert_eq!(all.duplicated, first.duplicated + second.duplicated);
    }
}
