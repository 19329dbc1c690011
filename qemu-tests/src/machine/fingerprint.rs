//! A digest of a sparse file's content that does not read its holes: 8 TB disks hash in milliseconds.

use std::io::{Read as _, Seek as _, SeekFrom};

use camino::Utf8Path;
use nix::errno::Errno;
use nix::unistd::{Whence, lseek64};
use sha2::{Digest as _, Sha256};

/// Digest of a disk's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// Bytes of the disk, holes included.
    pub size: u64,
    /// sha256 over offset and bytes of every 4 KiB block that is not all zero.
    pub sha256: String,
}

const BLOCK: usize = 4096;

/// Digest of `path`. Two files have the same one exactly if they read the same, whichever of their zeros are holes.
///
/// # Errors
/// If the file cannot be read.
pub fn fingerprint(path: &Utf8Path) -> std::io::Result<Fingerprint> {
    let mut file = fs_err::File::open(path)?;
    let size = file.metadata()?.len();
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 256 * BLOCK];
    let mut next = 0;
    while let Some((start, end)) = data_after(&file, next, size)? {
        let mut at = start;
        file.seek(SeekFrom::Start(at))?;
        while at < end {
            let want = usize::try_from(end - at)
                .unwrap_or(usize::MAX)
                .min(buffer.len());
            let chunk = buffer.get_mut(..want).unwrap_or_default();
            file.read_exact(chunk)?;
            for block in chunk.chunks(BLOCK) {
                if block.iter().any(|byte| *byte != 0) {
                    digest.update(at.to_le_bytes());
                    digest.update(block);
                }
                at += block.len() as u64;
            }
        }
        next = end;
    }
    let sha256 = digest
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(Fingerprint { size, sha256 })
}

/// Next piece of data at or after `from`, widened to whole blocks, so that blocks fall the same way whatever the holes.
fn data_after(file: &fs_err::File, from: u64, size: u64) -> std::io::Result<Option<(u64, u64)>> {
    if from >= size {
        return Ok(None);
    }
    let seek = |offset: u64, whence| {
        lseek64(
            file.file(),
            i64::try_from(offset).unwrap_or(i64::MAX),
            whence,
        )
    };
    let start = match seek(from, Whence::SeekData) {
        Ok(start) => u64::try_from(start).unwrap_or_default(),
        Err(Errno::ENXIO) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let end = u64::try_from(seek(start, Whence::SeekHole)?).unwrap_or(size);
    let block = BLOCK as u64;
    Ok(Some((
        (start / block * block).max(from),
        end.next_multiple_of(block).min(size),
    )))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use camino::Utf8PathBuf;
    use proptest::prelude::*;

    use super::*;

    fn file(directory: &tempfile::TempDir, name: &str, size: u64) -> (fs_err::File, Utf8PathBuf) {
        let path = Utf8PathBuf::try_from(directory.path().join(name)).unwrap();
        let file = fs_err::File::create(&path).unwrap();
        file.set_len(size).unwrap();
        (file, path)
    }

    #[test]
    fn holes_and_written_zeros_are_the_same_and_one_byte_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let size = 8_001_563_222_016;
        let (one, one_path) = file(&directory, "one", size);
        let (two, two_path) = file(&directory, "two", size);
        for disk in [&one, &two] {
            disk.file()
                .write_all_at(b"label", 7_000_000_000_001)
                .unwrap();
        }
        two.file().write_all_at(&[0; 1 << 20], 1 << 30).unwrap();
        assert_eq!(
            fingerprint(&one_path).unwrap(),
            fingerprint(&two_path).unwrap()
        );
        two.file().write_all_at(b"!", size - 1).unwrap();
        assert_ne!(
            fingerprint(&one_path).unwrap(),
            fingerprint(&two_path).unwrap()
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_changed_byte_is_seen(offset in 0_u64..100_000_000, other in 0_u64..100_000_000, byte in 1_u8..) {
            let directory = tempfile::tempdir().unwrap();
            let (disk, path) = file(&directory, "disk", 100_000_000);
            disk.file().write_all_at(b"something", other.min(99_999_000)).unwrap();
            let before = fingerprint(&path).unwrap();
            let mut old = [0];
            fs_err::File::open(&path).unwrap().file().read_exact_at(&mut old, offset).unwrap();
            disk.file().write_all_at(&[old[0] ^ byte], offset).unwrap();
            prop_assert_ne!(before, fingerprint(&path).unwrap());
        }
    }
}
