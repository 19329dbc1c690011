//! The depot's memory on disk: one line for each change, `<sum> <time> <JSON>`. A change counts once its line is on the disk
//! (fsync); a line that a crash left half is none, and any other damage stops the start.
//!
//! The authority's log (`installer/authority/src/log.rs`) chains its lines, because another server copies them; nobody copies
//! these, and a sum for each line is enough.

use std::io::{Read, Seek, SeekFrom, Write};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err::{File, OpenOptions};
use sha2::{Digest, Sha256};

use crate::record::{Change, State};

const FILE: &str = "depot.log";
/// Hexadecimal digits of a line's sum.
const SUM: usize = 16;
/// Lines after which everything is written anew as one.
const LINES: usize = 20_000;

/// Why the log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Reading or writing.
    #[error("the depot's memory: {0}")]
    Io(#[from] std::io::Error),
    /// Another process has it.
    #[error("another depot uses `{0}`\nhint: stop it, or name another folder with `--state`")]
    Locked(Utf8PathBuf),
    /// Not what was written.
    #[error(
        "`{path}` is damaged in line {line}: {reason}\n\
         hint: move it away to begin anew: no machine then has a permit, and none is installed without one"
    )]
    Damaged {
        /// File.
        path: Utf8PathBuf,
        /// Counts from 1.
        line: usize,
        /// What.
        reason: &'static str,
    },
    /// A write failed before; what is on the disk is not known.
    #[error("the depot's memory could not be written before: it must be started again")]
    Broken,
}

/// The log, open and locked.
#[derive(Debug)]
pub struct Log {
    folder: Utf8PathBuf,
    file: File,
    lines: usize,
    broken: bool,
}

impl Log {
    /// Opens or makes the log of a folder, and folds it.
    ///
    /// # Errors
    /// It cannot be read, is damaged, or another process has it.
    pub fn open(folder: &Utf8Path) -> Result<(Self, State), LogError> {
        fs_err::create_dir_all(folder)?;
        let path = folder.join(FILE);
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)?;
        if file.file().try_lock().is_err() {
            return Err(LogError::Locked(folder.to_owned()));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let mut state = State::default();
        let (lines, whole) =
            fold(&bytes, &mut state).map_err(|(line, reason)| LogError::Damaged {
                path: path.clone(),
                line,
                reason,
            })?;
        if whole < bytes.len() {
            // The crash came before the answer: nobody was told that this counts.
            tracing::warn!("the last line of `{path}` is not whole and is dropped");
            file.file()
                .set_len(u64::try_from(whole).unwrap_or(u64::MAX))?;
            file.seek(SeekFrom::End(0))?;
        }
        file.sync_all()?;
        File::open(folder)?.sync_all()?;
        let log = Self {
            folder: folder.to_owned(),
            file,
            lines,
            broken: false,
        };
        Ok((log, state))
    }

    /// Writes one change, which has happened at this time. It is on the disk when this returns. `state`: after it.
    ///
    /// # Errors
    /// It could not be written; then nothing more is, until the log is opened anew.
    pub fn append(&mut self, at: u64, change: &Change, state: &State) -> Result<(), LogError> {
        if self.broken {
            return Err(LogError::Broken);
        }
        let written = line(at, change).and_then(|line| {
            self.file.write_all(line.as_bytes())?;
            self.file.sync_data()
        });
        if let Err(error) = written {
            // After a failed fsync the page cache may say otherwise than the disk: only reading anew tells.
            self.broken = true;
            return Err(error.into());
        }
        self.lines += 1;
        if self.lines >= LINES {
            self.rewrite(at, state)?;
        }
        Ok(())
    }

    fn rewrite(&mut self, at: u64, state: &State) -> Result<(), LogError> {
        let path = self.folder.join(FILE);
        let new = self.folder.join(format!("{FILE}.new"));
        let whole = Change::Whole {
            state: state.clone(),
        };
        let rewritten = (|| {
            let mut file = OpenOptions::new()
                .read(true)
                .append(true)
                .create(true)
                .open(&new)?;
            file.file().set_len(0)?;
            if file.file().try_lock().is_err() {
                return Err(LogError::Locked(self.folder.clone()));
            }
            file.write_all(line(at, &whole)?.as_bytes())?;
            file.sync_all()?;
            fs_err::rename(&new, &path)?;
            File::open(&self.folder)?.sync_all()?;
            Ok(file)
        })();
        match rewritten {
            Ok(file) => {
                self.file = file;
                self.lines = 1;
                Ok(())
            }
            Err(error) => {
                self.broken = true;
                Err(error)
            }
        }
    }
}

fn sum(text: &str) -> String {
    let mut digest = hex::encode(Sha256::digest(text));
    digest.truncate(SUM);
    digest
}

fn line(at: u64, change: &Change) -> std::io::Result<String> {
    let text = format!("{at} {}", serde_json::to_string(change)?);
    Ok(format!("{} {text}\n", sum(&text)))
}

/// Lines, and how many bytes are whole ones. Only the last may be broken; the error names the line and what is wrong.
fn fold(bytes: &[u8], state: &mut State) -> Result<(usize, usize), (usize, &'static str)> {
    let (mut lines, mut whole) = (0, 0);
    while let Some(rest) = bytes.get(whole..).filter(|rest| !rest.is_empty()) {
        let Some(length) = rest.iter().position(|byte| *byte == b'\n') else {
            break;
        };
        let is_last = length + 1 == rest.len();
        let Some((at, json)) = rest.get(..length).and_then(summed) else {
            if is_last {
                break;
            }
            return Err((lines + 1, "the sum is wrong"));
        };
        let change = serde_json::from_str(json)
            .map_err(|_| (lines + 1, "this version does not know such a change"))?;
        state.apply(at, &change);
        lines += 1;
        whole += length + 1;
    }
    Ok((lines, whole))
}

/// Time and JSON of a line whose sum is right.
fn summed(bytes: &[u8]) -> Option<(u64, &str)> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (found, text) = text.split_at_checked(SUM)?;
    let text = text.strip_prefix(' ')?;
    let (at, json) = text.split_once(' ')?;
    (sum(text) == found).then_some((at.parse().ok()?, json))
}
