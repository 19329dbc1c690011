//! The first process: finds the root image, mounts everything a machine needs and hands over to systemd.
//!
//! It is PID 1 in the initrd: no shell, no udev. A failure ends in words on every console, never in a kernel panic
//! without any.

mod array;
pub mod block;
pub mod command_line;
pub mod console;
pub mod device_uevent;
pub mod facts;
mod failure;
pub mod fill;
pub mod gpt;
mod live;
pub mod mdadm;
mod medium;
pub mod module_index;
mod modules;
mod mounts;
mod ram_disk;
mod running;
mod start;
mod switch;
pub mod trust;
mod write_protect;

/// Entry of the program. Does not return when it is PID 1.
pub fn main() {
    let program = std::env::args().next().unwrap_or_default();
    if std::process::id() != 1 {
        if program.ends_with("modprobe") {
            modules::modprobe(std::env::args().skip(1));
        }
        return;
    }
    // A panic of PID 1 takes the kernel with it: turn it into a message as well.
    let result = std::panic::catch_unwind(start::start)
        .unwrap_or_else(|_| Err(anyhow::anyhow!("rackwright-init panicked")));
    let Err(error) = result;
    failure::wait(&error);
}
