//! Which disks: an exact number or nothing. "First match" is how other installers wipe the wrong disk, so a selector that
//! matches more than it asks for is an error, and every error shows all candidates.

mod candidates;
mod condition;

use firmware::inventory::Disk;
use roles::role::{DiskNeed, Purpose};
use roles::selector::{Selector, SelectorError};

pub use candidates::Candidates;
pub use condition::{excluded, ineligible};

/// The disks of one group.
#[derive(Debug, Clone)]
pub struct Group<'a> {
    /// `os`, `data`, or `data 2` where a role has several of one purpose.
    pub name: String,
    /// What was asked for.
    pub need: &'a DiskNeed,
    /// In order of bay, then of stable name; empty if optional and absent.
    pub disks: Vec<&'a Disk>,
}

/// Why disks could not be chosen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// Too few or too many.
    #[error("group `{group}` needs exactly {wanted} disks, {found} match\nhint: {hint}\n{table}")]
    Count {
        /// Group.
        group: String,
        /// Wanted.
        wanted: u32,
        /// Matching the alternative that came nearest.
        found: usize,
        /// What to do.
        hint: String,
        /// All disks.
        table: Candidates,
    },
    /// One disk, two groups.
    #[error(
        "disk `{disk}` is claimed by group `{first}` and by group `{second}`\n\
         hint: narrow one of the selectors, by bay, size or rotation\n{table}"
    )]
    Overlap {
        /// Disk.
        disk: String,
        /// One group.
        first: String,
        /// The other.
        second: String,
        /// All disks.
        table: Candidates,
    },
    /// A condition cannot be read.
    #[error("group `{group}`: {error}\nhint: {}", error.hint)]
    Condition {
        /// Group.
        group: String,
        /// What is wrong.
        error: SelectorError,
    },
    /// A selector without conditions would match every disk.
    #[error(
        "group `{group}` has no condition in its selector\nhint: say at least a size, a bay or a model"
    )]
    Unconditional {
        /// Group.
        group: String,
    },
}

/// Names of the groups, in order: the purpose, numbered from the second of its kind on.
#[must_use]
pub fn names(needs: &[DiskNeed]) -> Vec<String> {
    let mut names = Vec::new();
    for (index, need) in needs.iter().enumerate() {
        let before = needs[..index]
            .iter()
            .filter(|other| other.purpose == need.purpose)
            .count();
        let word = purpose(need.purpose);
        names.push(if before == 0 {
            word.into()
        } else {
            format!("{word} {}", before + 1)
        });
    }
    names
}

/// The word for a purpose, as in role files.
#[must_use]
pub fn purpose(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Os => "os",
        Purpose::Data => "data",
        Purpose::Log => "log",
        Purpose::Cache => "cache",
        Purpose::Special => "special",
        Purpose::Spare => "spare",
    }
}

/// Chooses the disks of every group.
///
/// # Errors
/// A group does not get exactly what it wants, or two groups want the same disk.
pub fn select<'a>(needs: &'a [DiskNeed], disks: &'a [Disk]) -> Result<Vec<Group<'a>>, SelectError> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for (need, name) in needs.iter().zip(names(needs)) {
        let disks = choose(need, &name, disks)?;
        groups.push(Group { name, need, disks });
    }
    disjoint(&groups, disks)?;
    Ok(groups)
}

fn choose<'a>(
    need: &DiskNeed,
    group: &str,
    disks: &'a [Disk],
) -> Result<Vec<&'a Disk>, SelectError> {
    let wanted = need.count as usize;
    if need
        .select
        .iter()
        .any(|selector| *selector == Selector::default())
        || need.select.is_empty()
    {
        return Err(SelectError::Unconditional {
            group: group.into(),
        });
    }
    let mut nearest = 0;
    for selector in &need.select {
        let mut matching = Vec::new();
        for disk in disks {
            let verdict = excluded(disk, selector).map_err(|error| SelectError::Condition {
                group: group.into(),
                error,
            })?;
            if verdict.is_none() {
                matching.push(disk);
            }
        }
        nearest = nearest.max(matching.len());
        if matching.len() > wanted {
            break;
        }
        if matching.len() == wanted {
            sort(&mut matching);
            return Ok(matching);
        }
    }
    if need.optional && nearest == 0 {
        return Ok(Vec::new());
    }
    let hint = if nearest > wanted {
        "narrow the selector in the node file, by bay, serial or WWN; never is one of several taken by chance"
    } else {
        "look at the condition that excluded each disk; correct the node file, or add or replace disks"
    };
    Err(SelectError::Count {
        group: group.into(),
        wanted: need.count,
        found: nearest,
        hint: hint.into(),
        table: table(need, disks),
    })
}

fn sort(disks: &mut [&Disk]) {
    disks.sort_by(|a, b| {
        let key = |disk: &Disk| disk.bay.as_ref().map(|bay| (bay.side.clone(), bay.slot));
        // Disks without a bay last.
        (key(a).is_none(), key(a), &a.id).cmp(&(key(b).is_none(), key(b), &b.id))
    });
}

fn table(need: &DiskNeed, disks: &[Disk]) -> Candidates {
    let mut table = Candidates::new();
    for disk in disks {
        let verdict = |selector| match excluded(disk, selector) {
            Ok(None) => "matches".into(),
            Ok(Some(reason)) => format!("excluded: {reason}"),
            Err(error) => format!("excluded: {error}"),
        };
        table.push(disk, need.select.iter().map(verdict).collect());
    }
    table
}

fn disjoint(groups: &[Group<'_>], disks: &[Disk]) -> Result<(), SelectError> {
    for (index, second) in groups.iter().enumerate() {
        for first in &groups[..index] {
            if let Some(disk) = second
                .disks
                .iter()
                .find(|disk| first.disks.iter().any(|d| d.id == disk.id))
            {
                let mut table = Candidates::new();
                for disk in disks {
                    let claims: Vec<&str> = groups
                        .iter()
                        .filter(|group| group.disks.iter().any(|d| d.id == disk.id))
                        .map(|group| group.name.as_str())
                        .collect();
                    let text = if claims.is_empty() {
                        "claimed by no group".into()
                    } else {
                        format!("claimed by {}", claims.join(", "))
                    };
                    table.push(disk, vec![text]);
                }
                return Err(SelectError::Overlap {
                    disk: disk.id.to_string(),
                    first: first.name.clone(),
                    second: second.name.clone(),
                    table,
                });
            }
        }
    }
    Ok(())
}
