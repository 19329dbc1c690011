//! Reads the guest's event lines as they come.

use std::io::Read as _;

use camino::Utf8PathBuf;
use run::event::Record;

/// A file that QEMU fills from the guest's event port.
#[derive(Debug)]
pub struct Events {
    path: Utf8PathBuf,
    file: Option<fs_err::File>,
    partial: Vec<u8>,
    /// Lines that are not events, for the report.
    pub strange: Vec<String>,
}

impl Events {
    pub(super) fn new(path: Utf8PathBuf) -> Self {
        Self {
            path,
            file: None,
            partial: Vec::new(),
            strange: Vec::new(),
        }
    }

    /// What came since the last call.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn poll(&mut self) -> std::io::Result<Vec<Record>> {
        if self.file.is_none() && self.path.exists() {
            self.file = Some(fs_err::File::open(&self.path)?);
        }
        let Some(file) = &mut self.file else {
            return Ok(Vec::new());
        };
        file.read_to_end(&mut self.partial)?;
        let Some(end) = self.partial.iter().rposition(|byte| *byte == b'\n') else {
            return Ok(Vec::new());
        };
        let rest = self.partial.split_off(end + 1);
        let whole = std::mem::replace(&mut self.partial, rest);
        let mut records = Vec::new();
        for line in String::from_utf8_lossy(&whole).lines() {
            match serde_json::from_str(line) {
                Ok(record) => records.push(record),
                Err(_) => self.strange.push(line.to_owned()),
            }
        }
        Ok(records)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn half_lines_wait_for_their_other_half() {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::try_from(directory.path().join("events")).unwrap();
        let mut events = Events::new(path.clone());
        assert!(events.poll().unwrap().is_empty());
        let mut file = fs_err::File::create(&path).unwrap();
        file.write_all(br#"{"sequence":0,"at":1,"event":"started","#)
            .unwrap();
        assert!(events.poll().unwrap().is_empty());
        file.write_all(b"\"step\":\"01\"}\nnoise\n").unwrap();
        let records = events.poll().unwrap();
        assert_eq!(records.len(), 1);
        assert_eq!(events.strange, ["noise"]);
    }
}
