//! A machine: what it is made of (pure), its files, one boot of it.

mod accelerator;
mod arguments;
mod bmc;
mod board;
mod directory;
mod disk;
mod error;
mod events;
mod files;
mod fingerprint;
mod network;
mod process;
mod qmp;
mod running;
mod segment;
mod specification;
mod ssh;
mod stick;

pub use accelerator::Accelerator;
pub use arguments::{Boot, DirectKernel, Medium, MediumKind, arguments, device_id};
pub use bmc::Bmc;
pub use board::Board;
pub use disk::{Attachment, Disk, Rotation};
pub use error::MachineError;
pub use events::Events;
pub use files::{Files, Machine};
pub use fingerprint::{Fingerprint, fingerprint};
pub use network::{Network, Nic, NicModel};
pub(crate) use process::Process;
pub use qmp::Qmp;
pub use running::{Patience, Running};
pub use segment::{HOST, Segment};
pub use specification::{Builder, CpuModel, Firmware, Specification};
pub use ssh::{Answer, KeyPair, Shell, Wish};
pub use stick::{add_file, add_node_file, make_stick, read_from_stick};
