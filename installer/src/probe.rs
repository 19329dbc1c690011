//! `probe`: is there a mail server that answers as one? keepalived's MISC_CHECK starts it; exit code 0 means yes. It reads no
//! file, because it runs as `nobody`.

use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::Context as _;
use service::probe::{Protocol, probe};

use crate::arguments::{Probe, ProbeKind};

/// Asks what is wanted; for `mail` both, because a server of which half answers must not get the other half's users.
///
/// # Errors
/// Why it does not count as well.
pub fn run(options: &Probe) -> anyhow::Result<u8> {
    let protocols: &[Protocol] = match options.kind {
        ProbeKind::Smtp => &[Protocol::Smtp],
        ProbeKind::Imap => &[Protocol::Imap],
        ProbeKind::Mail => &[Protocol::Smtp, Protocol::Imap],
    };
    for protocol in protocols {
        one(*protocol, options)
            .with_context(|| format!("{} at `{}`", protocol.word(), options.host))?;
    }
    Ok(0)
}

fn one(protocol: Protocol, options: &Probe) -> anyhow::Result<()> {
    let limit = Duration::from_secs(options.seconds.max(1));
    let port = options.port.unwrap_or(protocol.port());
    let addresses = (options.host.as_str(), port).to_socket_addrs()?;
    let mut last = None;
    for address in addresses {
        match TcpStream::connect_timeout(&address, limit) {
            Ok(stream) => {
                stream.set_read_timeout(Some(limit))?;
                stream.set_write_timeout(Some(limit))?;
                return Ok(probe(protocol, stream)?);
            }
            Err(error) => last = Some(error),
        }
    }
    match last {
        Some(error) => Err(error.into()),
        None => anyhow::bail!("it has no address"),
    }
}
