//! Who the BMC is: Get Device ID (IPMI 2.0, 20.1).

use serde::Serialize;

use super::BmcError;
use super::command::Command;
use crate::ipmi::IpmiTransport;

const GET: Command = Command {
    function: 0x06,
    command: 0x01,
    what: "read its device id",
};

/// What a BMC says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Device {
    /// `3.80`.
    pub firmware: String,
    /// `2.0`.
    pub ipmi: String,
    /// IANA enterprise number.
    pub manufacturer: u32,
    /// Product id.
    pub product: u16,
    /// It is starting, or its firmware is being updated: settings written now may be lost.
    pub updating: bool,
}

/// Asks.
///
/// # Errors
/// It does not answer.
pub fn read(transport: &mut dyn IpmiTransport) -> Result<Device, BmcError> {
    let answer = GET.send(transport, &[])?;
    let [major, minor, version] = answer.array(2)?;
    let [low, middle, high] = answer.array(6)?;
    Ok(Device {
        // The minor revision is BCD; the version's low digit comes first.
        firmware: format!("{}.{minor:02x}", major & 0x7f),
        ipmi: format!("{}.{}", version & 0x0f, version >> 4),
        manufacturer: u32::from_le_bytes([low, middle, high & 0x0f, 0]),
        product: answer.word(9)?,
        updating: major & 0x80 != 0,
    })
}
