//! The one decision that can lose a cluster: whether a node bootstraps. Measured with MariaDB 11.8: two parts that
//! both call themselves Primary never merge and log no error, so every doubt here waits or refuses.

/// What the data directory holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// No cluster was ever in it.
    New,
    /// State of a cluster, from `grastate.dat`.
    Of(String),
}

/// What a planned peer answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// Nothing answers on port 4567.
    Silent,
    /// Port 4567 answers, but it is in no Primary component.
    Answers,
    /// Member of a Primary component.
    Primary {
        /// UUID of its cluster.
        uuid: String,
        /// Members it counts.
        size: usize,
    },
}

/// What the store of claims says of the right to bootstrap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Right {
    /// Who would know does not answer; the text says who.
    Unknown(String),
    /// Nobody has it.
    Free,
    /// This node has it, unspent.
    Mine,
    /// This other node has it, unspent.
    Other(String),
    /// The cluster with this UUID exists.
    Spent(String),
}

/// Why a node does not go on. Time does not cure a refusal, somebody has to act.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Data of another cluster.
    #[error(
        "data directory belongs to cluster `{found}`, the plan's cluster is `{planned}`: wipe it explicitly, or correct the plan"
    )]
    ForeignData {
        /// UUID on disk.
        found: String,
        /// UUID in the store of claims or of the peers.
        planned: String,
    },
    /// Data, though no cluster was ever made by this plan.
    #[error(
        "data directory belongs to cluster `{0}`, but this plan's cluster was not made yet: wipe it explicitly, or restore the store of claims"
    )]
    DataBeforeCluster(String),
    /// A peer is in another cluster.
    #[error(
        "peer is in cluster `{found}`, the plan's cluster is `{planned}`: take the foreign machine off these addresses"
    )]
    ForeignPeer {
        /// UUID of the peer.
        found: String,
        /// UUID of the plan, or of another peer.
        planned: String,
    },
}

impl Refusal {
    /// Stable name, for documents and machines.
    pub fn id(&self) -> &'static str {
        match self {
            Self::ForeignData { .. } => "galera-foreign-data",
            Self::DataBeforeCluster(_) => "galera-data-before-cluster",
            Self::ForeignPeer { .. } => "galera-foreign-peer",
        }
    }
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Take the right (compare-and-set); only when granted, start with a new cluster.
    Bootstrap,
    /// Start with the full list of members, never with a new cluster.
    Join,
    /// Ask again; the text is for the console.
    Wait(String),
    /// Stop and say why.
    Refuse(Refusal),
}

/// Decides from facts. `first` is the one node of the plan that may bootstrap.
pub fn decide(first: bool, data: &Data, peers: &[Peer], right: &Right) -> Decision {
    let primaries: Vec<(&String, usize)> = peers
        .iter()
        .filter_map(|peer| match peer {
            Peer::Primary { uuid, size } => Some((uuid, *size)),
            _ => None,
        })
        .collect();
    let known = match right {
        Right::Spent(uuid) => Some(uuid),
        _ => primaries.first().map(|(uuid, _)| *uuid),
    };
    if let Some(planned) = known {
        if let Some((found, _)) = primaries.iter().find(|(uuid, _)| *uuid != planned) {
            return Decision::Refuse(Refusal::ForeignPeer {
                found: (*found).clone(),
                planned: planned.clone(),
            });
        }
        if let Data::Of(found) = data
            && found != planned
        {
            return Decision::Refuse(Refusal::ForeignData {
                found: found.clone(),
                planned: planned.clone(),
            });
        }
    }
    // Sizes 2 and 1 with one UUID is the silent split brain; two members in views of size one as well.
    let split = primaries.iter().any(|(_, size)| {
        Some(*size) != primaries.first().map(|(_, size)| *size) || *size < primaries.len()
    });
    if split {
        return Decision::Wait("peers to agree on one Primary component".into());
    }
    match (data, right) {
        (Data::Of(found), Right::Free | Right::Other(_)) => {
            Decision::Refuse(Refusal::DataBeforeCluster(found.clone()))
        }
        // Own data: a normal start, by which `pc.recovery` also ends a full outage. Control may be down. An interrupted bootstrap goes on here.
        (Data::Of(_), Right::Unknown(_) | Right::Mine | Right::Spent(_)) => Decision::Join,
        (Data::New, Right::Unknown(who)) => Decision::Wait(format!("{who} to answer")),
        (Data::New, Right::Spent(_)) if primaries.is_empty() => {
            Decision::Wait("a member of the Primary component".into())
        }
        (Data::New, Right::Spent(_)) => Decision::Join,
        (Data::New, Right::Other(node)) => Decision::Wait(format!("`{node}` to make the cluster")),
        (Data::New, Right::Free | Right::Mine)
            if peers.iter().any(|peer| *peer != Peer::Silent) =>
        {
            Decision::Wait(
                "peers on port 4567 to be explained: they answer, but no cluster is recorded"
                    .into(),
            )
        }
        (Data::New, Right::Free | Right::Mine) if first => Decision::Bootstrap,
        (Data::New, Right::Free | Right::Mine) => {
            Decision::Wait("the plan's first node to make the cluster".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn primary(uuid: &str, size: usize) -> Peer {
        Peer::Primary {
            uuid: uuid.into(),
            size,
        }
    }
    fn of(uuid: &str) -> Data {
        Data::Of(uuid.into())
    }
    fn spent() -> Right {
        Right::Spent("a".into())
    }
    fn word(decision: &Decision) -> String {
        match decision {
            Decision::Bootstrap => "bootstrap".into(),
            Decision::Join => "join".into(),
            Decision::Wait(why) => format!("wait: {why}"),
            Decision::Refuse(refusal) => format!("{}: {refusal}", refusal.id()),
        }
    }

    #[test]
    fn table() {
        use Peer::{Answers, Silent};
        let quiet = vec![Silent, Silent];
        let cases = [
            (
                "first of all",
                true,
                Data::New,
                quiet.clone(),
                Right::Free,
                "bootstrap",
            ),
            (
                "asked again",
                true,
                Data::New,
                quiet.clone(),
                Right::Mine,
                "bootstrap",
            ),
            (
                "not the first",
                false,
                Data::New,
                quiet.clone(),
                Right::Free,
                "wait: the plan's first node to make the cluster",
            ),
            (
                "another has it",
                true,
                Data::New,
                quiet.clone(),
                Right::Other("db2".into()),
                "wait: `db2` to make the cluster",
            ),
            (
                "nobody knows",
                true,
                Data::New,
                quiet.clone(),
                Right::Unknown("`db2`".into()),
                "wait: `db2` to answer",
            ),
            (
                "peer answers",
                true,
                Data::New,
                vec![Answers, Silent],
                Right::Free,
                "wait: peers on port 4567 to be explained: they answer, but no cluster is recorded",
            ),
            (
                "first node reinstalled",
                true,
                Data::New,
                vec![primary("a", 2), primary("a", 2)],
                spent(),
                "join",
            ),
            (
                "first node reinstalled, all down",
                true,
                Data::New,
                quiet.clone(),
                spent(),
                "wait: a member of the Primary component",
            ),
            (
                "second joins",
                false,
                Data::New,
                vec![primary("a", 1), Silent],
                spent(),
                "join",
            ),
            ("full outage", true, of("a"), quiet.clone(), spent(), "join"),
            (
                "full outage, nobody answers",
                false,
                of("a"),
                quiet.clone(),
                Right::Unknown("`db2`".into()),
                "join",
            ),
            (
                "bootstrap was interrupted",
                true,
                of("a"),
                quiet.clone(),
                Right::Mine,
                "join",
            ),
            (
                "split brain",
                false,
                of("a"),
                vec![primary("a", 2), primary("a", 1)],
                spent(),
                "wait: peers to agree on one Primary component",
            ),
            (
                "each alone",
                false,
                of("a"),
                vec![primary("a", 1), primary("a", 1)],
                spent(),
                "wait: peers to agree on one Primary component",
            ),
            (
                "foreign data",
                false,
                of("b"),
                quiet.clone(),
                spent(),
                "galera-foreign-data: data directory belongs to cluster `b`, the plan's cluster is `a`: wipe it explicitly, or correct the plan",
            ),
            (
                "old data",
                true,
                of("b"),
                quiet,
                Right::Free,
                "galera-data-before-cluster: data directory belongs to cluster `b`, but this plan's cluster was not made yet: wipe it explicitly, or restore the store of claims",
            ),
            (
                "foreign peer",
                false,
                Data::New,
                vec![primary("b", 1), Silent],
                spent(),
                "galera-foreign-peer: peer is in cluster `b`, the plan's cluster is `a`: take the foreign machine off these addresses",
            ),
        ];
        for (name, first, data, peers, right, expected) in cases {
            assert_eq!(
                word(&decide(first, &data, &peers, &right)),
                expected,
                "{name}"
            );
        }
    }

    fn uuid() -> impl Strategy<Value = String> {
        prop_oneof![Just("a".to_owned()), Just("b".to_owned())]
    }
    fn peer() -> impl Strategy<Value = Peer> {
        prop_oneof![
            Just(Peer::Silent),
            Just(Peer::Answers),
            (uuid(), 1..5_usize).prop_map(|(uuid, size)| Peer::Primary { uuid, size })
        ]
    }
    fn data() -> impl Strategy<Value = Data> {
        prop_oneof![Just(Data::New), uuid().prop_map(Data::Of)]
    }
    fn right() -> impl Strategy<Value = Right> {
        prop_oneof![
            Just(Right::Unknown("`x`".into())),
            Just(Right::Free),
            Just(Right::Mine),
            Just(Right::Other("x".into())),
            uuid().prop_map(Right::Spent)
        ]
    }

    proptest! {
        #[test]
        fn bootstrap_only_by_the_first_with_new_data_silent_peers_and_the_right(first: bool, data in data(), peers in prop::collection::vec(peer(), 0..5), right in right()) {
            if decide(first, &data, &peers, &right) == Decision::Bootstrap {
                prop_assert!(first && data == Data::New);
                prop_assert!(peers.iter().all(|peer| *peer == Peer::Silent));
                prop_assert!(matches!(right, Right::Free | Right::Mine));
            }
        }
        #[test]
        fn never_joins_a_foreign_cluster(first: bool, data in data(), peers in prop::collection::vec(peer(), 0..5), right in right()) {
            if decide(first, &data, &peers, &right) == Decision::Join {
                let mut uuids: Vec<&String> = peers.iter().filter_map(|peer| match peer { Peer::Primary { uuid, .. } => Some(uuid), _ => None }).collect();
                if let Data::Of(uuid) = &data { uuids.push(uuid); }
                if let Right::Spent(uuid) = &right { uuids.push(uuid); }
                prop_assert!(uuids.windows(2).all(|pair| pair.first() == pair.last()));
            }
        }
    }
}
