//! What else may own a disk that nothing uses at the moment: md, LVM and ZFS leave marks that the kernel does not show.

use std::io::{Read, Seek, SeekFrom};

/// How much of the start of a device is looked at: the first ZFS label with its uberblocks.
const START: u64 = 256 << 10;

/// Whose member this device is, for people; none if nobody's or if it cannot be read.
#[must_use]
pub fn owner(device: &mut (impl Read + Seek)) -> Option<&'static str> {
    let mut start = Vec::new();
    device.by_ref().take(START).read_to_end(&mut start).ok()?;
    // Superblock 1.1 at 0 and 1.2 at 4 KiB, md(4).
    let array = 0xa92b_4efc_u32.to_le_bytes();
    let at = |offset: usize, magic: &[u8]| start.get(offset..offset + magic.len()) == Some(magic);
    if at(0, &array) || at(4096, &array) {
        return Some("a member of an md array");
    }
    // The label is in one of the first four sectors, lvm(8).
    if (0..4).any(|sector| at(sector * 512, b"LABELONE")) {
        return Some("a physical volume of LVM");
    }
    // Uberblocks from 128 KiB on, every KiB at the densest; either byte order (ZFS On-Disk Specification, 1.3).
    let uberblock = 0x00ba_b10c_u64;
    let pools = [uberblock.to_le_bytes(), uberblock.to_be_bytes()];
    if (128..256).any(|kibibyte| pools.iter().any(|magic| at(kibibyte * 1024, magic))) {
        return Some("a member of a ZFS pool");
    }
    if at(0, b"LUKS\xba\xbe") {
        return Some("encrypted (LUKS)");
    }
    // Superblock 0.90 at the last whole 64 KiB but one, 1.0 at 8 KiB before the end in steps of 4 KiB.
    let size = device.seek(SeekFrom::End(0)).ok()?;
    let ends = [
        (size & !0xffff).checked_sub(0x1_0000),
        size.checked_sub(0x2000).map(|at| at & !0xfff),
    ];
    for offset in ends.into_iter().flatten() {
        let mut magic = [0; 4];
        device.seek(SeekFrom::Start(offset)).ok()?;
        if device.read_exact(&mut magic).is_ok() && magic == array {
            return Some("a member of an md array");
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn members_are_known_by_their_marks() {
        const SIZE: usize = 1 << 20;
        let md = 0xa92b_4efc_u32.to_le_bytes().to_vec();
        let zfs = 0x00ba_b10c_u64.to_le_bytes().to_vec();
        let cases: [(usize, Vec<u8>, Option<&str>); 9] = [
            (0, b"nothing".to_vec(), None),
            (0, md.clone(), Some("a member of an md array")),
            (4096, md.clone(), Some("a member of an md array")),
            (SIZE - 0x1_0000, md.clone(), Some("a member of an md array")),
            (SIZE - 0x2000, md, Some("a member of an md array")),
            (512, b"LABELONE".to_vec(), Some("a physical volume of LVM")),
            (132 << 10, zfs.clone(), Some("a member of a ZFS pool")),
            (64 << 10, zfs, None),
            (0, b"LUKS\xba\xbe".to_vec(), Some("encrypted (LUKS)")),
        ];
        for (offset, magic, expected) in cases {
            let mut disk = vec![0; SIZE];
            disk[offset..offset + magic.len()].copy_from_slice(&magic);
            assert_eq!(owner(&mut Cursor::new(disk)), expected, "at {offset}");
        }
        assert_eq!(owner(&mut Cursor::new(Vec::new())), None);
    }
}
