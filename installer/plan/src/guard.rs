//! What of others lies on the disks to be destroyed. A permit says "install here", not "destroy that pool": a live pool of
//! another host, a volume group, a shared file system or a firmware RAID member stops an install until it is allowed by
//! its own identifier.

use std::collections::BTreeSet;

use firmware::inventory::{DiskId, Holder};

use crate::step::Guard;

/// File systems that several machines may have mounted, or that belong to another cluster's storage.
const SHARED: [&str; 9] = [
    "gfs2",
    "ocfs2",
    "vmfs",
    "vmfs_volume_member",
    "ceph_bluestore",
    "ceph",
    "lustre",
    "drbd",
    "bcache",
];

/// Guards among `found` for the disks to be destroyed. `own_pools` are the names of the plan's pools and `hostid` its hostid:
/// a pool of that name made by that hostid is this very install, interrupted.
#[must_use]
pub fn guards(
    found: &[Holder],
    destroys: &BTreeSet<DiskId>,
    own_pools: &[String],
    hostid: &str,
) -> Vec<Guard> {
    let mut guards: Vec<Guard> = found
        .iter()
        .filter_map(|holder| {
            let disks: Vec<DiskId> = holder
                .disks
                .iter()
                .filter(|disk| destroys.contains(disk))
                .cloned()
                .collect();
            let beyond = holder.disks.iter().any(|disk| !destroys.contains(disk));
            let spans = (beyond && !disks.is_empty())
                .then_some("it also lies on disks that the plan leaves alone");
            let reason = reason(holder, own_pools, hostid).or(spans)?;
            let key = match (&holder.uuid, &holder.name) {
                (Some(uuid), _) => uuid.clone(),
                (None, Some(name)) => format!("{}:{name}", holder.kind),
                (None, None) => format!("{}:{}", holder.kind, disks.first()?),
            };
            (!disks.is_empty()).then(|| Guard {
                kind: holder.kind.clone(),
                name: holder.name.clone(),
                key,
                disks,
                reason: reason.into(),
            })
        })
        .collect();
    guards.sort_by(|a, b| (&a.kind, &a.key).cmp(&(&b.kind, &b.key)));
    guards
}

/// Why a holder is guarded, if it is.
#[must_use]
pub fn reason(holder: &Holder, own_pools: &[String], hostid: &str) -> Option<&'static str> {
    let detail = holder.detail.as_deref().unwrap_or_default().to_lowercase();
    let host = holder.host.as_deref().unwrap_or_default().to_lowercase();
    let shared = |text: &str| SHARED.contains(&text);
    match holder.kind.to_lowercase().as_str() {
        "zfs" | "zfs_member" => {
            let own_name = holder
                .name
                .as_ref()
                .is_some_and(|name| own_pools.contains(name));
            (!(own_name && (has_word(&host, hostid) || has_word(&detail, hostid))))
                .then_some("a ZFS pool that this install did not make")
        }
        "lvm" | "lvm2_member" => Some("a volume group"),
        "imsm" | "isw_raid_member" | "ddf" | "ddf_raid_member" | "firmware-raid" => {
            Some("a member of a firmware or hardware RAID volume")
        }
        "md" if has_word(&detail, "imsm") || has_word(&detail, "ddf") => {
            Some("a member of a firmware or hardware RAID volume")
        }
        "hardware-raid" | "raid-volume" => Some("a volume of a hardware RAID controller"),
        kind if shared(kind) => Some("storage that other machines may be using"),
        _ if detail
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .any(shared) =>
        {
            Some("storage that other machines may be using")
        }
        _ => None,
    }
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .any(|part| part.trim_start_matches("0x") == word)
}
