//! What goes onto a stick, as one stream: the image's ISO with the files of its machines on the partition `RACKWRIGHT`.
//!
//! The partition is made in memory, so that the ISO is never changed and a stick is written from start to end.

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write};
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, bail};
use boot::gpt;
use camino::Utf8Path;

/// Name of the partition that people may write to.
pub const PARTITION: &str = "RACKWRIGHT";

/// Files by path on the partition.
pub type Files = BTreeMap<String, Vec<u8>>;

/// An ISO and the partition that takes the place of its own.
pub struct Content {
    iso: std::fs::File,
    /// Bytes.
    pub length: u64,
    /// Where the partition begins.
    start: u64,
    partition: Vec<u8>,
}

impl Content {
    /// `files` are put beside what is on the partition already; one of the same name is replaced.
    ///
    /// # Errors
    /// This is no medium of ours, or the files do not fit.
    pub fn open(iso: &Utf8Path, files: &Files) -> Result<Self> {
        let file: std::fs::File = fs_err::File::open(iso)?.into();
        let length = file.metadata()?.len();
        let range = place(&file, iso)?;
        // Written past the page cache, in whole sectors of any disk; `rackwright build` rounds up to MiB.
        if !length.is_multiple_of(4096) {
            bail!("`{iso}` is cut short\nhint: build the image again");
        }
        let mut partition = vec![0; usize::try_from(range.size)?];
        file.read_exact_at(&mut partition, range.start)
            .with_context(|| format!("`{iso}` is cut short\nhint: build the image again"))?;
        put(&mut partition, files)?;
        Ok(Self {
            iso: file,
            length,
            start: range.start,
            partition,
        })
    }

    /// Bytes of the ISO as it is, and as it is on the stick.
    ///
    /// # Errors
    /// The ISO cannot be read.
    pub fn read(&self, offset: u64, length: usize) -> Result<(Vec<u8>, Vec<u8>)> {
        let mut original = vec![0; length];
        self.iso
            .read_exact_at(&mut original, offset)
            .context("cannot read the image")?;
        let mut bytes = original.clone();
        let end = offset + length as u64;
        let first = offset.max(self.start);
        let last = end.min(self.start + self.partition.len() as u64);
        if first < last {
            let [to, from] = [first - offset, first - self.start].map(|at| at as usize);
            let count = (last - first) as usize;
            bytes[to..to + count].copy_from_slice(&self.partition[from..from + count]);
        }
        Ok((original, bytes))
    }
}

/// The first day that FAT knows: the same files give the same partition, and the date is one that every system can show.
#[derive(Debug)]
struct FirstDay;

impl fatfs::TimeProvider for FirstDay {
    fn get_current_date(&self) -> fatfs::Date {
        fatfs::Date {
            year: 1980,
            month: 1,
            day: 1,
        }
    }

    fn get_current_date_time(&self) -> fatfs::DateTime {
        fatfs::DateTime {
            date: self.get_current_date(),
            time: fatfs::Time {
                hour: 0,
                min: 0,
                sec: 0,
                millis: 0,
            },
        }
    }
}

/// Where the partition lies.
fn place(file: &std::fs::File, iso: &Utf8Path) -> Result<gpt::Range> {
    let mut head = Vec::new();
    file.take(gpt::HEAD as u64).read_to_end(&mut head)?;
    let range = gpt::find(&head, PARTITION).filter(|range| range.size <= 64 << 20);
    range.with_context(|| {
        format!("`{iso}` has no partition `{PARTITION}`\nhint: give an image that `rackwright build` made")
    })
}

fn put(partition: &mut [u8], files: &Files) -> Result<()> {
    let mut fill = || -> Result<()> {
        let options = fatfs::FsOptions::new().time_provider(&FirstDay);
        let system = fatfs::FileSystem::new(Cursor::new(&mut *partition), options)?;
        let root = system.root_dir();
        for (name, content) in files {
            if let Some((folder, _)) = name.rsplit_once('/') {
                root.create_dir(folder)?;
            }
            let mut file = root.create_file(name)?;
            file.truncate()?;
            file.write_all(content)?;
            file.flush()?;
        }
        drop(root);
        system.unmount()?;
        Ok(())
    };
    fill().with_context(|| {
        let size: usize = files.values().map(Vec::len).sum();
        format!(
            "{} files with {size} bytes cannot be put onto the partition `{PARTITION}`",
            files.len()
        )
    })
}

/// Every file of the partition, two levels deep: what a stick of ours has.
///
/// # Errors
/// It is no FAT file system, or damaged.
pub fn files(partition: &mut [u8]) -> Result<Files> {
    /// No file of a stick is larger; a damaged one must not fill the memory.
    const LIMIT: u64 = 4 << 20;
    let system = fatfs::FileSystem::new(Cursor::new(partition), fatfs::FsOptions::new())
        .with_context(|| format!("the partition `{PARTITION}` cannot be read"))?;
    let mut found = Files::new();
    for entry in system.root_dir().iter() {
        let entry = entry?;
        let name = entry.file_name();
        if name == "." || name == ".." {
            continue;
        }
        let mut read =
            |path: String, entry: &fatfs::DirEntry<'_, Cursor<&mut [u8]>>| -> Result<()> {
                if entry.len() > LIMIT {
                    bail!(
                        "`{path}` on the partition `{PARTITION}` has {} bytes",
                        entry.len()
                    );
                }
                let mut bytes = Vec::new();
                entry.to_file().take(LIMIT).read_to_end(&mut bytes)?;
                found.insert(path, bytes);
                Ok(())
            };
        if entry.is_file() {
            read(name, &entry)?;
        } else {
            for inner in entry.to_dir().iter() {
                let inner = inner?;
                if inner.is_file() {
                    read(format!("{name}/{}", inner.file_name()), &inner)?;
                }
            }
        }
    }
    Ok(found)
}
