//! The log on disk: one line for each record, `<digest> <JSON>`, each with the digest of the one before. A record counts once
//! its line is on the disk (fsync); a line that a crash left half is none.

use std::io::{Read, Seek, SeekFrom, Write};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err::{File, OpenOptions};

use crate::record::{DIGEST, Entry, Record, State, digest};

const FILE: &str = "claims.log";
/// Lines after which everything is written anew as one.
const LINES: usize = 10_000;

/// Why the log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Reading or writing.
    #[error("the claim store: {0}")]
    Io(#[from] std::io::Error),
    /// Another process has it.
    #[error("the claim store `{0}` is in use by another process")]
    Locked(Utf8PathBuf),
    /// Not what was written.
    #[error(
        "the claim store `{path}` is damaged in line {line}: {reason}\n\
         hint: promote the other control server, then remove this file: it is copied from there"
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
    #[error(
        "the claim store could not be written before: nothing is accepted until it is restarted"
    )]
    Broken,
}

/// A line and what it says.
#[derive(Debug, Clone)]
struct Line {
    text: String,
    digest: String,
    entry: Entry,
}

/// The log, open and locked.
#[derive(Debug)]
pub struct Log {
    folder: Utf8PathBuf,
    file: File,
    lines: Vec<Line>,
    broken: bool,
}

impl Log {
    /// Opens or makes the log of a folder.
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
            return Err(LogError::Locked(path));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let found = read(&bytes).and_then(|found| begins(&found.0).map(|()| found));
        let (lines, whole) = found.map_err(|(line, reason)| LogError::Damaged {
            path: path.clone(),
            line,
            reason,
        })?;
        if whole < bytes.len() {
            // The crash came before the answer: nobody was told that this counts.
            tracing::warn!("the last line of `{path}` is not whole and is dropped");
            let end = u64::try_from(whole).unwrap_or(u64::MAX);
            file.file().set_len(end)?;
            file.seek(SeekFrom::End(0))?;
        }
        file.sync_all()?;
        File::open(folder)?.sync_all()?;
        let mut state = State::default();
        for line in &lines {
            state.apply(line.entry.at, &line.entry.change);
        }
        let log = Self {
            folder: folder.to_owned(),
            file,
            lines,
            broken: false,
        };
        Ok((log, state))
    }

    /// Number and digest of the last record; 0 and nothing before the first.
    #[must_use]
    pub fn last(&self) -> (u64, &str) {
        self.lines
            .last()
            .map_or((0, ""), |line| (line.entry.number, line.digest.as_str()))
    }

    /// The lines after a record, each with its line feed; absent where the other's record is not one of ours: it was forgotten
    /// since, or histories differ.
    #[must_use]
    pub fn after(&self, number: u64, digest: &str) -> Option<String> {
        let first = self.lines.first().map_or(1, |line| line.entry.number);
        let from = if number == 0 && first == 1 {
            0
        } else {
            let at = usize::try_from(number.checked_sub(first)?).ok()?;
            if self.lines.get(at)?.digest != digest {
                return None;
            }
            at + 1
        };
        Some(text(self.lines.get(from..)?))
    }

    /// All lines.
    #[must_use]
    pub fn all(&self) -> String {
        text(&self.lines)
    }

    /// Writes one record. It is on the disk when this returns.
    ///
    /// # Errors
    /// It could not be written; then nothing more is, until the log is opened anew.
    pub fn append(&mut self, at: u64, change: Record) -> Result<(), LogError> {
        let (number, before) = self.last();
        let entry = Entry {
            number: number.saturating_add(1),
            at,
            before: before.to_owned(),
            change,
        };
        let json = serde_json::to_string(&entry).map_err(std::io::Error::from)?;
        let line = Line {
            digest: digest(&json),
            text: json,
            entry,
        };
        self.write(vec![line])
    }

    /// Takes lines from the active server over: `None` if they do not go on from our last one.
    ///
    /// # Errors
    /// They are damaged or cannot be written.
    pub fn follow(&mut self, lines: &str) -> Result<Vec<Entry>, LogError> {
        let lines = self.received(lines)?;
        let (number, before) = self.last();
        let goes_on = lines.first().is_none_or(|line| {
            line.entry.number == number.saturating_add(1) && line.entry.before == before
        });
        if !goes_on {
            return Err(self.damaged(1, "it does not go on from the last record here"));
        }
        let entries = lines.iter().map(|line| line.entry.clone()).collect();
        self.write(lines)?;
        Ok(entries)
    }

    /// Takes the active server's whole log in place of this one, which is kept beside it.
    ///
    /// # Errors
    /// It is damaged or cannot be written.
    pub fn replace(&mut self, lines: &str, now: u64) -> Result<State, LogError> {
        let lines = self.received(lines)?;
        begins(&lines).map_err(|(line, reason)| self.damaged(line, reason))?;
        if !self.lines.is_empty() {
            let kept = self.folder.join(format!("claims.log.until-{now}"));
            fs_err::copy(self.folder.join(FILE), kept)?;
        }
        let mut state = State::default();
        for line in &lines {
            state.apply(line.entry.at, &line.entry.change);
        }
        self.rewrite(lines)?;
        Ok(state)
    }

    /// Whether it has become long.
    #[must_use]
    pub fn is_long(&self) -> bool {
        self.lines.len() >= LINES
    }

    fn received(&self, text: &str) -> Result<Vec<Line>, LogError> {
        let (lines, whole) =
            read(text.as_bytes()).map_err(|(line, reason)| self.damaged(line, reason))?;
        if whole < text.len() {
            return Err(self.damaged(lines.len() + 1, "it is not whole"));
        }
        Ok(lines)
    }

    fn damaged(&self, line: usize, reason: &'static str) -> LogError {
        LogError::Damaged {
            path: Utf8PathBuf::from(format!("{} from the active server", self.folder)),
            line,
            reason,
        }
    }

    fn write(&mut self, lines: Vec<Line>) -> Result<(), LogError> {
        if self.broken {
            return Err(LogError::Broken);
        }
        let written = self
            .file
            .write_all(text(&lines).as_bytes())
            .and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // After a failed fsync the page cache may say otherwise than the disk: only reading anew tells.
            self.broken = true;
            return Err(error.into());
        }
        self.lines.extend(lines);
        // What stands before a whole state is not needed.
        let whole = self
            .lines
            .iter()
            .rposition(|line| matches!(line.entry.change, Record::Whole(_)));
        match whole {
            Some(at) if at > 0 => {
                let rest = self.lines.split_off(at);
                self.rewrite(rest)
            }
            _ => Ok(()),
        }
    }

    fn rewrite(&mut self, lines: Vec<Line>) -> Result<(), LogError> {
        let path = self.folder.join(FILE);
        let new = self.folder.join(format!("{FILE}.new"));
        let rewritten = (|| {
            let mut file = OpenOptions::new()
                .read(true)
                .append(true)
                .create(true)
                .open(&new)?;
            file.file().set_len(0)?;
            if file.file().try_lock().is_err() {
                return Err(LogError::Locked(new.clone()));
            }
            file.write_all(text(&lines).as_bytes())?;
            file.sync_all()?;
            fs_err::rename(&new, &path)?;
            File::open(&self.folder)?.sync_all()?;
            Ok(file)
        })();
        match rewritten {
            Ok(file) => {
                self.file = file;
                self.lines = lines;
                Ok(())
            }
            Err(error) => {
                self.broken = true;
                Err(error)
            }
        }
    }
}

fn text(lines: &[Line]) -> String {
    let mut text = String::new();
    for line in lines {
        text.push_str(&line.digest);
        text.push(' ');
        text.push_str(&line.text);
        text.push('\n');
    }
    text
}

/// A whole log begins with the first record or with all that was before.
fn begins(lines: &[Line]) -> Result<(), (usize, &'static str)> {
    match lines.first() {
        Some(Line { entry, .. })
            if entry.number != 1 && !matches!(entry.change, Record::Whole(_)) =>
        {
            Err((1, "the beginning is missing"))
        }
        _ => Ok(()),
    }
}

/// Lines, and how many bytes are whole ones. Only the last may be broken; the error names the line and what is wrong.
fn read(bytes: &[u8]) -> Result<(Vec<Line>, usize), (usize, &'static str)> {
    let mut lines: Vec<Line> = Vec::new();
    let mut whole = 0;
    while let Some(rest) = bytes.get(whole..).filter(|rest| !rest.is_empty()) {
        let Some(length) = rest.iter().position(|byte| *byte == b'\n') else {
            break;
        };
        let is_last = length + 1 == rest.len();
        let number = lines.len() + 1;
        let Some((sum, json)) = rest.get(..length).and_then(summed) else {
            if is_last {
                break;
            }
            return Err((number, "the checksum is wrong"));
        };
        // Whole, and yet not understood: a newer version wrote it, and dropping it would forget what was promised.
        let entry = serde_json::from_str(json)
            .map_err(|_| (number, "this version does not know such a record"))?;
        let line = Line {
            digest: sum.to_owned(),
            text: json.to_owned(),
            entry,
        };
        if let Some(before) = lines.last()
            && (line.entry.before != before.digest
                || line.entry.number != before.entry.number.saturating_add(1))
        {
            return Err((number, "it does not follow the line before"));
        }
        lines.push(line);
        whole += length + 1;
    }
    Ok((lines, whole))
}

/// Digest and JSON of a line whose digest is right.
fn summed(bytes: &[u8]) -> Option<(&str, &str)> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (sum, json) = text.split_at_checked(DIGEST)?;
    let json = json.strip_prefix(' ')?;
    (digest(json) == sum).then_some((sum, json))
}
