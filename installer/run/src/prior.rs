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
#[derive(Clone, PartialEq)]
pub struct Prior {
    /// Plain UUID of the array it lies in.
    pub array: String,
    /// `install.json`, if there is one.
    pub install: Option<InstallState>,
    /// Its journal.
    pub journal: Vec<Record>,
    /// The plan this machine was installed by, `plan.json`, as it stands there.
    pub plan: Option<Vec<u8>>,
    /// The node file it was installed with. May hold a password hash: never logged.
    pub node_file: Option<Vec<u8>>,
}

/// The recorded plan, below the state file system.
pub const PLAN: &str = "plan.json";
/// The node file, below the state file system.
pub const NODE_FILE: &str = "node.toml";

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

/// Everything found on the disks that the plan uses.
pub fn look(system: &dyn System, devices: &Devices<'_>) -> Result<Vec<Prior>, LookError> {
    look_on(
        system,
        &devices.kernel_names(&devices.built_from()),
        &|_| true,
    )
}

/// Every installed system on these disks, by kernel name. Only partitions with the name of an OS member are looked at: an
/// unknown disk's arrays are none of our business.
pub fn installed(system: &dyn System, disks: &BTreeSet<String>) -> Result<Vec<Prior>, LookError> {
    look_on(system, disks, &|name| partition_name(system, name) == "os")
}

fn look_on(
    system: &dyn System,
    disks: &BTreeSet<String>,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Vec<Prior>, LookError> {
    let mut members: BTreeMap<String, Vec<Utf8PathBuf>> = BTreeMap::new();
    for name in disks {
        for partition in partitions(system, name) {
            // The OS array is the only place with a state file system, so that the data arrays need not be started.
            if wanted(&partition)
                && let Some(label) = label(system, &node(&partition))?
                && label.mirror
            {
                members
                    .entry(label.uuid)
                    .or_default()
                    .push(node(&partition));
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

/// What an md label says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Plain UUID of the array.
    pub uuid: String,
    /// RAID1.
    pub mirror: bool,
}

/// The md label of a partition; none if there is none.
///
/// # Errors
/// It could not be read.
pub fn label(system: &dyn System, partition: &Utf8Path) -> Result<Option<Label>, SystemError> {
    let command = Command::new("mdadm")
        .args(["--examine", "--export"])
        .arg(partition.as_str());
    match system.run(&command) {
        Ok(output) => {
            let mirror = exported(&output.stdout, "MD_LEVEL") == Some("raid1");
            Ok(exported(&output.stdout, "MD_UUID").map(|uuid| Label {
                uuid: plain(uuid),
                mirror,
            }))
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
        system.run(&crate::actions::command(plan::commands::settle()))?;
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
    let is_state = |name: &String| partition_name(system, name) == "state";
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
    // In the running appliance it is mounted for writing already, and the kernel does not mount it read-only beside that.
    if let Some(place) = mounted_at(system, &device)? {
        return contents(system, &place, uuid).map(Some);
    }
    // noload: replaying ext4's journal would write, and the array is read-only (ext4(5)). What was not yet written back is
    // not seen then; that only ever makes an install look less finished than it is.
    let mounted = Mounted::new(system, &device, Utf8Path::new(LOOK), "ext4", true, "noload")?;
    let prior = contents(system, mounted.path(), uuid)?;
    mounted.release()?;
    Ok(Some(prior))
}

fn contents(system: &dyn System, state: &Utf8Path, uuid: &str) -> Result<Prior, LookError> {
    let read = |name: &str| match system.read(&state.join(name)) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    };
    let install = InstallState::read(system, state)?;
    let journal = read(journal::STATE)?.unwrap_or_default();
    Ok(Prior {
        array: uuid.to_owned(),
        install,
        journal: journal::parse(&String::from_utf8_lossy(&journal)),
        plan: read(PLAN)?,
        node_file: read(NODE_FILE)?,
    })
}

/// GPT name of a partition; empty if it has none.
fn partition_name(system: &dyn System, name: &str) -> String {
    let uevent = system
        .read(&identity::attributes(name).join("uevent"))
        .unwrap_or_default();
    exported(&String::from_utf8_lossy(&uevent), "PARTNAME")
        .unwrap_or_default()
        .to_owned()
}

/// Where a device is mounted for writing now.
fn mounted_at(system: &dyn System, device: &Utf8Path) -> Result<Option<Utf8PathBuf>, SystemError> {
    let mounts = system.read(Utf8Path::new("/proc/self/mounts"))?;
    let place = String::from_utf8_lossy(&mounts).lines().find_map(|line| {
        let mut words = line.split(' ');
        let (source, target) = (words.next()?, words.next()?);
        (source == device.as_str()).then(|| Utf8PathBuf::from(target))
    });
    Ok(place)
}
