//! Starts programs for the builder. One trait, so that a test can hand in a host that fails.

use std::io::Write;
use std::process::{Command as Process, Stdio};

use system::{Command, CommandError, Output};

/// Runs commands to their end.
pub trait Runner {
    /// Runs `command`; an exit code other than 0 is an error that quotes the line and the last KiB of stderr.
    fn run(&self, command: &Command) -> Result<Output, CommandError>;
}

/// The real host.
#[derive(Debug, Default, Clone, Copy)]
pub struct Host;

impl Runner for Host {
    fn run(&self, command: &Command) -> Result<Output, CommandError> {
        tracing::debug!(line = %quoted(command), "run");
        let start = |source| CommandError::Start {
            line: quoted(command),
            source,
        };
        let mut child = Process::new(&command.program)
            .args(&command.arguments)
            .stdin(if command.input.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(start)?;
        let writer = child
            .stdin
            .take()
            .zip(command.input.clone())
            .map(|(mut pipe, text)| {
                // A thread, because a program may write much before it has read everything.
                std::thread::spawn(move || {
                    let _ = pipe.write_all(text.as_bytes());
                })
            });
        let output = child.wait_with_output().map_err(start)?;
        if let Some(writer) = writer {
            let _ = writer.join();
        }
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            return Err(CommandError::Failed {
                line: quoted(command),
                status: status(output.status),
                stderr: tail(&stderr).to_owned(),
            });
        }
        Ok(Output {
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr,
        })
    }
}

/// A command from a program and its arguments.
pub fn command<A: Into<String>>(program: &str, arguments: impl IntoIterator<Item = A>) -> Command {
    Command {
        program: program.to_owned(),
        arguments: arguments.into_iter().map(Into::into).collect(),
        input: None,
    }
}

/// The line as a shell would take it.
fn quoted(command: &Command) -> String {
    let plain = |word: &str| {
        !word.is_empty()
            && word
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c))
    };
    std::iter::once(&command.program)
        .chain(&command.arguments)
        .map(|word| {
            if plain(word) {
                word.clone()
            } else {
                format!("'{}'", word.replace('\'', r"'\''"))
            }
        })
        .collect::<Vec<_>>()
        .join(" ")
}

fn status(status: std::process::ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "an unknown status".to_owned(),
    }
}

fn tail(text: &str) -> &str {
    let text = text.trim_end();
    let mut start = text.len().saturating_sub(1024);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_quotes_the_line_and_shows_the_last_kib() {
        let failing = command("sh", ["-c", "printf '%2000s' x >&2; exit 3"]);
        let message = Host.run(&failing).unwrap_err().to_string();
        assert!(message.starts_with(
            "`sh -c 'printf '\\''%2000s'\\'' x >&2; exit 3'` ended with exit code 3\n"
        ));
        assert!(message.len() < 1200);
    }

    #[test]
    fn input_reaches_the_program() {
        let mut cat = command("cat", Vec::<String>::new());
        cat.input = Some("one\ntwo\n".to_owned());
        assert_eq!(Host.run(&cat).unwrap().stdout, "one\ntwo\n");
    }
}
