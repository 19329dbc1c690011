//! MakeBootable: one OS disk gets everything it needs to boot alone: kernel and initrd on its own EFI system partition, GRUB
//! for BIOS, GRUB on the path that UEFI tries without a boot entry.

use camino::Utf8Path;
use firmware::inventory::DiskId;
use plan::{Action, CommandLine, Device, commands, commands::ESP_MOUNT};
use system::Mounted;

use super::{Act, ActionError, command};
use crate::grub;

impl Act<'_> {
    pub(super) fn make_bootable(
        &mut self,
        disk: &DiskId,
        esp: &Device,
        array: &str,
    ) -> Result<(), ActionError> {
        let under = self.devices.under(esp);
        if under.iter().any(|other| other != disk) {
            return Err(ActionError::Forbidden {
                device: "EFI system partition".into(),
                disk: under.iter().map(ToString::to_string).collect(),
            });
        }
        let volume = self.volume_of(esp)?;
        let path = self.wait_for(esp)?;
        let mounted = Mounted::new(
            self.system,
            &path,
            Utf8Path::new(ESP_MOUNT),
            "vfat",
            false,
            "",
        )?;
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
        for line in self.grub_lines()? {
            self.run(&line)?;
        }
        let menu = grub::configuration(&volume, array);
        self.system.make_directory(&root.join("grub"))?;
        let environment = grub::environment(&[("slot", "a")]);
        self.system.write(
            &root.join("grub").join(grub::ENVIRONMENT),
            &environment,
            0o644,
        )?;
        // Some firmware of this age starts this name and no other (Launchpad bug 1853906).
        let loader = self.system.read(&root.join("EFI/BOOT/BOOTX64.EFI"))?;
        self.system
            .write(&root.join("EFI/BOOT/grubx64.efi"), &loader, 0o644)?;
        // Last: without a menu GRUB boots nothing.
        self.system
            .write(&root.join("grub/grub.cfg"), menu.as_bytes(), 0o644)?;
        mounted.release()?;
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
