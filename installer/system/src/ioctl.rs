//! The ioctls of linux/fs.h and linux/rtc.h that have no safe wrapper.
#![expect(unsafe_code, reason = "nix declares ioctls as unsafe functions")]

use std::{fs::File, io, os::fd::AsRawFd, time::Duration};

mod raw {
    nix::ioctl_none!(blkrrpart, 0x12, 95);
    nix::ioctl_none!(blkflsbuf, 0x12, 97);
    nix::ioctl_write_ptr!(rtc_set_time, b'p', 0x0a, super::ClockFace);
}

/// `struct rtc_time` of linux/rtc.h: a date in the Gregorian calendar, months from 0, years from 1900.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClockFace {
    second: i32,
    minute: i32,
    hour: i32,
    day: i32,
    month: i32,
    year: i32,
    /// The kernel ignores these three.
    unused: [i32; 3],
}

/// RTC_SET_TIME (rtc(4)): sets a hardware clock to a time since 1970 in UTC, by whole seconds.
pub fn set_hardware_clock(file: &File, time: Duration) -> io::Result<()> {
    let face = clock_face(time);
    // SAFETY: the descriptor is open and the structure is whole for the length of the call, which only reads it.
    unsafe { raw::rtc_set_time(file.as_raw_fd(), &face) }?;
    Ok(())
}

/// A time since 1970 as a date, in UTC. Days to a date as in Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms":
/// years begin in March, so that the leap day is the last of a year.
fn clock_face(time: Duration) -> ClockFace {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 {
        shifted + 2
    } else {
        shifted - 10
    };
    let year = era * 400 + year_of_era + i64::from(month < 2);
    let small = |number: i64| i32::try_from(number).unwrap_or(0);
    ClockFace {
        second: small(rest % 60),
        minute: small(rest / 60 % 60),
        hour: small(rest / 3600),
        day: small(day_of_year - (153 * shifted + 2) / 5 + 1),
        month: small(month),
        year: small(year - 1900),
        unused: [0; 3],
    }
}

/// BLKRRPART: read the partition table again.
pub fn reread_partitions(file: &File) -> io::Result<()> {
    // SAFETY: the descriptor is open for the whole call and the ioctl takes no argument.
    unsafe { raw::blkrrpart(file.as_raw_fd()) }?;
    Ok(())
}

/// BLKFLSBUF: write out and drop the device's page cache.
pub fn drop_cache(file: &File) -> io::Result<()> {
    // SAFETY: as above.
    unsafe { raw::blkflsbuf(file.as_raw_fd()) }?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (seconds, (year, month, day, hour, minute, second)) in [
            (0, (1970, 1, 1, 0, 0, 0)),
            (951_782_399, (2000, 2, 28, 23, 59, 59)),
            (951_782_400, (2000, 2, 29, 0, 0, 0)),
            (951_868_800, (2000, 3, 1, 0, 0, 0)),
            (1_735_689_599, (2024, 12, 31, 23, 59, 59)),
            (1_735_689_600, (2025, 1, 1, 0, 0, 0)),
            (1_795_421_805, (2026, 11, 23, 8, 16, 45)),
            (4_107_542_400, (2100, 3, 1, 0, 0, 0)),
        ] {
            let expected = ClockFace {
                second,
                minute,
                hour,
                day,
                month: month - 1,
                year: year - 1900,
                unused: [0; 3],
            };
            assert_eq!(clock_face(Duration::from_secs(seconds)), expected);
        }
    }
}
