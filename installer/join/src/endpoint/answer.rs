//! From a request line and the last sample to an HTTP answer. Pure.

use std::time::Duration;

use super::sample::Sample;
use crate::told;

/// Older than this a sample says nothing: the server or this program hangs.
const FRESH: Duration = Duration::from_secs(5);

/// Status, proof for `/node`, body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Value of `Rackwright-Proof`.
    pub proof: Option<String>,
    /// Text.
    pub body: String,
}

impl Answer {
    /// As it goes over the wire.
    #[must_use]
    pub fn text(&self) -> String {
        let reason = match self.status {
            200 => "OK",
            400 => "Bad Request",
            404 => "Not Found",
            _ => "Service Unavailable",
        };
        let proof = self
            .proof
            .as_ref()
            .map(|proof| format!("Rackwright-Proof: {proof}\r\n"))
            .unwrap_or_default();
        format!(
            "HTTP/1.1 {} {reason}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n{proof}\r\n{}",
            self.status,
            self.body.len(),
            self.body
        )
    }
}

fn plain(status: u16, body: &str) -> Answer {
    Answer {
        status,
        proof: None,
        body: format!("{body}\n"),
    }
}

/// Answers `GET PATH HTTP/1.x`. `age`: of the sample, less what it took to take it.
#[must_use]
pub fn answer(request: &str, sample: Option<&Sample>, age: Duration) -> Answer {
    let mut words = request.split(' ');
    let (method, path) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    if !matches!(method, "GET" | "OPTIONS") {
        return plain(400, "only GET");
    }
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let Some(sample) = sample.filter(|_| age <= FRESH) else {
        return plain(503, "no fresh look at the server");
    };
    let usage = match (path, query) {
        ("/", _) => 0,
        ("/writer", _) => 1,
        ("/reader", "donor=ok") => 3,
        ("/reader", _) => 2,
        ("/node", query) => return node(query, sample),
        _ => return plain(404, "there are /, /writer, /reader and /node"),
    };
    match sample.unfit.get(usage).and_then(Option::as_ref) {
        None => plain(200, "serves"),
        Some(why) => plain(503, why),
    }
}

fn node(query: &str, sample: &Sample) -> Answer {
    let nonce = query.strip_prefix("nonce=").unwrap_or_default();
    let is_number = !nonce.is_empty()
        && nonce.len() <= 64
        && nonce.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_number || sample.secret.is_empty() {
        return plain(
            400,
            "/node?nonce=HEXADECIMAL; needs the secret `database-replication`",
        );
    }
    match serde_json::to_string(&sample.told) {
        Ok(body) => Answer {
            status: 200,
            proof: Some(told::proof(&sample.secret, nonce, &body)),
            body,
        },
        Err(_) => plain(503, "no answer"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::told::{Told, is_proven};

    fn sample() -> Sample {
        Sample {
            told: Told {
                node: "db1".into(),
                ..Told::default()
            },
            unfit: [
                None,
                Some("read only".into()),
                Some("state 2 is not synced".into()),
                None,
            ],
            answers: true,
            secret: "secret".into(),
        }
    }

    #[test]
    fn table() {
        let good = sample();
        let now = Duration::ZERO;
        for (request, sample, age, expected) in [
            ("GET / HTTP/1.1", Some(&good), now, "200 serves"),
            ("OPTIONS / HTTP/1.0", Some(&good), now, "200 serves"),
            ("GET /writer HTTP/1.1", Some(&good), now, "503 read only"),
            (
                "GET /reader HTTP/1.1",
                Some(&good),
                now,
                "503 state 2 is not synced",
            ),
            (
                "GET /reader?donor=ok HTTP/1.1",
                Some(&good),
                now,
                "200 serves",
            ),
            (
                "GET /moon HTTP/1.1",
                Some(&good),
                now,
                "404 there are /, /writer, /reader and /node",
            ),
            ("POST / HTTP/1.1", Some(&good), now, "400 only GET"),
            ("", Some(&good), now, "400 only GET"),
            (
                "GET / HTTP/1.1",
                None,
                now,
                "503 no fresh look at the server",
            ),
            (
                "GET / HTTP/1.1",
                Some(&good),
                Duration::from_secs(6),
                "503 no fresh look at the server",
            ),
            (
                "GET /node?nonce=../ HTTP/1.1",
                Some(&good),
                now,
                "400 /node?nonce=HEXADECIMAL; needs the secret `database-replication`",
            ),
        ] {
            let got = answer(request, sample, age);
            assert_eq!(
                format!("{} {}", got.status, got.body.trim_end()),
                expected,
                "{request}"
            );
        }
    }

    #[test]
    fn facts_are_proven_and_never_given_without_a_secret() {
        let got = answer(
            "GET /node?nonce=0aff HTTP/1.1",
            Some(&sample()),
            Duration::ZERO,
        );
        assert!(is_proven(
            "secret",
            "0aff",
            &got.body,
            &got.proof.clone().unwrap()
        ));
        assert!(got.text().contains("\r\nRackwright-Proof: "));
        assert!(!got.text().contains("secret"));
        let without = Sample {
            secret: String::new(),
            ..sample()
        };
        let got = answer(
            "GET /node?nonce=0aff HTTP/1.1",
            Some(&without),
            Duration::ZERO,
        );
        assert_eq!((got.status, got.proof), (400, None));
    }
}
