//! What a run wrote down of each machine, so that the next one goes on: `DIR/NODE.json`, written before and after its power is
//! switched.

use std::io::Write;

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};

use super::Stage;

/// A folder of records, held by one run at a time.
pub struct Records {
    folder: Utf8PathBuf,
    _lock: std::fs::File,
}

impl Records {
    /// Takes the folder for this run, and makes it if need be.
    ///
    /// # Errors
    /// Another run has it, or it cannot be made.
    pub fn open(folder: &Utf8Path) -> Result<Self> {
        fs_err::create_dir_all(folder)?;
        let lock: std::fs::File = fs_err::OpenOptions::new()
            .create(true)
            .append(true)
            .open(folder.join(".lock"))?
            .into_parts()
            .0;
        if lock.try_lock().is_err() {
            bail!(
                "another `rackwright provision` works with `{folder}`\nhint: wait for it, or give another folder with `--state DIR`"
            );
        }
        Ok(Self {
            folder: folder.to_owned(),
            _lock: lock,
        })
    }

    /// What was written down; nothing is [`Stage::New`].
    ///
    /// # Errors
    /// It is damaged: then it is not known whether the machine may be switched.
    pub fn read(&self, node: &str) -> Result<Stage> {
        let path = self.path(node);
        match std::fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).with_context(|| {
                format!("`{path}` is damaged\nhint: remove it if `{node}` may be started anew")
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Stage::New),
            Err(error) => Err(error).with_context(|| format!("cannot read `{path}`")),
        }
    }

    /// Writes it down, whole or not at all, and on disk before this returns.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, node: &str, stage: Stage) -> Result<()> {
        let path = self.path(node);
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(serde_json::to_string(&stage)?.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(&path)
            .with_context(|| format!("cannot write `{path}`"))?;
        fs_err::File::open(&self.folder)?.sync_all()?;
        Ok(())
    }

    fn path(&self, node: &str) -> Utf8PathBuf {
        self.folder.join(format!("{node}.json"))
    }
}
