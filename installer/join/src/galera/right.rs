//! Who may make the cluster, and who may receive data now, where no control node keeps claims: the members are asked. All
//! planned members have to answer before the first one makes a cluster; any one of them that knows a cluster forbids it.

use super::decide::{Peer, Refusal, Right};
use crate::{
    journal::Journal,
    outside::{GROUP_PORT, Outside},
    settings,
    told::Told,
};

/// A planned peer and what it tells; nothing where it does not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Name in the plan.
    pub name: String,
    /// Something listens on Galera's port.
    pub listens: bool,
    /// Its words.
    pub told: Option<Told>,
}

/// Asks all planned peers.
pub fn ask(outside: &dyn Outside, peers: &[settings::Peer]) -> Vec<Asked> {
    peers
        .iter()
        .map(|peer| Asked {
            name: peer.name.clone(),
            listens: outside.listens(&peer.address, GROUP_PORT),
            told: outside.ask(&peer.address),
        })
        .collect()
}

/// As the decision takes peers.
#[must_use]
pub fn peers(asked: &[Asked]) -> Vec<Peer> {
    asked
        .iter()
        .map(|peer| match &peer.told {
            Some(Told {
                primary: true,
                cluster: Some(uuid),
                size,
                ..
            }) => Peer::Primary {
                uuid: uuid.clone(),
                size: *size,
            },
            _ if peer.listens => Peer::Answers,
            _ => Peer::Silent,
        })
        .collect()
}

/// The right to bootstrap, from this machine's journal and all peers.
///
/// # Errors
/// Two of them know different clusters.
pub fn right(cluster: &str, journal: &Journal, asked: &[Asked]) -> Result<Right, Refusal> {
    let own = journal.cluster(cluster).map(str::to_owned);
    let told = |peer: &Asked| peer.told.as_ref().and_then(|told| told.cluster.clone());
    let mut known = own.into_iter().chain(asked.iter().filter_map(told));
    if let Some(planned) = known.next() {
        return match known.find(|uuid| *uuid != planned) {
            Some(found) => Err(Refusal::ForeignPeer { found, planned }),
            None => Ok(Right::Spent(planned)),
        };
    }
    let holds = |peer: &&Asked| peer.told.as_ref().is_some_and(|told| told.holds_right);
    if let Some(holder) = asked.iter().find(holds) {
        return Ok(Right::Other(holder.name.clone()));
    }
    let silent: Vec<String> = asked
        .iter()
        .filter(|peer| peer.told.is_none())
        .map(|peer| format!("`{}`", peer.name))
        .collect();
    // Before the own right: it may be of long ago, and a member that joined since and is cut off now knows the cluster.
    Ok(if !silent.is_empty() {
        Right::Unknown(silent.join(" and "))
    } else if journal.holds_right(cluster) {
        Right::Mine
    } else {
        Right::Free
    })
}

/// Whether a machine without data may receive them now; else whom it waits for. One at a time: each transfer takes a donor
/// out of service. `before`: names of the peers that come before this machine in the plan.
///
/// # Errors
/// The words after "waits for".
pub fn turn(asked: &[Asked], before: &[String]) -> Result<(), String> {
    let told = || {
        asked
            .iter()
            .filter_map(|peer| Some((peer, peer.told.as_ref()?)))
    };
    if let Some((peer, _)) =
        told().find(|(_, told)| told.joining && !(told.primary && told.state == 4))
    {
        return Err(format!("`{}` to have received its data", peer.name));
    }
    if let Some((peer, _)) =
        told().find(|(peer, told)| told.wants_data && before.contains(&peer.name))
    {
        return Err(format!("`{}`, whose turn is first", peer.name));
    }
    if told().any(|(_, told)| told.primary && told.state == 4) {
        Ok(())
    } else {
        Err("a synced member that can give its data".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::parse;

    fn silent(name: &str) -> Asked {
        Asked {
            name: name.into(),
            listens: false,
            told: None,
        }
    }
    fn says(name: &str, told: Told) -> Asked {
        Asked {
            told: Some(told),
            ..silent(name)
        }
    }
    fn member(uuid: &str, state: u8) -> Told {
        Told {
            cluster: Some(uuid.into()),
            primary: true,
            size: 2,
            state,
            ..Told::default()
        }
    }
    fn new() -> Told {
        Told::default()
    }

    #[test]
    fn rights() {
        let empty = "";
        let mine = r#"{"fact":"right","cluster":"mail"}"#;
        let spent = r#"{"fact":"cluster","cluster":"mail","uuid":"a"}"#;
        let holds = Told {
            holds_right: true,
            ..new()
        };
        let cases = [
            (
                empty,
                vec![says("db2", new()), says("db3", new())],
                Ok(Right::Free),
            ),
            (
                empty,
                vec![says("db2", new()), silent("db3")],
                Ok(Right::Unknown("`db3`".into())),
            ),
            (
                empty,
                vec![silent("db2"), silent("db3")],
                Ok(Right::Unknown("`db2` and `db3`".into())),
            ),
            // Reinstalled: one that knows is enough, whoever is silent.
            (
                empty,
                vec![says("db2", member("a", 4)), silent("db3")],
                Ok(Right::Spent("a".into())),
            ),
            (
                empty,
                vec![says("db2", holds.clone()), says("db3", new())],
                Ok(Right::Other("db2".into())),
            ),
            (
                mine,
                vec![says("db2", new()), says("db3", new())],
                Ok(Right::Mine),
            ),
            (
                mine,
                vec![silent("db2"), says("db3", new())],
                Ok(Right::Unknown("`db2`".into())),
            ),
            // Two with the right cannot be by this code; if they are, none goes on.
            (
                mine,
                vec![says("db2", holds), says("db3", new())],
                Ok(Right::Other("db2".into())),
            ),
            (
                spent,
                vec![silent("db2"), silent("db3")],
                Ok(Right::Spent("a".into())),
            ),
            (
                spent,
                vec![says("db2", member("b", 4)), silent("db3")],
                Err(Refusal::ForeignPeer {
                    found: "b".into(),
                    planned: "a".into(),
                }),
            ),
            (
                empty,
                vec![says("db2", member("a", 4)), says("db3", member("b", 4))],
                Err(Refusal::ForeignPeer {
                    found: "b".into(),
                    planned: "a".into(),
                }),
            ),
        ];
        for (journal, asked, expected) in cases {
            assert_eq!(
                right("mail", &parse(journal), &asked),
                expected,
                "{journal} {asked:?}"
            );
        }
    }

    #[test]
    fn turns() {
        let wants = Told {
            wants_data: true,
            ..new()
        };
        let joins = Told {
            wants_data: true,
            joining: true,
            ..new()
        };
        let ready = || says("db1", member("a", 4));
        let cases = [
            (vec![ready(), silent("db3")], Ok(())),
            (
                vec![says("db1", member("a", 2)), silent("db3")],
                Err("a synced member that can give its data"),
            ),
            (
                vec![ready(), says("db2", wants.clone())],
                Err("`db2`, whose turn is first"),
            ),
            (vec![ready(), says("db4", wants)], Ok(())),
            (
                vec![ready(), says("db4", joins)],
                Err("`db4` to have received its data"),
            ),
            (
                vec![
                    ready(),
                    says(
                        "db4",
                        Told {
                            joining: true,
                            ..member("a", 4)
                        },
                    ),
                ],
                Ok(()),
            ),
        ];
        for (asked, expected) in cases {
            let got = turn(&asked, &["db1".into(), "db2".into()]);
            assert_eq!(got, expected.map_err(str::to_owned), "{asked:?}");
        }
    }

    #[test]
    fn peers_as_the_decision_takes_them() {
        let asked = [
            says("db1", member("a", 4)),
            Asked {
                listens: true,
                ..says("db2", new())
            },
            silent("db3"),
        ];
        let primary = Peer::Primary {
            uuid: "a".into(),
            size: 2,
        };
        assert_eq!(peers(&asked), [primary, Peer::Answers, Peer::Silent]);
    }
}
