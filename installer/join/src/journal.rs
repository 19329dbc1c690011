//! What the join has done, on the state file system. Lines are only added, each on the medium before what it announces, so a
//! power cut leaves at most one torn line at the end, and that is skipped.

use camino::Utf8Path;
use serde::{Deserialize, Serialize};
use system::{System, SystemError};

/// The file.
pub const PATH: &str = "/state/join.jsonl";

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "kebab-case")]
pub enum Fact {
    /// A step changed its state in this boot.
    Step {
        /// Boot, `/proc/sys/kernel/random/boot_id`.
        boot: String,
        /// Step.
        id: String,
        /// `done`, `refused`, `skipped`.
        state: String,
        /// Words.
        detail: String,
    },
    /// This machine took the right to make the cluster; written before it starts to.
    Right {
        /// Name of the cluster.
        cluster: String,
    },
    /// The cluster with this UUID exists, and this machine is a member.
    Cluster {
        /// Name of the cluster.
        cluster: String,
        /// UUID.
        uuid: String,
    },
    /// The highest fencing epoch of a resource that this machine knows.
    Epoch {
        /// `database:primary`.
        resource: String,
        /// Number.
        number: u64,
        /// Owner.
        owner: String,
    },
    /// Of a newer version.
    #[serde(other)]
    Unknown,
}

/// All lines, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Journal(Vec<Fact>);

/// Reads a text; a line that is no fact is skipped.
#[must_use]
pub fn parse(text: &str) -> Journal {
    let facts = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    Journal(facts.collect())
}

/// Reads the file; none is an empty one.
///
/// # Errors
/// It is there and cannot be read: nobody may take that for a machine that knows nothing.
pub fn read(system: &dyn System) -> Result<Journal, SystemError> {
    match system.read(Utf8Path::new(PATH)) {
        Ok(bytes) => Ok(parse(&String::from_utf8_lossy(&bytes))),
        Err(error) if error.is_not_found() => Ok(Journal::default()),
        Err(error) => Err(error),
    }
}

/// Adds a line and waits until it is on the medium. It begins a line of its own, whatever a power cut left before it.
///
/// # Errors
/// The file cannot be written.
pub fn add(system: &dyn System, fact: &Fact) -> Result<(), SystemError> {
    let text = serde_json::to_string(fact).unwrap_or_default();
    system.append(Utf8Path::new(PATH), format!("\n{text}\n").as_bytes())
}

impl Journal {
    /// UUID of the cluster of this name, if this machine was ever a member.
    #[must_use]
    pub fn cluster(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find_map(|fact| match fact {
            Fact::Cluster { cluster, uuid } if cluster == name => Some(uuid.as_str()),
            _ => None,
        })
    }

    /// This machine took the right to make the cluster, and no cluster is recorded.
    #[must_use]
    pub fn holds_right(&self, name: &str) -> bool {
        self.cluster(name).is_none()
            && self
                .0
                .iter()
                .any(|fact| matches!(fact, Fact::Right { cluster } if cluster == name))
    }

    /// The highest epoch and its owner; 0 and nobody before the first.
    #[must_use]
    pub fn epoch(&self, of: &str) -> crate::claims::Epoch {
        let known = self.0.iter().filter_map(|fact| match fact {
            Fact::Epoch {
                resource,
                number,
                owner,
            } if resource == of => Some((*number, owner)),
            _ => None,
        });
        known
            .max_by_key(|(number, _)| *number)
            .map(|(number, owner)| crate::claims::Epoch {
                number,
                owner: owner.clone(),
            })
            .unwrap_or_default()
    }

    /// Last state of each step in this boot, in order of the first mention.
    #[must_use]
    pub fn steps(&self, this: &str) -> Vec<(&str, &str, &str)> {
        let mut steps: Vec<(&str, &str, &str)> = Vec::new();
        for fact in &self.0 {
            if let Fact::Step {
                boot,
                id,
                state,
                detail,
            } = fact
                && boot == this
            {
                let new = (id.as_str(), state.as_str(), detail.as_str());
                match steps.iter_mut().find(|step| step.0 == id) {
                    Some(step) => *step = new,
                    None => steps.push(new),
                }
            }
        }
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use system::Simulated;

    fn epoch(number: u64, owner: &str) -> Fact {
        Fact::Epoch {
            resource: "database:primary".into(),
            number,
            owner: owner.into(),
        }
    }

    #[test]
    fn facts_come_back_and_torn_lines_are_skipped() {
        let system = Simulated::new();
        assert_eq!(read(&system).ok(), Some(Journal::default()));
        let right = Fact::Right {
            cluster: "mail".into(),
        };
        add(&system, &right).unwrap();
        assert!(read(&system).unwrap().holds_right("mail"));
        assert!(!read(&system).unwrap().holds_right("other"));
        // A power cut in the middle of a line.
        system
            .append(Utf8Path::new(PATH), br#"{"fact":"cluster","cluster":"ma"#)
            .unwrap();
        let cluster = Fact::Cluster {
            cluster: "mail".into(),
            uuid: "u".into(),
        };
        add(&system, &cluster).unwrap();
        let journal = read(&system).unwrap();
        assert_eq!(journal.cluster("mail"), Some("u"));
        assert!(!journal.holds_right("mail"));
        assert_eq!(journal.0, [right, cluster]);
    }

    #[test]
    fn the_highest_epoch_counts_not_the_last() {
        let text = [epoch(2, "db2"), epoch(1, "db1")]
            .map(|fact| serde_json::to_string(&fact).unwrap())
            .join("\n");
        let known = parse(&text).epoch("database:primary");
        assert_eq!((known.number, known.owner.as_str()), (2, "db2"));
        assert_eq!(parse(&text).epoch("other").number, 0);
    }

    #[test]
    fn a_newer_versions_line_is_no_error() {
        let journal = parse("{\"fact\":\"moon\",\"phase\":3}\n[]\n");
        assert_eq!(journal.0, [Fact::Unknown]);
    }

    #[test]
    fn steps_are_of_this_boot() {
        let step = |boot: &str, state: &str| Fact::Step {
            boot: boot.into(),
            id: "clock".into(),
            state: state.into(),
            detail: String::new(),
        };
        let journal = Journal(vec![
            step("a", "done"),
            step("b", "refused"),
            step("b", "done"),
        ]);
        assert_eq!(journal.steps("b"), [("clock", "done", "")]);
    }
}
