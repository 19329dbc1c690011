//! What a BMC is: read only.

use serde::Serialize;

use super::channel::{self, Kept};
use super::device::{self, Device};
use super::lan::{self, Settings};
use super::sol::{self, Sol};
use super::users::{self, Users};
use super::{BmcError, LanMode, Password, sel, supermicro};
use crate::ipmi::IpmiTransport;

/// What a BMC is. What it does not have is absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Current {
    /// Maker, product, firmware.
    pub device: Device,
    /// Number of the LAN channel.
    pub channel: u8,
    /// Network.
    pub lan: Settings,
    /// Access of the channel after a restart of the BMC, and now.
    pub access: [channel::Access; 2],
    /// Accounts.
    pub users: Users,
    /// Cipher suites; absent if it does not list them.
    pub ciphers: Option<Vec<u8>>,
    /// Serial console.
    pub sol: Option<Sol>,
    /// Someone looks at the serial console now.
    pub console_in_use: Option<bool>,
    /// Supermicro: port of the board.
    pub mode: Option<LanMode>,
    /// Its clock.
    pub time: Option<u32>,
    /// The factory's account still has the factory's password.
    pub factory_password: Option<bool>,
}

/// Reads everything that [`super::difference()`] needs, by questions alone; the factory's password is tried on the factory's
/// account.
///
/// # Errors
/// The BMC cannot be reached, or has no LAN channel.
pub fn read(transport: &mut dyn IpmiTransport) -> Result<Current, BmcError> {
    let device = device::read(transport)?;
    let channel = channel::find_lan(transport)?;
    let known = supermicro::is_known(device.manufacturer, device.product.into());
    Ok(Current {
        lan: lan::read(transport, channel)?,
        access: [
            channel::access(transport, channel, Kept::Always)?,
            channel::access(transport, channel, Kept::Now)?,
        ],
        users: users::read(transport, channel)?,
        ciphers: unless_refused(channel::ciphers(transport, channel))?,
        sol: sol::read(transport, channel)?,
        console_in_use: sol::in_use(transport)?,
        mode: match known {
            true => unless_refused(supermicro::lan_mode(transport))?,
            false => None,
        },
        time: unless_refused(sel::time(transport))?.flatten(),
        factory_password: users::has_factory_password(transport)?,
        device,
        channel,
    })
}

/// A refusal is "not there".
fn unless_refused<T>(result: Result<T, BmcError>) -> Result<Option<T>, BmcError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(BmcError::Refused { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What is known of the wanted account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Account {
    /// The given password is its own; absent if there is no such account, no password, or the BMC will not test.
    pub password: Option<bool>,
    /// It may use the serial console; absent likewise.
    pub console: Option<bool>,
}

/// Looks at the account of the wanted user.
///
/// # Errors
/// The BMC cannot be reached.
pub fn account(
    transport: &mut dyn IpmiTransport,
    current: &Current,
    user: Option<&str>,
    password: Option<&Password>,
) -> Result<Account, BmcError> {
    let Some(user) = user.and_then(|name| current.users.named(name)) else {
        return Ok(Account::default());
    };
    Ok(Account {
        password: match password {
            Some(password) => users::test_password(transport, user.slot, password)?,
            None => None,
        },
        console: sol::is_allowed(transport, current.channel, user.slot)?,
    })
}
