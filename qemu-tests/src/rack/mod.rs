//! A rack of simulated machines on networks of their own, delivered by a depot: from blank disks to a cluster, and what is done
//! to it afterwards.

pub mod books;
pub mod faults;
pub mod green;
pub mod report;
pub mod run;
#[cfg(test)]
mod runbook;
pub mod shape;
mod unit;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use camino::Utf8PathBuf;
use fs_err as fs;

pub use shape::{Place, Shape};
pub use unit::Unit;

use crate::images::Image;
use crate::machine::{Bmc, Process, Segment};
use crate::prove::depot::{Depot, Dhcp};

/// How far a machine that only waits stands back (nice(2)): each step weighs a fifth less, so five are a third. With eight a
/// database had 12 % of a processor, and what it did ran into its time limits (2026-11-30).
const STEPS: i32 = 5;

/// Machines that are installed or that boot at a time. More of them on two cores only wait for each other: of six that booted at
/// once each had a third of a core, and systemd gave journald up after three minutes (2026-11-30).
const AT_ONCE: usize = 2;
/// Until the next one has its turn, whatever the last one says.
const BOOT: Duration = Duration::from_secs(600);

/// The machines, and what delivers them.
pub struct Rack {
    // Order of the fields is the order in which they are dropped: the networks last.
    /// Machines in the order of the shape.
    pub units: Vec<Unit>,
    /// Depot, with the site file and the networks.
    pub(crate) depot: Depot,
    shape: Shape,
}

impl Rack {
    /// Builds it in `folder`; what that holds already (disks, depot, site file) is kept.
    ///
    /// # Errors
    /// If this host cannot carry it.
    pub fn new(
        shape: Shape,
        images: &BTreeMap<String, Image>,
        folder: Utf8PathBuf,
    ) -> anyhow::Result<Self> {
        fs::create_dir_all(&folder)?;
        // The places do not depend on the key.
        let (_, places) = shape::site(shape, "")?;
        let bridges = [
            ("br-public", shape::CLIENT),
            ("br-cluster", "10.77.30.250/24"),
            ("br-storage", "10.77.40.250/24"),
        ];
        let segment = Segment::with(false, &bridges, unit::taps(&places))?;
        let wanted: Vec<(&str, &Image)> = shape
            .roles()
            .into_iter()
            .map(|role| {
                let image = images.get(role);
                Ok((
                    role,
                    image.with_context(|| format!("no image of `{role}`"))?,
                ))
            })
            .collect::<anyhow::Result<_>>()?;
        let depot = Depot::in_folder(folder.clone(), segment, &wanted, Dhcp::Own, |key| {
            let (text, places) = shape::site(shape, &key)?;
            let first = places.first().map(|place| place.name.clone());
            Ok((text, first.unwrap_or_default()))
        })?;
        let mut units = Vec::new();
        let mut tap = 0;
        for place in places {
            let ports = crate::machines::networks(place.role).len();
            let unit = Unit::new(
                place,
                &folder.join("machines"),
                &depot.segment,
                tap,
                shape.memory(),
                &folder.join("key"),
            )?;
            tap += u32::try_from(ports)?;
            units.push(unit);
        }
        Ok(Self {
            units,
            depot,
            shape,
        })
    }

    /// The machine of this name.
    ///
    /// # Errors
    /// If there is none.
    pub fn unit(&mut self, name: &str) -> anyhow::Result<&mut Unit> {
        let mut units = self.units.iter_mut();
        let found = units.find(|unit| unit.name() == name);
        found.with_context(|| format!("there is no machine `{name}` in the rack"))
    }

    /// All machines of a role.
    pub fn of(&self, role: &str) -> impl Iterator<Item = &Unit> {
        self.units
            .iter()
            .filter(move |unit| unit.place.role == role)
    }

    /// Pulls a machine's cable out of a network, or puts it back.
    ///
    /// # Errors
    /// If it has no such cable.
    pub fn plug(&self, name: &str, network: &str, plugged: bool) -> anyhow::Result<()> {
        let found = self.units.iter().find(|unit| unit.name() == name);
        let unit = found.with_context(|| format!("there is no machine `{name}` in the rack"))?;
        unit.plug(&self.depot.segment, network, plugged)
    }

    /// Switches machines on one after the other, as a power distribution does: the next one when the boot of another is over.
    ///
    /// # Errors
    /// If QEMU cannot be started.
    pub fn start_in_turn(&mut self, names: &[String]) -> anyhow::Result<()> {
        let mut left = names.iter();
        let mut booting: Vec<(&String, Instant)> = Vec::new();
        loop {
            let mut on = Vec::new();
            for (name, since) in booting {
                if since.elapsed() < BOOT && !self.unit(name)?.has_booted()? {
                    on.push((name, since));
                } else {
                    self.unit(name)?.stand_back(STEPS);
                }
            }
            booting = on;
            while booting.len() < AT_ONCE
                && let Some(name) = left.next()
            {
                self.unit(name)?.start()?;
                booting.push((name, Instant::now()));
            }
            if booting.is_empty() {
                self.units.iter().for_each(|unit| unit.stand_back(0));
                return Ok(());
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    }

    /// For the log of the run; nothing is left to tell it to if even standard error is gone.
    pub fn say(&self, text: &str) {
        use std::io::Write as _;
        let _gone = writeln!(std::io::stderr(), "    {text}");
    }

    /// Arms a machine whose disks are blank, starts it from the network and waits until it is healthy. The depot is killed while
    /// it installs, and comes back.
    ///
    /// # Errors
    /// If it is not in time.
    pub fn install_again(&mut self, name: &str, patience: Duration) -> anyhow::Result<()> {
        self.depot.ask(&["arm", name, "--on-sight"])?;
        let began = Instant::now();
        self.unit(name)?.start_from_network()?;
        let mut was_killed = false;
        loop {
            let phase = self.depot.phase_of(name)?;
            if phase == "installing" && !was_killed {
                self.depot.kill();
                std::thread::sleep(Duration::from_secs(10));
                self.depot.start()?;
                was_killed = true;
            }
            if phase == "healthy" && was_killed {
                return Ok(());
            }
            ensure!(
                began.elapsed() < patience,
                "`{name}` is {phase}, not healthy\n{}\n{}",
                self.unit(name)?.console(),
                lines(&self.depot.log())
            );
            self.unit(name)?.turn()?;
            std::thread::sleep(Duration::from_secs(1));
        }
    }

    /// `rackwright provision`: permits, power, until all are healthy.
    ///
    /// # Errors
    /// If one is not in time, with what depot and machines said.
    pub fn provision(&mut self, patience: Duration) -> anyhow::Result<()> {
        let result = self.provision_all(patience);
        result.with_context(|| format!("what the depot said:\n{}", lines(&self.depot.log())))
    }

    fn provision_all(&mut self, patience: Duration) -> anyhow::Result<()> {
        let folder = self.depot.folder.clone();
        let path = |name: &str| folder.join(name).into_string();
        fs::write(path("password"), Bmc::FACTORY)?;
        fs::set_permissions(
            path("password"),
            std::os::unix::fs::PermissionsExt::from_mode(0o600),
        )?;
        let jobs = match self.shape {
            Shape::Four => self.units.len(),
            Shape::Small | Shape::Full => AT_ONCE,
        };
        let mut words = vec!["provision".to_owned(), path("site.toml")];
        for (option, value) in [
            ("--user", Bmc::FACTORY.to_owned()),
            ("--password-file", path("password")),
            ("--depot", path("depot")),
            ("--state", path("provision")),
            ("--jobs", jobs.to_string()),
        ] {
            words.extend([option.to_owned(), value]);
        }
        for unit in &self.units {
            words.extend(["--node".to_owned(), unit.name().to_owned()]);
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let command = self.depot.segment.inside(&self.depot.command(&words)?);
        let log = path("provision.txt");
        let began = Instant::now();
        let mut child = Process::start_logged(&command, Some(fs::File::create(&log)?))?;
        let all = self.units.len();
        let mut waiting = BTreeSet::new();
        loop {
            let said = fs::read_to_string(&log).unwrap_or_default();
            for unit in &self.units {
                // It waits for the others now, and they need the processor.
                if is_healthy(&said, unit.name()) && waiting.insert(unit.name().to_owned()) {
                    unit.stand_back(STEPS);
                }
            }
            if let Some(well) = child.success() {
                let said = fs::read_to_string(&log)?;
                ensure!(
                    well && said.contains(&format!("{all} of {all} machines are healthy")),
                    "`rackwright provision` said:\n{said}"
                );
                self.units.iter().for_each(|unit| unit.stand_back(0));
                return Ok(());
            }
            let turned = self.units.iter_mut().try_for_each(|unit| {
                let turned = unit.turn();
                turned.with_context(|| unit.name().to_owned())
            });
            let late = began.elapsed() > patience;
            if turned.is_err() || late {
                self.units
                    .iter_mut()
                    .for_each(|unit| unit.machine.keep_logs());
            }
            turned?;
            if late {
                let list = self.depot.ask(&["depot"]).unwrap_or_default();
                bail!("not all machines are healthy in time:\n{list}");
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    }
}

/// Whether `rackwright provision` said so: name, phase.
fn is_healthy(said: &str, name: &str) -> bool {
    said.lines().any(|line| {
        let mut words = line.split_whitespace();
        words.next() == Some(name) && words.next() == Some("healthy")
    })
}

/// Without dnsmasq's words.
fn lines(log: &str) -> String {
    log.lines()
        .filter(|line| !line.starts_with("dnsmasq"))
        .collect::<Vec<_>>()
        .join("\n")
}
