//! The list of messages that every console folds: in memory for one console, in a file where several look at one machine. The
//! file is the recording, too.
//!
//! Lines are appended with one write each, which the kernel keeps apart (O_APPEND of open(2)); all consoles read them in the
//! same order, so no lock decides whose key counts: the list does.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    sync::{Arc, Mutex, PoisonError},
};

use camino::{Utf8Path, Utf8PathBuf};

use crate::message::{Line, Message};

/// The list.
#[derive(Debug, Clone)]
pub struct Log {
    memory: Arc<Mutex<Vec<Line>>>,
    file: Option<Utf8PathBuf>,
}

/// One reader's place in the list.
#[derive(Debug)]
pub struct Reader {
    log: Log,
    place: u64,
    torn: Vec<u8>,
}

impl Log {
    /// For one console.
    #[must_use]
    pub fn memory() -> Self {
        Self {
            memory: Arc::default(),
            file: None,
        }
    }

    /// For several, or to be kept. Only its owner may read it: a node file may hold a password hash.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn file(path: &Utf8Path) -> io::Result<Self> {
        open(path)?;
        Ok(Self {
            memory: Arc::default(),
            file: Some(path.to_owned()),
        })
    }

    /// Adds a line.
    pub fn append(&self, line: Line) {
        match &self.file {
            None => self
                .memory
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(line),
            Some(path) => {
                // A full tmpfs must not end the program: the line is lost, and so is the key.
                if let (Ok(mut file), Ok(mut text)) = (open(path), serde_json::to_vec(&line)) {
                    text.push(b'\n');
                    file.write_all(&text).ok();
                }
            }
        }
    }

    /// Reads from the beginning.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader {
            log: self.clone(),
            place: 0,
            torn: Vec::new(),
        }
    }
}

fn open(path: &Utf8Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
}

impl Reader {
    /// Lines since the last call.
    pub fn lines(&mut self) -> Vec<Line> {
        let Some(path) = &self.log.file else {
            let lines = self
                .log
                .memory
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let from = usize::try_from(self.place).unwrap_or(usize::MAX);
            let new = lines.get(from..).unwrap_or_default().to_vec();
            self.place = lines.len() as u64;
            return new;
        };
        let mut bytes = Vec::new();
        let read = File::open(path).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.place))?;
            file.read_to_end(&mut bytes)
        });
        self.place += read.unwrap_or(0) as u64;
        self.torn.append(&mut bytes);
        let Some(end) = self.torn.iter().rposition(|byte| *byte == b'\n') else {
            return Vec::new();
        };
        let rest = self.torn.split_off(end + 1);
        let whole = std::mem::replace(&mut self.torn, rest);
        parse(&String::from_utf8_lossy(&whole))
    }
}

/// Lines of a recording; what cannot be read is left out.
#[must_use]
pub fn parse(text: &str) -> Vec<Line> {
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// A recording that may leave the machine: without the console password's hash.
#[must_use]
pub fn redacted(lines: &[Line]) -> String {
    let mut text = String::new();
    for line in lines {
        let mut line = line.clone();
        if let Message::Begin { facts } = &mut line.message {
            **facts = facts.redacted();
        }
        if let Ok(json) = serde_json::to_string(&line) {
            text.push_str(&json);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;

    fn line(number: u64) -> Line {
        Line {
            from: "a".into(),
            at: number,
            message: Message::Key { key: Key::Enter },
        }
    }

    #[test]
    fn readers_see_the_same_list() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().join("log")).unwrap();
        for log in [Log::memory(), Log::file(&path).unwrap()] {
            let (mut first, mut second) = (log.reader(), log.reader());
            log.append(line(1));
            assert_eq!(first.lines(), [line(1)]);
            log.append(line(2));
            assert_eq!(first.lines(), [line(2)]);
            assert_eq!(first.lines(), []);
            assert_eq!(second.lines(), [line(1), line(2)]);
        }
    }

    #[test]
    fn a_torn_line_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().join("log")).unwrap();
        let log = Log::file(&path).unwrap();
        let mut reader = log.reader();
        let text = serde_json::to_string(&line(1)).unwrap();
        let (first, second) = text.split_at(10);
        let mut file = open(&path).unwrap();
        file.write_all(first.as_bytes()).unwrap();
        assert_eq!(reader.lines(), []);
        file.write_all(second.as_bytes()).unwrap();
        file.write_all(b"\n").unwrap();
        assert_eq!(reader.lines(), [line(1)]);
    }
}
