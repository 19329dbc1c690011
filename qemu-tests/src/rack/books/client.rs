//! The client: sends and looks all the time, at its own pace, whatever the cluster does. A message is tried once: a real client
//! would try again, but then its own copies could not be told from the cluster's.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::imap::{self, Account};
use super::journal::{Event, Failure, Journal, Protocol};
use super::message::{self, sha256};
use super::smtp::{self, Envelope};
use super::wire::Server;
use crate::random::Random;

/// What the client does.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Name of this run, unique among all.
    pub run: String,
    /// Bodies and pauses are made from it.
    pub seed: u64,
    /// Where mail goes to.
    pub smtp: Server,
    /// Where it is looked for.
    pub imap: Server,
    /// Sender.
    pub from: String,
    /// Mailboxes, by turns.
    pub accounts: Vec<Account>,
    /// Shortest and longest pause from the begin of one message to the begin of the next.
    pub pause: (Duration, Duration),
    /// Messages on their way at a time: one that hangs must not make an outage look longer than it is.
    pub senders: usize,
    /// Looks at a time.
    pub probers: usize,
}

/// Runs until `stop` says so; what is on its way then is waited for.
///
/// # Errors
/// If the journal cannot be written.
pub fn run(plan: &Plan, journal: &Journal, stop: &(dyn Fn() -> bool + Sync)) -> anyhow::Result<()> {
    journal.write(Event::Began {
        run: plan.run.clone(),
        seed: plan.seed,
        boot: fs_err::read_to_string("/proc/sys/kernel/random/boot_id")?
            .trim()
            .to_owned(),
        smtp: plan.smtp.address.to_string(),
        imap: plan.imap.address.to_string(),
    })?;
    let broken = Mutex::new(None);
    let halt = || stop() || broken.lock().is_ok_and(|broken| broken.is_some());
    let number = AtomicU64::new(0);
    let (sending, looking) = (Ticker::new(plan, 1), Ticker::new(plan, 2));
    let work = |ticker: &Ticker, turn: &dyn Fn() -> anyhow::Result<()>| {
        while ticker.wait(&halt) {
            if let Err(error) = turn()
                && let Ok(mut broken) = broken.lock()
            {
                broken.get_or_insert(error);
            }
        }
    };
    let work = &work;
    std::thread::scope(|scope| {
        for _ in 0..plan.senders {
            scope.spawn(|| {
                work(&sending, &|| {
                    send(plan, journal, number.fetch_add(1, Ordering::Relaxed))
                });
            });
        }
        for turn in 0..plan.probers {
            let account = plan.accounts.get(turn % plan.accounts.len().max(1));
            let (looking, account) = (&looking, account.or(plan.accounts.first()));
            scope.spawn(move || {
                if let Some(account) = account {
                    work(looking, &|| look(plan, journal, account));
                }
            });
        }
    });
    match broken.into_inner() {
        Ok(Some(error)) => Err(error).context("the books cannot be kept"),
        _ => journal.write(Event::Ended),
    }
}

fn send(plan: &Plan, journal: &Journal, number: u64) -> anyhow::Result<()> {
    let turn = usize::try_from(number).unwrap_or_default() % plan.accounts.len().max(1);
    let to = &plan
        .accounts
        .get(turn)
        .context("there is no mailbox to send to")?
        .user;
    let message = message::make(&plan.run, plan.seed, number, &plan.from, to);
    let id = message.id;
    journal.write(Event::Sent {
        id: id.clone(),
        to: to.clone(),
        bytes: u64::try_from(message.bytes.len())?,
        sha256: sha256(&message.bytes),
    })?;
    let envelope = Envelope {
        from: &plan.from,
        to,
        bytes: &message.bytes,
    };
    let begin = Instant::now();
    let mut written = Ok(());
    let answer = smtp::send(&plan.smtp, &envelope, &mut || {
        written = greeted(journal, Protocol::Smtp, Some(&id));
    });
    written?;
    match answer {
        Ok((wire, answer)) => {
            journal.write(Event::Acknowledged {
                id,
                answer,
                milliseconds: milliseconds(begin),
            })?;
            smtp::leave(wire);
            Ok(())
        }
        Err(failure) => failed(journal, Protocol::Smtp, Some(id), failure),
    }
}

fn look(plan: &Plan, journal: &Journal, account: &Account) -> anyhow::Result<()> {
    let begin = Instant::now();
    let mut written = Ok(());
    let seen = imap::look(&plan.imap, account, &mut || {
        written = greeted(journal, Protocol::Imap, None);
    });
    written?;
    match seen {
        Ok(seen) => journal.write(Event::Looked {
            mailbox: account.user.clone(),
            messages: seen.messages,
            newest: seen.newest,
            milliseconds: milliseconds(begin),
        }),
        Err(failure) => failed(journal, Protocol::Imap, None, failure),
    }
}

fn greeted(journal: &Journal, protocol: Protocol, id: Option<&String>) -> anyhow::Result<()> {
    journal.write(Event::Greeted {
        protocol,
        id: id.cloned(),
    })
}

fn failed(
    journal: &Journal,
    protocol: Protocol,
    id: Option<String>,
    failure: Failure,
) -> anyhow::Result<()> {
    journal.write(Event::Failed {
        protocol,
        id,
        failure,
    })
}

fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Hands out turns, with a pause between any two of them.
struct Ticker {
    pause: (Duration, Duration),
    next: Mutex<(Instant, Random)>,
}

impl Ticker {
    fn new(plan: &Plan, kind: u64) -> Self {
        Self {
            pause: plan.pause,
            next: Mutex::new((Instant::now(), Random::of(plan.seed, u64::MAX - kind))),
        }
    }

    /// Waits for the next turn; false if there is none any more.
    fn wait(&self, halt: &dyn Fn() -> bool) -> bool {
        // Whoever holds the lock waits for the turn, the others for him.
        let Ok(mut next) = self.next.lock() else {
            return false;
        };
        while !halt() {
            let left = next.0.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let (shortest, longest) = self.pause;
                let more = longest.saturating_sub(shortest);
                let pause = shortest + more.mul_f64(next.1.fraction());
                next.0 = Instant::now() + pause;
                return true;
            }
            std::thread::sleep(left.min(Duration::from_millis(100)));
        }
        false
    }
}
