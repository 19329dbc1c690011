//! File systems and swap.

use super::volume::simple;
use super::{Extent, Signature};

pub(super) fn scan(extent: &Extent<'_>, found: &mut Vec<Signature>) {
    if extent.has(0, b"XFSB") {
        found.push(simple("xfs", 0, extent.text(108, 12), extent.uuid(32)));
    }
    if extent.has(1024 + 56, &[0x53, 0xef]) {
        let mounted = extent
            .text(1024 + 136, 64)
            .map(|place| format!("last mounted on {place}"));
        let signature = simple(
            "ext",
            1024,
            extent.text(1024 + 120, 16),
            extent.uuid(1024 + 104),
        );
        found.push(Signature {
            detail: mounted,
            ..signature
        });
    }
    if extent.has(65536 + 64, b"_BHRfS_M") {
        found.push(simple(
            "btrfs",
            65536,
            extent.text(65536 + 299, 256),
            extent.uuid(65536 + 32),
        ));
    }
    if extent.has(510, &[0x55, 0xaa]) {
        for (magic, place, serial, label) in [
            (b"FAT32   ", 82, 67, 71),
            (b"FAT16   ", 54, 39, 43),
            (b"FAT12   ", 54, 39, 43),
        ] {
            if extent.has(place, magic) {
                let id = extent
                    .little_u32(serial)
                    .map(|id| format!("{:04x}-{:04x}", id >> 16, id & 0xffff));
                found.push(simple(
                    "vfat",
                    0,
                    extent.text(label, 11).filter(|label| label != "NO NAME"),
                    id,
                ));
            }
        }
    }
    if extent.has(3, b"NTFS    ") {
        found.push(simple(
            "ntfs",
            0,
            None,
            extent.little_u64(72).map(|id| format!("{id:016x}")),
        ));
    }
    // The magic number ends the first page, 4 KiB on every machine of ours.
    if extent.has(4086, b"SWAPSPACE2") {
        found.push(simple(
            "swap",
            0,
            extent.text(1024 + 28, 16),
            extent.uuid(1024 + 12),
        ));
    }
    if extent.has(32769, b"CD001") {
        found.push(simple("iso9660", 32768, extent.text(32768 + 40, 32), None));
    }
    if extent.has(0, b"hsqs") {
        found.push(simple("squashfs", 0, None, None));
    }
}
