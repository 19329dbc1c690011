//! Messages: made from a seed and a number, each with a name that no other has, full of what mail systems like to change.

use sha2::{Digest as _, Sha256};

use crate::random::Random;

/// First header of each message, with its name. What stands before it was added on the way (trace headers, RFC 5321, 4.4).
pub const HEADER: &str = "X-Rackwright-Books";

/// A message as it is handed over, but for the dots of RFC 5321, 4.5.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its name.
    pub id: String,
    /// Headers, an empty line, body; CRLF at all line ends, the last one too.
    pub bytes: Vec<u8>,
}

/// Message `number` of a run.
#[must_use]
pub fn make(run: &str, seed: u64, number: u64, from: &str, to: &str) -> Message {
    let id = format!("{run}-{number}");
    let mut random = Random::of(seed, number);
    // All that a server would add if it were missing (RFC 5322, 3.6), so that it adds nothing. The date is not looked at.
    let mut text = format!(
        "{HEADER}: {id}\r\nFrom: <{from}>\r\nTo: <{to}>\r\nSubject: {id}\r\nMessage-ID: <{id}@books.invalid>\r\n\
         Date: Thu, 01 Jan 2026 00:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
    );
    // One in forty is long enough to need many packets and more than one write to disk.
    let lines = if random.below(40) == 0 {
        200 + random.below(800)
    } else {
        1 + random.below(40)
    };
    for _ in 0..lines {
        line(&mut random, &mut text);
    }
    Message {
        id,
        bytes: text.into_bytes(),
    }
}

fn line(random: &mut Random, text: &mut String) {
    match random.below(12) {
        0 => {}
        // Dots at the start are doubled on the wire; one alone would end the message.
        1 => text.push('.'),
        2 => text.push_str("..two dots"),
        // Mailboxes of the form mbox would quote it.
        3 => text.push_str("From somebody Thu Jan  1 00:00:00 2026"),
        4 => text.push_str("trailing blanks \t  "),
        5 => text.push_str("* OK a line like IMAP's {3}"),
        6 => words(random, text, 900),
        _ => words(random, text, 72),
    }
    text.push_str("\r\n");
}

/// Letters and blanks; at most 998 in a line (RFC 5322, 2.1.1).
fn words(random: &mut Random, text: &mut String, length: usize) {
    for _ in 0..length {
        let number = random.below(32);
        let letter = b"abcdefghijklmnopqrstuvwxyz=?+/  ".get(number);
        text.push(char::from(*letter.unwrap_or(&b'x')));
    }
}

/// As lower case hexadecimal.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What was handed over, in what a mailbox holds: from our first header to the end.
#[must_use]
pub fn original(stored: &[u8]) -> Option<(String, &[u8])> {
    let wanted = format!("{HEADER}: ").into_bytes();
    let start = stored
        .windows(wanted.len())
        .enumerate()
        .find(|(at, window)| *window == wanted && (*at == 0 || stored.get(at - 1) == Some(&b'\n')))?
        .0;
    let rest = stored.get(start..)?;
    let name = rest.get(wanted.len()..)?;
    let end = name
        .iter()
        .position(|byte| *byte == b'\r' || *byte == b'\n')?;
    let id = String::from_utf8(name.get(..end)?.to_vec()).ok()?;
    Some((id, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_can_be_made_again_and_differ() {
        let one = make("r", 7, 1, "a@example.org", "b@example.org");
        assert_eq!(one, make("r", 7, 1, "a@example.org", "b@example.org"));
        assert_ne!(
            one.bytes,
            make("r", 7, 2, "a@example.org", "b@example.org").bytes
        );
        assert_eq!(one.id, "r-1");
    }

    #[test]
    fn lines_are_within_the_limits_of_smtp() {
        for number in 0..300 {
            let message = make("r", 1, number, "a@example.org", "b@example.org");
            let text = String::from_utf8(message.bytes).unwrap();
            assert!(text.is_ascii() && text.ends_with("\r\n"));
            for line in text.split("\r\n") {
                assert!(line.len() <= 998 && !line.contains('\n') && !line.contains('\r'));
            }
        }
    }

    #[test]
    fn what_was_added_on_the_way_is_told_apart() {
        let message = make("r", 7, 1, "a@example.org", "b@example.org");
        let mut stored = b"Return-Path: <a@example.org>\r\nReceived: from x\r\n".to_vec();
        stored.extend(&message.bytes);
        assert_eq!(
            original(&stored),
            Some(("r-1".to_owned(), message.bytes.as_slice()))
        );
        assert_eq!(original(b"Subject: somebody else's\r\n\r\n"), None);
        assert_eq!(original(b"X-Rackwright-Books: "), None);
    }
}
