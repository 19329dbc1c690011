//! Partition tables: GPT with its backup, and MBR.

use super::{Extent, Signature, guid};

/// Most partition entries that are read for their names.
const MOST_ENTRIES: u32 = 128;

pub(super) fn scan(extent: &Extent<'_>, found: &mut Vec<Signature>) {
    let mut primary = false;
    for sector in [512u64, 4096] {
        if let Some(signature) = header(extent, sector, sector) {
            found.push(signature);
            primary = true;
            break;
        }
    }
    // A backup header alone comes back as a partition table when somebody repairs it.
    if !primary {
        for sector in [512u64, 4096] {
            let place = extent.size.checked_sub(sector);
            if let Some(mut signature) = place.and_then(|place| header(extent, place, sector)) {
                signature.detail = Some("backup header only".to_owned());
                found.push(signature);
                break;
            }
        }
    }
    if !primary {
        found.extend(mbr(extent));
    }
}

/// UEFI 2.10, 5.3.2: disk GUID at 56, entries at 72 (sector), 80 (count), 84 (bytes each).
fn header(extent: &Extent<'_>, place: u64, sector: u64) -> Option<Signature> {
    if !extent.has(place, b"EFI PART") {
        return None;
    }
    let disk = guid(extent.at(place + 56, 16)?.try_into().ok()?);
    let names = entries(extent, place, sector).unwrap_or_default();
    let detail = (!names.is_empty()).then(|| format!("partitions: {}", names.join(", ")));
    Some(Signature {
        kind: "gpt".to_owned(),
        uuid: Some(disk),
        detail,
        offset: place,
        ..Signature::default()
    })
}

fn entries(extent: &Extent<'_>, place: u64, sector: u64) -> Option<Vec<String>> {
    let first = extent.little_u64(place + 72)?.checked_mul(sector)?;
    let count = extent.little_u32(place + 80)?.min(MOST_ENTRIES);
    let length = u64::from(extent.little_u32(place + 84)?);
    let mut names = Vec::new();
    for number in 0..u64::from(count) {
        let Some(entry) = first
            .checked_add(number.checked_mul(length)?)
            .and_then(|offset| extent.at(offset, 128))
        else {
            break;
        };
        if entry.iter().take(16).all(|byte| *byte == 0) {
            continue;
        }
        let units: Vec<u16> = entry
            .get(56..128)?
            .chunks_exact(2)
            .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
            .take_while(|unit| *unit != 0)
            .collect();
        let name = String::from_utf16_lossy(&units);
        names.push(if name.is_empty() {
            format!("number {}", number + 1)
        } else {
            name
        });
    }
    Some(names)
}

/// A boot record with at least one used entry. FAT and NTFS have the same last two bytes, but no entries.
fn mbr(extent: &Extent<'_>) -> Option<Signature> {
    if !extent.has(510, &[0x55, 0xaa])
        || extent.has(82, b"FAT32   ")
        || extent.has(54, b"FAT1")
        || extent.has(3, b"NTFS    ")
    {
        return None;
    }
    let table = extent.at(446, 64)?;
    let entries: Vec<&[u8]> = table.chunks_exact(16).collect();
    // Boot code may look like entries: status must be 0x00 or 0x80.
    let valid = entries.iter().all(|entry| matches!(entry[0], 0 | 0x80));
    let used = entries.iter().filter(|entry| entry[4] != 0).count();
    (valid && used > 0).then(|| Signature {
        kind: "mbr".to_owned(),
        detail: Some(format!(
            "{used} partition{}",
            if used == 1 { "" } else { "s" }
        )),
        ..Signature::default()
    })
}
