//! Supermicro's own command: by which port the BMC is reached. Its bytes are the same in AMI-based firmware sources and in a
//! puppet module; they are sent only to product ids of X10 boards, as X8 boards understand them otherwise.
//!
//! Never sent: 0x3c/0x40, which sets the BMC back to the factory's settings.

use std::fmt;

use serde::Serialize;

use super::BmcError;
use super::command::Command;
use super::keep::keep;
use crate::ipmi::IpmiTransport;

const LAN_MODE: Command = Command {
    function: 0x30,
    command: 0x70,
    what: "say or set its LAN port",
};
/// Supermicro's enterprise number, and the one that older BMCs have.
const MANUFACTURERS: [u32; 2] = [10876, 47488];
/// Product ids of X10 boards.
const PRODUCTS: [u32; 5] = [0x0821, 0x0832, 0x0859, 0x0864, 0x0899];

/// The port by which the BMC is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LanMode {
    /// Its own port.
    Dedicated,
    /// The system's first port.
    Shared,
    /// Its own port if that has a link when the BMC starts, else the system's first: the factory's setting.
    Failover,
    /// A number without a known meaning.
    Unknown(u8),
}

impl fmt::Display for LanMode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dedicated => formatter.write_str("dedicated"),
            Self::Shared => formatter.write_str("shared"),
            Self::Failover => formatter.write_str("failover"),
            Self::Unknown(number) => write!(formatter, "unknown ({number})"),
        }
    }
}

impl LanMode {
    /// From its word in the node file.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "dedicated" => Some(Self::Dedicated),
            "shared" => Some(Self::Shared),
            "failover" => Some(Self::Failover),
            _ => None,
        }
    }

    fn number(self) -> u8 {
        match self {
            Self::Dedicated => 0,
            Self::Shared => 1,
            Self::Failover => 2,
            Self::Unknown(number) => number,
        }
    }
}

/// The command is known to mean this on such a BMC.
#[must_use]
pub fn is_known(manufacturer: u32, product: u32) -> bool {
    MANUFACTURERS.contains(&manufacturer) && PRODUCTS.contains(&product)
}

/// The port in use. Only for BMCs that are [`is_known`].
///
/// # Errors
/// The BMC refuses or cannot be reached.
pub fn lan_mode(transport: &mut dyn IpmiTransport) -> Result<LanMode, BmcError> {
    Ok(match LAN_MODE.send(transport, &[0x0c, 0x00])?.byte(0)? {
        0 => LanMode::Dedicated,
        1 => LanMode::Shared,
        2 => LanMode::Failover,
        other => LanMode::Unknown(other),
    })
}

/// Changes the port. Only for BMCs that are [`is_known`]. Cuts a session that comes in by the port that is left.
///
/// # Errors
/// The BMC refuses, or it did not stick.
pub fn set_lan_mode(transport: &mut dyn IpmiTransport, wanted: LanMode) -> Result<(), BmcError> {
    keep(
        transport,
        "the LAN port",
        &wanted,
        |transport| {
            LAN_MODE.send(transport, &[0x0c, 0x01, wanted.number()])?;
            Ok(())
        },
        lan_mode,
    )
}
