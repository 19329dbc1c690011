//! One disk against one selector: either it matches, or the first condition that excludes it, in words.

use firmware::inventory::Disk;
use roles::selector::{Selector, SelectorError, Transport, glob_matches};

use crate::size::decimal;

/// Why this disk may never be installed on, whatever a selector says.
#[must_use]
pub fn ineligible(disk: &Disk) -> Option<String> {
    if disk.boot_medium {
        return Some("the running system came from it".into());
    }
    if disk.removable || disk.transport == Transport::Usb {
        return Some("removable or USB".into());
    }
    if disk.read_only {
        return Some("write-protected".into());
    }
    // The installer mounts nothing before a plan is carried out, so something else is using it.
    if let Some(place) = disk.mounted.first() {
        return Some(format!("in use: {place}"));
    }
    if let Some(fault) = disk.faults.first() {
        return Some(format!("fault: {fault}"));
    }
    if disk.size == 0 {
        return Some("fault: size 0".into());
    }
    if disk.logical_sector != 512 && disk.logical_sector != 4096 {
        return Some(format!("fault: sectors of {} bytes", disk.logical_sector));
    }
    None
}

/// `None` if every condition holds, else the condition that does not. A disk that lacks the property does not match.
///
/// # Errors
/// A condition cannot be read.
pub fn excluded(disk: &Disk, selector: &Selector) -> Result<Option<String>, SelectorError> {
    if let Some(reason) = ineligible(disk) {
        return Ok(Some(reason));
    }
    let unknown = |what: &str| Some(format!("{what} is not known"));
    if let (Some(text), Some(set)) = (&selector.bay, selector.bay_set()?) {
        match &disk.bay {
            None => return Ok(unknown("bay")),
            Some(bay) if !set.contains(&bay.side, bay.slot) => {
                return Ok(Some(format!(
                    "bay {}:{} is not in `{text}`",
                    bay.side, bay.slot
                )));
            }
            Some(_) => {}
        }
    }
    for (what, glob, value) in [
        ("model", &selector.model, &disk.model),
        ("vendor", &selector.vendor, &disk.vendor),
    ] {
        match (glob, value) {
            (None, _) => {}
            (Some(_), None) => return Ok(unknown(what)),
            (Some(glob), Some(value)) if !glob_matches(glob, value) => {
                return Ok(Some(format!("{what} `{value}` is not `{glob}`")));
            }
            _ => {}
        }
    }
    for (what, wanted, value) in [
        ("serial", &selector.serial, &disk.serial),
        ("WWN", &selector.wwn, &disk.wwn),
    ] {
        match value {
            _ if wanted.is_empty() => {}
            None => return Ok(unknown(what)),
            Some(value) if !wanted.iter().any(|one| one.eq_ignore_ascii_case(value)) => {
                return Ok(Some(format!("{what} `{value}` is not listed")));
            }
            Some(_) => {}
        }
    }
    if let (Some(text), Some(range)) = (&selector.size, selector.size_range()?)
        && !range.contains(disk.size)
    {
        return Ok(Some(format!("size {} is not `{text}`", decimal(disk.size))));
    }
    match (selector.rotational, disk.rotational) {
        (None, _) => {}
        (Some(_), None) => return Ok(unknown("rotation")),
        (Some(wanted), Some(spins)) if wanted != spins => {
            return Ok(Some(
                if spins {
                    "it spins"
                } else {
                    "it does not spin"
                }
                .into(),
            ));
        }
        _ => {}
    }
    // Unknown never matches, not even a list that names it.
    let known = disk.transport != Transport::Unknown;
    let listed = known && selector.transport.contains(&disk.transport);
    if !selector.transport.is_empty() && !listed {
        return Ok(Some(format!(
            "transport is {}",
            format!("{:?}", disk.transport).to_lowercase()
        )));
    }
    if let Some(sector) = selector.sector
        && sector != disk.logical_sector
    {
        return Ok(Some(format!(
            "sectors of {} bytes, not {sector}",
            disk.logical_sector
        )));
    }
    // A disk with several paths matches if any of them does.
    if let Some(glob) = &selector.path {
        let mut names = disk
            .paths
            .iter()
            .filter_map(|path| path.by_path.as_deref())
            .peekable();
        if names.peek().is_none() {
            return Ok(unknown("path"));
        }
        if !names.any(|name| glob_matches(glob, name)) {
            return Ok(Some(format!("no path is `{glob}`")));
        }
    }
    if let Some(glob) = &selector.hba {
        let mut addresses = disk
            .paths
            .iter()
            .filter_map(|path| path.hba.as_deref())
            .peekable();
        if addresses.peek().is_none() {
            return Ok(unknown("HBA"));
        }
        if !addresses.any(|address| glob_matches(glob, address)) {
            return Ok(Some(format!("no HBA is `{glob}`")));
        }
    }
    Ok(None)
}
