//! The end of a boot that failed: say why on every console, show what exists, and wait.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use nix::sys::reboot::{RebootMode, reboot};

use crate::{block, command_line, command_line::Mode, console};

/// An appliance tries again: the disks may have been slow, and the boot loader may take the other slot.
const REBOOT_AFTER: Duration = Duration::from_secs(300);
const REPEAT: Duration = Duration::from_secs(30);

/// Never returns: PID 1 must not end.
pub fn wait(error: &anyhow::Error) -> ! {
    let reboots = std::fs::read_to_string("/proc/cmdline")
        .ok()
        .and_then(|text| command_line::parse(&text).ok())
        .is_some_and(|line| line.mode == Mode::Run && line.array.is_some());
    let message = format!("{error:#}");
    console::say("THIS MACHINE CANNOT START");
    for line in message.lines() {
        console::say(line);
    }
    for line in block::table(&block::list(Path::new("/sys"))).lines() {
        console::say(line);
    }
    let first = message.lines().next().unwrap_or_default();
    let began = Instant::now();
    loop {
        let left = REBOOT_AFTER.saturating_sub(began.elapsed());
        if reboots && left.is_zero() {
            console::say("restarting");
            reboot(RebootMode::RB_AUTOBOOT).ok();
        }
        thread::sleep(if reboots { REPEAT.min(left) } else { REPEAT });
        let next = if reboots {
            format!(
                "restarting in {} s",
                REBOOT_AFTER.saturating_sub(began.elapsed()).as_secs()
            )
        } else {
            "switch the machine off or restart it".to_owned()
        };
        console::say(&format!("cannot start: {first} ({next})"));
    }
}
