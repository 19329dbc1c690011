//! Asks a mail server whether it answers as one. An open port says little: a server whose storage hangs accepts connections
//! and never greets. keepalived starts this as MISC_CHECK; tests and health use it too.

use std::io::{BufRead, BufReader, Read, Write};

/// What is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// RFC 5321.
    Smtp,
    /// RFC 9051.
    Imap,
}

impl Protocol {
    /// Port without TLS.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::Smtp => 25,
            Self::Imap => 143,
        }
    }

    /// As on the command line.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Imap => "imap",
        }
    }
}

/// Why a server does not count as well.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// No answer, or the line was cut.
    #[error("no answer while {doing}: {cause}")]
    Io {
        /// What was waited for.
        doing: &'static str,
        /// Cause.
        cause: std::io::Error,
    },
    /// It said something else.
    #[error("expected {wanted}, got `{line}`")]
    Answer {
        /// What it should say.
        wanted: &'static str,
        /// What it said; at most 200 characters.
        line: String,
    },
}

/// Lines of an answer at most: a server that talks for ever is not well.
const LINES: usize = 64;
/// Characters of a line at most (RFC 5321, 4.5.3.1.5 has 512).
const LENGTH: u64 = 2048;

/// Greets, asks one thing and leaves. The stream must have time limits of its own.
///
/// # Errors
/// Why the server does not count as well.
pub fn probe(protocol: Protocol, stream: impl Read + Write) -> Result<(), ProbeError> {
    let mut reader = BufReader::new(stream);
    match protocol {
        Protocol::Smtp => {
            reply(&mut reader, "greeting", "220")?;
            // The name of a prober need not resolve; an address literal never does harm.
            say(&mut reader, "EHLO [127.0.0.1]\r\n")?;
            reply(&mut reader, "EHLO", "250")?;
            say(&mut reader, "QUIT\r\n")
        }
        Protocol::Imap => {
            let line = line(&mut reader, "greeting")?;
            if !line.starts_with("* OK") {
                return Err(answer("`* OK`", &line));
            }
            say(&mut reader, "a LOGOUT\r\n")
        }
    }
}

fn answer(wanted: &'static str, line: &str) -> ProbeError {
    ProbeError::Answer {
        wanted,
        line: line.chars().take(200).collect(),
    }
}

fn say<S: Read + Write>(reader: &mut BufReader<S>, text: &str) -> Result<(), ProbeError> {
    let io = |cause| ProbeError::Io {
        doing: "sending",
        cause,
    };
    reader.get_mut().write_all(text.as_bytes()).map_err(io)?;
    reader.get_mut().flush().map_err(io)
}

fn line<S: Read + Write>(
    reader: &mut BufReader<S>,
    doing: &'static str,
) -> Result<String, ProbeError> {
    let mut bytes = Vec::new();
    let io = |cause| ProbeError::Io { doing, cause };
    reader
        .by_ref()
        .take(LENGTH)
        .read_until(b'\n', &mut bytes)
        .map_err(io)?;
    if bytes.is_empty() {
        return Err(io(std::io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

/// An SMTP answer of one or more lines with this code.
fn reply<S: Read + Write>(
    reader: &mut BufReader<S>,
    doing: &'static str,
    code: &'static str,
) -> Result<(), ProbeError> {
    for _ in 0..LINES {
        let line = line(reader, doing)?;
        match line.strip_prefix(code) {
            Some(rest) if rest.starts_with('-') => {}
            Some(rest) if rest.is_empty() || rest.starts_with(' ') => return Ok(()),
            _ => return Err(answer(code, &line)),
        }
    }
    Err(answer(code, "no end"))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Wire(std::io::Cursor<Vec<u8>>, Vec<u8>);

    impl Read for Wire {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0.read(buffer)
        }
    }

    impl Write for Wire {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.1.write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn only_a_mail_server_passes() {
        let endless = format!("220 a\r\n{}", "250-x\r\n".repeat(100));
        let table = [
            (
                Protocol::Smtp,
                "220 a ESMTP\r\n250-a\r\n250 PIPELINING\r\n221 bye\r\n",
                "ok",
            ),
            (Protocol::Smtp, "220-a\r\n220 a\r\n250 a\r\n", "ok"),
            (
                Protocol::Smtp,
                "",
                "no answer while greeting: unexpected end of file",
            ),
            (Protocol::Smtp, "554 no\r\n", "expected 220, got `554 no`"),
            (Protocol::Smtp, "2200\r\n", "expected 220, got `2200`"),
            (
                Protocol::Smtp,
                "220 a\r\n421 storage\r\n",
                "expected 250, got `421 storage`",
            ),
            (Protocol::Smtp, &endless, "expected 250, got `no end`"),
            (Protocol::Imap, "* OK Dovecot ready.\r\n", "ok"),
            (Protocol::Imap, "* BYE\r\n", "expected `* OK`, got `* BYE`"),
            (Protocol::Imap, "220 a\r\n", "expected `* OK`, got `220 a`"),
        ];
        for (protocol, said, wanted) in table {
            let wire = Wire(std::io::Cursor::new(said.as_bytes().to_vec()), Vec::new());
            let result =
                probe(protocol, wire).map_or_else(|error| error.to_string(), |()| "ok".to_owned());
            assert_eq!(result, wanted, "{said}");
        }
    }
}
