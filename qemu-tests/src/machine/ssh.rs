//! Logging in to a running appliance, to ask it what it thinks.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;

use super::MachineError;
use super::segment::inside;

/// A key pair made for one test.
#[derive(Debug, Clone)]
pub struct KeyPair {
    /// Private key file.
    pub file: Utf8PathBuf,
    /// Public key, one line.
    pub public: String,
}

impl KeyPair {
    /// Makes one in `directory`.
    ///
    /// # Errors
    /// If ssh-keygen fails.
    pub fn make(directory: &Utf8Path) -> Result<Self, MachineError> {
        let file = directory.join("key");
        let output = Command::new("ssh-keygen")
            .args([
                "-q",
                "-t",
                "ed25519",
                "-N",
                "",
                "-C",
                "qemu-tests",
                "-f",
                file.as_str(),
            ])
            .output()?;
        if !output.status.success() {
            return Err(MachineError::Program {
                line: "ssh-keygen".to_owned(),
                reason: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            });
        }
        let public = fs::read_to_string(format!("{file}.pub"))?.trim().to_owned();
        Ok(Self { file, public })
    }
}

/// A way into a machine.
#[derive(Debug, Clone)]
pub struct Shell {
    /// Where it is reached.
    pub address: String,
    /// Port there.
    pub port: u16,
    /// Process in whose network namespace that is, if it is not ours.
    pub namespace: Option<u32>,
    /// Private key.
    pub key: Utf8PathBuf,
    /// Account.
    pub user: String,
}

/// What a remote command gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Exit status, 255 if ssh itself failed.
    pub status: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Between two log-ins that ask.
const PAUSE: Duration = Duration::from_secs(3);

/// What a machine is waited for with.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// What it does then, for people.
    pub what: &'a str,
    /// Ends well when it does.
    pub command: &'a str,
    /// Says in a few lines how far it is: the shortest way to the cause of a failure.
    pub look: &'a str,
}

impl Shell {
    /// Runs a command on machine `name`, which must end well. Gives what it prints.
    ///
    /// # Errors
    /// If it does not, or nobody answers in time.
    pub fn must(&self, name: &str, command: &str, patience: Duration) -> anyhow::Result<String> {
        let answer = self.run(command, patience)?;
        ensure!(
            answer.status == 0,
            "`{name}`: `{command}` ended with {}\n{}{}",
            answer.status,
            answer.stdout,
            answer.stderr
        );
        Ok(answer.stdout.trim().to_owned())
    }

    /// Asks machine `name` again and again until it does what is wished; says how long that took.
    ///
    /// # Errors
    /// If it does not in time: with what it said last, and what it says of itself.
    pub fn until(
        &self,
        name: &str,
        wish: Wish<'_>,
        patience: Duration,
    ) -> anyhow::Result<Duration> {
        let start = Instant::now();
        loop {
            // Asked several times for one login: an emulated machine spends seconds of its processor on each. Only the last
            // turn is heard.
            let turns = format!(
                "for turn in 1 2 3 4 5; do ( {0} ) > /dev/null 2>&1 && exit 0; sleep 4; done; ( {0} )",
                wish.command
            );
            let answer = self.run(&turns, patience)?;
            if answer.status == 0 {
                return Ok(start.elapsed());
            }
            if start.elapsed() > patience {
                let said = self.run(wish.look, patience)?;
                bail!(
                    "`{name}`: not {} after {} s: `{}` ended with {}\n{}{}\n{}",
                    wish.what,
                    patience.as_secs(),
                    wish.command,
                    answer.status,
                    answer.stdout,
                    answer.stderr,
                    said.stdout
                );
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Runs a command; tries again while nobody answers, up to `patience`.
    ///
    /// # Errors
    /// If nobody answers in time.
    pub fn run(&self, command: &str, patience: Duration) -> Result<Answer, MachineError> {
        let start = Instant::now();
        loop {
            let mut ssh = Command::new("ssh");
            ssh.args(["-i", self.key.as_str(), "-p", &self.port.to_string()])
                .args([
                    "-o",
                    "StrictHostKeyChecking=no",
                    "-o",
                    "UserKnownHostsFile=/dev/null",
                ])
                .args([
                    "-o",
                    "ConnectTimeout=20",
                    "-o",
                    "BatchMode=yes",
                    "-o",
                    "LogLevel=ERROR",
                ])
                .args(["-o", "IdentitiesOnly=yes", "-F", "none"])
                .arg(format!("{}@{}", self.user, self.address))
                .arg(command);
            let mut ssh = match self.namespace {
                Some(process) => inside(process, &ssh),
                None => ssh,
            };
            let output = ssh.stdin(Stdio::null()).output()?;
            let answer = Answer {
                status: output.status.code().unwrap_or(255),
                stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
                stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            };
            if answer.status != 255 {
                return Ok(answer);
            }
            if start.elapsed() > patience {
                return Err(MachineError::Program {
                    line: format!(
                        "ssh -p {} {}@{} {command}",
                        self.port, self.user, self.address
                    ),
                    reason: answer.stderr.trim().to_owned(),
                });
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    }
}
