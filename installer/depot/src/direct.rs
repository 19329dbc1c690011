//! Files without a copy: on an open connection, what is asked for below `/objects/` goes from the page cache into the socket by
//! sendfile(2). A rack that installs is nothing but this, and reading into memory first costs half of the throughput
//! (docs/performance.md). Everything else, and everything unusual, is left to hyper with the bytes that were read.

use std::sync::Arc;
use std::time::Duration;

use httparse::Status;
use nix::errno::Errno;
use rustix::fs::sendfile;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::TcpStream;

use crate::objects::{Objects, Reply};
use crate::server::{HEAD, Limits};

/// All that is answered here begins so.
const BEGIN: &[u8] = b"GET /objects/";
/// Bytes that must go out within [`Limits::stall`]: who takes less is left.
const PIECE: usize = 1 << 20;
/// Headers that are looked at; iPXE sends five.
const HEADERS: usize = 32;

/// What a head asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked<'a> {
    /// More of it must be read.
    More,
    /// It is hyper's to answer.
    Other,
    /// A file.
    File {
        /// SHA-256, as it was said.
        sha256: &'a str,
        /// Name, as it was said.
        name: &'a str,
        /// `Range`.
        range: Option<&'a str>,
        /// `If-Range`.
        if_range: Option<&'a str>,
        /// The connection is closed after the answer.
        close: bool,
        /// Bytes of the head.
        length: usize,
    },
}

/// Reads a head. Nothing of it is decoded: a name with `%` in it is none of ours.
#[must_use]
pub fn asked(bytes: &[u8]) -> Asked<'_> {
    let known = bytes.len().min(BEGIN.len());
    if bytes.get(..known) != BEGIN.get(..known) || bytes.len() >= HEAD {
        return Asked::Other;
    }
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let length = match request.parse(bytes) {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) => return Asked::More,
        Err(_) => return Asked::Other,
    };
    let parts = request
        .path
        .and_then(|path| path.strip_prefix("/objects/"))
        .and_then(|path| path.split_once('/'));
    let Some((sha256, name)) = parts else {
        return Asked::Other;
    };
    // HTTP/1.0 closes unless it says otherwise, and is rare enough to leave it at that.
    let (mut range, mut if_range, mut close) = (None, None, request.version != Some(1));
    for header in request.headers.iter() {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        let Ok(value) = std::str::from_utf8(header.value) else {
            return Asked::Other;
        };
        // A body, or another protocol.
        if ["content-length", "transfer-encoding", "expect", "upgrade"]
            .into_iter()
            .any(is)
        {
            return Asked::Other;
        }
        if is("range") {
            range = range.or(Some(value));
        } else if is("if-range") {
            if_range = if_range.or(Some(value));
        } else if is("connection") {
            let mut words = value.split(',').map(str::trim);
            close |= words.any(|word| word.eq_ignore_ascii_case("close"));
        }
    }
    Asked::File {
        sha256,
        name,
        range,
        if_range,
        close,
        length,
    }
}

/// Answers for as long as files are asked for. What is left: the connection and what was read of the next request, for hyper.
/// None: it is over.
pub(crate) async fn files(
    mut stream: TcpStream,
    objects: &Objects,
    limits: &Limits,
) -> Option<(TcpStream, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        let (answer, close, length) =
            match tokio::time::timeout(limits.patience, head(&mut stream, &mut bytes)).await {
                Ok(Ok(true)) => match asked(&bytes) {
                    Asked::File {
                        sha256,
                        name,
                        range,
                        if_range,
                        close,
                        length,
                    } => match objects.reply(sha256, name, range, if_range) {
                        Some(reply) => (reply, close, length),
                        None => return Some((stream, bytes)),
                    },
                    Asked::More | Asked::Other => return Some((stream, bytes)),
                },
                _ => return None,
            };
        bytes.drain(..length);
        deliver(&mut stream, &answer, close, limits.stall)
            .await
            .ok()?;
        if close {
            return None;
        }
    }
}

/// Reads until it is known what is asked for. False: the other side has gone.
async fn head(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> std::io::Result<bool> {
    while matches!(asked(bytes), Asked::More) {
        if stream.read_buf(bytes).await? == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn deliver(
    stream: &mut TcpStream,
    reply: &Reply,
    close: bool,
    stall: Duration,
) -> std::io::Result<()> {
    let head = reply.head(close);
    patient(stall, stream.write_all(head.as_bytes())).await?;
    let file = Arc::clone(&reply.file);
    let stream: &TcpStream = stream;
    let mut at = reply.from;
    let end = reply.from + reply.length;
    while at < end {
        let piece = usize::try_from(end - at).unwrap_or(PIECE).min(PIECE);
        at = patient(stall, async {
            let (mut at, mut left) = (at, piece);
            while left > 0 {
                let write =
                    || Ok::<_, std::io::Error>(sendfile(stream, &*file, Some(&mut at), left)?);
                match stream.async_io(Interest::WRITABLE, write).await? {
                    // Shorter than it was: the other side sees that bytes are missing.
                    0 => return Err(Errno::EIO.into()),
                    sent => left -= sent.min(left),
                }
            }
            Ok(at)
        })
        .await?;
    }
    Ok(())
}

async fn patient<T>(
    stall: Duration,
    work: impl Future<Output = std::io::Result<T>>,
) -> std::io::Result<T> {
    tokio::time::timeout(stall, work)
        .await
        .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_questions_for_files() {
        let file = |range, if_range, close, length| Asked::File {
            sha256: "ab",
            name: "root",
            range,
            if_range,
            close,
            length,
        };
        for (text, expected) in [
            ("", Asked::More),
            ("GET /obj", Asked::More),
            ("GET /objects/ab/root HTTP/1.1\r\nHost: x\r\n", Asked::More),
            ("POST /objects/", Asked::Other),
            ("GET /boot.ipxe HTTP/1.1\r\n\r\n", Asked::Other),
            ("GET /objects/ab HTTP/1.1\r\n\r\n", Asked::Other),
            ("GET /objects/ab/root HTTP/9.9\r\n\r\n", Asked::Other),
            ("GET /objects/a\u{0}b/root HTTP/1.1\r\n\r\n", Asked::Other),
            (
                "GET /objects/ab/root HTTP/1.1\r\nContent-Length: 1\r\n\r\nx",
                Asked::Other,
            ),
            (
                "GET /objects/ab/root HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
                Asked::Other,
            ),
            (
                "GET /objects/ab/root HTTP/1.1\r\nHost: x\r\n\r\nGET",
                file(None, None, false, 42),
            ),
            (
                "GET /objects/ab/root HTTP/1.0\r\n\r\n",
                file(None, None, true, 33),
            ),
            (
                "GET /objects/ab/root HTTP/1.1\r\nrange: bytes=1-\r\nIF-RANGE: \"ab\"\r\nconnection: x, Close\r\n\r\n",
                file(Some("bytes=1-"), Some("\"ab\""), true, 88),
            ),
        ] {
            assert_eq!(asked(text.as_bytes()), expected, "{text}");
        }
        let long = format!("GET /objects/{}", "a".repeat(HEAD));
        assert_eq!(asked(long.as_bytes()), Asked::Other);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200), known: bool) {
            let mut text = if known { BEGIN.to_vec() } else { Vec::new() };
            text.extend(bytes);
            if let Asked::File { length, .. } = asked(&text) {
                proptest::prop_assert!(length <= text.len());
            }
        }
    }
}
