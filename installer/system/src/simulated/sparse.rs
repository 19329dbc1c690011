//! Bytes of a disk, only those that were written.

use std::collections::BTreeMap;

const PAGE: u64 = 4096;
static ZEROS: [u8; PAGE as usize] = [0; PAGE as usize];

/// Sparse bytes; what was never written, or was zeroed, reads as zero and takes no memory.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Sparse {
    pages: BTreeMap<u64, Vec<u8>>,
}

impl Sparse {
    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) {
        for (start, page, range) in pieces(offset, buffer.len()) {
            let target = &mut buffer[range.clone()];
            match self.pages.get(&page) {
                Some(bytes) => target.copy_from_slice(&bytes[start..start + range.len()]),
                None => target.fill(0),
            }
        }
    }

    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        for (start, page, range) in pieces(offset, bytes.len()) {
            let source = &bytes[range.clone()];
            if *source == ZEROS[..source.len()] {
                if range.len() as u64 == PAGE {
                    self.pages.remove(&page);
                    continue;
                }
                if !self.pages.contains_key(&page) {
                    continue;
                }
            }
            let target = self
                .pages
                .entry(page)
                .or_insert_with(|| vec![0; PAGE as usize]);
            target[start..start + range.len()].copy_from_slice(source);
        }
    }
}

impl std::fmt::Debug for Sparse {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "pages {:?}",
            self.pages.keys().collect::<Vec<_>>()
        )
    }
}

/// Cuts a range at page borders: (offset in page, page, range in buffer).
fn pieces(
    offset: u64,
    length: usize,
) -> impl Iterator<Item = (usize, u64, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done >= length {
            return None;
        }
        let position = offset + done as u64;
        let start = (position % PAGE) as usize;
        let count = (PAGE as usize - start).min(length - done);
        let piece = (start, position / PAGE, done..done + count);
        done += count;
        Some(piece)
    })
}
