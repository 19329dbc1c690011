//! `cargo prove`: everything that is tested, one line for each test, a summary in cargo's form.

mod cluster_database;
mod cluster_front;
mod cluster_mail;
pub(crate) mod compiled;
mod daemons;
mod deadline;
pub(crate) mod depot;
mod disks;
mod fast;
mod interactive;
mod listening;
mod machines;
mod management;
mod paths;
mod rack;
mod refusals;
mod report;
mod server;
mod shape;
mod wiring;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;

use camino::Utf8PathBuf;
use clap::Parser;

use crate::images;
use deadline::Deadline;
use report::Report;

/// Run all tests: format, lints, unit, golden and property tests, then simulated servers.
#[derive(Debug, Parser)]
#[command(name = "prove", max_term_width = 80)]
struct Options {
    /// Only tests whose name contains this.
    filter: Option<String>,
    /// Only what needs no machine.
    #[arg(long, conflicts_with = "qemu")]
    fast: bool,
    /// Only simulated servers.
    #[arg(long)]
    qemu: bool,
    /// Name the tests, run none.
    #[arg(long)]
    list: bool,
    /// All simulated servers; without this, and without a filter, only those
    /// that CI has time for.
    #[arg(long)]
    all: bool,
    /// Machines at a time [default: by cores and memory, 2 at most]
    #[arg(long, value_name = "NUMBER")]
    jobs: Option<usize>,
    /// Begin nothing that would not be done at this time, in seconds since
    /// 1970, and name what is left out
    #[arg(long, value_name = "TIME")]
    until: Option<u64>,
    /// Take images built before instead of building: DIR/ROLE/VERSION/
    #[arg(long, value_name = "DIR")]
    images: Option<Utf8PathBuf>,
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Nothing is left to tell it to if even standard error is gone.
            let _gone = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> anyhow::Result<bool> {
    let wanted = |name: &str| {
        options
            .filter
            .as_deref()
            .is_none_or(|filter| name.contains(filter))
    };
    let fast: Vec<_> = fast::tests()
        .into_iter()
        .filter(|test| !options.qemu && wanted(test.name))
        .collect();
    let mut machines: Vec<_> = machines::tests()
        .into_iter()
        .filter(|test| !options.fast && wanted(test.name))
        .filter(|test| {
            let is_short = machines::place_in_short(test.name).is_some();
            options.all || options.filter.is_some() || is_short
        })
        .collect();
    if !options.all && options.filter.is_none() {
        machines.sort_by_key(|test| machines::place_in_short(test.name));
    }
    // Last: it begins with what building the images left in the cache.
    let builder =
        Some(fast::builder()).filter(|test| !options.fast && !options.qemu && wanted(test.name));
    if options.list {
        let mut out = std::io::stdout().lock();
        for name in fast
            .iter()
            .map(|test| test.name)
            .chain(machines.iter().map(|test| test.name))
            .chain(builder.iter().map(|test| test.name))
        {
            writeln!(out, "{name}")?;
        }
        return Ok(true);
    }
    crate::host::prepare()?;
    let report = Report::new();
    let deadline = Deadline::new(options.until);
    let alone = |test: &fast::Test| {
        let start = Instant::now();
        match (test.run)() {
            Ok(passed) => report.passed(test.name, passed, start.elapsed()),
            Err(error) => report.failed(test.name, &error, start.elapsed()),
        }
    };
    // What cargo compiles comes first and alone; the others mostly wait for real daemons, so they do it together.
    let (together, one_by_one): (Vec<_>, Vec<_>) = fast.iter().partition(|test| test.beside);
    one_by_one.into_iter().try_for_each(alone)?;
    std::thread::scope(|scope| {
        let running: Vec<_> = together
            .into_iter()
            .map(|test| scope.spawn(|| alone(test)))
            .collect();
        running.into_iter().try_for_each(|test| {
            test.join()
                .unwrap_or_else(|_| Err(anyhow::anyhow!("a test panicked")))
        })
    })?;
    if !report.is_green() {
        // An hour of machines would not make it good.
        writeln!(
            std::io::stderr(),
            "simulated servers are left out: something above has failed"
        )?;
        return report.summary();
    }
    if !machines.is_empty() {
        simulate(options, &machines, &report, &deadline)?;
    }
    if let Some(test) = &builder {
        match deadline.is_too_late_for(BUILDER) {
            Some(needed) => report.left_out(test.name, needed)?,
            None => alone(test)?,
        }
    }
    report.summary()
}

/// Seconds of the builder's own tests, as [`machines::seconds`].
const BUILDER: u32 = 300;

/// Builds the images that are needed, then runs the tests, a few at a time.
fn simulate(
    options: &Options,
    tests: &[machines::Test],
    report: &Report,
    deadline: &Deadline,
) -> anyhow::Result<()> {
    let mut roles: Vec<&str> = tests.iter().map(|test| test.role).collect();
    roles.sort_unstable();
    roles.dedup();
    let start = Instant::now();
    let images = match images::get(options.images.as_deref(), &roles) {
        Ok(images) => images,
        Err(error) => return report.failed("images", &error, start.elapsed()),
    };
    report.passed("images", 1, start.elapsed())?;
    let queue = Mutex::new(tests.iter());
    let next = || queue.lock().ok().and_then(|mut queue| queue.next());
    let worker = || -> anyhow::Result<()> {
        while let Some(test) = next() {
            let Some(image) = roles
                .iter()
                .position(|role| *role == test.role)
                .and_then(|index| images.get(index))
            else {
                continue;
            };
            let seconds = machines::seconds(test.name);
            if let Some(needed) = deadline.is_too_late_for(seconds) {
                report.left_out(test.name, needed)?;
                continue;
            }
            let start = Instant::now();
            // A panic in one test is that test's failure.
            let result =
                std::panic::catch_unwind(|| (test.run)(test, image)).unwrap_or_else(|_| {
                    Err(anyhow::anyhow!("the test panicked; its message is above"))
                });
            deadline.took(seconds, start.elapsed());
            match result {
                Ok(()) => report.passed(test.name, 1, start.elapsed())?,
                Err(error) => report.failed(test.name, &error, start.elapsed())?,
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..options.jobs.unwrap_or_else(parallel).max(1))
            .map(|_| scope.spawn(worker))
            .collect();
        for worker in workers {
            worker
                .join()
                .unwrap_or_else(|_| Err(anyhow::anyhow!("a worker panicked")))?;
        }
        Ok(())
    })
}

/// Machines at a time: each has two virtual processors and up to 3 GiB; two are enough to keep two cores busy.
fn parallel() -> usize {
    const MEMORY: u64 = 4 << 20;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kibibytes = fs_err::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| {
            let line = text
                .lines()
                .find(|line| line.starts_with("MemAvailable:"))?
                .to_owned();
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        })
        .unwrap_or(MEMORY);
    cores
        .min(usize::try_from(kibibytes / MEMORY).unwrap_or(1))
        .clamp(1, 2)
}
