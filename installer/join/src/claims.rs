//! What only one machine of a cluster may decide. The control nodes keep it; tests keep it in memory.

use std::{collections::BTreeMap, sync::Mutex};

/// Answer to a node that asks for the right to bootstrap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bootstrap {
    /// The node may bootstrap, once.
    Granted,
    /// Another node holds the right and has not spent it.
    HeldBy(String),
    /// The cluster exists.
    Spent {
        /// Node that bootstrapped.
        by: String,
        /// UUID of the cluster.
        uuid: String,
    },
}

/// Fencing epoch of a resource: who with an older number acts, is refused.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Epoch {
    /// Counts up with each change of the owner; 0 before the first.
    pub number: u64,
    /// Node that owns the resource; empty before the first.
    pub owner: String,
}

/// Why the store of claims gave no answer, or said no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// No control node answers.
    #[error("no control node answers: {0}")]
    Unreachable(String),
    /// Compare-and-set failed.
    #[error("epoch of `{resource}` is {is}, not {from}: read it again, somebody else changed it")]
    Epoch {
        /// Resource asked for.
        resource: String,
        /// Number the caller knew.
        from: u64,
        /// Number in the store.
        is: u64,
    },
    /// Only the holder spends the right.
    #[error("`{node}` does not hold the right to bootstrap `{cluster}`")]
    NotHeld {
        /// Cluster asked for.
        cluster: String,
        /// Node that asked.
        node: String,
    },
}

/// The store of claims.
pub trait Claims: Sync {
    /// The one right to bootstrap `cluster`, as compare-and-set.
    fn take_bootstrap(&self, cluster: &str, node: &str) -> Result<Bootstrap, ClaimError>;
    /// Spends the right for good, with the UUID of the cluster that was made.
    fn spend_bootstrap(&self, cluster: &str, node: &str, uuid: &str) -> Result<(), ClaimError>;
    /// A lease of `seconds`, for instance of the one joiner at a time; `false` where another holds it.
    fn lease(&self, what: &str, node: &str, seconds: u64) -> Result<bool, ClaimError>;
    /// Gives a lease back; nothing happens where another holds it.
    fn release(&self, what: &str, node: &str) -> Result<(), ClaimError>;
    /// Fencing epoch of a resource.
    fn epoch(&self, resource: &str) -> Result<Epoch, ClaimError>;
    /// Names a new owner, as compare-and-set on the old number.
    fn raise_epoch(&self, resource: &str, from: u64, owner: &str) -> Result<Epoch, ClaimError>;
    /// Tells the control nodes how far this node is.
    fn report(&self, node: &str, state: &str, detail: &str) -> Result<(), ClaimError>;
}

#[derive(Debug, Default)]
struct Kept {
    now: u64,
    rights: BTreeMap<String, (String, Option<String>)>,
    leases: BTreeMap<String, (String, u64)>,
    epochs: BTreeMap<String, Epoch>,
    reports: Vec<(String, String, String)>,
}

/// Claims in memory, with a clock that the test moves.
#[derive(Debug, Default)]
pub struct Memory(Mutex<Kept>);

impl Memory {
    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        // A panic elsewhere leaves the maps whole: each change is one insert.
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
    /// Lets `seconds` pass.
    pub fn pass(&self, seconds: u64) {
        let mut kept = self.kept();
        kept.now = kept.now.saturating_add(seconds);
    }
}

impl Claims for Memory {
    fn take_bootstrap(&self, cluster: &str, node: &str) -> Result<Bootstrap, ClaimError> {
        let mut kept = self.kept();
        let (by, uuid) = kept
            .rights
            .entry(cluster.into())
            .or_insert_with(|| (node.into(), None));
        Ok(match uuid {
            Some(uuid) => Bootstrap::Spent {
                by: by.clone(),
                uuid: uuid.clone(),
            },
            None if by == node => Bootstrap::Granted,
            None => Bootstrap::HeldBy(by.clone()),
        })
    }
    fn spend_bootstrap(&self, cluster: &str, node: &str, uuid: &str) -> Result<(), ClaimError> {
        match self.kept().rights.get_mut(cluster) {
            Some((by, spent))
                if by == node && spent.as_deref().is_none_or(|known| known == uuid) =>
            {
                *spent = Some(uuid.into());
                Ok(())
            }
            _ => Err(ClaimError::NotHeld {
                cluster: cluster.into(),
                node: node.into(),
            }),
        }
    }
    fn lease(&self, what: &str, node: &str, seconds: u64) -> Result<bool, ClaimError> {
        let mut kept = self.kept();
        let now = kept.now;
        if kept
            .leases
            .get(what)
            .is_some_and(|(by, until)| by != node && *until > now)
        {
            return Ok(false);
        }
        kept.leases
            .insert(what.into(), (node.into(), now.saturating_add(seconds)));
        Ok(true)
    }
    fn release(&self, what: &str, node: &str) -> Result<(), ClaimError> {
        let mut kept = self.kept();
        if kept.leases.get(what).is_some_and(|(by, _)| by == node) {
            kept.leases.remove(what);
        }
        Ok(())
    }
    fn epoch(&self, resource: &str) -> Result<Epoch, ClaimError> {
        Ok(self
            .kept()
            .epochs
            .get(resource)
            .cloned()
            .unwrap_or_default())
    }
    fn raise_epoch(&self, resource: &str, from: u64, owner: &str) -> Result<Epoch, ClaimError> {
        let mut kept = self.kept();
        let is = kept.epochs.get(resource).map_or(0, |epoch| epoch.number);
        if is != from {
            return Err(ClaimError::Epoch {
                resource: resource.into(),
                from,
                is,
            });
        }
        let epoch = Epoch {
            number: from.saturating_add(1),
            owner: owner.into(),
        };
        kept.epochs.insert(resource.into(), epoch.clone());
        Ok(epoch)
    }
    fn report(&self, node: &str, state: &str, detail: &str) -> Result<(), ClaimError> {
        self.kept()
            .reports
            .push((node.into(), state.into(), detail.into()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_to_bootstrap_is_given_once() {
        let claims = Memory::default();
        assert_eq!(claims.take_bootstrap("mail", "db1"), Ok(Bootstrap::Granted));
        assert_eq!(claims.take_bootstrap("mail", "db1"), Ok(Bootstrap::Granted));
        assert_eq!(
            claims.take_bootstrap("mail", "db2"),
            Ok(Bootstrap::HeldBy("db1".into()))
        );
        assert!(claims.spend_bootstrap("mail", "db2", "u").is_err());
        assert_eq!(claims.spend_bootstrap("mail", "db1", "u"), Ok(()));
        assert_eq!(claims.spend_bootstrap("mail", "db1", "u"), Ok(()));
        assert!(claims.spend_bootstrap("mail", "db1", "other").is_err());
        let spent = Bootstrap::Spent {
            by: "db1".into(),
            uuid: "u".into(),
        };
        assert_eq!(claims.take_bootstrap("mail", "db1"), Ok(spent));
    }

    #[test]
    fn a_lease_ends_with_its_time() {
        let claims = Memory::default();
        assert_eq!(claims.lease("joiner", "db2", 60), Ok(true));
        assert_eq!(claims.lease("joiner", "db3", 60), Ok(false));
        assert_eq!(claims.release("joiner", "db3"), Ok(()));
        assert_eq!(claims.lease("joiner", "db3", 60), Ok(false));
        claims.pass(60);
        assert_eq!(claims.lease("joiner", "db3", 60), Ok(true));
    }

    #[test]
    fn an_epoch_is_compared_before_it_is_raised() {
        let claims = Memory::default();
        assert_eq!(
            claims
                .raise_epoch("database:primary", 0, "db1")
                .map(|e| e.number),
            Ok(1)
        );
        let stale = claims.raise_epoch("database:primary", 0, "db2");
        assert_eq!(
            stale.map_err(|error| error.to_string()),
            Err(
                "epoch of `database:primary` is 1, not 0: read it again, somebody else changed it"
                    .into()
            )
        );
        assert_eq!(
            claims.epoch("database:primary").map(|e| e.owner),
            Ok("db1".into())
        );
    }
}
