//! `storage`: who exports the mail store, how old the copies are, and the takeover by hand.

use anyhow::{Context as _, bail, ensure};
use authority::{control::Own, now};
use camino::Utf8Path;
use join::claims::{Claims as _, Epoch};
use roles::NodeFile;
use service::{
    claim,
    mark::Answer,
    replication,
    round::storage::{self as storage_round, ALLOWED, CHANGING, CONFIRMED, Told},
    serve,
    settings::{Peer, Storage},
    storage::{Demote, Fenced, Promote, Step, demote, promote},
    view::{self, View},
};
use system::{Command, System};

use crate::arguments::{StoragePromote, StorageTask};
use crate::{output, this::This};

/// Runs the command.
///
/// # Errors
/// Refused, or a command failed.
pub fn run(system: &dyn System, task: &StorageTask, json: bool) -> anyhow::Result<u8> {
    let this = This::read(system)?;
    ensure!(
        matches!(this.node.role.as_str(), "storage" | "backup"),
        "`{}` is a `{}`, not a storage server",
        this.node.node,
        this.node.role
    );
    let settings: Storage = this.settings()?;
    if let StorageTask::Answer = task {
        return answer(system);
    }
    let pool = view::pool(system)?.context("no pool is imported")?;
    let view = view::look(system, &pool)?;
    match task {
        StorageTask::Status => status(system, &this, &settings, &view, json),
        StorageTask::Peer => {
            output::json(&serde_json::to_value(storage_round::tell(
                system,
                &this.node.node,
                &view,
            ))?)?;
            Ok(0)
        }
        StorageTask::Snapshot => {
            execute(system, &replication::snapshot(&view, now()))?;
            if settings.replication_engine.as_deref() == Some(storage_round::ZREPL) {
                // One peer that is away must not keep the others from being served.
                for peer in storage_round::peers(&settings) {
                    if let Err(error) = execute(system, &replication::wake(&peer.name)) {
                        output::note(&format!("warning: {error:#}"));
                    }
                }
            }
            prune(system, &view, &view.live())
        }
        StorageTask::Receive => receive(system, &settings, &view),
        StorageTask::Confirm => {
            system.make_directory(Utf8Path::new("/run/rackwright/export"))?;
            system.write(Utf8Path::new(CONFIRMED), b"", 0o644)?;
            output::text("until the next boot this machine exports without asking the others\n")?;
            Ok(0)
        }
        StorageTask::Promote(options) => take_over(system, &this, &settings, &view, options),
        StorageTask::Demote(options) => {
            let told = storage_round::ask(system, &storage_round::peers(&settings));
            let (snapshots, tree) = theirs(system, &settings, &told);
            let answers = answers(&told);
            let request = Demote {
                node: &this.node.node,
                answers: &answers,
                theirs: &snapshots,
                their_tree: &tree,
                release: options.release,
                now: now(),
            };
            let steps = demote(&view, &request)?;
            change(system, &this.node, &steps, options.dry_run, &[])
        }
        StorageTask::Answer => Ok(0),
    }
}

fn answers(told: &[Told]) -> Vec<Answer> {
    told.iter()
        .map(|told| Answer {
            from: told.node.clone(),
            mark: told.mark.clone(),
        })
        .collect()
}

/// The control servers, and what they know of the mail store. They only add refusals, so a takeover goes on without them.
fn claimed(this: &This) -> (Option<Own>, Option<Epoch>) {
    let Some(claims) = this.claims() else {
        return (None, None);
    };
    match claims.epoch(claim::RESOURCE) {
        Ok(epoch) => (Some(claims), Some(epoch)),
        Err(error) => {
            output::note(&format!("warning: {error}: the takeover goes on without"));
            (None, None)
        }
    }
}

fn take_over(
    system: &dyn System,
    this: &This,
    settings: &Storage,
    view: &View,
    options: &StoragePromote,
) -> anyhow::Result<u8> {
    let told = storage_round::ask(system, &storage_round::peers(settings));
    // Where the address answers somebody exports, also if nobody says so.
    let held = storage_round::held_elsewhere(system, &this.node).map_err(anyhow::Error::msg)?;
    let exporting: Vec<String> = told
        .iter()
        .filter(|it| it.exporting)
        .map(|it| it.node.clone())
        .chain(held)
        .collect();
    let (claims, claimed) = claimed(this);
    let mut known = answers(&told);
    known.extend(claimed.iter().map(claim::answer));
    let asked: Vec<String> = storage_round::peers(settings)
        .into_iter()
        .map(|peer| peer.name)
        .collect();
    let request = Promote {
        node: &this.node.node,
        mountpoint: settings.export.as_deref().unwrap_or("/var/srv/export"),
        now: now(),
        fenced: match (options.fenced, options.released) {
            (_, true) => Fenced::Released,
            (true, _) => Fenced::Word,
            _ => Fenced::No,
        },
        asked: &asked,
        answers: &known,
        exporting: &exporting,
        last: told.iter().find_map(|told| told.released.as_deref()),
        place: storage_round::place(&this.node, settings),
        accept_loss: options.accept_loss.unwrap_or(
            settings
                .replication_interval
                .unwrap_or(60)
                .saturating_mul(3),
        ),
    };
    let (mark, steps) = promote(view, &request)?;
    if let (Some(claims), Some(seen), false) = (&claims, &claimed, options.dry_run) {
        claim::take(claims, seen, mark.epoch, &this.node.node)?;
    }
    // What `--fenced` says is also that the silent one did not take over: until the next boot nobody is asked again.
    let words: &[&str] = if options.fenced { &[CONFIRMED] } else { &[] };
    let code = change(system, &this.node, &steps, options.dry_run, words)?;
    if !options.dry_run {
        output::text(&format!(
            "this machine holds the mail store in epoch {}\n",
            mark.epoch
        ))?;
    }
    Ok(code)
}

/// Carries out a plan while nothing else may export: the word first, which stays if a step fails, then the service that would
/// go on by itself. Stops at the first step that fails: nothing of a plan destroys, so it may be looked at, and the command
/// be given again. `flags`: files that are written when all went well.
fn change(
    system: &dyn System,
    node: &NodeFile,
    steps: &[Step],
    dry_run: bool,
    flags: &[&str],
) -> anyhow::Result<u8> {
    if dry_run {
        for step in steps {
            output::text(&format!("{}: {}\n", step.title, line(&step.command)))?;
        }
        return Ok(0);
    }
    let flag = |path: &str| system.write(Utf8Path::new(path), b"", 0o644);
    system.make_directory(Utf8Path::new("/run/rackwright/export"))?;
    flag(CHANGING)?;
    service_unit(system, "stop")?;
    let carry_out = || -> anyhow::Result<()> {
        storage_round::stop(system, node).map_err(anyhow::Error::msg)?;
        // A word for an earlier change says nothing about the time after this one.
        system.remove(Utf8Path::new(CONFIRMED))?;
        steps.iter().try_for_each(|step| {
            output::text(&format!("{}: {}\n", step.title, line(&step.command)))?;
            execute(system, &step.command).map(drop)
        })
    };
    let done = carry_out();
    if done.is_ok() {
        for path in flags {
            flag(path)?;
        }
        system.remove(Utf8Path::new(CHANGING))?;
    }
    after(system)?;
    done.map(|()| 0)
}

fn service_unit(system: &dyn System, verb: &str) -> anyhow::Result<String> {
    execute(
        system,
        &["systemctl", verb, "rackwright-serve.service"].map(str::to_owned),
    )
}

fn line(words: &[String]) -> String {
    words
        .iter()
        .map(|word| system::command::quote(word))
        .collect::<Vec<_>>()
        .join(" ")
}

fn execute(system: &dyn System, words: &[String]) -> anyhow::Result<String> {
    let (program, arguments) = words.split_first().context("an empty command")?;
    Ok(system
        .run(&Command::new(program).args(arguments.iter().cloned()))?
        .stdout)
}

/// The timers that a plan stopped; what they start asks by itself whether it is wanted.
fn after(system: &dyn System) -> anyhow::Result<()> {
    let timers = ["rackwright-snapshot.timer", "rackwright-replication.timer"];
    let words: Vec<String> = ["systemctl", "start"]
        .iter()
        .chain(&timers)
        .map(|word| (*word).to_owned())
        .collect();
    execute(system, &words)?;
    service_unit(system, "start").map(drop)
}

/// Snapshots of the machine that exports, and its tree.
fn theirs(system: &dyn System, settings: &Storage, told: &[Told]) -> (Vec<view::Snapshot>, String) {
    let peers = storage_round::peers(settings);
    let owner = told
        .iter()
        .find(|it| sends(it))
        .and_then(|it| peers.iter().find(|peer| peer.name == it.node));
    // Pools of one rack have one name, by the roles.
    let tree = format!("tank/{}", view::LIVE);
    let list = format!("zfs list -H -p -r -t snapshot -s createtxg -o name,guid,creation {tree}");
    let text = owner
        .and_then(|peer: &Peer| storage_round::over(system, peer, &list).ok())
        .unwrap_or_default();
    (view::snapshots(&text), tree)
}

/// It exports, or let go of the tree and still has what was written last.
fn sends(told: &Told) -> bool {
    told.exporting || told.released.is_some()
}

/// Pulls from the machine that exports, if that is another one.
fn receive(system: &dyn System, settings: &Storage, view: &View) -> anyhow::Result<u8> {
    if system.exists(Utf8Path::new(ALLOWED)) || view.datasets.contains_key(&view.live()) {
        return Ok(0);
    }
    let peers = storage_round::peers(settings);
    let told = storage_round::ask(system, &peers);
    let Some((owner, peer)) = told
        .iter()
        .filter(|it| sends(it))
        .find_map(|it| Some((it, peers.iter().find(|peer| peer.name == it.node)?)))
    else {
        bail!("no other storage server exports: nothing to receive");
    };
    let folder = format!("{}/{}", view.pool, view::RECEIVED);
    if let Some(mark) = &owner.mark {
        let words = [
            "zfs".to_owned(),
            "set".to_owned(),
            format!("{}={}", view::EPOCH, mark.epoch),
            format!("{}={}", view::OWNER, mark.owner),
            folder,
        ];
        execute(system, &words)?;
    }
    // zrepl's sender pushes.
    if settings.replication_engine.as_deref() != Some(storage_round::ZREPL) {
        execute(system, &replication::pull(view, &peer.address, "tank"))?;
    }
    prune(system, view, &view.received())
}

fn prune(system: &dyn System, view: &View, root: &str) -> anyhow::Result<u8> {
    // What another machine last received is held, and a held snapshot is not destroyed (zfs-hold(8)).
    for snapshot in replication::prune(view, root, &Default::default(), now()) {
        let held = execute(
            system,
            &["zfs".to_owned(), "destroy".to_owned(), snapshot.clone()],
        );
        if let Err(error) = held {
            tracing::debug!("`{snapshot}` stays: {error:#}");
        }
    }
    Ok(0)
}

/// The forced command of a peer's key: runs what is on the list, with the peer's own line.
fn answer(system: &dyn System) -> anyhow::Result<u8> {
    let wanted = std::env::var("SSH_ORIGINAL_COMMAND").unwrap_or_default();
    let pool = view::pool(system)?.context("no pool is imported")?;
    let programs = replication::allowed(&pool, &wanted)?;
    let line = programs
        .iter()
        .map(|program| line(program))
        .collect::<Vec<_>>()
        .join(" | ");
    // A stream of binary data: the shell takes this process's place and its ends.
    Err(system::process::replace(&Command::new("/bin/sh").args(["-c", &line])).into())
}

fn status(
    system: &dyn System,
    this: &This,
    settings: &Storage,
    view: &View,
    json: bool,
) -> anyhow::Result<u8> {
    let report = serve::read(system)
        .unwrap_or_else(|| serve::Report::waits("`rackwright-serve.service` has not reported yet"));
    let told = storage_round::ask(system, &storage_round::peers(settings));
    let mark = view.mark().cloned();
    if json {
        output::json(
            &serde_json::json!({ "node": this.node.node, "report": report, "mark": mark, "peers": told }),
        )?;
    } else {
        let mut text = format!("{}: {}\n", this.node.node, report.detail);
        if let Some(mark) = mark {
            text.push_str(&format!("epoch {} of {}\n", mark.epoch, mark.owner));
        }
        if let Some(state) = &report.replication {
            let age = state
                .age
                .map_or("no copy".to_owned(), |age| format!("{age} s old"));
            text.push_str(&format!(
                "newest copy: {age} (planned: {} s): a takeover now loses that much\n",
                state.interval
            ));
        }
        for peer in told {
            let exports = if peer.exporting {
                "exports"
            } else {
                "does not export"
            };
            text.push_str(&format!("{}: {exports}\n", peer.node));
        }
        output::text(&text)?;
    }
    Ok(u8::from(report.state != serve::State::Ready))
}
