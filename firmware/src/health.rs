//! What a disk says of its own health: the raw answer to one harmless question goes in, a verdict comes out. Pure, so
//! that a live disk, a capture and a table of bytes are judged by the same code.

use roles::selector::Transport;
use serde::{Deserialize, Serialize};

use crate::inventory::Health;
use crate::recording::digits;

/// Which question a disk is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthCommand {
    /// SMART RETURN STATUS in ATA PASS-THROUGH (16), also behind SAS controllers.
    Ata,
    /// LOG SENSE of the informational exceptions page.
    Scsi,
    /// Get Log Page of SMART / Health Information.
    Nvme,
    /// Asked by a newer release.
    #[serde(other)]
    Unknown,
}

impl HealthCommand {
    /// The question for a kind of disk. USB bridges translate badly, and virtio disks have no health.
    pub fn of(transport: Transport) -> Option<Self> {
        match transport {
            Transport::Sata => Some(Self::Ata),
            Transport::Sas => Some(Self::Scsi),
            Transport::Nvme => Some(Self::Nvme),
            Transport::Usb | Transport::Virtio | Transport::Unknown => None,
        }
    }
}

/// The answer as it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawHealth {
    /// What was asked.
    pub command: HealthCommand,
    /// SCSI status byte, or NVMe status field.
    pub status: u16,
    /// SCSI sense data; empty for NVMe.
    #[serde(with = "digits")]
    pub sense: Vec<u8>,
    /// The log page; empty for ATA.
    #[serde(with = "digits")]
    pub data: Vec<u8>,
}

/// ATA PASS-THROUGH (16) of SAT-4 with SMART RETURN STATUS of ACS-4 (command B0h, feature DAh, LBA C24F00h), no data.
/// `CK_COND` asks for the registers, which hold the verdict.
pub const SMART_RETURN_STATUS: [u8; 16] = [
    0x85,
    3 << 1,
    0x20,
    0,
    0xda,
    0,
    0,
    0,
    0,
    0,
    0x4f,
    0,
    0xc2,
    0,
    0xb0,
    0,
];
/// LOG SENSE of SPC-5: current cumulative values of page 2Fh, at most 252 bytes.
pub const LOG_SENSE: [u8; 10] = [0x4d, 0, 0x40 | EXCEPTIONS, 0, 0, 0, 0, 0, LOG_LENGTH, 0];
/// Most bytes of the SCSI log page.
pub const LOG_LENGTH: u8 = 252;
/// NVMe log page SMART / Health Information (NVMe base specification 1.4).
pub const NVME_PAGE: u8 = 0x02;
/// Bytes of that page.
pub const NVME_LENGTH: usize = 512;

/// Informational Exceptions log page of SPC-5.
const EXCEPTIONS: u8 = 0x2f;
/// CHECK CONDITION.
const CHECK: u16 = 2;

/// The verdict.
///
/// # Errors
/// Why the answer says nothing.
pub fn verdict(raw: &RawHealth) -> Result<Health, String> {
    match raw.command {
        HealthCommand::Ata => ata(&raw.sense),
        HealthCommand::Scsi => scsi(raw),
        HealthCommand::Nvme => nvme(raw),
        HealthCommand::Unknown => Err("a newer release asked, in a way not known here".to_owned()),
    }
}

/// The device only reported an event (unit attention) and must be asked again.
pub fn is_event(raw: &RawHealth) -> bool {
    raw.status == CHECK && sense(&raw.sense).is_some_and(|found| found.key == 6)
}

/// Sense key, additional sense code and its qualifier, from fixed or descriptor format (SPC-5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sense {
    key: u8,
    code: u8,
    qualifier: u8,
}

impl std::fmt::Display for Sense {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "sense {:X}/{:02X}/{:02X}",
            self.key, self.code, self.qualifier
        )
    }
}

fn sense(bytes: &[u8]) -> Option<Sense> {
    let [key, code, qualifier] = match bytes.first()? & 0x7f {
        0x70 | 0x71 => [2, 12, 13],
        0x72 | 0x73 => [1, 2, 3],
        _ => return None,
    };
    Some(Sense {
        key: bytes.get(key)? & 0x0f,
        code: *bytes.get(code)?,
        qualifier: *bytes.get(qualifier)?,
    })
}

/// Status, LBA(15:8) and LBA(23:16) of an ATA command that is done.
fn registers(bytes: &[u8]) -> Option<[u8; 3]> {
    if matches!(bytes.first()? & 0x7f, 0x72 | 0x73) {
        // ATA Status Return descriptor of SAT-4: 09h with 12 bytes behind its length.
        let end = 8 + usize::from(*bytes.get(7)?);
        let mut rest = bytes.get(8..end.min(bytes.len()))?;
        while let [kind, length, ..] = *rest {
            let (one, next) = rest.split_at(rest.len().min(2 + usize::from(length)));
            if let (0x09, 12, [.., middle, _, high, _, status]) = (kind, length, one)
                && one.len() == 14
            {
                return Some([*status, *middle, *high]);
            }
            rest = next;
        }
        return None;
    }
    // Fixed format as SAT-4 fills it: status in the information field, LBA in the command-specific one. Only
    // "ATA pass-through information available" (00/1D) has that meaning.
    let found = sense(bytes)?;
    ((found.code, found.qualifier) == (0x00, 0x1d))
        .then(|| Some([*bytes.get(4)?, *bytes.get(10)?, *bytes.get(11)?]))?
}

fn ata(bytes: &[u8]) -> Result<Health, String> {
    /// Device fault and error bits of the status register of ACS-4.
    const TROUBLE: u8 = 0x21;
    let [status, middle, high] = registers(bytes).ok_or_else(|| match sense(bytes) {
        Some(found) => format!("the controller does not pass SMART on ({found})"),
        None => "the controller gives no ATA registers back".to_owned(),
    })?;
    if status & TROUBLE != 0 {
        return Err(
            "the disk refuses SMART RETURN STATUS: SMART is switched off or missing".to_owned(),
        );
    }
    // ACS-4, SMART RETURN STATUS: the key is turned round if a threshold is exceeded.
    match (middle, high) {
        (0x4f, 0xc2) => Ok(Health::Passed),
        (0xf4, 0x2c) => Ok(failing("SMART: a threshold is exceeded")),
        _ => Err(format!(
            "SMART RETURN STATUS gave {middle:02X}/{high:02X}, which means nothing"
        )),
    }
}

fn scsi(raw: &RawHealth) -> Result<Health, String> {
    if raw.status == CHECK {
        return match sense(&raw.sense) {
            // A disk may report an exception in the answer to any command (SPC-5, MRIE field).
            Some(found) if found.code == 0x5d => Ok(exception(found.code, found.qualifier)),
            Some(found) if found.key == 5 => {
                Err("the disk has no informational exceptions page".to_owned())
            }
            Some(found) => Err(format!("the disk does not answer LOG SENSE ({found})")),
            None => Err("the disk does not answer LOG SENSE".to_owned()),
        };
    }
    if raw.status != 0 {
        return Err(format!(
            "LOG SENSE ended with SCSI status {:#04x}",
            raw.status
        ));
    }
    // Page header of 4 bytes, parameter header of 4 bytes, code, qualifier, temperature.
    match raw.data.as_slice() {
        [page, 0, _, _, 0, 0, _, length, code, qualifier, ..]
            if page & 0x3f == EXCEPTIONS && *length >= 2 =>
        {
            Ok(exception(*code, *qualifier))
        }
        _ => Err("the informational exceptions page is malformed".to_owned()),
    }
}

/// Additional sense codes by the list of T10.
fn exception(code: u8, qualifier: u8) -> Health {
    let at = format!("{code:02X}/{qualifier:02X}");
    match (code, qualifier) {
        (0, _) => Health::Passed,
        (0x5d, 0xff) => warned(format!(
            "SMART: a test of the failure prediction is on ({at})"
        )),
        (0x5d, _) => {
            let what = match qualifier {
                0x01 => "medium",
                0x02 => "logical unit",
                0x03 => "spare area",
                0x10..=0x1d => "hardware",
                0x20..=0x2c => "controller",
                0x30..=0x3c => "data channel",
                0x40..=0x4c => "servo",
                0x50..=0x5c => "spindle",
                0x60..=0x6c => "firmware",
                0x73 => "endurance used up",
                _ => "threshold exceeded",
            };
            failing(format!("SMART: failure predicted, {what} ({at})"))
        }
        // A hot room and a bad fan are not the disk's failure.
        (0x0b, 0x01) => warned(format!("SMART: it is too hot ({at})")),
        (0x0b, 0x02) => warned(format!("SMART: its enclosure is degraded ({at})")),
        (0x0b, _) => failing(format!("SMART: it warns of itself ({at})")),
        _ => warned(format!("SMART: exception {at}")),
    }
}

fn nvme(raw: &RawHealth) -> Result<Health, String> {
    /// Critical warnings of the log page, by bit.
    const WARNINGS: [&str; 6] = [
        "the spare area is nearly used up",
        "it is too hot or too cold",
        "it has become unreliable",
        "it is read-only now",
        "its power-loss protection has failed",
        "its persistent memory is unreliable",
    ];
    /// The one that is not the disk's failure.
    const TEMPERATURE: u8 = 1 << 1;
    if raw.status != 0 {
        return Err(format!(
            "Get Log Page ended with NVMe status {:#06x}",
            raw.status
        ));
    }
    let warning = *raw
        .data
        .first()
        .ok_or_else(|| "the health log page is empty".to_owned())?;
    if warning == 0 {
        return Ok(Health::Passed);
    }
    let mut causes: Vec<&str> = WARNINGS
        .into_iter()
        .enumerate()
        .filter(|(bit, _)| warning >> bit & 1 == 1)
        .map(|(_, cause)| cause)
        .collect();
    if causes.is_empty() {
        causes.push("critical warning");
    }
    let cause = format!("SMART: {} ({warning:02X})", causes.join(", "));
    Ok(if warning == TEMPERATURE {
        warned(cause)
    } else {
        failing(cause)
    })
}

fn failing(cause: impl Into<String>) -> Health {
    Health::Failing {
        cause: cause.into(),
    }
}

fn warned(cause: impl Into<String>) -> Health {
    Health::Warned {
        cause: cause.into(),
    }
}

#[cfg(test)]
mod tests;
