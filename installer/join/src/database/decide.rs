//! The one decision that can make two databases differ: whether a server takes writes. Where it is not known it does not.

use super::gtid;
use crate::{claims::Epoch, step::Refused, told::Told};

/// What the plan makes of this machine on the first day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planned {
    /// There is no other.
    Single,
    /// Of a pair.
    Primary,
    /// Of a pair.
    Replica,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Write down this epoch, then take writes.
    Write(Epoch),
    /// Write down this epoch, stay read-only and follow its owner.
    Follow(Epoch),
    /// Ask again.
    Wait(String),
    /// Stop.
    Refuse(Refused),
}

/// This machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own<'a> {
    /// Its name.
    pub name: &'a str,
    /// By plan.
    pub planned: Planned,
    /// Highest epoch in its journal.
    pub epoch: Epoch,
    /// `gtid_binlog_pos`.
    pub gtid: &'a str,
    /// The operator said in this boot that nobody took over.
    pub confirmed: bool,
}

/// Decides from facts. `peers`: planned peers by name, with what they tell.
#[must_use]
pub fn decide(own: &Own<'_>, peers: &[(String, Option<Told>)]) -> Decision {
    let told = || peers.iter().filter_map(|(_, told)| told.as_ref());
    let silent: Vec<String> = peers
        .iter()
        .filter(|(_, told)| told.is_none())
        .map(|(name, _)| format!("`{name}`"))
        .collect();
    let highest = told()
        .map(|told| Epoch {
            number: told.epoch,
            owner: told.owner.clone(),
        })
        .chain([own.epoch.clone()])
        .max_by_key(|epoch| epoch.number)
        .unwrap_or_default();
    // One number is given once; two owners mean that somebody promoted both.
    if let Some(other) = told().find(|told| {
        highest.number > 0 && told.epoch == highest.number && told.owner != highest.owner
    }) {
        return Decision::Refuse(Refused {
            id: "database-two-owners",
            message: format!(
                "epoch {} belongs to `{}` and, as `{}` says, to `{}`: both were promoted. Choose one, then run \
                 `rackwright-installer database promote` there with the other one switched off",
                highest.number, highest.owner, other.node, other.owner
            ),
        });
    }
    if let Some(writer) = told().find(|told| told.writable && told.node != highest.owner) {
        return Decision::Wait(format!(
            "`{}` to stop taking writes: epoch {} belongs to `{}`",
            writer.node, highest.number, highest.owner
        ));
    }
    let owns = highest.number > 0 && highest.owner == own.name;
    if !owns && highest.number > 0 {
        return follow(own, highest, peers);
    }
    if !silent.is_empty() && !own.confirmed {
        return Decision::Wait(format!(
            "{} to answer, because it may have been promoted; if it was not: `rackwright-installer database confirm`",
            silent.join(" and ")
        ));
    }
    match own.planned {
        _ if owns => Decision::Write(highest),
        Planned::Single | Planned::Primary => Decision::Write(Epoch {
            number: 1,
            owner: own.name.to_owned(),
        }),
        Planned::Replica => Decision::Wait("the plan's primary to take writes".to_owned()),
    }
}

fn follow(own: &Own<'_>, highest: Epoch, peers: &[(String, Option<Told>)]) -> Decision {
    let owner = peers
        .iter()
        .find(|(name, _)| *name == highest.owner)
        .and_then(|(_, told)| told.as_ref());
    match owner {
        None => Decision::Wait(format!("the primary `{}` to answer", highest.owner)),
        Some(told) if !told.writable => {
            Decision::Wait(format!("the primary `{}` to take writes", highest.owner))
        }
        Some(told) if !gtid::is_contained(own.gtid, &told.gtid) => Decision::Refuse(Refused {
            id: "database-must-reseed",
            message: format!(
                "this server has writes that the primary `{}` does not have (here `{}`, there `{}`): save what you need, \
                 then run `rackwright-installer database reseed`",
                highest.owner, own.gtid, told.gtid
            ),
        }),
        Some(_) => Decision::Follow(highest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn epoch(number: u64, owner: &str) -> Epoch {
        Epoch {
            number,
            owner: owner.into(),
        }
    }
    fn peer(
        node: &str,
        number: u64,
        owner: &str,
        writable: bool,
        gtid: &str,
    ) -> Vec<(String, Option<Told>)> {
        let told = Told {
            node: node.into(),
            running: true,
            epoch: number,
            owner: owner.into(),
            writable,
            gtid: gtid.into(),
            ..Told::default()
        };
        vec![(node.into(), Some(told))]
    }
    fn silent(node: &str) -> Vec<(String, Option<Told>)> {
        vec![(node.into(), None)]
    }
    fn word(decision: &Decision) -> String {
        match decision {
            Decision::Write(epoch) => format!("write {}", epoch.number),
            Decision::Follow(epoch) => format!("follow {} {}", epoch.owner, epoch.number),
            Decision::Wait(why) => format!("wait: {why}"),
            Decision::Refuse(refused) => refused.to_string(),
        }
    }

    #[test]
    fn table() {
        let cases = [
            (
                "alone",
                Planned::Single,
                epoch(0, ""),
                "",
                false,
                vec![],
                "write 1",
            ),
            (
                "first day",
                Planned::Primary,
                epoch(0, ""),
                "",
                false,
                peer("db2", 0, "", false, ""),
                "write 1",
            ),
            (
                "first day, replica",
                Planned::Replica,
                epoch(0, ""),
                "",
                false,
                peer("db2", 0, "", false, ""),
                "wait: the plan's primary to take writes",
            ),
            (
                "first day, primary is there",
                Planned::Replica,
                epoch(0, ""),
                "",
                false,
                peer("db2", 1, "db2", true, "11-1-3"),
                "follow db2 1",
            ),
            (
                "first day, peer is off",
                Planned::Primary,
                epoch(0, ""),
                "",
                false,
                silent("db2"),
                "wait: `db2` to answer, because it may have been promoted; if it was not: `rackwright-installer database confirm`",
            ),
            (
                "restart of the primary",
                Planned::Primary,
                epoch(1, "db1"),
                "11-1-9",
                false,
                peer("db2", 1, "db1", false, "11-1-8"),
                "write 1",
            ),
            (
                "restart of the primary alone",
                Planned::Primary,
                epoch(1, "db1"),
                "11-1-9",
                false,
                silent("db2"),
                "wait: `db2` to answer, because it may have been promoted; if it was not: `rackwright-installer database confirm`",
            ),
            (
                "the same, confirmed",
                Planned::Primary,
                epoch(1, "db1"),
                "11-1-9",
                true,
                silent("db2"),
                "write 1",
            ),
            (
                "old primary comes back",
                Planned::Primary,
                epoch(1, "db1"),
                "11-1-9",
                false,
                peer("db2", 2, "db2", true, "11-1-9,12-2-4"),
                "follow db2 2",
            ),
            (
                "old primary comes back, confirmed by mistake",
                Planned::Primary,
                epoch(1, "db1"),
                "11-1-9",
                true,
                peer("db2", 2, "db2", true, "11-1-9,12-2-4"),
                "follow db2 2",
            ),
            (
                "old primary with writes of its own",
                Planned::Primary,
                epoch(1, "db1"),
                "11-1-12",
                false,
                peer("db2", 2, "db2", true, "11-1-9,12-2-4"),
                "this server has writes that the primary `db2` does not have (here `11-1-12`, there `11-1-9,12-2-4`): save what you need, then run `rackwright-installer database reseed` (database-must-reseed)",
            ),
            (
                "promoted, old one still writes",
                Planned::Replica,
                epoch(2, "db1"),
                "11-2-9",
                false,
                peer("db2", 1, "db2", true, "11-2-9"),
                "wait: `db2` to stop taking writes: epoch 2 belongs to `db1`",
            ),
            (
                "both promoted",
                Planned::Replica,
                epoch(2, "db1"),
                "",
                false,
                peer("db2", 2, "db2", true, ""),
                "epoch 2 belongs to `db1` and, as `db2` says, to `db2`: both were promoted. Choose one, then run `rackwright-installer database promote` there with the other one switched off (database-two-owners)",
            ),
            (
                "replica, primary is off",
                Planned::Replica,
                epoch(1, "db2"),
                "11-2-9",
                true,
                silent("db2"),
                "wait: the primary `db2` to answer",
            ),
            (
                "primary starts",
                Planned::Replica,
                epoch(1, "db2"),
                "11-2-9",
                false,
                peer("db2", 1, "db2", false, "11-2-9"),
                "wait: the primary `db2` to take writes",
            ),
        ];
        for (name, planned, epoch, gtid, confirmed, peers, expected) in cases {
            let own = Own {
                name: "db1",
                planned,
                epoch,
                gtid,
                confirmed,
            };
            assert_eq!(word(&decide(&own, &peers)), expected, "{name}");
        }
    }

    fn any_epoch() -> impl Strategy<Value = Epoch> {
        prop_oneof![
            Just(epoch(0, "")),
            (1..4_u64, prop_oneof![Just("db1"), Just("db2")])
                .prop_map(|(number, owner)| epoch(number, owner))
        ]
    }
    fn planned() -> impl Strategy<Value = Planned> {
        prop_oneof![Just(Planned::Primary), Just(Planned::Replica)]
    }

    proptest! {
        #[test]
        fn writes_only_with_an_epoch_of_its_own_that_nobody_outdoes(
            planned in planned(), own in any_epoch(), other in any_epoch(), answers: bool, writable: bool, confirmed: bool,
        ) {
            let told = peer("db2", other.number, &other.owner, writable, "");
            let peers = if answers { told } else { silent("db2") };
            let here = Own { name: "db1", planned, epoch: own.clone(), gtid: "", confirmed };
            if let Decision::Write(epoch) = decide(&here, &peers) {
                prop_assert_eq!(&epoch.owner, "db1");
                prop_assert!(answers || confirmed);
                prop_assert!(epoch.number >= own.number);
                prop_assert!(!answers || epoch.number >= other.number);
                prop_assert!(!answers || !writable, "both write");
                // Nobody writes with an epoch that was another's.
                prop_assert!(own.number == 0 || own.owner == "db1" || epoch.number > own.number || own.number < other.number);
            }
        }

        /// Both decide at the same moment from what the other tells: never both to write.
        #[test]
        fn two_that_see_each_other_never_both_write(one in any_epoch(), other in any_epoch()) {
            let decide_as = |name: &str, planned, own: &Epoch, peer_name: &str, peer_epoch: &Epoch| {
                decide(
                    &Own { name, planned, epoch: own.clone(), gtid: "", confirmed: false },
                    &peer(peer_name, peer_epoch.number, &peer_epoch.owner, false, ""),
                )
            };
            let first = decide_as("db1", Planned::Primary, &one, "db2", &other);
            let second = decide_as("db2", Planned::Replica, &other, "db1", &one);
            prop_assert!(!(matches!(first, Decision::Write(_)) && matches!(second, Decision::Write(_))));
        }
    }
}
