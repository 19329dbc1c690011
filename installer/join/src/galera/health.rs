//! Whether a node may be used. It counts against the planned voters, because each half of a split brain calls itself
//! Primary, Synced and ready (measured with MariaDB 11.8): only the plan tells which half is the smaller.

/// Status of one node, as its server gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// `wsrep_cluster_status` is `Primary`.
    pub primary: bool,
    /// `wsrep_ready`.
    pub ready: bool,
    /// `wsrep_local_state`: 1 joining, 2 donor, 3 joined, 4 synced.
    pub state: u8,
    /// `wsrep_cluster_size`.
    pub size: usize,
    /// `wsrep_cluster_weight`: the votes (`pc.weight`) of the component's members, the arbitrator's too.
    pub votes: usize,
    /// `wsrep_reject_queries` is not `NONE`.
    pub rejects: bool,
    /// `read_only`.
    pub read_only: bool,
    /// `wsrep_desync`.
    pub desync: bool,
    /// No other member is synced: then a donor is the writer, because mariabackup does not block it.
    pub alone: bool,
    /// An operator said that the others are lost and off, so this component serves without a majority.
    pub accepted: bool,
}

impl Status {
    /// The component has more than half of the planned votes.
    #[must_use]
    pub fn is_majority(&self, voters: usize) -> bool {
        self.votes.saturating_mul(2) > voters
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// `/`
    Member,
    /// `/writer`
    Writer,
    /// `/reader`, with `?donor=ok` or without.
    Reader {
        /// A donor serves too.
        donor: bool,
    },
}

/// Nothing where the node serves (200), else why not (503).
pub fn why_not(status: &Status, voters: usize, usage: Use) -> Option<String> {
    let donor = usage == Use::Reader { donor: true } || status.alone;
    if !status.primary {
        Some("not in the Primary component".into())
    } else if !status.accepted && !status.is_majority(voters) {
        Some(format!(
            "component of {} is no majority of {voters} planned voters",
            status.votes
        ))
    } else if !status.ready {
        Some("not ready".into())
    } else if status.state != 4 && !(donor && status.state == 2) {
        Some(format!("state {} is not synced", status.state))
    } else if status.rejects {
        Some("queries are rejected".into())
    } else if usage == Use::Writer && status.read_only {
        Some("read only".into())
    } else if usage == Use::Writer && status.desync {
        Some("desynchronised by the operator".into())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        let good = Status {
            primary: true,
            ready: true,
            state: 4,
            size: 3,
            votes: 3,
            rejects: false,
            read_only: false,
            desync: false,
            alone: false,
            accepted: false,
        };
        let any = Use::Reader { donor: true };
        let cases = [
            (good.clone(), Use::Writer, ""),
            (
                Status {
                    size: 2,
                    votes: 2,
                    ..good.clone()
                },
                Use::Writer,
                "",
            ),
            (
                Status {
                    size: 1,
                    votes: 1,
                    ..good.clone()
                },
                Use::Member,
                "component of 1 is no majority of 3 planned voters",
            ),
            // One member with two votes of three decides.
            (
                Status {
                    size: 1,
                    votes: 2,
                    ..good.clone()
                },
                Use::Member,
                "",
            ),
            (
                Status {
                    size: 1,
                    votes: 1,
                    accepted: true,
                    ..good.clone()
                },
                Use::Writer,
                "",
            ),
            (
                Status {
                    primary: false,
                    accepted: true,
                    ..good.clone()
                },
                Use::Member,
                "not in the Primary component",
            ),
            (
                Status {
                    primary: false,
                    ..good.clone()
                },
                Use::Member,
                "not in the Primary component",
            ),
            (
                Status {
                    ready: false,
                    ..good.clone()
                },
                Use::Member,
                "not ready",
            ),
            (
                Status {
                    state: 2,
                    ..good.clone()
                },
                Use::Reader { donor: false },
                "state 2 is not synced",
            ),
            (
                Status {
                    state: 2,
                    ..good.clone()
                },
                any,
                "",
            ),
            (
                Status {
                    state: 1,
                    ..good.clone()
                },
                any,
                "state 1 is not synced",
            ),
            (
                Status {
                    state: 2,
                    alone: true,
                    ..good.clone()
                },
                Use::Writer,
                "",
            ),
            (
                Status {
                    state: 1,
                    alone: true,
                    ..good.clone()
                },
                Use::Writer,
                "state 1 is not synced",
            ),
            (
                Status {
                    rejects: true,
                    ..good.clone()
                },
                any,
                "queries are rejected",
            ),
            (
                Status {
                    read_only: true,
                    ..good.clone()
                },
                Use::Writer,
                "read only",
            ),
            (
                Status {
                    read_only: true,
                    ..good.clone()
                },
                any,
                "",
            ),
            (
                Status {
                    desync: true,
                    ..good
                },
                Use::Writer,
                "desynchronised by the operator",
            ),
        ];
        for (status, usage, expected) in cases {
            assert_eq!(
                why_not(&status, 3, usage).unwrap_or_default(),
                expected,
                "{status:?} {usage:?}"
            );
        }
    }

    #[test]
    fn two_parts_never_serve_at_once() {
        for voters in 1..10_usize {
            for votes in 1..voters {
                let serves = |votes| {
                    let status = Status {
                        primary: true,
                        ready: true,
                        state: 4,
                        size: 1,
                        votes,
                        rejects: false,
                        read_only: false,
                        desync: false,
                        alone: true,
                        accepted: false,
                    };
                    why_not(&status, voters, Use::Writer).is_none()
                };
                assert!(
                    !(serves(votes) && serves(voters - votes)),
                    "{votes} of {voters}"
                );
            }
        }
    }
}
