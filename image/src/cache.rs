//! Content-addressed cache: an entry's name is the digest of what went in, and an entry exists only when it is whole.
//!
//! An entry is made under `tmp/`, synced, and renamed to its name. A builder that is killed half way leaves only something
//! under `tmp/`, which the next builder of that entry removes. A lock file per entry keeps two builders apart; the kernel
//! drops the lock when its holder dies.

use std::fs::{File, TryLockError};

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Layout of the cache; another number, another folder.
const FORMAT: &str = "v1";

/// Names an entry: stage and sha256 of the stage's inputs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Key {
    /// `tools`, `base`, ...
    pub stage: &'static str,
    /// Hexadecimal sha256.
    pub digest: String,
}

impl Key {
    /// The key of `stage` made from `inputs`. The inputs must serialise the same way every time (no hash maps).
    pub fn new<T: Serialize + ?Sized>(stage: &'static str, inputs: &T) -> Self {
        // Serialising plain data to JSON cannot fail; if it ever does, the text of the error still makes a key.
        let text =
            serde_json::to_vec(inputs).unwrap_or_else(|error| error.to_string().into_bytes());
        let mut hasher = Sha256::new();
        hasher.update(stage.as_bytes());
        hasher.update([0]);
        hasher.update(text);
        Key {
            stage,
            digest: hex::encode(hasher.finalize()),
        }
    }

    /// First 12 digits, for people.
    pub fn short(&self) -> &str {
        &self.digest[..12]
    }

    fn name(&self) -> String {
        format!("{}-{}", self.stage, self.digest)
    }
}

/// What is written beside an entry's content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Stage name.
    pub stage: String,
    /// Digest of the inputs.
    pub digest: String,
    /// The inputs themselves, so that a person can see why two entries differ.
    pub inputs: serde_json::Value,
}

/// A line of `rackwright cache list`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Listed {
    /// Stage name.
    pub stage: String,
    /// Digest of the inputs.
    pub digest: String,
    /// Bytes on disk.
    pub bytes: u64,
    /// Seconds since 1970 when it was last used.
    pub used: u64,
}

/// The cache in one folder.
#[derive(Debug, Clone)]
pub struct Cache {
    root: Utf8PathBuf,
}

impl Cache {
    /// Opens the cache below `root`, making the folders.
    pub fn open(root: &Utf8Path) -> Result<Self> {
        let root = root.join(FORMAT);
        for folder in ["entries", "tmp", "locks"] {
            fs_err::create_dir_all(root.join(folder)).context("cannot make the cache")?;
        }
        Ok(Cache { root })
    }

    /// Where the cache keeps things that are not entries, such as the default snapshot.
    pub fn root(&self) -> &Utf8Path {
        &self.root
    }

    /// The whole entry of this key, if there is one.
    pub fn find(&self, key: &Key) -> Option<Utf8PathBuf> {
        let path = self.root.join("entries").join(key.name());
        // The rename is what makes an entry; the file is looked at too because a copy of a cache may be cut short.
        if !path.join("entry.json").is_file() {
            return None;
        }
        if let Ok(file) = File::open(path.join("entry.json")) {
            let _ = file.set_modified(std::time::SystemTime::now());
        }
        Some(path)
    }

    /// The entry of this key; if there is none, `fill` makes it in an empty folder. Returns its folder, and whether it was
    /// made now.
    pub fn make<T: Serialize + ?Sized>(
        &self,
        key: &Key,
        inputs: &T,
        fill: impl FnOnce(&Utf8Path) -> Result<()>,
    ) -> Result<(Utf8PathBuf, bool)> {
        if let Some(found) = self.find(key) {
            return Ok((found, false));
        }
        let lock = self.lock(key)?;
        lock.lock()
            .with_context(|| format!("cannot lock cache entry `{}`", key.name()))?;
        // Another builder may have made it while this one waited.
        if let Some(found) = self.find(key) {
            return Ok((found, false));
        }
        let temporary = self.root.join("tmp").join(key.name());
        let path = self.root.join("entries").join(key.name());
        for stale in [&temporary, &path] {
            remove(stale)?;
        }
        fs_err::create_dir_all(&temporary)?;
        if let Err(error) = fill(&temporary) {
            // What went wrong is what matters; a rest is removed by the next builder anyway.
            let _ = remove(&temporary);
            return Err(error);
        }
        let entry = Entry {
            stage: key.stage.to_owned(),
            digest: key.digest.clone(),
            inputs: serde_json::to_value(inputs)?,
        };
        fs_err::write(
            temporary.join("entry.json"),
            serde_json::to_vec_pretty(&entry)?,
        )?;
        let folder = fs_err::File::open(&temporary)?;
        // One syncfs(2) instead of an fsync per file: an entry has tens of thousands.
        nix::unistd::syncfs(folder.file()).context("cannot sync the cache")?;
        fs_err::rename(&temporary, &path)?;
        Ok((path, true))
    }

    /// Every entry, largest first.
    pub fn list(&self) -> Result<Vec<Listed>> {
        let mut list = Vec::new();
        for path in children(&self.root.join("entries"))? {
            let Ok(text) = fs_err::read_to_string(path.join("entry.json")) else {
                continue;
            };
            let Ok(entry) = serde_json::from_str::<Entry>(&text) else {
                continue;
            };
            let used = fs_err::metadata(path.join("entry.json"))?
                .modified()
                .ok()
                .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
                .map_or(0, |age| age.as_secs());
            list.push(Listed {
                stage: entry.stage,
                digest: entry.digest,
                bytes: size(&path)?,
                used,
            });
        }
        list.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.digest.cmp(&b.digest)));
        Ok(list)
    }

    /// Removes entries last used before `before` (seconds since 1970), and what killed builders left. Entries and rests
    /// in use by another builder stay. Returns the bytes freed.
    pub fn clean(&self, before: u64) -> Result<u64> {
        let mut freed = 0;
        for listed in self
            .list()?
            .into_iter()
            .filter(|listed| listed.used < before)
        {
            let name = format!("{}-{}", listed.stage, listed.digest);
            freed += self.remove_unlocked(&name, &self.root.join("entries").join(&name))?;
        }
        for path in children(&self.root.join("tmp"))? {
            let name = path.file_name().unwrap_or_default().to_owned();
            freed += self.remove_unlocked(&name, &path)?;
        }
        Ok(freed)
    }

    fn remove_unlocked(&self, name: &str, path: &Utf8Path) -> Result<u64> {
        let lock = open_lock(&self.root.join("locks").join(name))?;
        match lock.try_lock() {
            Ok(()) => {
                let bytes = size(path)?;
                remove(path)?;
                Ok(bytes)
            }
            Err(TryLockError::WouldBlock) => Ok(0),
            Err(TryLockError::Error(error)) => Err(error).context("cannot lock a cache entry"),
        }
    }

    fn lock(&self, key: &Key) -> Result<File> {
        open_lock(&self.root.join("locks").join(key.name()))
    }
}

fn open_lock(path: &Utf8Path) -> Result<File> {
    Ok(fs_err::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)?
        .into_parts()
        .0)
}

/// Removes a folder or file; one that is not there is fine.
pub fn remove(path: &Utf8Path) -> Result<()> {
    let result = match fs_err::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs_err::remove_dir_all(path),
        Ok(_) => fs_err::remove_file(path),
        Err(_) => Ok(()),
    };
    result.with_context(|| format!("cannot remove `{path}`"))
}

fn children(folder: &Utf8Path) -> Result<Vec<Utf8PathBuf>> {
    let mut paths = Vec::new();
    for entry in folder
        .read_dir_utf8()
        .with_context(|| format!("cannot read `{folder}`"))?
    {
        paths.push(entry?.into_path());
    }
    paths.sort();
    Ok(paths)
}

/// Bytes of all files below `path`.
pub fn size(path: &Utf8Path) -> Result<u64> {
    let metadata = fs_err::symlink_metadata(path)?;
    if !metadata.is_dir() {
        return Ok(metadata.len());
    }
    children(path)?.iter().map(|child| size(child)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> (tempfile::TempDir, Cache) {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(Utf8Path::from_path(folder.path()).unwrap()).unwrap();
        (folder, cache)
    }

    fn fill(text: &'static str) -> impl FnOnce(&Utf8Path) -> Result<()> {
        move |folder| Ok(fs_err::write(folder.join("file"), text)?)
    }

    #[test]
    fn made_once_then_found() {
        let (_folder, cache) = cache();
        let key = Key::new("base", &["a"]);
        let (path, made) = cache.make(&key, &["a"], fill("one")).unwrap();
        assert!(made);
        let (again, made) = cache
            .make(&key, &["a"], |_| panic!("must not be made twice"))
            .unwrap();
        assert_eq!((again, made), (path.clone(), false));
        assert_eq!(fs_err::read_to_string(path.join("file")).unwrap(), "one");
    }

    #[test]
    fn what_a_killed_builder_left_is_never_used() {
        let (_folder, cache) = cache();
        let key = Key::new("base", &["a"]);
        // Killed while filling.
        let temporary = cache.root.join("tmp").join(key.name());
        fs_err::create_dir_all(&temporary).unwrap();
        fs_err::write(temporary.join("half"), "half").unwrap();
        assert_eq!(cache.find(&key), None);
        let (path, made) = cache.make(&key, &["a"], fill("whole")).unwrap();
        assert!(made);
        assert!(!path.join("half").exists());
        // An entry without its seal, as a copy that was cut short leaves it.
        fs_err::remove_file(path.join("entry.json")).unwrap();
        assert_eq!(cache.find(&key), None);
        assert!(cache.make(&key, &["a"], fill("again")).unwrap().1);
    }

    #[test]
    fn a_failed_fill_leaves_nothing() {
        let (_folder, cache) = cache();
        let key = Key::new("base", &["a"]);
        let failed = cache.make(&key, &["a"], |folder| {
            fs_err::write(folder.join("half"), "half")?;
            anyhow::bail!("no space left on device")
        });
        assert_eq!(failed.unwrap_err().to_string(), "no space left on device");
        assert_eq!(cache.find(&key), None);
        assert_eq!(
            children(&cache.root.join("tmp")).unwrap(),
            Vec::<Utf8PathBuf>::new()
        );
    }

    #[test]
    fn clean_removes_old_entries_and_rests_but_nothing_in_use() {
        let (_folder, cache) = cache();
        let (old, used) = (Key::new("base", &["old"]), Key::new("base", &["used"]));
        for key in [&old, &used] {
            cache.make(key, &["x"], fill("x")).unwrap();
        }
        let lock = cache.lock(&used).unwrap();
        lock.lock().unwrap();
        fs_err::create_dir_all(cache.root.join("tmp/role-dead")).unwrap();
        cache.clean(u64::MAX).unwrap();
        assert_eq!(cache.find(&old), None);
        assert!(cache.find(&used).is_some());
        assert!(!cache.root.join("tmp/role-dead").exists());
    }

    #[test]
    fn a_key_depends_on_stage_and_inputs_only() {
        assert_eq!(Key::new("base", &["a"]), Key::new("base", &["a"]));
        assert_ne!(Key::new("base", &["a"]), Key::new("role", &["a"]));
        assert_ne!(Key::new("base", &["a"]), Key::new("base", &["b"]));
    }
}
