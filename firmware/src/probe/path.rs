//! One kernel block device as one path to a disk: everything sysfs and udev say of it. Folding comes later.

use camino::Utf8Path;
use roles::selector::Transport;

use super::identity::{self, AtaIdentity};
use super::tree::Tree;
use super::udev::Record;
use crate::inventory::DiskPath;

/// A path with what the disk said over it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PathFacts {
    /// Path as it will stand in the inventory.
    pub path: DiskPath,
    /// `wwid` attribute, whatever its form.
    pub wwid: Option<String>,
    /// WWN, if there is one.
    pub wwn: Option<String>,
    /// Vendor.
    pub vendor: Option<String>,
    /// Full model.
    pub model: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// Firmware revision.
    pub firmware: Option<String>,
    /// Bytes.
    pub size: u64,
    /// Logical sector, bytes.
    pub logical_sector: u32,
    /// Physical sector, bytes.
    pub physical_sector: u32,
    /// Spinning.
    pub rotational: Option<bool>,
    /// Attachment.
    pub transport: Option<Transport>,
    /// Removable medium.
    pub removable: bool,
    /// Write-protected.
    pub read_only: bool,
    /// Enclosure directory name (`0:0:24:0`) and slot.
    pub slot: Option<(String, u32)>,
    /// SCSI device state when it is not `running`: this path cannot be used.
    pub state: Option<String>,
}

/// Block devices that are no physical disks (made of others, or in memory).
const NOT_DISKS: [&str; 12] = [
    "loop", "ram", "zram", "md", "dm-", "sr", "fd", "nbd", "zd", "drbd", "mtdblock", "bcache",
];

/// Whether `/sys/block/<name>` stands for a disk. `ndNcNnN` of NVMe multipath is `hidden` and skipped by the caller.
pub fn is_disk(name: &str) -> bool {
    let mmc_part = name.starts_with("mmcblk") && (name.contains("boot") || name.contains("rpmb"));
    !mmc_part && !NOT_DISKS.iter().any(|prefix| name.starts_with(prefix))
}

/// Reads one block device; absent if it is not there (any more) or hidden.
pub fn read(tree: &Tree, name: &str) -> Option<PathFacts> {
    let base = format!("/sys/block/{name}");
    let place = tree.resolve(&base)?;
    if tree.text(&format!("{base}/hidden")).as_deref() == Some("1") {
        return None;
    }
    let text = |attribute: &str| tree.text(&format!("{base}/{attribute}"));
    let page = |attribute: &str| tree.bytes(&format!("{base}/device/{attribute}"));
    let device = device_number(&text("dev")?)?;
    let record = Record::of_block(tree, device);

    let ata = page("vpd_pg89")
        .and_then(|page| identity::ata_information(&page))
        .unwrap_or_default();
    let wwid = text("device/wwid").or_else(|| text("wwid"));
    let wwn = wwid
        .as_deref()
        .and_then(identity::wwn)
        .or_else(|| page("vpd_pg83").and_then(|page| identity::unit_name(&page)))
        .or_else(|| udev_wwn(&record));
    let vendor = text("device/vendor").filter(|vendor| !vendor.starts_with("0x"));
    let flag = |attribute: &str| text(attribute).map(|value| value == "1");

    Some(PathFacts {
        transport: transport(
            &place,
            name,
            vendor.as_deref(),
            text("device/sas_address").is_some(),
        ),
        model: model(&ata, &record, text("device/model")),
        serial: serial(tree, &base, &ata, &record),
        firmware: firmware(
            &ata,
            &record,
            text("device/rev").or_else(|| text("device/firmware_rev")),
        ),
        size: text("size")
            .and_then(|sectors| sectors.parse::<u64>().ok())
            .unwrap_or(0)
            .saturating_mul(512),
        logical_sector: tree
            .number(&format!("{base}/queue/logical_block_size"))
            .unwrap_or(512),
        physical_sector: tree
            .number(&format!("{base}/queue/physical_block_size"))
            .unwrap_or(512),
        rotational: flag("queue/rotational"),
        removable: flag("removable").unwrap_or(false),
        read_only: flag("ro").unwrap_or(false),
        slot: slot(tree, &base),
        state: text("device/state").filter(|state| state != "running" && state != "live"),
        path: DiskPath {
            kernel_name: name.to_owned(),
            device,
            hba: pci_address(&place),
            by_path: record.by_path().map(str::to_owned),
            sas_address: text("device/sas_address"),
            link_rate: link_rate(tree, &place),
            expander: component(&place, "expander-"),
        },
        wwid,
        wwn,
        vendor,
    })
}

/// `8:16` as numbers.
pub fn device_number(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.trim().split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Sources in order of trust: IDENTIFY data, udev (which asked the disk), sysfs (cut at 16 characters for SATA).
fn model(ata: &AtaIdentity, record: &Record, sysfs: Option<String>) -> Option<String> {
    let udev = record.property("ID_MODEL_ENC").and_then(identity::unescape);
    let longer = match (udev, sysfs) {
        (Some(udev), Some(sysfs)) if sysfs.len() > udev.len() => Some(sysfs),
        (udev, sysfs) => udev.or(sysfs),
    };
    ata.model.clone().or(longer)
}

fn serial(tree: &Tree, base: &str, ata: &AtaIdentity, record: &Record) -> Option<String> {
    let page = tree
        .bytes(&format!("{base}/device/vpd_pg80"))
        .and_then(|page| identity::unit_serial(&page));
    ata.serial
        .clone()
        .or(page)
        // virtio-blk has `serial` beside `size`, NVMe has it in the controller.
        .or_else(|| tree.text(&format!("{base}/serial")))
        .or_else(|| tree.text(&format!("{base}/device/serial")))
        .or_else(|| record.property("SCSI_IDENT_SERIAL").map(str::to_owned))
        .or_else(|| record.property("ID_SERIAL_SHORT").map(str::to_owned))
        .filter(|serial| !identity::is_placeholder(serial))
}

fn firmware(ata: &AtaIdentity, record: &Record, sysfs: Option<String>) -> Option<String> {
    ata.firmware
        .clone()
        .or_else(|| record.property("ID_REVISION").map(str::to_owned))
        .or(sysfs)
}

fn udev_wwn(record: &Record) -> Option<String> {
    let name = record
        .property("ID_WWN_WITH_EXTENSION")
        .or_else(|| record.property("ID_WWN"))?;
    match name.strip_prefix("0x") {
        Some(digits) => identity::wwn(&format!("naa.{digits}")),
        None => identity::wwn(name),
    }
}

/// How the disk is attached, from its place in the device tree.
///
/// SCSI behind virtio-scsi is what QEMU gives as a stand-in: the vendor `ATA` makes it SATA, anything else SAS, so that
/// dual-path SAS shelves can be rehearsed. Real SAS shows a `sas_address` or an `end_device-` in its path.
fn transport(place: &Utf8Path, name: &str, vendor: Option<&str>, sas: bool) -> Option<Transport> {
    let has = |prefix: &str| component(place, prefix).is_some();
    Some(if has("usb") {
        Transport::Usb
    } else if name.starts_with("nvme") {
        Transport::Nvme
    } else if has("ata") || vendor == Some("ATA") {
        Transport::Sata
    } else if sas || has("end_device-") {
        Transport::Sas
    } else if name.starts_with("vd") {
        Transport::Virtio
    } else if has("virtio") && has("host") {
        Transport::Sas
    } else {
        return None;
    })
}

/// Last component that is `prefix` and then a digit.
fn component(place: &Utf8Path, prefix: &str) -> Option<String> {
    let mut found = place
        .components()
        .map(|component| component.as_str())
        .filter(|component| {
            component
                .strip_prefix(prefix)
                .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
        });
    found.next_back().map(str::to_owned)
}

/// Last PCI address in a device's place: the controller, bridges come before it.
pub fn pci_address(place: &Utf8Path) -> Option<String> {
    place
        .components()
        .map(|component| component.as_str())
        .rfind(|text| is_pci_address(text))
        .map(str::to_owned)
}

/// `0000:03:00.1`, or with a longer domain as behind Intel VMD.
fn is_pci_address(text: &str) -> bool {
    let mut parts = text.split([':', '.']);
    let mut hexadecimal = |least: usize| {
        parts
            .next()
            .is_some_and(|part| part.len() >= least && part.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    hexadecimal(4)
        && hexadecimal(2)
        && hexadecimal(2)
        && hexadecimal(1)
        && text.matches(':').count() == 2
}

/// Enclosure and slot by the link that `ses` makes. The slot file, not the entry's name: SAS3 backplanes call the first
/// slot `Slot00`, SAS2 ones `Slot 01`.
fn slot(tree: &Tree, base: &str) -> Option<(String, u32)> {
    let entry = tree
        .list(&format!("{base}/device"))
        .into_iter()
        .find(|name| name.starts_with("enclosure_device:"))?;
    let link = format!("{base}/device/{entry}");
    let slot = tree.number(&format!("{link}/slot"))?;
    let place = tree.resolve(&link)?;
    Some((place.parent()?.file_name()?.to_owned(), slot))
}

/// Negotiated rate of the port the disk sits on: SAS phy, else SATA link.
fn link_rate(tree: &Tree, place: &Utf8Path) -> Option<String> {
    let unknown = |rate: &String| !rate.to_ascii_lowercase().contains("unknown");
    if let Some(device) = component(place, "end_device-") {
        let port = place
            .ancestors()
            .find(|above| above.file_name() == Some(&device))?
            .parent()?;
        return tree
            .list(port.as_str())
            .into_iter()
            .filter(|name| name.starts_with("phy-"))
            .find_map(|phy| tree.text(&format!("{port}/{phy}/sas_phy/{phy}/negotiated_linkrate")))
            .filter(unknown);
    }
    let port = component(place, "ata")?;
    let link = format!("link{}", port.trim_start_matches("ata"));
    let above = place
        .ancestors()
        .find(|above| above.file_name() == Some(&port))?;
    tree.text(&format!("{above}/{link}/ata_link/{link}/sata_spd"))
        .filter(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transports() {
        for (place, name, vendor, sas, expected) in [
            (
                "/sys/devices/pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda",
                "sda",
                "ATA",
                false,
                Some(Transport::Sata),
            ),
            (
                "/sys/devices/pci0000:00/0000:02:00.0/host1/port-1:0/expander-1:0/port-1:0:3/end_device-1:0:3/target1:0:3/1:0:3:0/block/sdb",
                "sdb",
                "HGST",
                true,
                Some(Transport::Sas),
            ),
            (
                "/sys/devices/pci0000:00/0000:02:00.0/host1/port-1:0/end_device-1:0/target1:0:0/1:0:0:0/block/sdb",
                "sdb",
                "ATA",
                false,
                Some(Transport::Sata),
            ),
            (
                "/sys/devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host4/target4:0:0/4:0:0:0/block/sdc",
                "sdc",
                "SanDisk",
                false,
                Some(Transport::Usb),
            ),
            (
                "/sys/devices/pci0000:00/0000:00:05.0/virtio2/host6/target6:0:0/6:0:0:0/block/sdd",
                "sdd",
                "HGST",
                false,
                Some(Transport::Sas),
            ),
            (
                "/sys/devices/pci0000:00/0000:00:05.0/virtio2/block/vda",
                "vda",
                "",
                false,
                Some(Transport::Virtio),
            ),
            (
                "/sys/devices/pci0000:00/0000:03:00.0/nvme/nvme0/nvme0n1",
                "nvme0n1",
                "",
                false,
                Some(Transport::Nvme),
            ),
            (
                "/sys/devices/pci0000:00/0000:00:07.0/mmc_host/mmc0/mmc0:0001/block/mmcblk0",
                "mmcblk0",
                "",
                false,
                None,
            ),
        ] {
            assert_eq!(
                transport(Utf8Path::new(place), name, Some(vendor), sas),
                expected,
                "{place}"
            );
        }
    }

    #[test]
    fn controller_is_the_last_pci_address() {
        let place =
            "/sys/devices/pci0000:00/0000:00:03.0/0000:02:00.0/host1/target1:0:3/1:0:3:0/block/sdb";
        assert_eq!(
            pci_address(Utf8Path::new(place)).as_deref(),
            Some("0000:02:00.0")
        );
        assert!(!is_pci_address("1:0:3:0"));
        assert!(is_pci_address("10000:01:00.0"));
    }

    #[test]
    fn what_is_no_disk() {
        for name in [
            "loop0",
            "ram1",
            "zram0",
            "md127",
            "dm-3",
            "sr0",
            "fd0",
            "mmcblk0boot0",
        ] {
            assert!(!is_disk(name), "{name}");
        }
        for name in ["sda", "sdaa", "vda", "nvme0n1", "mmcblk0", "hda"] {
            assert!(is_disk(name), "{name}");
        }
    }
}
