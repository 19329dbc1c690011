//! Reads whole mailboxes for the check. It shares no line with what sent the messages but the connection itself: a mistake in
//! one of them should not hide a mistake in the other.

use super::imap::{Account, quoted};
use super::journal::Failure;
use super::message::{original, sha256};
use super::wire::{Server, Wire};

/// A message in a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Mailbox.
    pub mailbox: String,
    /// Its number there (RFC 9051, 2.3.1.1).
    pub uid: u64,
    /// Its name, if it is of these books or of others.
    pub id: Option<String>,
    /// Length from its first header on, without what was added on the way.
    pub bytes: u64,
    /// Digest of the same.
    pub sha256: String,
}

/// Messages that are fetched at once.
const CHUNK: usize = 100;

/// Everything that a mailbox holds.
///
/// # Errors
/// What went wrong, and after what was said.
pub fn read(server: &Server, account: &Account) -> Result<Vec<Found>, Failure> {
    let mut wire = Wire::open(server)?;
    let greeting = wire.line("connecting")?;
    if !greeting.starts_with("* OK") {
        return Err(Failure::Refused {
            stage: "connecting".to_owned(),
            answer: greeting,
        });
    }
    let mut session = Session { wire, tag: 0 };
    let login = format!(
        "LOGIN {} {}",
        quoted(&account.user),
        quoted(&account.password)
    );
    session.command("LOGIN", &login)?;
    // EXAMINE changes nothing, no flags either.
    session.command("EXAMINE", "EXAMINE INBOX")?;
    let mut numbers: Vec<u64> = Vec::new();
    for line in session.command("SEARCH", "UID SEARCH ALL")? {
        if let Some(list) = line.text.strip_prefix("* SEARCH") {
            numbers.extend(
                list.split_whitespace()
                    .filter_map(|word| word.parse::<u64>().ok()),
            );
        }
    }
    let mut found = Vec::with_capacity(numbers.len());
    for chunk in numbers.chunks(CHUNK) {
        let list: Vec<String> = chunk.iter().map(u64::to_string).collect();
        let fetch = format!("UID FETCH {} (UID BODY.PEEK[])", list.join(","));
        for line in session.command("FETCH", &fetch)? {
            let Some(stored) = line.literal else {
                continue;
            };
            let uid = line
                .text
                .split_once("UID ")
                .and_then(|(_, rest)| rest.split(|letter: char| !letter.is_ascii_digit()).next())
                .and_then(|digits| digits.parse().ok());
            let (id, bytes) = original(&stored)
                .map_or((None, stored.as_slice()), |(id, bytes)| (Some(id), bytes));
            found.push(Found {
                mailbox: account.user.clone(),
                uid: uid.unwrap_or_default(),
                id,
                bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
                sha256: sha256(bytes),
            });
        }
    }
    if found.len() != numbers.len() {
        return Err(Failure::Refused {
            stage: "FETCH".to_owned(),
            answer: format!("{} of {} messages came", found.len(), numbers.len()),
        });
    }
    let _farewell = session.command("LOGOUT", "LOGOUT");
    Ok(found)
}

/// A line of an answer, with its literal taken out.
struct Line {
    text: String,
    literal: Option<Vec<u8>>,
}

struct Session {
    wire: Wire,
    tag: u32,
}

impl Session {
    fn command(&mut self, stage: &str, command: &str) -> Result<Vec<Line>, Failure> {
        self.tag += 1;
        let tag = format!("c{} ", self.tag);
        self.wire
            .say(stage, format!("{tag}{command}\r\n").as_bytes())?;
        let mut lines = Vec::new();
        loop {
            let mut text = self.wire.line(stage)?;
            let mut literal = None;
            // `{123}` at the end: so many bytes follow, then the rest of the line (RFC 9051, 4.3).
            while let Some(length) = literal_length(&text) {
                literal = Some(self.wire.bytes(stage, length)?);
                text.push_str(&self.wire.line(stage)?);
            }
            if let Some(answer) = text.strip_prefix(&tag) {
                if answer.starts_with("OK") {
                    return Ok(lines);
                }
                return Err(Failure::Refused {
                    stage: stage.to_owned(),
                    answer: answer.chars().take(200).collect(),
                });
            }
            lines.push(Line { text, literal });
        }
    }
}

fn literal_length(line: &str) -> Option<u64> {
    let inner = line.strip_suffix('}')?;
    inner.get(inner.rfind('{')? + 1..)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_told_apart() {
        assert_eq!(literal_length("* 1 FETCH (UID 7 BODY[] {123}"), Some(123));
        assert_eq!(literal_length("* OK a line {x}"), None);
        assert_eq!(literal_length("* OK a line"), None);
    }
}
