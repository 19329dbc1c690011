//! `cargo rack`: from blank disks to a cluster that carries mail, through every fault, to a table that books kept outside of it
//! fill in. What is done is written down: a run that was stopped goes on where it was.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use clap::{Parser, ValueEnum};
use fs_err as fs;
use serde::{Deserialize, Serialize};

use super::books::journal::{Entry, Event};
use super::books::{self, Moment};
use super::report::Fault as Row;
use super::{Rack, Shape, faults, green};
use crate::guise::Guise;
use crate::images::{self, Image};
use crate::machine::Process;

/// Build a rack of simulated machines from one site file, let it carry mail,
/// and hurt it.
#[derive(Debug, Parser)]
#[command(name = "rack", max_term_width = 80)]
pub struct Options {
    /// Which rack.
    #[arg(value_enum, default_value = "small")]
    size: Size,
    /// Where its disks, books and results are; a run that was stopped goes on.
    #[arg(long, value_name = "DIR", default_value = "/var/tmp/rackwright-rack")]
    folder: Utf8PathBuf,
    /// Take images built before instead of building: DIR/ROLE/VERSION/
    #[arg(long, value_name = "DIR")]
    images: Option<Utf8PathBuf>,
    /// Only these faults, by name; `--list` shows them.
    #[arg(long = "fault", value_name = "NAME")]
    only: Vec<String>,
    /// So many random faults in place of each once.
    #[arg(long, value_name = "NUMBER")]
    random: Option<usize>,
    /// What the random faults are made from [default: from the clock]
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Name the faults, do none.
    #[arg(long)]
    list: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Size {
    /// One of each that mail needs, three databases.
    Small,
    /// Everything twice, three databases, a copy and two control servers.
    Full,
}

/// What was done so far.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Progress {
    installed: bool,
    rows: Vec<Row>,
    losses: Vec<serde_json::Value>,
    /// Seconds from blank disks to healthy.
    provisioned: f64,
    /// Seconds from there to a cluster that serves, the first time.
    joined: Option<f64>,
}

/// Until a message is taken and looked for again.
const MAIL: Duration = Duration::from_secs(900);

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    match start(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Nothing is left to tell it to if even standard error is gone.
            let _gone = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn start(options: &Options) -> anyhow::Result<bool> {
    let shape = match options.size {
        Size::Small => Shape::Small,
        Size::Full => Shape::Full,
    };
    if options.list {
        let mut out = std::io::stdout().lock();
        for fault in faults::of(shape) {
            writeln!(out, "{:16} {}", fault.id, fault.title)?;
        }
        return Ok(true);
    }
    let chosen: Vec<&faults::Fault> = match options.random {
        Some(count) => {
            let seed = options
                .seed
                .unwrap_or_else(|| u64::from(std::process::id()));
            writeln!(std::io::stderr(), "{count} random faults, seed {seed}")?;
            faults::random(seed, count)
        }
        None => faults::of(shape)
            .filter(|fault| options.only.is_empty() || options.only.iter().any(|id| id == fault.id))
            .collect(),
    };
    ensure!(
        !chosen.is_empty(),
        "no such fault\nhint: `cargo rack --list`"
    );
    crate::host::prepare()?;
    let roles = shape.roles();
    let images: BTreeMap<String, Image> = roles
        .iter()
        .map(|role| (*role).to_owned())
        .zip(images::get(options.images.as_deref(), &roles)?)
        .collect();
    let text = run(shape, &images, &options.folder, &chosen)?;
    write!(std::io::stdout(), "{}", text.table)?;
    Ok(text.is_green)
}

/// What a run ended with.
pub struct Verdict {
    /// Table for people.
    pub table: String,
    /// Nothing acknowledged is missing outside of the documented losses, and no fault has a problem.
    pub is_green: bool,
}

/// All of it, in `folder`.
///
/// # Errors
/// If the rack does not come up. A fault that ends badly is a row of the table, and the end.
pub fn run(
    shape: Shape,
    images: &BTreeMap<String, Image>,
    folder: &Utf8Path,
    chosen: &[&faults::Fault],
) -> anyhow::Result<Verdict> {
    fs::create_dir_all(folder)?;
    let file = folder.join("progress.json");
    let mut progress: Progress = match fs::read_to_string(&file) {
        Ok(text) => serde_json::from_str(&text).with_context(|| format!("file `{file}`"))?,
        Err(_) => Progress::default(),
    };
    let mut rack = Rack::new(shape, images, folder.to_owned())?;
    let began = Instant::now();
    if progress.installed {
        let all: Vec<String> = rack.units.iter().map(|it| it.name().to_owned()).collect();
        rack.start_in_turn(&all)?;
    } else {
        rack.provision(Duration::from_secs(5400))?;
        progress.provisioned = began.elapsed().as_secs_f64();
        progress.installed = true;
        // What follows may fail, and be tried again without another install.
        save(&file, &progress)?;
        rack.say(&format!("healthy after {:.0} s", progress.provisioned));
    }
    let took = green::all(&mut rack)?.as_secs_f64();
    rack.say(&format!("all joined after {took:.0} s more"));
    progress.joined.get_or_insert(took);
    green::accounts(&rack)?;
    save(&file, &progress)?;

    let client = Client::start(&rack, folder)?;
    client.until_served(&rack, MAIL)?;
    for fault in chosen {
        rack.say(&format!("fault: {}", fault.title));
        let begin = books::now();
        let done = (fault.run)(&mut rack)
            .and_then(|()| green::all(&mut rack).map(drop))
            .and_then(|()| client.until_served(&rack, MAIL));
        let end = books::now();
        let problem = done.as_ref().err().map(|error| format!("{error:#}"));
        rack.say(&format!(
            "{}: {}",
            fault.id,
            problem.as_deref().unwrap_or("well again")
        ));
        if let Some((reason, before)) = fault.loss {
            progress.losses.push(loss(reason, begin, before, end));
        }
        progress.rows.push(Row {
            name: fault.title.to_owned(),
            begin,
            end,
            healthy: problem.is_none().then_some(end),
            problem,
        });
        save(&file, &progress)?;
        if done.is_err() {
            break;
        }
    }
    drop(client);
    check(&rack, folder, &progress)
}

fn save(file: &Utf8Path, progress: &Progress) -> anyhow::Result<()> {
    let new = file.with_extension("new");
    fs::write(&new, serde_json::to_vec_pretty(progress)?)?;
    fs::rename(new, file)?;
    Ok(())
}

/// The mail client outside of the cluster.
struct Client {
    _process: Process,
    journal: Utf8PathBuf,
}

/// What sender and checker share.
fn mailboxes(folder: &Utf8Path) -> anyhow::Result<Vec<String>> {
    let password = folder.join("mail-password");
    fs::write(&password, green::PASSWORD)?;
    let mut words: Vec<String> = [
        "--imap",
        &format!("{}:993", super::shape::MAIL),
        "--imap-tls",
    ]
    .map(str::to_owned)
    .to_vec();
    for user in green::USERS {
        words.extend(["--to".to_owned(), user.to_owned()]);
    }
    words.extend(["--password-file".to_owned(), password.into_string()]);
    // Machines are emulated and many: a TLS handshake takes seconds.
    words.extend(["--connect-timeout", "20", "--timeout", "120"].map(str::to_owned));
    Ok(words)
}

impl Client {
    fn start(rack: &Rack, folder: &Utf8Path) -> anyhow::Result<Self> {
        let journal = folder.join("books.jsonl");
        let mut command = Guise::Books.command()?;
        command
            .args(["send", "--journal", journal.as_str()])
            .args(["--smtp", &format!("{}:25", super::shape::MAIL)])
            .args(mailboxes(folder)?)
            .args(["--pause", "3..6", "--senders", "2", "--probers", "1"]);
        let log = fs::File::create(folder.join("books.txt"))?;
        let command = rack.depot.segment.inside(&command);
        Ok(Self {
            _process: Process::start_logged(&command, Some(log))?,
            journal,
        })
    }

    /// Waits until a message was taken and a mailbox looked into, both begun after this call.
    fn until_served(&self, rack: &Rack, patience: Duration) -> anyhow::Result<()> {
        let began = books::now();
        let start = Instant::now();
        loop {
            let text = fs::read_to_string(&self.journal).unwrap_or_default();
            if served_since(&text, began) {
                return Ok(());
            }
            if start.elapsed() > patience {
                let look = green::balancer(rack)
                    .and_then(|unit| unit.run("sudo ipvsadm -Ln"))
                    .unwrap_or_else(|error| format!("{error:#}"));
                let last: Vec<&str> = text.lines().rev().take(6).collect();
                bail!(
                    "no mail through the virtual address for {} s\n{look}\n{}",
                    patience.as_secs(),
                    last.join("\n")
                );
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    }
}

/// Whether a message was taken and a mailbox looked into, both begun after a moment.
fn served_since(journal: &str, moment: Moment) -> bool {
    // The last line may still be growing.
    let entries = || {
        let lines = journal.lines().rev();
        lines.filter_map(|line| serde_json::from_str::<Entry>(line).ok())
    };
    let began = |entry: &Entry, milliseconds: u64| {
        entry.at.monotonic.saturating_sub(milliseconds) >= moment.monotonic
    };
    let was_taken = entries().any(|entry| match entry.event {
        Event::Acknowledged { milliseconds, .. } => began(&entry, milliseconds),
        _ => false,
    });
    let was_seen = entries().any(|entry| match entry.event {
        Event::Looked { milliseconds, .. } => began(&entry, milliseconds),
        _ => false,
    });
    was_taken && was_seen
}

fn loss(reason: &str, begin: Moment, before: Duration, end: Moment) -> serde_json::Value {
    let milliseconds = u64::try_from(before.as_millis()).unwrap_or(u64::MAX);
    let earlier = Moment {
        monotonic: begin.monotonic.saturating_sub(milliseconds),
        wall: begin.wall.saturating_sub(milliseconds),
    };
    serde_json::json!({
        "reason": reason,
        "ids": [],
        "window": {"begin": earlier, "end": end},
    })
}

/// The program that did not send reads all mailboxes.
fn check(rack: &Rack, folder: &Utf8Path, progress: &Progress) -> anyhow::Result<Verdict> {
    let write = |name: &str, text: Vec<u8>| -> anyhow::Result<String> {
        let path = folder.join(name);
        fs::write(&path, text)?;
        Ok(path.into_string())
    };
    let faults = write("faults.json", serde_json::to_vec_pretty(&progress.rows)?)?;
    let losses = write("losses.json", serde_json::to_vec_pretty(&progress.losses)?)?;
    let mut command = Guise::Books.command()?;
    command
        .args(["check", "--journal", folder.join("books.jsonl").as_str()])
        .args(mailboxes(folder)?)
        .args(["--faults", &faults, "--losses", &losses, "--wait", "600"])
        .args(["--report", folder.as_str()]);
    let output = rack.depot.segment.inside(&command).output()?;
    let code = output.status.code().unwrap_or(2);
    ensure!(
        code < 2,
        "`books check`: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(Verdict {
        table: String::from_utf8(output.stdout)?,
        is_green: code == 0 && progress.rows.iter().all(|row| row.problem.is_none()),
    })
}
