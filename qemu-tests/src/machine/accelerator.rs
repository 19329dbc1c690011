//! KVM or emulation: decided by running a guest, not by looking for a device file.

use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::process::Process;

/// How guest code is executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accelerator {
    /// Hardware virtualisation.
    Kvm,
    /// QEMU's own translator (TCG), one thread for each virtual processor.
    Emulation,
}

/// SeaBIOS writes its first line within milliseconds; on a host where KVM opens but does not run, it never does.
const PROBE: Duration = Duration::from_secs(5);

impl Accelerator {
    /// What works here; found out once in a process.
    #[must_use]
    pub fn of_this_host() -> Self {
        static FOUND: OnceLock<Accelerator> = OnceLock::new();
        *FOUND.get_or_init(|| {
            if kvm_runs_a_guest() {
                Self::Kvm
            } else {
                Self::Emulation
            }
        })
    }

    pub(super) fn argument(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Emulation => "tcg,thread=multi",
        }
    }
}

/// Starts SeaBIOS under KVM and waits for a word from it on its debug port (0x402).
fn kvm_runs_a_guest() -> bool {
    if fs_err::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/kvm")
        .is_err()
    {
        return false;
    }
    let Ok(directory) = tempfile::tempdir() else {
        return false;
    };
    let log = directory.path().join("log");
    let mut command = Command::new("qemu-system-x86_64");
    command
        .args([
            "-machine", "q35", "-accel", "kvm", "-cpu", "host", "-m", "64",
        ])
        .args(["-nodefaults", "-display", "none", "-chardev"])
        .arg(format!("file,id=log,path={}", log.display()))
        .args(["-device", "isa-debugcon,iobase=0x402,chardev=log"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let Ok(mut process) = Process::start(&command) else {
        return false;
    };
    let start = Instant::now();
    while start.elapsed() < PROBE {
        if fs_err::metadata(&log).is_ok_and(|file| file.len() > 0) {
            return true;
        }
        if process.exited() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}
