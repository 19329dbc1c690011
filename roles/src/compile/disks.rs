//! Disk groups that differ from the role's: as the site file says, or because a machine has another number of disks.

use crate::{
    RoleSet,
    role::{DiskNeed, Layout, Purpose},
    site::{Site, model::SiteNode},
};

use super::settings::export;

/// The dataset whose mount point is exported.
const EXPORTED: &str = "mail-root";

/// Overrides of a machine: its own, and for a storage the role's data group with the machine's number of disks and the
/// site's export.
pub(super) fn overrides(site: &Site, node: &SiteNode, roles: Option<&RoleSet>) -> Vec<DiskNeed> {
    let mut disks = node.disks.clone();
    if !matches!(node.role.as_str(), "storage" | "backup")
        || disks.iter().any(|need| need.purpose == Purpose::Data)
    {
        return disks;
    }
    let theirs = roles
        .and_then(|roles| roles.roles.get(&node.role))
        .and_then(|folder| {
            let groups = &folder.role.disks;
            groups.iter().find(|need| need.purpose == Purpose::Data)
        });
    let Some(theirs) = theirs else { return disks };
    let mut data = theirs.clone();
    let count = node.hardware.as_ref().and_then(|hardware| hardware.hdd);
    if let Some(count) = count.filter(|count| *count != data.count) {
        data.count = count;
        // Any number: the installer's own layout for that use gives spares and whole vdevs.
        if let Some(Layout::Zfs { vdev, width, .. }) = &mut data.layout {
            let use_of_it = if node.role == "backup" {
                "capacity"
            } else {
                "mail"
            };
            use_of_it.clone_into(vdev);
            *width = 0;
        }
    }
    if let Some(Layout::Zfs { datasets, .. }) = &mut data.layout {
        for dataset in datasets
            .iter_mut()
            .filter(|dataset| dataset.name == EXPORTED)
        {
            let mount = export(site).to_owned();
            dataset.properties.insert("mountpoint".to_owned(), mount);
        }
    }
    if data != *theirs {
        disks.push(data);
    }
    disks
}
