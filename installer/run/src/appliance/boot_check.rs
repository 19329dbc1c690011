//! `boot-check`: waits for health after a boot, says the result once, and turns `unproven` into `installed`.

use std::time::Duration;

use system::{Command, System};

use super::{
    health::Verdict,
    progress,
    status::{self, Status},
};
use crate::{console::Consoles, event::Event, install_state::Progress};

/// Services may take this long after systemd has started them.
const PATIENCE: Duration = Duration::from_secs(180);
const PAUSE: Duration = Duration::from_secs(2);

/// Waits until the machine is healthy or the time is over; gives the last status.
pub fn boot_check(system: &dyn System) -> Status {
    // The hypervisor's event port appears with its driver: on a slow machine systemd is done before udev is, and the one
    // health event of this boot would go nowhere.
    let settle = Command::new("udevadm").args(["settle", "--timeout=120"]);
    if let Err(error) = system.run(&settle) {
        tracing::warn!(%error, "devices are still coming");
    }
    check(system, &mut status::status)
}

fn check(system: &dyn System, look: &mut dyn FnMut(&dyn System) -> Status) -> Status {
    let mut consoles = Consoles::new(system);
    let began = system.now();
    let mut status = look(system);
    while !status.healthy && system.now().saturating_sub(began) < PATIENCE {
        system.sleep(PAUSE);
        status = look(system);
    }
    if status.healthy && status.mode == "run" {
        match progress::prove(system) {
            // The event carries the state that the next `status` shows.
            Ok(true) => progress::name(Progress::Installed).clone_into(&mut status.state),
            Ok(false) => {}
            Err(error) => consoles.say(&format!("rackwright: {error}")),
        }
    }
    consoles.tell(Event::Health {
        healthy: status.healthy,
        status: status.json(),
    });
    consoles.say(&summary(&status));
    status
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
