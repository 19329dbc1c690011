//! What each action does. Command lines come from [`plan::commands`], the same that the dry run prints; the rest is here.

mod bmc;
mod bootable;
mod image;
mod repair;
mod state;
mod storage;
mod wipe;

use std::{collections::BTreeSet, time::Duration};

use camino::{Utf8Path, Utf8PathBuf};
use firmware::inventory::DiskId;
use plan::{
    Action, CommandLine, Device, DevicePaths, Plan, Step, commands, commands::UnknownDevice,
};
use system::{Access, BlockDevice, Command, CommandError, System, SystemError};

use crate::{
    Context,
    devices::Devices,
    event::Event,
    identity::{self, IdentityError},
    install_state::InstallStateError,
};

/// Why an action failed.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    /// An effect.
    #[error(transparent)]
    System(#[from] SystemError),
    /// A command.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// A device of the plan is not there.
    #[error(transparent)]
    Device(#[from] UnknownDevice),
    /// A disk is not what it was.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The state file.
    #[error(transparent)]
    State(#[from] InstallStateError),
    /// A write to a disk that the step may not write to; a defect of the plan or of this program.
    #[error("`{device}` lies on disk `{disk}`, which this step must not write")]
    Forbidden {
        /// Device.
        device: String,
        /// Disk.
        disk: String,
    },
    /// Anything else.
    #[error("{message}")]
    Other {
        /// What.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
}

impl ActionError {
    /// An error with something to do about it.
    pub fn with_hint(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Other {
            message: message.into(),
            hint: Some(hint.into()),
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Other { hint, .. } => hint.clone(),
            Self::Identity(_) => Some(
                "was a disk changed? start again, so that the machine is looked at anew".into(),
            ),
            Self::Device(_) => Some(
                "is the disk still there? look at the kernel's messages, then start again".into(),
            ),
            Self::Command(CommandError::Start { .. })
            | Self::System(SystemError::Command(CommandError::Start { .. })) => {
                Some("the image lacks this program: build it with the package that holds it".into())
            }
            _ => None,
        }
    }
}

/// One step being done.
pub struct Act<'a> {
    /// All effects.
    pub system: &'a dyn System,
    /// Facts of this run.
    pub context: &'a Context,
    /// The plan the step belongs to.
    pub plan: &'a Plan,
    /// Its devices.
    pub devices: &'a Devices<'a>,
    /// The step.
    pub step: &'a Step,
    /// Where events go.
    pub events: &'a mut dyn FnMut(Event),
}

/// How long device nodes may take to appear. udev on a machine with many disks takes seconds, under emulation tens of seconds.
const PATIENCE: Duration = Duration::from_secs(60);
/// Progress events come at most this often.
const PROGRESS: Duration = Duration::from_millis(250);

impl Act<'_> {
    /// Does the step.
    ///
    /// # Errors
    /// It was not done, or only in part.
    pub fn perform(&mut self) -> Result<(), ActionError> {
        self.verify_disks()?;
        match &self.step.action {
            Action::ConfigureBmc { settings } => self.configure_bmc(settings),
            Action::Wipe { disk } => self.wipe(disk),
            Action::Partition {
                device, partitions, ..
            } => self.partition(device, partitions.len()),
            Action::CreateArray { uuid, .. } => self.create_array(uuid),
            Action::MakeFileSystem { device, .. } => self.make_file_system(device),
            Action::CreatePool { .. } | Action::CreateDataset { .. } => self.run_commands(),
            Action::BeginInstall { .. } => self.begin_install(),
            Action::WriteImage {
                device,
                size,
                sha256,
            } => self.write_image(device, *size, sha256),
            Action::MakeBootable { disk, esp, array } => self.make_bootable(disk, esp, array),
            Action::WriteState {
                hostid,
                machine_id,
                mounts,
                ..
            } => self.write_state(hostid, machine_id, mounts),
            Action::FinishInstall { .. } => self.finish_install(),
            Action::OpenArray { name, uuid, .. } => self.open_array(name, uuid),
            Action::OpenPool { name, .. } => self.open_pool(name),
            Action::BeginRepair { replaced, .. } => self.begin_repair(replaced),
            Action::AddMember {
                name,
                array,
                member,
            } => self.add_member(name, array, member),
            Action::CopyBootable {
                disk,
                esp,
                from,
                array,
            } => self.copy_bootable(disk, esp, from, array),
            Action::ReplaceMember {
                pool,
                lost,
                member,
                redundant,
                ..
            } => self.replace_member(pool, lost, member, *redundant),
            Action::FinishRepair { pools, record, .. } => self.finish_repair(pools, record),
        }
    }

    /// The node of a device that is about to be mounted for writing, inside the guard.
    ///
    /// # Errors
    /// It is not there, or may not be written.
    pub fn ready_to_mount(&mut self, device: &Device) -> Result<Utf8PathBuf, ActionError> {
        self.verify_disks()?;
        self.wait_for(device)
    }

    /// Disks under everything the action touches.
    fn touched(&self) -> BTreeSet<DiskId> {
        let devices: Vec<&Device> = match &self.step.action {
            Action::Wipe { disk } => return BTreeSet::from([disk.clone()]),
            Action::Partition { device, .. }
            | Action::MakeFileSystem { device, .. }
            | Action::WriteImage { device, .. } => vec![device],
            Action::CreateArray {
                members, spares, ..
            } => members.iter().chain(spares).collect(),
            Action::CreatePool { vdevs, .. } => {
                vdevs.iter().flat_map(|vdev| &vdev.members).collect()
            }
            Action::ConfigureBmc { .. } => Vec::new(),
            // Data sets lie on their pool; its members are the step's `destroys`.
            Action::CreateDataset { .. } => Vec::new(),
            Action::BeginInstall { state }
            | Action::WriteState { state, .. }
            | Action::FinishInstall { state, .. } => vec![state],
            Action::MakeBootable { disk, .. } | Action::CopyBootable { disk, .. } => {
                return BTreeSet::from([disk.clone()]);
            }
            Action::AddMember { member, .. } | Action::ReplaceMember { member, .. } => vec![member],
            // Only what is made of these disks is written, never a disk itself.
            Action::OpenArray { .. }
            | Action::OpenPool { .. }
            | Action::BeginRepair { .. }
            | Action::FinishRepair { .. } => Vec::new(),
        };
        devices
            .into_iter()
            .flat_map(|device| self.devices.under(device))
            .collect()
    }

    /// Disks under what the action opens without destroying anything.
    fn opened(&self) -> BTreeSet<DiskId> {
        match &self.step.action {
            Action::OpenArray { members, .. } | Action::OpenPool { members, .. } => members
                .iter()
                .flat_map(|member| self.devices.under(member))
                .collect(),
            _ => BTreeSet::new(),
        }
    }

    /// The write guard: whatever the step touches must be in its `destroys`, and each of these disks must still be itself.
    fn verify_disks(&self) -> Result<(), ActionError> {
        let touched = self.touched();
        let disks: BTreeSet<&DiskId> = touched.iter().chain(&self.step.destroys).collect();
        for id in disks {
            let disk = self.devices.disk(id)?;
            if !self.step.destroys.contains(id) || disk.boot_medium || disk.read_only {
                return Err(ActionError::Forbidden {
                    device: self.step.title.clone(),
                    disk: id.to_string(),
                });
            }
            identity::verify(self.system, disk)?;
        }
        for id in self.opened() {
            identity::verify(self.system, self.devices.disk(&id)?)?;
        }
        let names = |disks: &mut dyn Iterator<Item = &DiskId>| -> Vec<String> {
            disks
                .filter_map(|disk| self.devices.kernel_name(disk).ok())
                .collect()
        };
        self.system.allow_writes(
            &names(&mut self.step.destroys.iter()),
            &names(&mut self.devices.built_from().iter()),
        );
        Ok(())
    }

    /// Opens a device for writing, inside the guard.
    fn open_for_writing(&mut self, device: &Device) -> Result<Box<dyn BlockDevice>, ActionError> {
        let path = self.wait_for(device)?;
        let under = self.devices.under(device);
        if under.is_empty() {
            return Err(ActionError::Forbidden {
                device: path.into_string(),
                disk: "unknown".into(),
            });
        }
        if let Some(disk) = under.iter().find(|disk| !self.step.destroys.contains(disk)) {
            return Err(ActionError::Forbidden {
                device: path.into_string(),
                disk: disk.to_string(),
            });
        }
        Ok(self.system.open(&path, Access::Write)?)
    }

    /// The device's node, waiting for udev if need be.
    fn wait_for(&mut self, device: &Device) -> Result<Utf8PathBuf, ActionError> {
        let started = self.system.now();
        let mut attempt = 1;
        loop {
            let error = match self.devices.path(device) {
                Ok(path) => return Ok(path.into()),
                Err(error) => error,
            };
            if self.system.now().saturating_sub(started) > PATIENCE {
                return Err(error.into());
            }
            attempt += 1;
            self.retrying(attempt, error.to_string());
            self.settle()?;
            self.system.sleep(Duration::from_secs(1));
        }
    }

    fn retrying(&mut self, attempt: u32, reason: String) {
        (self.events)(Event::Retrying {
            step: self.step.id.clone(),
            attempt,
            reason,
        });
    }

    fn warn(&mut self, message: impl Into<String>) {
        (self.events)(Event::Warned {
            step: Some(self.step.id.clone()),
            message: message.into(),
        });
    }

    fn settle(&self) -> Result<(), ActionError> {
        self.run(&command(commands::settle()))
    }

    fn run(&self, command: &Command) -> Result<(), ActionError> {
        self.system.run(command)?;
        Ok(())
    }

    /// Runs the action's command lines in order.
    fn run_commands(&mut self) -> Result<(), ActionError> {
        for line in commands::commands(&self.step.action, self.devices)? {
            self.run(&command(line))?;
        }
        Ok(())
    }

    /// A function that reports bytes done, not too often.
    fn progress(&mut self, total: u64) -> impl FnMut(u64) + '_ {
        let step = self.step.id.clone();
        let mut last: Option<Duration> = None;
        let (system, events) = (self.system, &mut *self.events);
        move |done| {
            let now = system.now();
            if done < total && last.is_some_and(|last| now.saturating_sub(last) < PROGRESS) {
                return;
            }
            last = Some(now);
            events(Event::Progress {
                step: step.clone(),
                done,
                total,
                unit: "bytes".into(),
            });
        }
    }
}

/// From the plan's form to the one that can be started. Nothing in a plan takes longer than this to start failing.
pub(crate) fn command(line: CommandLine) -> Command {
    Command {
        program: line.program,
        arguments: line.arguments,
        input: line.input,
        timeout: Some(Duration::from_secs(1800)),
        ..Command::default()
    }
}

/// The state file system's mount point.
fn state_mount() -> &'static Utf8Path {
    Utf8Path::new(crate::context::STATE_MOUNT)
}
