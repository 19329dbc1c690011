//! How a full outage ends where `pc.recovery` cannot end it. Only an operator gets here, by `cluster recover`.

/// What is known of one planned node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// It does not answer: it might hold the latest commits.
    Unreachable,
    /// Its server runs.
    Running {
        /// In a Primary component.
        primary: bool,
    },
    /// Its server is stopped.
    Stopped {
        /// `gvwstate.dat` exists, by which `pc.recovery` works.
        view: bool,
        /// What `galera_recovery` found; nothing before it ran.
        position: Option<Position>,
    },
}

/// Position of a data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// UUID of the cluster.
    pub uuid: String,
    /// Last write set; -1 where unknown.
    pub seqno: i64,
}

/// Reads `uuid:3785,77-1-3778`; what follows the comma is the GTID.
pub fn position(text: &str) -> Option<Position> {
    let (uuid, rest) = text.trim().split_once(':')?;
    let seqno = rest.split(',').next()?.trim().parse().ok()?;
    Some(Position {
        uuid: uuid.into(),
        seqno,
    })
}

/// Next step of the recovery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A Primary component lives: start these normally.
    StartOthers(Vec<String>),
    /// All have their last view: start all, and give them 60 s (5.3 s measured).
    StartAll(Vec<String>),
    /// These run without a Primary component: stop them.
    Stop(Vec<String>),
    /// Run `galera_recovery` on these.
    FindPosition(Vec<String>),
    /// These are not reachable: the operator types their names, and they are fenced.
    Confirm(Vec<String>),
    /// Bootstrap here, then start the others one by one.
    Bootstrap {
        /// Node with the latest write set.
        node: String,
        /// The others that are reachable.
        then: Vec<String>,
    },
    /// No reachable node holds data of this cluster: restore a backup.
    NoData,
}

/// Next step for the planned `nodes` of cluster `uuid`. `confirmed`: names the operator typed. `waited`: starting all
/// did not help.
pub fn next(nodes: &[(String, Node)], uuid: &str, confirmed: &[String], waited: bool) -> Step {
    let names = |wanted: &dyn Fn(&Node) -> bool| -> Vec<String> {
        nodes
            .iter()
            .filter(|(_, node)| wanted(node))
            .map(|(name, _)| name.clone())
            .collect()
    };
    if nodes
        .iter()
        .any(|(_, node)| *node == Node::Running { primary: true })
    {
        return Step::StartOthers(names(&|node| matches!(node, Node::Stopped { .. })));
    }
    if !waited
        && !nodes.is_empty()
        && nodes
            .iter()
            .all(|(_, node)| matches!(node, Node::Stopped { view: true, .. }))
    {
        return Step::StartAll(names(&|_| true));
    }
    let running = names(&|node| matches!(node, Node::Running { .. }));
    if !running.is_empty() {
        return Step::Stop(running);
    }
    let unknown = names(&|node| matches!(node, Node::Stopped { position: None, .. }));
    if !unknown.is_empty() {
        return Step::FindPosition(unknown);
    }
    let missing: Vec<String> = names(&|node| *node == Node::Unreachable)
        .into_iter()
        .filter(|name| !confirmed.contains(name))
        .collect();
    if !missing.is_empty() {
        return Step::Confirm(missing);
    }
    let mut best: Option<(&String, i64)> = None;
    for (name, node) in nodes {
        if let Node::Stopped {
            position: Some(position),
            ..
        } = node
            && position.uuid == uuid
            && position.seqno >= 0
            && best.is_none_or(|(_, seqno)| position.seqno > seqno)
        {
            best = Some((name, position.seqno));
        }
    }
    let Some((node, _)) = best else {
        return Step::NoData;
    };
    let then = names(&|node| matches!(node, Node::Stopped { .. }))
        .into_iter()
        .filter(|name| name != node)
        .collect();
    Step::Bootstrap {
        node: node.clone(),
        then,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(uuid: &str, seqno: i64) -> Node {
        Node::Stopped {
            view: false,
            position: Some(Position {
                uuid: uuid.into(),
                seqno,
            }),
        }
    }
    fn three(a: Node, b: Node, c: Node) -> Vec<(String, Node)> {
        [("db1", a), ("db2", b), ("db3", c)]
            .map(|(name, node)| (name.to_owned(), node))
            .into()
    }
    fn list(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn positions() {
        assert_eq!(
            position("a:3785,77-1-3778\n"),
            Some(Position {
                uuid: "a".into(),
                seqno: 3785
            })
        );
        assert_eq!(
            position("a:-1"),
            Some(Position {
                uuid: "a".into(),
                seqno: -1
            })
        );
        assert_eq!(position("a"), None);
        assert_eq!(position("a:x"), None);
    }

    #[test]
    fn table() {
        let view = Node::Stopped {
            view: true,
            position: None,
        };
        let hangs = Node::Running { primary: false };
        let lost = Node::Unreachable;
        let cases = [
            (
                three(Node::Running { primary: true }, view.clone(), lost.clone()),
                false,
                Step::StartOthers(list(&["db2"])),
            ),
            (
                three(view.clone(), view.clone(), view.clone()),
                false,
                Step::StartAll(list(&["db1", "db2", "db3"])),
            ),
            (
                three(view.clone(), view.clone(), view.clone()),
                true,
                Step::FindPosition(list(&["db1", "db2", "db3"])),
            ),
            (
                three(hangs.clone(), hangs, lost.clone()),
                false,
                Step::Stop(list(&["db1", "db2"])),
            ),
            (
                three(view.clone(), at("a", 5), lost.clone()),
                false,
                Step::FindPosition(list(&["db1"])),
            ),
            (
                three(at("a", 5), at("a", 7), lost.clone()),
                false,
                Step::Confirm(list(&["db3"])),
            ),
            (
                three(at("a", 5), at("a", 7), at("b", 9)),
                false,
                Step::Bootstrap {
                    node: "db2".into(),
                    then: list(&["db1", "db3"]),
                },
            ),
            (
                three(at("a", -1), at("a", 7), at("a", 7)),
                false,
                Step::Bootstrap {
                    node: "db2".into(),
                    then: list(&["db1", "db3"]),
                },
            ),
            (
                three(at("a", -1), at("b", 7), at("b", 7)),
                false,
                Step::NoData,
            ),
        ];
        for (nodes, waited, expected) in cases {
            assert_eq!(next(&nodes, "a", &[], waited), expected, "{nodes:?}");
        }
        let confirmed = next(
            &three(at("a", 5), at("a", 7), lost),
            "a",
            &list(&["db3"]),
            false,
        );
        assert_eq!(
            confirmed,
            Step::Bootstrap {
                node: "db2".into(),
                then: list(&["db1"])
            }
        );
    }

    fn node() -> impl Strategy<Value = Node> {
        let position = prop::option::of((prop_oneof![Just("a"), Just("b")], -1..9_i64).prop_map(
            |(uuid, seqno)| Position {
                uuid: uuid.into(),
                seqno,
            },
        ));
        prop_oneof![
            Just(Node::Unreachable),
            any::<bool>().prop_map(|primary| Node::Running { primary }),
            (any::<bool>(), position).prop_map(|(view, position)| Node::Stopped { view, position }),
        ]
    }

    proptest! {
        #[test]
        fn bootstraps_only_the_latest_and_only_when_nothing_runs_or_is_unconfirmed(nodes in prop::collection::vec(node(), 0..6), waited: bool, confirm: bool) {
            let nodes: Vec<(String, Node)> = nodes.into_iter().enumerate().map(|(n, node)| (format!("db{n}"), node)).collect();
            let confirmed = if confirm { list(&["db0", "db1", "db2"]) } else { Vec::new() };
            if let Step::Bootstrap { node: chosen, .. } = next(&nodes, "a", &confirmed, waited) {
                let of = |node: &Node| match node { Node::Stopped { position: Some(p), .. } if p.uuid == "a" => p.seqno, _ => -1 };
                let best = nodes.iter().map(|(_, node)| of(node)).max().unwrap_or(-1);
                for (name, node) in &nodes {
                    prop_assert!(!matches!(node, Node::Running { .. }), "{} runs", name);
                    prop_assert!(*node != Node::Unreachable || confirmed.contains(name), "{} is not confirmed", name);
                    if *name == chosen { prop_assert!(of(node) == best && best >= 0); }
                }
            }
        }
    }
}
