//! Times one command as a whole: wall seconds, and CPU seconds of it and all its children.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, bail};
use nix::sys::resource::{UsageWho, getrusage};
use serde::{Deserialize, Serialize};

/// One measured command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// Wall-clock seconds.
    pub wall: f64,
    /// User and system seconds of the command and its reaped children.
    pub cpu: f64,
    /// Bytes of the result, where it has one.
    pub bytes: Option<u64>,
}

/// Runs `command`; its output goes to standard error, so that standard output stays ours.
///
/// # Errors
/// If it cannot be started or ends with an error.
pub fn time(name: &str, command: &mut Command) -> anyhow::Result<Figure> {
    let before = children_cpu()?;
    let start = Instant::now();
    let status = command
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status()
        .with_context(|| format!("cannot start {command:?}"))?;
    let wall = start.elapsed().as_secs_f64();
    if !status.success() {
        bail!("`{name}` ended with {status}: {command:?}");
    }
    Ok(Figure {
        name: name.to_owned(),
        wall,
        cpu: children_cpu()? - before,
        bytes: None,
    })
}

/// CPU seconds of all children waited for so far (getrusage(2), `RUSAGE_CHILDREN`).
fn children_cpu() -> anyhow::Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("getrusage failed")?;
    let seconds = |value: nix::sys::time::TimeVal| {
        value.tv_sec() as f64 + value.tv_usec() as f64 / 1_000_000.0
    };
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_works_takes_time_and_cpu() {
        let mut command = Command::new("sh");
        command.args(["-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"]);
        let figure = time("loop", &mut command).unwrap();
        assert!(figure.cpu > 0.0 && figure.wall > 0.0, "{figure:?}");
    }

    #[test]
    fn a_command_that_fails_is_an_error() {
        let error = time("no", Command::new("sh").args(["-c", "exit 3"])).unwrap_err();
        assert!(error.to_string().contains("exit status: 3"), "{error}");
    }
}
