//! Gateways and peers: a small packet, and one of full size that must not be fragmented.

use std::net::IpAddr;
use std::time::Duration;

use roles::node::Network as Planned;
use system::{Command, CommandError};

use crate::judge::GATEWAY;
use crate::measured::{Path, Peer};

use super::{Asking, PATIENCE};

/// Peers of one network that are asked; the rest of a large rack is only counted.
const MOST: usize = 48;

/// Asked at a time.
const AT_ONCE: usize = 16;

/// Bytes of the headers of an echo request (RFC 791 and 792; RFC 8200 and 4443).
fn headers(address: IpAddr) -> u32 {
    if address.is_ipv4() { 20 + 8 } else { 40 + 8 }
}

/// All ways, and how many peers were left out.
pub(super) fn ask(asking: &Asking<'_>) -> (Vec<Path>, u32) {
    let mut questions: Vec<(&Planned, String, Peer)> = Vec::new();
    let mut not_asked = 0;
    for (network, interface) in asking.named() {
        if asking.attribute(&interface, "mtu").is_none() {
            continue;
        }
        let gateway = network.gateway.iter().map(|address| Peer {
            name: GATEWAY.to_owned(),
            address: address.clone(),
        });
        let hosts = asking.node.hosts.iter();
        let peers: Vec<Peer> = hosts
            .filter(|host| host.name != asking.node.node)
            .filter_map(|host| {
                Some(Peer {
                    name: host.name.clone(),
                    address: host.addresses.get(&network.name)?.clone(),
                })
            })
            .collect();
        not_asked += peers.len().saturating_sub(MOST);
        for peer in gateway.chain(peers.into_iter().take(MOST)) {
            questions.push((network, interface.clone(), peer));
        }
    }
    let mut paths = Vec::new();
    for some in questions.chunks(AT_ONCE) {
        let answers: Vec<Path> = std::thread::scope(|scope| {
            let waiting: Vec<_> = some
                .iter()
                .map(|(network, interface, peer)| {
                    scope.spawn(move || path(asking, network, interface, peer))
                })
                .collect();
            waiting
                .into_iter()
                .filter_map(|thread| thread.join().ok())
                .collect()
        });
        paths.extend(answers);
    }
    (paths, u32::try_from(not_asked).unwrap_or(u32::MAX))
}

fn path(asking: &Asking<'_>, network: &Planned, interface: &str, peer: &Peer) -> Path {
    let mut path = Path {
        network: network.name.clone(),
        peer: peer.clone(),
        ..Path::default()
    };
    let Ok(address) = peer.address.parse::<IpAddr>() else {
        return path;
    };
    path.answers = answers(asking, interface, address, 56).is_ok();
    if path.answers {
        let size = network.mtu_bytes().saturating_sub(headers(address));
        match answers(asking, interface, address, size) {
            Ok(()) => path.full = true,
            Err(said) => path.said = said,
        }
    }
    path
}

/// Does it answer a packet of so many bytes? If not: the MTU that somebody on the way named.
pub(super) fn answers(
    asking: &Asking<'_>,
    interface: &str,
    address: IpAddr,
    size: u32,
) -> Result<(), Option<u32>> {
    let command = Command::new("ping")
        // `-M do`: not to be fragmented, not even here (ping(8)).
        .args(["-n", "-c", "3", "-i", "0.3", "-W", "2", "-M", "do"])
        .args(["-I", interface, "-s", &size.to_string()])
        .arg(address.to_string());
    match asking.system.run(&command.timeout(PATIENCE)) {
        // ping(8) ends well if there was any answer at all.
        Ok(_) => Ok(()),
        Err(CommandError::Failed { stderr, .. }) => Err(named_mtu(&stderr)),
        Err(_) => Err(None),
    }
}

/// `ping: local error: message too long, mtu=1500`, or a router's `(mtu = 1500)`.
fn named_mtu(text: &str) -> Option<u32> {
    let rest = text.split("mtu").nth(1)?;
    let digits: String = rest
        .trim_start_matches([' ', '=', ':'])
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().ok()
}

/// Waits a little less than a person would.
pub(super) const SETTLE: Duration = Duration::from_millis(1500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ping_says_of_a_smaller_way() {
        for (text, expected) in [
            ("ping: local error: message too long, mtu=1500", Some(1500)),
            (
                "From 10.0.0.1 icmp_seq=1 Frag needed and DF set (mtu = 1400)",
                Some(1400),
            ),
            ("", None),
            ("mtu", None),
            ("mtu=99999999999", None),
        ] {
            assert_eq!(named_mtu(text), expected, "{text}");
        }
    }
}
