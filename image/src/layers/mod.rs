//! The layers of an image, from what all roles share to the packed root. Each function fills an empty cache folder.

pub mod base;
pub mod kernel;
pub mod loaders;
pub mod payload;
pub mod role;
pub mod root;
pub mod zfs;

use anyhow::Result;
use camino::Utf8Path;

use crate::cache;

/// Removes what must not be in a read-only image that is the same on every machine: identities, keys, logs, indexes, data
/// directories of services. `root` is the merged tree.
pub fn clean(root: &Utf8Path) -> Result<()> {
    let gone = [
        // Identity: made at install time or at boot.
        "etc/ssh/ssh_host_*",
        "etc/hostid",
        "etc/.resolv.conf.systemd-resolved.bak",
        "etc/mdadm/mdadm.conf",
        "var/lib/systemd/random-seed",
        "var/lib/dbus/machine-id",
        // Made by package scripts, wanted empty.
        "var/lib/mysql/*",
        "var/lib/apt/lists/*",
        "var/cache/apt/*.bin",
        "var/cache/apt/archives/*.deb",
        "var/cache/debconf/*-old",
        "var/cache/ldconfig/*",
        "var/lib/dpkg/*-old",
        "var/log/*",
        "root/.*",
        // They name the build, not the machine.
        "etc/apt/sources.list",
        "etc/apt/sources.list.d/*",
        "etc/hostname",
        "usr/sbin/policy-rc.d",
    ];
    for pattern in gone {
        let (folder, name) = pattern.rsplit_once('/').unwrap_or(("", pattern));
        let Ok(entries) = root.join(folder).read_dir_utf8() else {
            continue;
        };
        for entry in entries {
            let entry = entry?;
            if crate::glob::matches(name, entry.file_name()) {
                // Log folders belong to their services' users and stay; what is in them goes.
                if folder == "var/log" && entry.file_type()?.is_dir() {
                    for log in entry.path().read_dir_utf8()? {
                        cache::remove(log?.path())?;
                    }
                } else {
                    cache::remove(entry.path())?;
                }
            }
        }
    }
    Ok(())
}
