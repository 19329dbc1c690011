//! What the depot decides: who a machine is, whether its permit may be spent, what an operator may do. Every promise is on the
//! disk before it is told.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use camino::{Utf8Path, Utf8PathBuf};
use run::node_source::rack::{self, Facts};
use tokio::sync::watch;

use crate::log::{Log, LogError};
use crate::record::{Change, Machine, Permit, State};
use crate::view::{self, Phase, Place, Stranger};
use crate::wire::{FACT, Hello, MACS};

mod follow;
mod show;
mod told;

pub use follow::Live;

/// Machines that said hello and were not approved; the one that was not heard of for longest goes first.
const STRANGERS: usize = 256;
/// Seconds after which a stranger that says nothing is forgotten.
const FORGOTTEN: u64 = 120;
/// Seconds in which a machine that installs is taken to be at it, and not armed anew.
const AT_IT: u64 = 120;

/// A machine of the site file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Name.
    pub node: String,
    /// Role.
    pub role: String,
    /// Where it hangs.
    pub place: Option<Place>,
    /// How it is recognised.
    pub facts: Facts,
}

/// Why something is refused. What a machine is told is a line of these; what an operator is told has a hint.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Not in the site file.
    #[error("the site file has no machine `{0}`")]
    NoSuchNode(String),
    /// It installs.
    #[error(
        "`{0}` is being installed, and was heard of {1} s ago\nhint: wait for its end; a machine that lost its power can be armed again after {AT_IT} s"
    )]
    Installing(String, u64),
    /// There is nothing to take back.
    #[error("`{0}` has no permit to take back")]
    NotArmed(String),
    /// Nothing to approve.
    #[error("`{0}` has no permit\nhint: `rackwright arm {0}` first, then compare the fingerprints")]
    ArmFirst(String),
    /// No machine shows it.
    #[error(
        "no machine with the fingerprint `{0}` has said hello in the last {FORGOTTEN} s\nhint: `rackwright depot` lists those that did; the machine shows its own on its screen"
    )]
    NoSuchStranger(String),
    /// The site file says another board.
    #[error(
        "`{node}` has board `{wanted}` by the site file, this machine has `{found}`\nhint: correct `serial` in the site file, or look which machine you stand at"
    )]
    Board {
        /// Machine.
        node: String,
        /// By the site file or its permit.
        wanted: String,
        /// What the machine says.
        found: String,
    },
    /// Another image.
    #[error("`{node}` is `{wanted}`, and the machine boots an image of `{found}`")]
    Role {
        /// Machine.
        node: String,
        /// By the site file.
        wanted: String,
        /// What the machine says.
        found: String,
    },
    /// Who asks was not taken for any machine.
    #[error("the depot does not know this machine")]
    Unknown,
    /// A permit that is not there, over, or another's.
    #[error(
        "the permit `{0}` is not armed for this machine\nhint: `rackwright arm` it on the depot"
    )]
    NoPermit(String),
    /// Spent.
    #[error(
        "the permit `{0}` was spent before\nhint: `rackwright arm` the machine again on the depot"
    )]
    Spent(String),
    /// Numbers of events do not fit.
    #[error("events {0} and later are wanted")]
    Gap(u64),
    /// Too much.
    #[error("{0} is too long")]
    TooLong(&'static str),
    /// Disk.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl From<std::io::Error> for Refused {
    fn from(error: std::io::Error) -> Self {
        Self::Log(error.into())
    }
}

/// Answer to a hello.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Met {
    /// It may not know anything yet.
    Wait,
    /// It is this machine, and may have what is its.
    Granted {
        /// Machine.
        node: String,
        /// Its permit.
        permit: Permit,
    },
}

/// Who says hello.
#[derive(Debug, Clone)]
struct Seen {
    hello: Hello,
    from: String,
    heard: u64,
}

struct Inner {
    log: Log,
    state: State,
    live: BTreeMap<String, Live>,
    strangers: BTreeMap<String, Seen>,
    /// Things worth a webhook, oldest first.
    news: VecDeque<(String, Phase)>,
}

/// The store.
pub struct Store {
    cluster: String,
    folder: Utf8PathBuf,
    known: Vec<Known>,
    inner: Mutex<Inner>,
    changed: watch::Sender<u64>,
}

impl Store {
    /// Opens the memory in a folder. `known`: machines of the site file, in its order.
    ///
    /// # Errors
    /// See [`LogError`].
    pub fn open(folder: &Utf8Path, cluster: &str, known: Vec<Known>) -> Result<Self, LogError> {
        let (log, state) = Log::open(folder)?;
        let mut live = BTreeMap::new();
        for (node, machine) in &state.machines {
            if let Some(permit) = &machine.permit {
                let path = told::events_file(folder, node, &permit.id);
                live.insert(node.clone(), Live::read(&path));
            }
        }
        Ok(Self {
            cluster: cluster.to_owned(),
            folder: folder.to_owned(),
            known,
            inner: Mutex::new(Inner {
                log,
                state,
                live,
                strangers: BTreeMap::new(),
                news: VecDeque::new(),
            }),
            changed: watch::Sender::new(1),
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere leaves it whole: the log is written first, then the state is changed.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, node: &str) -> Result<&Known, Refused> {
        let found = self.known.iter().find(|known| known.node == node);
        found.ok_or_else(|| Refused::NoSuchNode(node.to_owned()))
    }

    /// Tells readers when something changes.
    #[must_use]
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn touch(&self) {
        self.changed.send_modify(|revision| *revision += 1);
    }

    /// Arms a permit, in place of an older one. `seconds`: how long it may be spent.
    ///
    /// # Errors
    /// There is no such machine, or it is being installed right now.
    pub fn arm(&self, now: u64, node: &str, id: &str, wish: Wish) -> Result<Permit, Refused> {
        let known = self.known(node)?;
        let mut inner = self.inner();
        let heard = inner.live.get(node).and_then(|live| live.heard);
        let phase = inner.phase(node);
        if let Some(heard) = heard.filter(|_| phase == Phase::Installing)
            && now.saturating_sub(heard) < AT_IT
        {
            return Err(Refused::Installing(
                node.to_owned(),
                now.saturating_sub(heard),
            ));
        }
        let permit = Permit {
            id: id.to_owned(),
            board: known.facts.serial.clone(),
            keep_data: wish.keep_data,
            expires: now.saturating_add(wish.seconds),
            on_sight: wish.on_sight,
            spent: None,
        };
        inner.change(
            now,
            Change::Armed {
                node: node.to_owned(),
                permit: permit.clone(),
            },
        )?;
        inner.live.insert(node.to_owned(), Live::default());
        drop(inner);
        self.touch();
        Ok(permit)
    }

    /// Takes a permit back that was not spent.
    ///
    /// # Errors
    /// There is none.
    pub fn disarm(&self, now: u64, node: &str) -> Result<(), Refused> {
        self.known(node)?;
        let mut inner = self.inner();
        if inner.phase(node) != Phase::Armed {
            return Err(Refused::NotArmed(node.to_owned()));
        }
        inner.change(
            now,
            Change::Disarmed {
                node: node.to_owned(),
            },
        )?;
        drop(inner);
        self.touch();
        Ok(())
    }

    /// An operator has compared the fingerprints on both screens.
    ///
    /// # Errors
    /// The machine has no permit, nobody shows this fingerprint, or the board is another one.
    pub fn approve(&self, now: u64, node: &str, fingerprint: &str) -> Result<(), Refused> {
        let known = self.known(node)?;
        let mut inner = self.inner();
        let permit = inner.machine(node).and_then(|machine| machine.armed(now));
        let Some(permit) = permit else {
            return Err(Refused::ArmFirst(node.to_owned()));
        };
        let seen = inner
            .strangers
            .get(fingerprint)
            .filter(|seen| now.saturating_sub(seen.heard) <= FORGOTTEN)
            .ok_or_else(|| Refused::NoSuchStranger(fingerprint.to_owned()))?;
        fits(known, permit, &seen.hello)?;
        let board = seen.hello.serial.clone();
        inner.change(
            now,
            Change::Approved {
                node: node.to_owned(),
                fingerprint: fingerprint.to_owned(),
                board,
            },
        )?;
        inner.strangers.remove(fingerprint);
        drop(inner);
        self.touch();
        Ok(())
    }

    /// A machine says hello.
    ///
    /// # Errors
    /// It says too much, or the disk does not take what was decided.
    pub fn hello(
        &self,
        now: u64,
        fingerprint: &str,
        hello: &Hello,
        from: &str,
    ) -> Result<Met, Refused> {
        let long = |text: &String| text.len() > FACT;
        if hello.macs.len() > MACS
            || hello.macs.iter().any(long)
            || [&hello.serial, &hello.bmc_mac]
                .into_iter()
                .flatten()
                .any(long)
            || long(&hello.role)
            || long(&hello.version)
        {
            return Err(Refused::TooLong("the hello"));
        }
        let mut inner = self.inner();
        // Approved before: it goes on where it was.
        let approved = inner.state.machines.iter().find_map(|(node, machine)| {
            let permit = machine.armed(now)?;
            (machine.fingerprint.as_deref() == Some(fingerprint))
                .then(|| (node.clone(), permit.clone()))
        });
        if let Some((node, permit)) = approved {
            inner.live.entry(node.clone()).or_default().heard = Some(now);
            return Ok(Met::Granted { node, permit });
        }
        if let Some((known, permit)) = self.guess(hello).and_then(|known| {
            let machine = inner.machine(&known.node)?;
            // The first one was taken already: the second is for the operator to look at.
            let free = machine.fingerprint.is_none();
            let permit = machine
                .armed(now)
                .filter(|permit| permit.on_sight && free)?;
            // A name is not enough: the board must be known, and be this one.
            (permit.board.is_some() && fits(known, permit, hello).is_ok())
                .then(|| (known, permit.clone()))
        }) {
            inner.change(
                now,
                Change::Approved {
                    node: known.node.clone(),
                    fingerprint: fingerprint.to_owned(),
                    board: hello.serial.clone(),
                },
            )?;
            inner.live.entry(known.node.clone()).or_default().heard = Some(now);
            drop(inner);
            self.touch();
            return Ok(Met::Granted {
                node: known.node.clone(),
                permit,
            });
        }
        let is_new = !inner.strangers.contains_key(fingerprint);
        if is_new && inner.strangers.len() >= STRANGERS {
            let oldest = inner.strangers.iter().min_by_key(|(_, seen)| seen.heard);
            if let Some(oldest) = oldest.map(|(fingerprint, _)| fingerprint.clone()) {
                inner.strangers.remove(&oldest);
            }
        }
        inner.strangers.insert(
            fingerprint.to_owned(),
            Seen {
                hello: hello.clone(),
                from: from.to_owned(),
                heard: now,
            },
        );
        drop(inner);
        if is_new {
            self.touch();
        }
        Ok(Met::Wait)
    }

    /// The machine of the site file that this may be; none if several may.
    fn guess(&self, hello: &Hello) -> Option<&Known> {
        let found = Facts {
            serial: hello.serial.clone(),
            bmc_mac: hello.bmc_mac.clone(),
            macs: hello.macs.clone(),
        };
        self.recognise(&found)
    }

    /// The machine of the site file that has these facts; none if several may.
    #[must_use]
    pub fn recognise(&self, found: &Facts) -> Option<&Known> {
        let mut fitting = self
            .known
            .iter()
            .filter(|known| rack::fits(&known.facts, found));
        let one = fitting.next()?;
        fitting.next().is_none().then_some(one)
    }

    /// Whether a machine was taken for one of the site file.
    #[must_use]
    pub fn knows(&self, fingerprint: &str) -> bool {
        self.inner().by(fingerprint).is_ok()
    }

    /// Whether a machine may be booted into its installer.
    #[must_use]
    pub fn may_install(&self, now: u64, node: &str) -> bool {
        self.inner()
            .machine(node)
            .is_some_and(|machine| machine.armed(now).is_some())
    }

    /// Machines that were installed, became healthy or failed since the last question.
    #[must_use]
    pub fn news(&self) -> Vec<(String, Phase)> {
        self.inner().news.drain(..).collect()
    }

    /// All of it, for people.
    #[must_use]
    pub fn rack(&self, now: u64) -> view::Rack {
        let inner = self.inner();
        show::rack(
            &self.cluster,
            *self.changed.borrow(),
            now,
            &self.known,
            &inner.state,
            &inner.live,
            inner
                .strangers
                .iter()
                .filter(|(_, seen)| now.saturating_sub(seen.heard) <= FORGOTTEN)
                .map(|(fingerprint, seen)| Stranger {
                    fingerprint: fingerprint.clone(),
                    board: seen.hello.serial.clone(),
                    addresses: seen.hello.macs.iter().cloned().collect(),
                    from: seen.from.clone(),
                    guess: self.guess(&seen.hello).map(|known| known.node.clone()),
                    heard: seen.heard,
                })
                .collect(),
        )
    }
}

/// What an operator wants of a permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// Data disks keep what is on them.
    pub keep_data: bool,
    /// How long it may be spent.
    pub seconds: u64,
    /// See [`Permit::on_sight`].
    pub on_sight: bool,
}

impl Inner {
    fn machine(&self, node: &str) -> Option<&Machine> {
        self.state.machines.get(node)
    }

    fn phase(&self, node: &str) -> Phase {
        self.machine(node)
            .map_or(Phase::New, |machine| machine.phase)
    }

    /// The machine that was approved with this fingerprint.
    fn by(&self, fingerprint: &str) -> Result<(String, Machine), Refused> {
        self.state
            .machines
            .iter()
            .find(|(_, machine)| machine.fingerprint.as_deref() == Some(fingerprint))
            .map(|(node, machine)| (node.clone(), machine.clone()))
            .ok_or(Refused::Unknown)
    }

    /// Disk first, then memory.
    fn change(&mut self, at: u64, change: Change) -> Result<(), Refused> {
        let mut after = self.state.clone();
        after.apply(at, &change);
        self.log.append(at, &change, &after)?;
        self.state = after;
        if let Change::Ended { node, .. } | Change::Health { node, .. } = &change {
            let news = (node.clone(), self.phase(node));
            self.news.push_back(news);
            self.news.truncate(1024);
        }
        Ok(())
    }
}

/// The machine may have this permit.
fn fits(known: &Known, permit: &Permit, hello: &Hello) -> Result<(), Refused> {
    if hello.role != known.role {
        return Err(Refused::Role {
            node: known.node.clone(),
            wanted: known.role.clone(),
            found: hello.role.clone(),
        });
    }
    match &permit.board {
        Some(wanted) if hello.serial.as_ref() != Some(wanted) => Err(Refused::Board {
            node: known.node.clone(),
            wanted: wanted.clone(),
            found: hello.serial.clone().unwrap_or_default(),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
