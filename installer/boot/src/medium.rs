//! The medium's ISO file system: it carries the root image for CDs, and kernel and initrd for the installer.

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    path::Path,
};

use anyhow::{Context, Result};
use nix::mount::{MntFlags, MsFlags, umount2};

use crate::{block::Block, console, gpt, mounts};

/// Kernel and initrd for the installer.
const BOOT_FILES: &str = "/run/rackwright/boot";
const NAMES: [&str; 2] = ["vmlinuz", "initrd.zst"];
const MOUNT_POINT: &str = "/medium";

/// A mounted ISO file system; let go when dropped.
pub struct Iso;

impl Iso {
    /// Mounts the ISO file system of a disk, partition or CD read-only.
    pub fn mount(device: &str) -> Result<Self> {
        mounts::attach(device, MOUNT_POINT, "iso9660", MsFlags::MS_RDONLY, "")?;
        Ok(Self)
    }
}

impl Drop for Iso {
    fn drop(&mut self) {
        umount2(MOUNT_POINT, MntFlags::MNT_DETACH).ok();
    }
}

/// Copies kernel and initrd from the stick. Its root partition must not be mounted yet: the kernel lets nobody have the
/// disk while a partition of it is taken.
pub fn boot_files_from_disk(disk: &str, blocks: &[Block]) -> Result<()> {
    let partitions = blocks
        .iter()
        .filter(|block| block.disk.is_some() && block.disk_node() == disk)
        .map(Block::node);
    let mut first_error = None;
    for device in std::iter::once(disk.to_owned()).chain(partitions) {
        match Iso::mount(&device).and_then(|_iso| copy_boot_files(Path::new(MOUNT_POINT))) {
            Ok(()) => return Ok(()),
            Err(error) => first_error.get_or_insert(error),
        };
    }
    Err(first_error.unwrap_or_else(|| anyhow::anyhow!("no ISO file system on `{disk}`")))
}

/// Copies kernel and initrd from the mounted CD.
pub fn boot_files_from_iso(_iso: &Iso) -> Result<()> {
    copy_boot_files(Path::new(MOUNT_POINT))
}

fn copy_boot_files(root: &Path) -> Result<()> {
    copy_from(&root.join("rackwright"), Path::new(BOOT_FILES), false)
}

/// Moves kernel and initrd out of the initramfs (network boot brings them as a second archive).
pub fn boot_files_from_initramfs() -> Result<()> {
    copy_from(Path::new("/rackwright/boot"), Path::new(BOOT_FILES), true)
}

fn copy_from(from: &Path, to: &Path, remove: bool) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot create `{}`", to.display()))?;
    for name in NAMES {
        let source = from.join(name);
        fs::copy(&source, to.join(name))
            .with_context(|| format!("cannot copy `{}`", source.display()))?;
        if remove {
            fs::remove_file(&source).ok();
        }
    }
    Ok(())
}

/// The node partition, as a file of the mounted CD; none if the medium has none.
pub fn node_on_cd(_iso: &Iso) -> Option<File> {
    File::open(Path::new(MOUNT_POINT).join("rackwright/node.img")).ok()
}

/// The root image on a CD, read position at its start: a file of the ISO, or a partition the kernel does not show.
pub fn root_on_cd(_iso: &Iso, device: &str, size: u64) -> Result<File> {
    let file = Path::new(MOUNT_POINT).join("root.squashfs");
    match File::open(&file) {
        Ok(file) => return Ok(file),
        Err(error) => console::debug(&format!("`{}`: {error}", file.display())),
    }
    let mut disc = File::open(device).with_context(|| format!("cannot open `{device}`"))?;
    let mut head = vec![0; gpt::HEAD];
    disc.read_exact(&mut head)
        .with_context(|| format!("cannot read `{device}`"))?;
    let range = gpt::find(&head, "rackwright-root")
        .filter(|range| range.size >= size)
        .with_context(|| {
            format!("neither `/root.squashfs` nor a partition `rackwright-root` on `{device}`")
        })?;
    disc.seek(SeekFrom::Start(range.start))
        .with_context(|| format!("cannot read `{device}` at byte {}", range.start))?;
    Ok(disc)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_boot_files_or_an_error() {
        let from = tempfile::tempdir().unwrap();
        let to = tempfile::tempdir().unwrap();
        fs::write(from.path().join("vmlinuz"), "kernel").unwrap();
        assert!(copy_from(from.path(), to.path(), false).is_err());
        fs::write(from.path().join("initrd.zst"), "initrd").unwrap();
        copy_from(from.path(), to.path(), true).unwrap();
        assert_eq!(fs::read(to.path().join("initrd.zst")).unwrap(), b"initrd");
        assert!(!from.path().join("initrd.zst").exists());
    }
}
