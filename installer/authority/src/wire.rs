//! What is said between machines and the authority: JSON, one object each way. Unknown keys are refused, so that a machine of
//! another version is told so and not half understood.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Longest name of a node, cluster or resource, in bytes.
pub const NAME: usize = 128;
/// Longest detail of a report, in bytes; the rest is cut off.
pub const DETAIL: usize = 1024;
/// Longest lease: a day.
pub const LEASE: u64 = 86_400;
/// Bytes of a request that are read.
pub const BODY: usize = 64 * 1024;

/// Asks for the first certificate.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrol {
    /// Host name.
    pub node: String,
    /// Role.
    pub role: String,
    /// One-time token.
    pub token: String,
    /// PKCS #10 in PEM.
    pub request: String,
}

/// Asks for the next certificate; who asks, the present one says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Renew {
    /// PKCS #10 in PEM.
    pub request: String,
}

/// A certificate.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issued {
    /// PEM.
    pub certificate: String,
    /// That of the authority, PEM.
    pub authority: String,
}

/// Secrets of the machine that asks, by purpose.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub struct Delivered(pub BTreeMap<String, String>);

/// Purposes only.
impl std::fmt::Debug for Delivered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A claim; who claims, the certificate says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "claim", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Claim {
    /// The one right to bootstrap a cluster.
    TakeBootstrap {
        /// Cluster.
        cluster: String,
    },
    /// The cluster was made.
    SpendBootstrap {
        /// Cluster.
        cluster: String,
        /// Its UUID.
        uuid: String,
    },
    /// One at a time.
    Lease {
        /// What.
        what: String,
        /// How long.
        seconds: u64,
    },
    /// No longer needed.
    Release {
        /// What.
        what: String,
    },
    /// Who owns a resource.
    Epoch {
        /// Resource.
        resource: String,
    },
    /// A new owner of a resource.
    RaiseEpoch {
        /// Resource.
        resource: String,
        /// Number that the caller knows.
        from: u64,
        /// New owner. Others than oneself are named by control servers only.
        owner: String,
    },
    /// How far the machine is.
    Report {
        /// One word.
        state: String,
        /// A line for people.
        detail: String,
    },
}

/// Answer to a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Answer {
    /// The right is the caller's.
    Granted,
    /// It is another's.
    HeldBy {
        /// Whose.
        node: String,
    },
    /// The cluster exists.
    Spent {
        /// Who made it.
        by: String,
        /// Its UUID.
        uuid: String,
    },
    /// The caller has not got the right that it wants to spend.
    NotHeld,
    /// Whether the lease is the caller's.
    Lease {
        /// Whether.
        granted: bool,
    },
    /// The epoch as it is now.
    Epoch {
        /// Number.
        number: u64,
        /// Owner; empty before the first.
        owner: String,
    },
    /// Compare-and-set failed.
    Changed {
        /// The number as it is.
        number: u64,
    },
    /// Done.
    Done,
}

/// What the active control server knows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Known {
    /// Its clock, in seconds since 1970.
    pub now: u64,
    /// When it last heard of each machine; of those that said nothing since it started, nothing.
    pub heard: BTreeMap<String, u64>,
    /// Claims and what machines told.
    pub state: crate::record::State,
}

/// Makes the server that is asked the active one; control servers only.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Promote {
    /// Epoch that is known of; the new one is higher.
    pub above: u64,
}

/// Which of the control servers this is, and how far its log is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// This server.
    pub node: String,
    /// Server that it holds for the active one; empty before the first.
    pub active: String,
    /// How often the active one changed.
    pub epoch: u64,
    /// Number of its last record.
    pub record: u64,
    /// Digest of its last record.
    pub digest: String,
    /// Seconds since it last reached the active one; 0 on that itself, absent if never.
    pub behind: Option<u64>,
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Words for a program: `standby`, `token`, `certificate`, `form`, `store`, ...
    pub reason: String,
    /// A line for people.
    pub message: String,
}
