//! udev's record of a device (`/run/udev/data/b8:0`), read without libudev. Lines are `E:KEY=value` (properties) and
//! `S:disk/by-path/...` (links below `/dev`).

use super::tree::Tree;

/// One record; empty where udev has not run.
#[derive(Debug, Clone, Default)]
pub struct Record {
    properties: Vec<(String, String)>,
    links: Vec<String>,
}

impl Record {
    /// Record of a block device.
    pub fn of_block(tree: &Tree, (major, minor): (u32, u32)) -> Self {
        let content = tree
            .bytes(&format!("/run/udev/data/b{major}:{minor}"))
            .unwrap_or_default();
        Self::parse(&String::from_utf8_lossy(&content))
    }

    fn parse(text: &str) -> Self {
        let mut record = Self::default();
        for line in text.lines() {
            match line.split_once(':') {
                Some(("E", property)) => {
                    if let Some((key, value)) = property.split_once('=') {
                        record.properties.push((key.to_owned(), value.to_owned()));
                    }
                }
                Some(("S", link)) => record.links.push(link.to_owned()),
                _ => {}
            }
        }
        record
    }

    /// A property that is not empty.
    pub fn property(&self, key: &str) -> Option<&str> {
        self.properties
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.trim())
            .filter(|value| !value.is_empty())
    }

    /// Name below `/dev/disk/by-path`.
    pub fn by_path(&self) -> Option<&str> {
        self.links
            .iter()
            .find_map(|link| link.strip_prefix("disk/by-path/"))
            .or_else(|| self.property("ID_PATH"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record() {
        let record = Record::parse(
            "S:disk/by-id/wwn-0x5000cca261280e68\nS:disk/by-path/pci-0000:02:00.0-sas-exp0x500-phy3-lun-0\nE:ID_SERIAL_SHORT=VJGR0XDX\nE:EMPTY=\nV:1\n",
        );
        assert_eq!(
            record.by_path(),
            Some("pci-0000:02:00.0-sas-exp0x500-phy3-lun-0")
        );
        assert_eq!(record.property("ID_SERIAL_SHORT"), Some("VJGR0XDX"));
        assert_eq!(record.property("EMPTY"), None);
    }
}
