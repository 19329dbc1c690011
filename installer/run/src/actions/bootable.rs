//! MakeBootable: one OS disk gets everything it needs to boot alone: kernel and initrd on its own EFI system partition, GRUB
//! for BIOS, GRUB on the path that UEFI tries without a boot entry.

use camino::{Utf8Path, Utf8PathBuf};
use firmware::inventory::DiskId;
use plan::{Action, CommandLine, Device, commands, commands::ESP_MOUNT};
use system::Mounted;

use super::{Act, ActionError, command};
use crate::grub;

/// Where the EFI system partition that is copied from is mounted, read-only.
const FROM_MOUNT: &str = "/run/rackwright/esp-from";

impl<'a> Act<'a> {
    pub(super) fn make_bootable(
        &mut self,
        disk: &DiskId,
        esp: &Device,
        array: &str,
    ) -> Result<(), ActionError> {
        let (volume, mounted) = self.mount_esp(disk, esp)?;
        let root = mounted.path();

        let slot = root.join("rackwright/a");
        self.system.make_directory(&slot)?;
        for (from, name) in [
            (&self.context.kernel, "vmlinuz"),
            (&self.context.initrd, "initrd.zst"),
        ] {
            let content = self.system.read(from)?;
            if content.is_empty() {
                return Err(ActionError::with_hint(
                    format!("`{from}` is empty"),
                    "the medium is damaged: write it again",
                ));
            }
            self.system.write(&slot.join(name), &content, 0o644)?;
        }
        let environment = grub::environment(&[("slot", "a")]);
        self.boot_loader(root, &volume, array, &environment)?;
        mounted.release()?;
        Ok(())
    }

    /// The same from an OS disk that is left: its kernels belong to what is in the slots, the medium's may be of another
    /// version.
    pub(super) fn copy_bootable(
        &mut self,
        disk: &DiskId,
        esp: &Device,
        from: &Device,
        array: &str,
    ) -> Result<(), ActionError> {
        let (kernels, environment) = self.read_bootable(from)?;
        let (volume, mounted) = self.mount_esp(disk, esp)?;
        let root = mounted.path();
        for (path, content) in &kernels {
            let path = root.join(path);
            if let Some(folder) = path.parent() {
                self.system.make_directory(folder)?;
            }
            self.system.write(&path, content, 0o644)?;
        }
        self.boot_loader(root, &volume, array, &environment)?;
        mounted.release()?;
        Ok(())
    }

    /// Kernels and initrds of all slots with their paths, and GRUB's variables.
    #[expect(clippy::type_complexity, reason = "used once, right above")]
    fn read_bootable(
        &mut self,
        from: &Device,
    ) -> Result<(Vec<(Utf8PathBuf, Vec<u8>)>, Vec<u8>), ActionError> {
        let path = self.wait_for(from)?;
        let mounted = Mounted::new(
            self.system,
            &path,
            Utf8Path::new(FROM_MOUNT),
            "vfat",
            true,
            "",
        )?;
        let mut kernels = Vec::new();
        for slot in self.system.list(&mounted.path().join("rackwright"))? {
            let folder = Utf8Path::new("rackwright").join(slot);
            for name in self.system.list(&mounted.path().join(&folder))? {
                let path = folder.join(name);
                let content = self.system.read(&mounted.path().join(&path))?;
                if content.is_empty() {
                    return Err(ActionError::with_hint(
                        format!(
                            "`{path}` on the EFI system partition of the disk that is left is empty"
                        ),
                        "install the machine anew with `storage.data = \"keep\"`",
                    ));
                }
                kernels.push((path, content));
            }
        }
        let variables = mounted.path().join("grub").join(grub::ENVIRONMENT);
        let environment = self.system.read(&variables)?;
        mounted.release()?;
        Ok((kernels, environment))
    }

    /// Mounts the EFI system partition of a disk for writing; gives its volume id too.
    fn mount_esp(
        &mut self,
        disk: &DiskId,
        esp: &Device,
    ) -> Result<(String, Mounted<'a>), ActionError> {
        let under = self.devices.under(esp);
        if under.iter().any(|other| other != disk) {
            return Err(ActionError::Forbidden {
                device: "EFI system partition".into(),
                disk: under.iter().map(ToString::to_string).collect(),
            });
        }
        let volume = self.volume_of(esp)?;
        let path = self.wait_for(esp)?;
        let target = Utf8Path::new(ESP_MOUNT);
        let mounted = Mounted::new(self.system, &path, target, "vfat", false, "")?;
        Ok((volume, mounted))
    }

    /// GRUB for BIOS and UEFI, its variables and its menu, on a mounted EFI system partition.
    fn boot_loader(
        &self,
        root: &Utf8Path,
        volume: &str,
        array: &str,
        environment: &[u8],
    ) -> Result<(), ActionError> {
        for line in self.grub_lines()? {
            self.run(&line)?;
        }
        let menu = grub::configuration(volume, array);
        self.system.make_directory(&root.join("grub"))?;
        self.system.write(
            &root.join("grub").join(grub::ENVIRONMENT),
            environment,
            0o644,
        )?;
        // Some firmware of this age starts this name and no other (Launchpad bug 1853906).
        let loader = self.system.read(&root.join("EFI/BOOT/BOOTX64.EFI"))?;
        self.system
            .write(&root.join("EFI/BOOT/grubx64.efi"), &loader, 0o644)?;
        // Last: without a menu GRUB boots nothing.
        self.system
            .write(&root.join("grub/grub.cfg"), menu.as_bytes(), 0o644)?;
        Ok(())
    }

    fn grub_lines(&self) -> Result<Vec<system::Command>, ActionError> {
        let lines: Vec<CommandLine> = commands::commands(&self.step.action, self.devices)?;
        Ok(lines.into_iter().map(command).collect())
    }

    /// The volume id the plan gave this EFI system partition.
    fn volume_of(&self, esp: &Device) -> Result<String, ActionError> {
        let made = self.plan.steps.iter().find_map(|step| match &step.action {
            Action::MakeFileSystem { device, uuid, .. } if device == esp => {
                Some(grub::volume_id(uuid))
            }
            _ => None,
        });
        made.ok_or_else(|| ActionError::Other {
            message: "the plan makes no file system on this EFI system partition".into(),
            hint: None,
        })
    }
}
