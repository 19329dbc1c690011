//! Device names for the dry run: links udev makes from what is on the device, the same on every boot.

use firmware::inventory::{DiskId, Inventory};

use crate::commands::{DevicePaths, UnknownDevice};
use crate::step::Device;

/// Resolves to `/dev/disk/by-id`, or `/dev/disk/by-path` for disks without a WWN.
#[derive(Debug, Clone, Default)]
pub struct StablePaths {
    disks: Vec<(DiskId, String)>,
}

impl StablePaths {
    /// Takes the disks of an inventory.
    #[must_use]
    pub fn new(inventory: &Inventory) -> Self {
        let name = |disk: &firmware::inventory::Disk| match (&disk.wwn, disk.paths.first()) {
            (Some(wwn), _) => format!("/dev/disk/by-id/wwn-{wwn}"),
            (None, Some(path)) if path.by_path.is_some() => {
                format!(
                    "/dev/disk/by-path/{}",
                    path.by_path.as_deref().unwrap_or_default()
                )
            }
            _ => format!("/dev/disk/by-id/{}", disk.id),
        };
        Self {
            disks: inventory
                .disks
                .iter()
                .map(|disk| (disk.id.clone(), name(disk)))
                .collect(),
        }
    }

    fn disk(&self, id: &DiskId) -> Result<&str, UnknownDevice> {
        self.disks
            .iter()
            .find(|(known, _)| known == id)
            .map(|(_, path)| path.as_str())
            .ok_or_else(|| UnknownDevice {
                device: id.to_string(),
                reason: "not in the inventory".into(),
            })
    }
}

impl DevicePaths for StablePaths {
    fn path(&self, device: &Device) -> Result<String, UnknownDevice> {
        Ok(match device {
            Device::Disk { disk } => self.disk(disk)?.to_owned(),
            Device::Partition { disk, number } => format!("{}-part{number}", self.disk(disk)?),
            Device::Array { uuid } => format!("/dev/disk/by-id/md-uuid-{uuid}"),
            Device::ArrayPartition { uuid, number } => {
                format!("/dev/disk/by-id/md-uuid-{uuid}-part{number}")
            }
        })
    }
}
