//! Golden: a run of forty minutes with four faults, one of which went wrong.

use super::*;
use crate::rack::books::check::{Found, Loss, check};
use crate::rack::books::journal::{Event, Failure};

fn at(seconds: u64) -> Moment {
    Moment {
        monotonic: 5_000_000 + seconds * 1000,
        wall: 1_764_000_000_000 + seconds * 1000,
    }
}

/// Seconds in which SMTP, IMAP does not answer.
const SMTP_DOWN: [(u64, u64); 4] = [(300, 321), (800, 807), (1200, 1650), (2000, 2009)];
const IMAP_DOWN: [(u64, u64); 3] = [(300, 335), (1200, 1680), (2000, 2011)];

fn entries() -> Vec<Entry> {
    let mut entries = vec![Entry {
        at: at(0),
        event: Event::Began {
            run: "r".to_owned(),
            seed: 7,
            boot: "b".to_owned(),
            smtp: "192.0.2.1:25".to_owned(),
            imap: "192.0.2.1:993".to_owned(),
        },
    }];
    for second in (1..2400).step_by(2) {
        let is_down = |times: &[(u64, u64)]| {
            times
                .iter()
                .any(|(from, to)| (*from..*to).contains(&second))
        };
        let id = format!("r-{second}");
        let mut add = |event| {
            entries.push(Entry {
                at: at(second),
                event,
            })
        };
        add(Event::Sent {
            id: id.clone(),
            to: "a@example.org".to_owned(),
            bytes: 10,
            sha256: "aa".to_owned(),
        });
        if is_down(&SMTP_DOWN) {
            add(Event::Failed {
                protocol: Protocol::Smtp,
                id: Some(id),
                failure: Failure::TimedOut {
                    stage: "the final dot".to_owned(),
                },
            });
        } else {
            add(Event::Acknowledged {
                id,
                answer: "250 ok".to_owned(),
                milliseconds: 3,
            });
        }
        if !is_down(&IMAP_DOWN) {
            add(Event::Looked {
                mailbox: "a@example.org".to_owned(),
                messages: 1,
                newest: None,
                milliseconds: 3,
            });
        }
    }
    entries
}

fn fault(name: &str, begin: u64, end: u64, healthy: Option<u64>) -> Fault {
    Fault {
        name: name.to_owned(),
        begin: at(begin),
        end: at(end),
        healthy: healthy.map(at),
        problem: None,
    }
}

fn report() -> Report {
    let entries = entries();
    let found: Vec<Found> = entries
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::Sent { id, to, .. } => Some((id.clone(), to.clone())),
            _ => None,
        })
        // Two are lost, one of them with a documented reason; what was never acknowledged is there all the same.
        .filter(|(id, _)| id != "r-1197" && id != "r-1901")
        // One is there twice.
        .flat_map(|(id, to)| {
            let copies = 1 + usize::from(id == "r-325");
            std::iter::repeat_n((id, to), copies)
        })
        .map(|(id, mailbox)| Found {
            mailbox,
            uid: 1,
            id: Some(id),
            bytes: 10,
            sha256: "aa".to_owned(),
        })
        .collect();
    let losses = [Loss {
        reason: "replication tail, 4 s by `storage status` before the cut".to_owned(),
        ids: Default::default(),
        window: Some(Window {
            begin: at(1196),
            end: at(1200),
        }),
    }];
    let checked = check(std::slice::from_ref(&entries), &found, &losses).unwrap();
    let faults = [
        fault("power cut of the active lb", 300, 460, Some(455)),
        fault("power cut of the Galera writer", 800, 930, Some(920)),
        fault(
            "active storage: power cut, then promotion | by the runbook",
            1196,
            1850,
            Some(1800),
        ),
        Fault {
            problem: Some("galera2 joined by SST instead of IST".to_owned()),
            ..fault("link of galera2 <-> switch cut", 1900, 2100, None)
        },
    ];
    Report::new(
        "Rack test",
        "2026-11-30, two cores without KVM, `cargo prove --all rack::full`",
        &entries,
        &checked,
        &faults,
    )
}

#[test]
fn as_markdown() {
    insta::assert_snapshot!(markdown(&report()));
    assert!(!report().is_green());
}

#[test]
fn as_json() {
    let text = serde_json::to_string_pretty(&report()).unwrap();
    insta::assert_snapshot!(text);
    let again: Report = serde_json::from_str(&text).unwrap();
    assert_eq!(markdown(&again), markdown(&report()));
}

#[test]
fn as_timeline() {
    // The one that docs/testing.md shows. `UPDATE_GOLDEN=1` draws it anew; look at it before you commit it.
    let drawing = svg(&report());
    let path = crate::images::workspace().join("docs/screens/timeline.svg");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs_err::write(&path, &drawing).unwrap();
    }
    assert!(
        fs_err::read_to_string(&path).unwrap_or_default() == drawing,
        "`{path}` is another drawing"
    );
}

#[test]
fn books_without_a_single_message_prove_nothing() {
    let checked = check(&[], &[], &[]).unwrap();
    let report = Report::new("Empty", "", &[], &checked, &[]);
    assert!(!report.is_green());
    assert!(markdown(&report).contains("nothing is proven"));
    assert!(svg(&report).ends_with("</svg>\n"));
}

#[test]
fn leaves_three_files() {
    let folder = tempfile::tempdir().unwrap();
    let folder = Utf8Path::from_path(folder.path()).unwrap().join("new");
    report().write(&folder).unwrap();
    for name in ["report.md", "report.json", "timeline.svg"] {
        assert!(folder.join(name).is_file(), "{name}");
    }
}
