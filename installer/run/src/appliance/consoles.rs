//! Plain lines on every console.

use camino::Utf8Path;
use system::System;

/// The port a hypervisor or test reads events from (docs/architecture.md).
pub const EVENT_PORT: &str = "/dev/virtio-ports/org.rackwright.events";

/// Writes lines to every active console (Documentation/ABI/testing/sysfs-tty).
pub fn say(system: &dyn System, text: &str) {
    let mut lines = text.replace('\n', "\r\n");
    lines.push_str("\r\n");
    for console in consoles(system) {
        system.emit(Utf8Path::new(&console), lines.as_bytes());
    }
}

fn consoles(system: &dyn System) -> Vec<String> {
    let active = system
        .read(Utf8Path::new("/sys/class/tty/console/active"))
        .unwrap_or_default();
    String::from_utf8_lossy(&active)
        .split_whitespace()
        .map(|name| format!("/dev/{name}"))
        .collect()
}
