//! What the claim store holds, as a fold over records: the log is the truth, the state is what it says. Pure.

use std::collections::{BTreeMap, VecDeque};

use join::claims::Epoch;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Events that are kept.
const EVENTS: usize = 1000;

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
pub enum Record {
    /// A control server becomes the active one.
    Active {
        /// Epoch, higher than all before.
        epoch: u64,
        /// Server.
        node: String,
    },
    /// A token was spent and a certificate issued.
    Enrolled {
        /// Machine.
        node: String,
        /// Digest of the token.
        token: String,
        /// Digest of the public key that the certificate is for.
        key: String,
    },
    /// A certificate was renewed.
    Renewed {
        /// Machine.
        node: String,
    },
    /// A machine holds the right to bootstrap.
    Right {
        /// Cluster.
        cluster: String,
        /// Machine.
        node: String,
    },
    /// The right was spent.
    Spent {
        /// Cluster.
        cluster: String,
        /// UUID of what was made.
        uuid: String,
    },
    /// A lease was given or lengthened.
    Lease {
        /// What.
        what: String,
        /// Machine.
        node: String,
        /// Seconds since 1970.
        until: u64,
    },
    /// A lease was given back.
    Released {
        /// What.
        what: String,
    },
    /// A new owner of a resource.
    Epoch {
        /// Resource.
        resource: String,
        /// Number.
        number: u64,
        /// Owner.
        owner: String,
    },
    /// A machine told how far it is.
    Report {
        /// Machine.
        node: String,
        /// One word.
        state: String,
        /// A line for people.
        detail: String,
    },
    /// All of it: what was before may be forgotten.
    Whole(Box<State>),
}

/// A numbered record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Counts from 1 without gaps.
    pub number: u64,
    /// Seconds since 1970.
    pub at: u64,
    /// Digest of the entry before; empty for the first. Makes two histories two.
    pub before: String,
    /// The change.
    pub change: Record,
}

/// What a machine told last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeState {
    /// One word.
    pub state: String,
    /// A line for people.
    pub detail: String,
    /// Seconds since 1970.
    pub at: u64,
}

/// A line for people about what happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Seconds since 1970.
    pub at: u64,
    /// What.
    pub text: String,
}

/// Right to bootstrap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Right {
    /// Who has it.
    pub node: String,
    /// UUID of what was made with it.
    pub uuid: Option<String>,
}

/// A lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Who has it.
    pub node: String,
    /// Seconds since 1970.
    pub until: u64,
}

/// A resource's owner.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Counts up.
    pub number: u64,
    /// Machine.
    pub node: String,
}

impl From<Owner> for Epoch {
    fn from(owner: Owner) -> Self {
        Self {
            number: owner.number,
            owner: owner.node,
        }
    }
}

/// Everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Active control server.
    pub active: Owner,
    /// Digests of spent tokens, and of the public keys they were spent on.
    pub tokens: BTreeMap<String, String>,
    /// Rights to bootstrap, by cluster.
    pub rights: BTreeMap<String, Right>,
    /// Leases.
    pub leases: BTreeMap<String, Lease>,
    /// Fencing epochs, by resource.
    pub epochs: BTreeMap<String, Owner>,
    /// What each machine told last.
    pub nodes: BTreeMap<String, NodeState>,
    /// What happened last.
    pub events: VecDeque<Event>,
}

impl State {
    /// Takes a change in.
    pub fn apply(&mut self, at: u64, change: &Record) {
        match change {
            Record::Active { epoch, node } => {
                self.active = Owner {
                    number: *epoch,
                    node: node.clone(),
                };
                self.event(at, format!("`{node}` is the active control server"));
            }
            Record::Enrolled { node, token, key } => {
                self.tokens.insert(token.clone(), key.clone());
                self.event(at, format!("`{node}` enrolled"));
            }
            Record::Renewed { node } => self.event(at, format!("`{node}` renewed its certificate")),
            Record::Right { cluster, node } => {
                let right = Right {
                    node: node.clone(),
                    uuid: None,
                };
                self.rights.insert(cluster.clone(), right);
                self.event(at, format!("`{node}` may bootstrap `{cluster}`"));
            }
            Record::Spent { cluster, uuid } => {
                if let Some(right) = self.rights.get_mut(cluster) {
                    right.uuid = Some(uuid.clone());
                }
                self.event(at, format!("`{cluster}` was made: {uuid}"));
            }
            Record::Lease { what, node, until } => {
                let lease = Lease {
                    node: node.clone(),
                    until: *until,
                };
                self.leases.insert(what.clone(), lease);
            }
            Record::Released { what } => {
                self.leases.remove(what);
            }
            Record::Epoch {
                resource,
                number,
                owner,
            } => {
                let new = Owner {
                    number: *number,
                    node: owner.clone(),
                };
                self.epochs.insert(resource.clone(), new);
                self.event(at, format!("`{owner}` owns `{resource}`, epoch {number}"));
            }
            Record::Report {
                node,
                state,
                detail,
            } => {
                let new = NodeState {
                    state: state.clone(),
                    detail: detail.clone(),
                    at,
                };
                self.nodes.insert(node.clone(), new);
                self.event(at, format!("`{node}` {state}: {detail}"));
            }
            Record::Whole(state) => *self = (**state).clone(),
        }
    }

    fn event(&mut self, at: u64, text: String) {
        self.events.push_back(Event { at, text });
        while self.events.len() > EVENTS {
            self.events.pop_front();
        }
    }
}

/// Hexadecimal digits of a digest that are kept: 128 bits.
pub(crate) const DIGEST: usize = 32;

/// Digest of an entry's JSON.
pub(crate) fn digest(json: &str) -> String {
    let mut text = hex::encode(Sha256::digest(json.as_bytes()));
    text.truncate(DIGEST);
    text
}
