//! Addresses with a prefix length, as node files write them: `192.0.2.10/24`.

use std::net::IpAddr;

/// An interface address and the network it lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    /// The interface's own address.
    pub address: IpAddr,
    /// Prefix length in bits.
    pub prefix: u8,
}

impl Cidr {
    /// Reads `192.0.2.10/24` or `2001:db8::10/64`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        if prefix.is_empty() || !prefix.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let prefix: u8 = prefix.parse().ok()?;
        (u32::from(prefix) <= bits(address)).then_some(Self { address, prefix })
    }

    /// Does the address lie in this network?
    #[must_use]
    pub fn contains(&self, other: IpAddr) -> bool {
        self.address.is_ipv4() == other.is_ipv4()
            && network(self.address, self.prefix) == network(other, self.prefix)
    }

    /// The network's own address: `192.0.2.0/24`.
    #[must_use]
    pub fn network(&self) -> String {
        let network = network(self.address, self.prefix);
        let address = match self.address {
            IpAddr::V4(_) => IpAddr::V4(u32::try_from(network).unwrap_or_default().into()),
            IpAddr::V6(_) => IpAddr::V6(network.into()),
        };
        format!("{address}/{}", self.prefix)
    }
}

fn bits(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The address as a number with the host bits cleared.
fn network(address: IpAddr, prefix: u8) -> u128 {
    let number = match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    };
    let host_bits = bits(address).saturating_sub(u32::from(prefix));
    if host_bits >= 128 {
        return 0;
    }
    number >> host_bits << host_bits
}

/// Six pairs of lower or upper case hexadecimal digits with colons, not a multicast or zero address.
#[must_use]
pub fn is_mac(text: &str) -> bool {
    let octets: Vec<&str> = text.split(':').collect();
    let first = octets
        .first()
        .and_then(|octet| u8::from_str_radix(octet, 16).ok());
    octets.len() == 6
        && octets
            .iter()
            .all(|octet| octet.len() == 2 && octet.bytes().all(|b| b.is_ascii_hexdigit()))
        && first.is_some_and(|octet| octet & 1 == 0)
        && octets.iter().any(|octet| *octet != "00")
}
