//! The serial console over the network (IPMI 2.0, 26.2, 26.3, table 26-5; payload access 24.6, 24.7).

use serde::Serialize;

use super::BmcError;
use super::channel::ADMINISTRATOR;
use super::command::Command;
use super::keep::keep;
use crate::ipmi::IpmiTransport;

const GET: Command = Command {
    function: 0x0c,
    command: 0x22,
    what: "read the settings of its serial console",
};
const SET: Command = Command {
    function: 0x0c,
    command: 0x21,
    what: "set up its serial console",
};
const GET_PAYLOAD: Command = Command {
    function: 0x06,
    command: 0x4d,
    what: "read who may use its serial console",
};
const SET_PAYLOAD: Command = Command {
    function: 0x06,
    command: 0x4c,
    what: "let a user use its serial console",
};

const ACTIVE: Command = Command {
    function: 0x06,
    command: 0x4a,
    what: "say whether its serial console is in use",
};

/// 115200 bit/s (table 26-5, parameters 5 and 6): the rate of the console on the kernel's command line.
pub const RATE: u8 = 0x0a;

mod parameter {
    pub const ENABLE: u8 = 1;
    pub const AUTHENTICATION: u8 = 2;
    pub const KEPT_RATE: u8 = 5;
    pub const RATE: u8 = 6;
}

/// Settings of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Sol {
    /// Can be used.
    pub enabled: bool,
    /// Rate code after a restart of the BMC, and now.
    pub rates: [u8; 2],
    /// Privilege needed.
    pub privilege: u8,
}

/// Bits per second of a rate code; 0 if it follows the serial port.
#[must_use]
pub fn bits_per_second(code: u8) -> u32 {
    match code & 0x0f {
        6 => 9_600,
        7 => 19_200,
        8 => 38_400,
        9 => 57_600,
        10 => 115_200,
        _ => 0,
    }
}

/// Reads the settings; absent if the BMC has no serial console.
///
/// # Errors
/// The BMC cannot be reached.
pub fn read(transport: &mut dyn IpmiTransport, channel: u8) -> Result<Option<Sol>, BmcError> {
    let enabled = match get(transport, channel, parameter::ENABLE) {
        Ok(byte) => byte & 1 != 0,
        Err(error) if error.is_unsupported() => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(Some(Sol {
        enabled,
        rates: [
            get(transport, channel, parameter::KEPT_RATE)? & 0x0f,
            get(transport, channel, parameter::RATE)? & 0x0f,
        ],
        privilege: get(transport, channel, parameter::AUTHENTICATION)? & 0x0f,
    }))
}

fn get(transport: &mut dyn IpmiTransport, channel: u8, number: u8) -> Result<u8, BmcError> {
    GET.send(transport, &[channel, number, 0, 0])?.byte(1)
}

/// Someone looks at the console now (24.4); absent if the BMC does not say.
///
/// # Errors
/// The BMC cannot be reached.
pub fn in_use(transport: &mut dyn IpmiTransport) -> Result<Option<bool>, BmcError> {
    match ACTIVE.send(transport, &[1]) {
        // A bit for each of sixteen instances.
        Ok(answer) => Ok(Some(answer.word(1)? != 0)),
        Err(BmcError::Refused { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Enables the console at 115200 bit/s for administrators, encrypted and authenticated.
///
/// # Errors
/// The BMC refuses, or it did not stick.
pub fn enable(transport: &mut dyn IpmiTransport, channel: u8) -> Result<(), BmcError> {
    // Bits 7 and 6 of the authentication: encryption and authentication of the payload are forced.
    let authentication = 0xc0 | ADMINISTRATOR;
    for (number, value, mask) in [
        (parameter::ENABLE, 1, 0x01),
        (parameter::AUTHENTICATION, authentication, 0x0f),
        (parameter::KEPT_RATE, RATE, 0x0f),
        (parameter::RATE, RATE, 0x0f),
    ] {
        keep(
            transport,
            "a setting of its serial console",
            &(value & mask),
            |transport| SET.send(transport, &[channel, number, value]).map(|_| ()),
            |transport| Ok(get(transport, channel, number)? & mask),
        )?;
    }
    Ok(())
}

/// The user may use the console; absent if the BMC does not say.
///
/// # Errors
/// The BMC cannot be reached.
pub fn is_allowed(
    transport: &mut dyn IpmiTransport,
    channel: u8,
    slot: u8,
) -> Result<Option<bool>, BmcError> {
    match GET_PAYLOAD.send(transport, &[channel, slot]) {
        // Bit 1 of the first byte is payload type 1, the console.
        Ok(answer) => Ok(Some(answer.byte(0)? & 0x02 != 0)),
        Err(BmcError::Refused { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Lets a user use the console.
///
/// # Errors
/// The BMC refuses, or it did not stick.
pub fn allow(transport: &mut dyn IpmiTransport, channel: u8, slot: u8) -> Result<(), BmcError> {
    keep(
        transport,
        "the user's right to the serial console",
        &true,
        |transport| {
            // Bits 7 and 6 of the second byte: 0 enables.
            SET_PAYLOAD.send(transport, &[channel, slot & 0x3f, 0x02, 0, 0, 0])?;
            Ok(())
        },
        |transport| Ok(is_allowed(transport, channel, slot)?.unwrap_or(true)),
    )
}
