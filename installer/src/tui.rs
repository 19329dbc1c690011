//! `tui` and `console`: the screens on this console, with the live machine or a simulated one behind them.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, bail};
use camino::Utf8Path;
use nix::{
    sys::signal::{SigSet, Signal},
    time::{ClockId, clock_gettime},
    unistd::ttyname,
};
use system::{Command, System};
use tui::{
    demonstration::{self, Demonstration},
    example,
    facts::Mode,
    log::Log,
    terminal::{self, Program},
};

use crate::{
    arguments, inventory, survey,
    tui_live::{Executor, shell_is_open},
};

/// The list of messages that all consoles of the live system share.
pub const SESSION: &str = "/run/rackwright/session.jsonl";

pub fn run(options: &arguments::Tui) -> anyhow::Result<u8> {
    let stop = stop_requests()?;
    if let Some(file) = &options.from {
        let inventory = inventory::replay(file)?;
        let role = options.role.as_deref().unwrap_or("control");
        let facts =
            example::of_role(role, inventory, &options.roles).map_err(anyhow::Error::msg)?;
        let replay = match &options.replay {
            Some(path) => demonstration::recording(path)?,
            None => Vec::new(),
        };
        demonstration::run(Demonstration {
            facts,
            record: options.record.clone(),
            replay,
            plain: options.plain,
            fail: None,
            stop: &stop,
        })?;
        return Ok(0);
    }
    survey::must_be_live(&system::Live)?;
    if !nix::unistd::isatty(io::stdin()).unwrap_or(false) {
        bail!("the wizard needs a terminal\nhint: start it on a console of the machine");
    }
    system::Live.make_directory(Utf8Path::new("/run/rackwright"))?;
    let log = Log::file(Utf8Path::new(SESSION)).context("cannot keep the session")?;
    show(Mode::Install, options.plain, log, &stop)
}

pub fn console(options: &arguments::Console) -> anyhow::Result<u8> {
    let stop = stop_requests()?;
    let shown = show(Mode::Console, options.plain, Log::memory(), &stop);
    if shown.is_err() && !stop() && shell_is_open(Mode::Console) {
        // A console that cannot draw must still let somebody in, where the node file lets anybody in.
        system::on_terminal(&Command::new("/bin/login"))?;
    }
    shown
}

fn show(mode: Mode, plain: bool, log: Log, stop: &dyn Fn() -> bool) -> anyhow::Result<u8> {
    let mut executor = Executor::new(mode);
    terminal::run(Program {
        console: console_name(),
        look: demonstration::look(plain),
        log,
        executor: &mut executor,
        clock: Arc::new(since_boot),
        stop,
        replay: Vec::new(),
    })?;
    Ok(0)
}

/// `ttyS1`.
fn console_name() -> String {
    ttyname(io::stdin())
        .ok()
        .and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .unwrap_or_else(|| format!("console-{}", std::process::id()))
}

/// Milliseconds since the machine started: the same for all consoles, and it never goes back.
fn since_boot() -> u64 {
    clock_gettime(ClockId::CLOCK_BOOTTIME)
        .map(|time| u64::try_from(Duration::from(time).as_millis()).unwrap_or(u64::MAX))
        .unwrap_or(0)
}

/// Turns signals into a question, so that the terminal is left as it was. SIGHUP comes when a line is hung up.
fn stop_requests() -> anyhow::Result<impl Fn() -> bool + use<>> {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
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
