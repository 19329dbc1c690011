//! `preflight`: asks the network whether it is what the node file says. `install` does so before its first write.

use anyhow::Context as _;
use camino::Utf8Path;
use firmware::{Finding, Inventory, Reference, bmc::sel};
use preflight::{Depth, Measured};
use roles::NodeFile;
use system::{Command, Network, System};

use crate::{
    REFUSED,
    arguments::Preflight,
    findings, inventory, output,
    survey::{self, Survey},
};

/// What came out.
pub struct Checked {
    /// What was measured.
    pub measured: Measured,
    /// What it means, worst first, waivers applied.
    pub findings: Vec<Finding>,
}

/// Runs it by itself.
pub fn run(
    system: &dyn System,
    network: &dyn Network,
    options: &Preflight,
    json: bool,
) -> anyhow::Result<u8> {
    let roles = roles::folder::read(&options.roles)?;
    let mut tell = |line: &str| tracing::warn!("{line}");
    let (_, node) = survey::node_file(system, options.node.as_deref(), &roles, &mut tell)?;
    let inventory = inventory::probe(Utf8Path::new("/"));
    let depth = Depth {
        pull_legs: options.pull_legs,
        ..Depth::default()
    };
    let checked = check(system, network, &node, &inventory, depth, &mut tell)?;
    if json {
        output::json(&checked.findings)?;
    } else {
        output::text(&format!(
            "{}\n",
            findings::text_of("of the network", &checked.findings)
        ))?;
    }
    let blocked = findings::gate(&checked.findings);
    Ok(match blocked {
        Ok(()) => 0,
        Err(error) => {
            output::error(&error);
            REFUSED
        }
    })
}

/// Chooses the ports, asks, judges. `tell` gets a line for each waiver that changes nothing.
pub fn check(
    system: &dyn System,
    network: &dyn Network,
    node: &NodeFile,
    inventory: &Inventory,
    depth: Depth,
    tell: &mut dyn FnMut(&str),
) -> anyhow::Result<Checked> {
    let reference = Reference::built_in().context("cannot read the built-in reference")?;
    let chosen = plan::ports::choose(node, inventory, &reference)?;
    let ports = preflight::ports(chosen, inventory);
    let mut measured = preflight::measure(system, network, node, &ports, depth);
    if inventory.bmc.is_some() {
        measured.bmc_clock = bmc_clock(system, network);
    }
    let mut findings = preflight::judge(node, &measured);
    for line in preflight::waive(&mut findings, node) {
        tell(&line);
    }
    Ok(Checked { measured, findings })
}

/// How far the BMC's clock is from this machine's, in seconds; absent if it does not say.
fn bmc_clock(system: &dyn System, network: &dyn Network) -> Option<i64> {
    let theirs = sel::time(&mut run::bmc::transport(system))
        .inspect_err(|error| tracing::debug!(%error, "the BMC does not tell its time"))
        .ok()??;
    let ours = i64::try_from(network.clock().as_secs()).ok()?;
    Some(i64::from(theirs) - ours)
}

/// As an install does it: legs are pulled, and a wrong clock is set before anything is verified with it and before file systems
/// get dates.
pub fn before_install(
    system: &dyn System,
    network: &dyn Network,
    survey: &Survey,
    tell: &mut dyn FnMut(&str),
) -> anyhow::Result<Checked> {
    let inventory = &survey.context.inventory;
    let depth = Depth::default();
    let checked = check(system, network, &survey.node, inventory, depth, tell)?;
    step_clock(system, network, &checked.measured, tell);
    Ok(checked)
}

/// Steps this machine's clock to what the time servers say, and writes the hardware clock in UTC. A clock that cannot be set
/// stops nothing: the running system has chrony.
fn step_clock(
    system: &dyn System,
    network: &dyn Network,
    measured: &Measured,
    tell: &mut dyn FnMut(&str),
) {
    let Some(offset) = preflight::step_needed(measured) else {
        return;
    };
    let now = i128::try_from(network.clock().as_millis()).unwrap_or(0) + i128::from(offset);
    let (seconds, rest) = (now.div_euclid(1000), now.rem_euclid(1000));
    let set =
        Command::new("date").args(["--utc".to_owned(), format!("--set=@{seconds}.{rest:03}")]);
    match system.run(&set) {
        Err(error) => tell(&format!("the clock could not be set: {error}")),
        Ok(_) => {
            tell(&format!(
                "the clock was set to that of the time servers, {offset} ms away"
            ));
            if let Err(error) = network.set_hardware_clock(network.clock()) {
                tell(&format!("the hardware clock could not be set: {error}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, sync::Mutex, time::Duration};

    use preflight::Clock;
    use system::{Simulated, SystemError};

    use super::*;

    struct Clocks(Mutex<Option<Duration>>);

    impl Network for Clocks {
        fn frames(
            &self,
            _: &str,
            _: u16,
            _: &[Vec<u8>],
            _: Duration,
            _: Duration,
        ) -> Result<Vec<Vec<u8>>, SystemError> {
            Ok(Vec::new())
        }

        fn ask(&self, _: SocketAddr, _: &[u8], _: Duration) -> Result<Vec<u8>, SystemError> {
            Ok(Vec::new())
        }

        fn clock(&self) -> Duration {
            Duration::from_millis(30_250)
        }

        fn set_clock(&self, _time: Duration) -> Result<(), SystemError> {
            Ok(())
        }

        fn set_hardware_clock(&self, time: Duration) -> Result<(), SystemError> {
            *self.0.lock().unwrap() = Some(time);
            Ok(())
        }
    }

    #[test]
    fn the_bmc_is_asked_for_its_clock() {
        let system = Simulated::new();
        let clocks = Clocks(Mutex::new(None));
        assert_eq!(bmc_clock(&system, &clocks), None);
        system.add_bmc(|function, command, _| {
            // Get SEL Time (IPMI 2.0, 31.10): completion code, then seconds since 1970, least significant byte first.
            (function == 0x0a && command == 0x48).then(|| {
                let mut answer = vec![0];
                answer.extend_from_slice(&1_795_421_775_u32.to_le_bytes());
                answer
            })
        });
        assert_eq!(bmc_clock(&system, &clocks), Some(1_795_421_775 - 30));
    }

    fn stepped(offset: Option<i64>) -> (Vec<String>, Option<Duration>) {
        let system = Simulated::new();
        system.answer("date ", Ok(""));
        let clocks = Clocks(Mutex::new(None));
        let measured = Measured {
            clocks: vec![Clock {
                server: "10.77.10.5".into(),
                offset,
                error: None,
            }],
            ..Measured::default()
        };
        step_clock(&system, &clocks, &measured, &mut |_| {});
        let set = *clocks.0.lock().unwrap();
        (system.commands(), set)
    }

    #[test]
    fn a_clock_is_stepped_only_where_it_is_wrong() {
        assert_eq!(stepped(None), (Vec::new(), None));
        assert_eq!(stepped(Some(900)), (Vec::new(), None));
        assert_eq!(
            stepped(Some(1_795_421_775_000)),
            (
                vec!["date --utc --set=@1795421805.250".to_owned()],
                Some(Duration::from_millis(30_250))
            )
        );
        assert_eq!(stepped(Some(-5_000)).0, ["date --utc --set=@25.250"]);
    }
}
