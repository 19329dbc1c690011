//! Channels: which one is the LAN, who may use it, by which ciphers (IPMI 2.0, 22.15, 22.22 to 22.24).

use std::fmt;

use serde::Serialize;

use super::BmcError;
use super::command::Command;
use super::keep::keep;
use crate::ipmi::IpmiTransport;

const INFO: Command = Command {
    function: 0x06,
    command: 0x42,
    what: "describe a channel",
};
const GET_ACCESS: Command = Command {
    function: 0x06,
    command: 0x41,
    what: "read the access of its LAN channel",
};
const SET_ACCESS: Command = Command {
    function: 0x06,
    command: 0x40,
    what: "set the access of its LAN channel",
};
const CIPHERS: Command = Command {
    function: 0x06,
    command: 0x54,
    what: "list its cipher suites",
};

/// Privilege of an administrator (IPMI 2.0, 6.8: 1 callback, 2 user, 3 operator, 4 administrator).
pub const ADMINISTRATOR: u8 = 4;

/// The first channel whose medium is an 802.3 LAN (type 4). Not always 1: it is asked.
///
/// # Errors
/// [`BmcError::NoLan`], or the BMC cannot be reached.
pub fn find_lan(transport: &mut dyn IpmiTransport) -> Result<u8, BmcError> {
    for channel in 1..=0x0b {
        match INFO.send(transport, &[channel]) {
            Ok(answer) if answer.byte(1)? & 0x7f == 4 => return Ok(channel),
            // A channel that is not there.
            Ok(_) | Err(BmcError::Refused { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Err(BmcError::NoLan)
}

/// The channel that this session came in by is `channel` (0x0e means "this one").
///
/// # Errors
/// The BMC cannot be reached or refuses.
pub fn is_own(transport: &mut dyn IpmiTransport, channel: u8) -> Result<bool, BmcError> {
    Ok(INFO.send(transport, &[0x0e])?.byte(0)? & 0x0f == channel)
}

/// When a channel can be used, and by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Access {
    /// 0 never, 1 before the system is started, 2 always, 3 shared with the system.
    pub mode: u8,
    /// Highest privilege anyone has here.
    pub privilege: u8,
    /// Messages within a session need no authentication of their own.
    pub without_message_authentication: bool,
    /// Commands of privilege user need no authentication.
    pub without_user_authentication: bool,
}

impl fmt::Display for Access {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            0 => "never",
            1 => "only before the system starts",
            2 => "always",
            3 => "shared with the system",
            _ => "in an unknown way",
        };
        write!(formatter, "{mode}, up to {}", privilege(self.privilege))?;
        if self.without_message_authentication || self.without_user_authentication {
            write!(formatter, ", partly without authentication")?;
        }
        Ok(())
    }
}

/// `administrator`.
#[must_use]
pub fn privilege(level: u8) -> &'static str {
    match level {
        0 => "none",
        1 => "callback",
        2 => "user",
        3 => "operator",
        4 => "administrator",
        5 => "vendor",
        15 => "no access",
        _ => "unknown",
    }
}

/// Where a setting is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Over a restart of the BMC.
    Always,
    /// Until then.
    Now,
}

impl Kept {
    fn bits(self) -> u8 {
        match self {
            Self::Always => 0b01 << 6,
            Self::Now => 0b10 << 6,
        }
    }
}

/// How a channel can be used.
///
/// # Errors
/// The BMC cannot be reached or refuses.
pub fn access(
    transport: &mut dyn IpmiTransport,
    channel: u8,
    kept: Kept,
) -> Result<Access, BmcError> {
    let answer = GET_ACCESS.send(transport, &[channel, kept.bits()])?;
    let first = answer.byte(0)?;
    Ok(Access {
        mode: first & 0x07,
        privilege: answer.byte(1)? & 0x0f,
        without_message_authentication: first & 0x10 != 0,
        without_user_authentication: first & 0x08 != 0,
    })
}

/// Opens the channel for administrators at any time, with authentication, now and after a restart; alerting stays off.
///
/// # Errors
/// The BMC refuses, or it did not stick.
pub fn open(transport: &mut dyn IpmiTransport, channel: u8) -> Result<(), BmcError> {
    for kept in [Kept::Always, Kept::Now] {
        let wanted = Access {
            mode: 2,
            privilege: ADMINISTRATOR,
            without_message_authentication: false,
            without_user_authentication: false,
        };
        keep(
            transport,
            "the access of its LAN channel",
            &wanted,
            |transport| set(transport, channel, kept, 2),
            |transport| access(transport, channel, kept),
        )?;
    }
    Ok(())
}

/// Closes the channel until [`open`] or a restart: some firmware takes new LAN settings only so.
///
/// # Errors
/// The BMC cannot be reached or refuses.
pub(super) fn close_for_now(
    transport: &mut dyn IpmiTransport,
    channel: u8,
) -> Result<(), BmcError> {
    set(transport, channel, Kept::Now, 0)
}

fn set(
    transport: &mut dyn IpmiTransport,
    channel: u8,
    kept: Kept,
    mode: u8,
) -> Result<(), BmcError> {
    // Bit 5: no alerts.
    let data = [
        channel,
        kept.bits() | 0x20 | mode,
        kept.bits() | ADMINISTRATOR,
    ];
    SET_ACCESS.send(transport, &data)?;
    Ok(())
}

/// Numbers of the cipher suites (IPMI 2.0, table 22-20): 3 is SHA1 with AES-128, 17 is SHA256 with AES-128, 0 is nothing.
///
/// # Errors
/// The BMC cannot be reached or refuses.
pub fn ciphers(transport: &mut dyn IpmiTransport, channel: u8) -> Result<Vec<u8>, BmcError> {
    let mut records = Vec::new();
    // 16 bytes at a time, by suite (bit 7); fewer mark the end. Bits 5 to 0 hold the place.
    for place in 0..0x40 {
        let answer = CIPHERS.send(transport, &[channel, 0, 0x80 | place])?;
        let piece = answer.rest(1)?;
        records.extend_from_slice(piece);
        if piece.len() < 16 {
            break;
        }
    }
    Ok(suites(&records))
}

/// Records of 22.15: 0xc0 and the number, or 0xc1, the number and a maker; then algorithms, whose top bits are never both 1.
fn suites(records: &[u8]) -> Vec<u8> {
    let mut suites = Vec::new();
    let mut bytes = records.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            0xc0 => suites.extend(bytes.next()),
            0xc1 => {
                bytes.nth(3);
            }
            _ => {}
        }
    }
    suites
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cipher_suites_are_found_between_their_algorithms() {
        for (records, expected) in [
            (&[][..], &[][..]),
            (&[0xc0, 3, 0x01, 0x41, 0x81], &[3]),
            (
                &[0xc0, 0, 0x00, 0x40, 0x80, 0xc0, 17, 0x03, 0x44, 0x81],
                &[0, 17],
            ),
            // A maker's own suite does not count, whatever its bytes are.
            (&[0xc1, 0x80, 0xc0, 0x03, 0, 0x01, 0xc0, 3], &[3]),
            (&[0xc0], &[]),
            (&[0xc1, 1], &[]),
        ] {
            assert_eq!(suites(records), expected, "{records:x?}");
        }
    }
}
