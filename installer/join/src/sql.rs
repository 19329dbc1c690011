//! SQL by the `mariadb` client over the server's own socket, as its `root` by unix_socket: no password is anywhere.

use std::time::Duration;

use camino::Utf8Path;
use system::{Command, CommandError, Conversation, System};

/// The server's socket (Debian's).
pub const SOCKET: &str = "/run/mysqld/mysqld.sock";

/// Seconds that a look may take. A server that hangs is noticed sooner, by the age of the last look (`endpoint/answer.rs`); a server
/// that is slow must not look like one that is off: with 2 s to log in and 3 s in all, a member with a quarter of an emulated
/// processor ran for seven minutes and its join said that it waits for it to start (2026-11-30).
pub const LOOK: u64 = 15;

/// Runs statements; gives the rows of all of them, each as its columns. Statements go by standard input, so what stands in
/// them is in no process list.
///
/// # Errors
/// The client's words: no server, or a statement failed.
pub fn run(
    system: &dyn System,
    statements: &str,
    seconds: u64,
) -> Result<Vec<Vec<String>>, String> {
    once(system, &["--skip-column-names"], statements, seconds).map(|text| rows(&text))
}

/// Runs one statement that gives at most one row of many columns; gives name and value of each.
///
/// # Errors
/// As [`run`].
pub fn columns(system: &dyn System, statement: &str) -> Result<Vec<Vec<String>>, String> {
    let text = once(system, &["--vertical"], statement, LOOK)?;
    Ok(text
        .lines()
        .filter_map(|line| line.trim_start().split_once(": "))
        .map(|(name, value)| vec![name.to_owned(), value.to_owned()])
        .collect())
}

/// Ends an answer of a client that stays; no row that is asked for looks like it.
const END: &str = "rackwright: end of answer";

/// A client that stays, for who looks twice a second: to start one takes 10 ms on a server, and took one to ten seconds, half of the
/// processor, on an emulated one (2026-11-30).
pub struct Session<'a> {
    system: &'a dyn System,
    client: Option<Box<dyn Conversation>>,
}

impl<'a> Session<'a> {
    /// Connects when it is asked.
    #[must_use]
    pub fn new(system: &'a dyn System) -> Self {
        Self {
            system,
            client: None,
        }
    }

    /// Looks, as [`run`] does within [`LOOK`].
    ///
    /// # Errors
    /// As [`run`].
    pub fn look(&mut self, statements: &str) -> Result<Vec<Vec<String>>, String> {
        if !self.system.exists(Utf8Path::new(SOCKET)) {
            self.client = None;
            return Err("the server is off".to_owned());
        }
        let text = format!("{statements}\nSELECT '{END}';\n");
        let limit = Duration::from_secs(LOOK);
        let began = self.system.now();
        if let Some(client) = &mut self.client {
            match client.say(&text, END, limit) {
                Ok(text) => return Ok(rows(&text)),
                Err(error) => {
                    self.client = None;
                    if self.system.now().saturating_sub(began) >= limit {
                        return Err(words(&error));
                    }
                    // Its server was started again since the last look, or cut it off: a new one asks.
                }
            }
        }
        let command = client(&["--skip-column-names", "--unbuffered"]);
        let Some(mut client) = self.system.converse(&command) else {
            return run(self.system, statements, LOOK);
        };
        let text = client
            .say(&text, END, limit)
            .map_err(|error| words(&error))?;
        self.client = Some(client);
        Ok(rows(&text))
    }
}

fn once(
    system: &dyn System,
    options: &[&str],
    statements: &str,
    seconds: u64,
) -> Result<String, String> {
    let command = client(options)
        .input(statements)
        .timeout(Duration::from_secs(seconds));
    let output = system.run(&command).map_err(|error| words(&error))?;
    Ok(output.stdout)
}

/// Without TLS, which clients of MariaDB 11.4 and later do over a socket file too: it protects nothing there, and took an emulated
/// machine 10.7 s instead of 3.1 for one question (2026-11-30).
fn client(options: &[&str]) -> Command {
    let socket = format!("--socket={SOCKET}");
    Command::new("mariadb")
        .args([
            "--no-defaults",
            "--protocol=socket",
            "--skip-ssl",
            &socket,
            "--user=root",
            "--batch",
            "--connect-timeout=10",
        ])
        .args(options.iter().copied())
}

/// The last line of what a command said, without its command line. What was stopped did not get to its reason: there the last line
/// is a note or a warning, and says so.
#[must_use]
pub fn words(error: &CommandError) -> String {
    match error {
        CommandError::Failed { status, stderr, .. } => stderr
            .lines()
            .rev()
            .find(|line| !line.trim().is_empty())
            .map_or_else(
                || status.clone(),
                |line| match status.starts_with("exit code") {
                    true => line.to_owned(),
                    false => format!("{status}, after `{}`", line.trim()),
                },
            ),
        CommandError::Start { .. } => error.to_string(),
    }
}

/// Rows of the client's batch form: a tab between columns, `\t`, `\n` and `\\` inside them.
#[must_use]
pub fn rows(text: &str) -> Vec<Vec<String>> {
    let column = |text: &str| {
        let mut plain = String::new();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            plain.push(match character {
                '\\' => match characters.next() {
                    Some('t') => '\t',
                    Some('n') => '\n',
                    Some('0') => '\0',
                    Some(other) => other,
                    None => '\\',
                },
                other => other,
            });
        }
        plain
    };
    text.lines()
        .map(|line| line.split('\t').map(column).collect())
        .collect()
}

/// The value beside a name in rows of two columns; names in any case.
#[must_use]
pub fn value<'a>(rows: &'a [Vec<String>], name: &str) -> Option<&'a str> {
    rows.iter()
        .find(|row| {
            row.first()
                .is_some_and(|first| first.eq_ignore_ascii_case(name))
        })
        .and_then(|row| row.get(1))
        .map(String::as_str)
}

/// A text as an SQL literal.
#[must_use]
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_values() {
        let rows = rows("wsrep_ready\tON\nText\ta\\tb\\\\c\\nd\n");
        assert_eq!(value(&rows, "WSREP_READY"), Some("ON"));
        assert_eq!(value(&rows, "text"), Some("a\tb\\c\nd"));
        assert_eq!(value(&rows, "none"), None);
    }

    #[test]
    fn literals_stay_inside_their_quotes() {
        assert_eq!(literal("a'b\\"), "'a''b\\\\'");
    }

    #[test]
    fn errors_are_the_clients_last_line() {
        let failed = |status: &str, stderr: &str| CommandError::Failed {
            line: "mariadb".into(),
            status: status.into(),
            stderr: stderr.into(),
        };
        for (status, stderr, said) in [
            (
                "exit code 1",
                "WARNING: x\nERROR 2002 (HY000): no socket\n",
                "ERROR 2002 (HY000): no socket",
            ),
            ("exit code 1", "\n", "exit code 1"),
            // Seen on a slow machine: the note alone sent us looking for a wrong setting.
            (
                "timeout after 60 s",
                "[Note] changed to 0\n",
                "timeout after 60 s, after `[Note] changed to 0`",
            ),
        ] {
            assert_eq!(words(&failed(status, stderr)), said);
        }
    }
}
