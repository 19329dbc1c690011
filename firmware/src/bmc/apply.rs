//! Makes a BMC what it should be: change by change, each read back.

use super::difference::{Change, Difference, Way};
use super::lan::Setting;
use super::users::Access;
use super::{
    BmcError, Current, Password, Wanted, channel, current, difference, lan, sol, supermicro, users,
};
use crate::ipmi::IpmiTransport;

/// Looks at a BMC and says what must change.
///
/// # Errors
/// The BMC cannot be reached, has no LAN channel, or no room for the wanted user.
pub fn look(
    transport: &mut dyn IpmiTransport,
    wanted: &Wanted,
    password: Option<&Password>,
    way: Way,
) -> Result<(Current, Difference), BmcError> {
    let now = current::read(transport)?;
    if let Some(user) = &wanted.user
        && password.is_some()
        && now.users.named(user).is_none()
        && now.users.free().is_none()
    {
        return Err(BmcError::NoSlot {
            user: user.clone(),
            slots: u8::try_from(now.users.slots.len()).unwrap_or(u8::MAX),
        });
    }
    let account = current::account(transport, &now, wanted.user.as_deref(), password)?;
    let difference = difference(&now, account, wanted, password.is_some(), way);
    Ok((now, difference))
}

/// Makes the changes in their order. `tell` hears of each before it is made.
///
/// # Errors
/// The BMC refuses, or a change did not stick; those before it are made.
pub fn apply(
    transport: &mut dyn IpmiTransport,
    channel: u8,
    difference: &Difference,
    password: Option<&Password>,
    way: Way,
    tell: &mut dyn FnMut(&Change),
) -> Result<(), BmcError> {
    let changes = &difference.changes;
    // The settings of the LAN are made under one lock.
    let settings: Vec<Setting> = changes
        .iter()
        .filter_map(|change| match change {
            Change::Lan { setting, .. } => Some(*setting),
            _ => None,
        })
        .collect();
    let first = changes
        .iter()
        .position(|change| matches!(change, Change::Lan { .. }));
    for (place, change) in changes.iter().enumerate() {
        tell(change);
        match change {
            Change::Name { slot, name } => users::set_name(transport, *slot, name)?,
            Change::Password { slot, .. } => {
                if let Some(password) = password {
                    users::set_password(transport, *slot, password)?;
                }
            }
            Change::Rights { slot, .. } => {
                let rights = Access {
                    privilege: channel::ADMINISTRATOR,
                    messaging: true,
                };
                users::set_access(transport, channel, *slot, rights)?;
            }
            Change::Enable { slot, .. } => users::enable(transport, channel, *slot)?,
            Change::Channel { .. } => channel::open(transport, channel)?,
            Change::Console => sol::enable(transport, channel)?,
            Change::ConsoleUser { slot, .. } => sol::allow(transport, channel, *slot)?,
            Change::Lan { .. } if Some(place) == first => {
                lan::change(transport, channel, &settings, way == Way::InBand)?;
            }
            Change::Lan { .. } => {}
            Change::Mode { to, .. } => supermicro::set_lan_mode(transport, *to)?,
        }
    }
    Ok(())
}
