//! The run: looks at all machines, asks once about those that run, then switches and follows, so many at a time.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use firmware::bmc::chassis::{self, Boot, BootDevice, Power};
use firmware::bmc::remote::Session;
use firmware::bmc::{Password, device, supermicro};
use firmware::ipmi::IpmiTransport as _;
use serde::Serialize;

use super::record::Records;
use super::{Decision, Follow, Phase, Stage, decide};

/// Time for the power to be what was asked for.
const POWER_PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at the power.
const POWER_PAUSE: Duration = Duration::from_millis(500);

/// A machine and the way to its BMC.
pub struct Machine {
    /// Name.
    pub node: String,
    /// Address of the BMC, with `:PORT` if that is not 623.
    pub bmc: String,
    /// Account.
    pub user: String,
    /// Password.
    pub password: Password,
}

/// How to go about it.
pub struct Options<'a> {
    /// Boot by UEFI, not by BIOS.
    pub uefi: bool,
    /// Machines at a time.
    pub jobs: usize,
    /// Between two questions to the depot.
    pub pause: Duration,
    /// How long a machine is followed.
    pub patience: Duration,
    /// Who knows how installs go; absent: a machine that was switched on is left alone.
    pub follow: Option<&'a dyn Follow>,
    /// Which of the machines that run may lose their power.
    pub may_cut: &'a (dyn Fn(&[String]) -> Result<BTreeSet<String>> + Sync),
    /// Gets what happens, from several threads.
    pub tell: &'a (dyn Fn(Event) + Sync),
}

/// Something happened to a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Machine.
    pub node: String,
    /// What.
    pub state: State,
    /// For people; may be empty.
    pub message: String,
    /// Of the install, 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
}

/// States of a machine during a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Its power is being switched.
    Starting,
    /// It was switched on and is not followed, or not heard of yet.
    Started,
    /// It is being installed.
    Installing,
    /// It is installed.
    Installed,
    /// It is healthy.
    Healthy,
    /// It was left alone.
    Refused,
    /// It did not work.
    Failed,
}

impl State {
    /// For people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Started => "started",
            Self::Installing => "installing",
            Self::Installed => "installed",
            Self::Healthy => "healthy",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// Brings all machines as far as they come; gives the last state of each, in their order.
///
/// # Errors
/// Nobody could be asked whether running machines may lose their power. What one machine does not do is its last event.
pub fn run(machines: &[Machine], records: &Records, options: &Options) -> Result<Vec<Event>> {
    let looked = parallel(machines, options.jobs, |machine| {
        look(machine, records, options)
    });
    let running: Vec<String> = machines
        .iter()
        .zip(&looked)
        .filter(|(_, looked)| matches!(looked, Ok(Decision::Start { cut: true })))
        .map(|(machine, _)| machine.node.clone())
        .collect();
    let may_cut = match running.is_empty() {
        true => BTreeSet::new(),
        false => (options.may_cut)(&running)?,
    };
    let work: Vec<_> = machines.iter().zip(looked).collect();
    Ok(parallel(&work, options.jobs, |(machine, looked)| {
        let last = match looked {
            Ok(Decision::Start { cut: true }) if !may_cut.contains(&machine.node) => event(
                machine,
                State::Refused,
                "it runs, and starting its install would cut its power: `--power-cycle`",
            ),
            Ok(Decision::Refuse(reason)) => event(machine, State::Refused, *reason),
            Ok(Decision::Done) => event(machine, State::Healthy, ""),
            Ok(Decision::Follow) => follow(machine, records, options),
            Ok(Decision::Start { .. }) => start(machine, records, options).map_or_else(
                |error| failed(machine, &error),
                |()| follow(machine, records, options),
            ),
            Err(error) => failed(machine, error),
        };
        (options.tell)(last.clone());
        last
    }))
}

/// Does `work` for each, so many at a time; results in the order of what was given.
fn parallel<T: Sync, R: Send>(all: &[T], jobs: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let queue: Mutex<VecDeque<usize>> = Mutex::new((0..all.len()).collect());
    let results: Mutex<Vec<(usize, R)>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, all.len().max(1)) {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().ok().and_then(|mut queue| queue.pop_front());
                    let Some((index, item)) = next.and_then(|index| Some((index, all.get(index)?)))
                    else {
                        return;
                    };
                    let result = work(item);
                    if let Ok(mut results) = results.lock() {
                        results.push((index, result));
                    }
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_default();
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

fn event(machine: &Machine, state: State, message: impl Into<String>) -> Event {
    Event {
        node: machine.node.clone(),
        state,
        message: message.into(),
        percent: None,
    }
}

fn failed(machine: &Machine, error: &anyhow::Error) -> Event {
    event(machine, State::Failed, format!("{error:#}"))
}

fn look(machine: &Machine, records: &Records, options: &Options) -> Result<Decision> {
    let stage = records.read(&machine.node)?;
    let seen = match options.follow {
        Some(follow) => Some(follow.look(&machine.node)?.phase),
        None => None,
    };
    // Who is not switched needs no BMC: an installed machine may have another password by now.
    match decide(stage, seen, false) {
        Decision::Start { .. } => {}
        other => return Ok(other),
    }
    let mut session = open(machine)?;
    Ok(decide(stage, seen, chassis::status(&mut session)?.on))
}

fn open(machine: &Machine) -> Result<Session> {
    Ok(Session::open(
        &machine.bmc,
        &machine.user,
        &machine.password,
    )?)
}

/// Boot device, record, power, record.
fn start(machine: &Machine, records: &Records, options: &Options) -> Result<()> {
    (options.tell)(event(machine, State::Starting, "boots from the network"));
    let mut session = open(machine)?;
    let who = device::read(&mut session)?;
    let boot = Boot {
        device: BootDevice::Pxe,
        persistent: false,
        uefi: options.uefi,
        supermicro: supermicro::is_known(who.manufacturer, who.product.into()),
    };
    chassis::set_boot(&mut session, boot)?;
    let was_on = chassis::status(&mut session)?.on;
    records.write(&machine.node, Stage::Starting { was_on })?;
    let power = if was_on { Power::Cycle } else { Power::On };
    chassis::control(&mut session, power)?;
    let began = Instant::now();
    while !chassis::status(&mut session)?.on {
        if began.elapsed() > POWER_PATIENCE {
            let seconds = POWER_PATIENCE.as_secs();
            anyhow::bail!(
                "the BMC took the command, but the machine is still off after {seconds} s"
            );
        }
        session.pause(POWER_PAUSE);
    }
    records
        .write(&machine.node, Stage::Started)
        .context("the machine was started")
}

/// Asks the depot until the machine is healthy or failed.
fn follow(machine: &Machine, records: &Records, options: &Options) -> Event {
    let Some(depot) = options.follow else {
        return event(machine, State::Started, "no depot is asked how it goes on");
    };
    let began = Instant::now();
    let mut last = None;
    while began.elapsed() < options.patience {
        let now = match depot.look(&machine.node) {
            Ok(seen) => {
                let (state, message) = match seen.phase {
                    Phase::New | Phase::Armed | Phase::Unknown => {
                        (State::Started, "waits for its first word")
                    }
                    Phase::Installing => (State::Installing, ""),
                    Phase::Installed => (State::Installed, "waits for its health"),
                    Phase::Healthy => (State::Healthy, ""),
                    Phase::Failed => (State::Failed, "its install failed"),
                };
                Event {
                    percent: seen.percent,
                    ..event(
                        machine,
                        state,
                        seen.line.unwrap_or_else(|| message.to_owned()),
                    )
                }
            }
            Err(error) => event(machine, State::Started, error.to_string()),
        };
        if now.state == State::Healthy {
            return match records.write(&machine.node, Stage::Healthy) {
                Ok(()) => now,
                Err(error) => failed(machine, &error),
            };
        }
        if now.state == State::Failed {
            return now;
        }
        if last.as_ref() != Some(&now) {
            (options.tell)(now.clone());
            last = Some(now);
        }
        std::thread::sleep(options.pause);
    }
    let minutes = options.patience.as_secs() / 60;
    event(
        machine,
        State::Failed,
        format!(
            "not healthy after {minutes} minutes; it is left alone: run this again to follow it further"
        ),
    )
}
