//! Assembles the array of the OS disks: by UUID, whole if its members come in time, degraded if not.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{
    block::{self, Block},
    console,
    mdadm::{self, Member},
    modules::Modules,
};

const MDADM: &str = "/sbin/mdadm";
const DEVICE: &str = "/dev/md127";
/// Controllers and expanders may take this long to show the first member.
const FIRST: Duration = Duration::from_secs(60);
/// After the first member, the others get this long.
const OTHERS: Duration = Duration::from_secs(15);

/// KiB/s between members while the machine boots (Documentation/admin-guide/md.rst, `sync_speed_max`): next to nothing.
const SLOWLY: &str = "10";

/// An assembled array.
pub struct Array {
    /// md device.
    pub device: String,
    /// Said if it is not whole.
    pub warning: Option<String>,
}

/// Waits for the members and starts the array.
pub fn assemble(modules: &mut Modules, uuid: &str) -> Result<Array> {
    let members = wait(modules, uuid)?;
    let mut command = Command::new(MDADM);
    // `--run`: mdadm would leave an array that lost a member stopped. `--config=none`: found by what is on the disks.
    command
        .args(["--assemble", "--run", "--config=none", DEVICE])
        .arg(format!("--uuid={uuid}"))
        .args(&members);
    let output = command
        .output()
        .with_context(|| format!("cannot start `{MDADM}`"))?;
    console::debug(String::from_utf8_lossy(&output.stderr).trim());
    if !output.status.success() {
        bail!(
            "mdadm cannot start the array `{uuid}` from {}: {}",
            members.join(", "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let folder = Path::new("/sys/block/md127/md");
    // After a power cut md copies a whole member; at full speed the boot would share its disks with that, for minutes. The
    // boot check gives the system's own limit back.
    for limit in ["sync_speed_min", "sync_speed_max"] {
        if let Err(error) = fs::write(folder.join(limit), SLOWLY) {
            console::debug(&format!("`{limit}` of the array stays as it is: {error}"));
        }
    }
    Ok(Array {
        device: DEVICE.to_owned(),
        warning: degraded(folder),
    })
}

fn wait(modules: &mut Modules, uuid: &str) -> Result<Vec<String>> {
    let began = Instant::now();
    let mut first_seen: Option<Instant> = None;
    let mut examined: BTreeMap<String, Option<Member>> = BTreeMap::new();
    loop {
        modules.load_for_hardware();
        let blocks = block::list(Path::new("/sys"));
        examine(&blocks, &mut examined);
        let (members, wanted) = members(&examined, uuid);
        if !members.is_empty() {
            let since = *first_seen.get_or_insert_with(Instant::now);
            if members.len() >= wanted {
                return Ok(members);
            }
            if since.elapsed() > OTHERS {
                console::say(&format!(
                    "only {} of {wanted} members of the system array came up: starting it degraded",
                    members.len()
                ));
                return Ok(members);
            }
        } else if began.elapsed() > FIRST {
            bail!(
                "no disk with a member of the array `{uuid}` was found in {} s: looked at partitions named `os`\n\
                 hint: are the system disks plugged in, and was this machine installed from them?",
                FIRST.as_secs()
            );
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// Asks mdadm once for each partition named `os`.
fn examine(blocks: &[Block], examined: &mut BTreeMap<String, Option<Member>>) {
    let partitions = blocks
        .iter()
        .filter(|block| block.partition_name.as_deref() == Some("os"));
    for node in partitions.map(Block::node) {
        if examined.contains_key(&node) {
            continue;
        }
        let output = Command::new(MDADM)
            .args(["--examine", "--export", &node])
            .output();
        let member = match output {
            Ok(output) => mdadm::parse(&String::from_utf8_lossy(&output.stdout)),
            Err(error) => {
                console::say(&format!("cannot start `{MDADM}`: {error}"));
                None
            }
        };
        console::debug(&format!("{node}: {member:?}"));
        examined.insert(node, member);
    }
}

/// Members of this array, and how many it should have.
fn members(examined: &BTreeMap<String, Option<Member>>, uuid: &str) -> (Vec<String>, usize) {
    let mut wanted = 0;
    let mut nodes = Vec::new();
    for (node, member) in examined {
        if let Some(member) = member.as_ref().filter(|member| member.array == uuid) {
            wanted = wanted.max(usize::try_from(member.members).unwrap_or(usize::MAX));
            nodes.push(node.clone());
        }
    }
    (nodes, wanted)
}

/// What the kernel says of the started array (Documentation/admin-guide/md.rst).
fn degraded(folder: &Path) -> Option<String> {
    let number = |name: &str| -> Option<u32> {
        fs::read_to_string(folder.join(name))
            .ok()?
            .trim()
            .parse()
            .ok()
    };
    let missing = number("degraded").filter(|missing| *missing > 0)?;
    let all = number("raid_disks")?;
    Some(format!(
        "array started degraded: {} of {all} members",
        all.saturating_sub(missing)
    ))
}

/// Waits until the kernel shows the partitions of the array, and gives the one of that name.
pub fn partition(array: &str, name: &str) -> Result<String> {
    let began = Instant::now();
    loop {
        // The kernel reads the partition table of a new array when it is first opened.
        fs::File::open(array).ok();
        let blocks = block::list(Path::new("/sys"));
        let found = blocks.iter().find(|block| {
            block.partition_name.as_deref() == Some(name)
                && block.disk.is_some()
                && block.disk_node() == array
        });
        if let Some(block) = found {
            return Ok(block.node());
        }
        if began.elapsed() > Duration::from_secs(10) {
            bail!("the system array `{array}` has no partition named `{name}`");
        }
        thread::sleep(Duration::from_millis(50));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_another_array_do_not_count() {
        let member = |array: &str| {
            Some(Member {
                array: array.into(),
                members: 2,
            })
        };
        let examined = BTreeMap::from([
            ("/dev/sda3".to_owned(), member("a")),
            ("/dev/sdb3".to_owned(), member("b")),
            ("/dev/sdc3".to_owned(), None),
        ]);
        assert_eq!(members(&examined, "a"), (vec!["/dev/sda3".to_owned()], 2));
        assert_eq!(members(&examined, "c"), (vec![], 0));
    }

    #[test]
    fn a_degraded_array_is_told() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("raid_disks"), "2\n").unwrap();
        fs::write(folder.path().join("degraded"), "0\n").unwrap();
        assert_eq!(degraded(folder.path()), None);
        fs::write(folder.path().join("degraded"), "1\n").unwrap();
        assert_eq!(
            degraded(folder.path()).unwrap(),
            "array started degraded: 1 of 2 members"
        );
    }
}
