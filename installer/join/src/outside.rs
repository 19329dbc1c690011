//! What this machine can learn of others, over its own sockets. A trait, so that tests bring peers of their own.

use std::{
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpStream},
    time::Duration,
};

use system::{System, delivered};

use crate::told::{Told, is_proven};

/// Port of the health endpoint.
pub const PORT: u16 = 9200;
/// Port of Galera's group communication.
pub const GROUP_PORT: u16 = 4567;
const CONNECT: Duration = Duration::from_millis(1500);
const ANSWER: Duration = Duration::from_secs(3);
/// Bytes of an answer that are read.
const LIMIT: u64 = 1 << 16;

/// Other machines, seen from this one.
pub trait Outside: Sync {
    /// What the machine at this address tells; nothing where it does not answer, or not with the right proof.
    fn ask(&self, address: &str) -> Option<Told>;
    /// Whether a TCP port takes connections.
    fn listens(&self, address: &str, port: u16) -> bool;
    /// First bytes that a server says by itself.
    fn greeting(&self, address: &str, port: u16) -> Option<Vec<u8>>;
}

/// The network. The secret that all databases share is read for each question: it may be delivered while a join waits for it.
pub struct Wire<'a> {
    /// Where secrets are.
    pub system: &'a dyn System,
}

fn connect(address: &str, port: u16) -> Option<TcpStream> {
    let address: IpAddr = address.parse().ok()?;
    let stream = TcpStream::connect_timeout(&SocketAddr::new(address, port), CONNECT).ok()?;
    stream.set_read_timeout(Some(ANSWER)).ok()?;
    stream.set_write_timeout(Some(ANSWER)).ok()?;
    Some(stream)
}

/// One question by HTTP: status, value of the header `Rackwright-Proof`, body.
#[must_use]
pub fn get(address: &str, port: u16, path: &str) -> Option<(u16, String, String)> {
    let mut stream = connect(address, port)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.take(LIMIT).read_to_end(&mut answer).ok()?;
    parts(&String::from_utf8_lossy(&answer))
}

fn parts(answer: &str) -> Option<(u16, String, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let proof = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("rackwright-proof"))
        .map(|(_, value)| value.trim().to_owned())
        .unwrap_or_default();
    Some((status, proof, body.to_owned()))
}

impl Outside for Wire<'_> {
    fn ask(&self, address: &str) -> Option<Told> {
        let secret = delivered::secret(self.system, "database-replication")?;
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).ok()?;
        let nonce = hex::encode(bytes);
        let (status, proof, body) = get(address, PORT, &format!("/node?nonce={nonce}"))?;
        if status != 200 || !is_proven(&secret, &nonce, &body, &proof) {
            return None;
        }
        serde_json::from_str(&body).ok()
    }

    fn listens(&self, address: &str, port: u16) -> bool {
        connect(address, port).is_some()
    }

    fn greeting(&self, address: &str, port: u16) -> Option<Vec<u8>> {
        let mut stream = connect(address, port)?;
        let mut bytes = [0; 64];
        let count = stream.read(&mut bytes).ok()?;
        bytes.get(..count).map(<[u8]>::to_vec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_taken_apart() {
        let answer = "HTTP/1.1 503 Service Unavailable\r\nrackwright-proof: ab \r\n\r\nnot ready\n";
        assert_eq!(
            parts(answer),
            Some((503, "ab".into(), "not ready\n".into()))
        );
        for bad in [
            "",
            "HTTP/1.1 200 OK\r\n",
            "\r\n\r\n",
            "HTTP/1.1 x y\r\n\r\n",
        ] {
            assert_eq!(parts(bad), None, "{bad:?}");
        }
    }
}
