//! The steps on the state file system, which the engine keeps mounted from `BeginInstall` on.

use std::collections::BTreeMap;

use camino::Utf8Path;
use plan::{Action, Device, DevicePaths, commands, step::Mount};
use system::Command;

use super::{Act, ActionError, command, state_mount};
use crate::{
    checks,
    install_state::{InstallState, Progress, Slot},
    secrets,
};

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
        secrets::keep(self.system, state)?;
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
    /// A disk that failed while everything was written to its mirror has left a working array behind: the kernel goes on
    /// without it and no command fails. An install that begins its life on one disk is not done.
    fn arrays_are_whole(&self) -> Result<(), ActionError> {
        for step in &self.plan.steps {
            let Action::CreateArray {
                name,
                uuid,
                members,
                ..
            } = &step.action
            else {
                continue;
            };
            let array = self.devices.running_array(uuid)?;
            let there = |member: &Device| {
                let (Some(array), Ok(path)) = (&array, self.devices.path(member)) else {
                    return false;
                };
                let path = Utf8Path::new(&path);
                checks::takes_part(self.system, array, path)
                    && !checks::has_bad_places(self.system, array, path)
            };
            let lost: Vec<String> = members
                .iter()
                .filter(|member| !there(member))
                .map(|member| self.label(member))
                .collect();
            if !lost.is_empty() {
                return Err(ActionError::with_hint(
                    format!(
                        "array `{name}` has members that failed while the install ran: {}",
                        lost.join(", ")
                    ),
                    "look at the disk's bay, cable and the kernel's messages; with a good disk there, start the install again",
                ));
            }
        }
        Ok(())
    }

    /// A member as people find it.
    fn label(&self, member: &Device) -> String {
        let Device::Partition { disk, .. } = member else {
            return format!("{member:?}");
        };
        let planned = self.plan.disks.iter().find(|planned| planned.id == *disk);
        let words = planned.map(|planned| {
            let named = |name: &str, value: &Option<String>| {
                value.as_ref().map(|value| format!("{name} {value}"))
            };
            [
                named("bay", &planned.bay),
                named("model", &planned.model),
                named("serial", &planned.serial),
            ]
            .into_iter()
            .flatten()
            .map(|word| format!(", {word}"))
            .collect::<String>()
        });
        format!("{disk}{}", words.unwrap_or_default())
    }

    pub(super) fn finish_install(&mut self) -> Result<(), ActionError> {
        self.arrays_are_whole()?;
        for line in commands::commands(&self.step.action, self.devices)? {
            self.run(&command(line))?;
        }
        self.system.sync();
        self.install_state(Progress::Unproven)?
            .write(self.system, state_mount())?;
        Ok(())
    }
}
