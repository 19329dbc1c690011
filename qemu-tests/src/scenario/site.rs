//! A machine with its medium and node file, from bare metal to healthy.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use camino::Utf8PathBuf;
use fs_err as fs;
use roles::NodeFile;
use run::event::{Event, Outcome, Record};

use crate::images::Image;
use crate::machine::{
    Boot, Builder, Fingerprint, Firmware, KeyPair, Machine, Medium, MediumKind, Patience, Running,
    Shell, add_node_file, fingerprint, make_stick,
};
use crate::{machines, node};

/// How a role is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    /// Firmware of the machine.
    pub firmware: Firmware,
    /// What it boots from.
    pub medium: MediumKind,
    /// Where the node file is.
    pub node: NodePlace,
}

/// Where the node file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodePlace {
    /// On the partition `RACKWRIGHT` of the medium.
    Medium,
    /// On a second stick.
    Stick,
    /// Nowhere: the test does it its own way.
    Nowhere,
}

/// How long things took.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Timings {
    /// Power-on to the installer's first event.
    pub to_first_event: Duration,
    /// Plan to end of the install.
    pub install: Duration,
    /// Power-on to the health event.
    pub to_healthy: Duration,
}

/// A machine with its medium and node file.
pub struct Site {
    /// Role.
    pub role: String,
    /// The machine.
    pub machine: Machine,
    /// Its node file.
    pub node: NodeFile,
    /// How it is installed.
    pub case: Case,
    /// A way in, once it runs.
    pub shell: Shell,
    /// Figures so far.
    pub timings: Timings,
    /// Private copy of the medium.
    pub medium: Utf8PathBuf,
    stick: Option<Utf8PathBuf>,
    canary: Fingerprint,
}

/// Media of a boot and what they held before it.
#[derive(Debug)]
pub struct Media(Vec<(Utf8PathBuf, Fingerprint)>);

impl Media {
    /// Reads them.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn of(boot: &Boot) -> anyhow::Result<Self> {
        let read = |image: &Utf8PathBuf| anyhow::Ok((image.clone(), fingerprint(image)?));
        let media = boot.media.iter().map(|medium| read(&medium.image));
        Ok(Self(media.collect::<Result<_, _>>()?))
    }
}

impl Site {
    /// The reference machine of `role` and `image` as medium. `adjust` changes the machine before it is made, `edit` the
    /// node file before it is written.
    ///
    /// # Errors
    /// If a file cannot be made.
    pub fn new(
        role: &str,
        image: &Image,
        case: Case,
        adjust: impl FnOnce(Builder) -> Builder,
        edit: impl FnOnce(&mut NodeFile),
    ) -> anyhow::Result<Self> {
        let port = free_port()?;
        let machine = adjust(machines::reference(role, case.firmware, Some(port))).build()?;
        machine.fill_with_pattern(machines::CANARY)?;
        let canary = machine.fingerprint(machines::CANARY)?;
        let key = KeyPair::make(&machine.files.directory)?;
        let mut file = node::node_file(role, &format!("permit-{role}-1"), &key.public);
        edit(&mut file);
        let medium = machine.file("medium");
        fs::copy(&image.iso, &medium)?;
        let shell = Shell {
            address: "127.0.0.1".to_owned(),
            port,
            namespace: None,
            key: key.file,
            user: file
                .access
                .user
                .clone()
                .unwrap_or_else(|| "admin".to_owned()),
        };
        let mut site = Self {
            role: role.to_owned(),
            machine,
            node: file,
            case,
            shell,
            timings: Timings::default(),
            medium,
            stick: None,
            canary,
        };
        let text = node::text(&site.node)?;
        site.write_node_file(&text)?;
        Ok(site)
    }

    /// Puts this text where the case wants the node file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_node_file(&mut self, text: &str) -> anyhow::Result<()> {
        match self.case.node {
            NodePlace::Medium => add_node_file(&self.medium, text)?,
            NodePlace::Stick => {
                let stick = self.machine.file("stick");
                make_stick(&stick, text)?;
                self.stick = Some(stick);
            }
            NodePlace::Nowhere => {}
        }
        Ok(())
    }

    /// The boot of the install medium.
    #[must_use]
    pub fn medium_boot(&self) -> Boot {
        let medium = Medium {
            kind: self.case.medium,
            image: self.medium.clone(),
        };
        let stick = self.stick.clone().map(|image| Medium {
            kind: MediumKind::Usb,
            image,
        });
        Boot {
            media: std::iter::once(medium).chain(stick).collect(),
            ..Boot::default()
        }
    }

    /// Installs from the medium, up to the reboot. Afterwards neither medium nor canary has changed.
    ///
    /// # Errors
    /// If the install does not end well.
    pub fn install(&mut self, watch: &mut dyn FnMut(&Record)) -> anyhow::Result<()> {
        let boot = self.medium_boot();
        self.install_with(&boot, watch)
    }

    /// As [`Self::install`], with a boot of the caller's making.
    ///
    /// # Errors
    /// If the install does not end well.
    pub fn install_with(
        &mut self,
        boot: &Boot,
        watch: &mut dyn FnMut(&Record),
    ) -> anyhow::Result<()> {
        let media = Media::of(boot)?;
        let mut running = self.machine.boot(boot)?;
        let mut planned = None;
        loop {
            let first = running.seen().is_empty();
            let record = running.next(
                "end of the install",
                if first {
                    Patience::BOOT
                } else {
                    Patience::STEP
                },
            );
            let Some(record) = self.explain(record, &mut running)? else {
                let error = running.guest(
                    "end of the install",
                    "it ended or restarted before it said how the install went",
                );
                return self.explain(Err(error), &mut running);
            };
            if first {
                self.timings.to_first_event = running.since.elapsed();
            }
            watch(&record);
            match &record.event {
                Event::Planned { .. } => planned = Some(Instant::now()),
                Event::Ended {
                    outcome: Outcome::Done,
                    ..
                } => break,
                Event::Failed { error, .. } => {
                    let error = running.guest("end of the install", error);
                    return self.explain(Err(error), &mut running);
                }
                Event::Ended { message, .. } => {
                    let error = running.guest("end of the install", message);
                    return self.explain(Err(error), &mut running);
                }
                _ => {}
            }
        }
        self.timings.install = planned.map(|at| at.elapsed()).unwrap_or_default();
        let ended = running.wait_for_end(Patience::STEP);
        self.explain(ended, &mut running)?;
        drop(running);
        self.are_unchanged(&media)?;
        self.canary_is_untouched()
    }

    /// Whoever pulls the plug, too, finds his medium as it was.
    ///
    /// # Errors
    /// If a medium differs from before.
    pub fn are_unchanged(&mut self, media: &Media) -> anyhow::Result<()> {
        for (file, before) in &media.0 {
            if fingerprint(file)? != *before {
                // The bytes that changed say who wrote them: keep everything.
                self.machine.keep();
                bail!("the medium `{file}` changed during the install; it is kept");
            }
        }
        Ok(())
    }

    /// Boots without any medium and waits for health; gives the machine, still on, and its status.
    ///
    /// # Errors
    /// If it is not healthy.
    pub fn start(
        &mut self,
        boot: &Boot,
        watch: &mut dyn FnMut(&Record),
    ) -> anyhow::Result<(Running, serde_json::Value)> {
        let mut running = self.machine.boot(boot)?;
        let health = running.wait_for("health", Patience::HEALTH, |event| match event {
            Event::Health { healthy, status } => Some((*healthy, status.clone())),
            _ => None,
        });
        let (healthy, status) = self.explain(health, &mut running)?;
        running.seen().iter().for_each(&mut *watch);
        if boot.without.is_empty() {
            self.timings.to_healthy = running.since.elapsed();
        }
        if !healthy {
            let failed: Vec<String> = status["checks"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|check| check["result"] != "pass")
                .map(|check| {
                    format!(
                        "{}: {}",
                        check["name"].as_str().unwrap_or("?"),
                        check["detail"].as_str().unwrap_or("?")
                    )
                })
                .collect();
            let error = running.guest(
                "health",
                &format!("it says it is not healthy: {}", failed.join("; ")),
            );
            self.explain(Err(error), &mut running)?;
        }
        self.canary_is_untouched()?;
        Ok((running, status))
    }

    /// Boots from the disks in `firmware`, with fresh firmware variables and without the named disks; must be healthy.
    ///
    /// # Errors
    /// If it is not healthy.
    pub fn survives(&mut self, firmware: Firmware, without: &[&str]) -> anyhow::Result<()> {
        self.machine.wipe_variables()?;
        let without: BTreeSet<String> = without.iter().map(|name| (*name).to_owned()).collect();
        let what = format!("{firmware:?} boot with wiped variables, pulled: {without:?}");
        let boot = Boot {
            without,
            firmware: Some(firmware),
            ..Boot::default()
        };
        self.start(&boot, &mut |_| {}).context(what).map(drop)
    }

    /// The disk that no plan names is as it was.
    ///
    /// # Errors
    /// If it is not.
    pub fn canary_is_untouched(&self) -> anyhow::Result<()> {
        ensure!(
            self.machine.fingerprint(machines::CANARY)? == self.canary,
            "the canary disk was written to: it is in no plan"
        );
        Ok(())
    }

    /// On an error: keeps the console logs (not the disks) and passes the error on.
    ///
    /// # Errors
    /// The one it was given.
    pub fn explain<T, E: Into<anyhow::Error>>(
        &mut self,
        result: Result<T, E>,
        running: &mut Running,
    ) -> anyhow::Result<T> {
        match result {
            Ok(value) => Ok(value),
            Err(error) => {
                running.kill();
                self.machine.keep_logs();
                Err(error.into())
            }
        }
    }
}

/// A TCP port of 127.0.0.1 that nobody uses now.
fn free_port() -> anyhow::Result<u16> {
    let listener =
        std::net::TcpListener::bind("127.0.0.1:0").context("no free port on 127.0.0.1")?;
    Ok(listener.local_addr()?.port())
}

/// The `status --json` document says what it must of a machine after its first boot.
///
/// # Errors
/// If it does not.
pub fn check_status(role: &str, status: &serde_json::Value) -> anyhow::Result<()> {
    for (key, wanted) in [
        ("role", role),
        ("mode", "run"),
        ("slot", "a"),
        ("state", "installed"),
    ] {
        let found = &status[key];
        if *found != wanted {
            bail!("status says `{key}` is {found}, expected `{wanted}`");
        }
    }
    Ok(())
}
