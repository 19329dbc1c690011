//! The journal: one JSON line for each thing that the client did or was told, on disk before it goes on. Whoever pulls the
//! host's plug loses at most the line that was being written.

use std::io::Write as _;
use std::sync::Mutex;

use anyhow::{Context as _, bail, ensure};
use camino::Utf8Path;
use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// A moment by two clocks. Order and durations go by the first one, which nobody sets (`CLOCK_MONOTONIC`, clock_gettime(2)): it is the
/// same in all processes and network namespaces of a host, until that is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Moment {
    /// Milliseconds since the host was started.
    pub monotonic: u64,
    /// Milliseconds since 1970, for people.
    pub wall: u64,
}

impl Moment {
    /// Milliseconds from `earlier` to this.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.monotonic.saturating_sub(earlier.monotonic)
    }
}

/// This moment.
#[must_use]
pub fn now() -> Moment {
    let read = |clock| {
        clock_gettime(clock).map_or(0, |time| {
            let seconds = u64::try_from(time.tv_sec()).unwrap_or_default();
            seconds * 1000 + u64::try_from(time.tv_nsec()).unwrap_or_default() / 1_000_000
        })
    };
    Moment {
        monotonic: read(ClockId::CLOCK_MONOTONIC),
        wall: read(ClockId::CLOCK_REALTIME),
    }
}

/// What is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// RFC 5321.
    Smtp,
    /// RFC 9051.
    Imap,
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    #[serde(flatten)]
    pub at: Moment,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The client began. Its messages are called `RUN-NUMBER`.
    Began {
        /// Unique among all runs.
        run: String,
        /// Bodies are made from it.
        seed: u64,
        /// The host's boot (`/proc/sys/kernel/random/boot_id`): other boots have another first clock.
        boot: String,
        /// Where mail is sent to.
        smtp: String,
        /// Where it is looked for.
        imap: String,
    },
    /// A message is about to be sent; written before the connection is made.
    Sent {
        /// Message.
        id: String,
        /// Mailbox.
        to: String,
        /// Length of what is handed over, CRLF at line ends, without the dots of RFC 5321, 4.5.2.
        bytes: u64,
        /// Of the same.
        sha256: String,
    },
    /// A server greeted.
    Greeted {
        /// Which kind.
        protocol: Protocol,
        /// Message, for SMTP.
        id: Option<String>,
    },
    /// 250 after the final dot: from here on the message is the cluster's to keep.
    Acknowledged {
        /// Message.
        id: String,
        /// The server's words.
        answer: String,
        /// Since the connection was begun.
        milliseconds: u64,
    },
    /// A mailbox was logged in to and looked at.
    Looked {
        /// Mailbox.
        mailbox: String,
        /// Messages in it.
        messages: u64,
        /// Which of ours is the last one.
        newest: Option<String>,
        /// Since the connection was begun.
        milliseconds: u64,
    },
    /// It did not work.
    Failed {
        /// Which kind.
        protocol: Protocol,
        /// Message, for SMTP.
        id: Option<String>,
        /// Why.
        #[serde(flatten)]
        failure: Failure,
    },
    /// The client was told to stop, and stopped.
    Ended,
}

/// Why something did not work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum Failure {
    /// No connection.
    #[error("no connection: {error}")]
    Unreachable {
        /// What the kernel said.
        error: String,
    },
    /// No answer in time.
    #[error("no answer in time to {stage}")]
    TimedOut {
        /// What was said last.
        stage: String,
    },
    /// The line was cut.
    #[error("the connection was lost after {stage}: {error}")]
    Disconnected {
        /// What was said last.
        stage: String,
        /// What the kernel said.
        error: String,
    },
    /// Another answer than was hoped for.
    #[error("refused after {stage}: `{answer}`")]
    Refused {
        /// What was said last.
        stage: String,
        /// The server's words.
        answer: String,
    },
}

/// A journal that is being written; all threads share it.
#[derive(Debug)]
pub struct Journal(Mutex<fs_err::File>);

impl Journal {
    /// Goes on at the end of the file, which is made if it is not there. A line that was cut off stays as it is.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(path: &Utf8Path) -> anyhow::Result<Self> {
        let cut = fs_err::read(path)
            .ok()
            .and_then(|bytes| bytes.last().copied())
            .is_some_and(|last| last != b'\n');
        let mut file = fs_err::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)?;
        if cut {
            file.write_all(b"\n")?;
        }
        Ok(Self(Mutex::new(file)))
    }

    /// Adds a line; it is on disk when this returns.
    ///
    /// # Errors
    /// If it cannot be written: then the books are worth nothing, and the client must stop.
    pub fn write(&self, event: Event) -> anyhow::Result<()> {
        let mut file = self
            .0
            .lock()
            .map_err(|_| anyhow::anyhow!("a thread panicked while it wrote the journal"))?;
        // The clock is read under the lock, so that lines are in order of time.
        let mut line = serde_json::to_vec(&Entry { at: now(), event })?;
        line.push(b'\n');
        file.write_all(&line)?;
        file.sync_data()?;
        Ok(())
    }
}

/// Reads a journal's text. A line that was cut by a power failure is passed over.
///
/// # Errors
/// If a line other than such a one is not a journal's, or the host was started again between two lines.
pub fn parse(text: &str) -> anyhow::Result<Vec<Entry>> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut boot_before: Option<String> = None;
    let lines: Vec<&str> = text.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        let entry = match serde_json::from_str::<Entry>(line) {
            Ok(entry) => entry,
            Err(error) => {
                // Cut off: the last line, or the one before the client began anew.
                let begins = |line: &&str| line.contains("\"event\":\"began\"");
                if lines.get(index + 1).is_none_or(begins) {
                    continue;
                }
                return Err(error).with_context(|| format!("line {} is no entry", index + 1));
            }
        };
        if let Event::Began { boot, .. } = &entry.event {
            if boot_before.as_ref().is_some_and(|before| before != boot) {
                bail!(
                    "line {}: the host was started again, its clock began anew\nhint: one journal for each boot of the host",
                    index + 1
                );
            }
            boot_before = Some(boot.clone());
        }
        entries.push(entry);
    }
    ensure!(
        entries
            .first()
            .is_none_or(|entry| matches!(entry.event, Event::Began { .. })),
        "the first line does not say that a client began: this is no journal, or not all of it"
    );
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn began(boot: &str) -> Event {
        Event::Began {
            run: "1-1".to_owned(),
            seed: 1,
            boot: boot.to_owned(),
            smtp: "192.0.2.1:25".to_owned(),
            imap: "192.0.2.1:143".to_owned(),
        }
    }

    #[test]
    fn every_kind_of_line_is_read_back_and_looks_like_this() {
        let failed = |failure| Event::Failed {
            protocol: Protocol::Smtp,
            id: Some("1-1-7".to_owned()),
            failure,
        };
        let events = [
            began("b"),
            Event::Sent {
                id: "1-1-7".to_owned(),
                to: "a@example.org".to_owned(),
                bytes: 3,
                sha256: "00".to_owned(),
            },
            Event::Greeted {
                protocol: Protocol::Imap,
                id: None,
            },
            Event::Acknowledged {
                id: "1-1-7".to_owned(),
                answer: "250 2.0.0 Ok: queued as 1".to_owned(),
                milliseconds: 4,
            },
            Event::Looked {
                mailbox: "a@example.org".to_owned(),
                messages: 1,
                newest: Some("1-1-7".to_owned()),
                milliseconds: 5,
            },
            failed(Failure::Unreachable {
                error: "No route to host".to_owned(),
            }),
            failed(Failure::TimedOut {
                stage: "DATA".to_owned(),
            }),
            failed(Failure::Refused {
                stage: "RCPT".to_owned(),
                answer: "451 4.3.0 later".to_owned(),
            }),
            Event::Ended,
        ];
        let at = Moment {
            monotonic: 10,
            wall: 20,
        };
        let text: String = events
            .into_iter()
            .map(|event| serde_json::to_string(&Entry { at, event }).unwrap() + "\n")
            .collect();
        insta::assert_snapshot!(text);
        let entries = parse(&text).unwrap();
        let again: String = entries
            .iter()
            .map(|entry| serde_json::to_string(entry).unwrap() + "\n")
            .collect();
        assert_eq!(again, text);
    }

    #[test]
    fn a_cut_line_is_passed_over_and_a_second_boot_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = camino::Utf8PathBuf::try_from(directory.path().join("journal")).unwrap();
        let journal = Journal::open(&path).unwrap();
        journal.write(began("b")).unwrap();
        journal.write(Event::Ended).unwrap();
        let text = fs_err::read_to_string(&path).unwrap();
        for cut in 1..text.len() {
            fs_err::write(&path, &text[..cut]).unwrap();
            assert!(parse(&text[..cut]).is_ok(), "cut at {cut}");
            // The client goes on after the power failure.
            let journal = Journal::open(&path).unwrap();
            journal.write(began("b")).unwrap();
            journal.write(Event::Ended).unwrap();
            let all = parse(&fs_err::read_to_string(&path).unwrap()).unwrap();
            assert!(all.len() >= 2, "cut at {cut}");
        }
        let other = text.replace("\"boot\":\"b\"", "\"boot\":\"c\"");
        let error = parse(&(text.clone() + &other)).unwrap_err();
        assert!(error.to_string().contains("started again"), "{error}");
        let error =
            parse(&(text.clone() + "nonsense\n" + &text.replace("began", "x"))).unwrap_err();
        assert!(error.to_string().contains("line 3"), "{error}");
    }
}
