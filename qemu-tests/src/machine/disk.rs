//! A disk of a simulated machine: identity as the guest sees it, size, attachment. Its file is sparse.

/// One physical disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// File name in the machine's directory, and QEMU node name: `os0`.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// How it is attached.
    pub attachment: Attachment,
    /// SCSI vendor, up to 8 characters; not used on SATA.
    pub vendor: String,
    /// Model (SATA up to 40 characters, SCSI up to 16).
    pub model: String,
    /// Serial number.
    pub serial: String,
    /// World wide name.
    pub wwn: u64,
    /// Spinning or not.
    pub rotation: Rotation,
    /// Critical warning in the health log of an NVMe disk; 0 for none, and for all others.
    pub warning: u8,
}

/// How a disk is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attachment {
    /// AHCI port of its own.
    Sata,
    /// SAS controller (LSI SAS1068, which Linux gives a real SAS topology), one path.
    Sas,
    /// Two SAS controllers, one path each: the dual-expander shelf with two HBAs.
    SasTwoPaths,
    /// virtio SCSI controller: no SAS topology, as on hypervisors.
    VirtioScsi,
    /// NVMe controller of its own; the model string is fixed by QEMU.
    Nvme,
    /// virtio block device.
    Virtio,
}

/// Medium rotation rate as the disk reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// Solid state.
    Solid,
    /// Revolutions per minute.
    Spinning(u16),
}

impl Rotation {
    /// Value of QEMU's `rotation_rate`: 1 means non-rotating (SBC-3, ATA8-ACS).
    pub(super) fn rate(self) -> u16 {
        match self {
            Self::Solid => 1,
            Self::Spinning(rate) => rate,
        }
    }
}

impl Disk {
    /// A SATA disk.
    #[must_use]
    pub fn sata(
        name: &str,
        model: &str,
        serial: &str,
        wwn: u64,
        size: u64,
        rotation: Rotation,
    ) -> Self {
        Self {
            name: name.to_owned(),
            size,
            attachment: Attachment::Sata,
            vendor: "ATA".to_owned(),
            model: model.to_owned(),
            serial: serial.to_owned(),
            wwn,
            rotation,
            warning: 0,
        }
    }

    /// The same disk, attached another way.
    #[must_use]
    pub fn attached(mut self, attachment: Attachment) -> Self {
        self.attachment = attachment;
        self
    }

    /// The same disk with a SCSI vendor.
    #[must_use]
    pub fn made_by(mut self, vendor: &str) -> Self {
        vendor.clone_into(&mut self.vendor);
        self
    }
}
