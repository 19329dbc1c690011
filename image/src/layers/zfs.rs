//! Compiles the ZFS modules once per kernel and ZFS version, in a root that is thrown away. Only the modules are kept.

use anyhow::{Result, bail};
use camino::{Utf8Path, Utf8PathBuf};

use super::base::bootstrap;
use crate::cache;
use crate::recipe::Lock;
use crate::snapshot::Snapshot;
use crate::tools::Tools;

/// Fills `folder/content` with `spl.ko.xz` and `zfs.ko.xz` for kernel `version`.
pub fn fill(
    folder: &Utf8Path,
    tools: &Tools,
    snapshot: &Snapshot,
    lock: &Lock,
    version: &str,
) -> Result<()> {
    let build = folder.join("build");
    fs_err::create_dir_all(&build)?;
    // zfs-dkms compiles when it is configured, for every kernel whose headers are there.
    let packages = ["dkms", "zfs-dkms", "linux-headers-amd64"].map(str::to_owned);
    bootstrap(&build, tools, snapshot, lock, "zfs", &packages, &[])?;
    let compiled = build
        .join("content/usr/lib/modules")
        .join(version)
        .join("updates/dkms");
    let content = folder.join("content");
    fs_err::create_dir_all(&content)?;
    let found: Vec<Utf8PathBuf> = ["spl", "zfs"]
        .iter()
        .flat_map(|name| {
            [
                compiled.join(format!("{name}.ko.xz")),
                compiled.join(format!("{name}.ko")),
            ]
        })
        .filter(|path| path.is_file())
        .collect();
    if found.len() != 2 {
        bail!(
            "zfs-dkms made no modules for kernel `{version}`\n\
             hint: headers and kernel may be of different days: --refresh"
        );
    }
    for path in found {
        fs_err::copy(&path, content.join(path.file_name().unwrap_or_default()))?;
    }
    cache::remove(&build)
}
