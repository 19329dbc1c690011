//! Files below a root: the live machine (`/`), a fixture or an unpacked capture. The probe reads through nothing else.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;

use camino::{Utf8Path, Utf8PathBuf};

/// Attribute files are small; SMBIOS tables reach some 10 KiB, a udev record some KiB.
const MOST: u64 = 4 << 20;

/// A file system root to read facts from.
#[derive(Debug, Clone)]
pub struct Tree {
    root: Utf8PathBuf,
    trace: Option<RefCell<Trace>>,
}

/// What was asked of a tree: exactly what a capture must hold.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// Content by path.
    pub reads: BTreeMap<String, Vec<u8>>,
    /// Directories that were listed.
    pub lists: BTreeSet<String>,
    /// Paths that were looked at without being read.
    pub looks: BTreeSet<String>,
}

impl Tree {
    /// The tree below `root`; links in it are relative, as sysfs makes them.
    pub fn new(root: &Utf8Path) -> Self {
        Self {
            root: root.canonicalize_utf8().unwrap_or_else(|_| root.to_owned()),
            trace: None,
        }
    }

    /// A tree that remembers what it was asked.
    pub fn traced(root: &Utf8Path) -> Self {
        Self {
            trace: Some(RefCell::default()),
            ..Self::new(root)
        }
    }

    /// What was asked so far.
    pub fn trace(&self) -> Trace {
        self.trace
            .as_ref()
            .map(|trace| trace.borrow().clone())
            .unwrap_or_default()
    }

    fn note(&self, note: impl FnOnce(&mut Trace)) {
        if let Some(trace) = &self.trace {
            note(&mut trace.borrow_mut());
        }
    }

    /// Where `path` (absolute inside the tree) lies.
    pub fn path(&self, path: &str) -> Utf8PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// Whether this is the running machine, so that ioctls speak of it too.
    pub fn is_live(&self) -> bool {
        self.root == "/"
    }

    /// The real place of `path`, unless a link leads out of the tree: a capture comes from somebody else.
    fn inside(&self, path: &str) -> Option<Utf8PathBuf> {
        let place = self.path(path);
        if self.is_live() {
            return Some(place);
        }
        place
            .canonicalize_utf8()
            .ok()
            .filter(|real| real.starts_with(&self.root))
    }

    /// Whole content, if it can be read. Some attributes answer `EINVAL` (speed of a port that is down).
    pub fn bytes(&self, path: &str) -> Option<Vec<u8>> {
        let mut content = Vec::new();
        File::open(self.inside(path)?)
            .ok()?
            .take(MOST)
            .read_to_end(&mut content)
            .ok()?;
        self.note(|trace| {
            trace.reads.insert(path.to_owned(), content.clone());
        });
        Some(content)
    }

    /// Content as trimmed text without NUL bytes; absent if empty. SCSI names are padded with blanks, and
    /// `enclosure_identifier` may hold NUL bytes.
    pub fn text(&self, path: &str) -> Option<String> {
        let content = self.bytes(path)?;
        clean(&String::from_utf8_lossy(&content))
    }

    /// Text that is a decimal number.
    pub fn number<T: std::str::FromStr>(&self, path: &str) -> Option<T> {
        self.text(path)?.parse().ok()
    }

    /// Text that is a hexadecimal number with or without `0x`.
    pub fn hexadecimal(&self, path: &str) -> Option<u32> {
        u32::from_str_radix(self.text(path)?.trim_start_matches("0x"), 16).ok()
    }

    /// Names in a directory, sorted so that `sdb` comes before `sdaa`.
    pub fn list(&self, path: &str) -> Vec<String> {
        self.note(|trace| {
            trace.lists.insert(path.to_owned());
        });
        let Some(Ok(entries)) = self.inside(path).map(|place| place.read_dir_utf8()) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .filter_map(|entry| Some(entry.ok()?.file_name().to_owned()))
            .collect();
        names.sort_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
        names
    }

    /// Whether something is there.
    pub fn exists(&self, path: &str) -> bool {
        self.note(|trace| {
            trace.looks.insert(path.to_owned());
        });
        self.inside(path).is_some_and(|place| place.exists())
    }

    /// The place a path leads to after all links, absolute inside the tree; absent if it leaves the tree.
    pub fn resolve(&self, path: &str) -> Option<Utf8PathBuf> {
        self.note(|trace| {
            trace.looks.insert(path.to_owned());
        });
        let real = self.path(path).canonicalize_utf8().ok()?;
        Some(Utf8Path::new("/").join(real.strip_prefix(&self.root).ok()?))
    }

    /// Last component of what a link points to: `.../driver` gives the driver's name.
    pub fn link_name(&self, path: &str) -> Option<String> {
        self.note(|trace| {
            trace.looks.insert(path.to_owned());
        });
        Some(
            self.path(path)
                .read_link_utf8()
                .ok()?
                .file_name()?
                .to_owned(),
        )
    }
}

/// Trims blanks, control characters and NUL bytes; empty is absent.
pub(crate) fn clean(text: &str) -> Option<String> {
    let text: String = text
        .chars()
        .filter(|character| *character != '\0')
        .collect();
    let text =
        text.trim_matches(|character: char| character.is_whitespace() || character.is_control());
    (!text.is_empty()).then(|| text.to_owned())
}
