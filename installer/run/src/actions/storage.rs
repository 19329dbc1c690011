//! Partition tables, arrays and file systems: commands, then a look whether they did it.

use plan::{Device, commands};
use system::Command;

use super::{Act, ActionError, command};
use crate::devices;

impl Act<'_> {
    /// Writes a partition table and waits for the kernel to know its partitions.
    pub(super) fn partition(&mut self, device: &Device, count: usize) -> Result<(), ActionError> {
        let path = self.wait_for(device)?;
        self.run_commands()?;
        let name = path.file_name().unwrap_or_default().to_owned();
        let started = self.system.now();
        let mut attempt = 1;
        loop {
            let found = devices::partitions(self.system, &name)
                .iter()
                .filter(|name| self.system.exists(&devices::node(name)))
                .count();
            if found == count {
                return Ok(());
            }
            if self.system.now().saturating_sub(started) > super::PATIENCE {
                return Err(ActionError::with_hint(
                    format!("`{path}` shows {found} partitions, not {count}"),
                    "look at the kernel's messages: the disk may be failing",
                ));
            }
            attempt += 1;
            self.retrying(
                attempt,
                format!("`{path}` shows {found} partitions, not {count}"),
            );
            self.settle()?;
            self.system.sleep(std::time::Duration::from_secs(1));
        }
    }

    /// Creates an array; one of the same UUID that an interrupted run left running is stopped first.
    pub(super) fn create_array(&mut self, uuid: &str) -> Result<(), ActionError> {
        if let Some(name) = self.devices.running_array(uuid)? {
            self.run(
                &Command::new("mdadm")
                    .arg("--stop")
                    .arg(devices::node(&name).as_str()),
            )?;
        }
        for line in commands::commands(&self.step.action, self.devices)? {
            // A member's node may be late: udev still has the partition open right after it was made.
            let line = command(line);
            self.run_with_retries(&line)?;
        }
        let array = Device::Array {
            uuid: uuid.to_owned(),
        };
        self.wait_for(&array)?;
        Ok(())
    }

    /// Makes a file system.
    pub(super) fn make_file_system(&mut self, device: &Device) -> Result<(), ActionError> {
        self.wait_for(device)?;
        for line in commands::commands(&self.step.action, self.devices)? {
            self.run_with_retries(&command(line))?;
        }
        Ok(())
    }

    /// Tries again, a few times, if the device is busy: udev opens new nodes to see what is on them.
    pub(super) fn run_with_retries(&mut self, line: &Command) -> Result<(), ActionError> {
        const TRIES: u32 = 5;
        let mut attempt = 1;
        loop {
            let error = match self.run(line) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let text = error.to_string();
            let busy = ["busy", "Busy", "in use"]
                .iter()
                .any(|word| text.contains(word));
            if !busy || attempt == TRIES {
                return Err(error);
            }
            attempt += 1;
            self.retrying(attempt, text);
            self.settle()?;
            self.system.sleep(std::time::Duration::from_secs(2));
        }
    }
}
