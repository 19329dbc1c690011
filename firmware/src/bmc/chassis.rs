//! Power and the next boot's device (IPMI 2.0, 28.2, 28.3, 28.12, 28.13, table 28-14).

use std::fmt;

use serde::Serialize;

use super::BmcError;
use super::command::Command;
use super::keep::keep;
use crate::ipmi::IpmiTransport;

const STATUS: Command = Command {
    function: 0x00,
    command: 0x01,
    what: "say whether the machine is on",
};
const CONTROL: Command = Command {
    function: 0x00,
    command: 0x02,
    what: "switch the machine",
};
const SET_BOOT: Command = Command {
    function: 0x00,
    command: 0x08,
    what: "choose the boot device",
};
const GET_BOOT: Command = Command {
    function: 0x00,
    command: 0x09,
    what: "say the boot device",
};

/// State of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Power is on.
    pub on: bool,
    /// What is wrong: `power fault`, `fan fault`.
    pub faults: Vec<&'static str>,
    /// After a power cut: `stays off`, `as before`, `starts`; absent if unknown.
    pub after_power_cut: Option<&'static str>,
}

/// Asks.
///
/// # Errors
/// The BMC cannot be reached or refuses.
pub fn status(transport: &mut dyn IpmiTransport) -> Result<Status, BmcError> {
    let [power, _, other] = STATUS.send(transport, &[])?.array(0)?;
    let bits = [
        (power, 0x02, "power overload"),
        (power, 0x08, "power fault"),
        (power, 0x10, "power control fault"),
        (other, 0x01, "chassis opened"),
        (other, 0x04, "drive fault"),
        (other, 0x08, "fan fault"),
    ];
    let faults = bits.iter().filter(|(byte, bit, _)| byte & bit != 0);
    Ok(Status {
        on: power & 1 != 0,
        faults: faults.map(|(_, _, words)| *words).collect(),
        after_power_cut: match power >> 5 & 0x03 {
            0 => Some("stays off"),
            1 => Some("as before"),
            2 => Some("starts"),
            _ => None,
        },
    })
}

/// What to do with the power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// Off at once.
    Off,
    /// On.
    On,
    /// Off, and on again.
    Cycle,
    /// Reset without switching off.
    Reset,
    /// Ask the system to stop, as its power button does.
    Soft,
}

impl Power {
    fn number(self) -> u8 {
        match self {
            Self::Off => 0,
            Self::On => 1,
            Self::Cycle => 2,
            Self::Reset => 3,
            Self::Soft => 5,
        }
    }
}

/// Switches. What is so already is no error; the state is not waited for.
///
/// # Errors
/// The BMC refuses or cannot be reached.
pub fn control(transport: &mut dyn IpmiTransport, power: Power) -> Result<(), BmcError> {
    match CONTROL.send(transport, &[power.number()]) {
        // Not in the present state: off already, on already.
        Err(error) if error.code() == Some(0xd5) => {
            let on = status(transport)?.on;
            match power {
                Power::On if on => Ok(()),
                Power::Off | Power::Soft if !on => Ok(()),
                _ => Err(error),
            }
        }
        other => other.map(|_| ()),
    }
}

/// Where to boot from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BootDevice {
    /// The firmware's own order.
    Normal,
    /// Network.
    Pxe,
    /// Disk.
    Disk,
    /// The firmware's setup pages.
    Bios,
}

/// Wishes for the next boots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Boot {
    /// Where from.
    pub device: BootDevice,
    /// Not only the next time. X10 firmware takes this for `disk` and `pxe` and forgets it at times; setup pages it shows
    /// only with a wish for one boot.
    pub persistent: bool,
    /// By UEFI; otherwise in the way of a BIOS.
    pub uefi: bool,
    /// Supermicro's number for "disk by UEFI" is 9, not the specification's 2: their own tool sends it, and boards of the
    /// X10 and X11 generations follow only that (metal-stack/go-hal, `ipmi.go`).
    pub supermicro: bool,
}

impl Boot {
    fn selector(self) -> u8 {
        match self.device {
            BootDevice::Normal => 0,
            BootDevice::Pxe => 1,
            BootDevice::Disk if self.supermicro && self.uefi => 9,
            BootDevice::Disk => 2,
            BootDevice::Bios => 6,
        }
    }

    /// The first two bytes of parameter 5. Bit 7 of the first: valid; 6: persistent; 5: UEFI.
    fn flags(self) -> Flags {
        let persistent = self.persistent && self.device != BootDevice::Bios;
        let first = 0x80 | u8::from(persistent) << 6 | u8::from(self.uefi) << 5;
        Flags([first, self.selector() << 2])
    }
}

/// The bytes of parameter 5 that say a device.
#[derive(Debug, Clone, Copy)]
struct Flags([u8; 2]);

/// Some BMCs (`ipmi_sim`, for one) keep the device and no flags: none at all is not another wish.
impl PartialEq for Flags {
    fn eq(&self, other: &Self) -> bool {
        let ([first, device], [their_first, their_device]) = (self.0, other.0);
        device == their_device && (first == their_first || first == 0 || their_first == 0)
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:02x} {:02x}", self.0[0], self.0[1])
    }
}

/// Asks for a boot device, and reads it back: QEMU's BMC, for one, says yes and keeps nothing. False if the BMC keeps the
/// device, but does not say for how long and in which way.
///
/// # Errors
/// The BMC refuses, or it did not stick.
pub fn set_boot(transport: &mut dyn IpmiTransport, boot: Boot) -> Result<bool, BmcError> {
    let locked = parameter(transport, &[0, 1])?;
    // Parameter 3: the wish is dropped after 60 seconds without a power command, and by a reset, unless these bits are set:
    // 3 for the timeout, 0 and 1 for button and reset.
    parameter(transport, &[3, 0x0b])?;
    // Parameter 4: what was asked before is not yet acknowledged by the BIOS (write mask, then the bit).
    parameter(transport, &[4, 0x01, 0x01])?;
    let wanted = boot.flags();
    let [first, second] = wanted.0;
    let mut whole = false;
    let kept = keep(
        transport,
        "the boot device",
        &wanted,
        |transport| {
            SET_BOOT.send(transport, &[5, first, second, 0, 0, 0])?;
            Ok(())
        },
        |transport| {
            let answer = GET_BOOT.send(transport, &[5, 0, 0])?;
            let [first, second] = answer.array(2)?;
            // Unknown bits of either side do not count: 7 to 5 of the first, the selector of the second.
            let found = [first & 0xe0, second & 0x3c];
            whole = found == wanted.0;
            Ok(Flags(found))
        },
    );
    if locked {
        parameter(transport, &[0, 0])?;
    }
    kept.map(|()| whole)
}

/// Sets a parameter that a BMC may lack; false if it does.
fn parameter(transport: &mut dyn IpmiTransport, data: &[u8]) -> Result<bool, BmcError> {
    match SET_BOOT.send(transport, data) {
        Ok(_) => Ok(true),
        // 0x81: it was locked already.
        Err(error) if error.code() == Some(0x81) => Ok(true),
        Err(error) if error.is_unsupported() || error.code() == Some(0x82) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_boot_wishes() {
        let boot = |device, persistent, uefi, supermicro| Boot {
            device,
            persistent,
            uefi,
            supermicro,
        };
        use BootDevice::{Bios, Disk, Normal, Pxe};
        for (boot, bytes) in [
            (boot(Pxe, false, true, true), "a0 04"),
            (boot(Pxe, true, true, true), "e0 04"),
            (boot(Pxe, false, false, false), "80 04"),
            (boot(Disk, true, true, true), "e0 24"),
            (boot(Disk, true, true, false), "e0 08"),
            (boot(Disk, true, false, true), "c0 08"),
            // Never for ever: the machine would only show its setup pages.
            (boot(Bios, true, true, true), "a0 18"),
            (boot(Normal, false, false, false), "80 00"),
        ] {
            assert_eq!(boot.flags().to_string(), bytes, "{boot:?}");
        }
    }
}
