//! ARP (RFC 826) as far as finding out who else has an address takes (RFC 5227).

use std::net::Ipv4Addr;

use super::mac_text;

/// EtherType.
pub const ETHERTYPE: u16 = 0x0806;

/// An ARP probe (RFC 5227 section 2.1.1): a question without an address of its own, so that nobody learns anything from it.
#[must_use]
pub fn probe(own: [u8; 6], address: Ipv4Addr) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend(own);
    frame.extend(ETHERTYPE.to_be_bytes());
    // Ethernet, IPv4, address lengths, request.
    frame.extend([0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend(own);
    frame.extend([0; 4]);
    frame.extend([0; 6]);
    frame.extend(address.octets());
    // Shortest Ethernet frame without its checksum (IEEE 802.3 clause 3.2.8).
    frame.resize(60, 0);
    frame
}

/// The MAC address of another machine that has or wants this address, if the frame says so (RFC 5227 section 2.1.1).
#[must_use]
pub fn claim(frame: &[u8], own: [u8; 6], address: Ipv4Addr) -> Option<String> {
    let kind = u16::from_be_bytes(frame.get(12..14)?.try_into().ok()?);
    let body = frame.get(14..42)?;
    if kind != ETHERTYPE || body[..6] != [0, 1, 8, 0, 6, 4] {
        return None;
    }
    let operation = u16::from_be_bytes([body[6], body[7]]);
    let (sender, sender_address) = (&body[8..14], &body[14..18]);
    let target_address = &body[24..28];
    if sender == own || !matches!(operation, 1 | 2) {
        return None;
    }
    let wanted = address.octets();
    let has = sender_address == wanted;
    let probes = operation == 1 && sender_address == [0; 4] && target_address == wanted;
    (has || probes).then(|| mac_text(sender))
}
