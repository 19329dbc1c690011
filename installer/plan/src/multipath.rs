//! Whether the running system uses its data disks through dm-multipath or through one path each: never both, and never left
//! to what a daemon finds. The installer itself always uses one path.

use std::collections::BTreeSet;

use firmware::inventory::{Disk, DiskId};
use roles::role::Purpose;
use roles::selector::Transport;

use crate::build::Builder;
use crate::error::PlanError;
use crate::make::label;
use crate::select::Group;

/// Data disks that the running system uses through dm-multipath: empty means one path each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Multipath {
    /// The disks.
    pub disks: BTreeSet<DiskId>,
    /// Their WWNs, `0x` and hexadecimal digits, sorted.
    pub wwns: Vec<String>,
}

/// Decides by the node file's word (`auto`, `single`, `dm`) and notes what and why. `auto`: dm-multipath if one data disk has
/// more than one path. Disks of the system are never in it: they boot before any daemon runs.
///
/// # Errors
/// The word is none of the three.
pub(crate) fn decide(
    groups: &[Group<'_>],
    word: Option<&str>,
    build: &mut Builder,
) -> Result<Multipath, PlanError> {
    let word = word.unwrap_or("auto");
    if !["auto", "single", "dm"].contains(&word) {
        return Err(PlanError::Multipath { value: word.into() });
    }
    let all: Vec<&Disk> = groups
        .iter()
        .filter(|group| group.need.purpose != Purpose::Os)
        .flat_map(|group| group.disks.iter().copied())
        .collect();
    if all.is_empty() {
        return Ok(Multipath::default());
    }
    sata(&all, build);
    let able: Vec<&Disk> = all.into_iter().filter(|disk| able(disk)).collect();
    let many = able.iter().filter(|disk| disk.paths.len() > 1).count();
    let dm = word == "dm" && !able.is_empty() || word == "auto" && many > 0;
    let by = if word == "auto" {
        "chosen by itself"
    } else {
        "as the node file says"
    };
    build.note(match (dm, many) {
        (true, 0) => format!(
            "multipath: dm, {by}, although no data disk has a second path now: it is used as soon as there is one"
        ),
        (true, many) => format!(
            "multipath: dm, {by}: {many} of {} data disks that can have several paths have them, and the running system \
             uses these through dm-multipath only; the installer uses one path of each",
            able.len()
        ),
        (false, 0) if word == "dm" => {
            "multipath: single, although the node file says dm: no data disk can have a second path (SAS with a WWN)".into()
        }
        (false, 0) => format!("multipath: single, {by}: no data disk has a second path"),
        (false, many) => format!(
            "multipath: single, {by}: {many} data disks have several paths, and each is used through one of them; the loss \
             of that one interrupts"
        ),
    });
    if !dm {
        return Ok(Multipath::default());
    }
    let wwns: BTreeSet<String> = able.iter().filter_map(|disk| disk.wwn.clone()).collect();
    Ok(Multipath {
        disks: able.iter().map(|disk| disk.id.clone()).collect(),
        wwns: wwns.into_iter().collect(),
    })
}

/// multipathd tells disks by udev's `ID_SERIAL`, which is `3` and the WWN for SCSI disks, but model and serial number for
/// SATA (sg3-utils, `55-scsi-sg3_id.rules`). NVMe has multipath of its own.
fn able(disk: &Disk) -> bool {
    let scsi = !matches!(
        disk.transport,
        Transport::Sata | Transport::Nvme | Transport::Usb
    );
    let digits = disk.wwn.as_deref().and_then(|wwn| wwn.strip_prefix("0x"));
    scsi && digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// A SATA disk has one port. Seen twice it sits behind an interposer, which is known to lose commands on a switch of paths.
fn sata(disks: &[&Disk], build: &mut Builder) {
    for disk in disks {
        if disk.transport == Transport::Sata && disk.paths.len() > 1 {
            build.note(format!(
                "multipath: disk {} is SATA and has {} paths, so there is an interposer; it is used through one path in any \
                 case: its one port is the part that fails",
                label(disk),
                disk.paths.len()
            ));
        }
    }
}
