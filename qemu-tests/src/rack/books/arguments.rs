//! The command line of `books`.

use std::ffi::OsString;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, Parser, Subcommand};
use nix::sys::signal::{SigSet, Signal};
use serde::de::DeserializeOwned;

use super::check::{self, Checked, Found, Loss};
use super::client::{self, Plan};
use super::imap::Account;
use super::journal::{self, Entry, Journal};
use super::reader;
use super::wire::Server;
use crate::rack::report::{self, Fault, Report};

/// Keep books of mail: a client outside of a cluster that sends and looks all
/// the time, and a check of what became of each message.
#[derive(Debug, Parser)]
#[command(name = "books", max_term_width = 80)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Send messages and look at mailboxes until SIGTERM or Ctrl-C.
    Send(Sending),
    /// Compare mailboxes with journals; ends with 1 if an acknowledged message is
    /// missing or changed.
    Check(Checking),
}

#[derive(Debug, Args)]
struct Sending {
    /// Journal: JSON lines, added at its end.
    #[arg(long, value_name = "FILE")]
    journal: Utf8PathBuf,
    /// Where mail is sent to.
    #[arg(long, value_name = "ADDRESS:PORT")]
    smtp: SocketAddr,
    #[command(flatten)]
    mailboxes: Mailboxes,
    /// Sender of the messages.
    #[arg(long, default_value = "books@example.net", value_name = "ADDRESS")]
    from: String,
    /// Bodies and pauses are made from it [default: from the clock]
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Pause from one message to the next: shortest and longest seconds.
    #[arg(long, default_value = "0.5..2", value_name = "SECONDS..SECONDS")]
    pause: String,
    /// Messages on their way at a time.
    #[arg(long, default_value_t = 3, value_name = "NUMBER")]
    senders: usize,
    /// Looks at mailboxes at a time.
    #[arg(long, default_value_t = 2, value_name = "NUMBER")]
    probers: usize,
    /// Stop after this time.
    #[arg(long, value_name = "SECONDS")]
    stop_after: Option<u64>,
}

#[derive(Debug, Args)]
struct Checking {
    /// Journals of one boot of this host; may be repeated.
    #[arg(long = "journal", required = true, value_name = "FILE")]
    journals: Vec<Utf8PathBuf>,
    #[command(flatten)]
    mailboxes: Mailboxes,
    /// Documented losses: JSON, a list of {reason, ids, window: {begin, end}}.
    #[arg(long, value_name = "FILE")]
    losses: Option<Utf8PathBuf>,
    /// Faults: JSON, a list of {name, begin, end, healthy, problem}.
    #[arg(long, value_name = "FILE")]
    faults: Option<Utf8PathBuf>,
    /// Read again for so long while something is missing: it may still be in a
    /// queue.
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    wait: u64,
    /// Leave report.md, report.json and timeline.svg in this folder.
    #[arg(long, value_name = "DIR")]
    report: Option<Utf8PathBuf>,
    /// Title of the report.
    #[arg(long, default_value = "Rack test", value_name = "TEXT")]
    title: String,
    /// Date, machine and command that the report names.
    #[arg(long, default_value = "", value_name = "TEXT")]
    about: String,
    /// JSON instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Mailboxes {
    /// Where mailboxes are read.
    #[arg(long, value_name = "ADDRESS:PORT")]
    imap: SocketAddr,
    /// IMAP with TLS from the first byte, any certificate.
    #[arg(long)]
    imap_tls: bool,
    /// Mailbox, who is the user, too; may be repeated.
    #[arg(long = "to", required = true, value_name = "ADDRESS")]
    to: Vec<String>,
    /// File with the password of all of them.
    #[arg(long, value_name = "FILE")]
    password_file: Utf8PathBuf,
    /// Patience for a connection.
    #[arg(long, default_value_t = 10.0, value_name = "SECONDS")]
    connect_timeout: f64,
    /// Patience for each answer.
    #[arg(long, default_value_t = 60.0, value_name = "SECONDS")]
    timeout: f64,
}

impl Mailboxes {
    fn server(&self, address: SocketAddr, tls: bool) -> anyhow::Result<Server> {
        Ok(Server {
            address,
            tls,
            connect: seconds(self.connect_timeout)?,
            answer: seconds(self.timeout)?,
        })
    }

    fn accounts(&self) -> anyhow::Result<Vec<Account>> {
        let password = fs_err::read_to_string(&self.password_file)?;
        let account = |user: &String| Account {
            user: user.clone(),
            password: password.trim_end().to_owned(),
        };
        Ok(self.to.iter().map(account).collect())
    }
}

fn seconds(number: f64) -> anyhow::Result<Duration> {
    let duration = Duration::try_from_secs_f64(number)
        .with_context(|| format!("`{number}` is no number of seconds"))?;
    ensure!(!duration.is_zero(), "a patience of 0 seconds is none");
    Ok(duration)
}

/// Runs the program.
#[must_use]
pub fn main(words: impl Iterator<Item = OsString>) -> ExitCode {
    let done = match Arguments::parse_from(words).command {
        Command::Send(options) => send(&options).map(|()| true),
        Command::Check(options) => check_all(&options),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Nothing is left to tell it to if even standard error is gone.
            let _gone = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn send(options: &Sending) -> anyhow::Result<()> {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let seed = options
        .seed
        .unwrap_or_else(|| u64::try_from(clock % 1_000_000_007).unwrap_or_default());
    let parse = |text: &str| {
        text.trim()
            .parse::<f64>()
            .ok()
            .map(Duration::try_from_secs_f64)
    };
    let pause = match options
        .pause
        .split_once("..")
        .map(|(one, other)| (parse(one), parse(other)))
    {
        Some((Some(Ok(shortest)), Some(Ok(longest)))) if shortest <= longest => (shortest, longest),
        _ => bail!("`{}` is no pause; example: `0.5..2`", options.pause),
    };
    let plan = Plan {
        // The clock makes it unique, the seed says what its bodies are.
        run: format!("{seed:x}.{clock:x}"),
        seed,
        smtp: options.mailboxes.server(options.smtp, false)?,
        imap: options
            .mailboxes
            .server(options.mailboxes.imap, options.mailboxes.imap_tls)?,
        from: options.from.clone(),
        accounts: options.mailboxes.accounts()?,
        pause,
        senders: options.senders,
        probers: options.probers,
    };
    writeln!(std::io::stderr(), "run {}, seed {seed}", plan.run)?;
    let journal = Journal::open(&options.journal)?;
    let told = stop_requests()?;
    let end = options
        .stop_after
        .map(|after| Instant::now() + Duration::from_secs(after));
    client::run(&plan, &journal, &|| {
        told() || end.is_some_and(|end| Instant::now() >= end)
    })
}

/// Turns SIGTERM and SIGINT into a question.
fn stop_requests() -> anyhow::Result<impl Fn() -> bool + Sync + use<>> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGINT);
    // Blocked here and in all threads begun later.
    signals.thread_block()?;
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    std::thread::spawn(move || {
        while signals.wait().is_ok() {
            told.store(true, Ordering::Relaxed);
        }
    });
    Ok(move || stop.load(Ordering::Relaxed))
}

/// Between two readings of the mailboxes.
const AGAIN: Duration = Duration::from_secs(15);

fn check_all(options: &Checking) -> anyhow::Result<bool> {
    let journals: Vec<Vec<Entry>> = options
        .journals
        .iter()
        .map(|path| {
            journal::parse(&fs_err::read_to_string(path)?)
                .with_context(|| format!("journal `{path}`"))
        })
        .collect::<anyhow::Result<_>>()?;
    let losses: Vec<Loss> = json(options.losses.as_deref())?;
    let faults: Vec<Fault> = json(options.faults.as_deref())?;
    let end = Instant::now() + Duration::from_secs(options.wait);
    let checked = loop {
        let again = match read(&options.mailboxes) {
            Ok(found) => {
                let checked = check::check(&journals, &found, &losses)?;
                if checked.counts(None).lost == 0 || Instant::now() >= end {
                    break checked;
                }
                None
            }
            Err(error) => Some(error),
        };
        if let Some(error) = again
            && Instant::now() >= end
        {
            return Err(error);
        }
        std::thread::sleep(AGAIN.min(end.saturating_duration_since(Instant::now())));
    };
    let entries: Vec<Entry> = journals.into_iter().flatten().collect();
    let report = Report::new(&options.title, &options.about, &entries, &checked, &faults);
    if let Some(folder) = &options.report {
        report.write(folder)?;
    }
    show(options.json, &report, &checked)?;
    Ok(report.is_green())
}

fn show(json: bool, report: &Report, checked: &Checked) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, report)?;
        writeln!(out)?;
        return Ok(());
    }
    writeln!(out, "{}", report::markdown(report))?;
    if checked.strange > 0 {
        writeln!(out, "{} messages are not of these books", checked.strange)?;
    }
    Ok(())
}

fn read(mailboxes: &Mailboxes) -> anyhow::Result<Vec<Found>> {
    let server = mailboxes.server(mailboxes.imap, mailboxes.imap_tls)?;
    let mut found = Vec::new();
    for account in mailboxes.accounts()? {
        let read = reader::read(&server, &account)
            .with_context(|| format!("mailbox `{}` at {}", account.user, mailboxes.imap))?;
        found.extend(read);
    }
    Ok(found)
}

fn json<T: DeserializeOwned + Default>(path: Option<&Utf8Path>) -> anyhow::Result<T> {
    let Some(path) = path else {
        return Ok(T::default());
    };
    serde_json::from_str(&fs_err::read_to_string(path)?).with_context(|| format!("file `{path}`"))
}
