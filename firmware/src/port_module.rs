//! What sits in a network port's cage: the memory of an SFP or QSFP module, decoded. Pure.
//!
//! Layouts: SFF-8472 (SFP; the first 256 bytes are address A0h, the next 256 A2h) and SFF-8636 (QSFP; lower page, then
//! upper page 00h). Only what people ask for is taken: what it is, whose, how long, how warm, how much light comes in.

use serde::{Deserialize, Serialize};

use crate::inventory::PortModule;
use crate::recording::digits;

/// A module's memory as the driver gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawModule {
    /// `ETH_MODULE_SFF_*` of linux/ethtool.h.
    pub kind: u32,
    /// Memory from its start.
    #[serde(with = "digits")]
    pub bytes: Vec<u8>,
}

/// `ETH_MODULE_SFF_8079`: A0h alone.
const SFF_8079: u32 = 1;
/// `ETH_MODULE_SFF_8472`.
pub const SFF_8472: u32 = 2;
/// `ETH_MODULE_SFF_8636`.
pub const SFF_8636: u32 = 3;
/// `ETH_MODULE_SFF_8436`, the older name of the same layout.
const SFF_8436: u32 = 4;

/// Most bytes that are read: A0h and A2h.
pub const LENGTH: usize = 512;

impl RawModule {
    /// Without what makers and users may write freely, which nothing here uses: it may hold keys and passwords.
    #[must_use]
    pub fn trimmed(mut self) -> Self {
        let blank: &[std::ops::Range<usize>] = if self.is_quad() {
            &[119..128, 224..LENGTH]
        } else {
            &[96..256, 376..LENGTH]
        };
        for range in blank {
            self.cover(range.clone(), |_| 0);
        }
        self.bytes.truncate(LENGTH);
        self
    }

    /// With the serial number made unreadable.
    #[must_use]
    pub fn without_serial(mut self) -> Self {
        let range = if self.is_quad() { 196..212 } else { 68..84 };
        self.cover(
            range,
            |byte| if matches!(byte, 0 | b' ') { byte } else { b'X' },
        );
        self
    }

    fn is_quad(&self) -> bool {
        matches!(self.kind, SFF_8636 | SFF_8436)
    }

    fn cover(&mut self, range: std::ops::Range<usize>, with: fn(u8) -> u8) {
        for byte in self
            .bytes
            .iter_mut()
            .skip(range.start)
            .take(range.end - range.start)
        {
            *byte = with(*byte);
        }
    }
}

/// What the memory says.
///
/// # Errors
/// Why it says nothing.
pub fn decode(raw: &RawModule) -> Result<PortModule, String> {
    let memory = Memory(&raw.bytes);
    let module = match raw.kind {
        SFF_8079 | SFF_8472 => single(&memory),
        SFF_8636 | SFF_8436 => quad(&memory),
        kind => return Err(format!("its memory has the unknown layout {kind}")),
    };
    module.ok_or_else(|| "its memory is empty or too short".to_owned())
}

struct Memory<'a>(&'a [u8]);

impl Memory<'_> {
    fn byte(&self, place: usize) -> Option<u8> {
        self.0.get(place).copied()
    }

    fn word(&self, place: usize) -> Option<u16> {
        Some(u16::from_be_bytes([
            self.byte(place)?,
            self.byte(place + 1)?,
        ]))
    }

    /// Text padded with blanks; only what can be printed, for it ends up in terminals.
    fn text(&self, range: std::ops::Range<usize>) -> Option<String> {
        let bytes = self.0.get(range)?.iter();
        let text: String = bytes
            .filter(|byte| byte.is_ascii_graphic() || **byte == b' ')
            .map(|byte| char::from(*byte))
            .collect();
        crate::probe::clean(&text)
    }

    /// Signed, in 1/256 degrees.
    fn celsius(&self, place: usize) -> Option<i32> {
        Some(i32::from(self.word(place)?.cast_signed()) / 256)
    }

    /// In units of 0.1 microwatt.
    fn nanowatts(&self, place: usize) -> Option<u32> {
        Some(u32::from(self.word(place)?) * 100)
    }
}

/// Identifiers of SFF-8024.
fn form(identifier: u8) -> Option<String> {
    Some(match identifier {
        // A bus that reads as nothing.
        0x00 | 0xff => return None,
        0x03 => "SFP".to_owned(),
        0x0c => "QSFP".to_owned(),
        0x0d => "QSFP+".to_owned(),
        0x11 => "QSFP28".to_owned(),
        other => format!("module {other:#04x}"),
    })
}

/// Extended compliance codes of SFF-8024, single lane and four lanes.
fn extended(code: u8, lanes: u8) -> Option<&'static str> {
    Some(match (code, lanes) {
        (0x02, 1) => "25GBASE-SR",
        (0x03, 1) => "25GBASE-LR",
        (0x02, _) => "100GBASE-SR4",
        (0x03, _) => "100GBASE-LR4",
        (0x0b, 4) => "100GBASE-CR4 copper cable",
        (0x0b..=0x0d, _) => "25GBASE-CR copper cable",
        (0x16 | 0x1c, _) => "10GBASE-T",
        _ => return None,
    })
}

fn bits(byte: u8, names: &[(u8, &'static str)]) -> Option<&'static str> {
    names
        .iter()
        .find(|(bit, _)| byte >> bit & 1 == 1)
        .map(|(_, name)| *name)
}

fn single(memory: &Memory<'_>) -> Option<PortModule> {
    let identifier = memory.byte(0)?;
    let (ten, one, cable) = (memory.byte(3)?, memory.byte(6)?, memory.byte(8)?);
    let copper = cable & 0x04 != 0;
    let active = cable & 0x08 != 0;
    let kind = bits(cable, &[(2, "direct attach copper"), (3, "active cable")])
        .or_else(|| extended(memory.byte(36)?, 1))
        .or_else(|| {
            bits(
                ten,
                &[
                    (4, "10GBASE-SR"),
                    (5, "10GBASE-LR"),
                    (6, "10GBASE-LRM"),
                    (7, "10GBASE-ER"),
                ],
            )
        })
        .or_else(|| {
            bits(
                one,
                &[
                    (0, "1000BASE-SX"),
                    (1, "1000BASE-LX"),
                    (2, "1000BASE-CX"),
                    (3, "1000BASE-T"),
                ],
            )
        });
    let is_cable = copper || active;
    let twisted = kind.is_some_and(|kind| kind.ends_with("BASE-T"));
    // Bit 6: diagnostics are there; bit 5: calibrated by the module. What must be calibrated by us is left out.
    let monitored = memory.byte(92)? & 0x60 == 0x60 && memory.byte(256).is_some();
    // A driver that cannot reach A2h leaves zeros.
    let reading = monitored && memory.0.iter().skip(352).take(10).any(|byte| *byte != 0);
    Some(PortModule {
        form: match form(identifier)?.as_str() {
            // Units of 100 MBd: SFP and SFP+ have one identifier.
            "SFP" if memory.byte(12)? >= 200 => "SFP28".to_owned(),
            "SFP" if memory.byte(12)? >= 80 => "SFP+".to_owned(),
            other => other.to_owned(),
        },
        kind: kind.map(str::to_owned),
        vendor: memory.text(20..36),
        part: memory.text(40..56),
        serial: memory.text(68..84),
        wavelength: memory
            .word(60)
            .map(u32::from)
            .filter(|length| !is_cable && !twisted && *length > 0),
        length: memory
            .byte(18)
            .map(u32::from)
            .filter(|length| is_cable && *length > 0),
        temperature: memory.celsius(352).filter(|_| reading),
        receive_power: memory
            .nanowatts(360)
            .into_iter()
            .filter(|_| reading && !copper)
            .collect(),
    })
}

fn quad(memory: &Memory<'_>) -> Option<PortModule> {
    let form = form(memory.byte(128)?)?;
    let technology = memory.byte(147)? >> 4;
    // Transmitter technology of SFF-8636: from 1010b on the medium is copper; 1010b and 1011b are passive.
    let copper = technology >= 0x0a;
    let passive = matches!(technology, 0x0a | 0x0b);
    let kind = extended(memory.byte(192)?, 4)
        .or_else(|| {
            bits(
                memory.byte(131)?,
                &[
                    (3, "40GBASE-CR4 copper cable"),
                    (2, "40GBASE-SR4"),
                    (1, "40GBASE-LR4"),
                    (0, "40G active cable"),
                    (4, "10GBASE-SR"),
                    (5, "10GBASE-LR"),
                    (6, "10GBASE-LRM"),
                ],
            )
        })
        .or(if copper {
            Some("direct attach copper")
        } else {
            None
        });
    // No separable connector (23h of SFF-8024): the cable is part of it.
    let is_cable = copper || memory.byte(130)? == 0x23;
    let temperature = memory
        .celsius(22)
        .filter(|_| !passive && memory.word(22) != Some(0));
    Some(PortModule {
        form,
        kind: kind.map(str::to_owned),
        vendor: memory.text(148..164),
        part: memory.text(168..184),
        serial: memory.text(196..212),
        // In units of 0.05 nm.
        wavelength: memory
            .word(186)
            .map(|twentieths| u32::from(twentieths) / 20)
            .filter(|length| !copper && *length > 0),
        length: memory
            .byte(146)
            .map(u32::from)
            .filter(|length| is_cable && *length > 0),
        receive_power: if copper || temperature.is_none() {
            Vec::new()
        } else {
            (34..42)
                .step_by(2)
                .filter_map(|place| memory.nanowatts(place))
                .collect()
        },
        temperature,
    })
}

#[cfg(test)]
mod tests;
