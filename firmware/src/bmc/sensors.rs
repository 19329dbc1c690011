//! Sensors: their records (IPMI 2.0, 33.9 to 33.12, 43.1, 43.2) and readings (35.14), enough to show temperatures, fans,
//! voltages and power supplies with their units.

use std::fmt;

use serde::Serialize;

use super::BmcError;
use super::command::Command;
use crate::ipmi::IpmiTransport;

const RESERVE: Command = Command {
    function: 0x0a,
    command: 0x22,
    what: "reserve its sensor records",
};
const GET: Command = Command {
    function: 0x0a,
    command: 0x23,
    what: "read its sensor records",
};
const READING: Command = Command {
    function: 0x04,
    command: 0x2d,
    what: "read a sensor",
};

/// Bytes of a record's header.
const HEADER: usize = 5;
/// Bytes asked for at once: what fits into any interface.
const PIECE: usize = 16;
/// A BMC that gives ids in a circle must not be followed for ever.
const MOST: usize = 1024;

/// What a record says of a sensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Number.
    pub number: u8,
    /// `CPU1 Temp`.
    pub name: String,
    /// Sensor type (table 42-3).
    pub kind: u8,
    /// Event and reading type (table 42-1); 1 for thresholds.
    pub reading: u8,
    /// How a raw byte becomes a value; absent for sensors that have only states.
    scale: Option<Scale>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Scale {
    /// 0 unsigned, 1 ones' complement, 2 two's complement.
    form: u8,
    factor: i16,
    offset: i16,
    offset_exponent: i8,
    exponent: i8,
    linearization: u8,
    unit: u8,
    percent: bool,
}

/// A sensor and its value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sensor {
    /// Number.
    pub number: u8,
    /// `CPU1 Temp`.
    pub name: String,
    /// `temperature`.
    pub kind: String,
    /// In `unit`; absent if it has none, or none now.
    pub value: Option<f64>,
    /// `degrees C`, `RPM`, `volts`.
    pub unit: String,
    /// States that hold; a threshold that is crossed.
    pub states: Vec<String>,
}

impl Sensor {
    /// Something is not as it should be: a threshold is crossed, or a supply has failed.
    #[must_use]
    pub fn complains(&self) -> bool {
        self.states
            .iter()
            .any(|state| !matches!(state.as_str(), "present" | "ok"))
    }
}

impl fmt::Display for Sensor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = match self.value {
            Some(value) => {
                let digits = if value.fract().abs() < 0.005 { 0 } else { 2 };
                format!("{value:.digits$} {}", self.unit)
            }
            None if self.states.is_empty() => "-".to_owned(),
            None => String::new(),
        };
        let states = self.states.join(", ");
        let text = [value, states]
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect::<Vec<_>>()
            .join("  ");
        write!(formatter, "{:<16}  {:<14}  {text}", self.name, self.kind)
    }
}

/// All sensors of the BMC itself, in the order of its records.
///
/// # Errors
/// The BMC cannot be reached or refuses.
pub fn read(transport: &mut dyn IpmiTransport) -> Result<Vec<Sensor>, BmcError> {
    let records = records(transport)?;
    records
        .iter()
        .map(|record| value(transport, record))
        .collect()
}

/// The records of sensors.
///
/// # Errors
/// The BMC cannot be reached or refuses.
pub fn records(transport: &mut dyn IpmiTransport) -> Result<Vec<Record>, BmcError> {
    let mut found = Vec::new();
    let mut id = 0_u16;
    let mut reservation = reserve(transport)?;
    for _ in 0..MOST {
        let (next, bytes) = match whole(transport, reservation, id) {
            Ok(record) => record,
            // Someone else reserved: once more with a reservation of our own.
            Err(error) if error.code() == Some(0xc5) => {
                reservation = reserve(transport)?;
                whole(transport, reservation, id)?
            }
            // An empty repository.
            Err(error) if error.code() == Some(0xcb) => break,
            Err(error) => return Err(error),
        };
        found.extend(record(&bytes));
        if next == 0xffff || next == id {
            break;
        }
        id = next;
    }
    Ok(found)
}

fn reserve(transport: &mut dyn IpmiTransport) -> Result<u16, BmcError> {
    match RESERVE.send(transport, &[]) {
        Ok(answer) => answer.word(0),
        Err(error) if error.is_unsupported() => Ok(0),
        Err(error) => Err(error),
    }
}

/// A record, piece by piece, and the id of the next.
fn whole(
    transport: &mut dyn IpmiTransport,
    reservation: u16,
    id: u16,
) -> Result<(u16, Vec<u8>), BmcError> {
    let mut ask = |offset: usize, length: usize| {
        let ([low, high], [id_low, id_high]) = (reservation.to_le_bytes(), id.to_le_bytes());
        let byte = |number: usize| u8::try_from(number).unwrap_or(u8::MAX);
        let place = [low, high, id_low, id_high, byte(offset), byte(length)];
        GET.send(transport, &place)
    };
    let header = ask(0, HEADER)?;
    let next = header.word(0)?;
    let mut bytes = header.array::<HEADER>(2)?.to_vec();
    let total = HEADER + usize::from(bytes[4]);
    while bytes.len() < total {
        let piece = ask(bytes.len(), PIECE.min(total - bytes.len()))?;
        let piece = piece.rest(2)?;
        if piece.is_empty() {
            break;
        }
        bytes.extend_from_slice(piece);
    }
    bytes.truncate(total);
    Ok((next, bytes))
}

/// A full (type 1) or compact (type 2) record of a sensor that the BMC itself has on its first unit; others are left out.
fn record(bytes: &[u8]) -> Option<Record> {
    let byte = |offset: usize| bytes.get(offset).copied();
    let name_at = match byte(3)? {
        1 => 47,
        2 => 31,
        _ => return None,
    };
    // Owner 0x20 is the BMC; units other than the first would need other addressing.
    if byte(5)? != 0x20 || byte(6)? & 0x03 != 0 {
        return None;
    }
    let units = byte(20)?;
    let scale = match (byte(3)?, units >> 6) {
        (1, form @ 0..=2) if byte(13)? == 1 => Some(Scale {
            form,
            factor: ten_bits(byte(24)?, byte(25)?),
            offset: ten_bits(byte(26)?, byte(27)?),
            exponent: four_bits(byte(29)? >> 4),
            offset_exponent: four_bits(byte(29)? & 0x0f),
            linearization: byte(23)? & 0x7f,
            unit: byte(21)?,
            percent: units & 1 != 0,
        }),
        _ => None,
    };
    Some(Record {
        number: byte(7)?,
        name: super::fru::text(byte(name_at)?, bytes.get(name_at + 1..)?),
        kind: byte(12)?,
        reading: byte(13)?,
        scale,
    })
}

/// Two's complement of 10 bits: the low eight, and the two high bits of the next byte.
fn ten_bits(low: u8, high: u8) -> i16 {
    let number = i16::from(low) | i16::from(high >> 6) << 8;
    if number & 0x200 == 0 {
        number
    } else {
        number - 0x400
    }
}

/// Two's complement of 4 bits.
fn four_bits(bits: u8) -> i8 {
    let number = (bits & 0x0f).cast_signed();
    if number & 0x08 == 0 {
        number
    } else {
        number - 16
    }
}

impl Scale {
    /// 36.3: `f((M x + B 10^k1) 10^k2)`; absent where that is no number.
    fn value(&self, raw: u8) -> Option<f64> {
        let x = match self.form {
            0 => f64::from(raw),
            1 if raw & 0x80 != 0 => -f64::from(!raw),
            _ => f64::from(raw.cast_signed()),
        };
        let power = |exponent: i8| 10_f64.powi(i32::from(exponent));
        let linear = (f64::from(self.factor) * x
            + f64::from(self.offset) * power(self.offset_exponent))
            * power(self.exponent);
        let value = match self.linearization {
            1 => linear.ln(),
            2 => linear.log10(),
            3 => linear.log2(),
            4 => linear.exp(),
            5 => 10_f64.powf(linear),
            6 => linear.exp2(),
            7 => linear.recip(),
            8 => linear.powi(2),
            9 => linear.powi(3),
            10 => linear.sqrt(),
            11 => linear.cbrt(),
            _ => linear,
        };
        value.is_finite().then_some(value)
    }

    fn unit(&self) -> String {
        if self.percent {
            return "%".to_owned();
        }
        // Table 43-15.
        match self.unit {
            0 => "",
            1 => "degrees C",
            2 => "degrees F",
            3 => "K",
            4 => "V",
            5 => "A",
            6 => "W",
            7 => "J",
            17 => "CFM",
            18 => "RPM",
            19 => "Hz",
            other => return format!("unit {other}"),
        }
        .to_owned()
    }
}

fn value(transport: &mut dyn IpmiTransport, record: &Record) -> Result<Sensor, BmcError> {
    let mut sensor = Sensor {
        number: record.number,
        name: record.name.clone(),
        kind: kind(record.kind),
        value: None,
        unit: record.scale.map(|scale| scale.unit()).unwrap_or_default(),
        states: Vec::new(),
    };
    let answer = match READING.send(transport, &[record.number]) {
        Ok(answer) => answer,
        // Not there now: an empty socket, a fan that is not fitted.
        Err(BmcError::Refused { .. }) => return Ok(sensor),
        Err(error) => return Err(error),
    };
    let flags = answer.byte(1)?;
    // Bit 5: no reading now; bit 6 clear: the sensor is not scanned.
    if flags & 0x20 != 0 || flags & 0x40 == 0 {
        return Ok(sensor);
    }
    let low = answer.bytes.get(2).copied().unwrap_or_default();
    if record.reading == 1 {
        sensor.value = match &record.scale {
            Some(scale) => scale.value(answer.byte(0)?),
            None => None,
        };
        let crossed = [
            "below its lower limit",
            "critically low",
            "far too low",
            "above its upper limit",
            "critically high",
            "far too high",
        ];
        let crossed = crossed.iter().enumerate();
        sensor.states = crossed
            .filter(|(bit, _)| low & (1 << bit) != 0)
            .map(|(_, words)| (*words).to_owned())
            .collect();
        return Ok(sensor);
    }
    let high = answer.bytes.get(3).copied().unwrap_or_default() & 0x7f;
    let bits = u16::from_le_bytes([low, high]);
    sensor.states = (0..15)
        .filter(|bit| bits & (1 << bit) != 0)
        .map(|bit| state(record.kind, record.reading, bit))
        .collect();
    Ok(sensor)
}

/// Name of a sensor type (table 42-3).
#[must_use]
pub fn kind(number: u8) -> String {
    match number {
        0x01 => "temperature",
        0x02 => "voltage",
        0x03 => "current",
        0x04 => "fan",
        0x05 => "intrusion",
        0x07 => "processor",
        0x08 => "power supply",
        0x09 => "power unit",
        0x0a => "cooling",
        0x0c => "memory",
        0x0d => "drive bay",
        0x0f => "firmware",
        0x10 => "event log",
        0x12 => "system event",
        0x13 => "interrupt",
        0x14 => "button",
        0x1d => "system start",
        0x1f => "operating system boot",
        0x20 => "operating system stop",
        0x21 => "slot",
        0x23 => "watchdog",
        0x28 => "management",
        0x29 => "battery",
        0xc0..=0xff => return format!("own type {number:#04x}"),
        _ => return format!("type {number:#04x}"),
    }
    .to_owned()
}

/// Words for a state of a sensor (tables 42-2 and 42-3). `reading` is its event and reading type: 1 thresholds, 0x6f states
/// that depend on the sensor type.
#[must_use]
pub fn state(kind: u8, reading: u8, state: u8) -> String {
    let words = match (reading, kind, state) {
        (0x01, _, 0 | 1) => "below its lower limit",
        (0x01, _, 2 | 3) => "critically low",
        (0x01, _, 4 | 5) => "far too low",
        (0x01, _, 6 | 7) => "above its upper limit",
        (0x01, _, 8 | 9) => "critically high",
        (0x01, _, 10 | 11) => "far too high",
        (0x03, _, 0) => "ok",
        (0x03, _, 1) => "asserted",
        (0x08, _, 0) => "absent",
        (0x08, _, 1) => "present",
        (0x0b, _, 0) => "fully redundant",
        (0x0b, _, 1) => "redundancy lost",
        (0x6f, 0x05, 0) => "chassis opened",
        (0x6f, 0x07, 0) => "internal error",
        (0x6f, 0x07, 1) => "thermal trip",
        (0x6f, 0x07, 7) => "present",
        (0x6f, 0x08, 0) => "present",
        (0x6f, 0x08, 1) => "failed",
        (0x6f, 0x08, 2) => "failure predicted",
        (0x6f, 0x08, 3) => "input lost",
        (0x6f, 0x08, 4 | 5) => "input lost or out of range",
        (0x6f, 0x09, 0) => "switched off",
        (0x6f, 0x09, 4) => "power lost",
        (0x6f, 0x0c, 0) => "error, corrected",
        (0x6f, 0x0c, 1) => "error, not correctable",
        (0x6f, 0x0c, 5) => "too many corrected errors",
        (0x6f, 0x0c, 6) => "present",
        (0x6f, 0x0d, 0) => "present",
        (0x6f, 0x0d, 1) => "failed",
        (0x6f, 0x0f, 0) => "start-up error",
        (0x6f, 0x10, 2) => "cleared",
        (0x6f, 0x10, 4) => "full",
        (0x6f, 0x10, 5) => "almost full",
        (0x6f, 0x13, 4) => "PCI parity error",
        (0x6f, 0x13, 5) => "PCI system error",
        (0x6f, 0x20, 1) => "stopped with an error",
        (0x6f, 0x23, 0) => "timer ran out",
        (0x6f, 0x23, 1) => "reset by watchdog",
        (0x6f, 0x29, 0) => "battery low",
        (0x6f, 0x29, 1) => "battery failed",
        (0x6f, 0x29, 2) => "present",
        _ => return format!("state {state} of type {reading:#04x}"),
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scale(form: u8, factor: i16, offset: i16, offset_exponent: i8, exponent: i8) -> Scale {
        Scale {
            form,
            factor,
            offset,
            offset_exponent,
            exponent,
            linearization: 0,
            unit: 1,
            percent: false,
        }
    }

    #[test]
    fn raw_bytes_become_values() {
        for (scale, raw, expected) in [
            (scale(0, 1, 0, 0, 0), 42, 42.0),
            // A fan in steps of 100.
            (scale(0, 100, 0, 0, 0), 55, 5500.0),
            // 12 V of an X10: 63 mV a step.
            (scale(0, 63, 0, 0, -3), 190, 11.97),
            (scale(2, 1, 0, 0, 0), 0xf6, -10.0),
            (scale(1, 1, 0, 0, 0), 0xf5, -10.0),
            (scale(0, 1, -5, 1, 0), 100, 50.0),
        ] {
            let value = scale.value(raw).unwrap();
            assert!((value - expected).abs() < 1e-9, "{scale:?}: {value}");
        }
        // One divided by nothing.
        let inverse = Scale {
            linearization: 7,
            ..scale(0, 1, 0, 0, 0)
        };
        assert_eq!(inverse.value(0), None);
        assert_eq!(inverse.value(4), Some(0.25));
    }

    #[test]
    fn signed_fields() {
        assert_eq!(
            [ten_bits(0, 0), ten_bits(0xff, 0xc0), ten_bits(0, 0x80)],
            [0, -1, -512]
        );
        assert_eq!([four_bits(7), four_bits(0xf), four_bits(8)], [7, -1, -8]);
    }

    proptest! {
        #[test]
        fn any_record_is_taken_or_left(mut bytes: Vec<u8>, kind in 0..4_u8) {
            if let Some(byte) = bytes.get_mut(3) {
                *byte = kind;
            }
            if let Some(owner) = bytes.get_mut(5..7) {
                owner.copy_from_slice(&[0x20, 0]);
            }
            if let Some(found) = record(&bytes) {
                prop_assert!(bytes.len() > 31);
                if let Some(scale) = found.scale {
                    for raw in 0..=255 {
                        scale.value(raw);
                    }
                }
            }
        }
    }
}
