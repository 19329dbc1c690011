//! Carries out what the screens ask for on the live machine. Nothing here blocks them: everything that takes time has a thread
//! of its own, and everything that destroys has a process of its own, which goes on if this one ends.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use camino::{Utf8Path, Utf8PathBuf};
use firmware::Inventory;
use preflight::{Depth, Measured};
use roles::NodeFile;
use run::{
    appliance, journal,
    node_source::{self, stick},
};
use system::{Command, Live, System};
use tui::{
    Effect, Facts, Message,
    executor::Post,
    facts::Mode,
    log,
    message::{Installed, Neighbour, Place, Wait},
};

use crate::{inventory, output, preflight as asking, survey, tui::SESSION, tui_looks};

/// The node file that was confirmed. May hold a password hash: root's alone.
const CONFIRMED: &str = "/run/rackwright/confirmed-node.toml";
/// The node file as it stands, for questions about it.
const DRAFT: &str = "/run/rackwright/draft-node.toml";
/// Files that are saved into the live system.
const FOLDER: &str = "/run/rackwright";
/// Unit of the process that installs or empties.
const UNIT: &str = "rackwright-confirmed";
/// How often the events file is looked at.
const FOLLOW: Duration = Duration::from_millis(200);
/// How often a running appliance is looked at, all its life: each look starts a dozen programs.
const REFRESH: Duration = Duration::from_secs(30);
/// The longest pause, where a look takes seconds.
const BLIND: Duration = Duration::from_secs(60);
/// What another console saw so long ago is as good as a look of one's own.
const RECENT: Duration = Duration::from_secs(20);
/// Who presses a key wants to know now.
const NOW: Duration = Duration::from_secs(1);
/// Nobody knows yet what the state has seen, because there is no state: before the machine was looked at for the first time
/// an event would be lost, and every later one with it, since they count only in order.
const NO_STATE: u64 = u64::MAX;
/// A management controller may take so long before it is given up.
const SLOW: Duration = Duration::from_secs(90);

/// The executor of the live machine.
pub struct Executor {
    mode: Mode,
    seen: Arc<AtomicU64>,
}

impl Executor {
    /// For the wizard or the status console.
    pub fn new(mode: Mode) -> Self {
        Self {
            mode,
            seen: Arc::new(AtomicU64::new(NO_STATE)),
        }
    }
}

impl tui::executor::Executor for Executor {
    fn begin(&mut self, known: bool, post: &Post) {
        let (mode, sender) = (self.mode, post.clone());
        if !known {
            thread::spawn(move || match facts(mode) {
                Ok(facts) => sender(Message::Begin {
                    facts: Box::new(facts),
                }),
                Err(error) => sender(Message::Stuck {
                    text: output::explain(&error),
                }),
            });
        }
        let sender = post.clone();
        match mode {
            Mode::Install => {
                let seen = Arc::clone(&self.seen);
                thread::spawn(move || follow(&seen, &sender));
            }
            Mode::Console => {
                thread::spawn(move || {
                    let mut took = Duration::ZERO;
                    loop {
                        thread::sleep(system::rest(REFRESH, BLIND, took));
                        let began = Instant::now();
                        sender(status(RECENT));
                        took = began.elapsed();
                    }
                });
            }
        }
    }

    fn carry_out(&mut self, effect: Effect, post: &Post) {
        let sender = post.clone();
        thread::spawn(move || {
            if let Some(message) = answer(effect) {
                sender(message);
            }
        });
    }

    fn on_console(&mut self, effect: &Effect, post: &Post) {
        let command = match self.mode {
            // The running appliance lets nobody in without an account.
            Mode::Console => Command::new("/bin/login"),
            Mode::Install => Command::new("/bin/bash").arg("--login"),
        };
        // The screens ask too, but they know the node file only after the machine was looked at.
        if *effect == Effect::Shell && !shell_is_open(self.mode) {
            post(done(
                Wait::Light,
                Err(anyhow::anyhow!("the node file keeps the shell closed")),
            ));
            return;
        }
        if let Err(error) = system::on_terminal(&command) {
            post(done(Wait::Light, Err(error.into())));
        }
    }

    fn seen(&mut self, lines: u64) {
        self.seen.store(lines, Ordering::Relaxed);
    }
}

/// Everything the wizard starts from.
fn facts(mode: Mode) -> anyhow::Result<Facts> {
    let roles = roles::folder::read(Utf8Path::new(appliance::ROLES))?;
    let boot = survey::boot_facts(&Live)?.context("this is not a running Rackwright image")?;
    let role = roles
        .roles
        .get(&boot.root.role)
        .with_context(|| format!("this image has no data for its role `{}`", boot.root.role))?;
    let (node, node_source) = if mode == Mode::Install {
        found(&roles)
    } else {
        (None, None)
    };
    let session = Live
        .read(Utf8Path::new("/proc/sys/kernel/random/uuid"))
        .context("cannot make a name for the permit")?;
    let session = String::from_utf8_lossy(&session).trim().to_owned();
    Ok(Facts {
        mode,
        role: role.role.clone(),
        inventory: inventory::probe(Utf8Path::new("/")),
        version: boot.root.version,
        image_size: boot.root.size,
        image_sha256: boot.root.sha256,
        session: format!("typed-{session}"),
        shell: shell_is_open(mode) && node.as_ref().is_none_or(|node| node.console.is_open()),
        node,
        node_source,
        depot: None,
        simulated: false,
        bmc_password: run::secrets::bmc_password(&Live)?.is_some(),
        warnings: boot.warnings,
    })
}

/// By the node file: of the medium in the live system, of the machine on the running appliance. One that cannot be read closes
/// nothing: a log-in asks for a password, and the live system's shells are open without a node file, too.
pub fn shell_is_open(mode: Mode) -> bool {
    match mode {
        Mode::Install => !Live.exists(Utf8Path::new(crate::install::CLOSED)),
        Mode::Console => Live
            .read(Utf8Path::new(appliance::NODE_FILE))
            .ok()
            .and_then(|bytes| console_of(&String::from_utf8_lossy(&bytes)))
            .is_none_or(|console| console.is_open()),
    }
}

/// Only this table: the whole file was checked at boot.
fn console_of(text: &str) -> Option<roles::node::Console> {
    #[derive(serde::Deserialize)]
    struct Only {
        #[serde(default)]
        console: roles::node::Console,
    }
    toml::from_str::<Only>(text).ok().map(|only| only.console)
}

/// The node file that the unattended install found and could not use for want of a permit, else one on a medium.
fn found(roles: &roles::RoleSet) -> (Option<NodeFile>, Option<String>) {
    let text = match Live.read(Utf8Path::new(crate::install::FOUND)) {
        Ok(bytes) => Some((
            "node file".to_owned(),
            String::from_utf8_lossy(&bytes).into_owned(),
        )),
        Err(_) => match node_source::find_offline(&Live) {
            Ok(found) => found.map(|found| (found.name, found.text)),
            Err(error) => return (None, Some(error.to_string())),
        },
    };
    match text {
        None => (None, None),
        Some((name, text)) => match roles::parse::node_file(&name, &text, Some(roles)) {
            Ok(node) => (Some(node), Some(name)),
            Err(wrong) => (None, Some(wrong.to_string())),
        },
    }
}

/// Posts every line of the events file that the state has not seen.
fn follow(seen: &AtomicU64, post: &Post) {
    let mut posted = 0;
    loop {
        let seen = seen.load(Ordering::Relaxed);
        if seen != NO_STATE
            && let Ok(bytes) = Live.read(Utf8Path::new(journal::RUN))
        {
            for message in events(&bytes, seen.max(posted)) {
                post(message);
                posted = posted.max(seen) + 1;
            }
        }
        thread::sleep(FOLLOW);
    }
}

/// The whole lines of an events file from a number on.
fn events(bytes: &[u8], from: u64) -> Vec<Message> {
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
    let text = String::from_utf8_lossy(&bytes[..whole]);
    text.lines()
        .enumerate()
        .map(|(number, line)| (number as u64, line))
        .filter(|(number, _)| *number >= from)
        .map(|(line, text)| Message::Event {
            line,
            // A line that cannot be read still counts: the numbers are those of the file.
            record: serde_json::from_str(text).unwrap_or(run::Record {
                sequence: 0,
                at: 0,
                event: run::Event::Unknown,
            }),
        })
        .collect()
}

fn done(what: Wait, result: anyhow::Result<String>) -> Message {
    let (good, text) = match result {
        Ok(text) => (true, text),
        Err(error) => (false, output::explain(&error)),
    };
    let text = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect::<Vec<_>>()
        .join("; ");
    Message::Done { what, good, text }
}

fn answer(effect: Effect) -> Option<Message> {
    Some(match effect {
        Effect::Probe => Message::Probed {
            inventory: Box::new(inventory::probe(Utf8Path::new("/"))),
        },
        Effect::Network { node } => match network(&node) {
            Ok(message) => message,
            Err(error) => done(Wait::Network, Err(error)),
        },
        Effect::Bmc { node } => Message::Bmc { lines: bmc(&node) },
        Effect::LightDisk { disk, on } => {
            let state = if on { "on" } else { "off" };
            let command = Command::new(program()).args(["locate", &disk.0, state]);
            let said = Live
                .run(&command)
                .map(|_| format!("locate light {state}"))
                .map_err(Into::into);
            done(Wait::Light, said)
        }
        Effect::LightPort { port } => {
            let command = Command::new("ethtool").args(["-p", port.as_str(), "10"]);
            let said = Live.run(&command).map(|_| format!("{port} blinked"));
            done(Wait::Light, said.map_err(Into::into))
        }
        Effect::Save { place, name, text } => done(Wait::Save, save(place, &name, &text)),
        Effect::Sticks => Message::Sticks {
            sticks: stick::list(&Live),
        },
        Effect::SaveOn { stick, name, text } => {
            let said = stick::save(&Live, &stick, &name, &text);
            done(
                Wait::Save,
                said.map(|place| format!("written: {place}"))
                    .map_err(Into::into),
            )
        }
        Effect::Record => done(Wait::Save, record()),
        Effect::Install { node, .. } => return failed_start(install(&node)),
        Effect::Decommission {
            node,
            allowed,
            digest,
        } => {
            let mut words = vec!["decommission", "--name", &node, "--confirmed", &digest];
            for key in &allowed {
                words.extend(["--destroy", key]);
            }
            return failed_start(detached(&words));
        }
        Effect::Installed { allowed } => installed(&allowed),
        Effect::Repair {
            allowed, digest, ..
        } => {
            let mut words = vec!["repair", "--confirmed", &digest];
            for key in &allowed {
                words.extend(["--destroy", key]);
            }
            return failed_start(detached(&words));
        }
        Effect::Status => status(NOW),
        Effect::Journal => Message::Journal { lines: log_lines() },
        Effect::Restart => match Live.run(&Command::new("systemctl").arg("reboot")) {
            Ok(_) => return None,
            Err(error) => done(Wait::Restart, Err(error.into())),
        },
        Effect::Shell | Effect::Redraw | Effect::Leave => return None,
    })
}

/// Nothing is said of a start that went well: its events do.
fn failed_start(started: anyhow::Result<()>) -> Option<Message> {
    let error = started.err()?;
    Some(done(Wait::Start, Err(error)))
}

/// This very program, by its path in the image.
fn program() -> &'static str {
    "/usr/bin/rackwright-installer"
}

/// Starts a process that systemd looks after: it outlives this program and its console.
fn detached(words: &[&str]) -> anyhow::Result<()> {
    let command = Command::new("systemd-run")
        .args([
            "--quiet",
            "--collect",
            "--unit",
            UNIT,
            "--property=KillMode=mixed",
            "--property=TimeoutStopSec=infinity",
            program(),
        ])
        .args(words.iter().copied());
    Live.run(&command)?;
    Ok(())
}

/// The installed system, or why there is none to be seen.
fn installed(allowed: &[String]) -> Message {
    let (installed, inventory) = crate::repair::look(&Live, allowed).unwrap_or_else(|error| {
        let none = Installed {
            problem: Some(output::explain(&error)),
            ..Installed::default()
        };
        (none, inventory::probe(Utf8Path::new("/")))
    });
    Message::Installed {
        installed: Box::new(installed),
        inventory: Box::new(inventory),
    }
}

fn install(node: &str) -> anyhow::Result<()> {
    Live.write(Utf8Path::new(CONFIRMED), node.as_bytes(), 0o600)?;
    detached(&["install", "--watched", "--node", CONFIRMED])
}

fn save(place: Place, name: &str, text: &str) -> anyhow::Result<String> {
    match place {
        Place::Stick => anyhow::bail!("no stick was chosen"),
        Place::Folder => {
            let path = Utf8PathBuf::from(FOLDER).join(name);
            Live.write(&path, text.as_bytes(), 0o600)?;
            Ok(format!("written: {path}"))
        }
        Place::Depot => anyhow::bail!("the depot takes no files"),
    }
}

/// The session so far, without what must not leave the machine.
fn record() -> anyhow::Result<String> {
    let text = Live.read(Utf8Path::new(SESSION))?;
    let lines = log::parse(&String::from_utf8_lossy(&text));
    save(Place::Folder, "recording.jsonl", &log::redacted(&lines))
}

/// As `preflight` does, without pulling legs: this may be asked at any time.
fn network(text: &str) -> anyhow::Result<Message> {
    let node = roles::parse::node_file("node file", text, None)?;
    let inventory = inventory::probe(Utf8Path::new("/"));
    let depth = Depth {
        pull_legs: false,
        ..Depth::default()
    };
    let checked = asking::check(&Live, &Live, &node, &inventory, depth, &mut |_| {})?;
    Ok(Message::Network {
        neighbours: neighbours(&node, &inventory, &checked.measured),
        findings: checked.findings,
    })
}

fn neighbours(node: &NodeFile, inventory: &Inventory, measured: &Measured) -> Vec<Neighbour> {
    let mac = |leg: &str| {
        let named = node.port(leg).and_then(|port| port.mac.clone());
        named.or_else(|| {
            let nic = inventory.nics.iter().find(|nic| nic.kernel_name == leg)?;
            nic.mac.clone()
        })
    };
    measured
        .legs
        .iter()
        .filter_map(|leg| {
            let neighbour = leg.neighbours.as_ref()?.first()?;
            let words = [&neighbour.system, &neighbour.port];
            let words: Vec<&str> = words
                .into_iter()
                .filter_map(|word| word.as_deref())
                .collect();
            Some(Neighbour {
                mac: mac(&leg.name)?.to_ascii_lowercase(),
                name: words.join(" "),
            })
        })
        .collect()
}

/// What `bmc show` says; it may be slow, and is given up after a while.
fn bmc(node: &str) -> Vec<String> {
    if Live
        .write(Utf8Path::new(DRAFT), node.as_bytes(), 0o600)
        .is_err()
    {
        return Vec::new();
    }
    let command = Command {
        timeout: Some(SLOW),
        ..Command::new(program()).args(["bmc", "show", "--node", DRAFT])
    };
    let text = match Live.run(&command) {
        Ok(output) => output.stdout,
        Err(error) => error.to_string(),
    };
    text.lines().map(str::to_owned).collect()
}

/// What a console saw at most `age` ago.
fn status(age: Duration) -> Message {
    let since_boot = || {
        let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME);
        time.map_or(Duration::ZERO, Duration::from)
    };
    let look = || appliance::status(&Live).json();
    Message::Status {
        status: tui_looks::shared(Utf8Path::new(FOLDER), age, since_boot, look),
    }
}

fn log_lines() -> Vec<String> {
    let command =
        Command::new("journalctl").args(["--boot", "--lines=300", "--no-pager", "--output=short"]);
    match Live.run(&command) {
        Ok(output) => output.stdout.lines().map(str::to_owned).collect(),
        Err(error) => vec![error.to_string()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_console_is_read_from_any_node_file() {
        for (text, open) in [
            ("node = \"a\"\n[console]\nshell = \"closed\"\n", Some(false)),
            ("node = \"a\"\n[console]\nshell = \"open\"\n", Some(true)),
            ("node = \"a\"\n", Some(true)),
            ("node =", None),
        ] {
            let console = console_of(text);
            assert_eq!(console.map(|console| console.is_open()), open, "{text}");
        }
    }

    #[test]
    fn events_are_posted_by_their_numbers_and_whole() {
        let text = b"{\"sequence\":0,\"at\":1,\"event\":\"warned\",\"step\":null,\"message\":\"a\"}\nnot json\n{\"sequence\":2,";
        let numbers = |from| -> Vec<(u64, bool)> {
            events(text, from)
                .iter()
                .map(|message| match message {
                    Message::Event { line, record } => (*line, record.event == run::Event::Unknown),
                    other => panic!("{other:?}"),
                })
                .collect()
        };
        assert_eq!(numbers(0), [(0, false), (1, true)]);
        assert_eq!(numbers(1), [(1, true)]);
        assert_eq!(numbers(2), []);
    }
}
