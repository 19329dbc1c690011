//! LLDP (IEEE 802.1AB-2016): which switch and which of its ports is at the other end of the cable.

use crate::measured::Neighbour;

use super::mac_text;

/// EtherType (clause 7.3).
pub const ETHERTYPE: u16 = 0x88cc;

/// Group address that bridges do not forward (clause 7.1).
pub const GROUP: &str = "01:80:c2:00:00:0e";

/// Ethernet header without a tag.
const HEADER: usize = 14;

/// Longest text that is kept of what a stranger says.
const LONGEST: usize = 255;

/// The neighbour that sent this frame.
#[must_use]
pub fn parse(frame: &[u8]) -> Option<Neighbour> {
    let kind = u16::from_be_bytes(frame.get(12..HEADER)?.try_into().ok()?);
    if kind != ETHERTYPE {
        return None;
    }
    let mut rest = frame.get(HEADER..)?;
    let mut neighbour = Neighbour::default();
    while let Some((head, after)) = rest.split_at_checked(2) {
        // Clause 8.4: 7 bits of type, 9 bits of length.
        let head = u16::from_be_bytes([head[0], head[1]]);
        let (kind, length) = (head >> 9, usize::from(head & 0x1ff));
        let (value, after) = after.split_at_checked(length)?;
        match kind {
            0 => break,
            1 => neighbour.chassis = identifier(value, 4, 5),
            2 => neighbour.port = identifier(value, 3, 4),
            4 => neighbour.description = text(value),
            5 => neighbour.system = text(value),
            _ => {}
        }
        rest = after;
    }
    // Both are mandatory (clause 8.2): without them it is no LLDP.
    (neighbour.chassis.is_some() && neighbour.port.is_some()).then_some(neighbour)
}

/// Chassis and port ids begin with a subtype (clauses 8.5.2.2 and 8.5.3.2), which numbers MAC and network addresses
/// differently in the two.
fn identifier(value: &[u8], mac: u8, network: u8) -> Option<String> {
    let (subtype, value) = value.split_first()?;
    if *subtype == mac && value.len() == 6 {
        return Some(mac_text(value));
    }
    if *subtype == network
        && let [1, a, b, c, d] = value
    {
        return Some(format!("{a}.{b}.{c}.{d}"));
    }
    text(value)
}

/// Printable text; control characters of a stranger never reach a console.
fn text(value: &[u8]) -> Option<String> {
    let text: String = String::from_utf8_lossy(value)
        .chars()
        .filter(|c| !c.is_control())
        .take(LONGEST)
        .collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Does the neighbour call itself by this name? A host name may come with its domain.
#[must_use]
pub fn is_system(neighbour: &Neighbour, name: &str) -> bool {
    let first = |text: &str| text.split('.').next().unwrap_or_default().to_lowercase();
    neighbour
        .system
        .as_deref()
        .is_some_and(|system| system.eq_ignore_ascii_case(name) || first(system) == first(name))
}

/// Is this the neighbour's port? Switches name it in the port id or in the description, Junos with the number of the
/// logical unit: `xe-0/0/0.0`.
#[must_use]
pub fn is_port(neighbour: &Neighbour, name: &str) -> bool {
    let plain = |text: &str| text.trim_end_matches(".0").to_lowercase();
    [&neighbour.port, &neighbour.description]
        .into_iter()
        .flatten()
        .any(|text| plain(text) == plain(name))
}
