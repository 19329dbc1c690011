//! Finds a partition by name in a GPT (UEFI specification 2.10, 5.3), for CDs: the kernel does not scan them.

/// A named range of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Offset of the first byte.
    pub start: u64,
    /// Bytes.
    pub size: u64,
}

/// Bytes from the start of the device that [`find`] wants: protective MBR, header and 128 entries at LBA 2. A hybrid
/// ISO may put the entries elsewhere; then more is needed.
pub const HEAD: usize = 64 * 1024;

/// Most entries that are looked at: more than any GPT has.
const ENTRIES: usize = 256;

/// `head`: the first bytes of the device. Sectors are taken as 512 bytes, as hybrid ISOs have them.
pub fn find(head: &[u8], name: &str) -> Option<Range> {
    list(head)
        .into_iter()
        .find_map(|(found, range)| (found == name).then_some(range))
}

/// Names and places of all partitions in use; none if this is no GPT.
pub fn list(head: &[u8]) -> Vec<(String, Range)> {
    entries(head).unwrap_or_default()
}

fn entries(head: &[u8]) -> Option<Vec<(String, Range)>> {
    let header = head.get(512..1024)?;
    if header.get(..8)? != b"EFI PART" {
        return None;
    }
    let entries = usize::try_from(number(header, 72, 8)?)
        .ok()?
        .checked_mul(512)?;
    let count = usize::try_from(number(header, 80, 4)?).ok()?.min(ENTRIES);
    let length = usize::try_from(number(header, 84, 4)?).ok()?;
    if length < 128 {
        return None;
    }
    let entry = |index: usize| {
        let start = entries.checked_add(index.checked_mul(length)?)?;
        let entry = head.get(start..start.checked_add(128)?)?;
        let first = number(entry, 32, 8)?;
        let last = number(entry, 40, 8)?;
        let range = Range {
            start: first.checked_mul(512)?,
            size: last.checked_sub(first)?.checked_add(1)?.checked_mul(512)?,
        };
        (first != 0).then_some((partition_name(entry.get(56..128)?), range))
    };
    Some((0..count).filter_map(entry).collect())
}

fn number(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let field = bytes.get(at..at + length)?;
    Some(
        field
            .iter()
            .rev()
            .fold(0, |value, byte| (value << 8) | u64::from(*byte)),
    )
}

fn partition_name(bytes: &[u8]) -> String {
    let units = bytes
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .take_while(|unit| *unit != 0);
    char::decode_utf16(units)
        .map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(name: &str) -> Vec<u8> {
        let mut disk = vec![0; HEAD];
        disk[512..520].copy_from_slice(b"EFI PART");
        disk[512 + 72..512 + 80].copy_from_slice(&2u64.to_le_bytes());
        disk[512 + 80..512 + 84].copy_from_slice(&128u32.to_le_bytes());
        disk[512 + 84..512 + 88].copy_from_slice(&128u32.to_le_bytes());
        let entry = 1024 + 2 * 128;
        disk[entry + 32..entry + 40].copy_from_slice(&100u64.to_le_bytes());
        disk[entry + 40..entry + 48].copy_from_slice(&107u64.to_le_bytes());
        for (index, unit) in name.encode_utf16().enumerate() {
            disk[entry + 56 + index * 2..entry + 58 + index * 2]
                .copy_from_slice(&unit.to_le_bytes());
        }
        disk
    }

    #[test]
    fn by_name() {
        let range = Some(Range {
            start: 51_200,
            size: 4096,
        });
        assert_eq!(find(&disk("rackwright-root"), "rackwright-root"), range);
        assert_eq!(find(&disk("rackwright-roo"), "rackwright-root"), None);
        assert_eq!(find(&vec![0; HEAD], "rackwright-root"), None);
        assert_eq!(find(b"short", "x"), None);
    }

    proptest::proptest! {
        #[test]
        fn never_panics(at in 512usize..1500, bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..64)) {
            let mut disk = disk("x");
            disk[at..at + bytes.len()].copy_from_slice(&bytes);
            find(&disk, "x");
        }
    }
}
