//! What became of each message: what the journal says it should be, against what the mailboxes hold. Pure.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::ensure;
use serde::{Deserialize, Serialize};

use super::journal::{Entry, Event, Moment};
pub use super::reader::Found;

/// Messages that may be missing, because a document says so: the queue of a node that is still dead, what a replica had not
/// received yet when it was promoted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loss {
    /// Why, and where it is documented.
    pub reason: String,
    /// These messages.
    #[serde(default)]
    pub ids: BTreeSet<String>,
    /// And what was acknowledged in this time.
    #[serde(default)]
    pub window: Option<Window>,
}

/// A window of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// From.
    pub begin: Moment,
    /// Until.
    pub end: Moment,
}

impl Window {
    /// Whether it was then.
    #[must_use]
    pub const fn holds(&self, at: Moment) -> bool {
        self.begin.monotonic <= at.monotonic && at.monotonic < self.end.monotonic
    }
}

/// What the client was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// 250: the cluster has it.
    Acknowledged(Moment),
    /// It was refused, or the connection failed before the final dot: the cluster has it not.
    NotTaken,
    /// The connection failed after the final dot, or the client died: nobody can know.
    Unknown,
}

/// A message of the books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// When it was begun.
    pub sent: Moment,
    /// Mailbox.
    pub to: String,
    /// Length.
    pub bytes: u64,
    /// Digest.
    pub sha256: String,
    /// What the client was told.
    pub told: Told,
    /// Copies that are exactly as sent.
    pub exact: u64,
    /// Copies that are not, or lie in another's mailbox.
    pub changed: u64,
    /// It is missing, and this says why it may be.
    pub excused: Option<String>,
}

impl Message {
    const fn is_acknowledged(&self) -> bool {
        matches!(self.told, Told::Acknowledged(_))
    }

    /// Acknowledged and not there as it was sent.
    #[must_use]
    pub const fn is_missing(&self) -> bool {
        self.is_acknowledged() && self.exact == 0
    }
}

/// Sums over messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Begun.
    pub sent: u64,
    /// Told 250.
    pub acknowledged: u64,
    /// Of these: found exactly as sent.
    pub found: u64,
    /// Of these: missing without a documented reason. Must be 0.
    pub lost: u64,
    /// Of these: missing with a documented reason.
    pub documented: u64,
    /// Copies beyond the first one.
    pub duplicated: u64,
    /// Copies that differ from what was sent. Must be 0.
    pub changed: u64,
    /// Never acknowledged, but found.
    pub unacknowledged: u64,
}

/// All messages after the check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// By name.
    pub messages: BTreeMap<String, Message>,
    /// Names of a run of these books that no journal has: somebody else made them, or a journal lost lines. Must be empty.
    pub invented: BTreeSet<String>,
    /// Messages of others in the mailboxes.
    pub strange: u64,
}

/// Compares journals with mailboxes. All journals must be of one boot of the host, as their first clock is compared.
///
/// # Errors
/// If journals do not fit together.
pub fn check(journals: &[Vec<Entry>], found: &[Found], losses: &[Loss]) -> anyhow::Result<Checked> {
    let mut runs: BTreeSet<&str> = BTreeSet::new();
    let mut boots: BTreeSet<&str> = BTreeSet::new();
    let mut messages: BTreeMap<String, Message> = BTreeMap::new();
    for entry in journals.iter().flatten() {
        match &entry.event {
            Event::Began { run, boot, .. } => {
                ensure!(runs.insert(run), "the run `{run}` is in the journals twice");
                boots.insert(boot);
            }
            Event::Sent {
                id,
                to,
                bytes,
                sha256,
            } => {
                let message = Message {
                    sent: entry.at,
                    to: to.clone(),
                    bytes: *bytes,
                    sha256: sha256.clone(),
                    told: Told::Unknown,
                    exact: 0,
                    changed: 0,
                    excused: None,
                };
                let twice = messages.insert(id.clone(), message);
                ensure!(twice.is_none(), "message `{id}` was sent twice");
            }
            Event::Acknowledged { id, .. } => {
                if let Some(message) = messages.get_mut(id) {
                    message.told = Told::Acknowledged(entry.at);
                }
            }
            Event::Failed {
                id: Some(id),
                failure,
                ..
            } => {
                if let Some(message) = messages.get_mut(id)
                    && was_not_taken(failure)
                {
                    message.told = Told::NotTaken;
                }
            }
            _ => {}
        }
    }
    ensure!(
        boots.len() < 2,
        "the journals are of different boots of this host, so their clocks cannot be compared\nhint: check them one by one"
    );
    let mut checked = Checked {
        messages,
        invented: BTreeSet::new(),
        strange: 0,
    };
    for copy in found {
        checked.sort(copy, &runs);
    }
    for (id, message) in &mut checked.messages {
        let Told::Acknowledged(at) = message.told else {
            continue;
        };
        if message.exact == 0 && message.changed == 0 {
            let excuse = losses.iter().find(|loss| {
                loss.ids.contains(id) || loss.window.is_some_and(|window| window.holds(at))
            });
            message.excused = excuse.map(|loss| loss.reason.clone());
        }
    }
    Ok(checked)
}

/// Before the final dot nothing is taken; a refusal of it is the server's word that it was not (RFC 5321, 4.2.5).
fn was_not_taken(failure: &super::journal::Failure) -> bool {
    use super::journal::Failure::{Disconnected, Refused, TimedOut, Unreachable};
    match failure {
        Unreachable { .. } | Refused { .. } => true,
        TimedOut { stage } | Disconnected { stage, .. } => stage != "the final dot",
    }
}

impl Checked {
    fn sort(&mut self, copy: &Found, runs: &BTreeSet<&str>) {
        let Some(id) = &copy.id else {
            self.strange += 1;
            return;
        };
        if let Some(message) = self.messages.get_mut(id) {
            let same = (&message.sha256, message.bytes) == (&copy.sha256, copy.bytes)
                && message.to == copy.mailbox;
            if same {
                message.exact += 1;
            } else {
                message.changed += 1;
            }
        } else if id
            .rsplit_once('-')
            .is_some_and(|(run, _)| runs.contains(run))
        {
            self.invented.insert(id.clone());
        } else {
            self.strange += 1;
        }
    }

    /// Sums over messages that were begun in a window, or over all.
    #[must_use]
    pub fn counts(&self, window: Option<Window>) -> Counts {
        let mut counts = Counts::default();
        let within = |message: &&Message| window.is_none_or(|window| window.holds(message.sent));
        for message in self.messages.values().filter(within) {
            counts.sent += 1;
            counts.changed += message.changed;
            counts.duplicated += message.exact.saturating_sub(1);
            if message.is_acknowledged() {
                counts.acknowledged += 1;
                counts.found += u64::from(message.exact > 0);
                counts.documented += u64::from(message.exact == 0 && message.excused.is_some());
                counts.lost += u64::from(message.exact == 0 && message.excused.is_none());
            } else {
                counts.unacknowledged += u64::from(message.exact > 0);
            }
        }
        counts
    }

    /// Why the books do not balance; nothing if they do.
    #[must_use]
    pub fn problems(&self, window: Option<Window>) -> Vec<String> {
        let named = |what: &str, wrong: &dyn Fn(&Message) -> bool| {
            let names: Vec<&str> = self
                .messages
                .iter()
                .filter(|(_, message)| window.is_none_or(|window| window.holds(message.sent)))
                .filter(|(_, message)| wrong(message))
                .map(|(id, _)| id.as_str())
                .collect();
            say(what, &names)
        };
        let invented: Vec<&str> = match window {
            None => self.invented.iter().map(String::as_str).collect(),
            Some(_) => Vec::new(),
        };
        [
            named("acknowledged and missing", &|message| {
                message.is_missing() && message.excused.is_none()
            }),
            named("changed", &|message| message.changed > 0),
            say("found, but in no journal", &invented),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Documented losses with the number of messages that each one excuses.
    #[must_use]
    pub fn excuses(&self) -> BTreeMap<&str, u64> {
        let mut excuses = BTreeMap::new();
        for message in self.messages.values() {
            if let Some(reason) = &message.excused {
                *excuses.entry(reason.as_str()).or_default() += 1;
            }
        }
        excuses
    }
}

/// Names shown in a sentence.
const NAMES: usize = 5;

fn say(what: &str, names: &[&str]) -> Option<String> {
    if names.is_empty() {
        return None;
    }
    let shown: Vec<String> = names
        .iter()
        .take(NAMES)
        .map(|name| format!("`{name}`"))
        .collect();
    let more = names.len().saturating_sub(NAMES);
    let rest = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    Some(format!(
        "{} {what}: {}{rest}",
        names.len(),
        shown.join(", ")
    ))
}
