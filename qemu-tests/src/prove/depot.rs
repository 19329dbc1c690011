//! Machines with blank disks and nothing but the network: `rackwright serve` gives them everything. By BIOS and by UEFI, with and
//! without TFTP, with and without a permit, a depot that is killed, a cable that is pulled, a clock that is wrong by years.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use roles::site::{init, model::Setup};
use run::event::Event;

use super::compiled::filled_in;
use super::machines::Test;
use crate::guise::Guise;
use crate::images::{Image, workspace};
use crate::machine::{
    Boot, Firmware, HOST, KeyPair, Machine, NicModel, Patience, Process, Running, Segment,
};
use crate::machines;

pub(super) fn tests() -> Vec<Test> {
    let test = |name, role, run| Test { name, role, run };
    vec![
        test("depot::uefi", "lb", |test, image| {
            once(test, image, Firmware::Uefi, Dhcp::Own)
        }),
        test("depot::bios", "lb", |test, image| {
            once(test, image, Firmware::Bios, Dhcp::Proxy)
        }),
        test("depot::http-boot", "lb", by_http),
        test("depot::killed", "lb", killed),
        test("depot::cut", "lb", cut),
        test("depot::clocks", "lb", clocks),
        test("depot::wrong", "lb", wrong),
        test("depot::flipped", "lb", flipped),
        test("depot::rack", "lb", super::rack::rack),
        test("rack::small", "galera", super::rack::small),
    ]
}

/// A site of which one machine is there, and its depot.
pub(crate) struct Depot {
    pub(crate) folder: Utf8PathBuf,
    node: String,
    dhcp: Dhcp,
    child: Option<Process>,
    /// Last: whoever is in it ends before.
    pub(crate) segment: Segment,
    /// Absent: the folder stays.
    _kept: Option<tempfile::TempDir>,
}

/// Who gives addresses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dhcp {
    /// The depot.
    Own,
    /// Another server; the depot adds the boot file.
    Proxy,
}

impl Depot {
    fn new(
        role: &str,
        image: &Image,
        dhcp: Dhcp,
        change: impl FnOnce(String) -> String,
    ) -> anyhow::Result<Self> {
        Self::of_site(&[(role, image)], dhcp, |key| {
            let (text, node) = filled_in(&init(Setup::Ha, 25_000, "mail"), role, &[key])?;
            Ok((change(text), node))
        })
    }

    /// `site`: text of the site file, and a machine's name, for an administrator's public key.
    fn of_site(
        images: &[(&str, &Image)],
        dhcp: Dhcp,
        site: impl FnOnce(String) -> anyhow::Result<(String, String)>,
    ) -> anyhow::Result<Self> {
        let kept = tempfile::tempdir()?;
        let folder = Utf8Path::from_path(kept.path())
            .context("the folder has no UTF-8 name")?
            .to_owned();
        let segment = Segment::new(dhcp == Dhcp::Proxy)?;
        let mut depot = Self::in_folder(folder, segment, images, dhcp, site)?;
        depot._kept = Some(kept);
        Ok(depot)
    }

    /// In a folder that stays; a site that is there already goes on.
    pub(crate) fn in_folder(
        folder: Utf8PathBuf,
        segment: Segment,
        images: &[(&str, &Image)],
        dhcp: Dhcp,
        site: impl FnOnce(String) -> anyhow::Result<(String, String)>,
    ) -> anyhow::Result<Self> {
        let goes_on = folder.join("site.toml").exists();
        let key = match goes_on {
            true => fs::read_to_string(folder.join("key.pub"))?
                .trim()
                .to_owned(),
            false => KeyPair::make(&folder)?.public,
        };
        let (text, node) = site(key)?;
        let mut depot = Self {
            folder,
            _kept: None,
            node,
            dhcp,
            child: None,
            segment,
        };
        if !goes_on {
            fs::write(depot.folder.join("site.toml"), text)?;
            depot.rackwright(&["compile", "site.toml"])?;
        }
        // Only these roles: others would be read and checked each time. Copies, which a test may spoil.
        for (role, image) in images {
            let only = depot.folder.join("out").join(role).join("1");
            fs::create_dir_all(&only)?;
            for entry in fs::read_dir(&image.folder)? {
                let entry = entry?;
                fs::copy(
                    entry.path(),
                    only.join(entry.file_name().to_string_lossy().as_ref()),
                )?;
            }
        }
        depot.start()?;
        Ok(depot)
    }

    pub(crate) fn command(&self, words: &[&str]) -> anyhow::Result<Command> {
        let mut command = Guise::Rackwright.command()?;
        command
            .args(words)
            .args(["--roles", workspace().join("roles").as_str()])
            .current_dir(&self.folder);
        Ok(command)
    }

    /// Runs a command that reads the site.
    fn rackwright(&self, words: &[&str]) -> anyhow::Result<String> {
        run(self.command(words)?)
    }

    /// Runs a command that only asks the depot.
    pub(crate) fn ask(&self, words: &[&str]) -> anyhow::Result<String> {
        let mut command = Guise::Rackwright.command()?;
        command.args(words).current_dir(&self.folder);
        run(command)
    }

    pub(crate) fn start(&mut self) -> anyhow::Result<()> {
        let site = self.folder.join("site.toml");
        let state = self.folder.join("depot");
        let images = self.folder.join("out");
        let roles = workspace().join("roles");
        let mut command = Guise::Rackwright.command()?;
        command.args(["serve", site.as_str()]);
        command.args(["--advertise", &format!("{HOST}:9211")]);
        match self.dhcp {
            Dhcp::Proxy => command.args(["--dhcp", "proxy"]),
            Dhcp::Own => command.args(["--dhcp", "own", "--range", "10.77.10.200-10.77.10.249"]),
        };
        command.args(["--interface", "br0"]);
        command.args(["--images", images.as_str(), "--state", state.as_str()]);
        command.args(["--roles", roles.as_str(), "--board", "127.0.0.1:0"]);
        let command = self.segment.inside(&command);
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("depot.txt"))?;
        self.child = Some(Process::start_logged(&command, Some(log))?);
        let began = Instant::now();
        while self.ask(&["depot"]).is_err() {
            ensure!(
                began.elapsed() < Duration::from_secs(60),
                "the depot does not start:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }

    /// As a power cut would.
    pub(crate) fn kill(&mut self) {
        self.child = None;
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("depot.txt")).unwrap_or_default()
    }

    /// What the depot says of its one machine.
    fn phase(&self) -> anyhow::Result<String> {
        self.phase_of(&self.node)
    }

    /// What the depot says of a machine.
    pub(crate) fn phase_of(&self, node: &str) -> anyhow::Result<String> {
        let rack: serde_json::Value = serde_json::from_str(&self.ask(&["depot", "--json"])?)?;
        rack["machines"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|machine| machine["node"] == node)
            .and_then(|machine| machine["phase"].as_str())
            .map(str::to_owned)
            .with_context(|| format!("the depot does not know `{node}`"))
    }

    fn wait(&self, phase: &str) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            let now = self.phase()?;
            if now == phase {
                return Ok(());
            }
            ensure!(
                began.elapsed() < Duration::from_secs(120),
                "the depot says `{}` is {now}, not {phase}\n{}",
                self.node,
                self.log()
            );
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    fn arm(&self, more: &[&str]) -> anyhow::Result<()> {
        let words: Vec<&str> = ["arm", &self.node]
            .into_iter()
            .chain(more.iter().copied())
            .collect();
        self.ask(&words).map(drop)
    }

    /// The reference machine, plugged into the depot's network.
    fn machine(&self, role: &str, firmware: Firmware) -> anyhow::Result<Machine> {
        // The root image lies in memory twice for a while: in the initrd and in the RAM disk.
        Ok(machines::reference(role, firmware, None)
            .memory(3072)
            // QEMU 7.2 stops on an assertion (`e1000e_intrmgr_on_throttling_timer`) when a driver takes an e1000e over from UNDI.
            .first_port(NicModel::Virtio, self.segment.tap(0)?)
            .build()?)
    }
}

fn run(mut command: Command) -> anyhow::Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        bail!(
            "{command:?} ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn network() -> Boot {
    Boot {
        network: true,
        ..Boot::default()
    }
}

/// On an error: what machine and depot said.
fn explain<T>(
    depot: &Depot,
    machine: &mut Machine,
    result: anyhow::Result<T>,
) -> anyhow::Result<T> {
    if result.is_err() {
        machine.keep_logs();
    }
    result.with_context(|| format!("what the depot said:\n{}", depot.log()))
}

/// From its boot to the end of the install; the machine restarts at the end, which switches it off here.
fn install(machine: &mut Machine, boot: &Boot) -> anyhow::Result<()> {
    let mut running = machine.boot(boot)?;
    until_installed(&mut running)
}

fn until_installed(running: &mut Running) -> anyhow::Result<()> {
    running.wait_for("the plan", Patience::STEP, |event| {
        matches!(event, Event::Planned { .. }).then_some(())
    })?;
    let done = running.wait_for(
        "the end of the install",
        Patience::STEP,
        |event| match event {
            Event::Ended { outcome, message } => Some((*outcome, message.clone())),
            _ => None,
        },
    )?;
    ensure!(
        done.0 == run::Outcome::Done,
        "the install ended otherwise: {}",
        done.1
    );
    Ok(running.wait_for_end(Patience::STEP)?)
}

/// Healthy, and the depot says so.
fn healthy(depot: &Depot, running: &mut Running) -> anyhow::Result<()> {
    let (well, status) = running.wait_for("health", Patience::HEALTH, |event| match event {
        Event::Health { healthy, status } => Some((*healthy, status.clone())),
        _ => None,
    })?;
    ensure!(well, "it says it is not healthy: {status}");
    depot.wait("healthy")
}

/// Boots from the network and is told to start its disk: not a byte of any disk changes.
fn is_sent_away(depot: &Depot, machine: &mut Machine) -> anyhow::Result<()> {
    let before = machine.fingerprints()?;
    let told = || depot.log().matches("starts its disk").count();
    let earlier = told();
    let running = machine.boot(&network())?;
    let began = Instant::now();
    while told() == earlier {
        ensure!(
            began.elapsed() < Patience::BOOT.0,
            "it did not ask the depot what to do"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    drop(running);
    ensure!(
        machine.fingerprints()? == before,
        "a disk changed, and nobody had permitted it"
    );
    Ok(())
}

/// A permit, an install; without another permit not a byte changes at the next boot from the network, which starts the disks.
fn once(test: &Test, image: &Image, firmware: Firmware, dhcp: Dhcp) -> anyhow::Result<()> {
    let depot = Depot::new(test.role, image, dhcp, |site| site)?;
    let mut machine = depot.machine(test.role, firmware)?;
    let result = (|| {
        depot.arm(&["--on-sight"])?;
        install(&mut machine, &network()).context("install")?;
        depot.wait("installed")?;
        is_sent_away(&depot, &mut machine).context("second boot without a permit")?;
        let mut running = machine.boot(&network())?;
        healthy(&depot, &mut running).context("boot from the network that starts the disks")?;
        drop(running);
        let list = depot.ask(&["depot"])?;
        ensure!(list.contains(".jsonl"), "no report is kept:\n{list}");
        Ok(())
    })();
    explain(&depot, &mut machine, result)
}

/// The depot is killed while disks are written, and comes back half a minute later: the install does not wait for it, and the
/// depot learns all of it.
fn killed(test: &Test, image: &Image) -> anyhow::Result<()> {
    let mut depot = Depot::new(test.role, image, Dhcp::Own, |site| site)?;
    let mut machine = depot.machine(test.role, Firmware::Bios)?;
    let result = (|| {
        depot.arm(&["--on-sight"])?;
        let mut running = machine.boot(&network())?;
        running.wait_for("the first step", Patience::BOOT, |event| {
            matches!(event, Event::Finished { .. }).then_some(())
        })?;
        depot.kill();
        std::thread::sleep(Duration::from_secs(5));
        depot.start()?;
        ensure!(depot.phase()? == "installing", "it forgot that it installs");
        until_installed(&mut running)?;
        drop(running);
        depot.wait("installed")
    })();
    explain(&depot, &mut machine, result)
}

/// UEFI's own HTTP boot: no TFTP, no PXE.
fn by_http(test: &Test, image: &Image) -> anyhow::Result<()> {
    let depot = Depot::new(test.role, image, Dhcp::Own, |site| site)?;
    let mut machine = depot.machine(test.role, Firmware::Uefi)?;
    let boot = Boot {
        http: true,
        ..network()
    };
    let result = (|| {
        depot.arm(&["--on-sight"])?;
        install(&mut machine, &boot).context("install")?;
        depot.wait("installed")?;
        let log = depot.log();
        ensure!(log.contains("HTTPClient"), "nobody asked as an HTTP client");
        ensure!(!log.contains("dnsmasq-tftp: sent"), "a file went by TFTP");
        let mut running = machine.boot(&boot)?;
        healthy(&depot, &mut running).context("boot from the network that starts the disks")
    })();
    explain(&depot, &mut machine, result)
}

/// The cable is pulled while the root image arrives, for longer than the depot waits: it is fetched once more, and whole.
fn cut(test: &Test, image: &Image) -> anyhow::Result<()> {
    let depot = Depot::new(test.role, image, Dhcp::Own, |site| site)?;
    let mut machine = depot.machine(test.role, Firmware::Bios)?;
    let size =
        |name: &str| -> anyhow::Result<u64> { Ok(fs::metadata(image.folder.join(name))?.len()) };
    let result = (|| {
        let middle = size("vmlinuz")? + size("initrd.zst")? + size("root.squashfs")? / 3;
        depot.arm(&["--on-sight"])?;
        let mut running = machine.boot(&network())?;
        let began = Instant::now();
        while depot.segment.sent(0)? < middle {
            ensure!(
                running.is_on() && began.elapsed() < Patience::BOOT.0,
                "the root image does not arrive"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        depot.segment.plug(0, false)?;
        let before = depot.segment.sent(0)?;
        let all = size("vmlinuz")? + size("initrd.zst")? + size("root.squashfs")?;
        ensure!(before < all, "it was over before the cable was pulled");
        std::thread::sleep(Duration::from_secs(90));
        depot.segment.plug(0, true)?;
        until_installed(&mut running)?;
        drop(running);
        depot.wait("installed")
    })();
    explain(&depot, &mut machine, result)
}

/// A clock battery that was empty, and one that ran away: certificates are judged by the depot's clock.
fn clocks(test: &Test, image: &Image) -> anyhow::Result<()> {
    for clock in ["1970-01-02T00:00:00", "2035-06-01T00:00:00"] {
        let depot = Depot::new(test.role, image, Dhcp::Own, |site| site)?;
        let mut machine = depot.machine(test.role, Firmware::Bios)?;
        let result = (|| {
            depot.arm(&["--on-sight"])?;
            let boot = Boot {
                clock: Some(clock.to_owned()),
                ..network()
            };
            install(&mut machine, &boot)?;
            depot.wait("installed")
        })();
        explain(&depot, &mut machine, result).context(clock)?;
    }
    Ok(())
}

/// No permit, a permit whose time is over, a permit for another board.
fn wrong(test: &Test, image: &Image) -> anyhow::Result<()> {
    let depot = Depot::new(test.role, image, Dhcp::Own, |site| site)?;
    let mut machine = depot.machine(test.role, Firmware::Bios)?;
    let result = (|| {
        is_sent_away(&depot, &mut machine).context("no permit")?;
        depot.arm(&["--on-sight", "--expires", "1s"])?;
        std::thread::sleep(Duration::from_secs(2));
        is_sent_away(&depot, &mut machine).context("a permit that is over")
    })();
    explain(&depot, &mut machine, result)?;
    let serial = machines::board_serial(test.role);
    let other = Depot::new(test.role, image, Dhcp::Own, |site| {
        site.replace(&serial, "ZM15AS999999")
    })?;
    let mut machine = other.machine(test.role, Firmware::Bios)?;
    let result = (|| {
        other.arm(&["--on-sight"])?;
        is_sent_away(&other, &mut machine).context("a permit for another board")
    })();
    explain(&other, &mut machine, result)
}

/// A byte of the root image turns over between the depot's look and the machine: the first process notices, and no disk changes.
fn flipped(test: &Test, image: &Image) -> anyhow::Result<()> {
    use std::os::unix::fs::FileExt as _;
    let depot = Depot::new(test.role, image, Dhcp::Own, |site| site)?;
    let mut machine = depot.machine(test.role, Firmware::Bios)?;
    let result = (|| {
        let root = depot
            .folder
            .join("out")
            .join(test.role)
            .join("1/root.squashfs");
        let file = fs::File::options().read(true).write(true).open(&root)?;
        let mut byte = [0];
        let middle = file.metadata()?.len() / 2;
        file.file().read_exact_at(&mut byte, middle)?;
        file.file().write_all_at(&[byte[0] ^ 1], middle)?;
        depot.arm(&["--on-sight"])?;
        let before = machine.fingerprints()?;
        let mut running = machine.boot(&network())?;
        let began = Instant::now();
        while !running.console(0).contains("the root image is damaged") {
            ensure!(
                running.is_on() && began.elapsed() < Patience::BOOT.0,
                "nobody said that the root image is damaged:\n{}",
                running.console(0)
            );
            std::thread::sleep(Duration::from_millis(500));
        }
        drop(running);
        ensure!(machine.fingerprints()? == before, "a disk changed");
        depot.wait("armed")
    })();
    explain(&depot, &mut machine, result)
}
