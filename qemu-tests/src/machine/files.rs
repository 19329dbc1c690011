//! The files of a machine: sparse disks, firmware variables, and for each boot its sockets and logs.

use std::io::{Seek as _, SeekFrom, Write as _};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;

use super::{
    Boot, Builder, Fingerprint, MachineError, Running, Specification, directory, fingerprint,
};

/// Debian's names of OVMF with 4 MiB variables, and of the generic edk2 build.
const FIRMWARE: [(&str, &str); 2] = [
    (
        "/usr/share/OVMF/OVMF_CODE_4M.fd",
        "/usr/share/OVMF/OVMF_VARS_4M.fd",
    ),
    (
        "/usr/share/OVMF/OVMF_CODE.fd",
        "/usr/share/OVMF/OVMF_VARS.fd",
    ),
];

/// Paths of a machine's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// Directory of all of them but the firmware.
    pub directory: Utf8PathBuf,
    /// UEFI code, shared and read-only.
    pub firmware: Utf8PathBuf,
    /// UEFI variables, private.
    pub variables: Utf8PathBuf,
}

/// Paths of one boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// QMP socket.
    pub qmp: Utf8PathBuf,
    /// Event lines of the guest.
    pub events: Utf8PathBuf,
    /// Socket of ttyS0.
    pub serial0: Utf8PathBuf,
    /// Socket of ttyS1.
    pub serial1: Utf8PathBuf,
    /// Everything written to ttyS0.
    pub console0: Utf8PathBuf,
    /// Everything written to ttyS1.
    pub console1: Utf8PathBuf,
    /// What QEMU itself said.
    pub messages: Utf8PathBuf,
}

impl Files {
    /// Image of a disk.
    #[must_use]
    pub fn disk(&self, name: &str) -> Utf8PathBuf {
        self.directory.join(format!("{name}.disk"))
    }

    /// Files of boot `number`. Short names: a socket's path has 107 bytes (unix(7)).
    #[must_use]
    pub fn run(&self, number: u32) -> Run {
        let file = |name: &str| self.directory.join(format!("{number}.{name}"));
        Run {
            qmp: file("qmp"),
            events: file("events"),
            serial0: file("tty0"),
            serial1: file("tty1"),
            console0: file("console0"),
            console1: file("console1"),
            messages: file("qemu"),
        }
    }
}

/// A machine with its files, switched off.
#[derive(Debug)]
pub struct Machine {
    /// What it is.
    pub specification: Specification,
    /// Where it is.
    pub files: Files,
    directory: Option<tempfile::TempDir>,
    boots: u32,
}

impl Machine {
    /// Begins to describe a machine.
    #[must_use]
    pub fn builder(name: &str) -> Builder {
        Builder::new(name)
    }

    pub(super) fn new(specification: Specification) -> Result<Self, MachineError> {
        let directory = directory::make(&specification.name)?;
        let path = Utf8PathBuf::try_from(directory.path().to_path_buf())
            .map_err(|error| MachineError::File(error.into_io_error()))?;
        let mut machine = Self::new_in(specification, path)?;
        machine.directory = Some(directory);
        Ok(machine)
    }

    pub(super) fn new_in(
        specification: Specification,
        directory: Utf8PathBuf,
    ) -> Result<Self, MachineError> {
        let (firmware, _) = firmware()?;
        let machine = Self {
            specification,
            files: Files {
                firmware: firmware.into(),
                variables: directory.join("variables"),
                directory,
            },
            directory: None,
            boots: 0,
        };
        for disk in &machine.specification.disks {
            let path = machine.files.disk(&disk.name);
            if !path.exists() {
                fs::File::create(path)?.set_len(disk.size)?;
            }
        }
        if !machine.files.variables.exists() {
            machine.wipe_variables()?;
        }
        Ok(machine)
    }

    /// Forgets all boot entries and settings of the UEFI firmware, as X10 boards do.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn wipe_variables(&self) -> Result<(), MachineError> {
        let (_, variables) = firmware()?;
        fs::copy(variables, &self.files.variables)?;
        Ok(())
    }

    /// Writes a pattern over head, middle and tail of a disk: 1 MiB each, distinct by offset.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn fill_with_pattern(&self, disk: &str) -> Result<(), MachineError> {
        const LENGTH: u64 = 1 << 20;
        let mut file = fs::OpenOptions::new()
            .write(true)
            .open(self.files.disk(disk))?;
        let size = file.metadata()?.len();
        for start in [0, size / 2, size.saturating_sub(LENGTH)] {
            let bytes: Vec<u8> = (0..LENGTH / 8)
                .flat_map(|word| (start ^ (word * 0x9E37_79B9)).to_le_bytes())
                .collect();
            file.seek(SeekFrom::Start(start))?;
            file.write_all(&bytes)?;
        }
        Ok(())
    }

    /// Digest of a disk's content, whatever its holes are.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn fingerprint(&self, disk: &str) -> Result<Fingerprint, MachineError> {
        Ok(fingerprint(&self.files.disk(disk))?)
    }

    /// Digests of all disks, in order.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn fingerprints(&self) -> Result<Vec<(String, Fingerprint)>, MachineError> {
        let disks = self.specification.disks.iter();
        disks
            .map(|disk| Ok((disk.name.clone(), self.fingerprint(&disk.name)?)))
            .collect()
    }

    /// Takes a disk out of its bay for good and puts a blank one of the same kind in: another serial number, another name.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn replace_disk(&mut self, name: &str) -> Result<(), MachineError> {
        for disk in &mut self.specification.disks {
            if disk.name == name {
                disk.serial.push('N');
                disk.wwn += u64::from(disk.wwn != 0) << 12;
                fs::File::create(self.files.disk(name))?.set_len(disk.size)?;
            }
        }
        Ok(())
    }

    /// A path inside the machine's directory, for media made for it.
    #[must_use]
    pub fn file(&self, name: &str) -> Utf8PathBuf {
        self.files.directory.join(name)
    }

    /// Switches it on.
    ///
    /// # Errors
    /// If QEMU cannot be started or ends at once.
    pub fn boot(&mut self, boot: &Boot) -> Result<Running, MachineError> {
        self.boots += 1;
        Running::start(&self.specification, &self.files, boot, self.boots)
    }

    /// Leaves the console logs behind, but not the disks and media.
    pub fn keep_logs(&mut self) {
        let disks = self
            .specification
            .disks
            .iter()
            .map(|disk| self.files.disk(&disk.name));
        let media = ["medium", "stick", "initrd", "variables"].map(|name| self.file(name));
        for path in disks.chain(media) {
            // Not every machine has all of them.
            let _gone = fs::remove_file(path);
        }
        self.keep();
    }

    /// Leaves the directory behind and says where it is.
    pub fn keep(&mut self) -> &Utf8Path {
        if let Some(directory) = self.directory.take() {
            let _path = directory.keep();
        }
        &self.files.directory
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.keep_logs();
        }
    }
}

fn firmware() -> Result<(&'static str, &'static str), MachineError> {
    FIRMWARE
        .into_iter()
        .find(|(code, variables)| Utf8Path::new(code).exists() && Utf8Path::new(variables).exists())
        .ok_or_else(|| {
            MachineError::NoFirmware(FIRMWARE.map(|(code, _)| format!("`{code}`")).join(", "))
        })
}
