//! Logging in to a running appliance, to ask it what it thinks.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

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

impl Shell {
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
