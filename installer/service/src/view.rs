//! What a pool shows: data sets and snapshots, as `zfs list` and `zfs get` print them with `-H -p`.

use std::collections::BTreeMap;

use camino::Utf8Path;
use system::{Command, System, SystemError};

use crate::mark::Mark;

/// Property that holds the fencing epoch.
pub const EPOCH: &str = "org.rackwright:epoch";
/// Property that holds the name of the machine that may export in that epoch.
pub const OWNER: &str = "org.rackwright:owner";
/// Property of a tree that was released: name of the snapshot that holds all of it.
pub const LAST: &str = "org.rackwright:last";
/// The tree that is exported, below the pool.
pub const LIVE: &str = "mail-root";
/// What is received lies below this and is written by nothing else.
pub const RECEIVED: &str = "received";

/// A pool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// Name of the pool.
    pub pool: String,
    /// Data sets by name.
    pub datasets: BTreeMap<String, Dataset>,
    /// Snapshots, oldest first within a data set.
    pub snapshots: Vec<Snapshot>,
}

/// A data set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dataset {
    /// Cannot be written.
    pub readonly: bool,
    /// A receive that was cut off and may be continued.
    pub partial: bool,
    /// Epoch and owner, where they are set (inherited ones too).
    pub mark: Option<Mark>,
    /// Snapshot that holds all of it, where it was released.
    pub last: Option<String>,
}

/// A snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Data set.
    pub dataset: String,
    /// Behind the `@`.
    pub name: String,
    /// The same on every pool that has it.
    pub guid: u64,
    /// Seconds since 1970.
    pub created: u64,
}

impl View {
    /// `tank/mail-root`.
    #[must_use]
    pub fn live(&self) -> String {
        format!("{}/{LIVE}", self.pool)
    }

    /// `tank/received/mail-root`. zrepl puts the sender's name and pool between (`tank/received/st1/tank/mail-root`), so that no
    /// sender writes over another's: then it is the tree with the newest snapshot.
    #[must_use]
    pub fn received(&self) -> String {
        let plain = format!("{}/{RECEIVED}/{LIVE}", self.pool);
        if self.datasets.contains_key(&plain) {
            return plain;
        }
        let (above, below) = (format!("{}/{RECEIVED}/", self.pool), format!("/{LIVE}"));
        let trees = self
            .datasets
            .keys()
            .filter(|name| name.starts_with(&above) && name.ends_with(&below));
        let newest = |name: &&String| {
            let last = self.snapshots_of(name).next_back();
            last.map(|snapshot| snapshot.created)
        };
        trees.max_by_key(newest).cloned().unwrap_or(plain)
    }

    /// A data set and all below it, parents first.
    pub fn tree<'a>(
        &'a self,
        root: &str,
    ) -> impl Iterator<Item = (&'a str, &'a Dataset)> + use<'a> {
        let root = root.to_owned();
        self.datasets
            .iter()
            .filter(move |(name, _)| is_in(name, &root))
            .map(|(name, dataset)| (name.as_str(), dataset))
    }

    /// Snapshots of one data set, oldest first.
    pub fn snapshots_of<'a>(
        &'a self,
        dataset: &str,
    ) -> impl DoubleEndedIterator<Item = &'a Snapshot> + use<'a> {
        let dataset = dataset.to_owned();
        self.snapshots
            .iter()
            .filter(move |snapshot| snapshot.dataset == dataset)
    }

    /// Epoch and owner of the exported tree.
    #[must_use]
    pub fn mark(&self) -> Option<&Mark> {
        self.datasets.get(&self.live())?.mark.as_ref()
    }
}

/// `name` is `root` or lies below it.
#[must_use]
pub fn is_in(name: &str, root: &str) -> bool {
    name.strip_prefix(root)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// `zfs get` for all data sets, `zfs list` for all snapshots.
#[must_use]
pub fn commands(pool: &str) -> [Command; 2] {
    let properties = format!("readonly,receive_resume_token,{EPOCH},{OWNER},{LAST}");
    [
        Command::new("zfs").args([
            "get",
            "-H",
            "-p",
            "-r",
            "-t",
            "filesystem",
            "-o",
            "name,property,value",
            &properties,
            pool,
        ]),
        Command::new("zfs").args([
            "list",
            "-H",
            "-p",
            "-r",
            "-t",
            "snapshot",
            "-s",
            "createtxg",
            "-o",
            "name,guid,creation",
            pool,
        ]),
    ]
}

/// Looks at a pool.
///
/// # Errors
/// `zfs` fails.
pub fn look(system: &dyn System, pool: &str) -> Result<View, SystemError> {
    let [datasets, snapshots] = commands(pool);
    let datasets = system.run(&datasets)?.stdout;
    let snapshots = system.run(&snapshots)?.stdout;
    Ok(parse(pool, &datasets, &snapshots))
}

/// Reads what [`commands`] print; lines that do not have the form are left out.
#[must_use]
pub fn parse(pool: &str, datasets: &str, snapshots: &str) -> View {
    let mut view = View {
        pool: pool.to_owned(),
        ..View::default()
    };
    let mut epochs: BTreeMap<String, (Option<u64>, Option<String>)> = BTreeMap::new();
    for line in datasets.lines() {
        let mut fields = line.split('\t');
        let (Some(name), Some(property), Some(value)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let dataset = view.datasets.entry(name.to_owned()).or_default();
        match property {
            "readonly" => dataset.readonly = value == "on",
            "receive_resume_token" => dataset.partial = value != "-",
            LAST => dataset.last = Some(value.to_owned()).filter(|value| value != "-"),
            EPOCH => epochs.entry(name.to_owned()).or_default().0 = value.parse().ok(),
            OWNER if value != "-" => {
                epochs.entry(name.to_owned()).or_default().1 = Some(value.to_owned())
            }
            _ => {}
        }
    }
    for (name, mark) in epochs {
        if let ((Some(epoch), Some(owner)), Some(dataset)) = (mark, view.datasets.get_mut(&name)) {
            dataset.mark = Some(Mark { epoch, owner });
        }
    }
    view.snapshots = self::snapshots(snapshots);
    view
}

/// Snapshots of `zfs list -o name,guid,creation`.
#[must_use]
pub fn snapshots(text: &str) -> Vec<Snapshot> {
    let line = |line: &str| {
        let mut fields = line.split('\t');
        let (dataset, name) = fields.next()?.split_once('@')?;
        Some(Snapshot {
            dataset: dataset.to_owned(),
            name: name.to_owned(),
            guid: fields.next()?.parse().ok()?,
            created: fields.next()?.parse().ok()?,
        })
    };
    text.lines().filter_map(line).collect()
}

/// The pool of this machine: the first that is imported.
///
/// # Errors
/// `zpool` fails.
pub fn pool(system: &dyn System) -> Result<Option<String>, SystemError> {
    let list = Command::new("zpool").args(["list", "-H", "-o", "name"]);
    Ok(system.run(&list)?.stdout.lines().next().map(str::to_owned))
}

/// Text of a file, absent if there is none.
pub(crate) fn text(system: &dyn System, path: &str) -> Option<String> {
    let bytes = system.read(Utf8Path::new(path)).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_zfs_prints_is_read() {
        let view = parse(
            "tank",
            "tank\treadonly\toff\ntank\treceive_resume_token\t-\ntank\torg.rackwright:epoch\t-\n\
             tank/mail-root\treadonly\toff\ntank/mail-root\torg.rackwright:epoch\t4\ntank/mail-root\torg.rackwright:owner\tst2\n\
             tank/mail-rootless\treadonly\ton\ntank/mail-root/mail\treceive_resume_token\t1-abc\nnonsense\n",
            "tank/mail-root@a\t17\t1000\ntank/mail-root@b\t18\t1060\nx\n",
        );
        assert_eq!(
            view.mark(),
            Some(&Mark {
                epoch: 4,
                owner: "st2".into()
            })
        );
        let tree: Vec<&str> = view.tree("tank/mail-root").map(|(name, _)| name).collect();
        assert_eq!(tree, ["tank/mail-root", "tank/mail-root/mail"]);
        assert!(view.datasets["tank/mail-root/mail"].partial);
        assert_eq!(
            view.snapshots_of("tank/mail-root")
                .next_back()
                .map(|it| it.guid),
            Some(18)
        );
    }

    #[test]
    fn what_zrepl_received_is_the_newest_tree() {
        let datasets = "tank/received\treadonly\ton\n\
             tank/received/st1/tank/mail-root\treadonly\ton\n\
             tank/received/st2/tank/mail-root\treadonly\ton\n";
        let snapshots = "tank/received/st1/tank/mail-root@rackwright-1\t1\t100\n\
             tank/received/st2/tank/mail-root@rackwright-2\t2\t200\n";
        let view = parse("tank", datasets, snapshots);
        assert_eq!(view.received(), "tank/received/st2/tank/mail-root");
        let both = format!("{datasets}tank/received/mail-root\treadonly\ton\n");
        assert_eq!(
            parse("tank", &both, snapshots).received(),
            "tank/received/mail-root"
        );
        assert_eq!(parse("tank", "", "").received(), "tank/received/mail-root");
    }
}
