//! `rackwright provision`: machines from switched off to healthy, over their BMCs.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, IsTerminal, Write};
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use camino::Utf8PathBuf;
use clap::Args;
use firmware::bmc::Password;
use indicatif::{MultiProgress, ProgressBar};
use roles::Site;

use super::{bmc, compile, depot, derived};
use crate::progress::Mode;
use crate::provision::engine::{self, Event, Machine, Options, State};
use crate::provision::record::Records;
use crate::provision::{Follow, FollowError, Phase, Seen};

#[derive(Debug, Args)]
pub struct Provision {
    /// Site file
    site: Utf8PathBuf,
    /// Only this machine; may be repeated: in that order, those first that
    /// others wait for [default: all with a BMC, as the site file has them]
    #[arg(long, value_name = "NODE")]
    node: Vec<String>,
    /// Machines at a time
    #[arg(long, value_name = "NUMBER", default_value_t = 4)]
    jobs: usize,
    /// Folder that remembers how far each machine came
    #[arg(long, value_name = "DIR", default_value = "provision")]
    state: Utf8PathBuf,
    /// Folder of the running depot, which is asked how installs go
    #[arg(long, value_name = "DIR", default_value = depot::STATE)]
    depot: Utf8PathBuf,
    /// Ask no depot: only boot the machines from the network
    #[arg(long)]
    blind: bool,
    /// How long the permits of machines without one may be used
    #[arg(long, value_name = "TIME", default_value = "2h", value_parser = depot::duration)]
    expires: Duration,
    /// Wait for `rackwright approve` of each machine, instead of taking the
    /// first one with the right board serial
    #[arg(long)]
    compare: bool,
    /// Boot by BIOS instead of UEFI
    #[arg(long)]
    legacy: bool,
    /// Cut the power of machines that run, without asking
    #[arg(long)]
    power_cycle: bool,
    /// Account of the BMCs [default: the site file's, else rackwright]
    #[arg(long)]
    user: Option<String>,
    /// File with the password of the BMCs, mode 0600 [default: the one that
    /// the seed gives each machine]
    #[arg(long, value_name = "FILE")]
    password_file: Option<Utf8PathBuf>,
    /// Seed file [default: the site file's name with .seed]
    #[arg(long, value_name = "FILE")]
    seed: Option<Utf8PathBuf>,
    /// Role data [default: the source tree's]
    #[arg(long = "roles", value_name = "DIR", id = "role-data")]
    role_data: Option<Utf8PathBuf>,
    /// Events as JSON lines on standard output
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Provision) -> Result<u8> {
    let roles = derived::roles(arguments.role_data.as_ref())?;
    let site = derived::site(&arguments.site, &roles)?;
    let machines = machines(arguments, &site)?;
    let records = Records::open(&arguments.state)?;
    let follow = match arguments.blind {
        true => None,
        false => {
            arm(arguments, &machines)?;
            Some(Depot(arguments.depot.clone()))
        }
    };
    let screen = Screen::new(Mode::choose(arguments.json));
    let last = engine::run(
        &machines,
        &records,
        &Options {
            uefi: !arguments.legacy,
            jobs: arguments.jobs,
            pause: Duration::from_secs(2),
            patience: Duration::from_secs(2 * 3600),
            follow: follow.as_ref().map(|depot| depot as &dyn Follow),
            may_cut: &|running| may_cut(running, arguments.power_cycle),
            tell: &|event| screen.show(&event),
        },
    )?;
    screen.end();
    let well = |event: &&Event| match arguments.blind {
        true => event.state == State::Started,
        false => event.state == State::Healthy,
    };
    let good = last.iter().filter(well).count();
    let what = if arguments.blind {
        "on their way"
    } else {
        "healthy"
    };
    writeln!(
        std::io::stderr(),
        "{good} of {} machines are {what}",
        last.len()
    )?;
    Ok(u8::from(good < last.len()))
}

/// Gives a permit to each of these machines that never had one, or whose time is over. A machine that was installed or failed
/// is armed by a person.
fn arm(arguments: &Provision, machines: &[Machine]) -> Result<()> {
    let rack = depot::rack(&arguments.depot)
        .context("`rackwright provision` follows what the depot sees\nhint: start `rackwright serve` in another terminal, or --blind")?;
    for machine in machines {
        let Some(seen) = rack.machines.iter().find(|seen| seen.node == machine.node) else {
            bail!(
                "the depot does not know `{}`\nhint: it serves another site file, or an older one: start it again",
                machine.node
            );
        };
        if seen.phase != ::depot::view::Phase::New {
            continue;
        }
        let on_sight = !arguments.compare;
        depot::arm_one(
            &arguments.depot,
            &machine.node,
            false,
            arguments.expires,
            on_sight,
        )?;
        if on_sight && seen.board.is_none() {
            writeln!(
                std::io::stderr(),
                "{}: the site file has no `serial` of its board: compare fingerprints and `rackwright approve` it",
                machine.node
            )?;
        }
    }
    Ok(())
}

/// The running depot of a folder.
struct Depot(Utf8PathBuf);

impl Follow for Depot {
    fn look(&self, node: &str) -> Result<Seen, FollowError> {
        let rack = depot::rack(&self.0).map_err(|error| FollowError(format!("{error:#}")))?;
        let machine = rack
            .machines
            .into_iter()
            .find(|machine| machine.node == node)
            .ok_or_else(|| FollowError(format!("it does not know `{node}`")))?;
        use ::depot::view;
        Ok(Seen {
            phase: match machine.phase {
                view::Phase::New => Phase::New,
                view::Phase::Armed => Phase::Armed,
                view::Phase::Installing => Phase::Installing,
                view::Phase::Installed => Phase::Installed,
                view::Phase::Healthy => Phase::Healthy,
                view::Phase::Failed => Phase::Failed,
                view::Phase::Unknown => Phase::Unknown,
            },
            line: machine.line,
            percent: machine.step.map(|step| step.percent),
        })
    }
}

fn machines(arguments: &Provision, site: &Site) -> Result<Vec<Machine>> {
    let known: Vec<&str> = site.nodes.iter().map(|node| node.name.as_str()).collect();
    for name in &arguments.node {
        if !known.contains(&name.as_str()) {
            bail!(
                "`{}` has no machine `{name}`\nhint: it has {}",
                arguments.site,
                known.join(", ")
            );
        }
    }
    let shared = arguments
        .password_file
        .as_deref()
        .map(bmc::from_file)
        .transpose()?;
    let seed = match &shared {
        Some(_) => None,
        None => Some(compile::need_seed(
            &arguments.site,
            arguments.seed.as_ref(),
        )?),
    };
    let mut machines = Vec::new();
    for node in &site.nodes {
        let asked = arguments.node.contains(&node.name);
        if !asked && !arguments.node.is_empty() {
            continue;
        }
        let Some(bmc) = &node.bmc else {
            if asked {
                bail!(
                    "`{}` has no `bmc` in `{}`: nobody can switch it from here",
                    node.name,
                    arguments.site
                );
            }
            continue;
        };
        let password = match (&shared, &seed) {
            (Some(text), _) => Password::parse(text)?,
            (None, Some(seed)) => Password::parse(seed.bmc_password(&node.name).expose())?,
            (None, None) => bail!("no password for `{}`", node.name),
        };
        let user = arguments.user.as_ref().or(bmc.user.as_ref());
        machines.push(Machine {
            node: node.name.clone(),
            bmc: bmc.address.clone(),
            user: user.map_or(bmc::USER, String::as_str).to_owned(),
            password,
        });
    }
    if machines.is_empty() {
        bail!("no machine of `{}` has a `bmc`", arguments.site);
    }
    machines.sort_by_key(|machine| arguments.node.iter().position(|name| *name == machine.node));
    Ok(machines)
}

/// Asks once for all of them; without a terminal none may.
fn may_cut(running: &[String], always: bool) -> Result<BTreeSet<String>> {
    let all = || running.iter().cloned().collect();
    let mut terminal = std::io::stderr();
    if always {
        return Ok(all());
    }
    if !terminal.is_terminal() || !std::io::stdin().is_terminal() {
        return Ok(BTreeSet::new());
    }
    write!(
        terminal,
        "these machines run, and lose their power now: {}\ntype `cut` to go on, anything else leaves them alone: ",
        running.join(", ")
    )?;
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .context("cannot read the answer")?;
    Ok(if line.trim() == "cut" {
        all()
    } else {
        BTreeSet::new()
    })
}

/// Bars, lines or JSON: a fold over the events.
struct Screen {
    mode: Mode,
    all: MultiProgress,
    bars: Mutex<BTreeMap<String, ProgressBar>>,
}

impl Screen {
    fn new(mode: Mode) -> Self {
        Self {
            mode,
            all: MultiProgress::new(),
            bars: Mutex::default(),
        }
    }

    fn show(&self, event: &Event) {
        let line = line(event);
        match self.mode {
            // A reader that went away is no reason to stop.
            Mode::Json => {
                let text = serde_json::to_string(event).unwrap_or_default();
                let _ = writeln!(std::io::stdout(), "{text}");
            }
            Mode::Lines => {
                let _ = writeln!(std::io::stderr(), "{line}");
            }
            Mode::Bars => {
                let Ok(mut bars) = self.bars.lock() else {
                    return;
                };
                let bar = bars.entry(event.node.clone()).or_insert_with(|| {
                    let bar = self.all.add(ProgressBar::new_spinner());
                    bar.enable_steady_tick(Duration::from_millis(120));
                    bar
                });
                bar.set_message(line.clone());
                if matches!(event.state, State::Healthy | State::Failed | State::Refused) {
                    bar.abandon_with_message(line);
                }
            }
        }
    }

    fn end(&self) {
        if let Ok(bars) = self.bars.lock() {
            bars.values()
                .filter(|bar| !bar.is_finished())
                .for_each(ProgressBar::abandon);
        }
    }
}

fn line(event: &Event) -> String {
    let percent = event
        .percent
        .map(|percent| format!("{percent} % "))
        .unwrap_or_default();
    let line = format!(
        "{:<12} {:<10} {percent}{}",
        event.node,
        event.state.word(),
        event.message
    );
    line.trim_end().to_owned()
}
