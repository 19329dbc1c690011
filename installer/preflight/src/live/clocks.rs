//! Time servers and the hardware clock.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use camino::Utf8Path;
use system::Command;

use crate::measured::Clock;
use crate::wire::sntp::{self, NoTime};

use super::{Asking, PATIENCE};

/// How long a time server may take.
const ANSWER: Duration = Duration::from_secs(2);

/// Seconds since 1970 by the hardware clock, which is taken to be in UTC (rtc(4)).
const HARDWARE: &str = "/sys/class/rtc/rtc0/since_epoch";

/// All servers at once.
pub(super) fn ask(asking: &Asking<'_>) -> Vec<Clock> {
    std::thread::scope(|scope| {
        let waiting: Vec<_> = asking
            .node
            .ntp
            .iter()
            .map(|server| scope.spawn(move || clock(asking, server)))
            .collect();
        waiting
            .into_iter()
            .filter_map(|thread| thread.join().ok())
            .collect()
    })
}

/// Hardware clock less system clock in seconds.
pub(super) fn hardware(asking: &Asking<'_>) -> Option<i64> {
    let text = asking.system.read(Utf8Path::new(HARDWARE)).ok()?;
    let hardware: i64 = String::from_utf8_lossy(&text).trim().parse().ok()?;
    let system = i64::try_from(asking.network.clock().as_secs()).ok()?;
    Some(hardware.saturating_sub(system))
}

fn clock(asking: &Asking<'_>, server: &str) -> Clock {
    let mut clock = Clock {
        server: server.to_owned(),
        ..Clock::default()
    };
    let Some(address) = address(asking, server) else {
        clock.error = Some("its name is not known".to_owned());
        return clock;
    };
    // A datagram may be lost; two in a row are not.
    for _ in 0..2 {
        let sent = asking.network.clock();
        let cookie = u64::try_from(sent.as_nanos()).unwrap_or(u64::MAX);
        let answer = asking.network.ask(
            SocketAddr::new(address, sntp::PORT),
            &sntp::request(cookie),
            ANSWER,
        );
        let received = asking.network.clock();
        match answer.map(|answer| sntp::offset(&answer, cookie, sent, received)) {
            Ok(Ok(offset)) => {
                clock.offset = Some(offset);
                clock.error = None;
                return clock;
            }
            Ok(Err(NoTime::Unsynchronised)) => {
                clock.error = Some("it does not know the time itself".to_owned());
            }
            Ok(Err(NoTime::Foreign)) => {
                clock.error = Some("it answers something else".to_owned());
            }
            Err(_) => clock.error = Some("no answer".to_owned()),
        }
    }
    clock
}

fn address(asking: &Asking<'_>, server: &str) -> Option<IpAddr> {
    if let Ok(address) = server.parse() {
        return Some(address);
    }
    let command = Command::new("getent").args(["ahosts", server]);
    let output = asking.system.run(&command.timeout(PATIENCE)).ok()?;
    output.stdout.split_whitespace().next()?.parse().ok()
}
