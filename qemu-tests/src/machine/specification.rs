//! What a machine is made of: plain data and its builder.

use super::{Accelerator, Board, Disk, Machine, MachineError, Network, Nic, NicModel};

/// A machine as data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Specification {
    /// Name for people and for the directory.
    pub name: String,
    /// Board identity.
    pub board: Board,
    /// Board serial number.
    pub board_serial: String,
    /// Firmware interface.
    pub firmware: Firmware,
    /// Processor model under emulation.
    pub cpu: CpuModel,
    /// Virtual processors.
    pub processors: u32,
    /// MiB of memory.
    pub memory: u32,
    /// Disks in bay order; OS disks first.
    pub disks: Vec<Disk>,
    /// Network ports.
    pub nics: Vec<Nic>,
    /// Has a BMC behind a KCS interface.
    pub bmc: bool,
    /// TCP port of a BMC outside of QEMU (see [`super::Bmc`]), which has accounts and a network; instead of QEMU's own.
    pub external_bmc: Option<u16>,
    /// Accelerator.
    pub accelerator: Accelerator,
}

/// Firmware interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Firmware {
    /// SeaBIOS.
    Bios,
    /// OVMF with variables of its own.
    Uefi,
}

/// Processor model under emulation (KVM always passes the host's).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CpuModel {
    /// Everything TCG can do.
    Max,
    /// No AVX: ZFS measures every SIMD variant of its checksums when it is loaded, which took 173 s with `max` and
    /// 9 to 23 s with this under emulation.
    Nehalem,
}

/// Builds a machine.
#[derive(Debug, Clone)]
pub struct Builder {
    specification: Specification,
}

impl Builder {
    pub(super) fn new(name: &str) -> Self {
        Self {
            specification: Specification {
                name: name.to_owned(),
                board: Board::X10SRL_F,
                board_serial: "ZM000S000000".to_owned(),
                firmware: Firmware::Uefi,
                cpu: CpuModel::Max,
                processors: 2,
                memory: 2048,
                disks: Vec::new(),
                nics: Vec::new(),
                bmc: true,
                external_bmc: None,
                accelerator: Accelerator::Emulation,
            },
        }
    }

    /// Board identity and serial number.
    #[must_use]
    pub fn board(mut self, board: Board, serial: &str) -> Self {
        self.specification.board = board;
        serial.clone_into(&mut self.specification.board_serial);
        self
    }

    /// Serial number of the board.
    #[must_use]
    pub fn board_serial(mut self, serial: &str) -> Self {
        serial.clone_into(&mut self.specification.board_serial);
        self
    }

    /// Firmware interface, UEFI if not called.
    #[must_use]
    pub fn firmware(mut self, firmware: Firmware) -> Self {
        self.specification.firmware = firmware;
        self
    }

    /// Processor model.
    #[must_use]
    pub fn cpu(mut self, cpu: CpuModel) -> Self {
        self.specification.cpu = cpu;
        self
    }

    /// Virtual processors, 2 if not called.
    #[must_use]
    pub fn processors(mut self, count: u32) -> Self {
        self.specification.processors = count;
        self
    }

    /// MiB of memory, 2048 if not called.
    #[must_use]
    pub fn memory(mut self, mebibytes: u32) -> Self {
        self.specification.memory = mebibytes;
        self
    }

    /// Adds a disk.
    #[must_use]
    pub fn disk(mut self, disk: Disk) -> Self {
        self.specification.disks.push(disk);
        self
    }

    /// Adds disks.
    #[must_use]
    pub fn disks(mut self, disks: impl IntoIterator<Item = Disk>) -> Self {
        self.specification.disks.extend(disks);
        self
    }

    /// Takes all network ports out.
    #[must_use]
    pub fn without_nics(mut self) -> Self {
        self.specification.nics.clear();
        self
    }

    /// Takes all network ports out but the first, by which the test comes in.
    #[must_use]
    pub fn keep_first_nic(mut self) -> Self {
        self.specification.nics.truncate(1);
        self
    }

    /// Adds a network port.
    #[must_use]
    pub fn nic(mut self, nic: Nic) -> Self {
        self.specification.nics.push(nic);
        self
    }

    /// Changes the first network port and what it is plugged into.
    #[must_use]
    pub fn first_port(mut self, model: NicModel, network: Network) -> Self {
        if let Some(nic) = self.specification.nics.first_mut() {
            nic.model = model;
            nic.network = network;
        }
        self
    }

    /// Lets the guest reach the host at 10.0.2.2.
    #[must_use]
    pub fn open_network(mut self) -> Self {
        for nic in &mut self.specification.nics {
            if let Network::User { open, .. } = &mut nic.network {
                *open = true;
            }
        }
        self
    }

    /// Takes disks out by name.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.specification.disks.retain(|disk| disk.name != name);
        self
    }

    /// Changes the disk of this name.
    #[must_use]
    pub fn change(mut self, name: &str, change: impl FnOnce(&mut Disk)) -> Self {
        if let Some(disk) = self
            .specification
            .disks
            .iter_mut()
            .find(|disk| disk.name == name)
        {
            change(disk);
        }
        self
    }

    /// Changes all disks.
    #[must_use]
    pub fn change_each(mut self, change: impl Fn(&mut Disk)) -> Self {
        self.specification.disks.iter_mut().for_each(change);
        self
    }

    /// With or without a BMC; with one if not called.
    #[must_use]
    pub fn bmc(mut self, present: bool) -> Self {
        self.specification.bmc = present;
        self
    }

    /// With a BMC outside of QEMU: [`super::Bmc::machine_port`].
    #[must_use]
    pub fn external_bmc(mut self, port: u16) -> Self {
        self.specification.bmc = true;
        self.specification.external_bmc = Some(port);
        self
    }

    /// Accelerator, emulation if not called; see [`Accelerator::of_this_host`].
    #[must_use]
    pub fn accelerator(mut self, accelerator: Accelerator) -> Self {
        self.specification.accelerator = accelerator;
        self
    }

    /// The data, without touching the disk.
    #[must_use]
    pub fn specification(self) -> Specification {
        self.specification
    }

    /// Makes the directory, the sparse disks and the firmware variables.
    ///
    /// # Errors
    /// If a file cannot be made.
    pub fn build(self) -> Result<Machine, MachineError> {
        Machine::new(self.specification)
    }

    /// As [`Self::build`], in a directory that stays; disks and variables that it holds already are kept.
    ///
    /// # Errors
    /// If a file cannot be made.
    pub fn build_in(self, directory: camino::Utf8PathBuf) -> Result<Machine, MachineError> {
        fs_err::create_dir_all(&directory)?;
        Machine::new_in(self.specification, directory)
    }
}
