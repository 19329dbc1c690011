//! What lies on a disk, from its first and last bytes: pure parsers over any bytes, without panic. Nothing is wiped or
//! created before this was shown, so an unknown or foreign label must not be missed.
//!
//! Offsets follow each format's own header file; `libblkid` looks at the same places.

use serde::{Deserialize, Serialize};

mod filesystem;
mod partition;
mod raid;
mod volume;
mod zfs;

/// Bytes wanted from the start of a device: VMFS has its magic number at 1 MiB.
pub const HEAD: usize = (1 << 20) + (64 << 10);
/// Bytes wanted from its end: two ZFS labels of 256 KiB, and room for their alignment.
pub const TAIL: usize = 1 << 20;

/// One label on a device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Signature {
    /// `gpt`, `mbr`, `md`, `imsm`, `ddf`, `lvm`, `zfs`, `xfs`, `ext`, `vfat`, `swap`, `bcache`, `ceph`, `gfs2`, ...
    pub kind: String,
    /// Array, pool, group or label.
    pub name: Option<String>,
    /// UUID or GUID of the whole (array, pool, group), not of the member.
    pub uuid: Option<String>,
    /// Who used it last.
    pub host: Option<String>,
    /// Detail for people.
    pub detail: Option<String>,
    /// Byte offset of the label.
    pub offset: u64,
}

/// The first and last bytes of a device of `size` bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent<'a> {
    head: &'a [u8],
    tail: &'a [u8],
    size: u64,
}

impl<'a> Extent<'a> {
    /// `length` bytes at `offset`, if they were read.
    pub(crate) fn at(&self, offset: u64, length: usize) -> Option<&'a [u8]> {
        let end = offset.checked_add(u64::try_from(length).ok()?)?;
        let slice = |bytes: &'a [u8], from: u64| {
            let from = usize::try_from(from).ok()?;
            bytes.get(from..from.checked_add(length)?)
        };
        if end <= self.head.len() as u64 {
            return slice(self.head, offset);
        }
        let start = self.size.checked_sub(self.tail.len() as u64)?;
        slice(self.tail, offset.checked_sub(start)?)
    }

    fn little_u32(&self, offset: u64) -> Option<u32> {
        Some(u32::from_le_bytes(self.at(offset, 4)?.try_into().ok()?))
    }

    fn little_u64(&self, offset: u64) -> Option<u64> {
        Some(u64::from_le_bytes(self.at(offset, 8)?.try_into().ok()?))
    }

    fn big_u32(&self, offset: u64) -> Option<u32> {
        Some(u32::from_be_bytes(self.at(offset, 4)?.try_into().ok()?))
    }

    fn has(&self, offset: u64, magic: &[u8]) -> bool {
        self.at(offset, magic.len()) == Some(magic)
    }

    /// Text up to the first NUL byte, trimmed; empty is absent.
    fn text(&self, offset: u64, length: usize) -> Option<String> {
        let bytes = self.at(offset, length)?;
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(length);
        crate::probe::clean(&String::from_utf8_lossy(bytes.get(..end)?))
    }

    fn uuid(&self, offset: u64) -> Option<String> {
        Some(uuid(self.at(offset, 16)?.try_into().ok()?))
    }
}

/// Every label found. `head` and `tail` are the first and last bytes of a device of `size` bytes, up to [`HEAD`] and
/// [`TAIL`]; shorter ones hide the labels that lie beyond.
pub fn scan(head: &[u8], tail: &[u8], size: u64) -> Vec<Signature> {
    let extent = Extent { head, tail, size };
    let mut found = Vec::new();
    partition::scan(&extent, &mut found);
    raid::scan(&extent, &mut found);
    volume::scan(&extent, &mut found);
    zfs::scan(&extent, &mut found);
    filesystem::scan(&extent, &mut found);
    found
}

/// Sixteen bytes in order, as `blkid` prints them.
fn uuid(bytes: &[u8; 16]) -> String {
    dashed(&hex::encode(bytes))
}

/// GPT keeps the first three fields little-endian (UEFI 2.10, appendix A).
fn guid(b: &[u8; 16]) -> String {
    let turned = [
        b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6], b[8], b[9], b[10], b[11], b[12], b[13],
        b[14], b[15],
    ];
    uuid(&turned)
}

fn dashed(digits: &str) -> String {
    let part = |range: std::ops::Range<usize>| digits.get(range).unwrap_or_default();
    [
        part(0..8),
        part(8..12),
        part(12..16),
        part(16..20),
        part(20..32),
    ]
    .join("-")
}

#[cfg(test)]
mod tests;
