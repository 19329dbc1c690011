//! The network boot loader: iPXE as Debian builds it, for BIOS and for UEFI. It lies beside kernel and root in every image, so
//! that the manifest names it, a signature covers it, and the depot needs nothing of the host it runs on.

use anyhow::{Context, Result};
use camino::Utf8Path;

use crate::cache;
use crate::recipe::Lock;
use crate::snapshot::Snapshot;
use crate::tools::Tools;

/// Name in the image, and in the package.
pub const FILES: [(&str, &str); 2] = [
    (depot::dhcp::BIOS, "undionly.kpxe"),
    (depot::dhcp::UEFI, "ipxe-amd64.efi"),
];

/// Fills `folder` with the two loaders.
pub fn fill(folder: &Utf8Path, tools: &Tools, snapshot: &Snapshot, lock: &Lock) -> Result<()> {
    let package = lock
        .loader()
        .context("the lock has no package with the network boot loader")?;
    let deb = snapshot.deb(package)?;
    let unpacked = folder.join("unpacked");
    tools.run(
        "dpkg-deb",
        ["-x".to_owned(), tools.path(&deb), tools.path(&unpacked)],
    )?;
    for (name, source) in FILES {
        fs_err::copy(
            unpacked.join("usr/lib/ipxe").join(source),
            folder.join(name),
        )?;
    }
    cache::remove(&unpacked)
}
