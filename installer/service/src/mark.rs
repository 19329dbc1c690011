//! Fencing epochs: a number that only grows, and the one machine that may export in it. It is written on the exported tree
//! itself, so a machine that slept through a takeover carries the proof of its age with it.

use serde::{Deserialize, Serialize};

/// An epoch and its owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// From 1; grows with every promotion.
    pub epoch: u64,
    /// Host name.
    pub owner: String,
}

/// What another machine, or the control servers, know of epochs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Who said it.
    pub from: String,
    /// The highest epoch it knows; absent: none yet.
    pub mark: Option<Mark>,
}

/// Why this machine must not export.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The tree belongs to another machine.
    #[error(
        "`{tree}` belongs to `{owner}` since epoch {epoch}: this machine must not export it\nhint: `rackwright-installer storage promote` takes it over, `storage demote` makes this machine receive"
    )]
    Foreign {
        /// Data set.
        tree: String,
        /// Whose it is.
        owner: String,
        /// Since when.
        epoch: u64,
    },
    /// Somebody knows a newer epoch.
    #[error(
        "this machine's data is of epoch {own}, `{from}` knows epoch {epoch} of `{owner}`: exporting it would bring back old mail\nhint: `rackwright-installer storage demote` keeps what only this machine has, and makes it receive"
    )]
    Older {
        /// Own epoch.
        own: u64,
        /// Who knows better.
        from: String,
        /// The newer one.
        epoch: u64,
        /// Its owner.
        owner: String,
    },
    /// The same number with two owners: somebody wrote it by hand.
    #[error(
        "`{from}` says that epoch {epoch} belongs to `{owner}`, this machine's data says it is its own\nhint: find out which data is the newer, and demote the other"
    )]
    Twice {
        /// Who says it.
        from: String,
        /// The number.
        epoch: u64,
        /// Its owner by that machine.
        owner: String,
    },
    /// The tree was made anew; what it held is with a peer.
    #[error(
        "`{tree}` is new, and `{from}` knows this machine's store in epoch {epoch}: exporting would show everybody an empty mailbox\nhint: `rackwright-installer storage promote --fenced` on the machine with the newest copy; this one receives after `storage demote`"
    )]
    Emptied {
        /// The data set.
        tree: String,
        /// Who knows.
        from: String,
        /// What it knows.
        epoch: u64,
    },
    /// Nobody confirmed that nothing newer exists.
    #[error(
        "no answer from {silent}: whether it took over while this machine was off is not known\nhint: start it, or, if you know that it did not take over, `rackwright-installer storage confirm`"
    )]
    Silent {
        /// Who was asked in vain.
        silent: String,
    },
    /// By plan another machine holds the data, and nothing is marked.
    #[error("by the plan `{source_name}` exports, and this machine receives")]
    Sink {
        /// The source by plan.
        source_name: String,
    },
    /// The tree is not there.
    #[error("there is no data set `{tree}`\nhint: is the pool imported? `zpool status`")]
    Missing {
        /// Data set.
        tree: String,
    },
    /// It is read-only.
    #[error("`{tree}` is read-only: it is received, not live")]
    ReadOnly {
        /// Data set.
        tree: String,
    },
}

/// What is asked before an export.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// This machine.
    pub node: &'a str,
    /// The exported tree.
    pub tree: &'a str,
    /// It exists.
    pub exists: bool,
    /// It is read-only.
    pub readonly: bool,
    /// Its mark.
    pub own: Option<&'a Mark>,
    /// By plan this machine receives, from this one.
    pub sink_of: Option<&'a str>,
    /// Who could know of a takeover.
    pub asked: &'a [String],
    /// Who answered.
    pub answers: &'a [Answer],
    /// An operator said that nobody took over.
    pub confirmed: bool,
    /// It exports already, since before they fell silent: a takeover needs this machine off, so nobody took over since.
    pub serves: bool,
}

/// May this machine export? Gives the mark that the tree must carry (a first export makes it).
///
/// # Errors
/// Why not. Data of an older epoch is never exported, whatever an operator confirmed.
pub fn may_export(question: &Question<'_>) -> Result<Mark, Refusal> {
    let tree = question.tree.to_owned();
    if !question.exists {
        return Err(Refusal::Missing { tree });
    }
    let own = match (question.own, question.sink_of) {
        (Some(mark), _) => mark.clone(),
        (None, Some(source_name)) => {
            return Err(Refusal::Sink {
                source_name: source_name.to_owned(),
            });
        }
        (None, None) => Mark {
            epoch: 1,
            owner: question.node.to_owned(),
        },
    };
    if own.owner != question.node {
        return Err(Refusal::Foreign {
            tree,
            owner: own.owner,
            epoch: own.epoch,
        });
    }
    for answer in question.answers {
        let Some(theirs) = &answer.mark else { continue };
        let (from, epoch, owner) = (answer.from.clone(), theirs.epoch, theirs.owner.clone());
        // A peer learns a mark from the tree that carries it: this machine held the store, and its tree is another now.
        if question.own.is_none() && owner == question.node {
            return Err(Refusal::Emptied { tree, from, epoch });
        }
        // A machine without a mark of its own has exported nothing yet: any epoch is newer.
        if epoch > own.epoch || (question.own.is_none() && owner != question.node) {
            let own = question.own.map_or(0, |mark| mark.epoch);
            return Err(Refusal::Older {
                own,
                from,
                epoch,
                owner,
            });
        }
        if epoch == own.epoch && owner != own.owner {
            return Err(Refusal::Twice { from, epoch, owner });
        }
    }
    if question.readonly {
        return Err(Refusal::ReadOnly { tree });
    }
    // Each of them: the one that is silent may be the one that took over.
    let answered = |name: &&String| question.answers.iter().any(|answer| answer.from == **name);
    let silent: Vec<&String> = question
        .asked
        .iter()
        .filter(|name| !answered(name))
        .collect();
    if !silent.is_empty() && !question.confirmed && !question.serves {
        return Err(Refusal::Silent {
            silent: names(&silent),
        });
    }
    Ok(own)
}

fn names(silent: &[&String]) -> String {
    let quoted: Vec<String> = silent.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(" and ")
}

#[cfg(test)]
#[path = "mark_tests.rs"]
mod tests;
