//! Frames and datagrams as bytes. Every parser takes anything and gives `None` for what it does not understand: the other
//! end of a cable is not ours.

pub mod arp;
pub mod lldp;
pub mod sntp;

/// A MAC address as text.
#[must_use]
pub fn mac_text(bytes: &[u8]) -> String {
    let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    pairs.join(":")
}

/// Six bytes of `0c:c4:7a:12:34:56`.
#[must_use]
pub fn mac_bytes(text: &str) -> Option<[u8; 6]> {
    let mut bytes = [0; 6];
    let mut parts = text.trim().split(':');
    for byte in &mut bytes {
        let part = parts
            .next()
            .filter(|part| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        *byte = u8::from_str_radix(part, 16).ok()?;
    }
    parts.next().is_none().then_some(bytes)
}
