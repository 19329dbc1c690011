//! Which simulated servers there is still time for. The same run took 38 minutes on one day and more than 90 on another (shared
//! hosts, 2026-11-24 and 2026-11-29); whoever ends a run from outside learns nothing from it. So a run can be told when it must
//! be over: it begins with the most telling tests, and names those that it leaves out.

use std::sync::Mutex;
use std::time::{Duration, SystemTime};

/// The end of the time, and how slow this machine is.
pub(super) struct Deadline {
    until: Option<SystemTime>,
    /// Seconds that a test takes here for each second that it is known for; `None` until one has ended.
    slowness: Mutex<Option<f64>>,
}

/// Until a test has ended.
const FIRST_GUESS: f64 = 1.5;

impl Deadline {
    /// `until`: seconds since 1970; `None`: there is time.
    pub(super) fn new(until: Option<u64>) -> Self {
        Self {
            until: until.map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)),
            slowness: Mutex::new(None),
        }
    }

    /// Seconds that a test that is known for `seconds` will take here, if that is more than are left.
    pub(super) fn is_too_late_for(&self, seconds: u32) -> Option<u64> {
        let left = self
            .until?
            .duration_since(SystemTime::now())
            .unwrap_or_default();
        let slowness = self.slowness.lock().map_or(None, |slowness| *slowness);
        let needed = Duration::from_secs_f64(f64::from(seconds) * slowness.unwrap_or(FIRST_GUESS));
        (needed > left).then_some(needed.as_secs())
    }

    /// A test that is known for `seconds` took this long: the slowest one says how slow this machine is.
    pub(super) fn took(&self, seconds: u32, time: Duration) {
        let seen = time.as_secs_f64() / f64::from(seconds.max(1));
        if let Ok(mut slowness) = self.slowness.lock() {
            *slowness = Some(slowness.map_or(seen, |slowest| slowest.max(seen)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_machine_has_less_time() {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let deadline = Deadline::new(Some(now.unwrap().as_secs() + 1000));
        assert_eq!(deadline.is_too_late_for(600), None);
        assert_eq!(deadline.is_too_late_for(700), Some(1050));
        deadline.took(100, Duration::from_secs(300));
        deadline.took(100, Duration::from_secs(200));
        assert_eq!(deadline.is_too_late_for(300), None);
        assert_eq!(deadline.is_too_late_for(400), Some(1200));
        assert_eq!(Deadline::new(None).is_too_late_for(u32::MAX), None);
        assert_eq!(Deadline::new(Some(1)).is_too_late_for(2), Some(3));
    }
}
