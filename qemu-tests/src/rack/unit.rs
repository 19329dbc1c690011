//! A machine of the rack with its BMC: does what the BMC was asked for, and takes commands over ssh.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use camino::Utf8Path;

use super::shape::{Place, mac};
use crate::machine::{
    Accelerator, Answer, Bmc, Boot, Firmware, Machine, Nic, NicModel, Running, Segment, Shell, Wish,
};
use crate::machines;
use run::event::Event;

/// Until a machine that is up answers.
const ANSWER: Duration = Duration::from_secs(300);

/// Bridge of a network in the rack's segment.
#[must_use]
pub fn bridge(network: &str) -> String {
    match network {
        // The depot's, where DHCP is.
        "mgmt" => "br0".to_owned(),
        other => format!("br-{other}"),
    }
}

/// A machine and its BMC.
pub struct Unit {
    /// Which.
    pub place: Place,
    // Order of the fields is the order in which they are dropped.
    running: Option<Running>,
    /// The machine itself.
    pub machine: Machine,
    bmc: Bmc,
    shell: Shell,
    taps: BTreeMap<&'static str, u32>,
    /// MiB once it is installed.
    memory: u32,
    /// Entries of the BMC's list that were acted upon.
    done: usize,
    next: Boot,
}

/// From the network, as a machine whose BIOS has that first.
fn network() -> Boot {
    Boot {
        network: true,
        ..Boot::default()
    }
}

/// Virtual processors of a machine. Where the translator runs all of them in turn, a second one only adds what processors say to each
/// other; six machines share the cores as it is.
fn processors() -> u32 {
    match Accelerator::of_this_host() {
        Accelerator::EmulationInTurn => 1,
        Accelerator::Emulation | Accelerator::Kvm => 2,
    }
}

impl Unit {
    /// Makes it in `folder`. `taps`: number of its first one.
    pub(super) fn new(
        place: Place,
        folder: &Utf8Path,
        segment: &Segment,
        first_tap: u32,
        memory: u32,
        key: &Utf8Path,
    ) -> anyhow::Result<Self> {
        let folder = folder.join(&place.name);
        fs_err::create_dir_all(folder.join("bmc"))?;
        let port = 9100 + u16::try_from(place.index)?;
        let bmc = Bmc::start_inside(&folder.join("bmc"), segment, &place.bmc, port)?;
        let mut builder = machines::reference(place.role, Firmware::Uefi, None)
            .memory(3072)
            .processors(processors())
            .without_nics()
            .board_serial(&place.serial)
            .external_bmc(bmc.machine_port);
        // A pool of two mirrors: every disk costs a boot under emulation seconds.
        for disk in 4..16 {
            builder = builder.without(&format!("data{disk}"));
        }
        let mut taps = BTreeMap::new();
        for (number, network) in (first_tap..).zip(machines::networks(place.role)) {
            let index = usize::try_from(number - first_tap)?;
            taps.insert(*network, number);
            builder = builder.nic(Nic {
                mac: mac(place.index, index),
                // QEMU 7.2 stops on an assertion (`e1000e_intrmgr_on_throttling_timer`) when a driver takes an e1000e over
                // from UNDI.
                model: NicModel::Virtio,
                network: segment.tap(number)?,
            });
        }
        let shell = Shell {
            address: place.address.clone(),
            port: 22,
            namespace: Some(segment.namespace()),
            key: key.to_owned(),
            user: "operator".to_owned(),
        };
        Ok(Self {
            machine: builder.build_in(folder)?,
            place,
            running: None,
            bmc,
            shell,
            taps,
            memory,
            done: 0,
            next: Boot::default(),
        })
    }

    /// Host name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.place.name
    }

    /// Does what the BMC was asked for since the last look; a machine that switched itself off at the end of its install is
    /// started again, as a restart would.
    pub(super) fn turn(&mut self) -> anyhow::Result<()> {
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
        if self.has_ended() {
            // The wish was for one boot. Without it the order of the BIOS counts, in which the network stands first.
            let boot = Boot {
                memory: Some(self.memory),
                ..network()
            };
            self.running = Some(self.machine.boot(&boot)?);
        }
        Ok(())
    }

    /// It was on, and switched itself off or restarted.
    pub(super) fn has_ended(&mut self) -> bool {
        self.running
            .as_mut()
            .is_some_and(|running| !running.is_on())
    }

    /// It is on.
    pub fn is_on(&mut self) -> bool {
        self.running.as_mut().is_some_and(Running::is_on)
    }

    /// Switches it on; it starts its disks.
    ///
    /// # Errors
    /// If QEMU cannot be started.
    pub fn start(&mut self) -> anyhow::Result<()> {
        self.start_with(&Boot::default())
    }

    /// As [`Self::start`], with something special about it.
    ///
    /// # Errors
    /// If QEMU cannot be started.
    pub fn start_with(&mut self, boot: &Boot) -> anyhow::Result<()> {
        let boot = Boot {
            memory: Some(self.memory),
            ..boot.clone()
        };
        self.running = Some(self.machine.boot(&boot)?);
        Ok(())
    }

    /// Its boot is over: the boot check has said whether it is healthy.
    ///
    /// # Errors
    /// If it is off, or what it said cannot be read.
    pub(super) fn has_booted(&mut self) -> anyhow::Result<bool> {
        let heard = self.running()?.heard()?;
        Ok(heard
            .iter()
            .any(|record| matches!(record.event, Event::Health { .. })))
    }

    /// Switches it on; it asks the network first. Memory as for an install.
    ///
    /// # Errors
    /// If QEMU cannot be started.
    pub fn start_from_network(&mut self) -> anyhow::Result<()> {
        self.running = Some(self.machine.boot(&network())?);
        Ok(())
    }

    /// Lets other machines have the processor, so many steps of nice(2) behind this program.
    pub(super) fn stand_back(&self, steps: i32) {
        if let Some(running) = &self.running {
            running.stand_back(steps);
        }
    }

    /// Pulls the plug.
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// The boot that is on.
    ///
    /// # Errors
    /// If it is off.
    pub fn running(&mut self) -> anyhow::Result<&mut Running> {
        let name = self.place.name.clone();
        self.running
            .as_mut()
            .with_context(|| format!("`{name}` is off"))
    }

    /// Pulls the cable of a network, or puts it back.
    ///
    /// # Errors
    /// If it has no such network.
    pub fn plug(&self, segment: &Segment, network: &str, plugged: bool) -> anyhow::Result<()> {
        let tap = self.taps.get(network);
        segment.plug(
            *tap.with_context(|| format!("`{}` is not in `{network}`", self.name()))?,
            plugged,
        )
    }

    /// Runs a command there.
    ///
    /// # Errors
    /// If nobody answers in time.
    pub fn ask(&self, command: &str, patience: Duration) -> anyhow::Result<Answer> {
        let answer = self.shell.run(command, patience);
        answer.with_context(|| format!("`{}`", self.name()))
    }

    /// Whether a command ends well; a machine that does not answer within seconds says no.
    #[must_use]
    pub fn holds(&self, command: &str) -> bool {
        let answer = self.shell.run(command, Duration::ZERO);
        answer.is_ok_and(|answer| answer.status == 0)
    }

    /// Runs a command, which must end well. Gives what it prints.
    ///
    /// # Errors
    /// If it does not.
    pub fn run(&self, command: &str) -> anyhow::Result<String> {
        self.shell.must(self.name(), command, ANSWER)
    }

    /// Runs a command until it ends well; says how long that took.
    ///
    /// # Errors
    /// If it does not in time.
    pub fn wait(
        &self,
        what: &str,
        command: &str,
        look: &str,
        patience: Duration,
    ) -> anyhow::Result<Duration> {
        let wish = Wish {
            what,
            command,
            look,
        };
        self.shell.until(self.name(), wish, patience)
    }

    /// What a failure of this machine is explained with.
    pub(super) fn console(&self) -> String {
        let console = self.running.as_ref().map(|running| running.console(0));
        let console = console.unwrap_or_default();
        let lines: Vec<&str> = console.lines().collect();
        lines
            .iter()
            .skip(lines.len().saturating_sub(15))
            .copied()
            .collect::<Vec<_>>()
            .join("\n")
    }
}

/// Taps of a rack's machines, in their order: the bridge of each.
#[must_use]
pub fn taps(places: &[Place]) -> Vec<String> {
    places
        .iter()
        .flat_map(|place| machines::networks(place.role))
        .map(|network| bridge(network))
        .collect()
}
