//! Proves, right before the first write of a step, that a kernel name still means the disk the plan means: kernel names are
//! good for one boot at most, and not even that if a disk is pulled and another put in.

use camino::{Utf8Path, Utf8PathBuf};
use firmware::{inventory::Disk, probe::identity as probed};
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

    let known = Known::read(system, &attributes, path.device);
    if let Some(wwn) = &disk.wwn
        && !known.names.is_empty()
    {
        return match known.names.first() {
            Some(first) if !known.names.contains(&wwn.to_ascii_lowercase()) => {
                Err(error(format!("its name is `{first}`, not `{wwn}`")))
            }
            _ => Ok(()),
        };
    }
    let Some(serial) = disk.serial.as_deref().map(str::trim) else {
        return match &disk.wwn {
            // Nothing more was ever known of it than number and size.
            None => Ok(()),
            Some(wwn) => Err(error(format!("`{wwn}` cannot be read any more"))),
        };
    };
    match known.serials.first() {
        _ if known.serials.iter().any(|other| other == serial) => Ok(()),
        Some(other) => Err(error(format!(
            "its serial number is `{other}`, not `{serial}`"
        ))),
        None => Err(error(format!(
            "serial number `{serial}` cannot be read any more"
        ))),
    }
}

/// What a disk says of itself now, by the same sources as the probe.
struct Known {
    names: Vec<String>,
    serials: Vec<String>,
}

impl Known {
    fn read(system: &dyn System, attributes: &Utf8Path, (major, minor): (u32, u32)) -> Self {
        let bytes = |attribute: &str| system.read(&attributes.join(attribute)).ok();
        let text = |attribute: &str| {
            let bytes = bytes(attribute)?;
            Some(String::from_utf8_lossy(&bytes).trim().to_owned()).filter(|text| !text.is_empty())
        };
        let record = system
            .read(Utf8Path::new(&format!("/run/udev/data/b{major}:{minor}")))
            .unwrap_or_default();
        let record = String::from_utf8_lossy(&record).into_owned();
        let property = |key: &str| {
            let value = record.lines().find_map(|line| {
                line.strip_prefix("E:")?
                    .strip_prefix(key)?
                    .strip_prefix('=')
            })?;
            Some(value.trim().to_owned()).filter(|value| !value.is_empty())
        };
        let udev_name = || {
            let name = property("ID_WWN_WITH_EXTENSION").or_else(|| property("ID_WWN"))?;
            match name.strip_prefix("0x") {
                Some(digits) => probed::wwn(&format!("naa.{digits}")),
                None => probed::wwn(&name),
            }
        };
        let names = [
            text("device/wwid").as_deref().and_then(probed::wwn),
            text("wwid").as_deref().and_then(probed::wwn),
            bytes("device/vpd_pg83")
                .as_deref()
                .and_then(probed::unit_name),
            udev_name(),
        ];
        let serials = [
            bytes("device/vpd_pg89")
                .as_deref()
                .and_then(probed::ata_information)
                .and_then(|identity| identity.serial),
            bytes("device/vpd_pg80")
                .as_deref()
                .and_then(probed::unit_serial),
            text("serial"),
            text("device/serial"),
            property("SCSI_IDENT_SERIAL"),
            property("ID_SERIAL_SHORT"),
        ];
        Self {
            names: names.into_iter().flatten().collect(),
            serials: serials.into_iter().flatten().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use firmware::inventory::{DiskId, DiskPath};
    use system::Simulated;

    use super::*;

    fn disk(wwn: Option<&str>, serial: Option<&str>) -> Disk {
        let path = DiskPath {
            kernel_name: "vda".into(),
            device: (254, 0),
            hba: None,
            by_path: None,
            sas_address: None,
            link_rate: None,
            expander: None,
        };
        Disk {
            id: DiskId("disk".into()),
            wwn: wwn.map(str::to_owned),
            serial: serial.map(str::to_owned),
            size: 512 * 100,
            paths: vec![path],
            ..Disk::default()
        }
    }

    #[test]
    fn every_source_and_every_difference() {
        type Files = &'static [(&'static str, &'static [u8])];
        type Case = (
            Files,
            Option<&'static str>,
            Option<&'static str>,
            Result<(), &'static str>,
        );
        let base: Files = &[("dev", b"254:0\n"), ("size", b"100\n")];
        let wwn = Some("0x5000000000000001");
        let table: &[Case] = &[
            (&[], None, None, Ok(())),
            (&[("serial", b"S1\n")], None, Some("S1"), Ok(())),
            (&[("device/serial", b"S1  \n")], None, Some("S1"), Ok(())),
            (
                &[("device/vpd_pg80", b"\0\x80\0\x02S1")],
                None,
                Some("S1"),
                Ok(()),
            ),
            (
                &[("device/wwid", b"naa.5000000000000001\n")],
                wwn,
                Some("S1"),
                Ok(()),
            ),
            (&[("wwid", b"eui.5000000000000001\n")], wwn, None, Ok(())),
            (
                &[
                    ("device/wwid", b"t10.ATA     MODEL  S1\n"),
                    ("serial", b"S1"),
                ],
                wwn,
                Some("S1"),
                Ok(()),
            ),
            (
                &[
                    ("device/wwid", b"naa.5000000000000002\n"),
                    ("serial", b"S1"),
                ],
                wwn,
                Some("S1"),
                Err("its name is `0x5000000000000002`, not `0x5000000000000001`"),
            ),
            (
                &[("serial", b"S2")],
                None,
                Some("S1"),
                Err("its serial number is `S2`, not `S1`"),
            ),
            (
                &[],
                None,
                Some("S1"),
                Err("serial number `S1` cannot be read any more"),
            ),
            (
                &[],
                wwn,
                None,
                Err("`0x5000000000000001` cannot be read any more"),
            ),
            (
                &[("dev", b"254:16\n")],
                None,
                None,
                Err("its device number is `254:16`, not `254:0`"),
            ),
            (
                &[("size", b"99\n")],
                None,
                None,
                Err("it has 50688 bytes, not 51200"),
            ),
            (&[("size", b"")], None, None, Err("its size cannot be read")),
        ];
        for (files, wwn, serial, expected) in table {
            let system = Simulated::new();
            for (name, content) in base.iter().chain(*files) {
                system.put_file(&format!("/sys/class/block/vda/{name}"), content);
            }
            let result = verify(&system, &disk(*wwn, *serial)).map_err(|error| error.reason);
            assert_eq!(result, expected.map_err(str::to_owned), "{files:?}");
        }
        let gone = verify(&Simulated::new(), &disk(None, None)).unwrap_err();
        assert_eq!(
            gone.to_string(),
            "`vda` is not disk `disk` any more: it is gone"
        );
    }
}
