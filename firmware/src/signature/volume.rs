//! Volume managers and storage daemons: LVM2, bcache, Ceph, LUKS, and file systems that several hosts share.

use super::{Extent, Signature};

const BCACHE_MAGIC: [u8; 16] = [
    0xc6, 0x85, 0x73, 0xf6, 0x4e, 0x1a, 0x45, 0xca, 0x82, 0x65, 0xf5, 0x7f, 0x48, 0xba, 0x6d, 0x81,
];
const GFS2_MAGIC: u32 = 0x0116_1970;
const VMFS_MAGIC: u32 = 0xc001_d00d;

pub(super) fn scan(extent: &Extent<'_>, found: &mut Vec<Signature>) {
    found.extend((0..4u64).find_map(|sector| lvm(extent, sector * 512)));
    if extent.has(4096 + 24, &BCACHE_MAGIC) {
        // Set UUID, shared by cache and backing devices.
        found.push(simple("bcache", 4096, None, extent.uuid(4096 + 56)));
    }
    if extent.has(0, b"bluestore block device\n") {
        found.push(Signature {
            detail: Some("Ceph BlueStore".to_owned()),
            ..simple("ceph", 0, None, extent.text(23, 36))
        });
    }
    if extent.has(0, b"LUKS\xba\xbe") {
        found.push(simple("luks", 0, None, extent.text(168, 40)));
    }
    if extent.big_u32(65536) == Some(GFS2_MAGIC) {
        let shared = Some("a file system that several hosts share".to_owned());
        found.push(Signature {
            detail: shared,
            ..simple(
                "gfs2",
                65536,
                extent.text(65536 + 160, 64),
                extent.uuid(65536 + 256),
            )
        });
    }
    if extent.little_u32(1 << 20) == Some(VMFS_MAGIC) {
        let shared = Some("a VMware file system that several hosts may share".to_owned());
        found.push(Signature {
            detail: shared,
            ..simple("vmfs", 1 << 20, None, None)
        });
    }
    // OCFS2 has its super block in block 2; block sizes are 512 to 4096.
    if let Some(place) = [1024u64, 2048, 4096, 8192]
        .into_iter()
        .find(|place| extent.has(*place, b"OCFSV2"))
    {
        let shared = Some("a file system that several hosts share".to_owned());
        found.push(Signature {
            detail: shared,
            ..simple("ocfs2", place, None, None)
        });
    }
}

pub(super) fn simple(
    kind: &str,
    offset: u64,
    name: Option<String>,
    uuid: Option<String>,
) -> Signature {
    Signature {
        kind: kind.to_owned(),
        name,
        uuid,
        offset,
        ..Signature::default()
    }
}

/// Label in one of the first four sectors, then the physical volume's header: its UUID (32 characters), size, and two
/// lists of areas, each ended by zeros (lvm2 `format_text/layout.h`).
fn lvm(extent: &Extent<'_>, place: u64) -> Option<Signature> {
    if !extent.has(place, b"LABELONE") || !extent.has(place + 24, b"LVM2 001") {
        return None;
    }
    let header = place + u64::from(extent.little_u32(place + 20)?);
    let member = extent.text(header, 32);
    let metadata = metadata_area(extent, header).and_then(|area| metadata_text(extent, area));
    let group = metadata
        .as_deref()
        .and_then(|text| Some(text.split_once('{')?.0.trim().to_owned()));
    let value = |key: &str| {
        let text = metadata.as_deref()?;
        let (_, rest) = text.split_once(&format!("{key} = \""))?;
        Some(rest.split_once('"')?.0.to_owned())
    };
    Some(Signature {
        kind: "lvm".to_owned(),
        name: group.filter(|name| !name.is_empty()),
        uuid: value("id").or_else(|| member.clone()),
        host: value("creation_host"),
        detail: member.map(|member| format!("physical volume {member}")),
        offset: place,
    })
}

fn metadata_area(extent: &Extent<'_>, header: u64) -> Option<u64> {
    let mut place = header.checked_add(40)?;
    let mut lists = 0;
    // Two lists of a few entries; a malformed one must not be walked for ever.
    for _ in 0..16 {
        let offset = extent.little_u64(place)?;
        match (offset, lists) {
            (0, 0) => lists = 1,
            (0, _) => return None,
            (offset, 1) => return Some(offset),
            _ => {}
        }
        place = place.checked_add(16)?;
    }
    None
}

/// The area's header has magic number at 4, and the place of the newest text at 40.
fn metadata_text(extent: &Extent<'_>, area: u64) -> Option<String> {
    if !extent.has(area.checked_add(4)?, b" LVM2 x[5A%r0N*>") {
        return None;
    }
    let offset = extent.little_u64(area.checked_add(40)?)?;
    let length = usize::try_from(extent.little_u64(area.checked_add(48)?)?)
        .ok()?
        .min(64 << 10);
    Some(String::from_utf8_lossy(extent.at(area.checked_add(offset)?, length)?).into_owned())
}
