//! A storage server's round: keys for its peers, what they know of epochs, and from that whether it exports.

use camino::Utf8Path;
use roles::NodeFile;
use serde::{Deserialize, Serialize};
use system::{Command, System, delivered::secret};

use crate::{
    keys::{self, Use},
    mail::SENTINEL,
    mark::{self, Answer, Mark, Question, Refusal},
    replication,
    serve::{Report, State, run},
    settings::{Direction, Peer, Storage, virtual_address},
    view::{self, EPOCH, OWNER, View},
};

/// nfs-server and snapshots run only while this is there.
pub const ALLOWED: &str = "/run/rackwright/export/allowed";
/// An operator's word that nobody took over, until the next boot.
pub const CONFIRMED: &str = "/run/rackwright/export/confirmed";
/// While this is there nothing is exported: the owner is being changed by a command. One that fails leaves it, so that a
/// person looks before the next export.
pub const CHANGING: &str = "/run/rackwright/export/changing";

/// The engine that is a payload.
pub const ZREPL: &str = "zrepl";

/// Threads of the kernel's NFS server; 0, or no file, while it does not run (nfsd(7)).
const THREADS: &str = "/proc/fs/nfsd/threads";

/// What a storage server tells another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Its name.
    pub node: String,
    /// The highest epoch that it knows.
    pub mark: Option<Mark>,
    /// It exports at this moment.
    pub exporting: bool,
    /// It let go of the tree, and still has what was written last: the snapshot with all of it.
    #[serde(default)]
    pub released: Option<String>,
}

/// Names of all machines that may hold the store, this one too, in the order of the plan; the place of this one.
#[must_use]
pub fn place(node: &NodeFile, settings: &Storage) -> (u64, u64) {
    let peers = peers(settings);
    let mut names: Vec<&str> = node
        .hosts
        .iter()
        .filter(|host| matches!(host.role.as_deref(), Some("storage" | "backup")))
        .map(|host| host.name.as_str())
        .chain(peers.iter().map(|peer| peer.name.as_str()))
        .chain([node.node.as_str()])
        .collect();
    names.sort_unstable();
    names.dedup();
    let own = names.iter().position(|name| *name == node.node);
    (own.unwrap_or(0) as u64, names.len() as u64)
}

/// What this machine tells others.
#[must_use]
pub fn tell(system: &dyn System, node: &str, view: &View) -> Told {
    Told {
        node: node.to_owned(),
        mark: view
            .datasets
            .values()
            .filter_map(|set| set.mark.clone())
            .max_by_key(|mark| mark.epoch),
        exporting: exports(system),
        released: view
            .mark()
            .filter(|mark| mark.owner == crate::storage::RELEASED)
            .and_then(|_| view.datasets.get(&view.live())?.last.clone()),
    }
}

/// What is, not what is wanted: a server that could not be stopped still answers.
#[must_use]
pub fn exports(system: &dyn System) -> bool {
    system.exists(Utf8Path::new(ALLOWED)) || serves_nfs(system)
}

fn serves_nfs(system: &dyn System) -> bool {
    let threads = view::text(system, THREADS).unwrap_or_default();
    threads
        .trim()
        .parse::<u32>()
        .is_ok_and(|threads| threads > 0)
}

/// The machines that this one sends to or receives from by plan.
#[must_use]
pub fn peers(settings: &Storage) -> Vec<Peer> {
    settings
        .replication_source
        .iter()
        .chain(&settings.replication_sinks)
        .cloned()
        .collect()
}

/// Asks them all; who does not answer is left out.
#[must_use]
pub fn ask(system: &dyn System, peers: &[Peer]) -> Vec<Told> {
    peers
        .iter()
        .filter_map(|peer| {
            serde_json::from_str(&over(system, peer, "rackwright-installer storage peer").ok()?)
                .ok()
        })
        .collect()
}

/// One command on another storage server; its list of what is allowed is [`replication::allowed`].
///
/// # Errors
/// What ssh said.
pub fn over(system: &dyn System, peer: &Peer, command: &str) -> Result<String, String> {
    let folder = replication::FOLDER;
    let key = format!("{folder}/client");
    let known = format!("UserKnownHostsFile={folder}/known_hosts");
    let (port, host) = (
        replication::PORT.to_string(),
        format!("root@{}", peer.address),
    );
    let options = [
        "ssh",
        "-F",
        "none",
        "-p",
        &port,
        "-i",
        &key,
        "-o",
        &known,
        "-o",
        "StrictHostKeyChecking=yes",
        "-o",
        "BatchMode=yes",
        "-o",
        "ConnectTimeout=5",
        &host,
        command,
    ];
    run(system, &options)
}

/// Writes the keys, once. Gives whether they are there.
///
/// # Errors
/// `ssh-keygen` or a file fails.
pub fn write_keys(system: &dyn System) -> Result<bool, String> {
    let folder = Utf8Path::new(replication::FOLDER);
    if system.exists(&folder.join("known_hosts")) {
        return Ok(true);
    }
    let Some(secret) = secret(system, "storage-replication") else {
        return Ok(false);
    };
    system
        .make_directory(folder)
        .map_err(|error| error.to_string())?;
    let put = |name: &str, text: &str| {
        system
            .write(&folder.join(name), text.as_bytes(), 0o600)
            .map_err(|error| error.to_string())
    };
    let public = |name: &str| {
        run(
            system,
            &["ssh-keygen", "-y", "-f", folder.join(name).as_str()],
        )
    };
    put("client", &keys::private_key(&secret, Use::Client))?;
    put("host", &keys::private_key(&secret, Use::Host))?;
    put("authorized_keys", &keys::authorized(&public("client")?))?;
    // Last: it says that all of them are there.
    put("known_hosts", &keys::known(&public("host")?))?;
    Ok(true)
}

pub(crate) fn round(system: &dyn System, node: &NodeFile, settings: &Storage, now: u64) -> Report {
    // A node file that no site file stands behind: nobody said who exports what to whom.
    if settings.replication_engine.is_none() {
        return Report::idle();
    }
    let report = match steps(system, node, settings, now) {
        Ok(report) => return report,
        Err(Halt::Keep(report))
            if system.exists(Utf8Path::new(ALLOWED))
                && !another_exports(system, node, settings) =>
        {
            return report;
        }
        Err(Halt::Keep(report) | Halt::Stop(report)) => report,
    };
    match stop(system, node) {
        Ok(()) => report,
        Err(why) => Report::new(
            State::Failed,
            format!(
                "this machine must not export, and cannot be stopped: {why}\n{}",
                report.detail
            ),
        ),
    }
}

/// Asked again where a failed command kept this machine from comparing epochs.
fn another_exports(system: &dyn System, node: &NodeFile, settings: &Storage) -> bool {
    ask(system, &peers(settings))
        .iter()
        .any(|told| told.exporting && told.node != node.node)
}

/// Why a round did not end with an export.
enum Halt {
    /// It must not, or cannot.
    Stop(Report),
    /// A command failed, which says nothing about the owner: what is exported stays so, nothing new begins.
    Keep(Report),
}

impl From<Report> for Halt {
    fn from(report: Report) -> Self {
        Self::Stop(report)
    }
}

/// Exports no more: first the word, then the server, then the address. Looks at what is there each time, so that what failed
/// once is tried again.
///
/// # Errors
/// Something of it goes on.
pub fn stop(system: &dyn System, node: &NodeFile) -> Result<(), String> {
    let was_allowed = system.exists(Utf8Path::new(ALLOWED));
    system
        .remove(Utf8Path::new(ALLOWED))
        .map_err(|error| error.to_string())?;
    if was_allowed || serves_nfs(system) {
        run(system, &["systemctl", "stop", "nfs-server.service"])?;
    }
    match address(node) {
        // An interface that is not there has no address.
        Some((address, interface))
            if join::address::is_held(system, &address, &interface).unwrap_or(false) =>
        {
            join::address::release(system, &address, &interface)
        }
        _ => Ok(()),
    }
}

/// The storage address, if another machine answers for it: that one exports, whatever is said about it. A probe as in duplicate
/// address detection (RFC 5227, 2.1.1); arping(8) ends with 1 where somebody answers. For IPv6 the kernel does the same when
/// the address is set, and does not use it then.
///
/// # Errors
/// The probe could not be made.
pub fn held_elsewhere(system: &dyn System, node: &NodeFile) -> Result<Option<String>, String> {
    let Some((address, interface)) = address(node) else {
        return Ok(None);
    };
    let bare = address.split('/').next().unwrap_or_default();
    if bare.contains(':') || join::address::is_held(system, &address, &interface)? {
        return Ok(None);
    }
    let probe = Command::new("arping")
        .args(["-D", "-q", "-c", "2", "-w", "3", "-I", &interface, bare])
        .timeout(std::time::Duration::from_secs(10));
    match system.run(&probe) {
        Ok(_) => Ok(None),
        Err(system::CommandError::Failed { status, .. }) if status == "exit code 1" => {
            Ok(Some(bare.to_owned()))
        }
        Err(error) => Err(error.to_string()),
    }
}

fn steps(
    system: &dyn System,
    node: &NodeFile,
    settings: &Storage,
    now: u64,
) -> Result<Report, Halt> {
    let failed = |text: String| Halt::Keep(Report::new(State::Failed, text));
    if system.exists(Utf8Path::new(CHANGING)) {
        return Err(Report::refused(
            &"a change of the owner was begun and has not ended: see `rackwright-installer storage status`, then run `storage promote` or `storage demote` again",
        )
        .into());
    }
    let peers = peers(settings);
    let carrier = carrier(system, settings, &peers);
    let serves = system.exists(Utf8Path::new(ALLOWED));
    let reachable = answer_peers(system, &peers);
    // What serves asks all the same whether somebody took over.
    if !serves {
        reachable.clone().map_err(failed)?;
    }
    let pool = view::pool(system)
        .map_err(|error| failed(error.to_string()))?
        .ok_or_else(|| Report::waits("no pool is imported"))?;
    let view = view::look(system, &pool).map_err(|error| failed(error.to_string()))?;
    let told = ask(system, &peers);
    let answers: Vec<Answer> = told
        .iter()
        .map(|told| Answer {
            from: told.node.clone(),
            mark: told.mark.clone(),
        })
        .collect();
    let asked: Vec<String> = peers.iter().map(|peer| peer.name.clone()).collect();
    let (live, received) = (view.live(), view.received());
    let dataset = view.datasets.get(&live);
    let question = Question {
        node: &node.node,
        tree: &live,
        exists: dataset.is_some(),
        readonly: dataset.is_some_and(|set| set.readonly),
        own: view.mark(),
        sink_of: sink_of(settings),
        asked: &asked,
        answers: &answers,
        confirmed: system.exists(Utf8Path::new(CONFIRMED)),
        serves,
    };
    let interval = settings.replication_interval.unwrap_or(60);
    let state = |root: &str, role: &str| replication::state(&view, root, role, interval, now);
    match mark::may_export(&question) {
        Ok(mark) => {
            export(system, node, settings, &view, &mark)?;
            reachable.map_err(failed)?;
            // Mail goes on without a copy; that there is none is said.
            carrier.map_err(Halt::Keep)?;
            let mut report = Report::ready(format!("exports in epoch {}", mark.epoch));
            report.listens = vec![2049];
            report.replication = (!settings.replication_sinks.is_empty())
                .then(|| Box::new(sent(system, settings, &view, interval, now)));
            Ok(report)
        }
        Err(Refusal::Sink { .. } | Refusal::Missing { .. } | Refusal::Foreign { .. })
            if !view.datasets.contains_key(&live) || sink_of(settings).is_some() =>
        {
            carrier?;
            let mut report = Report::ready("receives");
            let state = state(&received, "sink");
            if !state.good {
                report = Report::waits(match state.age {
                    Some(age) => format!(
                        "the newest copy is {age} s old, {interval} s are planned: see `journalctl -u rackwright-replication`"
                    ),
                    None => "nothing was received yet".to_owned(),
                });
            }
            report.replication = Some(Box::new(state));
            Err(report.into())
        }
        Err(refusal @ Refusal::Silent { .. }) => Err(Report::waits(refusal.to_string()).into()),
        Err(refusal) => Err(Report::refused(&refusal).into()),
    }
}

/// What carries snapshots, where it is a service: zrepl.
fn carrier(system: &dyn System, settings: &Storage, peers: &[Peer]) -> Result<(), Report> {
    if settings.replication_engine.as_deref() != Some(ZREPL) || peers.is_empty() {
        return Ok(());
    }
    if !system.exists(Utf8Path::new("/usr/local/bin/zrepl")) {
        return Err(Report::waits(
            "replication is by zrepl, and this image has none: `rackwright payload build zrepl`, then `rackwright build ROLE --site site.toml`",
        ));
    }
    run(system, &["systemctl", "start", "zrepl.service"])
        .map(drop)
        .map_err(|error| Report::new(State::Failed, error))
}

/// Keys, and the server that peers ask.
fn answer_peers(system: &dyn System, peers: &[Peer]) -> Result<(), String> {
    if write_keys(system)? && !peers.is_empty() {
        run(system, &["systemctl", "start", "rackwright-peer.service"])?;
    }
    Ok(())
}

fn sink_of(settings: &Storage) -> Option<&str> {
    let source = settings
        .replication_source
        .as_ref()
        .map(|peer| peer.name.as_str());
    (settings.replication_role == Direction::Sink).then_some(source.unwrap_or("another machine"))
}

/// Makes it so: mark, sentinel, server, address. The address last: clients must never reach a server that is not ready.
fn export(
    system: &dyn System,
    node: &NodeFile,
    settings: &Storage,
    view: &View,
    mark: &Mark,
) -> Result<(), Halt> {
    let failed = |text: String| Halt::Keep(Report::new(State::Failed, text));
    let live = view.live();
    let folder = settings.export.as_deref().unwrap_or("/var/srv/export");
    let mounts = view::text(system, "/proc/mounts").unwrap_or_default();
    let mounted = |line: &str| {
        let mut fields = line.split(' ');
        fields.next() == Some(live.as_str()) && fields.next() == Some(folder)
    };
    if !mounts.lines().any(mounted) {
        return Err(Halt::Stop(Report::new(
            State::Failed,
            format!("`{live}` is not mounted at `{folder}`: see `systemctl status zfs-mount`"),
        )));
    }
    if let Some(address) = held_elsewhere(system, node).map_err(failed)? {
        return Err(Halt::Stop(Report::refused(&format!(
            "another machine answers for the storage address {address}: it exports, so this one does not\nhint: switch it off, or `rackwright-installer storage demote` there"
        ))));
    }
    if view.mark() != Some(mark) {
        run(
            system,
            &[
                "zfs",
                "set",
                &format!("{EPOCH}={}", mark.epoch),
                &format!("{OWNER}={}", mark.owner),
                &live,
            ],
        )
        .map_err(failed)?;
    }
    let sentinel = Utf8Path::new(folder).join(SENTINEL);
    if !system.exists(&sentinel) {
        let text = "The mail store. Mail servers write only where this file is.\n";
        system
            .write(&sentinel, text.as_bytes(), 0o444)
            .map_err(|error| failed(error.to_string()))?;
    }
    if !system.exists(Utf8Path::new(ALLOWED)) {
        system
            .make_directory(Utf8Path::new("/run/rackwright/export"))
            .map_err(|error| failed(error.to_string()))?;
        system
            .write(Utf8Path::new(ALLOWED), b"", 0o644)
            .map_err(|error| failed(error.to_string()))?;
    }
    run(system, &["systemctl", "start", "nfs-server.service"]).map_err(failed)?;
    match address(node) {
        Some((address, interface)) => {
            join::address::hold(system, &address, &interface).map_err(failed)
        }
        None => Ok(()),
    }
}

/// The storage address with prefix length, and the interface of its network.
fn address(node: &NodeFile) -> Option<(String, String)> {
    let (network, address) = virtual_address(node, "storage")?;
    let network = node.networks.iter().find(|it| it.name == network)?;
    let own = network
        .addresses
        .iter()
        .find(|own| own.contains(':') == address.contains(':'))?;
    let length = own.split('/').nth(1)?;
    let interface = network
        .interface()
        .unwrap_or_else(|| format!("{}0", network.name));
    Some((format!("{address}/{length}"), interface))
}

/// As the sender knows it: what a receiver holds (syncoid's `--use-hold`) it has.
fn sent(
    system: &dyn System,
    settings: &Storage,
    view: &View,
    interval: u64,
    now: u64,
) -> replication::State {
    let live = view.live();
    if settings.replication_engine.as_deref() == Some(ZREPL) {
        let words = ["zfs", "list", "-H", "-t", "bookmark", "-o", "name", &live];
        let carried = replication::carried(&run(system, &words).unwrap_or_default());
        let last = view
            .snapshots_of(&live)
            .rfind(|snapshot| carried.contains(&snapshot.guid));
        return sent_state(last, interval, now);
    }
    let newest: Vec<&str> = view
        .snapshots_of(&live)
        .map(|snapshot| snapshot.name.as_str())
        .collect();
    let mut words = vec!["zfs".to_owned(), "holds".to_owned(), "-H".to_owned()];
    words.extend(newest.iter().map(|name| format!("{live}@{name}")));
    let command = Command::new("zfs").args(words.into_iter().skip(1));
    let text = if newest.is_empty() {
        String::new()
    } else {
        system
            .run(&command)
            .map(|output| output.stdout)
            .unwrap_or_default()
    };
    let held = |name: &str| {
        text.lines()
            .any(|line| line.starts_with(&format!("{live}@{name}\tsyncoid_")))
    };
    let last = view
        .snapshots_of(&live)
        .rfind(|snapshot| held(&snapshot.name));
    sent_state(last, interval, now)
}

fn sent_state(last: Option<&view::Snapshot>, interval: u64, now: u64) -> replication::State {
    let age = last.map(|snapshot| now.saturating_sub(snapshot.created));
    replication::State {
        role: "source".to_owned(),
        snapshot: last.map(|snapshot| snapshot.name.clone()),
        age,
        interval,
        good: age.is_some_and(|age| age <= interval.saturating_mul(3)),
        error: None,
    }
}

#[cfg(test)]
#[path = "storage_tests.rs"]
mod tests;
