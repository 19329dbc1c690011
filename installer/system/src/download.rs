//! Fetches one small file by HTTP, with a limit on time and size. HTTPS comes with the depot's own certificates.

use std::{io::Read, time::Duration};

/// Connecting takes at most this long: a switch port may need 30 s of spanning tree before it forwards, retries are the
/// caller's.
const CONNECT: Duration = Duration::from_secs(10);
/// The whole transfer takes at most this long.
const TOTAL: Duration = Duration::from_secs(60);

/// Why a file could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// Not a URL this program can fetch.
    #[error("cannot fetch `{url}`: {reason}\nhint: give an http:// address")]
    Address {
        /// URL.
        url: String,
        /// Why.
        reason: String,
    },
    /// No connection, or it broke.
    #[error("cannot fetch `{url}`: {reason}")]
    Transfer {
        /// URL.
        url: String,
        /// All causes.
        reason: String,
    },
    /// The server answered with an error.
    #[error("cannot fetch `{url}`: the server answered `{status}`{body}")]
    Status {
        /// URL.
        url: String,
        /// `404 Not Found`.
        status: String,
        /// The first line of what it said, on a line of its own, or empty.
        body: String,
    },
    /// Too long.
    #[error("`{url}` is larger than {limit} bytes")]
    TooLarge {
        /// URL.
        url: String,
        /// Bytes.
        limit: u64,
    },
}

impl DownloadError {
    /// Trying again later may help.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Transfer { .. })
    }
}

/// Fetches a URL of at most `limit` bytes.
pub fn download(url: &str, limit: u64) -> Result<Vec<u8>, DownloadError> {
    if !url.starts_with("http://") {
        return Err(DownloadError::Address {
            url: url.to_owned(),
            reason: "only http is understood".to_owned(),
        });
    }
    let transfer = |error: &dyn std::error::Error| DownloadError::Transfer {
        url: url.to_owned(),
        reason: causes(error),
    };
    let client = reqwest::blocking::Client::builder()
        .connect_timeout(CONNECT)
        .timeout(TOTAL)
        .redirect(reqwest::redirect::Policy::limited(3))
        .build()
        .map_err(|error| transfer(&error))?;
    let response = client.get(url).send().map_err(|error| {
        if error.is_builder() {
            DownloadError::Address {
                url: url.to_owned(),
                reason: causes(&error),
            }
        } else {
            transfer(&error)
        }
    })?;
    let status = response.status();
    let mut body = Vec::new();
    response
        .take(limit.saturating_add(1))
        .read_to_end(&mut body)
        .map_err(|error| transfer(&error))?;
    if !status.is_success() {
        let text = String::from_utf8_lossy(&body);
        let first = text.lines().next().unwrap_or_default().trim();
        return Err(DownloadError::Status {
            url: url.to_owned(),
            status: status.to_string(),
            body: if first.is_empty() {
                String::new()
            } else {
                format!("\n{}", first.chars().take(200).collect::<String>())
            },
        });
    }
    if body.len() as u64 > limit {
        return Err(DownloadError::TooLarge {
            url: url.to_owned(),
            limit,
        });
    }
    Ok(body)
}

/// The innermost cause is the one that says something; the outer ones repeat the URL.
fn causes(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use std::{io::Write, net::TcpListener};

    use super::*;

    /// A server for one answer.
    fn serve(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = [0; 4096];
            assert!(stream.read(&mut buffer).unwrap() > 0);
            stream.write_all(answer.as_bytes()).unwrap();
        });
        format!("http://127.0.0.1:{port}/node.toml")
    }

    fn message(error: DownloadError) -> String {
        let text = error.to_string();
        text.find("127.0.0.1:").map_or(text.clone(), |at| {
            let digits = text[at + 10..]
                .chars()
                .take_while(char::is_ascii_digit)
                .count();
            format!("{}PORT{}", &text[..at + 10], &text[at + 10 + digits..])
        })
    }

    #[test]
    fn answers() {
        let good = serve("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntext");
        assert_eq!(download(&good, 4).unwrap(), b"text");
        let table = [
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ntexts",
                "`http://127.0.0.1:PORT/node.toml` is larger than 4 bytes",
            ),
            (
                "HTTP/1.1 404 Not Found\r\nContent-Length: 15\r\n\r\nno such node\nx\n",
                "cannot fetch `http://127.0.0.1:PORT/node.toml`: the server answered `404 Not Found`\nno su",
            ),
        ];
        for (answer, expected) in table {
            let error = download(&serve(answer), 4).unwrap_err();
            assert_eq!(message(error), expected);
        }
    }

    #[test]
    fn a_broken_transfer_and_a_wrong_address() {
        let cut = download(
            &serve("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ntext"),
            100,
        )
        .unwrap_err();
        assert!(cut.is_temporary(), "{cut}");
        let refused = download("http://127.0.0.1:1/x", 10).unwrap_err();
        assert!(refused.is_temporary(), "{refused}");
        assert!(refused.to_string().contains("refused"), "{refused}");
        for wrong in ["https://example.org/x", "ftp://example.org/x", "http://"] {
            let error = download(wrong, 10).unwrap_err();
            assert!(!error.is_temporary(), "{error}");
        }
    }
}
