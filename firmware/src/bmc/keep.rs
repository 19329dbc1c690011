//! Writing with proof: what was written is read back, and written again if it did not stick. BMCs say yes and forget.

use std::fmt::Display;
use std::time::Duration;

use super::BmcError;
use crate::ipmi::IpmiTransport;

/// Writes of one value.
const ATTEMPTS: u32 = 3;
/// Time to settle before a value is read again.
const SETTLE: Duration = Duration::from_millis(500);

/// Writes until the value that is read back is the wanted one, at most three times.
pub(super) fn keep<T: PartialEq + Display>(
    transport: &mut dyn IpmiTransport,
    what: &'static str,
    wanted: &T,
    mut write: impl FnMut(&mut dyn IpmiTransport) -> Result<(), BmcError>,
    mut read: impl FnMut(&mut dyn IpmiTransport) -> Result<T, BmcError>,
) -> Result<(), BmcError> {
    let mut found = None;
    for _ in 0..ATTEMPTS {
        write(transport)?;
        for _ in 0..2 {
            let value = read(transport)?;
            if value == *wanted {
                return Ok(());
            }
            found = Some(value);
            transport.pause(SETTLE);
        }
    }
    Err(BmcError::NotKept {
        what,
        wanted: wanted.to_string(),
        found: found.map(|value| value.to_string()).unwrap_or_default(),
    })
}
