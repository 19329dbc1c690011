//! `install.json` on the state file system: how far the install of this machine got.

use std::collections::BTreeMap;

use camino::Utf8Path;
use plan::step::Replaced;
use serde::{Deserialize, Serialize};
use system::{System, SystemError};

/// File name below the state file system.
pub const FILE: &str = "install.json";

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallState {
    /// How far it got.
    pub state: Progress,
    /// Permit that was spent, if it was an unattended install.
    #[serde(default)]
    pub permit: Option<String>,
    /// Digest of the plan.
    pub plan: String,
    /// Role of the image.
    pub role: String,
    /// Version of the image.
    pub version: String,
    /// What lies in which slot.
    #[serde(default)]
    pub slots: BTreeMap<String, Slot>,
    /// Repairs since then, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repairs: Vec<Repair>,
}

/// One repair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repair {
    /// Permit that was spent, if it was unattended.
    #[serde(default)]
    pub permit: Option<String>,
    /// Digest of the repair's plan.
    pub plan: String,
    /// All its steps ended well.
    pub done: bool,
    /// Which disk came for which.
    pub replaced: Vec<Replaced>,
}

/// How far an install got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Progress {
    /// Begun, not finished: starts no role service.
    Incomplete,
    /// All steps done, not yet seen healthy.
    Unproven,
    /// Was healthy once.
    Installed,
    /// Written by a newer version.
    #[serde(other)]
    Unknown,
}

/// Content of one slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Version of the image.
    pub version: String,
    /// Bytes.
    pub size: u64,
    /// Digest, hexadecimal.
    pub sha256: String,
}

/// Why the file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum InstallStateError {
    /// It could not be read or written.
    #[error(transparent)]
    System(#[from] SystemError),
    /// It is not what this version writes.
    #[error("`{path}`: {cause}")]
    Content {
        /// Where.
        path: String,
        /// Why.
        cause: serde_json::Error,
    },
}

impl InstallState {
    /// Reads the file below a mounted state file system; absent if there is none.
    pub fn read(
        system: &dyn System,
        directory: &Utf8Path,
    ) -> Result<Option<Self>, InstallStateError> {
        let path = directory.join(FILE);
        let content = match system.read(&path) {
            Ok(content) => content,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        serde_json::from_slice(&content)
            .map(Some)
            .map_err(|cause| InstallStateError::Content {
                path: path.into_string(),
                cause,
            })
    }

    /// Replaces the file, whole or not at all.
    pub fn write(
        &self,
        system: &dyn System,
        directory: &Utf8Path,
    ) -> Result<(), InstallStateError> {
        let path = directory.join(FILE);
        let mut content =
            serde_json::to_vec_pretty(self).map_err(|cause| InstallStateError::Content {
                path: path.to_string(),
                cause,
            })?;
        content.push(b'\n');
        system.write(&path, &content, 0o644)?;
        Ok(())
    }
}
