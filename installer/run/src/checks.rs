//! Tells whether a step was done. Asking may assemble an array or import a pool of this plan, as later steps need them.

use camino::Utf8Path;
use plan::{Action, Check, Device, DevicePaths, Plan, commands};
use sha2::{Digest, Sha256};
use system::{Access, Command, CommandError, System, SystemError};

use crate::{
    devices::{Devices, exported, node, partitions, plain},
    identity,
};

/// The check holds.
///
/// # Errors
/// It could not be found out.
pub fn holds(
    check: &Check,
    plan: &Plan,
    devices: &Devices<'_>,
    system: &dyn System,
) -> Result<bool, SystemError> {
    match check {
        Check::Never => Ok(false),
        Check::Blank { disk } => match devices.kernel_name(disk) {
            Ok(name) => blank(system, &name),
            Err(_) => Ok(false),
        },
        Check::PartitionTable { device, uuid } => probe(system, devices, device, "PTUUID", uuid),
        Check::FileSystem { device, uuid } => probe(system, devices, device, "UUID", uuid),
        Check::Array { uuid } => array(system, devices, plan, uuid),
        Check::Pool { name } => pool(system, devices, plan, name),
        Check::Dataset { name } => {
            let list = Command::new("zfs")
                .args(["list", "-H", "-o", "name"])
                .arg(name);
            succeeds(system, &list)
        }
        Check::Content {
            device,
            size,
            sha256,
        } => {
            let Ok(path) = devices.path(device) else {
                return Ok(false);
            };
            let mut open = system.open(Utf8Path::new(&path), Access::Read)?;
            if open.size()? < *size {
                return Ok(false);
            }
            Ok(digest(&mut *open, *size, &mut |_| {})? == sha256.to_lowercase())
        }
    }
}

/// Bytes read or written at once.
pub const CHUNK: usize = 4 << 20;

/// sha256 of the first `size` bytes, hexadecimal; `progress` gets the bytes done so far.
pub fn digest(
    device: &mut dyn system::BlockDevice,
    size: u64,
    progress: &mut dyn FnMut(u64),
) -> Result<String, SystemError> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    let mut done = 0;
    while done < size {
        let count = usize::try_from((size - done).min(CHUNK as u64)).unwrap_or(CHUNK);
        device.read_at(done, &mut buffer[..count])?;
        hash.update(&buffer[..count]);
        done += count as u64;
        progress(done);
    }
    Ok(hex::encode(hash.finalize()))
}

/// The ends of the disk, where everything that can be recognised lies, are zero, and it has no partition.
pub fn blank(system: &dyn System, name: &str) -> Result<bool, SystemError> {
    if !partitions(system, name).is_empty() {
        return Ok(false);
    }
    let mut device = system.open(&node(name), Access::Read)?;
    let size = device.size()?;
    for (offset, length) in ends(size) {
        if !zero(&mut *device, offset, length)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Offset and length of both ends of a device; small devices are all end.
pub fn ends(size: u64) -> Vec<(u64, u64)> {
    if size <= 2 * commands::WIPE_ENDS {
        vec![(0, size)]
    } else {
        vec![
            (0, commands::WIPE_ENDS),
            (size - commands::WIPE_ENDS, commands::WIPE_ENDS),
        ]
    }
}

/// All bytes of a range are zero.
pub fn zero(
    device: &mut dyn system::BlockDevice,
    offset: u64,
    length: u64,
) -> Result<bool, SystemError> {
    let (mut buffer, zeros) = (vec![0; CHUNK], vec![0; CHUNK]);
    let mut done = 0;
    while done < length {
        let count = usize::try_from((length - done).min(CHUNK as u64)).unwrap_or(CHUNK);
        device.read_at(offset + done, &mut buffer[..count])?;
        if buffer[..count] != zeros[..count] {
            return Ok(false);
        }
        done += count as u64;
    }
    Ok(true)
}

fn probe(
    system: &dyn System,
    devices: &Devices<'_>,
    device: &Device,
    name: &str,
    uuid: &str,
) -> Result<bool, SystemError> {
    let Ok(path) = devices.path(device) else {
        return Ok(false);
    };
    let command = Command::new("blkid")
        .args(["--probe", "--output", "export"])
        .arg(path);
    match system.run(&command) {
        Ok(output) => {
            Ok(exported(&output.stdout, name).is_some_and(|found| plain(found) == plain(uuid)))
        }
        // blkid(8): 2 means that nothing was found.
        Err(CommandError::Failed { status, .. }) if status == "exit code 2" => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The command ends well; an error that is not its own exit status is an error.
fn succeeds(system: &dyn System, command: &Command) -> Result<bool, SystemError> {
    match system.run(command) {
        Ok(_) => Ok(true),
        Err(CommandError::Failed { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The array runs for writing on all its members; it is started if it is there.
fn array(
    system: &dyn System,
    devices: &Devices<'_>,
    plan: &Plan,
    uuid: &str,
) -> Result<bool, SystemError> {
    let Ok(running) = devices.running_array(uuid) else {
        return Ok(false);
    };
    let name = match running {
        Some(name) => name,
        None => {
            let Some(paths) = member_paths(devices, plan, uuid) else {
                return Ok(false);
            };
            let command = Command::new("mdadm")
                .args(["--assemble", "/dev/md/rackwright", "--run"])
                .arg(format!("--uuid={uuid}"))
                .args(paths);
            if !succeeds(system, &command)? {
                return Ok(false);
            }
            system.run(&Command::new("udevadm").args(["settle", "--timeout=60"]))?;
            match devices.running_array(uuid) {
                Ok(Some(name)) => name,
                _ => return Ok(false),
            }
        }
    };
    // md.rst: number of devices by which the array is degraded; level 0 has no such file.
    let degraded = system
        .read(&identity::attributes(&name).join("md/degraded"))
        .unwrap_or_default();
    Ok(matches!(
        String::from_utf8_lossy(&degraded).trim(),
        "" | "0"
    ))
}

fn member_paths(devices: &Devices<'_>, plan: &Plan, uuid: &str) -> Option<Vec<String>> {
    plan.steps.iter().find_map(|step| match &step.action {
        Action::CreateArray {
            uuid: other,
            members,
            spares,
            ..
        } if other == uuid => members
            .iter()
            .chain(spares)
            .map(|member| devices.path(member).ok())
            .collect(),
        _ => None,
    })
}

/// The pool is imported, or can be imported from this plan's own partitions: a pool of the same name elsewhere does not count.
fn pool(
    system: &dyn System,
    devices: &Devices<'_>,
    plan: &Plan,
    name: &str,
) -> Result<bool, SystemError> {
    if succeeds(
        system,
        &Command::new("zpool")
            .args(["list", "-H", "-o", "name"])
            .arg(name),
    )? {
        return Ok(true);
    }
    let members: Option<Vec<String>> = plan.steps.iter().find_map(|step| match &step.action {
        Action::CreatePool {
            name: other, vdevs, ..
        } if other == name => vdevs
            .iter()
            .flat_map(|vdev| &vdev.members)
            .map(|member| devices.path(member).ok())
            .collect(),
        _ => None,
    });
    let Some(members) = members else {
        return Ok(false);
    };
    let mut command = Command::new("zpool").args([
        "import",
        "-N",
        "-o",
        "cachefile=none",
        "-R",
        commands::POOL_ROOT,
    ]);
    for member in members {
        command = command.args(["-d".to_owned(), member]);
    }
    succeeds(system, &command.arg(name))
}
