//! A capture: exactly the files the probe read, and the answers of the live machine, in one `.tar.zst`. It is what a bug
//! report contains: replayed anywhere, it gives the same inventory.
//!
//! Only what the probe reads is taken, so a node file, keys or passwords are never in it; files that could carry more than
//! hardware (mounts, udev, boot facts) are cut down to what is used.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use crate::Inventory;
use crate::ipmi::IpmiTransport;
use crate::live::Live;
use crate::probe::{self, FilesOnly, Instruments, Trace, Tree};
use crate::recording::{self, BmcRecorder, Recorder, Recording};

mod redact;

/// Most entries and bytes that are unpacked: a capture of a full shelf has some 5000 and 1 MiB.
const MOST_ENTRIES: usize = 200_000;
/// See [`MOST_ENTRIES`].
const MOST_BYTES: u64 = 256 << 20;

/// What to leave out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Replace serial numbers, WWNs, MAC addresses and UUIDs, each by the same stand-in everywhere.
    pub without_serials: bool,
}

/// Why a capture could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// Writing or reading failed.
    #[error("cannot use capture `{path}`")]
    File {
        /// File.
        path: Utf8PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// It is not what it should be.
    #[error("`{path}` is no capture that can be trusted: {reason}")]
    Refused {
        /// File.
        path: Utf8PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// One entry of the archive.
#[derive(Debug, Clone, PartialEq)]
enum Entry {
    Directory,
    File(Vec<u8>),
    Link(String),
}

/// Probes the machine below `root` and writes what was read to `file`; gives the inventory it was.
///
/// # Errors
/// If the file cannot be written.
pub fn write(
    root: &Utf8Path,
    transport: Option<&mut dyn IpmiTransport>,
    file: &Utf8Path,
    options: Options,
) -> Result<Inventory, CaptureError> {
    let tree = Tree::traced(root);
    let (mut live, mut files) = (Live, FilesOnly);
    let mut replayed = Recording::read(&tree);
    let inner: &mut dyn Instruments = match &mut replayed {
        _ if tree.is_live() => &mut live,
        Some(recording) => recording,
        None => &mut files,
    };
    let mut recorder = Recorder::new(inner);
    let (inventory, exchanges) = match transport {
        Some(transport) => {
            let mut bmc = BmcRecorder::new(transport);
            let inventory = probe::measure(&tree, &mut recorder, Some(&mut bmc), None);
            (inventory, Some(bmc.exchanges))
        }
        None => (probe::measure(&tree, &mut recorder, None, None), None),
    };
    let mut recording = Recording {
        ipmi: exchanges,
        ..recorder.recording
    };
    if options.without_serials {
        // Digits of bytes are not found by the search for serial numbers.
        for module in recording.modules.values_mut().flatten() {
            *module = module.clone().without_serial();
        }
    }
    let mut entries = entries(&tree, tree.trace());
    let answers =
        serde_json::to_vec_pretty(&recording).map_err(|error| failed(file)(error.into()))?;
    entries.insert(recording::PLACE.to_owned(), Entry::File(answers));
    for (path, entry) in &mut entries {
        if let Entry::File(content) = entry {
            redact::cut_down(path, content);
        }
    }
    if options.without_serials {
        let contents = entries.iter_mut().filter_map(|(path, entry)| match entry {
            Entry::File(content) => Some((path.as_str(), content)),
            _ => None,
        });
        redact::serials(&inventory, contents.collect());
    }
    pack(&entries, file).map_err(failed(file))?;
    Ok(inventory)
}

fn failed(file: &Utf8Path) -> impl Fn(io::Error) -> CaptureError {
    let path = file.to_owned();
    move |source| CaptureError::File {
        path: path.clone(),
        source,
    }
}

/// Follows every traced path through its links, and keeps the links and what they lead to.
fn entries(tree: &Tree, trace: Trace) -> BTreeMap<String, Entry> {
    let mut entries = BTreeMap::new();
    for path in trace.looks.iter().chain(&trace.lists) {
        if let Some(real) = follow(tree, path, &mut entries) {
            let directory = tree.path(real.as_str()).is_dir();
            let entry = if directory {
                Entry::Directory
            } else {
                Entry::File(Vec::new())
            };
            entries.entry(real.to_string()).or_insert(entry);
        }
    }
    for path in &trace.lists {
        let Some(real) = follow(tree, path, &mut entries) else {
            continue;
        };
        for name in tree.list(path) {
            let child = real.join(&name);
            let place = tree.path(child.as_str());
            let entry = match place.read_link_utf8() {
                Ok(target) => Entry::Link(target.into_string()),
                Err(_) if place.is_dir() => Entry::Directory,
                Err(_) => Entry::File(Vec::new()),
            };
            entries.entry(child.to_string()).or_insert(entry);
        }
    }
    for (path, content) in trace.reads {
        if let Some(real) = follow(tree, &path, &mut entries) {
            entries.insert(real.to_string(), Entry::File(content));
        }
    }
    entries
}

/// The real path inside the tree; links on the way become entries. Absent if it is not there or its links go in circles.
fn follow(tree: &Tree, path: &str, entries: &mut BTreeMap<String, Entry>) -> Option<Utf8PathBuf> {
    let mut real = Utf8PathBuf::from("/");
    let mut open: Vec<String> = parts(Utf8Path::new(path)).rev().collect();
    let mut links = 0;
    while let Some(part) = open.pop() {
        if part == ".." {
            real.pop();
            continue;
        }
        let next = real.join(&part);
        let place = tree.path(next.as_str());
        let Ok(target) = place.read_link_utf8() else {
            if !place.exists() {
                return None;
            }
            real = next;
            continue;
        };
        links += 1;
        if links > 40 {
            return None;
        }
        if target.is_absolute() {
            real = Utf8PathBuf::from("/");
        }
        open.extend(parts(&target).rev());
        entries.insert(next.into_string(), Entry::Link(target.into_string()));
    }
    Some(real)
}

fn parts(path: &Utf8Path) -> impl DoubleEndedIterator<Item = String> {
    path.components().filter_map(|component| match component {
        Utf8Component::Normal(name) => Some(name.to_owned()),
        Utf8Component::ParentDir => Some("..".to_owned()),
        _ => None,
    })
}

fn pack(entries: &BTreeMap<String, Entry>, file: &Utf8Path) -> io::Result<()> {
    let mut archive = tar::Builder::new(zstd::Encoder::new(File::create(file)?, 9)?);
    for (path, entry) in entries {
        let path = path.trim_start_matches('/');
        if path.is_empty() {
            continue;
        }
        let mut header = tar::Header::new_gnu();
        header.set_mode(if *entry == Entry::Directory {
            0o755
        } else {
            0o644
        });
        header.set_mtime(0);
        header.set_size(0);
        match entry {
            Entry::Directory => {
                header.set_entry_type(tar::EntryType::Directory);
                archive.append_data(&mut header, format!("{path}/"), io::empty())?;
            }
            Entry::File(content) => {
                header.set_entry_type(tar::EntryType::Regular);
                header.set_size(content.len() as u64);
                archive.append_data(&mut header, path, content.as_slice())?;
            }
            Entry::Link(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                archive.append_link(&mut header, path, target)?;
            }
        }
    }
    archive.into_inner()?.finish()?.flush()
}

/// An unpacked capture; it is removed when this is dropped.
#[derive(Debug)]
pub struct Capture {
    directory: tempfile::TempDir,
}

impl Capture {
    /// Where it lies: a root for [`probe::inventory`].
    pub fn root(&self) -> Utf8PathBuf {
        Utf8PathBuf::from_path_buf(self.directory.path().to_owned()).unwrap_or_default()
    }

    /// The inventory it holds.
    pub fn inventory(&self) -> Inventory {
        probe::inventory(&self.root(), None)
    }
}

/// Unpacks a capture into a temporary directory. Nothing outside of it is written, and no link that leads out is followed
/// later, whoever made the file.
///
/// # Errors
/// If it cannot be read, is damaged, too large, or holds anything but files, directories and links.
pub fn open(file: &Utf8Path) -> Result<Capture, CaptureError> {
    let refused = |reason: String| CaptureError::Refused {
        path: file.to_owned(),
        reason,
    };
    let directory = crate::fixture::scratch().map_err(failed(file))?;
    let packed =
        zstd::Decoder::new(File::open(file).map_err(failed(file))?).map_err(failed(file))?;
    let mut archive = tar::Archive::new(packed.take(MOST_BYTES));
    archive.set_preserve_permissions(false);
    let damaged = |error: io::Error| {
        refused(format!(
            "it is damaged or larger than {} MiB: {error}",
            MOST_BYTES >> 20
        ))
    };
    for (number, entry) in archive.entries().map_err(damaged)?.enumerate() {
        let mut entry = entry.map_err(damaged)?;
        let kind = entry.header().entry_type();
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if number >= MOST_ENTRIES {
            return Err(refused(format!("it has more than {MOST_ENTRIES} entries")));
        }
        if !matches!(
            kind,
            tar::EntryType::Regular | tar::EntryType::Directory | tar::EntryType::Symlink
        ) {
            return Err(refused(format!(
                "`{name}` is neither file, directory nor link"
            )));
        }
        if !entry.unpack_in(directory.path()).map_err(damaged)? {
            return Err(refused(format!("`{name}` leads out of the capture")));
        }
    }
    Ok(Capture { directory })
}

#[cfg(test)]
mod tests;
