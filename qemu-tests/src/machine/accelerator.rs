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
    /// The translator, all virtual processors in one thread, in turn.
    EmulationInTurn,
}

/// First QEMU whose translator sees code that one processor changes while another translates it ("accel/tcg: Always lock
/// pages before translation", 8.1). With older ones and a thread for each processor, a Linux guest dies about once in a
/// few hundred boots of `Oops: int3` where the kernel had patched itself (Debian 12's 7.2.22, seen 2026-11-23; the same
/// in linux-kernel, July 2023, "booting with 8.0.0 still see int3").
const TRANSLATES_SAFELY: (u32, u32) = (8, 1);

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
                let version = Command::new("qemu-system-x86_64").arg("--version").output();
                version.map_or(Self::EmulationInTurn, |output| {
                    Self::emulation(&String::from_utf8_lossy(&output.stdout))
                })
            }
        })
    }

    /// The translator's fastest mode that is right, by what `qemu-system-x86_64 --version` says.
    fn emulation(version: &str) -> Self {
        let mut numbers = version
            .split_whitespace()
            .skip_while(|word| *word != "version")
            .nth(1)
            .unwrap_or_default()
            .split('.')
            .map_while(|number| number.parse().ok());
        match (numbers.next(), numbers.next()) {
            (Some(major), Some(minor)) if (major, minor) >= TRANSLATES_SAFELY => Self::Emulation,
            _ => Self::EmulationInTurn,
        }
    }

    pub(super) fn argument(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Emulation => "tcg,thread=multi",
            Self::EmulationInTurn => "tcg,thread=single",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_take_turns_where_the_translator_needs_it() {
        let table = [
            (
                "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)",
                Accelerator::EmulationInTurn,
            ),
            ("QEMU emulator version 8.0.4", Accelerator::EmulationInTurn),
            ("QEMU emulator version 8.1.0", Accelerator::Emulation),
            (
                "QEMU emulator version 10.0.7 (Debian 1:10.0.7+ds-0+deb13u1)",
                Accelerator::Emulation,
            ),
            ("", Accelerator::EmulationInTurn),
            (
                "QEMU emulator version unknown",
                Accelerator::EmulationInTurn,
            ),
        ];
        for (version, expected) in table {
            assert_eq!(Accelerator::emulation(version), expected, "{version}");
        }
    }
}
