//! Numbers events and gives them their time: what front ends and files get.

use std::time::Duration;

use crate::event::{Event, Record};

/// The stream of one run.
#[derive(Debug)]
pub struct Stream {
    began: Duration,
    next: u64,
}

impl Stream {
    /// A stream that begins now, by [`system::System::now`].
    pub fn new(now: Duration) -> Self {
        Self {
            began: now,
            next: 0,
        }
    }

    /// The next record.
    pub fn record(&mut self, now: Duration, event: Event) -> Record {
        let sequence = self.next;
        self.next += 1;
        let at = now.saturating_sub(self.began).as_millis();
        Record {
            sequence,
            at: u64::try_from(at).unwrap_or(u64::MAX),
            event,
        }
    }
}
