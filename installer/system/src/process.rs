//! Runs one external command to its end. Processes are started here only.

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Child, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use crate::command::{Command, CommandError, Output, tail};
use crate::live::Live;

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Puts a command in this process's place, with its environment, standard input and output as they are: for streams of
/// binary data between this process's ends. Comes back only with the reason why it did not work.
pub fn replace(command: &Command) -> CommandError {
    let mut program = std::process::Command::new(&command.program);
    program.args(&command.arguments);
    CommandError::Start {
        line: command.to_string(),
        cause: program.exec(),
    }
}

impl Live {
    /// Runs a command to its end.
    pub fn run(&self, command: &Command) -> Result<Output, CommandError> {
        self.run_lines(command, &mut |_, _| {})
    }

    /// Runs a command and hands over each line as it comes, without its line end; for progress bars and logs.
    pub fn run_lines(
        &self,
        command: &Command,
        on_line: &mut dyn FnMut(Stream, &str),
    ) -> Result<Output, CommandError> {
        let line = command.to_string();
        tracing::debug!(command = %line, "run");
        let mut child = start(command).map_err(|cause| CommandError::Start {
            line: line.clone(),
            cause,
        })?;
        let started = Instant::now();
        let (sender, receiver) = mpsc::channel();
        if let Some(pipe) = child.stdout.take() {
            forward(pipe, Stream::Stdout, sender.clone());
        }
        if let Some(pipe) = child.stderr.take() {
            forward(pipe, Stream::Stderr, sender);
        }
        feed(&mut child, command.input.clone());

        let mut output = Output::default();
        let mut timed_out = false;
        loop {
            let received = match command.timeout.filter(|_| !timed_out) {
                Some(limit) => receiver.recv_timeout(limit.saturating_sub(started.elapsed())),
                None => receiver
                    .recv()
                    .map_err(|_| mpsc::RecvTimeoutError::Disconnected),
            };
            match received {
                Ok((stream, bytes)) => {
                    let text = String::from_utf8_lossy(&bytes);
                    on_line(stream, text.trim_end_matches(['\n', '\r']));
                    match stream {
                        Stream::Stdout => output.stdout.push_str(&text),
                        Stream::Stderr => output.stderr.push_str(&text),
                    }
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    timed_out = true;
                    kill_group(&child);
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
        }
        let status = wait(
            &mut child,
            command
                .timeout
                .map(|limit| limit.saturating_sub(started.elapsed())),
            &mut timed_out,
        )
        .map_err(|cause| CommandError::Start {
            line: line.clone(),
            cause,
        })?;
        if status.success() && !timed_out {
            return Ok(output);
        }
        let status = match (timed_out, command.timeout) {
            (true, Some(limit)) => format!("timeout after {} s", limit.as_secs_f32()),
            _ => describe(status),
        };
        Err(CommandError::Failed {
            line,
            status,
            stderr: tail(&output.stderr),
        })
    }
}

/// Runs a command on this program's own terminal, until it ends: a shell, a program that asks. Gives its exit code, 1 if a
/// signal ended it.
///
/// # Errors
/// If it cannot be started.
pub fn on_terminal(command: &Command) -> Result<i32, CommandError> {
    let status = std::process::Command::new(&command.program)
        .args(&command.arguments)
        .envs(
            command
                .environment
                .iter()
                .map(|(name, value)| (name, value)),
        )
        .status()
        .map_err(|cause| CommandError::Start {
            line: command.to_string(),
            cause,
        })?;
    Ok(status.code().unwrap_or(1))
}

pub(crate) fn start(command: &Command) -> std::io::Result<Child> {
    let mut process = std::process::Command::new(&command.program);
    process
        .args(&command.arguments)
        .env("LC_ALL", "C")
        .envs(
            command
                .environment
                .iter()
                .map(|(name, value)| (name, value)),
        )
        .stdin(if command.input.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(directory) = &command.directory {
        process.current_dir(directory);
    }
    if command.timeout.is_some() {
        // A group of its own, so that the timeout also ends what the command started. Without a timeout it stays in
        // ours, so that Ctrl-C reaches it.
        process.process_group(0);
    }
    process.spawn()
}

/// Reads a pipe to its end in a thread of its own: two pipes read one after the other can block for ever.
pub(crate) fn forward(
    pipe: impl Read + Send + 'static,
    stream: Stream,
    sender: mpsc::Sender<(Stream, Vec<u8>)>,
) {
    thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        loop {
            let mut line = Vec::new();
            match reader.read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => break,
                Ok(_) if sender.send((stream, line)).is_err() => break,
                Ok(_) => {}
            }
        }
    });
}

fn feed(child: &mut Child, input: Option<String>) {
    if let (Some(mut pipe), Some(text)) = (child.stdin.take(), input) {
        thread::spawn(move || {
            // A command may end without reading all of it: its exit status tells.
            pipe.write_all(text.as_bytes()).ok();
        });
    }
}

/// Waits for the end; a command that closed its pipes and still runs is subject to the timeout too.
fn wait(
    child: &mut Child,
    left: Option<Duration>,
    timed_out: &mut bool,
) -> std::io::Result<ExitStatus> {
    if let Some(left) = left {
        let deadline = Instant::now() + left;
        while Instant::now() < deadline {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(5));
        }
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        *timed_out = true;
        kill_group(child);
    }
    child.wait()
}

pub(crate) fn kill_group(child: &Child) {
    if let Ok(id) = i32::try_from(child.id()) {
        nix::sys::signal::killpg(
            nix::unistd::Pid::from_raw(id),
            nix::sys::signal::Signal::SIGKILL,
        )
        .ok();
    }
}

pub(crate) fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "an unknown status".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_input_and_locale() {
        let command = Command::new("sh")
            .args(["-c", "cat; echo $LC_ALL $X >&2"])
            .input("text")
            .env("X", "1");
        let output = Live.run(&command).unwrap();
        assert_eq!(
            (output.stdout.as_str(), output.stderr.as_str()),
            ("text", "C 1\n")
        );
    }

    #[test]
    fn failures_show_the_line_and_the_error_text() {
        let error = Live
            .run(&Command::new("sh").args(["-c", "echo no such thing >&2; exit 3"]))
            .unwrap_err();
        insta::assert_snapshot!(error, @r"
        `sh -c 'echo no such thing >&2; exit 3'` ended with exit code 3
        no such thing
        ");
        let error = Live
            .run(&Command::new("no-such-program").arg("a b"))
            .unwrap_err();
        insta::assert_snapshot!(error, @"cannot start `no-such-program 'a b'`: No such file or directory (os error 2)");
    }

    #[test]
    fn a_timeout_ends_the_command_and_what_it_started() {
        for script in ["sleep 60 & sleep 60", "exec >&- 2>&-; sleep 60"] {
            let started = Instant::now();
            let command = Command::new("sh")
                .args(["-c", script])
                .timeout(Duration::from_millis(200));
            let error = Live.run(&command).unwrap_err();
            assert!(error.to_string().contains("timeout after 0.2 s"), "{error}");
            assert!(started.elapsed() < Duration::from_secs(10));
        }
    }
}
