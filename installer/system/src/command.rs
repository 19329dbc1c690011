//! One external command: what to start, what came back, and an error that shows the quoted line and the last KiB of stderr.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A command line. Secrets never go into arguments; give them as `input`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Program name, looked up in PATH.
    pub program: String,
    /// Arguments.
    pub arguments: Vec<String>,
    /// Standard input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// Environment variables on top of the caller's own; `LC_ALL=C` is always set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<(String, String)>,
    /// Working directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// Killed after this long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
}

impl Command {
    /// A command without arguments.
    pub fn new(program: impl Into<String>) -> Self {
        Self {
            program: program.into(),
            ..Self::default()
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<I, S>(mut self, arguments: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Gives standard input; without it, standard input is empty.
    #[must_use]
    pub fn input(mut self, text: impl Into<String>) -> Self {
        self.input = Some(text.into());
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn current_dir(mut self, directory: impl Into<String>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Kills the command, with all it started, after this long.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl std::fmt::Display for Command {
    /// The line as one would type it in a POSIX shell; input and environment are left out.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&quote(&self.program))?;
        for argument in &self.arguments {
            write!(formatter, " {}", quote(argument))?;
        }
        Ok(())
    }
}

/// Quotes a word for a POSIX shell, only where it is needed.
pub fn quote(word: &str) -> String {
    let plain =
        |character: char| character.is_ascii_alphanumeric() || "-_./=:,@%+".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// What a command that ended well wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// Standard output, lossy UTF-8.
    pub stdout: String,
    /// Standard error, lossy UTF-8.
    pub stderr: String,
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It could not be started.
    #[error("cannot start `{line}`: {cause}")]
    Start {
        /// Quoted command line.
        line: String,
        /// Cause; part of the message, so it is not repeated as a source.
        cause: std::io::Error,
    },
    /// It ended with an error.
    #[error("`{line}` ended with {status}\n{stderr}")]
    Failed {
        /// Quoted command line.
        line: String,
        /// `exit code 1`, `signal 9` or `timeout after 30 s`.
        status: String,
        /// Last KiB of standard error.
        stderr: String,
    },
}

/// How much of standard error an error shows.
const SHOWN: usize = 1024;

/// The last KiB of a text, cut at a character.
pub fn tail(text: &str) -> String {
    let text = text.trim_end();
    let mut start = text.len().saturating_sub(SHOWN);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text[start..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_quoted_like_a_shell() {
        let table: &[(&[&str], &str)] = &[
            (
                &["mdadm", "--create", "/dev/md/os"],
                "mdadm --create /dev/md/os",
            ),
            (&["echo", ""], "echo ''"),
            (&["echo", "a b"], "echo 'a b'"),
            (&["echo", "it's"], r"echo 'it'\''s'"),
            (&["echo", "$HOME;*"], "echo '$HOME;*'"),
            (&["echo", "~"], "echo '~'"),
        ];
        for (words, expected) in table {
            let command = Command::new(words[0]).args(words[1..].iter().copied());
            assert_eq!(command.to_string(), *expected);
        }
    }

    #[test]
    fn the_tail_is_at_most_one_kib_and_whole_characters() {
        let long = "ä".repeat(2000);
        assert!(tail(&long).len() <= SHOWN);
        assert_eq!(tail("short\n"), "short");
        let odd = format!("{}x", "ä".repeat(1000));
        assert!(tail(&odd).ends_with('x'));
    }
}
