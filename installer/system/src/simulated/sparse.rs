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
        buffer.fill(0);
        let end = offset + buffer.len() as u64;
        for (page, bytes) in self.pages.range(offset / PAGE..end.div_ceil(PAGE)) {
            let start = page * PAGE;
            let (from, to) = (start.max(offset), (start + PAGE).min(end));
            buffer[(from - offset) as usize..(to - offset) as usize]
                .copy_from_slice(&bytes[(from - start) as usize..(to - start) as usize]);
        }
    }

    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        let end = offset + bytes.len() as u64;
        let range = offset / PAGE..end.div_ceil(PAGE);
        let zero = bytes
            .chunks(ZEROS.len())
            .all(|chunk| *chunk == ZEROS[..chunk.len()]);
        let pages: Vec<u64> = if zero {
            self.pages.range(range).map(|(page, _)| *page).collect()
        } else {
            range.collect()
        };
        for page in pages {
            let start = page * PAGE;
            let (from, to) = (start.max(offset), (start + PAGE).min(end));
            let target = self.pages.entry(page).or_insert_with(|| ZEROS.to_vec());
            target[(from - start) as usize..(to - start) as usize]
                .copy_from_slice(&bytes[(from - offset) as usize..(to - offset) as usize]);
            // Equal content has equal pages.
            if *target == ZEROS {
                self.pages.remove(&page);
            }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn as_plain_bytes(writes in prop::collection::vec((0_usize..20_000, 1_usize..9_000, 0_u8..3), 1..12)) {
            let mut sparse = Sparse::default();
            let mut plain = vec![0_u8; 30_000];
            for (offset, length, byte) in writes {
                let bytes = vec![byte; length];
                sparse.write(offset as u64, &bytes);
                plain[offset..offset + length].copy_from_slice(&bytes);
                let mut read = vec![9; length + 7];
                sparse.read(offset as u64, &mut read);
                prop_assert_eq!(&read[..], &plain[offset..offset + length + 7]);
            }
            let mut all = vec![9; plain.len()];
            sparse.read(0, &mut all);
            prop_assert_eq!(all, plain);
        }
    }
}
