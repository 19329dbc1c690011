//! `rackwright tui`: the installer's screens on the workstation, on an example or on a captured machine.

use std::io::Write;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use ::tui::{demonstration::Demonstration, example, report::Report};
use anyhow::{Result, bail};
use camino::Utf8PathBuf;
use clap::{ArgGroup, Args};
use nix::sys::signal::{SigSet, Signal};

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("machine").required(true).args(["example", "from", "replay", "screenshots"])))]
pub struct Tui {
    /// An example machine: `storage-36`, `galera`, `faults`, ...
    #[arg(long, value_name = "NAME")]
    example: Option<String>,
    /// A capture, as `rackwright-installer inventory --capture` writes it
    #[arg(long, value_name = "FILE.tar.zst")]
    from: Option<Utf8PathBuf>,
    /// Role to install on it [default: the example's; `control` for a capture]
    #[arg(long)]
    role: Option<String>,
    /// Play a recording first
    #[arg(long, value_name = "FILE")]
    replay: Option<Utf8PathBuf>,
    /// Keep this session in a file, to be played again
    #[arg(long, value_name = "FILE")]
    record: Option<Utf8PathBuf>,
    /// Let the first install fail in a step whose name holds this word
    #[arg(long, value_name = "WORD")]
    fail: Option<String>,
    /// Only ASCII and no colour, as on a serial line
    #[arg(long)]
    plain: bool,
    /// Draw the screens of the documentation as SVG into a folder
    #[arg(long, value_name = "DIR")]
    screenshots: Option<Utf8PathBuf>,
    /// Role data [default: the source tree's]
    #[arg(long = "roles", value_name = "DIR", id = "role-data")]
    role_data: Option<Utf8PathBuf>,
}

pub fn run(arguments: &Tui) -> Result<u8> {
    let roles = arguments
        .role_data
        .clone()
        .unwrap_or_else(|| crate::binaries::own_source().join("roles"));
    if let Some(folder) = &arguments.screenshots {
        let names = ::tui::gallery::write(folder, &roles)?;
        for name in names {
            writeln!(std::io::stdout(), "{}", folder.join(name + ".svg"))?;
        }
        return Ok(0);
    }
    let (role, inventory) = match (&arguments.example, &arguments.from) {
        (_, Some(file)) => (
            "control".to_owned(),
            firmware::capture::open(file)?.inventory(),
        ),
        (name, None) => {
            let name = name.as_deref().unwrap_or("control");
            let Some(machine) = example::machine(name) else {
                let known: Vec<&str> = example::names().collect();
                bail!(
                    "there is no example machine `{name}`\nhint: one of: {}",
                    known.join(", ")
                );
            };
            machine
        }
    };
    let role = arguments.role.as_ref().unwrap_or(&role);
    let facts = example::of_role(role, inventory, &roles).map_err(anyhow::Error::msg)?;
    let replay = match &arguments.replay {
        Some(path) => ::tui::demonstration::recording(path)?,
        None => Vec::new(),
    };
    let stop = stop_requests()?;
    ::tui::demonstration::run(Demonstration {
        facts,
        record: arguments.record.clone(),
        replay,
        plain: arguments.plain,
        fail: arguments.fail.clone(),
        stop: &stop,
    })?;
    Ok(0)
}

/// Shows what a depot kept of an install, on the machine that it was, or else on an example of its role.
pub fn report(role: &str, reports: &[Report]) -> Result<()> {
    let Some((events, machine)) =
        reports
            .iter()
            .find(|report| !report.events.is_empty())
            .map(|report| {
                let known = reports.iter().find_map(|report| report.inventory.clone());
                (report, known)
            })
    else {
        bail!("the report holds no events");
    };
    let roles = crate::binaries::own_source().join("roles");
    let inventory = match machine {
        Some(inventory) => inventory,
        None => {
            let example = example::machine(role).or_else(|| example::machine("control"));
            example.map(|(_, inventory)| inventory).unwrap_or_default()
        }
    };
    let facts = example::of_role(role, inventory, &roles).map_err(anyhow::Error::msg)?;
    let replay = events.recording(facts.clone());
    if replay.is_empty() {
        bail!(
            "the report holds no plan: nothing was done that could be shown\nhint: without --replay it is printed"
        );
    }
    let stop = stop_requests()?;
    ::tui::demonstration::run(Demonstration {
        facts,
        record: None,
        replay,
        plain: false,
        fail: None,
        stop: &stop,
    })?;
    Ok(())
}

/// Turns SIGTERM and SIGHUP into a question, so that the terminal is left as it was.
fn stop_requests() -> Result<impl Fn() -> bool + use<>> {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
        signals.add(signal);
    }
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
