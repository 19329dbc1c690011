//! What must change so that a BMC is what it should be. Pure: the current state goes in, an ordered list comes out.

use std::fmt;
use std::net::Ipv4Addr;

use serde::Serialize;

use super::channel::{self, ADMINISTRATOR, Access as ChannelAccess};
use super::current::{Account, Current};
use super::lan::{Setting, Source};
use super::users::{Access, FACTORY_NAME, FACTORY_SLOT};
use super::{LanMode, Wanted, sol};

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum Change {
    /// Name a slot.
    Name {
        /// Slot.
        slot: u8,
        /// Name.
        name: String,
    },
    /// Set a password.
    Password {
        /// Slot.
        slot: u8,
        /// Name.
        name: String,
        /// It is known to be another; else the BMC does not say, and it is set to be sure.
        tested: bool,
    },
    /// Rights on the LAN channel.
    Rights {
        /// Slot.
        slot: u8,
        /// Name.
        name: String,
        /// As they are.
        from: Access,
    },
    /// Let a user log in.
    Enable {
        /// Slot.
        slot: u8,
        /// Name.
        name: String,
    },
    /// Open the LAN channel for administrators.
    Channel {
        /// As it is, after a restart of the BMC and now.
        from: [ChannelAccess; 2],
    },
    /// Serial console over the network.
    Console,
    /// Let a user use the serial console.
    ConsoleUser {
        /// Slot.
        slot: u8,
        /// Name.
        name: String,
    },
    /// A setting of the LAN.
    Lan {
        /// To this.
        setting: Setting,
        /// As it is.
        from: String,
    },
    /// Port of the board.
    Mode {
        /// As it is.
        from: LanMode,
        /// To this.
        to: LanMode,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { slot, name } => write!(formatter, "slot {slot}: new user {name}"),
            Self::Password { slot, name, tested } => {
                let why = if *tested {
                    ""
                } else {
                    " (whether it is set already cannot be tested)"
                };
                write!(formatter, "slot {slot}: password of {name}{why}")
            }
            Self::Rights { slot, name, from } => write!(
                formatter,
                "slot {slot}: rights of {name}: {from} -> administrator"
            ),
            Self::Enable { slot, name } => write!(formatter, "slot {slot}: {name} may log in"),
            Self::Channel { from: [kept, now] } => write!(
                formatter,
                "LAN access: {now} (after a restart {kept}) -> always, up to administrator"
            ),
            Self::Console => write!(formatter, "serial console: on, 115200 bit/s, encrypted"),
            Self::ConsoleUser { slot, name } => {
                write!(formatter, "slot {slot}: {name} may use the serial console")
            }
            Self::Lan { setting, from } => {
                let (what, to) = match setting {
                    Setting::StaticSource => ("source of the address", "static".to_owned()),
                    Setting::Address(address) => ("address", address.to_string()),
                    Setting::Mask(mask) => ("net mask", mask.to_string()),
                    Setting::Gateway(gateway) => ("gateway", gateway.to_string()),
                    Setting::Vlan(vlan) => ("VLAN", tag(*vlan)),
                    Setting::Arp => ("ARP requests", "answered".to_owned()),
                };
                write!(formatter, "{what}: {from} -> {to}")
            }
            Self::Mode { from, to } => write!(formatter, "LAN port: {from} -> {to}"),
        }
    }
}

fn tag(vlan: Option<u16>) -> String {
    vlan.map_or_else(|| "none".to_owned(), |id| id.to_string())
}

/// All of them, and what a person should know before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// In the order they are made: accounts first, the port of the board last, as it may cut the session.
    pub changes: Vec<Change>,
    /// What cannot be done, is dangerous, or will cut someone's session.
    pub warnings: Vec<String>,
}

impl Difference {
    /// The BMC is as wanted, as far as it can be found out.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.changes
            .iter()
            .all(|change| matches!(change, Change::Password { tested: false, .. }))
    }
}

/// How this session comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By the machine's own interface to its BMC.
    InBand,
    /// By the LAN channel.
    Lan,
}

/// What must change. `password`: there is one for the wanted user. Whether there is room for a new user is the caller's to see
/// ([`super::apply::look`]).
#[must_use]
pub fn difference(
    current: &Current,
    account: Account,
    wanted: &Wanted,
    password: bool,
    way: Way,
) -> Difference {
    let mut difference = Difference::default();
    users(current, account, wanted, password, &mut difference);
    let open = |access: &ChannelAccess| {
        access.mode == 2
            && access.privilege == ADMINISTRATOR
            && !access.without_message_authentication
            && !access.without_user_authentication
    };
    let wishes = *wanted != Wanted::default();
    if wishes && !current.access.iter().all(open) {
        let from = current.access;
        difference.changes.push(Change::Channel { from });
    }
    if let Some(console) = current.sol
        && wishes
        && (!console.enabled
            || console.rates != [sol::RATE; 2]
            || console.privilege != ADMINISTRATOR)
    {
        difference.changes.push(Change::Console);
    }
    lan(current, wanted, &mut difference);
    mode(current, wanted, &mut difference);
    warn(current, way, &mut difference);
    difference
}

fn users(
    current: &Current,
    account: Account,
    wanted: &Wanted,
    password: bool,
    difference: &mut Difference,
) {
    let factory = current.factory_password == Some(true);
    let wants_factory = wanted.user.as_deref() == Some(FACTORY_NAME);
    if factory && password && !wants_factory {
        // A password that everyone knows is worse than the wanted user's on one more account.
        difference.changes.push(Change::Password {
            slot: FACTORY_SLOT,
            name: FACTORY_NAME.to_owned(),
            tested: true,
        });
    } else if factory && !password {
        difference.warnings.push(format!(
            "fail: account `{FACTORY_NAME}` still has the factory's password, which everyone knows, and no password was delivered"
        ));
    }
    let there = current.users.named(FACTORY_NAME);
    if current.factory_password.is_none()
        && !wants_factory
        && *wanted != Wanted::default()
        && there.is_some_and(|user| user.slot == FACTORY_SLOT)
    {
        difference.warnings.push(format!(
            "whether account `{FACTORY_NAME}` still has the factory's password cannot be tested here: try to log in with it"
        ));
    }
    let Some(name) = wanted.user.clone() else {
        return;
    };
    let user = current.users.named(&name);
    if user.is_none() && !password {
        difference.warnings.push(format!(
            "user `{name}` is not made: no password was delivered for it"
        ));
        return;
    }
    let slot = match (user, current.users.free()) {
        (Some(user), _) => user.slot,
        (None, Some(slot)) => {
            let name = name.clone();
            difference.changes.push(Change::Name { slot, name });
            slot
        }
        // `look` has refused this.
        (None, None) => return,
    };
    if !password {
        difference.warnings.push(format!(
            "the password of `{name}` is left as it is: none was delivered"
        ));
    } else if account.password != Some(true) {
        difference.changes.push(Change::Password {
            slot,
            name: name.clone(),
            tested: user.is_none() || account.password == Some(false),
        });
    }
    let rights = Access {
        privilege: ADMINISTRATOR,
        messaging: true,
    };
    let there = current.users.slots.iter().find(|user| user.slot == slot);
    if let Some(there) = there.filter(|there| there.access != rights) {
        difference.changes.push(Change::Rights {
            slot,
            name: name.clone(),
            from: there.access,
        });
    }
    if user.is_none() || user.is_some_and(|user| user.enabled == Some(false)) {
        let name = name.clone();
        difference.changes.push(Change::Enable { slot, name });
    }
    let console = match user {
        Some(_) => account.console == Some(false),
        None => true,
    };
    if current.sol.is_some() && console {
        difference.changes.push(Change::ConsoleUser { slot, name });
    }
}

fn lan(current: &Current, wanted: &Wanted, difference: &mut Difference) {
    let mut push = |setting, from: &dyn fmt::Display| {
        let from = from.to_string();
        difference.changes.push(Change::Lan { setting, from });
    };
    let lan = &current.lan;
    if let Some((address, mask)) = wanted.address {
        if lan.source != Source::Static {
            push(Setting::StaticSource, &lan.source);
        }
        if lan.address != address {
            push(Setting::Address(address), &lan.address);
        }
        if lan.mask != mask {
            push(Setting::Mask(mask), &lan.mask);
        }
    }
    if let Some(gateway) = wanted.gateway.filter(|gateway| lan.gateway != *gateway) {
        let from: &dyn fmt::Display = match lan.gateway {
            Ipv4Addr::UNSPECIFIED => &"none",
            _ => &lan.gateway,
        };
        push(Setting::Gateway(gateway), from);
    }
    if (wanted.address.is_some() || wanted.vlan.is_some()) && lan.vlan != wanted.vlan {
        push(Setting::Vlan(wanted.vlan), &tag(lan.vlan));
    }
    if wanted.address.is_some() && lan.answers_arp == Some(false) {
        push(Setting::Arp, &"not answered");
    }
}

fn mode(current: &Current, wanted: &Wanted, difference: &mut Difference) {
    match (wanted.mode, current.mode) {
        (Some(to), Some(from)) if to != from => difference.changes.push(Change::Mode { from, to }),
        (Some(to), None) => difference.warnings.push(format!(
            "the LAN port is not set to `{to}`: how this BMC is told so is not known (manufacturer {}, product {:#06x})",
            current.device.manufacturer, current.device.product
        )),
        _ => {}
    }
}

fn warn(current: &Current, way: Way, difference: &mut Difference) {
    let moves = difference.changes.iter().any(|change| {
        matches!(change, Change::Mode { .. })
            || matches!(change, Change::Lan { setting, .. } if *setting != Setting::Arp)
    });
    let mut warn = |text: &str| difference.warnings.push(text.to_owned());
    match way {
        Way::Lan if moves => warn(
            "this session runs over the LAN port that is moved: it ends with the change, which cannot be read back",
        ),
        Way::InBand if moves && current.console_in_use == Some(true) => {
            warn("a serial console session runs over the LAN port that is moved: it will be cut");
        }
        _ => {}
    }
    if let Some(ciphers) = &current.ciphers {
        if ciphers.contains(&0) {
            warn(
                "cipher suite 0 is offered, which lets anyone in who knows a user's name: switch it off in the BMC's web page",
            );
        }
        if !ciphers.contains(&3) && !ciphers.contains(&17) {
            warn("neither cipher suite 3 nor 17 is offered: nobody can log in over the network");
        }
    }
    if current.device.updating {
        warn("the BMC is starting or being updated: settings written now may be lost");
    }
    let anonymous = current.users.slots.iter().find(|user| {
        user.slot == 1
            && user.name.is_empty()
            && user.enabled == Some(true)
            && user.access.messaging
            && (1..=5).contains(&user.access.privilege)
    });
    if let Some(user) = anonymous {
        difference.warnings.push(format!(
            "the anonymous user of slot 1 is enabled with privilege {}",
            channel::privilege(user.access.privilege)
        ));
    }
}
