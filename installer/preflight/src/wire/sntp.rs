//! SNTP (RFC 4330): one question, so that a clock of 1970 is known before anything is verified with it.

use std::time::Duration;

/// Port of time servers.
pub const PORT: u16 = 123;

/// Seconds from 1900 to 1970 (RFC 4330 section 3).
const EPOCH: i128 = 2_208_988_800;

const NANOSECONDS: i128 = 1_000_000_000;

/// A question. The server hands the transmit timestamp back, so it need not be the time: `cookie` is what the answer is
/// known by.
#[must_use]
pub fn request(cookie: u64) -> [u8; 48] {
    let mut packet = [0; 48];
    // Version 4, mode 3: client.
    packet[0] = 0x23;
    packet[40..48].copy_from_slice(&cookie.to_be_bytes());
    packet
}

/// Why an answer is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoTime {
    /// Not an answer to this question.
    Foreign,
    /// The server says itself that it does not know the time (RFC 4330 section 5: stratum 0, or leap indicator 3).
    Unsynchronised,
}

/// The server's time less ours in milliseconds. `sent` and `received`: our clock, since 1970, when question and answer went
/// by.
///
/// # Errors
/// The answer is of somebody else, or the server does not know the time.
pub fn offset(
    answer: &[u8],
    cookie: u64,
    sent: Duration,
    received: Duration,
) -> Result<i64, NoTime> {
    let packet: &[u8; 48] = answer
        .get(..48)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(NoTime::Foreign)?;
    let is_server = packet[0] & 7 == 4;
    if !is_server || packet[24..32] != cookie.to_be_bytes() {
        return Err(NoTime::Foreign);
    }
    let stamp = |at: usize| -> i128 {
        let number = |at: usize| {
            i128::from(u32::from_be_bytes([
                packet[at],
                packet[at + 1],
                packet[at + 2],
                packet[at + 3],
            ]))
        };
        let seconds = number(at);
        // From 2036 the seconds begin anew; without their highest bit they are of that era (RFC 4330 section 3).
        let era = if seconds < 1 << 31 { 1_i128 << 32 } else { 0 };
        (seconds + era - EPOCH) * NANOSECONDS + ((number(at + 4) * NANOSECONDS) >> 32)
    };
    if packet[0] >> 6 == 3 || packet[1] == 0 || packet[1] > 15 || packet[40..48] == [0; 8] {
        return Err(NoTime::Unsynchronised);
    }
    let ours = |time: Duration| i128::try_from(time.as_nanos()).unwrap_or(i128::MAX / 4);
    let (there, back) = (stamp(32) - ours(sent), stamp(40) - ours(received));
    Ok(i64::try_from((there + back) / 2 / 1_000_000).unwrap_or(i64::MAX))
}
