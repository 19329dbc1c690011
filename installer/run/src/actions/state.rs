//! The steps on the state file system, which the engine keeps mounted from `BeginInstall` on.

use std::collections::BTreeMap;

use camino::Utf8Path;
use plan::{Action, commands, step::Mount};
use system::Command;

use super::{Act, ActionError, command, state_mount};
use crate::install_state::{InstallState, Progress, Slot};

/// Where fresh ssh host keys are made, in memory.
const KEYS: &str = "/run/rackwright/keys";

impl Act<'_> {
    fn install_state(&self, state: Progress) -> Result<InstallState, ActionError> {
        let written = self.plan.steps.iter().find_map(|step| match &step.action {
            Action::WriteImage { size, sha256, .. } => Some(Slot {
                version: self.context.version.clone(),
                size: *size,
                sha256: sha256.clone(),
            }),
            _ => None,
        });
        let slots = match written {
            Some(slot) if state != Progress::Incomplete => BTreeMap::from([("a".to_owned(), slot)]),
            _ => BTreeMap::new(),
        };
        Ok(InstallState {
            state,
            permit: self.context.permit.as_ref().map(|permit| permit.id.clone()),
            plan: self.plan.digest(),
            role: self.context.role.clone(),
            version: self.context.version.clone(),
            slots,
            repairs: Vec::new(),
        })
    }

    /// Writes `incomplete`, with the permit: it is spent from here on once the install has ended well.
    pub(super) fn begin_install(&mut self) -> Result<(), ActionError> {
        self.install_state(Progress::Incomplete)?
            .write(self.system, state_mount())?;
        Ok(())
    }

    pub(super) fn write_state(
        &mut self,
        hostid: &str,
        machine_id: &str,
        mounts: &[Mount],
    ) -> Result<(), ActionError> {
        let state = state_mount();
        let write =
            |name: &str, content: &[u8], mode| self.system.write(&state.join(name), content, mode);
        // May hold a password hash.
        write("node.toml", self.context.node_file.as_bytes(), 0o600)?;
        write("machine-id", format!("{machine_id}\n").as_bytes(), 0o444)?;
        write("hostid", format!("{hostid}\n").as_bytes(), 0o644)?;
        let wrong = |error: serde_json::Error| ActionError::Other {
            message: error.to_string(),
            hint: None,
        };
        let mounts = serde_json::to_vec_pretty(mounts).map_err(wrong)?;
        write("mounts.json", &mounts, 0o644)?;
        // What a repair compares the machine with.
        self.write_record(self.plan)?;
        self.system.make_directory(&state.join("etc"))?;
        self.host_keys(&state.join("ssh"))
    }

    /// ssh host keys, made in memory: never in an image, never the same on two machines.
    fn host_keys(&mut self, target: &Utf8Path) -> Result<(), ActionError> {
        let made = Utf8Path::new(KEYS).join("etc/ssh");
        self.system.make_directory(target)?;
        self.system.make_directory(&made)?;
        self.run(&Command::new("ssh-keygen").args(["-A", "-f", KEYS]))?;
        let names = self.system.list(&made)?;
        for name in names.iter().filter(|name| name.starts_with("ssh_host_")) {
            let mode = if name.ends_with(".pub") { 0o644 } else { 0o600 };
            let content = self.system.read(&made.join(name))?;
            self.system.write(&target.join(name), &content, mode)?;
            self.system.remove(&made.join(name))?;
        }
        if names.is_empty() {
            return Err(ActionError::with_hint(
                "`ssh-keygen` made no host keys",
                "is openssh-server in the image?",
            ));
        }
        Ok(())
    }

    /// Exports pools and, when nothing is left that could fail but the end of the run itself, writes `unproven`.
    pub(super) fn finish_install(&mut self) -> Result<(), ActionError> {
        for line in commands::commands(&self.step.action, self.devices)? {
            self.run(&command(line))?;
        }
        self.system.sync();
        self.install_state(Progress::Unproven)?
            .write(self.system, state_mount())?;
        Ok(())
    }
}
