//! `root.json` (which root image belongs to this kernel and initrd) and `boot.json` (what was found).
//!
//! The contract is in docs/architecture.md; crate `run` reads `boot.json` with a struct of its own.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::command_line::{Mode, Slot};

/// `/rackwright/root.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootImage {
    /// Role of the image.
    pub role: String,
    /// Version of the image.
    pub version: String,
    /// Bytes of the root image.
    pub size: u64,
    /// SHA-256 of the root image, hexadecimal.
    pub sha256: String,
    /// Kernel release.
    pub kernel: String,
}

/// Reads `root.json`.
pub fn parse_root(text: &str) -> Result<RootImage> {
    serde_json::from_str(text).context("`/rackwright/root.json` in the initrd is damaged")
}

/// `/run/rackwright/boot.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BootFacts {
    /// What the machine is booted for.
    pub mode: Mode,
    /// Disk or CD the live system came from; none when it came by network.
    pub medium: Option<String>,
    /// Device the root image is mounted from.
    pub root_device: String,
    /// The image.
    pub root: RootImage,
    /// md device of the running appliance.
    pub array: Option<String>,
    /// Slot of the running appliance.
    pub slot: Option<Slot>,
    /// Node file that was embedded in the image.
    pub node_file: Option<String>,
    /// What was not as it should be.
    pub warnings: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_facts_are_the_sample_of_the_architecture() {
        let facts = BootFacts {
            mode: Mode::Run,
            medium: None,
            root_device: "/dev/md127p1".into(),
            root: parse_root(
                r#"{"role": "lb", "version": "0.1.0", "size": 4096, "sha256": "00", "kernel": "6.12", "later": 1}"#,
            )
            .unwrap(),
            array: Some("/dev/md127".into()),
            slot: Some(Slot::A),
            node_file: None,
            warnings: vec!["array started degraded: 1 of 2 members".into()],
        };
        insta::assert_snapshot!(serde_json::to_string(&facts).unwrap(), @r#"{"mode":"run","medium":null,"root_device":"/dev/md127p1","root":{"role":"lb","version":"0.1.0","size":4096,"sha256":"00","kernel":"6.12"},"array":"/dev/md127","slot":"a","node_file":null,"warnings":["array started degraded: 1 of 2 members"]}"#);
    }

    #[test]
    fn a_damaged_root_file() {
        assert_eq!(
            parse_root("{").unwrap_err().to_string(),
            "`/rackwright/root.json` in the initrd is damaged"
        );
    }
}
