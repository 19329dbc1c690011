//! One boot of a machine: follows its events, ends with it.

use std::collections::VecDeque;
use std::process::Command;
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use fs_err as fs;
use run::event::{Event, Record};

use super::files::Run;
use super::process::Process;
use super::{Boot, Events, Files, MachineError, Network, Qmp, Specification, arguments, segment};

/// Console lines in an error.
const TAIL: usize = 40;

/// A machine that is switched on; switched off when dropped.
#[derive(Debug)]
pub struct Running {
    /// Machine name.
    pub name: String,
    /// When it was switched on.
    pub since: Instant,
    run: Run,
    process: Process,
    events: Events,
    waiting: VecDeque<Record>,
    seen: Vec<Record>,
}

/// How long to wait; emulation on a busy host is slow.
#[derive(Debug, Clone, Copy)]
pub struct Patience(pub Duration);

impl Patience {
    /// For a boot up to the first event.
    pub const BOOT: Self = Self(Duration::from_secs(600));
    /// For one step of an install, and everything that may pass without an event.
    pub const STEP: Self = Self(Duration::from_secs(900));
    /// From power-on to a health event.
    pub const HEALTH: Self = Self(Duration::from_secs(1200));
}

impl Running {
    pub(super) fn start(
        specification: &Specification,
        files: &Files,
        boot: &Boot,
        number: u32,
    ) -> Result<Self, MachineError> {
        let run = files.run(number);
        let mut command = Command::new("qemu-system-x86_64");
        command.args(arguments(specification, files, boot, number));
        let namespace = specification.nics.iter().find_map(|nic| match nic.network {
            Network::Tap { namespace, .. } => Some(namespace),
            _ => None,
        });
        if let Some(namespace) = namespace {
            command = segment::inside(namespace, &command);
        }
        let log = fs::File::create(&run.messages)?;
        let process = Process::start_logged(&command, Some(log))?;
        Ok(Self {
            name: specification.name.clone(),
            since: Instant::now(),
            events: Events::new(run.events.clone()),
            run,
            process,
            waiting: VecDeque::new(),
            seen: Vec::new(),
        })
    }

    /// Waits for the next event, up to `patience`; `None` if the machine switched itself off (or rebooted).
    ///
    /// # Errors
    /// If the deadline passes, or the kernel panicked.
    pub fn next(
        &mut self,
        waited: &str,
        patience: Patience,
    ) -> Result<Option<Record>, MachineError> {
        let start = Instant::now();
        let mut looked = start;
        loop {
            // First whether it ended, then what it said: so its last words are not lost.
            let exited = self.process.exited();
            self.waiting.extend(self.events.poll()?);
            if let Some(record) = self.waiting.pop_front() {
                self.seen.push(record.clone());
                return Ok(Some(record));
            }
            if exited {
                return Ok(None);
            }
            if start.elapsed() > patience.0 {
                return Err(MachineError::Late {
                    machine: self.name.clone(),
                    waited: waited.to_owned(),
                    seconds: patience.0.as_secs(),
                    report: self.report(),
                });
            }
            if looked.elapsed() > Duration::from_secs(2) {
                looked = Instant::now();
                if let Some(line) = self.panicked() {
                    return Err(self.guest(waited, &line));
                }
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until `choose` picks an event; others are passed to it and dropped.
    ///
    /// # Errors
    /// If the machine ends first, or is too slow (`patience` from one event to the next).
    pub fn wait_for<T>(
        &mut self,
        waited: &str,
        patience: Patience,
        mut choose: impl FnMut(&Event) -> Option<T>,
    ) -> Result<T, MachineError> {
        while let Some(record) = self.next(waited, patience)? {
            if let Some(chosen) = choose(&record.event) {
                return Ok(chosen);
            }
        }
        Err(MachineError::Ended {
            machine: self.name.clone(),
            waited: waited.to_owned(),
            report: self.report(),
        })
    }

    /// Waits until the machine has switched itself off or rebooted (which ends it, too).
    ///
    /// # Errors
    /// If it takes longer than `patience` after its last event.
    pub fn wait_for_end(&mut self, patience: Patience) -> Result<(), MachineError> {
        while self.next("its end", patience)?.is_some() {}
        Ok(())
    }

    /// A failure told by the guest, with the usual report.
    #[must_use]
    pub fn guest(&self, waited: &str, reason: &str) -> MachineError {
        MachineError::Guest {
            machine: self.name.clone(),
            waited: waited.to_owned(),
            reason: reason.to_owned(),
            report: self.report(),
        }
    }

    /// Everything the guest said so far.
    #[must_use]
    pub fn seen(&self) -> &[Record] {
        &self.seen
    }

    /// Everything the guest said so far, also what nobody waited for.
    ///
    /// # Errors
    /// If what it said cannot be read.
    pub fn heard(&mut self) -> Result<&[Record], MachineError> {
        self.waiting.extend(self.events.poll()?);
        self.seen.extend(self.waiting.drain(..));
        Ok(&self.seen)
    }

    /// Control socket.
    ///
    /// # Errors
    /// If QEMU does not answer within a minute.
    pub fn qmp(&self) -> Result<Qmp, MachineError> {
        let start = Instant::now();
        loop {
            match Qmp::connect(&self.run.qmp) {
                Err(_) if start.elapsed() < Duration::from_secs(60) => {
                    std::thread::sleep(Duration::from_millis(100))
                }
                answer => return answer,
            }
        }
    }

    /// Socket of serial port 0 or 1.
    #[must_use]
    pub fn serial(&self, port: usize) -> Utf8PathBuf {
        if port == 0 {
            self.run.serial0.clone()
        } else {
            self.run.serial1.clone()
        }
    }

    /// Whole text of serial port 0 or 1 so far.
    #[must_use]
    pub fn console(&self, port: usize) -> String {
        let file = if port == 0 {
            &self.run.console0
        } else {
            &self.run.console1
        };
        let bytes = fs::read(file).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Pulls the plug.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Lets other machines have the processor, so many steps of nice(2) behind this program.
    pub fn stand_back(&self, steps: i32) {
        self.process.stand_back(steps);
    }

    /// Still on?
    pub fn is_on(&mut self) -> bool {
        !self.process.exited()
    }

    fn panicked(&self) -> Option<String> {
        let console = self.console(0);
        let line = console
            .lines()
            .find(|line| line.contains("Kernel panic - not syncing"))?;
        Some(line.trim().to_owned())
    }

    /// What QEMU said, the last events, the last console lines, and where the rest is.
    fn report(&self) -> String {
        let mut report = String::new();
        let mut section = |title: &str, text: &str, lines: usize| {
            let all: Vec<&str> = text
                .lines()
                .map(str::trim_end)
                .filter(|line| !line.is_empty())
                .collect();
            if !all.is_empty() {
                report.push_str(&format!("\n--- {title}"));
                for line in all.iter().skip(all.len().saturating_sub(lines)) {
                    report.push_str(&format!("\n{}", printable(line)));
                }
            }
        };
        section(
            "QEMU said",
            &fs::read_to_string(&self.run.messages).unwrap_or_default(),
            10,
        );
        let events: Vec<String> = self
            .seen
            .iter()
            .filter_map(|record| serde_json::to_string(&record.event).ok())
            .collect();
        section("last events", &events.join("\n"), 5);
        section("strange event lines", &self.events.strange.join("\n"), 3);
        section(
            &format!("last console lines (whole log: {})", self.run.console0),
            &self.console(0),
            TAIL,
        );
        report
    }
}

/// Without escape sequences, so that a guest's log cannot repaint our terminal.
fn printable(line: &str) -> String {
    let mut text = String::new();
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            // CSI: parameters up to a final byte in 0x40..0x7e (ECMA-48).
            if characters.next_if_eq(&'[').is_some() {
                while characters
                    .next()
                    .is_some_and(|next| !('@'..='~').contains(&next))
                {}
            }
        } else if !character.is_control() {
            text.push(character);
        }
    }
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_do_not_reach_the_report() {
        assert_eq!(
            printable("\u{1b}[1;32m  OK  \u{1b}[0m started\r\u{7}"),
            "  OK   started"
        );
    }
}
