//! Tells whether a step was done. Asking may assemble an array or import a pool of this plan, as later steps need them.

use camino::Utf8Path;
use plan::{Action, Check, Device, DevicePaths, Plan, commands};
use sha2::{Digest, Sha256};
use system::{Access, Command, CommandError, System, SystemError};

use crate::{
    actions::command,
    bmc,
    devices::{Devices, exported, node, partitions, plain},
    identity, pools, prior,
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
        Check::Bmc { settings } => Ok(bmc::is_as_wanted(system, settings)),
        Check::Blank { disk } => match devices.kernel_name(disk) {
            Ok(name) => blank(system, &name),
            Err(_) => Ok(false),
        },
        Check::PartitionTable { device, uuid } => probe(system, devices, device, "PTUUID", uuid),
        Check::FileSystem { device, uuid } => probe(system, devices, device, "UUID", uuid),
        Check::Array { uuid } => {
            let name = running(system, devices, plan, uuid)?;
            Ok(name.is_some_and(|name| whole(system, &name)))
        }
        Check::Running { uuid } => Ok(running(system, devices, plan, uuid)?.is_some()),
        Check::Member { array, member } => {
            let (Ok(Some(name)), Ok(path)) = (devices.running_array(array), devices.path(member))
            else {
                return Ok(false);
            };
            Ok(takes_part(system, &name, Utf8Path::new(&path)))
        }
        Check::PoolMember { pool, member } => match devices.path(member) {
            Ok(path) => pools::uses(system, pool, Utf8Path::new(&path)),
            Err(_) => Ok(false),
        },
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

/// Kernel name of the array, which runs for writing; it is started if its members are there.
fn running(
    system: &dyn System,
    devices: &Devices<'_>,
    plan: &Plan,
    uuid: &str,
) -> Result<Option<String>, SystemError> {
    let Ok(running) = devices.running_array(uuid) else {
        return Ok(None);
    };
    if let Some(name) = running {
        return Ok(Some(name));
    }
    let Some(paths) = member_paths(system, devices, plan, uuid)? else {
        return Ok(None);
    };
    let line = command(commands::assemble("rackwright", uuid, &paths));
    if !succeeds(system, &line)? {
        return Ok(None);
    }
    system.run(&command(commands::settle()))?;
    Ok(devices.running_array(uuid).unwrap_or_default())
}

/// Nobody is missing.
fn whole(system: &dyn System, name: &str) -> bool {
    // md.rst: number of devices by which the array is degraded; level 0 has no such file.
    let degraded = system
        .read(&identity::attributes(name).join("md/degraded"))
        .unwrap_or_default();
    matches!(String::from_utf8_lossy(&degraded).trim(), "" | "0")
}

/// The member has a place in the array (in sync, or being rebuilt), or waits as a spare while nobody is missing.
pub fn takes_part(system: &dyn System, array: &str, member: &Utf8Path) -> bool {
    let folder = identity::attributes(array)
        .join("md")
        .join(format!("dev-{}", member.file_name().unwrap_or_default()));
    let read = |attribute: &str| {
        let bytes = system.read(&folder.join(attribute)).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim().to_owned())
    };
    // md.rst: `slot` is the place in the array, or `none`; a member that is being rebuilt has its place already.
    let (Some(state), Some(slot)) = (read("state"), read("slot")) else {
        return false;
    };
    let usable = !state.split(',').any(|word| word == "faulty");
    // While another member is being rebuilt, a new one waits as a spare.
    let rebuilding = || {
        let action = system.read(&identity::attributes(array).join("md/sync_action"));
        action.is_ok_and(|text| text.starts_with(b"recover"))
    };
    usable && (slot != "none" || whole(system, array) || rebuilding())
}

/// The member could not be written somewhere. md keeps such a member in the array and lists the place (md.rst: `state` has
/// `write_error`, `bad_blocks` the sectors): no command fails, and nobody is missing. Seen with an injected error.
pub fn has_bad_places(system: &dyn System, array: &str, member: &Utf8Path) -> bool {
    let folder = identity::attributes(array)
        .join("md")
        .join(format!("dev-{}", member.file_name().unwrap_or_default()));
    let text = |attribute: &str| {
        let bytes = system.read(&folder.join(attribute)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).trim().to_owned()
    };
    text("state").split(',').any(|word| word == "write_error") || !text("bad_blocks").is_empty()
}

/// Paths of the members that are there: all of them for an array that is new; for one that is old, those that carry its
/// label, as others may be gone or not yet joined.
pub(crate) fn member_paths(
    system: &dyn System,
    devices: &Devices<'_>,
    plan: &Plan,
    uuid: &str,
) -> Result<Option<Vec<String>>, SystemError> {
    for step in &plan.steps {
        match &step.action {
            Action::CreateArray {
                uuid: other,
                members,
                spares,
                ..
            } if other == uuid => {
                let paths = members.iter().chain(spares);
                return Ok(paths.map(|member| devices.path(member).ok()).collect());
            }
            Action::OpenArray {
                uuid: other,
                members,
                joining,
                ..
            } if other == uuid => {
                let mut paths = Vec::new();
                for member in members.iter().chain(joining) {
                    let Ok(path) = devices.path(member) else {
                        continue;
                    };
                    if prior::label(system, Utf8Path::new(&path))?
                        .is_some_and(|label| label.uuid == plain(uuid))
                    {
                        paths.push(path);
                    }
                }
                return Ok((!paths.is_empty()).then_some(paths));
            }
            _ => {}
        }
    }
    Ok(None)
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
    let found = plan.steps.iter().find_map(|step| match &step.action {
        Action::CreatePool {
            name: other,
            hostid,
            vdevs,
            ..
        } if other == name => {
            let members: Option<Vec<String>> = vdevs
                .iter()
                .flat_map(|vdev| &vdev.members)
                .map(|member| devices.stable(member).ok())
                .collect();
            Some((hostid, members?, false))
        }
        Action::OpenPool {
            name: other,
            hostid,
            members,
            joining,
            without_log,
        } if other == name => {
            let members = members
                .iter()
                .chain(joining)
                .filter_map(|member| devices.stable(member).ok())
                .collect();
            Some((hostid, members, *without_log))
        }
        _ => None,
    });
    let Some((hostid, members, without_log)) = found else {
        return Ok(false);
    };
    // The pool's own hostid, or its import would ask for force.
    system.run(&Command::new("zgenhostid").args(["-f", hostid]))?;
    succeeds(
        system,
        &command(commands::import(name, &members, without_log)),
    )
}
