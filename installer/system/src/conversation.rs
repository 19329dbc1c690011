//! A command that stays and is asked again and again: a client whose start costs more than what it is asked.

use std::{
    io::Write,
    process::{Child, ChildStdin, ExitStatus},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::{Duration, Instant},
};

use crate::{
    command::{Command, CommandError, tail},
    process::{Stream, describe, forward, kill_group, start},
};

/// A running command that answers what is said to it.
pub trait Conversation: Send {
    /// Says `text` and gives all lines of standard output until one that is `end`, without that one.
    ///
    /// # Errors
    /// The command ended, or did not answer within `limit`. It is of no use after that.
    fn say(&mut self, text: &str, end: &str, limit: Duration) -> Result<String, CommandError>;
}

/// With a process; it is killed when this is dropped.
pub(crate) struct Spoken {
    line: String,
    child: Child,
    input: ChildStdin,
    output: Receiver<(Stream, Vec<u8>)>,
}

impl Spoken {
    pub(crate) fn start(command: &Command) -> Result<Self, CommandError> {
        let line = command.to_string();
        tracing::debug!(command = %line, "converse");
        let failed = |cause| CommandError::Start {
            line: line.clone(),
            cause,
        };
        // With an input it has a pipe, with a timeout a process group of its own.
        let piped = command.clone().input("").timeout(Duration::ZERO);
        let mut child = start(&piped).map_err(failed)?;
        let (sender, output) = channel();
        if let Some(pipe) = child.stdout.take() {
            forward(pipe, Stream::Stdout, sender.clone());
        }
        if let Some(pipe) = child.stderr.take() {
            forward(pipe, Stream::Stderr, sender);
        }
        let Some(input) = child.stdin.take() else {
            return Err(failed(std::io::ErrorKind::BrokenPipe.into()));
        };
        Ok(Self {
            line,
            child,
            input,
            output,
        })
    }

    /// Ends the process and gives its status. Who was waited for is not killed again: its number may be somebody else's by now.
    fn end(&mut self) -> std::io::Result<ExitStatus> {
        if self.child.try_wait()?.is_none() {
            kill_group(&self.child);
        }
        self.child.wait()
    }

    fn failed(&mut self, status: Option<String>, stderr: &str) -> CommandError {
        let ended = self.end();
        let status = status.unwrap_or_else(|| match ended {
            Ok(status) => describe(status),
            Err(error) => error.to_string(),
        });
        CommandError::Failed {
            line: self.line.clone(),
            status,
            stderr: tail(stderr),
        }
    }
}

impl Conversation for Spoken {
    fn say(&mut self, text: &str, end: &str, limit: Duration) -> Result<String, CommandError> {
        let began = Instant::now();
        // If it ended, what it said last is still to be read, and then its status.
        drop(self.input.write_all(text.as_bytes()));
        let (mut stdout, mut stderr) = (String::new(), String::new());
        loop {
            match self
                .output
                .recv_timeout(limit.saturating_sub(began.elapsed()))
            {
                Ok((Stream::Stderr, bytes)) => stderr.push_str(&String::from_utf8_lossy(&bytes)),
                Ok((Stream::Stdout, bytes)) => {
                    let line = String::from_utf8_lossy(&bytes);
                    if line.trim_end_matches('\n') == end {
                        return Ok(stdout);
                    }
                    stdout.push_str(&line);
                }
                Err(RecvTimeoutError::Timeout) => {
                    let status = format!("timeout after {} s", limit.as_secs_f32());
                    return Err(self.failed(Some(status), &stderr));
                }
                Err(RecvTimeoutError::Disconnected) => return Err(self.failed(None, &stderr)),
            }
        }
    }
}

impl Drop for Spoken {
    fn drop(&mut self) {
        self.end().ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    fn spoken(script: &str) -> Spoken {
        Spoken::start(&Command::new("sh").args(["-c", script])).unwrap()
    }

    #[test]
    fn one_process_answers_many_times() {
        let mut spoken =
            spoken("n=0; while read line; do n=$((n+1)); echo $n $line; echo end; done");
        for answer in ["1 a\n", "2 a\n", "3 a\n"] {
            assert_eq!(spoken.say("a\n", "end", LIMIT).unwrap(), answer);
        }
    }

    #[test]
    fn its_end_and_its_silence_are_errors() {
        let mut ended = spoken("read line; echo half; echo no server >&2; exit 3");
        insta::assert_snapshot!(ended.say("a\n", "end", LIMIT).unwrap_err(), @"
        `sh -c 'read line; echo half; echo no server >&2; exit 3'` ended with exit code 3
        no server
        ");
        ended.say("a\n", "end", LIMIT).unwrap_err();
        let began = Instant::now();
        let mut silent = spoken("sleep 60 & sleep 60");
        insta::assert_snapshot!(silent.say("a\n", "end", Duration::from_millis(200)).unwrap_err(), @"`sh -c 'sleep 60 & sleep 60'` ended with timeout after 0.2 s");
        assert!(began.elapsed() < LIMIT);
    }
}
