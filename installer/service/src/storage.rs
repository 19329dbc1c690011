//! Takeover of the mail store between storage servers, as plans of commands. A person starts it: replication by snapshots
//! loses what was accepted since the last one, so no machine decides that by itself.
//!
//! Nothing here destroys or rolls back data: trees are renamed, cloned and promoted (zfs-promote(8)), so that the one
//! thing that cannot be made again, mail that only one machine has, stays where it was.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    mark::{Answer, Mark},
    view::{EPOCH, LAST, OWNER, RECEIVED, Snapshot, View},
};

/// Owner of a tree that its owner let go of.
pub const RELEASED: &str = "released";

/// One command of a plan, with what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// For people.
    pub title: &'static str,
    /// Program and arguments.
    pub command: Vec<String>,
}

/// How it is known that the old owner is not writing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fenced {
    /// A person switched it off, and says so.
    Word,
    /// It released the tree itself (`demote` on the old one first: a planned change of direction).
    Released,
    /// Not at all.
    No,
}

/// What `promote` is told.
#[derive(Debug, Clone)]
pub struct Promote<'a> {
    /// This machine.
    pub node: &'a str,
    /// Where the tree is exported.
    pub mountpoint: &'a str,
    /// Seconds since 1970.
    pub now: u64,
    /// Of the old owner.
    pub fenced: Fenced,
    /// Machines that could have taken over.
    pub asked: &'a [String],
    /// What the others know.
    pub answers: &'a [Answer],
    /// Names of machines that answer and export at this moment; the storage address, if another machine has it.
    pub exporting: &'a [String],
    /// The snapshot that holds all of a tree that was released, as the machine says that released it.
    pub last: Option<&'a str>,
    /// This machine's place among all that may ever hold the store, and their number.
    pub place: (u64, u64),
    /// Seconds of accepted mail that may be lost at most.
    pub accept_loss: u64,
}

/// Why a takeover is not planned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is ours.
    #[error("this machine holds the mail store already, since epoch {0}")]
    Holds(u64),
    /// It was ours.
    #[error(
        "this machine's mail store is of epoch {own}, and `{owner}` took over in epoch {epoch}\nhint: `rackwright-installer storage demote` here first"
    )]
    Overtaken {
        /// Epoch of the tree here.
        own: u64,
        /// The newest that is known.
        epoch: u64,
        /// Whose.
        owner: String,
    },
    /// The old one is not known to be off.
    #[error(
        "the old owner is not known to be off: two machines would accept mail, and half of it would be lost\nhint: switch it off (`rackwright bmc NODE power off`), then say `--fenced`"
    )]
    NotFenced,
    /// Somebody exports.
    #[error(
        "`{0}` exports the mail store at this moment\nhint: `rackwright-installer storage demote` there first, or switch it off"
    )]
    Exports(String),
    /// Whether the other took over is not known.
    #[error(
        "`{0}` does not answer, and may have taken over since this machine let go\nhint: start it, or switch it off and look that it is off, then say `--fenced`"
    )]
    Unsure(String),
    /// Nobody says which snapshot is the last.
    #[error(
        "no machine says that it released the mail store\nhint: `rackwright-installer storage demote --release` there first, or switch it off and say `--fenced`"
    )]
    NotReleased,
    /// The old owner's last snapshot is missing.
    #[error(
        "`{0}` has not received the last snapshot of the old owner yet\nhint: wait for the next transfer, or `journalctl -u rackwright-replication`"
    )]
    Late(String),
    /// Nothing was received.
    #[error("nothing was received here yet: there is no `{0}`")]
    Nothing(String),
    /// A part was received and the rest was not.
    #[error("`{0}` has no snapshot: its first transfer did not end, so the store is incomplete")]
    Incomplete(String),
    /// Too old.
    #[error(
        "the newest snapshot that is here is {age} s old: mail accepted since then would be lost, and only {accepted} s are accepted\nhint: `--accept-loss {age}` if that is the best copy there is"
    )]
    Loss {
        /// Seconds.
        age: u64,
        /// Seconds.
        accepted: u64,
    },
    /// The tree here is live and the current owner's.
    #[error(
        "this machine holds the mail store in epoch {epoch}, and nobody knows a newer one: demoting it would leave no owner\nhint: promote the other machine first, or `--release` for a planned change"
    )]
    Owner {
        /// Own epoch.
        epoch: u64,
    },
    /// Nothing to demote.
    #[error("there is no `{0}`: this machine receives already")]
    Receives(String),
    /// Old data of that epoch was set aside before and would be mixed up.
    #[error(
        "`{0}` is there already\nhint: it is what an earlier demotion kept; rename or remove it when its mail was saved"
    )]
    Kept(String),
}

/// Steps that make this machine the owner.
///
/// # Errors
/// Why not; nothing was changed.
pub fn promote(view: &View, request: &Promote<'_>) -> Result<(Mark, Vec<Step>), Refusal> {
    let (live, received) = (view.live(), view.received());
    let known = known(view, request.answers);
    if let Some(other) = request.exporting.iter().find(|name| *name != request.node) {
        return Err(Refusal::Exports(other.clone()));
    }
    if let Some(mark) = view.mark().filter(|mark| mark.owner == request.node) {
        if let Some(newer) = known.filter(|known| known.epoch > mark.epoch) {
            return Err(Refusal::Overtaken {
                own: mark.epoch,
                epoch: newer.epoch,
                owner: newer.owner,
            });
        }
        let is_readonly = view.datasets.get(&live).is_some_and(|set| set.readonly);
        if !is_readonly {
            return Err(Refusal::Holds(mark.epoch));
        }
        // A takeover that was cut off goes on where it was.
        let mut plan = Plan::default();
        open(&mut plan, view, &live, &live, request.mountpoint);
        return Ok((mark.clone(), plan.0));
    }
    if request.fenced == Fenced::No {
        return Err(Refusal::NotFenced);
    }
    // The source by plan begins with epoch 1, also where nobody could be asked.
    let epoch = next(
        known.as_ref().map_or(1, |mark| mark.epoch).max(1),
        request.place,
    );
    let mark = Mark {
        epoch,
        owner: request.node.to_owned(),
    };
    let newest = known.as_ref().map_or(0, |mark| mark.epoch);
    let released = view.mark().filter(|own| own.owner == RELEASED);
    if released.is_some_and(|own| own.epoch == newest) {
        // Nobody who answers took over; who does not answer may have.
        let answered = |name: &&String| request.answers.iter().any(|answer| answer.from == **name);
        if request.fenced == Fenced::Released
            && let Some(silent) = request.asked.iter().find(|name| !answered(name))
        {
            return Err(Refusal::Unsure(silent.clone()));
        }
        let mut plan = Plan::default();
        plan.add(
            "take it back",
            &[
                "zfs",
                "set",
                &format!("{EPOCH}={epoch}"),
                &format!("{OWNER}={}", request.node),
                &format!("{LAST}=-"),
                &live,
            ],
        );
        open(&mut plan, view, &live, &live, request.mountpoint);
        return Ok((mark, plan.0));
    }
    if !view.datasets.contains_key(&received) {
        return Err(Refusal::Nothing(received));
    }
    let mut oldest = u64::MAX;
    for (dataset, _) in view.tree(&received) {
        match view.snapshots_of(dataset).next_back() {
            Some(snapshot) => oldest = oldest.min(snapshot.created),
            None => return Err(Refusal::Incomplete(dataset.to_owned())),
        }
    }
    let age = request.now.saturating_sub(oldest);
    if age > request.accept_loss && request.fenced != Fenced::Released {
        return Err(Refusal::Loss {
            age,
            accepted: request.accept_loss,
        });
    }
    if request.fenced == Fenced::Released {
        let last = request.last.ok_or(Refusal::NotReleased)?;
        for (dataset, _) in view.tree(&received) {
            if !view
                .snapshots_of(dataset)
                .any(|snapshot| snapshot.name == last)
            {
                return Err(Refusal::Late(dataset.to_owned()));
            }
        }
    }
    let mut plan = Plan::default();
    plan.add(
        "stop receiving",
        &[
            "systemctl",
            "stop",
            "rackwright-replication.timer",
            "rackwright-replication.service",
        ],
    );
    for (dataset, _) in view.tree(&received).filter(|(_, dataset)| dataset.partial) {
        plan.add(
            "give up the transfer that was cut off",
            &["zfs", "receive", "-A", dataset],
        );
    }
    let before = format!("{received}@promote-{epoch}-{}", request.now);
    plan.add(
        "remember what was received",
        &["zfs", "snapshot", "-r", &before],
    );
    plan.add(
        "keep that for ever",
        &["zfs", "hold", "-r", "rackwright", &before],
    );
    if view.datasets.contains_key(&live) {
        let aside = aside(view, epoch)?;
        plan.add(
            "set aside what lies at its place",
            &["zfs", "rename", &live, &aside],
        );
        plan.add(
            "it is not mounted any more",
            &["zfs", "set", "mountpoint=none", "readonly=on", &aside],
        );
    }
    // Before it is live: a tree that is live always says whose it is.
    plan.add(
        "write the epoch on it",
        &[
            "zfs",
            "set",
            &format!("{EPOCH}={epoch}"),
            &format!("{OWNER}={}", request.node),
            &received,
        ],
    );
    plan.add(
        "make it the live tree",
        &["zfs", "rename", &received, &live],
    );
    open(&mut plan, view, &received, &live, request.mountpoint);
    Ok((mark, plan.0))
}

/// Steps that let a tree be written, its root last: until then a takeover is known to be unfinished. `from`: its name in the
/// view, `to`: its name when the steps run.
fn open(plan: &mut Plan, view: &View, from: &str, to: &str, mountpoint: &str) {
    plan.add(
        "say where it is mounted",
        &["zfs", "set", &format!("mountpoint={mountpoint}"), to],
    );
    let names: Vec<String> = view
        .tree(from)
        .map(|(dataset, _)| dataset.replacen(from, to, 1))
        .collect();
    for name in names.iter().rev() {
        plan.add(
            "let it be written",
            &["zfs", "set", "readonly=off", "canmount=on", name],
        );
    }
    plan.add("mount all of it", &["zfs", "mount", "-a"]);
}

/// The next epoch of the machine at this place: each machine has numbers of its own, so that no two can take the same one,
/// also when they cannot ask each other. What is equal could not be told apart afterwards.
fn next(known: u64, (place, machines): (u64, u64)) -> u64 {
    let machines = machines.max(1);
    let next = known.saturating_add(1);
    let behind = (place % machines + machines - next % machines) % machines;
    next.saturating_add(behind)
}

/// What `demote` is told.
#[derive(Debug, Clone)]
pub struct Demote<'a> {
    /// This machine.
    pub node: &'a str,
    /// What the others know.
    pub answers: &'a [Answer],
    /// Snapshots of the new owner's tree, named as on its pool; empty if it cannot be asked.
    pub theirs: &'a [Snapshot],
    /// The new owner's tree.
    pub their_tree: &'a str,
    /// A planned change: this machine lets go before the other takes over.
    pub release: bool,
    /// Seconds since 1970.
    pub now: u64,
}

/// Steps that make the machine receive. What only this machine has stays under `lost-<epoch>`.
///
/// # Errors
/// Why not; nothing was changed.
pub fn demote(view: &View, request: &Demote<'_>) -> Result<Vec<Step>, Refusal> {
    let (live, received) = (view.live(), view.received());
    if !view.datasets.contains_key(&live) {
        return Err(Refusal::Receives(live));
    }
    let own = view.mark().map_or(0, |mark| mark.epoch);
    let newest = known(view, request.answers);
    let is_owner = view.mark().is_some_and(|mark| mark.owner == request.node);
    if is_owner && newest.as_ref().is_none_or(|mark| mark.epoch <= own) && !request.release {
        return Err(Refusal::Owner { epoch: own });
    }
    let mut plan = Plan::default();
    plan.add("stop exporting", &["exportfs", "-u", "-a"]);
    plan.add(
        "let go of open files",
        &["systemctl", "stop", "nfs-server.service"],
    );
    plan.add(
        "stop snapshots and transfers",
        &[
            "systemctl",
            "stop",
            "rackwright-snapshot.timer",
            "rackwright-replication.timer",
        ],
    );
    // Before the snapshot, so that it holds all: a plan that was cut off between the two leaves a tree that nobody writes.
    for (dataset, set) in view.tree(&live) {
        if !set.readonly {
            plan.add(
                "it is not written any more",
                &["zfs", "set", "readonly=on", dataset],
            );
        }
    }
    // A name of this moment: what an earlier try left is older than what was written since.
    let last = format!("divergent-{own}-{}", request.now);
    plan.add(
        "remember what only this machine has",
        &["zfs", "snapshot", "-r", &format!("{live}@{last}")],
    );
    let lacks_received = !view
        .datasets
        .contains_key(&format!("{}/{RECEIVED}", view.pool));
    if lacks_received {
        let folder = format!("{}/{RECEIVED}", view.pool);
        plan.add(
            "make room for what is received",
            &[
                "zfs",
                "create",
                "-o",
                "mountpoint=none",
                "-o",
                "canmount=off",
                "-o",
                "readonly=on",
                &folder,
            ],
        );
    }
    if let Some(mark) = &newest {
        // So that a later promotion here goes beyond it, also when nobody can be asked then.
        let folder = format!("{}/{RECEIVED}", view.pool);
        plan.add(
            "remember the epoch",
            &[
                "zfs",
                "set",
                &format!("{EPOCH}={}", mark.epoch),
                &format!("{OWNER}={}", mark.owner),
                &folder,
            ],
        );
    }
    if request.release {
        // It stays where it is, so that the other can receive the last snapshot; then it is demoted like any old tree.
        plan.add(
            "it has no owner now",
            &[
                "zfs",
                "set",
                &format!("{OWNER}={RELEASED}"),
                &format!("{LAST}={last}"),
                &live,
            ],
        );
        return Ok(plan.0);
    }
    let aside = aside(view, own)?;
    plan.add("keep all of it", &["zfs", "rename", &live, &aside]);
    plan.add(
        "it is not mounted any more",
        &["zfs", "set", "mountpoint=none", "readonly=on", &aside],
    );
    match common(view, request) {
        Some(names) => {
            for (dataset, name) in &names {
                let old = format!("{}@{name}", dataset.replacen(&live, &aside, 1));
                let new = dataset.replacen(&live, &received, 1);
                plan.add(
                    "go on from what both have",
                    &[
                        "zfs",
                        "clone",
                        "-o",
                        "readonly=on",
                        "-o",
                        "canmount=noauto",
                        &old,
                        &new,
                    ],
                );
            }
            for dataset in names.keys() {
                let new = dataset.replacen(&live, &received, 1);
                plan.add("the copy keeps the history", &["zfs", "promote", &new]);
            }
        }
        None => plan.add(
            "both have nothing in common: everything is sent again",
            &["true"],
        ),
    }
    Ok(plan.0)
}

/// For each data set of the live tree the newest snapshot that the new owner has too; none if one data set lacks one.
fn common<'a>(view: &'a View, request: &Demote<'_>) -> Option<BTreeMap<&'a str, &'a str>> {
    let live = view.live();
    let mut names = BTreeMap::new();
    // A tree in which each data set is of another moment is none: the newest name that all share by GUID.
    let mut shared: Option<BTreeSet<&str>> = None;
    for (dataset, _) in view.tree(&live) {
        let twin = dataset.replacen(&live, request.their_tree, 1);
        let guids: BTreeSet<u64> = request
            .theirs
            .iter()
            .filter(|it| it.dataset == twin)
            .map(|it| it.guid)
            .collect();
        let here: BTreeSet<&str> = view
            .snapshots_of(dataset)
            .filter(|it| guids.contains(&it.guid))
            .map(|it| it.name.as_str())
            .collect();
        shared = Some(match shared {
            Some(before) => before.intersection(&here).copied().collect(),
            None => here,
        });
    }
    let shared = shared?;
    let newest = view
        .snapshots_of(&live)
        .rev()
        .find(|it| shared.contains(it.name.as_str()))?
        .name
        .as_str();
    for (dataset, _) in view.tree(&live) {
        names.insert(dataset, newest);
    }
    Some(names)
}

/// The highest epoch that anybody knows.
fn known(view: &View, answers: &[Answer]) -> Option<Mark> {
    let own = view
        .datasets
        .values()
        .filter_map(|dataset| dataset.mark.as_ref());
    let theirs = answers.iter().filter_map(|answer| answer.mark.as_ref());
    own.chain(theirs).max_by_key(|mark| mark.epoch).cloned()
}

fn aside(view: &View, epoch: u64) -> Result<String, Refusal> {
    let name = format!("{}/lost-{epoch}", view.pool);
    if view.datasets.contains_key(&name) {
        return Err(Refusal::Kept(name));
    }
    Ok(name)
}

#[derive(Default)]
struct Plan(Vec<Step>);

impl Plan {
    fn add(&mut self, title: &'static str, command: &[&str]) {
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        self.0.push(Step { title, command });
    }
}

#[cfg(test)]
#[path = "storage_rack.rs"]
mod rack;
#[cfg(test)]
#[path = "storage_tests.rs"]
mod tests;
