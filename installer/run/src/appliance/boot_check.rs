//! `boot-check`: waits for health after a boot, says the result once, and turns `unproven` into `installed`.

use std::time::Duration;

use camino::Utf8Path;
use system::System;

use super::{
    consoles,
    health::Verdict,
    progress,
    status::{self, Status},
};
use crate::event::{Event, Record};

/// Services may take this long after systemd has started them.
const PATIENCE: Duration = Duration::from_secs(180);
const PAUSE: Duration = Duration::from_secs(2);
/// This boot's events.
const EVENTS: &str = "/run/rackwright/events.jsonl";

/// Waits until the machine is healthy or the time is over; gives the last status.
pub fn boot_check(system: &dyn System) -> Status {
    check(system, &mut status::status)
}

fn check(system: &dyn System, look: &mut dyn FnMut(&dyn System) -> Status) -> Status {
    let began = system.now();
    let mut status = look(system);
    while !status.healthy && system.now().saturating_sub(began) < PATIENCE {
        system.sleep(PAUSE);
        status = look(system);
    }
    if status.healthy && status.mode == "run" {
        match progress::prove(system) {
            // The event carries the state that the next `status` shows.
            Ok(true) => progress::Progress::Installed
                .name()
                .clone_into(&mut status.state),
            Ok(false) => {}
            Err(error) => consoles::say(system, &format!("rackwright: {error}")),
        }
    }
    tell(system, &status, system.now().saturating_sub(began));
    status
}

fn tell(system: &dyn System, status: &Status, after: Duration) {
    let record = Record {
        sequence: 0,
        at: u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
        event: Event::Health {
            healthy: status.healthy,
            status: status.json(),
        },
    };
    if let Ok(mut line) = serde_json::to_string(&record) {
        line.push('\n');
        system.append(Utf8Path::new(EVENTS), line.as_bytes()).ok();
        system.emit(Utf8Path::new(consoles::EVENT_PORT), line.as_bytes());
    }
    consoles::say(system, &summary(status));
}

/// Healthy in one line; every failure and warning in one more.
fn summary(status: &Status) -> String {
    let mut text = format!(
        "rackwright: {} ({} {}) is {}",
        status.node.as_deref().unwrap_or("this machine"),
        status.role,
        status.version,
        if status.healthy {
            "healthy"
        } else {
            "NOT HEALTHY"
        }
    );
    for check in status
        .checks
        .iter()
        .filter(|check| check.result != Verdict::Pass)
    {
        text.push_str(&format!(
            "\nrackwright: {} {}: {}",
            check.result.name().to_uppercase(),
            check.name,
            check.detail
        ));
    }
    text
}

#[cfg(test)]
#[path = "boot_check_tests.rs"]
mod tests;
