//! Errors of simulated machines: what was waited for, what the guest said last, where the whole log is.

use camino::Utf8PathBuf;

/// Why a machine could not be made, started or waited for.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// A file could not be made or read.
    #[error("{0}")]
    File(#[from] std::io::Error),
    /// A host program failed.
    #[error("`{line}` failed: {reason}")]
    Program {
        /// Command line.
        line: String,
        /// Status and standard error.
        reason: String,
    },
    /// OVMF is not installed.
    #[error("no UEFI firmware: none of {0} exists\nhint: install the package `ovmf`")]
    NoFirmware(String),
    /// The machine went away.
    #[error("machine `{machine}` ended while waiting for {waited}{report}")]
    Ended {
        /// Machine.
        machine: String,
        /// What was waited for.
        waited: String,
        /// Last events and console lines.
        report: String,
    },
    /// The guest said that it failed.
    #[error("machine `{machine}` failed while waiting for {waited}: {reason}{report}")]
    Guest {
        /// Machine.
        machine: String,
        /// What was waited for.
        waited: String,
        /// What the guest said.
        reason: String,
        /// Last events and console lines.
        report: String,
    },
    /// Too slow.
    #[error("machine `{machine}` showed no {waited} within {seconds} s{report}")]
    Late {
        /// Machine.
        machine: String,
        /// What was waited for.
        waited: String,
        /// Deadline.
        seconds: u64,
        /// Last events and console lines.
        report: String,
    },
    /// QMP refused a command.
    #[error("QEMU refused `{command}`: {reason}")]
    Qmp {
        /// Command.
        command: String,
        /// QEMU's words.
        reason: String,
    },
    /// The partition for the node file was not found.
    #[error("`{path}` has no partition named `{name}`")]
    NoPartition {
        /// Medium.
        path: Utf8PathBuf,
        /// Partition name.
        name: String,
    },
}
