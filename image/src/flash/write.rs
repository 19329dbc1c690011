//! Writing a stick: first a head that says it is incomplete, then everything behind it, the real head last; then all of it is
//! read back from the medium and compared.

use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use nix::libc::{O_DIRECT, O_EXCL};
use sha2::{Digest, Sha256};

use super::content::Content;
use super::incomplete;

/// Bytes at a time: large enough for the erase blocks of flash memory.
const PIECE: usize = 4 << 20;
/// O_DIRECT wants memory, offsets and lengths at multiples of the sector (open(2)); 4096 serves every disk.
const ALIGNMENT: usize = 4096;

/// A disk or file that is written to.
pub struct Target {
    file: std::fs::File,
    path: Utf8PathBuf,
}

impl Target {
    /// Opens it past the page cache where that is possible. A device is taken for ourselves alone: the kernel refuses one that
    /// is mounted, swap, or part of an array or pool, whatever we thought of it.
    ///
    /// # Errors
    /// It is in use, too small, or cannot be opened.
    pub fn open(path: &Utf8Path, length: u64) -> Result<Self> {
        let device = std::fs::metadata(path).is_ok_and(|data| data.file_type().is_block_device());
        let open = |flags| {
            std::fs::OpenOptions::new()
                .read(true)
                .write(true)
                .create(!device)
                .custom_flags(flags | if device { O_EXCL } else { 0 })
                .open(path)
        };
        // Some file systems have no O_DIRECT (tmpfs before Linux 6.6): EINVAL.
        let file = open(O_DIRECT).or_else(|error| match error.raw_os_error() {
            Some(nix::libc::EINVAL) => open(0),
            _ => Err(error),
        });
        let file = file.map_err(|error| match error.raw_os_error() {
            Some(nix::libc::EBUSY) => anyhow::anyhow!(
                "`{path}` is in use: the kernel does not give it to us alone\nhint: unmount it, or choose another disk"
            ),
            _ => anyhow::Error::new(error).context(format!("cannot open `{path}` for writing")),
        })?;
        if device {
            use std::io::{Seek, SeekFrom};
            let size = (&file).seek(SeekFrom::End(0))?;
            if size < length {
                bail!(
                    "`{path}` has {size} bytes, the image has {length}\nhint: take a larger stick"
                );
            }
        } else {
            file.set_len(0)?;
            file.set_len(length)
                .with_context(|| format!("no space for {length} bytes at `{path}`"))?;
        }
        Ok(Self {
            file,
            path: path.to_owned(),
        })
    }

    /// Writes all of `content`, and gives its sha256. `expected`: that of the ISO as the manifest says; if it is another one,
    /// the head is not written. `tell` gets the bytes so far.
    ///
    /// # Errors
    /// The image is not what the manifest says, or something cannot be read or written. The stick then says that it is
    /// incomplete.
    pub fn write(
        &self,
        content: &Content,
        expected: Option<&str>,
        tell: &mut dyn FnMut(u64),
    ) -> Result<String> {
        self.put(&incomplete::head(), 0)?;
        self.sync()?;
        let (mut original, mut written) = (Sha256::new(), Sha256::new());
        let first = usize::try_from(content.length)?.min(incomplete::HEAD);
        let (raw, head) = content.read(0, first)?;
        original.update(&raw);
        written.update(&head);
        let mut offset = first as u64;
        while offset < content.length {
            let length = PIECE.min(usize::try_from(content.length - offset)?);
            let (raw, piece) = content.read(offset, length)?;
            original.update(&raw);
            written.update(&piece);
            self.put(&piece, offset)?;
            offset += length as u64;
            tell(offset - first as u64);
        }
        let found = hex::encode(original.finalize());
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            bail!(
                "the image has sha256 {found}, but its manifest says {expected}\nhint: build or copy the image again; `{}` is incomplete and does not boot",
                self.path
            );
        }
        self.sync()?;
        self.put(&head, 0)?;
        self.sync()?;
        tell(content.length);
        Ok(hex::encode(written.finalize()))
    }

    /// Reads `length` bytes back from the medium, not from memory, and compares.
    ///
    /// # Errors
    /// It cannot be read, or the medium kept something else.
    pub fn verify(&self, length: u64, sum: &str, tell: &mut dyn FnMut(u64)) -> Result<()> {
        // What O_DIRECT did not go past is dropped; after fsync there is nothing to write back.
        posix_fadvise(&self.file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED).ok();
        let mut buffer = vec![0; PIECE + ALIGNMENT];
        let start = buffer.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        let mut sha256 = Sha256::new();
        let mut offset = 0;
        while offset < length {
            let count = PIECE.min(usize::try_from(length - offset)?);
            let piece = &mut buffer[start..start + count];
            self.file
                .read_exact_at(piece, offset)
                .with_context(|| format!("cannot read `{}` back at byte {offset}", self.path))?;
            sha256.update(piece);
            offset += count as u64;
            tell(offset);
        }
        let found = hex::encode(sha256.finalize());
        if found != sum {
            bail!(
                "`{}` does not read back as it was written: sha256 {found}, written {sum}\nhint: the stick is broken: take another one",
                self.path
            );
        }
        Ok(())
    }

    fn put(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let mut buffer = vec![0; bytes.len() + ALIGNMENT];
        let start = buffer.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        let piece = &mut buffer[start..start + bytes.len()];
        piece.copy_from_slice(bytes);
        self.file.write_all_at(piece, offset).with_context(|| {
            format!(
                "cannot write `{}` at byte {offset}\nhint: it is incomplete and does not boot",
                self.path
            )
        })
    }

    fn sync(&self) -> Result<()> {
        self.file.sync_all().with_context(|| {
            format!(
                "`{}` did not take what was written\nhint: it is incomplete and does not boot",
                self.path
            )
        })
    }
}
