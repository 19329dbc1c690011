//! What an action is in command lines. The dry run prints exactly what the engine starts, because both ask here.
//!
//! Pure: devices become paths through [`DevicePaths`]; the engine resolves them to this boot's nodes, the dry run to the
//! names under `/dev/disk/by-id`. What has no command (zeroing, copying, writing files) is said in words.

use std::fmt;

use crate::step::{Action, Device, Partition, Vdev};

/// Where the engine mounts the EFI system partition that is being made bootable.
pub const ESP_MOUNT: &str = "/run/rackwright/esp";
/// Altroot of pools while installing: the root file system is read-only, `/run` is not.
pub const POOL_ROOT: &str = "/run/rackwright/pool";
/// Bytes zeroed at both ends of a disk and of each of its partitions. ZFS keeps two 256 KiB labels at each end, md 0.90 and
/// 1.0 lie within the last 128 KiB, the GPT backup in the last 33 sectors, imsm in the last two sectors.
pub const WIPE_ENDS: u64 = 10 << 20;

/// One external command. No argument is ever a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// Program name, looked up in PATH.
    pub program: String,
    /// Arguments.
    pub arguments: Vec<String>,
    /// Standard input.
    pub input: Option<String>,
}

impl CommandLine {
    fn new<const N: usize>(program: &str, arguments: [&str; N]) -> Self {
        let arguments = arguments.iter().map(ToString::to_string).collect();
        Self {
            program: program.into(),
            arguments,
            input: None,
        }
    }

    fn push(&mut self, argument: impl Into<String>) {
        self.arguments.push(argument.into());
    }
}

impl fmt::Display for CommandLine {
    /// One line, quoted for a POSIX shell; standard input is not shown.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", quote(&self.program))?;
        self.arguments
            .iter()
            .try_for_each(|argument| write!(formatter, " {}", quote(argument)))
    }
}

fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+,./:@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// One piece of an action, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// A command to start.
    Run(CommandLine),
    /// What the engine does itself, in words.
    Native(String),
}

/// A device that could not be found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no path to `{device}`: {reason}")]
pub struct UnknownDevice {
    /// Which, in words.
    pub device: String,
    /// Why.
    pub reason: String,
}

/// Gives devices their paths.
pub trait DevicePaths {
    /// Path of a device node, as `/dev/sdb3` or `/dev/disk/by-id/wwn-0x5000c50000000001-part3`.
    ///
    /// # Errors
    /// The device is not there.
    fn path(&self, device: &Device) -> Result<String, UnknownDevice>;

    /// Path that means the same device after every boot, for what is written down on the disks themselves: ZFS keeps the
    /// names it was given.
    ///
    /// # Errors
    /// The device is not there.
    fn stable(&self, device: &Device) -> Result<String, UnknownDevice> {
        self.path(device)
    }
}

/// The command lines of an action, in order.
///
/// # Errors
/// A device is not there.
pub fn commands(
    action: &Action,
    paths: &dyn DevicePaths,
) -> Result<Vec<CommandLine>, UnknownDevice> {
    let work = work(action, paths)?;
    Ok(work
        .into_iter()
        .filter_map(|piece| match piece {
            Work::Run(line) => Some(line),
            Work::Native(_) => None,
        })
        .collect())
}

/// All an action does, in order: command lines and words.
///
/// # Errors
/// A device is not there.
pub fn work(action: &Action, paths: &dyn DevicePaths) -> Result<Vec<Work>, UnknownDevice> {
    Ok(match action {
        Action::ConfigureBmc { settings } => crate::bmc::words(settings),
        Action::Wipe { disk } => {
            let path = paths.path(&Device::Disk { disk: disk.clone() })?;
            let mut work = vec![native(
                "stop what holds the disk, top down: mounts, swap, pools, volume groups, arrays",
            )];
            work.push(native(
                "the following for each partition of the disk, then for the disk",
            ));
            work.extend(wipe_device(&path).into_iter().map(Work::Run));
            work.push(Work::Native(format!(
                "zero the first and last {} MiB, re-read, prove blank",
                WIPE_ENDS >> 20
            )));
            work
        }
        Action::Partition {
            device,
            uuid,
            partitions,
        } => {
            vec![
                Work::Run(sfdisk(&paths.path(device)?, uuid, partitions)),
                Work::Run(settle()),
            ]
        }
        Action::CreateArray {
            name,
            uuid,
            level,
            members,
            spares,
            chunk,
            assume_clean,
        } => {
            let mut line = CommandLine::new("mdadm", ["--create"]);
            line.push(format!("/dev/md/{name}"));
            line.push("--run");
            line.push("--metadata=1.2");
            line.push(format!("--level={level}"));
            line.push(format!("--raid-devices={}", members.len()));
            if !spares.is_empty() {
                line.push(format!("--spare-devices={}", spares.len()));
            }
            if let Some(chunk) = chunk {
                line.push(format!("--chunk={chunk}K"));
            }
            line.push(format!("--uuid={uuid}"));
            line.push("--homehost=any");
            line.push(format!("--name={name}"));
            // mdadm(8): a bitmap needs redundancy; without one a crash means a full resync.
            if *level != 0 {
                line.push("--bitmap=internal");
            }
            if *assume_clean {
                line.push("--assume-clean");
            }
            // mdadm refuses an array of one device unless forced.
            if members.len() == 1 {
                line.push("--force");
            }
            for member in members.iter().chain(spares) {
                line.push(paths.path(member)?);
            }
            vec![Work::Run(line), Work::Run(settle())]
        }
        Action::CreatePool {
            name,
            hostid,
            ashift,
            vdevs,
            properties,
        } => {
            let mut line = CommandLine::new("zpool", ["create", "-f", "-o"]);
            line.push(format!("ashift={ashift}"));
            for option in ["autoexpand=off", "autotrim=off", "cachefile=none"] {
                line.push("-o");
                line.push(option);
            }
            for (key, value) in properties {
                line.push("-O");
                line.push(format!("{key}={value}"));
            }
            line.push("-R");
            line.push(POOL_ROOT);
            line.push(name);
            for vdev in vdevs {
                vdev_words(vdev, paths, &mut line)?;
            }
            vec![
                Work::Run(CommandLine::new("zgenhostid", ["-f", hostid])),
                Work::Run(line),
            ]
        }
        Action::CreateDataset { name, properties } => {
            // -u: the installer's root has no such mount points.
            let mut line = CommandLine::new("zfs", ["create", "-u"]);
            for (key, value) in properties {
                line.push("-o");
                line.push(format!("{key}={value}"));
            }
            line.push(name);
            vec![Work::Run(line)]
        }
        Action::MakeFileSystem {
            device,
            kind,
            label,
            uuid,
        } => {
            vec![Work::Run(make_file_system(
                &paths.path(device)?,
                kind,
                label,
                uuid,
            ))]
        }
        Action::BeginInstall { state } => {
            vec![Work::Native(format!(
                "on {}: write install.json, state `incomplete`",
                paths.path(state)?
            ))]
        }
        Action::WriteImage {
            device,
            size,
            sha256,
        } => {
            let path = paths.path(device)?;
            vec![
                Work::Native(format!(
                    "copy the running root image ({size} bytes) to {path}, first MiB last"
                )),
                Work::Native(format!("read back and compare with sha256 {sha256}")),
            ]
        }
        Action::MakeBootable { disk, esp, array } => {
            let disk = paths.path(&Device::Disk { disk: disk.clone() })?;
            let mut work = vec![
                Work::Native(format!("mount {} on {ESP_MOUNT}", paths.path(esp)?)),
                native("copy kernel and initrd to rackwright/a/"),
                Work::Native(format!(
                    "write grub/grub.cfg: slot a, rackwright.array={array}"
                )),
            ];
            work.extend(grub(&disk));
            work.push(native(
                "copy EFI/BOOT/BOOTX64.EFI to EFI/BOOT/grubx64.efi, flush, unmount",
            ));
            work
        }
        Action::WriteState { state, ports, .. } => {
            let named = ports
                .iter()
                .map(|(name, mac)| Work::Native(format!("network port {name} is {mac}")));
            let mut work = vec![Work::Native(format!(
                "on {}: write node.toml, machine-id, hostid, ssh host keys, mounts",
                paths.path(state)?
            ))];
            work.extend(named);
            work
        }
        Action::FinishInstall { state, pools } => {
            let mut work: Vec<Work> = pools
                .iter()
                .map(|pool| Work::Run(CommandLine::new("zpool", ["export", pool])))
                .collect();
            work.push(Work::Native(format!(
                "on {}: install.json becomes `unproven`",
                paths.path(state)?
            )));
            work.push(native("flush and unmount everything"));
            work
        }
        Action::OpenArray {
            name,
            uuid,
            members,
            ..
        } => {
            let members: Result<Vec<String>, _> =
                members.iter().map(|member| paths.path(member)).collect();
            vec![
                native("if it does not run yet"),
                Work::Run(assemble(name, uuid, &members?)),
            ]
        }
        Action::OpenPool {
            name,
            hostid,
            members,
            without_log,
            ..
        } => {
            let members: Result<Vec<String>, _> =
                members.iter().map(|member| paths.stable(member)).collect();
            vec![
                native("if it is not imported yet"),
                Work::Run(CommandLine::new("zgenhostid", ["-f", hostid])),
                Work::Run(import(name, &members?, *without_log)),
            ]
        }
        Action::BeginRepair { state, .. } => vec![Work::Native(format!(
            "on {}: note in install.json that the repair has begun",
            paths.path(state)?
        ))],
        Action::AddMember { array, member, .. } => {
            let array = paths.path(&Device::Array {
                uuid: array.clone(),
            })?;
            vec![
                Work::Run(CommandLine::new(
                    "mdadm",
                    ["--manage", &array, "--add", &paths.path(member)?],
                )),
                native("wait until the rebuild has begun; /proc/mdstat shows how far it is"),
            ]
        }
        Action::CopyBootable {
            disk, esp, from, ..
        } => {
            let disk = paths.path(&Device::Disk { disk: disk.clone() })?;
            let (esp, from) = (paths.path(esp)?, paths.path(from)?);
            let mut work = vec![
                Work::Native(format!("mount {from} read-only, {esp} on {ESP_MOUNT}")),
                native("copy kernels and initrds of both slots, and GRUB's variables"),
            ];
            work.extend(grub(&disk));
            work.push(native(
                "write grub/grub.cfg with this disk's own volume id, flush, unmount",
            ));
            work
        }
        Action::ReplaceMember { lost, member, .. } => {
            let mut work = vec![Work::Native(format!(
                "find in `zpool status -j` the GUID of the device on {}, here called GUID",
                lost.disk
            ))];
            let lines = replace_member(action, "GUID", &paths.stable(member)?);
            work.extend(lines.into_iter().map(Work::Run));
            work.push(native(
                "see that the pool uses it; `zpool status` shows how far it is",
            ));
            work
        }
        Action::FinishRepair { state, pools, .. } => {
            let mut work: Vec<Work> = Vec::new();
            if !pools.is_empty() {
                work.push(native("if the repair imported them"));
            }
            work.extend(
                pools
                    .iter()
                    .map(|pool| Work::Run(CommandLine::new("zpool", ["export", pool]))),
            );
            work.push(Work::Native(format!(
                "on {}: record the new disks in plan.json, mark the repair as done in install.json",
                paths.path(state)?
            )));
            work
        }
    })
}

/// Starts an array from these members, degraded if need be.
#[must_use]
pub fn assemble(name: &str, uuid: &str, members: &[String]) -> CommandLine {
    let mut line = CommandLine::new("mdadm", ["--assemble"]);
    line.push(format!("/dev/md/{name}"));
    // mdadm(8): without --run an array that lost a member since it last ran is not started.
    line.push("--run");
    line.push(format!("--uuid={uuid}"));
    line.arguments.extend(members.iter().cloned());
    line
}

/// Imports a pool from these devices and no others.
#[must_use]
pub fn import(pool: &str, members: &[String], without_log: bool) -> CommandLine {
    let mut line = CommandLine::new("zpool", ["import", "-N"]);
    if without_log {
        line.push("-m");
    }
    for word in ["-o", "cachefile=none", "-R", POOL_ROOT] {
        line.push(word);
    }
    for member in members {
        line.push("-d");
        line.push(member);
    }
    line.push(pool);
    line
}

/// Gives a pool a device for the one with this GUID; nothing for other actions.
#[must_use]
pub fn replace_member(action: &Action, guid: &str, path: &str) -> Vec<CommandLine> {
    let Action::ReplaceMember {
        pool,
        ashift,
        vdev,
        redundant,
        ..
    } = action
    else {
        return Vec::new();
    };
    let ashift = format!("ashift={ashift}");
    if *redundant {
        // Without -o the device's own sectors count, and a 512-byte one would not fit (zpool-replace(8)).
        let words = ["replace", "-f", "-o", &ashift, pool, guid, path];
        return vec![CommandLine::new("zpool", words)];
    }
    vec![
        CommandLine::new("zpool", ["remove", pool, guid]),
        CommandLine::new("zpool", ["add", "-f", "-o", &ashift, pool, vdev, path]),
    ]
}

/// GRUB for BIOS and for UEFI's fallback path on a disk whose EFI system partition is mounted.
fn grub(disk: &str) -> Vec<Work> {
    let boot = format!("--boot-directory={ESP_MOUNT}");
    let efi = format!("--efi-directory={ESP_MOUNT}");
    vec![
        Work::Run(CommandLine::new(
            "grub-install",
            ["--target=i386-pc", &boot, disk],
        )),
        Work::Run(CommandLine::new(
            "grub-install",
            [
                "--target=x86_64-efi",
                "--removable",
                "--no-nvram",
                &efi,
                &boot,
            ],
        )),
    ]
}

/// Takes the signatures off one device node: every partition that is on a disk, then the disk. The engine, which alone can
/// see the partitions, starts these for each.
#[must_use]
pub fn wipe_device(path: &str) -> Vec<CommandLine> {
    // --zero-superblock first: it knows all four md positions; without one it says so and ends with 0.
    vec![
        CommandLine::new("mdadm", ["--zero-superblock", "--force", path]),
        CommandLine::new("wipefs", ["--all", "--force", "--quiet", path]),
    ]
}

pub(crate) fn native(words: &str) -> Work {
    Work::Native(words.into())
}

/// Links under `/dev/disk` come from udev, after the program that made the device has ended. It returns when the queue is
/// empty; the limit is for a machine that is busy (60 s were too few for a starved simulated one, 2026-11-22).
#[must_use]
pub fn settle() -> CommandLine {
    CommandLine::new("udevadm", ["settle", "--timeout=180"])
}

fn sfdisk(path: &str, uuid: &str, partitions: &[Partition]) -> CommandLine {
    use fmt::Write as _;
    // sfdisk aligns starts to 1 MiB by itself; `--lock` keeps udev from probing half a table (sfdisk(8)).
    let mut line = CommandLine::new(
        "sfdisk",
        [
            "--quiet",
            "--lock=yes",
            "--wipe=always",
            "--wipe-partitions=always",
            "--label=gpt",
            path,
        ],
    );
    let mut script = format!("label: gpt\nlabel-id: {}\n", uuid.to_uppercase());
    for Partition {
        name,
        kind,
        uuid,
        size,
    } in partitions
    {
        if let Some(size) = size {
            let _ = write!(script, "size={}MiB, ", size >> 20);
        }
        let _ = writeln!(
            script,
            "type={kind}, uuid={}, name=\"{name}\"",
            uuid.to_uppercase()
        );
    }
    line.input = Some(script);
    line
}

fn make_file_system(path: &str, kind: &str, label: &str, uuid: &str) -> CommandLine {
    match kind {
        "vfat" => CommandLine::new("mkfs.vfat", ["-F", "32", "-n", label, "-i", uuid, path]),
        "xfs" => CommandLine::new(
            "mkfs.xfs",
            ["-f", "-q", "-L", label, "-m", &format!("uuid={uuid}"), path],
        ),
        // mke2fs reads stride and stripe width from the array's topology; nothing to give by hand.
        _ => CommandLine::new(
            &format!("mkfs.{kind}"),
            ["-F", "-q", "-L", label, "-U", uuid, path],
        ),
    }
}

fn vdev_words(
    vdev: &Vdev,
    paths: &dyn DevicePaths,
    line: &mut CommandLine,
) -> Result<(), UnknownDevice> {
    match vdev.kind.as_str() {
        kind @ ("log" | "special") if vdev.members.len() > 1 => {
            line.push(kind);
            line.push("mirror");
        }
        kind => line.push(kind),
    }
    for member in &vdev.members {
        line.push(paths.stable(member)?);
    }
    Ok(())
}
