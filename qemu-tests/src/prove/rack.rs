//! A rack of four machines with blank disks: `rackwright serve`, `rackwright provision`, and nobody presses a key. Their BMCs are
//! simulated, the power that these are asked for is switched here.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use camino::Utf8Path;
use fs_err as fs;
use roles::site::{init, model::Setup};
use toml::{Table, Value};

use super::compiled::fill;
use super::depot::{Depot, Dhcp, network};
use super::machines::Test;
use super::server::beside;
use crate::images::Image;
use crate::machine::{Bmc, Boot, Firmware, Machine, NicModel, Process, Running};
use crate::machines;

/// Two roles, two machines of each.
const RACK: [(&str, usize); 4] = [("lb", 0), ("lb", 1), ("control", 0), ("control", 1)];
/// Four machines on two cores, emulated.
const PATIENCE: Duration = Duration::from_secs(5400);

fn serial(index: usize) -> String {
    format!("ZM17R{index:06}")
}

fn mac(index: usize, port: usize) -> String {
    format!("52:54:00:d0:{index:02x}:{:02x}", port + 1)
}

fn bmc(index: usize) -> String {
    format!("10.77.10.{}", 231 + index)
}

/// A machine and its BMC, as one unit of the rack.
struct Unit {
    name: String,
    machine: Machine,
    bmc: Bmc,
    running: Option<Running>,
    /// Entries of the BMC's list that were acted upon.
    done: usize,
    next: Boot,
}

impl Unit {
    /// Does what the BMC was asked for since the last look; a machine that switched itself off at the end of its install is
    /// started again, as a restart would.
    fn turn(&mut self) -> anyhow::Result<()> {
        let asked = self.bmc.asked();
        for wish in asked.iter().skip(self.done) {
            match wish.as_str() {
                "boot=pxe" => self.next = network(),
                "power=1" => self.running = Some(self.machine.boot(&self.next)?),
                "power=0" => self.running = None,
                _ => {}
            }
        }
        self.done = asked.len();
        let ended = self
            .running
            .as_mut()
            .is_some_and(|running| !running.is_on());
        if ended {
            // The wish was for one boot. Without it the order of the BIOS counts, in which the network stands first.
            self.running = Some(self.machine.boot(&network())?);
        }
        Ok(())
    }
}

pub(super) fn rack(test: &Test, image: &Image) -> anyhow::Result<()> {
    let control = beside(image, test.role, "control")?;
    let mut names = BTreeMap::new();
    let depot = Depot::of_site(&[("lb", image), ("control", &control)], Dhcp::Own, |key| {
        let mut site: Table = init(Setup::Cluster, 60_000, "mail").parse()?;
        let access = site.get_mut("access").and_then(Value::as_table_mut);
        access
            .context("no `access`")?
            .insert("ssh_keys".to_owned(), vec![key].into());
        for (index, (role, number)) in RACK.into_iter().enumerate() {
            let port = |port| mac(index, port);
            let place = bmc(index);
            let bmc = Some((place.as_str(), "rackwright"));
            let name = fill(&mut site, role, number, &serial(index), &port, bmc)?;
            names.insert(index, name);
        }
        let first = names.values().next().cloned().unwrap_or_default();
        Ok((toml::to_string(&site)?, first))
    })?;
    let folder = depot.folder.clone();
    let units = RACK
        .into_iter()
        .enumerate()
        .map(|(index, (role, _))| {
            let name = names.get(&index).context("no name")?.clone();
            let own = folder.join(&name);
            fs::create_dir(&own)?;
            let port = 9100 + u16::try_from(index)?;
            let bmc = Bmc::start_inside(&own, &depot.segment, &bmc(index), port)?;
            let machine = machines::reference(role, Firmware::Uefi, None)
                .memory(3072)
                .first_port(NicModel::Virtio, depot.segment.tap(u32::try_from(index)?)?)
                .twin(&serial(index), |port| mac(index, port))
                .external_bmc(bmc.machine_port)
                .build()?;
            Ok(Unit {
                name,
                machine,
                bmc,
                running: None,
                done: 0,
                next: Boot::default(),
            })
        })
        .collect::<anyhow::Result<Vec<Unit>>>()?;
    let result = provision(&depot, &folder, units);
    result.with_context(|| format!("what the depot said:\n{}", lines(&depot.log())))
}

/// Without dnsmasq's words.
fn lines(log: &str) -> String {
    log.lines()
        .filter(|line| !line.starts_with("dnsmasq"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn provision(depot: &Depot, folder: &Utf8Path, mut units: Vec<Unit>) -> anyhow::Result<()> {
    let path = |name: &str| folder.join(name).into_string();
    fs::write(path("password"), Bmc::FACTORY)?;
    fs::set_permissions(
        path("password"),
        std::os::unix::fs::PermissionsExt::from_mode(0o600),
    )?;
    let mut words = vec!["provision".to_owned(), path("site.toml")];
    for (option, value) in [
        ("--user", Bmc::FACTORY.to_owned()),
        ("--password-file", path("password")),
        ("--depot", path("depot")),
        ("--state", path("provision")),
        ("--jobs", RACK.len().to_string()),
    ] {
        words.extend([option.to_owned(), value]);
    }
    for unit in &units {
        words.extend(["--node".to_owned(), unit.name.clone()]);
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let command = depot.segment.inside(&depot.command(&words));
    let log = path("provision.txt");
    let began = Instant::now();
    let mut child = Process::start_logged(&command, Some(fs::File::create(&log)?))?;
    loop {
        if let Some(well) = child.success() {
            let said = fs::read_to_string(&log)?;
            ensure!(
                well && said.contains("4 of 4 machines are healthy"),
                "`rackwright provision` said:\n{said}"
            );
            super::server::time("rack", "four machines are healthy", began);
            return Ok(());
        }
        let turned = units.iter_mut().try_for_each(|unit| {
            let turned = unit.turn();
            turned.with_context(|| unit.name.clone())
        });
        let late = began.elapsed() > PATIENCE;
        if turned.is_err() || late {
            units.iter_mut().for_each(|unit| unit.machine.keep_logs());
        }
        turned?;
        if late {
            let list = depot.ask(&["depot"]).unwrap_or_default();
            bail!("not all machines are healthy in time:\n{list}");
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}
