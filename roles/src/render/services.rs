//! Which units run in which mode: links that enable, links that mask, and the default target.

use std::collections::BTreeSet;

use crate::{RoleFolder, RoleSet};

use super::{BootMode, RenderedFile};

/// Folder of units and links.
pub(super) const UNITS: &str = "/etc/systemd/system";

/// Links for systemd. `rendered` tells which units are ours and lie in `/etc`.
pub(super) fn links(
    roles: &RoleSet,
    folder: &RoleFolder,
    mode: BootMode,
    rendered: &[RenderedFile],
) -> Vec<RenderedFile> {
    let common = &roles.common.services;
    let role = &folder.role.services;
    let mut links = vec![RenderedFile::link(
        format!("{UNITS}/default.target"),
        unit_file(mode.target(), rendered),
    )];
    let mut masked: BTreeSet<&String> = common.masked.iter().chain(&role.masked).collect();
    if mode == BootMode::Run {
        for unit in common.start.iter().chain(&role.start) {
            links.push(RenderedFile::link(
                format!("{UNITS}/multi-user.target.wants/{unit}"),
                unit_file(unit, rendered),
            ));
        }
    } else {
        // Debian enables most services when their package is installed; a link to nothing keeps them from starting.
        masked.extend(&role.start);
        links.extend(quiet_arrays());
    }
    for unit in masked {
        links.push(RenderedFile::link(format!("{UNITS}/{unit}"), "/dev/null"));
    }
    links.push(no_mounts_by_itself());
    links
}

/// systemd-gpt-auto-generator(8) mounts the EFI system partition of the disk it started from, writable, as soon as somebody
/// looks into `/boot`: on a live system that is the stick (seen in a test: a power cut left the stick marked dirty).
fn no_mounts_by_itself() -> RenderedFile {
    RenderedFile::link(
        "/etc/systemd/system-generators/systemd-gpt-auto-generator",
        "/dev/null",
    )
}

/// No array, pool or multipath device may appear by itself while disks are examined or wiped: udev's incremental
/// assembly, its boot-time timers and the monitors are off (field lesson: disks busy by md127).
fn quiet_arrays() -> Vec<RenderedFile> {
    let mut links: Vec<RenderedFile> = [
        "64-md-raid-assembly.rules",
        "60-multipath.rules",
        "69-lvm.rules",
        "60-zvol.rules",
        "90-zfs.rules",
    ]
    .iter()
    .map(|rule| RenderedFile::link(format!("/etc/udev/rules.d/{rule}"), "/dev/null"))
    .collect();
    links.extend(
        [
            "mdmonitor.service",
            "mdmonitor-oneshot.timer",
            "mdcheck_start.timer",
            "mdcheck_continue.timer",
            "multipathd.service",
            "multipathd.socket",
            "zfs-import-cache.service",
            "zfs-import-scan.service",
            "zfs-zed.service",
        ]
        .iter()
        .map(|unit| RenderedFile::link(format!("{UNITS}/{unit}"), "/dev/null")),
    );
    links.push(RenderedFile::text("/etc/mdadm/mdadm.conf", "AUTO -all\n"));
    links
}

/// Kernel modules of the role, loaded by systemd-modules-load.
pub(super) fn modules(folder: &RoleFolder) -> Vec<RenderedFile> {
    let modules = &folder.role.modules;
    if modules.is_empty() {
        return Vec::new();
    }
    vec![RenderedFile::text(
        "/etc/modules-load.d/rackwright.conf",
        modules.join("\n") + "\n",
    )]
}

/// Where the unit's file lies: ours in `/etc`, a package's in `/usr/lib`; an instance's is its template's.
fn unit_file(unit: &str, rendered: &[RenderedFile]) -> String {
    let file = match (unit.split_once('@'), unit.rsplit_once('.')) {
        (Some((template, _)), Some((_, kind))) => format!("{template}@.{kind}"),
        _ => unit.to_owned(),
    };
    let ours = format!("{UNITS}/{file}");
    if rendered.iter().any(|rendered| rendered.path == ours) {
        ours
    } else {
        format!("/usr/lib/systemd/system/{file}")
    }
}
