//! Accounts (IPMI 2.0, 22.26 to 22.30).

use std::fmt;

use serde::Serialize;

use super::command::Command;
use super::keep::keep;
use super::{BmcError, Password, channel};
use crate::ipmi::IpmiTransport;

const GET_ACCESS: Command = Command {
    function: 0x06,
    command: 0x44,
    what: "read a user's access",
};
const SET_ACCESS: Command = Command {
    function: 0x06,
    command: 0x43,
    what: "set a user's access",
};
const GET_NAME: Command = Command {
    function: 0x06,
    command: 0x46,
    what: "read a user's name",
};
const SET_NAME: Command = Command {
    function: 0x06,
    command: 0x45,
    what: "set a user's name",
};
const PASSWORD: Command = Command {
    function: 0x06,
    command: 0x47,
    what: "set a user's password",
};
const TEST: Command = Command {
    what: "test a user's password",
    ..PASSWORD
};
const ENABLE: Command = Command {
    what: "enable a user",
    ..PASSWORD
};

/// Operations of Set User Password.
const OPERATION_ENABLE: u8 = 1;
const OPERATION_SET: u8 = 2;
const OPERATION_TEST: u8 = 3;
/// Own completion codes of that command: the password is another; it has another length.
const NO_MATCH: [u8; 2] = [0x80, 0x81];

/// Longest name.
pub const LONGEST_NAME: usize = 16;
/// Slot of Supermicro's `ADMIN`.
pub const FACTORY_SLOT: u8 = 2;
/// Name of that account.
pub const FACTORY_NAME: &str = "ADMIN";

/// One slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// Number, from 1; 1 is the anonymous user's.
    pub slot: u8,
    /// Name; empty for a slot that is not in use.
    pub name: String,
    /// Rights on the LAN channel.
    #[serde(flatten)]
    pub access: Access,
    /// May log in; absent if the BMC does not say (it is optional).
    pub enabled: Option<bool>,
}

/// Rights of a user on a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Access {
    /// Highest privilege.
    pub privilege: u8,
    /// May send commands by this channel.
    pub messaging: bool,
}

impl fmt::Display for Access {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = if self.messaging { "" } else { ", not by LAN" };
        write!(formatter, "{}{by}", channel::privilege(self.privilege))
    }
}

/// All slots, and how many of the first have names that cannot be changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Users {
    /// In order.
    pub slots: Vec<User>,
    /// Slots from 1 to this have fixed names.
    pub fixed: u8,
}

impl Users {
    /// The user of this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&User> {
        self.slots.iter().find(|user| user.name == name)
    }

    /// The first slot for a new user: not the anonymous one, no name of its own, and nobody in it.
    #[must_use]
    pub fn free(&self) -> Option<u8> {
        self.slots
            .iter()
            .find(|user| {
                user.slot > 1
                    && user.slot > self.fixed
                    && user.name.is_empty()
                    && user.enabled != Some(true)
            })
            .map(|user| user.slot)
    }
}

/// Reads all slots.
///
/// # Errors
/// The BMC cannot be reached or refuses.
pub fn read(transport: &mut dyn IpmiTransport, channel: u8) -> Result<Users, BmcError> {
    let first = GET_ACCESS.send(transport, &[channel, 1])?;
    let most = first.byte(0)? & 0x3f;
    let fixed = first.byte(2)? & 0x3f;
    let mut slots = Vec::new();
    for slot in 1..=most {
        let (access, enabled) = access(transport, channel, slot)?;
        slots.push(User {
            slot,
            name: name(transport, slot)?,
            access,
            enabled,
        });
    }
    Ok(Users { slots, fixed })
}

fn access(
    transport: &mut dyn IpmiTransport,
    channel: u8,
    slot: u8,
) -> Result<(Access, Option<bool>), BmcError> {
    let answer = GET_ACCESS.send(transport, &[channel, slot])?;
    // Bits 7 and 6 of the second byte: 1 enabled, 2 disabled, 0 not said.
    let enabled = match answer.byte(1)? >> 6 {
        1 => Some(true),
        2 => Some(false),
        _ => None,
    };
    let rights = answer.byte(3)?;
    let access = Access {
        privilege: rights & 0x0f,
        messaging: rights & 0x10 != 0,
    };
    Ok((access, enabled))
}

fn name(transport: &mut dyn IpmiTransport, slot: u8) -> Result<String, BmcError> {
    let answer = match GET_NAME.send(transport, &[slot]) {
        Ok(answer) => answer,
        // An empty slot has no name to read on some firmware.
        Err(error) if matches!(error.code(), Some(0xcb | 0xcc | 0xff)) => return Ok(String::new()),
        Err(error) => return Err(error),
    };
    let bytes: Vec<u8> = answer
        .bytes
        .iter()
        .copied()
        .take(LONGEST_NAME)
        .take_while(|byte| *byte != 0)
        .collect();
    Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

/// Names a slot.
///
/// # Errors
/// The BMC refuses, or it did not stick.
pub fn set_name(transport: &mut dyn IpmiTransport, slot: u8, wanted: &str) -> Result<(), BmcError> {
    let mut data = [0; 1 + LONGEST_NAME];
    data[0] = slot;
    for (target, byte) in data.iter_mut().skip(1).zip(wanted.bytes()) {
        *target = byte;
    }
    keep(
        transport,
        "the user's name",
        &wanted.to_owned(),
        |transport| SET_NAME.send(transport, &data).map(|_| ()),
        |transport| name(transport, slot),
    )
}

/// The password is the user's; absent if the BMC will not test (some do so only in a session of an administrator), or calls
/// every password right, as `ipmi_sim` does.
///
/// # Errors
/// The BMC cannot be reached.
pub fn test_password(
    transport: &mut dyn IpmiTransport,
    slot: u8,
    password: &Password,
) -> Result<Option<bool>, BmcError> {
    let result = test_once(transport, slot, password)?;
    if result == Some(true) && test_once(transport, slot, &password.another())? != Some(false) {
        return Ok(None);
    }
    Ok(result)
}

fn test_once(
    transport: &mut dyn IpmiTransport,
    slot: u8,
    password: &Password,
) -> Result<Option<bool>, BmcError> {
    match TEST.send(transport, &password_data(slot, OPERATION_TEST, password)) {
        Ok(_) => Ok(Some(true)),
        Err(error) if error.code().is_some_and(|code| NO_MATCH.contains(&code)) => Ok(Some(false)),
        Err(BmcError::Refused { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Sets a password and tests it.
///
/// # Errors
/// The BMC refuses, or the password is not the user's afterwards. Never says the password.
pub fn set_password(
    transport: &mut dyn IpmiTransport,
    slot: u8,
    password: &Password,
) -> Result<(), BmcError> {
    keep(
        transport,
        "a password",
        &Kept(Some(true)),
        |transport| {
            PASSWORD.send(transport, &password_data(slot, OPERATION_SET, password))?;
            Ok(())
        },
        |transport| test_password(transport, slot, password).map(Kept),
    )
}

/// Whether a password was kept; "cannot be tested" is as good as it gets.
struct Kept(Option<bool>);

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        self.0.unwrap_or(true) == other.0.unwrap_or(true)
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.0 {
            Some(false) => "another",
            _ => "as given",
        })
    }
}

/// The 16-byte form: see [`super::password::LONGEST`].
fn password_data(slot: u8, operation: u8, password: &Password) -> Vec<u8> {
    let mut data = vec![slot & 0x3f, operation];
    data.extend_from_slice(&password.bytes());
    data
}

/// Gives a user rights on a channel. The privilege is set before messages are allowed: the other way round, some firmware
/// refuses, and for a moment the user would have a privilege that nobody chose.
///
/// # Errors
/// The BMC refuses, or it did not stick.
pub fn set_access(
    transport: &mut dyn IpmiTransport,
    channel: u8,
    slot: u8,
    wanted: Access,
) -> Result<(), BmcError> {
    let data = |change: bool, messaging: bool| {
        // Bit 7: bits 6 to 4 count. 4: messages. 5 (link authentication) is for serial lines.
        let flags = u8::from(change) << 7 | u8::from(messaging) << 4;
        [flags | (channel & 0x0f), slot & 0x3f, wanted.privilege, 0]
    };
    keep(
        transport,
        "the user's access",
        &wanted,
        |transport| {
            SET_ACCESS.send(transport, &data(false, false))?;
            SET_ACCESS.send(transport, &data(true, wanted.messaging))?;
            Ok(())
        },
        |transport| Ok(access(transport, channel, slot)?.0),
    )
}

/// Lets a user log in.
///
/// # Errors
/// The BMC refuses, or it did not stick.
pub fn enable(transport: &mut dyn IpmiTransport, channel: u8, slot: u8) -> Result<(), BmcError> {
    // Firmware that wants the password's bytes here too takes zeros.
    let mut data = vec![slot & 0x3f, OPERATION_ENABLE];
    data.resize(2 + super::password::LONGEST, 0);
    keep(
        transport,
        "the user",
        &Enabled(Some(true)),
        |transport| ENABLE.send(transport, &data).map(|_| ()),
        |transport| Ok(Enabled(access(transport, channel, slot)?.1)),
    )
}

/// Absent is taken as enabled: a BMC need not say.
struct Enabled(Option<bool>);

impl PartialEq for Enabled {
    fn eq(&self, other: &Self) -> bool {
        self.0.unwrap_or(true) == other.0.unwrap_or(true)
    }
}

impl fmt::Display for Enabled {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.0 {
            Some(false) => "disabled",
            _ => "enabled",
        })
    }
}

/// The factory's account still has the factory's password; absent if there is no such account, or the BMC will not test.
///
/// # Errors
/// The BMC cannot be reached.
pub fn has_factory_password(transport: &mut dyn IpmiTransport) -> Result<Option<bool>, BmcError> {
    let name = match name(transport, FACTORY_SLOT) {
        Ok(name) => name,
        Err(BmcError::Refused { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    if name != FACTORY_NAME {
        return Ok(None);
    }
    test_password(transport, FACTORY_SLOT, &Password::factory())
}
