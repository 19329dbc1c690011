//! What a network boot needs beside kernel and initrd: the root image, and kernel and initrd once more for the installer,
//! as an archive that the boot loader puts behind the initrd.

use anyhow::Result;
use camino::Utf8Path;

use crate::initrd::cpio::Archive;
use crate::manifest::Manifest;

/// The archive of the image in `folder`, a newc cpio; with a node file for one machine if given.
///
/// # Errors
/// If the image is not what its manifest says.
pub fn archive(folder: &Utf8Path, node: Option<&str>) -> Result<Vec<u8>> {
    let manifest = Manifest::read(folder)?;
    manifest.verify(folder)?;
    let mut archive = Archive::default();
    for (name, path) in [
        ("root.squashfs", "root.squashfs"),
        ("vmlinuz", "rackwright/boot/vmlinuz"),
        ("initrd.zst", "rackwright/boot/initrd.zst"),
    ] {
        archive.file(path, 0o644, fs_err::read(folder.join(name))?);
    }
    if let Some(text) = node {
        archive.file("rackwright/node.toml", 0o600, text);
    }
    Ok(archive.bytes(manifest.epoch))
}
