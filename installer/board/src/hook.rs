//! Tells a URL that a machine was installed, is healthy, or failed: a POST with one JSON object, three tries. Nobody waits for
//! it; what does not fit into the queue is dropped, and said.

use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use depot::view::Phase;
use serde::Serialize;

use crate::words;

const QUEUE: usize = 1000;
const TRIES: u32 = 3;
const PATIENCE: Duration = Duration::from_secs(10);
/// Before the second try; doubled before the third.
const PAUSE: Duration = Duration::from_secs(2);

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct News {
    /// Cluster's name.
    pub cluster: String,
    /// Machine.
    pub node: String,
    /// `installed`, `healthy`, `failed`.
    pub state: &'static str,
    /// One line for people.
    pub line: Option<String>,
}

impl News {
    /// Of a machine that came to a state.
    #[must_use]
    pub fn new(cluster: &str, node: &str, phase: Phase, line: Option<String>) -> Self {
        Self {
            cluster: cluster.to_owned(),
            node: node.to_owned(),
            state: words::phase(phase),
            line,
        }
    }
}

/// A running sender.
pub struct Hook(SyncSender<News>);

impl Hook {
    /// To this URL, `http://` only: the program has no list of authorities to check an `https://` one by.
    ///
    /// # Errors
    /// The URL is of another kind.
    pub fn start(url: &str) -> Result<Self> {
        if !url.starts_with("http://") {
            bail!(
                "`{url}` is no http:// URL\nhint: let a proxy on this machine speak https to the outside"
            );
        }
        let client = reqwest::blocking::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .context("no HTTP client")?;
        let url = url.to_owned();
        let (sender, receiver) = sync_channel::<News>(QUEUE);
        std::thread::spawn(move || {
            for news in receiver {
                if let Err(error) = send(&client, &url, &news) {
                    // Not the whole URL: it may hold a token.
                    tracing::warn!("the webhook did not take `{}`: {error:#}", news.node);
                }
            }
        });
        Ok(Self(sender))
    }

    /// Sends it, some time.
    pub fn tell(&self, news: News) {
        if let Err(TrySendError::Full(news)) = self.0.try_send(news) {
            tracing::warn!("the webhook is too slow: `{}` is not told", news.node);
        }
    }
}

fn send(client: &reqwest::blocking::Client, url: &str, news: &News) -> Result<()> {
    let body = serde_json::to_vec(news)?;
    let mut pause = PAUSE;
    let mut last = None;
    for attempt in 0..TRIES {
        if attempt > 0 {
            std::thread::sleep(pause);
            pause *= 2;
        }
        let sent = client
            .post(url)
            .header("content-type", "application/json")
            .body(body.clone())
            .send();
        match sent {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            Ok(answer) => last = Some(anyhow::anyhow!("it answered {}", answer.status())),
            Err(error) => last = Some(error.without_url().into()),
        }
    }
    last.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::TcpListener;

    #[test]
    fn the_second_try_gets_through() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/in?token=x", listener.local_addr().unwrap());
        let hook = Hook::start(&url).unwrap();
        let news = News::new("mail", "db1", Phase::Failed, Some("disk gone".into()));
        hook.tell(news);
        let mut bodies = Vec::new();
        for answer in ["500 Internal Server Error", "204 No Content"] {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream);
            let mut length = 0;
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
                    length = value.trim().parse().unwrap();
                }
                if line == "\r\n" {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            bodies.push(String::from_utf8(body).unwrap());
            let mut stream = reader.into_inner();
            write!(
                stream,
                "HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
            .unwrap();
        }
        let expected = r#"{"cluster":"mail","node":"db1","state":"failed","line":"disk gone"}"#;
        assert_eq!(bodies, [expected, expected]);
        assert!(Hook::start("https://example.org").is_err());
    }
}
