//! RAID member labels: Linux md 0.90 and 1.x (md(4), `linux/raid/md_p.h`), Intel Matrix (IMSM) and SNIA DDF.

use super::{Extent, Signature};

const MD_MAGIC: u32 = 0xa92b_4efc;
const DDF_MAGIC: u32 = 0xde11_de11;
const IMSM_MAGIC: &[u8] = b"Intel Raid ISM Cfg Sig. ";

pub(super) fn scan(extent: &Extent<'_>, found: &mut Vec<Signature>) {
    // 1.1 at the start, 1.2 at 4 KiB, 1.0 at least 8 KiB and at most 12 KiB before the end.
    let end = (extent.size / 512)
        .checked_sub(16)
        .map(|sector| (sector & !7) * 512);
    for (place, version) in [(Some(0), "1.1"), (Some(4096), "1.2"), (end, "1.0")] {
        found.extend(place.and_then(|place| version_1(extent, place, version)));
    }
    let old = (extent.size & !0xffff).checked_sub(0x1_0000);
    found.extend(old.and_then(|place| version_0(extent, place)));
    for sector in [512u64, 4096] {
        found.extend(
            extent
                .size
                .checked_sub(2 * sector)
                .and_then(|place| imsm(extent, place)),
        );
        found.extend(
            extent
                .size
                .checked_sub(sector)
                .and_then(|place| ddf(extent, place)),
        );
    }
}

fn version_1(extent: &Extent<'_>, place: u64, version: &str) -> Option<Signature> {
    if extent.little_u32(place)? != MD_MAGIC || extent.little_u32(place + 4)? != 1 {
        return None;
    }
    let level = extent.little_u32(place + 72)?.cast_signed();
    let disks = extent.little_u32(place + 92)?;
    // mdadm writes `host:name`.
    let full = extent.text(place + 32, 32);
    let (host, name) = match full.as_deref().and_then(|full| full.split_once(':')) {
        Some((host, name)) => (Some(host.to_owned()), Some(name.to_owned())),
        None => (None, full),
    };
    Some(Signature {
        kind: "md".to_owned(),
        name,
        uuid: extent.uuid(place + 16),
        host,
        detail: Some(format!(
            "metadata {version}, {}, {disks} disks",
            self::level(level)
        )),
        offset: place,
    })
}

fn version_0(extent: &Extent<'_>, place: u64) -> Option<Signature> {
    if extent.little_u32(place)? != MD_MAGIC || extent.little_u32(place + 4)? != 0 {
        return None;
    }
    let level = extent.little_u32(place + 28)?.cast_signed();
    let disks = extent.little_u32(place + 40)?;
    let mut uuid = [0u8; 16];
    uuid[..4].copy_from_slice(extent.at(place + 20, 4)?);
    uuid[4..].copy_from_slice(extent.at(place + 52, 12)?);
    Some(Signature {
        kind: "md".to_owned(),
        uuid: Some(super::uuid(&uuid)),
        detail: Some(format!(
            "metadata 0.90, {}, {disks} disks",
            self::level(level)
        )),
        offset: place,
        ..Signature::default()
    })
}

/// Level numbers of `md_p.h`; negative ones are not RAID levels.
fn level(level: i32) -> String {
    match level {
        -1 => "linear".to_owned(),
        -4 => "multipath".to_owned(),
        -5 => "faulty".to_owned(),
        -10 => "container".to_owned(),
        level => format!("RAID {level}"),
    }
}

fn imsm(extent: &Extent<'_>, place: u64) -> Option<Signature> {
    if !extent.has(place, IMSM_MAGIC) {
        return None;
    }
    Some(Signature {
        kind: "imsm".to_owned(),
        uuid: extent
            .little_u32(place + 40)
            .map(|family| format!("{family:08x}")),
        detail: Some(
            "Intel RST RAID: made by the BIOS; set the controller to AHCI before it is used here"
                .to_owned(),
        ),
        offset: place,
        ..Signature::default()
    })
}

fn ddf(extent: &Extent<'_>, place: u64) -> Option<Signature> {
    if extent.big_u32(place)? != DDF_MAGIC {
        return None;
    }
    Some(Signature {
        kind: "ddf".to_owned(),
        uuid: extent.at(place + 8, 24).map(hex::encode),
        detail: Some("member of a hardware RAID volume".to_owned()),
        offset: place,
        ..Signature::default()
    })
}
