//! Messages: on every console, and in the kernel log so that the machine's journal has them later.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use nix::libc::{O_NOCTTY, O_NONBLOCK};

static VERBOSE: AtomicBool = AtomicBool::new(false);

/// Turns [`debug`] messages on (`rackwright.debug`).
pub fn set_verbose(on: bool) {
    VERBOSE.store(on, Ordering::Relaxed);
}

/// One line for people.
pub fn say(message: &str) {
    kernel_log(message);
    for console in consoles() {
        write(&console, &format!("rackwright-init: {message}\r\n"));
    }
}

/// One line for whoever looks for a fault.
pub fn debug(message: &str) {
    if VERBOSE.load(Ordering::Relaxed) {
        say(message);
    }
}

/// Level 7 keeps the kernel from printing it on the consoles a second time.
fn kernel_log(message: &str) {
    if let Ok(mut log) = OpenOptions::new().write(true).open("/dev/kmsg") {
        for line in message.lines() {
            log.write_all(format!("<7>rackwright-init: {line}\n").as_bytes())
                .ok();
        }
    }
}

/// Device nodes of the active consoles (Documentation/ABI/testing/sysfs-tty).
fn consoles() -> Vec<String> {
    let active = fs::read_to_string("/sys/class/tty/console/active").unwrap_or_default();
    let names: Vec<String> = active
        .split_whitespace()
        .map(|name| format!("/dev/{name}"))
        .collect();
    if names.is_empty() {
        vec!["/dev/console".to_owned()]
    } else {
        names
    }
}

/// Non-blocking: a serial line whose other end holds the flow must not hold the boot.
fn write(console: &str, text: &str) {
    let Ok(mut device) = OpenOptions::new()
        .write(true)
        .custom_flags(O_NOCTTY | O_NONBLOCK)
        .open(console)
    else {
        return;
    };
    let mut rest = text.as_bytes();
    let mut waits = 0;
    while !rest.is_empty() && waits < 20 {
        match device.write(rest) {
            Ok(0) => return,
            Ok(length) => rest = &rest[length..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                waits += 1;
                thread::sleep(Duration::from_millis(10));
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}
