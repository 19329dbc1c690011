//! ZFS labels: four of 256 KiB, two at each end. Each holds an XDR-encoded name-value list that names pool, host and
//! state (OpenZFS `vdev_label.c`, `nvpair.c`). Wiping only the head leaves a pool that comes back.

use super::{Extent, Signature};

const LABEL: u64 = 256 << 10;
/// The list follows 8 KiB of blank space and 8 KiB of boot header.
const LIST: u64 = 16 << 10;
const LIST_LENGTH: usize = 112 << 10;
const TYPE_UINT64: u32 = 8;
const TYPE_STRING: u32 = 9;

pub(super) fn scan(extent: &Extent<'_>, found: &mut Vec<Signature>) {
    let end = extent.size & !(LABEL - 1);
    let places = [
        Some(0),
        Some(LABEL),
        end.checked_sub(2 * LABEL),
        end.checked_sub(LABEL),
    ];
    let labels: Vec<(usize, u64, Pool)> = places
        .into_iter()
        .enumerate()
        .filter_map(|(number, place)| {
            let place = place?;
            Some((number, place, pool(extent.at(place + LIST, LIST_LENGTH)?)?))
        })
        .collect();
    // Labels of two pools on one disk are two signatures: an old pool may survive at the tail.
    let mut guids: Vec<u64> = Vec::new();
    for (_, place, pool) in &labels {
        if guids.contains(&pool.guid) {
            continue;
        }
        guids.push(pool.guid);
        let numbers: Vec<String> = labels
            .iter()
            .filter(|(_, _, other)| other.guid == pool.guid)
            .map(|(number, _, _)| number.to_string())
            .collect();
        found.push(Signature {
            kind: pool.kind().to_owned(),
            name: pool.name.clone(),
            uuid: Some(pool.guid.to_string()),
            host: pool.host(),
            detail: Some(format!(
                "{}, txg {}, labels {}",
                pool.state(),
                pool.txg,
                numbers.join(" ")
            )),
            offset: *place,
        });
    }
}

#[derive(Debug, Default)]
struct Pool {
    guid: u64,
    device: u64,
    name: Option<String>,
    hostname: Option<String>,
    hostid: Option<u64>,
    txg: u64,
    state: Option<u64>,
}

impl Pool {
    fn host(&self) -> Option<String> {
        match (&self.hostname, self.hostid) {
            (Some(name), Some(id)) => Some(format!("{name} (hostid {id:08x})")),
            (Some(name), None) => Some(name.clone()),
            (None, Some(id)) => Some(format!("hostid {id:08x}")),
            (None, None) => None,
        }
    }

    /// Labels of cache and spare devices name no pool: they hold no data, and must not be taken for a pool's.
    fn kind(&self) -> &'static str {
        match self.state {
            Some(3) => "zfs-spare",
            Some(4) => "zfs-cache",
            _ => "zfs",
        }
    }

    fn state(&self) -> &'static str {
        match self.state {
            Some(0) => "active",
            Some(1) => "exported",
            Some(2) => "destroyed",
            Some(3) => "spare",
            Some(4) => "cache",
            _ => "state unknown",
        }
    }
}

/// A big-endian XDR stream.
struct Stream<'a>(&'a [u8]);

impl<'a> Stream<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn long(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }

    /// Length, bytes, padded to four.
    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.number()?).ok()?;
        let bytes = self.take(length)?;
        self.take(length.next_multiple_of(4).checked_sub(length)?)?;
        Some(String::from_utf8_lossy(bytes).into_owned())
    }
}

/// Top-level pairs only: nested lists are stepped over by their encoded size.
fn pool(list: &[u8]) -> Option<Pool> {
    let mut stream = Stream(list);
    // Encoding 1 is XDR; then host endianness, two reserved bytes, version and flags of the list.
    if stream.take(4)?.first() != Some(&1) {
        return None;
    }
    stream.take(8)?;
    let mut pool = Pool::default();
    loop {
        let encoded = usize::try_from(stream.number()?).ok()?;
        stream.number()?;
        if encoded == 0 {
            break;
        }
        let mut pair = Stream(stream.take(encoded.checked_sub(8)?)?);
        let name = pair.text()?;
        let kind = pair.number()?;
        pair.number()?;
        match (name.as_str(), kind) {
            ("pool_guid", TYPE_UINT64) => pool.guid = pair.long()?,
            ("guid", TYPE_UINT64) => pool.device = pair.long()?,
            ("hostid", TYPE_UINT64) => pool.hostid = pair.long(),
            ("txg", TYPE_UINT64) => pool.txg = pair.long()?,
            ("state", TYPE_UINT64) => pool.state = pair.long(),
            ("name", TYPE_STRING) => pool.name = pair.text(),
            ("hostname", TYPE_STRING) => pool.hostname = pair.text(),
            _ => {}
        }
    }
    if pool.guid == 0 && matches!(pool.state, Some(3 | 4)) {
        pool.guid = pool.device;
    }
    (pool.guid != 0).then_some(pool)
}
