//! Looks on the target disks, without writing, for an earlier install: its state and its journal.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use system::{Command, CommandError, Mounted, System, SystemError};

use crate::{
    devices::{Devices, exported, node, partitions, plain, running_arrays},
    event::Record,
    identity,
    install_state::{InstallState, InstallStateError},
    journal,
};

/// Where an old state file system is mounted, read-only.
const LOOK: &str = "/run/rackwright/look";

/// What one state file system says.
#[derive(Debug, Clone, PartialEq)]
pub struct Prior {
    /// Plain UUID of the array it lies in.
    pub array: String,
    /// `install.json`, if there is one.
    pub install: Option<InstallState>,
    /// Its journal.
    pub journal: Vec<Record>,
}

/// It could not be found out what is on the disks.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// An effect.
    #[error(transparent)]
    System(#[from] SystemError),
    /// The state file.
    #[error(transparent)]
    State(#[from] InstallStateError),
    /// A command.
    #[error(transparent)]
    Command(#[from] CommandError),
}

/// Everything found on the disks that the plan destroys.
pub fn look(system: &dyn System, devices: &Devices<'_>) -> Result<Vec<Prior>, LookError> {
    let mut members: BTreeMap<String, Vec<Utf8PathBuf>> = BTreeMap::new();
    for name in devices.kernel_names(devices.destroys()) {
        for partition in partitions(system, &name) {
            if let Some(uuid) = mirror(system, &node(&partition))? {
                members.entry(uuid).or_default().push(node(&partition));
            }
        }
    }
    let mut found = Vec::new();
    for (uuid, paths) in members {
        let running = running_arrays(system)
            .into_iter()
            .find(|(_, other)| *other == uuid);
        let prior = match running {
            Some((name, _)) => read(system, &name, &uuid)?,
            None => {
                let guard = Assembled::new(system, &uuid, &paths)?;
                let prior = read(system, &guard.name, &uuid)?;
                guard.release()?;
                prior
            }
        };
        found.extend(prior);
    }
    Ok(found)
}

/// UUID of the RAID1 array a partition belongs to. The OS array is the only place with a state file system, so that the data
/// arrays need not be started for this.
fn mirror(system: &dyn System, partition: &Utf8Path) -> Result<Option<String>, LookError> {
    let command = Command::new("mdadm")
        .args(["--examine", "--export"])
        .arg(partition.as_str());
    match system.run(&command) {
        Ok(output) => {
            let mirrored = exported(&output.stdout, "MD_LEVEL") == Some("raid1");
            Ok(exported(&output.stdout, "MD_UUID")
                .filter(|_| mirrored)
                .map(plain))
        }
        // mdadm has one exit status for "nothing there" and "cannot read".
        Err(CommandError::Failed { stderr, .. }) if stderr.contains("No md superblock") => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// An array started read-only, stopped when dropped.
struct Assembled<'a> {
    system: &'a dyn System,
    name: String,
    running: bool,
}

impl<'a> Assembled<'a> {
    fn new(system: &'a dyn System, uuid: &str, members: &[Utf8PathBuf]) -> Result<Self, LookError> {
        let before: BTreeSet<String> = running_arrays(system)
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        // --readonly: not even the superblocks are updated (md(4), start_ro). --run: one member is enough to look.
        let command = Command::new("mdadm")
            .args([
                "--assemble",
                "/dev/md/rackwright-look",
                "--readonly",
                "--run",
            ])
            .arg(format!("--uuid={}", grouped(uuid)))
            .args(members.iter().map(|path| path.as_str()));
        system.run(&command)?;
        system.run(&Command::new("udevadm").args(["settle", "--timeout=60"]))?;
        let name = running_arrays(system)
            .into_iter()
            .find(|(name, other)| other == uuid && !before.contains(name))
            .map(|(name, _)| name);
        match name {
            Some(name) => Ok(Self {
                system,
                name,
                running: true,
            }),
            None => Err(CommandError::Failed {
                line: command.to_string(),
                status: "no array".into(),
                stderr: String::new(),
            }
            .into()),
        }
    }

    fn stop(&mut self) -> Result<(), CommandError> {
        self.running = false;
        let command = Command::new("mdadm")
            .arg("--stop")
            .arg(node(&self.name).as_str());
        self.system.run(&command).map(|_| ())
    }

    fn release(mut self) -> Result<(), LookError> {
        Ok(self.stop()?)
    }
}

impl Drop for Assembled<'_> {
    fn drop(&mut self) {
        if self.running
            && let Err(error) = self.stop()
        {
            tracing::warn!(%error, "an array is left running read-only");
        }
    }
}

/// `0123...` to `01234567:...`, as mdadm wants it.
fn grouped(uuid: &str) -> String {
    let bytes = uuid.as_bytes().chunks(8).map(String::from_utf8_lossy);
    bytes.collect::<Vec<_>>().join(":")
}

fn read(system: &dyn System, array: &str, uuid: &str) -> Result<Option<Prior>, LookError> {
    let is_state = |name: &String| {
        let uevent = system
            .read(&identity::attributes(name).join("uevent"))
            .unwrap_or_default();
        exported(&String::from_utf8_lossy(&uevent), "PARTNAME") == Some("state")
    };
    let Some(partition) = partitions(system, array).into_iter().find(is_state) else {
        return Ok(None);
    };
    let device = node(&partition);
    let probe = Command::new("blkid")
        .args(["--probe", "--output", "export"])
        .arg(device.as_str());
    match system.run(&probe) {
        Ok(output) if exported(&output.stdout, "TYPE") == Some("ext4") => {}
        Ok(_) => return Ok(None),
        // blkid(8): 2 means that nothing was found: the power went before the file system was made.
        Err(CommandError::Failed { status, .. }) if status == "exit code 2" => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    // noload: replaying ext4's journal would write, and the array is read-only (ext4(5)). What was not yet written back is
    // not seen then; that only ever makes an install look less finished than it is.
    let mounted = Mounted::new(system, &device, Utf8Path::new(LOOK), "ext4", true, "noload")?;
    let install = InstallState::read(system, mounted.path())?;
    let journal = match system.read(&mounted.path().join(journal::STATE)) {
        Ok(content) => journal::parse(&String::from_utf8_lossy(&content)),
        Err(error) if error.is_not_found() => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    mounted.release()?;
    Ok(Some(Prior {
        array: uuid.to_owned(),
        install,
        journal,
    }))
}
