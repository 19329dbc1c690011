//! Sends one message (RFC 5321). Where it stopped matters: until the final dot a failure means that the message was not taken, after
//! it nobody can know.

use super::journal::Failure;
use super::wire::{Server, Wire};

/// A message on its way.
pub struct Envelope<'a> {
    /// Sender.
    pub from: &'a str,
    /// Mailbox.
    pub to: &'a str,
    /// Message, CRLF at all line ends.
    pub bytes: &'a [u8],
}

/// Hands the message over; gives the server's words of acknowledgement.
///
/// # Errors
/// What went wrong, and after what was said.
pub fn send(
    server: &Server,
    envelope: &Envelope<'_>,
    greeted: &mut dyn FnMut(),
) -> Result<(Wire, String), Failure> {
    let mut wire = Wire::open(server)?;
    answer(&mut wire, "connecting", "220")?;
    greeted();
    // An address literal needs no name that resolves.
    for (stage, line, wanted) in [
        ("EHLO", "EHLO [127.0.0.1]".to_owned(), "250"),
        ("MAIL", format!("MAIL FROM:<{}>", envelope.from), "250"),
        ("RCPT", format!("RCPT TO:<{}>", envelope.to), "250"),
        ("DATA", "DATA".to_owned(), "354"),
    ] {
        wire.say(stage, format!("{line}\r\n").as_bytes())?;
        answer(&mut wire, stage, wanted)?;
    }
    wire.say("the message", &stuffed(envelope.bytes))?;
    // Apart from the rest: what fails before this line was not taken.
    wire.say("the final dot", b".\r\n")?;
    let said = answer(&mut wire, "the final dot", "250")?;
    Ok((wire, said))
}

/// Leaves politely; what is answered does not matter any more.
pub fn leave(mut wire: Wire) {
    if wire.say("QUIT", b"QUIT\r\n").is_ok() {
        let _farewell = wire.line("QUIT");
    }
}

/// Dots at the start of lines are doubled (RFC 5321, 4.5.2).
fn stuffed(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 16);
    let mut start = true;
    for byte in bytes {
        if start && *byte == b'.' {
            out.push(b'.');
        }
        out.push(*byte);
        start = *byte == b'\n';
    }
    out
}

/// An answer of one or more lines with this code; its last line.
fn answer(wire: &mut Wire, stage: &str, code: &str) -> Result<String, Failure> {
    for _ in 0..64 {
        let line = wire.line(stage)?;
        if line.as_bytes().get(3) == Some(&b'-') {
            continue;
        }
        if line.starts_with(code) {
            return Ok(line);
        }
        return Err(Failure::Refused {
            stage: stage.to_owned(),
            answer: line.chars().take(200).collect(),
        });
    }
    Err(Failure::Refused {
        stage: stage.to_owned(),
        answer: "an answer without an end".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_are_doubled_at_the_start_of_lines_only() {
        assert_eq!(
            stuffed(b".\r\na.b\r\n..c\r\n"),
            b"..\r\na.b\r\n...c\r\n".to_vec()
        );
    }
}
