//! The claim store: decides on claims, one after the other, and writes what it promised before it says so.

use std::sync::{Mutex, MutexGuard, PoisonError};

use camino::Utf8Path;

use crate::{
    log::{Log, LogError},
    record::{Entry, Record, State},
    wire::{Answer, Claim, DETAIL, LEASE, NAME, Standing},
};

/// Why the store said no.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Disk.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Only the active control server decides.
    #[error("`{node}` is not the active control server, `{active}` is")]
    Standby {
        /// This server.
        node: String,
        /// The active one; empty if none is known.
        active: String,
    },
    /// A token is good for one enrolment.
    #[error(
        "the join token of `{node}` was spent before\nhint: `rackwright token` makes a new one"
    )]
    TokenSpent {
        /// Machine that asked.
        node: String,
    },
    /// A machine claims for itself.
    #[error("`{node}` may not name `{owner}`: only control servers name others")]
    NotYours {
        /// Who asked.
        node: String,
        /// For whom.
        owner: String,
    },
    /// Too long, empty, or control characters.
    #[error("{what} is no name: 1 to {NAME} printable characters without spaces")]
    Name {
        /// Which.
        what: &'static str,
    },
}

#[derive(Debug)]
struct Kept {
    state: State,
    log: Log,
    /// Seconds since 1970 when the active server was last reached.
    reached: Option<u64>,
}

/// The store of one control server.
#[derive(Debug)]
pub struct Store {
    node: String,
    kept: Mutex<Kept>,
}

/// Who asks, from the certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Host name.
    pub node: String,
    /// Role.
    pub role: String,
}

impl Store {
    /// Opens the store of a folder for the control server `node`.
    ///
    /// # Errors
    /// See [`LogError`].
    pub fn open(folder: &Utf8Path, node: &str) -> Result<Self, LogError> {
        let (log, state) = Log::open(folder)?;
        Ok(Self {
            node: node.to_owned(),
            kept: Mutex::new(Kept {
                state,
                log,
                reached: None,
            }),
        })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // A panic elsewhere leaves it whole: the log is written first, then the state is changed.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of what is known.
    #[must_use]
    pub fn state(&self) -> State {
        self.kept().state.clone()
    }

    /// How far this server is.
    #[must_use]
    pub fn standing(&self, now: u64) -> Standing {
        let kept = self.kept();
        let (record, digest) = kept.log.last();
        let is_active = kept.state.active.node == self.node;
        Standing {
            node: self.node.clone(),
            active: kept.state.active.node.clone(),
            epoch: kept.state.active.number,
            record,
            digest: digest.to_owned(),
            behind: if is_active {
                Some(0)
            } else {
                kept.reached.map(|at| now.saturating_sub(at))
            },
        }
    }

    /// Makes this server the active one, whatever was before: the caller sees to it that the other one is not, too.
    ///
    /// # Errors
    /// Disk.
    pub fn promote(&self, now: u64, at_least: u64) -> Result<u64, StoreError> {
        let mut kept = self.kept();
        let epoch = kept.state.active.number.max(at_least).saturating_add(1);
        let node = self.node.clone();
        kept.write(now, Record::Active { epoch, node })?;
        Ok(epoch)
    }

    /// Whether this server decides.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.kept().state.active.node == self.node
    }

    fn active(&self) -> Result<MutexGuard<'_, Kept>, StoreError> {
        let kept = self.kept();
        if kept.state.active.node == self.node {
            Ok(kept)
        } else {
            Err(StoreError::Standby {
                node: self.node.clone(),
                active: kept.state.active.node.clone(),
            })
        }
    }

    /// Spends a token (by its digest), once for all, on one public key (by its digest). A machine whose answer was lost
    /// comes again with the same key and is answered again.
    ///
    /// # Errors
    /// It was spent on another key, or this server does not decide.
    pub fn spend_token(
        &self,
        now: u64,
        node: &str,
        token: &str,
        key: &str,
    ) -> Result<(), StoreError> {
        let mut kept = self.active()?;
        match kept.state.tokens.get(token) {
            Some(spent) if spent == key => Ok(()),
            Some(_) => Err(StoreError::TokenSpent { node: node.into() }),
            None => {
                let record = Record::Enrolled {
                    node: node.to_owned(),
                    token: token.to_owned(),
                    key: key.to_owned(),
                };
                kept.write(now, record)
            }
        }
    }

    /// Notes a renewal.
    ///
    /// # Errors
    /// This server does not decide.
    pub fn renewed(&self, now: u64, node: &str) -> Result<(), StoreError> {
        let node = node.to_owned();
        self.active()?.write(now, Record::Renewed { node })
    }

    /// Decides on a claim.
    ///
    /// # Errors
    /// See [`StoreError`]. A claim that another one stands against is an [`Answer`], not an error.
    pub fn claim(&self, now: u64, caller: &Caller, claim: Claim) -> Result<Answer, StoreError> {
        let mut kept = self.active()?;
        let node = caller.node.as_str();
        match claim {
            Claim::TakeBootstrap { cluster } => {
                name("`cluster`", &cluster)?;
                match kept.state.rights.get(&cluster) {
                    None => {
                        let node = node.to_owned();
                        kept.write(now, Record::Right { cluster, node })?;
                        Ok(Answer::Granted)
                    }
                    Some(right) => Ok(match &right.uuid {
                        Some(uuid) => Answer::Spent {
                            by: right.node.clone(),
                            uuid: uuid.clone(),
                        },
                        None if right.node == node => Answer::Granted,
                        None => Answer::HeldBy {
                            node: right.node.clone(),
                        },
                    }),
                }
            }
            Claim::SpendBootstrap { cluster, uuid } => {
                name("`uuid`", &uuid)?;
                match kept.state.rights.get(&cluster) {
                    Some(right) if right.node == node => match &right.uuid {
                        None => {
                            kept.write(now, Record::Spent { cluster, uuid })?;
                            Ok(Answer::Done)
                        }
                        Some(known) if *known == uuid => Ok(Answer::Done),
                        Some(_) => Ok(Answer::NotHeld),
                    },
                    _ => Ok(Answer::NotHeld),
                }
            }
            Claim::Lease { what, seconds } => {
                name("`what`", &what)?;
                let lease = kept.state.leases.get(&what);
                let granted = lease.is_none_or(|lease| lease.node == node || lease.until <= now);
                if granted {
                    let (node, until) = (node.to_owned(), now.saturating_add(seconds.min(LEASE)));
                    kept.write(now, Record::Lease { what, node, until })?;
                }
                Ok(Answer::Lease { granted })
            }
            Claim::Release { what } => {
                let lease = kept.state.leases.get(&what);
                if lease.is_some_and(|lease| lease.node == node) {
                    kept.write(now, Record::Released { what })?;
                }
                Ok(Answer::Done)
            }
            Claim::Epoch { resource } => {
                let owner = kept.state.epochs.get(&resource).cloned();
                let owner = owner.unwrap_or_default();
                Ok(Answer::Epoch {
                    number: owner.number,
                    owner: owner.node,
                })
            }
            Claim::RaiseEpoch {
                resource,
                from,
                owner,
            } => {
                name("`resource`", &resource)?;
                name("`owner`", &owner)?;
                if owner != node && caller.role != "control" {
                    let node = node.to_owned();
                    return Err(StoreError::NotYours { node, owner });
                }
                let number = kept.state.epochs.get(&resource).map_or(0, |now| now.number);
                if number != from {
                    return Ok(Answer::Changed { number });
                }
                let (number, named) = (from.saturating_add(1), owner.clone());
                let record = Record::Epoch {
                    resource,
                    number,
                    owner,
                };
                kept.write(now, record)?;
                Ok(Answer::Epoch {
                    number,
                    owner: named,
                })
            }
            Claim::Report { state, detail } => {
                name("`state`", &state)?;
                let detail = printable(&detail);
                let known = kept.state.nodes.get(node);
                // Who says the same each second does not fill the log.
                if known.is_none_or(|known| known.state != state || known.detail != detail) {
                    let record = Record::Report {
                        node: node.to_owned(),
                        state,
                        detail,
                    };
                    kept.write(now, record)?;
                }
                Ok(Answer::Done)
            }
        }
    }

    /// Lines after a record, for the other control server; absent where it needs all of them.
    #[must_use]
    pub fn lines_after(&self, number: u64, digest: &str) -> Option<String> {
        self.kept().log.after(number, digest)
    }

    /// All lines.
    #[must_use]
    pub fn all_lines(&self) -> String {
        self.kept().log.all()
    }

    /// Number of the last record.
    #[must_use]
    pub fn record(&self) -> u64 {
        self.kept().log.last().0
    }

    /// Takes lines of the active server: the next ones, or with `whole` all.
    ///
    /// # Errors
    /// They do not go on from here, name an epoch that is older than ours, or the disk fails.
    pub fn follow(&self, now: u64, lines: &str, whole: bool) -> Result<(), StoreError> {
        let mut kept = self.kept();
        if whole {
            kept.state = kept.log.replace(lines, now)?;
        } else {
            let entries = kept.log.follow(lines)?;
            for Entry { at, change, .. } in entries {
                kept.state.apply(at, &change);
            }
        }
        kept.reached = Some(now);
        Ok(())
    }
}

impl Kept {
    fn write(&mut self, now: u64, change: Record) -> Result<(), StoreError> {
        self.log.append(now, change.clone())?;
        self.state.apply(now, &change);
        if self.log.is_long() {
            // What was over an hour ago is nobody's any more.
            let mut state = self.state.clone();
            state
                .leases
                .retain(|_, lease| lease.until.saturating_add(3600) > now);
            let whole = Record::Whole(Box::new(state));
            self.log.append(now, whole.clone())?;
            self.state.apply(now, &whole);
        }
        Ok(())
    }
}

fn name(what: &'static str, text: &str) -> Result<(), StoreError> {
    let printable = text
        .chars()
        .all(|letter| !letter.is_control() && letter != ' ');
    if text.is_empty() || text.len() > NAME || !printable {
        return Err(StoreError::Name { what });
    }
    Ok(())
}

/// Without control characters, which would write on somebody's terminal, and not too long.
fn printable(text: &str) -> String {
    let mut clean = String::new();
    for letter in text.chars() {
        if clean.len() + letter.len_utf8() > DETAIL {
            break;
        }
        clean.push(if letter.is_control() { ' ' } else { letter });
    }
    clean
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
