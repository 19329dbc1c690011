//! Proves, right before the first write of a step, that a kernel name still means the disk the plan means: kernel names are
//! good for one boot at most, and not even that if a disk is pulled and another put in.

use camino::{Utf8Path, Utf8PathBuf};
use firmware::inventory::Disk;
use system::System;

/// The disk is not the one that was meant, or that cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not disk `{disk}` any more: {reason}")]
pub struct IdentityError {
    /// Kernel name.
    pub name: String,
    /// Stable name.
    pub disk: String,
    /// Why.
    pub reason: String,
}

/// Where one node's attributes lie.
pub fn attributes(name: &str) -> Utf8PathBuf {
    Utf8Path::new("/sys/class/block").join(name)
}

/// Compares device number, size, WWN and serial number in sysfs with the inventory.
pub fn verify(system: &dyn System, disk: &Disk) -> Result<(), IdentityError> {
    let name = disk
        .paths
        .first()
        .map(|path| path.kernel_name.clone())
        .unwrap_or_default();
    let error = |reason: String| IdentityError {
        name: name.clone(),
        disk: disk.id.to_string(),
        reason,
    };
    let Some(path) = disk.paths.first() else {
        return Err(error("it has no kernel name".into()));
    };
    let attributes = attributes(&path.kernel_name);
    let read = |attribute: &str| -> Option<String> {
        let bytes = system.read(&attributes.join(attribute)).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim().to_owned())
    };

    let number = read("dev").ok_or_else(|| error("it is gone".into()))?;
    let expected = format!("{}:{}", path.device.0, path.device.1);
    if number != expected {
        return Err(error(format!(
            "its device number is `{number}`, not `{expected}`"
        )));
    }
    let sectors: u64 = read("size")
        .and_then(|size| size.parse().ok())
        .ok_or_else(|| error("its size cannot be read".into()))?;
    // sysfs counts in 512-byte units whatever the sector size (Documentation/ABI/stable/sysfs-block).
    if sectors.checked_mul(512) != Some(disk.size) {
        return Err(error(format!(
            "it has {} bytes, not {}",
            sectors.saturating_mul(512),
            disk.size
        )));
    }

    let wwid = read("device/wwid").or_else(|| read("wwid"));
    if let Some(wwn) = &disk.wwn
        && let Some(wwid) = &wwid
        && let Some((kind, digits)) = wwid.split_once('.')
        && (kind == "naa" || kind == "eui")
    {
        return if hexadecimal(digits) == hexadecimal(wwn) {
            Ok(())
        } else {
            Err(error(format!("its name is `{wwid}`, not `{wwn}`")))
        };
    }

    let Some(serial) = disk.serial.as_deref().map(str::trim) else {
        return match &disk.wwn {
            // Nothing more is known of it than number and size.
            None => Ok(()),
            Some(wwn) => Err(error(format!("`{wwn}` cannot be read any more"))),
        };
    };
    let seen: Vec<String> = ["device/serial", "serial"]
        .iter()
        .filter_map(|attribute| read(attribute))
        .chain(page_80(system, &attributes))
        .collect();
    if seen.iter().any(|other| other == serial)
        // SATA without a WWN: `t10.ATA     MODEL      SERIAL`.
        || wwid.as_ref().is_some_and(|wwid| wwid.trim_end().ends_with(serial))
    {
        return Ok(());
    }
    match seen.first() {
        Some(other) => Err(error(format!(
            "its serial number is `{other}`, not `{serial}`"
        ))),
        None => Err(error(format!(
            "serial number `{serial}` cannot be read any more"
        ))),
    }
}

/// Without prefix and in lower case.
fn hexadecimal(text: &str) -> String {
    text.trim_start_matches("0x").to_ascii_lowercase()
}

/// Unit serial number page: four bytes of header (SPC-4, 7.8.13).
fn page_80(system: &dyn System, attributes: &Utf8Path) -> Option<String> {
    let bytes = system.read(&attributes.join("device/vpd_pg80")).ok()?;
    let text = String::from_utf8_lossy(bytes.get(4..)?)
        .trim_matches(|character: char| character.is_whitespace() || character == '\0')
        .to_owned();
    (!text.is_empty()).then_some(text)
}
