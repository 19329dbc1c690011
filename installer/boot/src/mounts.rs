//! Mounts of the new root.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};

/// Where the new root is put together.
pub const NEW_ROOT: &str = "/newroot";
/// Upper layers of the overlays.
const LAYERS: &str = "/run/rackwright/layers";

/// `/dev`, `/proc`, `/sys` and `/run`.
pub fn kernel_file_systems() -> Result<()> {
    let plain = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    attach(
        "devtmpfs",
        "/dev",
        "devtmpfs",
        MsFlags::MS_NOSUID,
        "mode=0755",
    )
    .or_else(busy_is_fine)?;
    attach("proc", "/proc", "proc", plain, "")?;
    attach("sysfs", "/sys", "sysfs", plain, "")?;
    let run = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    attach("tmpfs", "/run", "tmpfs", run, "mode=0755")?;
    fs::create_dir_all("/run/rackwright").context("cannot create `/run/rackwright`")
}

/// The kernel may have mounted /dev already (CONFIG_DEVTMPFS_MOUNT).
fn busy_is_fine(error: anyhow::Error) -> Result<()> {
    match error.downcast_ref::<nix::Error>() {
        Some(nix::Error::EBUSY) => Ok(()),
        _ => Err(error),
    }
}

/// Mounts, and creates the mount point first.
pub fn attach(source: &str, target: &str, kind: &str, flags: MsFlags, options: &str) -> Result<()> {
    if !Path::new(target).is_dir() {
        fs::create_dir_all(target)
            .with_context(|| format!("cannot create the mount point `{target}`"))?;
    }
    mount(Some(source), target, Some(kind), flags, Some(options))
        .with_context(|| format!("cannot mount `{source}` ({kind}) at `{target}`"))
}

/// The root image.
pub fn root(device: &str) -> Result<()> {
    let flags = MsFlags::MS_RDONLY | MsFlags::MS_NODEV;
    attach(device, NEW_ROOT, "squashfs", flags, "")
}

/// The tmpfs that holds everything the live system writes outside `/run`.
pub fn layers() -> Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    attach("tmpfs", LAYERS, "tmpfs", flags, "mode=0700")
}

/// A directory of the root image with a tmpfs on top.
pub fn overlay(name: &str) -> Result<()> {
    let target = format!("{NEW_ROOT}/{name}");
    let upper = format!("{LAYERS}/{name}");
    let work = format!("{LAYERS}/.{name}");
    for folder in [&upper, &work] {
        fs::create_dir(folder).with_context(|| format!("cannot create `{folder}`"))?;
    }
    copy_mode(&target, &upper)?;
    let options = format!("lowerdir={target},upperdir={upper},workdir={work}");
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    attach("overlay", &target, "overlay", flags, &options)
}

/// The root of an overlay shows the mode of its upper directory.
fn copy_mode(from: &str, to: &str) -> Result<()> {
    let mode = fs::metadata(from)
        .with_context(|| format!("the root image has no directory `{from}`"))?
        .permissions();
    fs::set_permissions(to, mode).with_context(|| format!("cannot set the mode of `{to}`"))
}

/// An empty `/state` for the live system.
pub fn empty_state() -> Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    attach(
        "tmpfs",
        &format!("{NEW_ROOT}/state"),
        "tmpfs",
        flags,
        "mode=0755",
    )
}

/// A file system of the OS array. ext4 replays its journal by itself; nothing else is repaired unasked.
pub fn ext4(device: &str, target: &str) -> Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    attach(device, target, "ext4", flags, "errors=remount-ro")
}

/// Moves a mount.
pub fn relocate(from: &str, to: &str) -> Result<()> {
    let none: Option<&str> = None;
    mount(Some(from), to, none, MsFlags::MS_MOVE, none)
        .with_context(|| format!("cannot move the mount `{from}` to `{to}`"))
}
