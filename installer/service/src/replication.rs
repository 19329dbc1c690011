//! Snapshots every minute and their way to the other machines. The receiver pulls with syncoid (Debian package sanoid) over
//! ssh; what it may ask of the sender is a short list ([`allowed`]). Age and promise are shown, not hidden: what was
//! accepted after the newest received snapshot is lost in a takeover.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::view::{LIVE, Snapshot, View, is_in};

/// Snapshots of ours begin with this.
pub const PREFIX: &str = "rackwright-";
/// Port of the ssh server that only answers replication; in the role's port table.
pub const PORT: u16 = 8888;
/// Keys and known hosts, in memory.
pub const FOLDER: &str = "/run/rackwright/replication";

/// What is kept: all of the last hour, one for each hour of two days, one for each day of a month.
const KEEP: [(u64, u64); 3] = [(3600, 1), (2 * 86_400, 3600), (31 * 86_400, 86_400)];

/// Name of a snapshot of this moment, seconds since 1970: sorts as time does.
#[must_use]
pub fn snapshot_name(now: u64) -> String {
    format!("{PREFIX}{now:010}")
}

/// The command that makes one, of the whole tree at one moment.
#[must_use]
pub fn snapshot(view: &View, now: u64) -> Vec<String> {
    let name = format!("{}@{}", view.live(), snapshot_name(now));
    ["zfs", "snapshot", "-r", &name].map(str::to_owned).to_vec()
}

/// Snapshots of ours that are old enough to go. Never the newest, never one whose GUID is in `needed` (what the other side
/// has last), never one that is not ours; holds protect the rest (zfs-hold(8)).
#[must_use]
pub fn prune<'a>(view: &'a View, root: &'a str, needed: &BTreeSet<u64>, now: u64) -> Vec<String> {
    let mut old = Vec::new();
    for (dataset, _) in view.tree(root) {
        let ours: Vec<&Snapshot> = view
            .snapshots_of(dataset)
            .filter(|snapshot| snapshot.name.starts_with(PREFIX))
            .collect();
        let mut kept = BTreeSet::new();
        for (index, snapshot) in ours.iter().enumerate().rev() {
            let age = now.saturating_sub(snapshot.created);
            let bucket = KEEP
                .iter()
                .find(|(until, _)| age < *until)
                .map(|(until, width)| (*until, snapshot.created / width));
            let is_first = bucket.is_some_and(|bucket| kept.insert(bucket));
            let is_newest = index + 1 == ours.len();
            if !is_first && !is_newest && !needed.contains(&snapshot.guid) {
                old.push(format!("{dataset}@{}", snapshot.name));
            }
        }
    }
    old
}

/// syncoid, which pulls the tree of `address` to this pool. No snapshot of its own, no rollback, no root by sudo; a hold on
/// what both have, so that nothing removes it.
#[must_use]
pub fn pull(view: &View, address: &str, source_pool: &str) -> Vec<String> {
    let host = if address.contains(':') {
        format!("[{address}]")
    } else {
        address.to_owned()
    };
    let key = format!("{FOLDER}/client");
    let known = format!("UserKnownHostsFile={FOLDER}/known_hosts");
    let port = PORT.to_string();
    let options = [
        "syncoid",
        "--recursive",
        "--no-sync-snap",
        "--use-hold",
        "--no-rollback",
        "--no-privilege-elevation",
        "--preserve-recordsize",
        "--compress=none",
        "--quiet",
        "--identifier=rackwright",
        "--recvoptions=u o readonly=on",
        "--sshport",
        &port,
        "--sshkey",
        &key,
        "--sshoption=StrictHostKeyChecking=yes",
        "--sshoption",
        &known,
        "--sshoption=ConnectTimeout=10",
        "--sshoption=ServerAliveInterval=10",
        "--sshoption=BatchMode=yes",
    ];
    let mut words: Vec<String> = options.map(str::to_owned).to_vec();
    words.push(format!("root@{host}:{source_pool}/{LIVE}"));
    words.push(view.received());
    words
}

/// Wakes zrepl's jobs, one for each peer: they carry what is new (`zrepl signal wakeup`).
#[must_use]
pub fn wake(peer: &str) -> Vec<String> {
    let job = format!("push-{peer}");
    let config = "/etc/zrepl/zrepl.yml";
    [
        "/usr/local/bin/zrepl",
        "--config",
        config,
        "signal",
        "wakeup",
        &job,
    ]
    .map(str::to_owned)
    .to_vec()
}

/// GUIDs of snapshots that a peer has, by the bookmarks that zrepl keeps of them (`zfs list -t bookmark`; zrepl 0.7,
/// internal/endpoint: `zrepl_CURSOR_G_<guid>_J_<job>`).
#[must_use]
pub fn carried(bookmarks: &str) -> BTreeSet<u64> {
    let guid = |line: &str| {
        let (_, name) = line.trim().split_once('#')?;
        let digits = name.strip_prefix("zrepl_CURSOR_G_")?.split('_').next()?;
        u64::from_str_radix(digits, 16).ok()
    };
    bookmarks.lines().filter_map(guid).collect()
}

/// How old the copy is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// `source`, `sink`.
    pub role: String,
    /// The newest snapshot that is whole on this machine (sink), or that a sink is known to have (source).
    pub snapshot: Option<String>,
    /// Its age in seconds: what a takeover at this moment would lose.
    pub age: Option<u64>,
    /// Planned seconds between two.
    pub interval: u64,
    /// Within three intervals.
    pub good: bool,
    /// What went wrong last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl State {
    /// `42 s old, planned every 60 s: a takeover now loses that much`.
    #[must_use]
    pub fn text(&self) -> String {
        let age = self.age.map_or_else(
            || "there is no copy".to_owned(),
            |age| format!("{age} s old"),
        );
        format!(
            "{age}, planned every {} s: a takeover now loses that much",
            self.interval
        )
    }
}

/// State of the copy in `root`: as old as the oldest of its data sets' newest snapshots.
#[must_use]
pub fn state(view: &View, root: &str, role: &str, interval: u64, now: u64) -> State {
    let mut newest: Option<&Snapshot> = None;
    let mut whole = true;
    let mut seen = false;
    for (dataset, _) in view.tree(root) {
        seen = true;
        let last = view
            .snapshots_of(dataset)
            .rfind(|snapshot| snapshot.name.starts_with(PREFIX));
        match last {
            Some(last) if newest.is_none_or(|other| last.created < other.created) => {
                newest = Some(last)
            }
            Some(_) => {}
            None => whole = false,
        }
    }
    let newest = newest.filter(|_| whole && seen);
    let age = newest.map(|snapshot| now.saturating_sub(snapshot.created));
    State {
        role: role.to_owned(),
        snapshot: newest.map(|snapshot| snapshot.name.clone()),
        age,
        interval,
        good: age.is_some_and(|age| age <= interval.saturating_mul(3)),
        error: None,
    }
}

/// Why a command is not run for the other side.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{line}` is nothing that replication needs: {why}")]
pub struct NotAllowed {
    line: String,
    why: &'static str,
}

/// What the receiver asks by ssh, as the programs of a pipe; only reading, holding and releasing, only of the exported tree.
///
/// # Errors
/// Anything else.
pub fn allowed(pool: &str, line: &str) -> Result<Vec<Vec<String>>, NotAllowed> {
    let refuse = |why| NotAllowed {
        line: line.chars().take(200).collect(),
        why,
    };
    let words = split(line).ok_or_else(|| refuse("a character with a meaning for the shell"))?;
    let mut programs: Vec<Vec<String>> = vec![Vec::new()];
    for word in words {
        match (word, programs.last_mut()) {
            (Word::Pipe, _) => programs.push(Vec::new()),
            (Word::Text(text), Some(program)) => program.push(text),
            (Word::Text(_), None) => {}
        }
    }
    let tree = format!("{pool}/{LIVE}");
    for (index, program) in programs.iter().enumerate() {
        let words: Vec<&str> = program.iter().map(String::as_str).collect();
        let first = index == 0;
        match words.as_slice() {
            ["exit"] | ["echo", "-n"] | ["ps", "-Ao", "args="] if first => {}
            ["command", "-v", "mbuffer" | "zfs"] if first => {}
            ["mbuffer", options @ ..]
                if !first && options.iter().all(|word| is_plain_option(word)) => {}
            ["rackwright-installer", "storage", "peer"] if first => {}
            ["zpool", "get", "-o", "value", "-H", _, name] if first && *name == pool => {}
            [
                "zfs",
                "get" | "list" | "send" | "hold" | "release",
                rest @ ..,
            ] if first => {
                let data: Vec<&&str> = rest
                    .iter()
                    .filter(|word| word.contains(['/', '@']))
                    .collect();
                if data.is_empty()
                    || data
                        .iter()
                        .any(|word| !is_in(word.split(['@', '#']).next().unwrap_or(""), &tree))
                {
                    return Err(refuse("another data set"));
                }
            }
            _ => return Err(refuse("another program")),
        }
    }
    Ok(programs)
}

/// An option of mbuffer that names no file: `-q`, `-s 128k`, `-m 16M`, `-r 10M`.
fn is_plain_option(word: &str) -> bool {
    matches!(word, "-q" | "-s" | "-m" | "-r" | "-W" | "-R")
        || word.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

enum Word {
    Text(String),
    Pipe,
}

/// Words as a shell would see them; none if the line has anything but words, single quotes, escapes and pipes.
fn split(line: &str) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            ' ' => words.extend(word.take().map(Word::Text)),
            '|' => {
                words.extend(word.take().map(Word::Text));
                words.push(Word::Pipe);
            }
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next()? {
                        '\'' => break,
                        inside => word.push(inside),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(characters.next()?),
            plain if plain.is_ascii_alphanumeric() || "-_./=:,@%+#".contains(plain) => {
                word.get_or_insert_default().push(plain)
            }
            _ => return None,
        }
    }
    words.extend(word.take().map(Word::Text));
    Some(words)
}

#[cfg(test)]
#[path = "replication_tests.rs"]
mod tests;
