//! The system event log and its clock (IPMI 2.0, 31; records 32.1; sensor types and states 42.1, 42.2).

use std::fmt;

use serde::Serialize;

use super::BmcError;
use super::command::Command;
use super::keep::keep;
use crate::ipmi::IpmiTransport;

const INFO: Command = Command {
    function: 0x0a,
    command: 0x40,
    what: "describe its event log",
};
const RESERVE: Command = Command {
    function: 0x0a,
    command: 0x42,
    what: "reserve its event log",
};
const GET: Command = Command {
    function: 0x0a,
    command: 0x43,
    what: "read its event log",
};
const CLEAR: Command = Command {
    function: 0x0a,
    command: 0x47,
    what: "clear its event log",
};
const GET_TIME: Command = Command {
    function: 0x0a,
    command: 0x48,
    what: "read its clock",
};
const SET_TIME: Command = Command {
    function: 0x0a,
    command: 0x49,
    what: "set its clock",
};

/// "No more records", and the first record, as record ids.
const END: u16 = 0xffff;
/// Below this, a time counts from the BMC's start (31.4: until 0x20000000).
const SINCE_START: u32 = 0x2000_0000;
/// A BMC that gives ids in a circle must not be followed for ever: a log holds at most 65535 records.
const MOST: usize = 0xffff;

/// State of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Info {
    /// Records.
    pub entries: u16,
    /// Bytes left.
    pub free: u16,
    /// It was full and events were lost.
    pub overflow: bool,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Record id.
    pub id: u16,
    /// Seconds since 1970 in UTC; absent if the BMC did not know the time, or the record has none.
    pub time: Option<u32>,
    /// `memory`, `power supply`.
    pub kind: String,
    /// Sensor number.
    pub sensor: u8,
    /// What happened; `(over)` if it ended.
    pub text: String,
}

impl fmt::Display for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.time.map_or_else(|| "-".to_owned(), utc);
        write!(
            formatter,
            "{:5}  {time:20}  {} {:#04x}: {}",
            self.id, self.kind, self.sensor, self.text
        )
    }
}

/// `2026-11-23 08:00:00Z` of seconds since 1970.
#[must_use]
pub fn utc(seconds: u32) -> String {
    let (days, rest) = (i64::from(seconds / 86_400), seconds % 86_400);
    // Days to year, month and day in the Gregorian calendar, years counted from March.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}Z",
        rest / 3_600,
        rest / 60 % 60,
        rest % 60
    )
}

/// State of the log.
///
/// # Errors
/// The BMC cannot be reached or refuses.
pub fn info(transport: &mut dyn IpmiTransport) -> Result<Info, BmcError> {
    let answer = INFO.send(transport, &[])?;
    Ok(Info {
        entries: answer.word(1)?,
        free: answer.word(3)?,
        overflow: answer.byte(13)? & 0x80 != 0,
    })
}

/// All records, oldest first.
///
/// # Errors
/// The BMC cannot be reached or refuses.
pub fn read(transport: &mut dyn IpmiTransport) -> Result<Vec<Event>, BmcError> {
    let mut events = Vec::new();
    if info(transport)?.entries == 0 {
        return Ok(events);
    }
    let mut id = 0_u16;
    while events.len() < MOST {
        let [low, high] = id.to_le_bytes();
        // Whole records need no reservation (31.5).
        let answer = match GET.send(transport, &[0, 0, low, high, 0, 0xff]) {
            Ok(answer) => answer,
            // Cleared by someone else meanwhile.
            Err(error) if error.code() == Some(0xcb) => break,
            Err(error) => return Err(error),
        };
        let next = answer.word(0)?;
        events.push(event(&answer.array::<16>(2)?));
        if next == END || next == id {
            break;
        }
        id = next;
    }
    Ok(events)
}

/// Clears the log and waits until it is done.
///
/// # Errors
/// The BMC refuses, or does not come to an end.
pub fn clear(transport: &mut dyn IpmiTransport) -> Result<(), BmcError> {
    let [low, high] = RESERVE.send(transport, &[])?.array(0)?;
    let data = |what| [low, high, b'C', b'L', b'R', what];
    let mut progress = CLEAR.send(transport, &data(0xaa))?.byte(0)? & 0x0f;
    for _ in 0..20 {
        if progress == 1 {
            return Ok(());
        }
        transport.pause(std::time::Duration::from_millis(500));
        progress = CLEAR.send(transport, &data(0x00))?.byte(0)? & 0x0f;
    }
    Err(BmcError::Malformed {
        what: "the event log",
        reason: "it is still being cleared after ten seconds".to_owned(),
    })
}

/// The clock of the log: seconds since 1970. Absent if it was never set. We keep it in UTC.
///
/// # Errors
/// The BMC cannot be reached or refuses.
pub fn time(transport: &mut dyn IpmiTransport) -> Result<Option<u32>, BmcError> {
    let seconds = GET_TIME.send(transport, &[])?.long(0)?;
    Ok((SINCE_START..u32::MAX)
        .contains(&seconds)
        .then_some(seconds))
}

/// Sets the clock.
///
/// # Errors
/// The BMC refuses, or it did not stick.
pub fn set_time(transport: &mut dyn IpmiTransport, seconds: u32) -> Result<(), BmcError> {
    keep(
        transport,
        "the time",
        &Clock(seconds),
        |transport| {
            SET_TIME.send(transport, &seconds.to_le_bytes())?;
            Ok(())
        },
        |transport| Ok(Clock(time(transport)?.unwrap_or_default())),
    )
}

/// A clock goes on while it is looked at.
struct Clock(u32);

impl PartialEq for Clock {
    fn eq(&self, other: &Self) -> bool {
        self.0.abs_diff(other.0) <= 10
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&utc(self.0))
    }
}

fn event(record: &[u8; 16]) -> Event {
    let word = |offset: usize| u16::from_le_bytes([record[offset], record[offset + 1]]);
    let (id, form) = (word(0), record[2]);
    let seconds = u32::from_le_bytes([record[3], record[4], record[5], record[6]]);
    let known = (SINCE_START..u32::MAX).contains(&seconds);
    // 0x02 is an event; 0xc0 and up are a maker's own, without a time from 0xe0.
    if form != 0x02 {
        return Event {
            id,
            time: (known && form < 0xe0).then_some(seconds),
            kind: format!("own record {form:#04x}"),
            sensor: 0,
            text: hex::encode(&record[7..]),
        };
    }
    let (sensor_type, sensor, event_type) = (record[10], record[11], record[12]);
    let over = if event_type & 0x80 == 0 {
        ""
    } else {
        " (over)"
    };
    let state = record[13] & 0x0f;
    Event {
        id,
        time: known.then_some(seconds),
        kind: super::sensors::kind(sensor_type),
        sensor,
        text: format!(
            "{}{over} [{:02x} {:02x} {:02x}]",
            super::sensors::state(sensor_type, event_type & 0x7f, state),
            record[13],
            record[14],
            record[15]
        ),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00Z"),
            (951_782_400, "2000-02-29 00:00:00Z"),
            (1_795_420_800, "2026-11-23 08:00:00Z"),
            (u32::MAX, "2106-02-07 06:28:15Z"),
        ] {
            assert_eq!(utc(seconds), text);
        }
    }

    #[test]
    fn records_in_words() {
        let time = 1_795_420_800_u32.to_le_bytes();
        let record = |form: u8, tail: [u8; 9]| {
            let mut record = [0_u8; 16];
            record[0] = 7;
            record[2] = form;
            record[3..7].copy_from_slice(&time);
            record[7..].copy_from_slice(&tail);
            event(&record).to_string()
        };
        let all = [
            record(2, [0x20, 0, 4, 0x08, 0xc8, 0x6f, 0x03, 0xff, 0xff]),
            record(2, [0x20, 0, 4, 0x08, 0xc8, 0xef, 0x03, 0xff, 0xff]),
            record(2, [0x20, 0, 4, 0x04, 0x41, 0x01, 0x02, 0, 0]),
            record(2, [0x20, 0, 4, 0x0c, 0x10, 0x6f, 0x01, 0, 0x20]),
            record(2, [0x20, 0, 4, 0x10, 0x10, 0x6f, 0x02, 0xff, 0xff]),
            record(2, [0x20, 0, 4, 0xfe, 0x10, 0x77, 0x0f, 0xff, 0xff]),
            record(0xe0, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ];
        insta::assert_snapshot!(all.join("\n"));
    }

    proptest! {
        #[test]
        fn any_record_has_words(record: [u8; 16]) {
            prop_assert!(!event(&record).to_string().is_empty());
        }
    }
}
