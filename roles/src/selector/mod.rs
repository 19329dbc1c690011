//! The disk selector: which disks, and exactly how many. Matching lives in `plan::select`.

mod bay;
mod glob;
mod size;

use serde::{Deserialize, Serialize};

pub use bay::BaySet;
pub use glob::glob_matches;
pub use size::{SizeRange, parse_size};

/// A condition that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {what}: {why}")]
pub struct SelectorError {
    /// What was written.
    pub text: String,
    /// What it should be: `a size`, `a bay`.
    pub what: &'static str,
    /// What is wrong with it.
    pub why: String,
    /// What a right form looks like.
    pub hint: &'static str,
}

impl SelectorError {
    fn size(text: &str, why: &str) -> Self {
        Self {
            text: text.to_owned(),
            what: "a size",
            why: why.to_owned(),
            hint: "write `200 GB..` (at least), `..1 TB` (at most), `7 TB..9 TB` or `8 TB` (within 5 %)",
        }
    }

    fn bay(text: &str, why: &str) -> Self {
        Self {
            text: text.to_owned(),
            what: "a bay",
            why: why.to_owned(),
            hint: "write `front:3`, `rear:0` or `front:0-23`",
        }
    }
}

/// Conditions a disk must meet. All given conditions must hold; a disk that lacks a property does not match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Selector {
    /// Bay, as `front:3` or `rear:0` or `front:0-23`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bay: Option<String>,
    /// Glob over the full model name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Glob over the vendor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// Exact serial numbers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub serial: Vec<String>,
    /// Exact world wide names, `0x` and 16 hexadecimal digits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub wwn: Vec<String>,
    /// `200 GB..` (at least), `..1 TB` (at most), `7 TB..9 TB`, or `8 TB` (within 5 %). Decimal units GB/TB, binary GiB/TiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// Spinning disk or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotational: Option<bool>,
    /// Any of these transports.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub transport: Vec<Transport>,
    /// Logical sector size in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sector: Option<u32>,
    /// Glob over a `/dev/disk/by-path` name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// PCI address of the host bus adapter (glob).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hba: Option<String>,
}

impl Selector {
    /// A selector without any condition would match every disk; such a selector is an error in a file.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The size condition, parsed.
    ///
    /// # Errors
    /// The text is not a size condition.
    pub fn size_range(&self) -> Result<Option<SizeRange>, SelectorError> {
        self.size.as_deref().map(SizeRange::parse).transpose()
    }

    /// The bay condition, parsed.
    ///
    /// # Errors
    /// The text is not a bay condition.
    pub fn bay_set(&self) -> Result<Option<BaySet>, SelectorError> {
        self.bay.as_deref().map(BaySet::parse).transpose()
    }
}

/// How a disk is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Serial ATA.
    Sata,
    /// Serial attached SCSI.
    Sas,
    /// NVM Express.
    Nvme,
    /// Universal serial bus: never an install disk.
    Usb,
    /// virtio block or virtio SCSI.
    Virtio,
    /// Anything else.
    #[serde(other)]
    Unknown,
}
