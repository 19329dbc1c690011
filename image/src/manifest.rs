//! `manifest.json`: every file of an image with size and sha256, every package, and what it was made from.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use camino::Utf8Path;
use serde::{Deserialize, Serialize};

use crate::payload::PayloadEntry;
use crate::recipe::Package;
use crate::snapshot::sha256;

/// What lies in `out/<role>/<version>/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Format of this file, `1`.
    pub format: u32,
    /// Role name.
    pub role: String,
    /// Version of the image.
    pub version: String,
    /// Source revision, if it is known.
    pub source: Option<String>,
    /// Kernel version.
    pub kernel: String,
    /// Seconds since 1970 of the package index.
    pub epoch: u64,
    /// Digest of everything that went in: the same key, the same image.
    pub key: String,
    /// File name to what it is.
    pub files: BTreeMap<String, FileEntry>,
    /// Every package in the root, the kernel's too.
    pub packages: Vec<PackageEntry>,
    /// What its owner supplied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub payloads: Vec<PayloadEntry>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Bytes.
    pub size: u64,
    /// Hexadecimal.
    pub sha256: String,
}

/// One package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageEntry {
    /// Package name.
    pub name: String,
    /// Version with epoch.
    pub version: String,
    /// `amd64` or `all`.
    pub architecture: String,
    /// sha256 of the deb, hexadecimal.
    pub sha256: String,
}

impl From<&Package> for PackageEntry {
    fn from(package: &Package) -> Self {
        PackageEntry {
            name: package.name.clone(),
            version: package.version.clone(),
            architecture: package.architecture.clone(),
            sha256: package.sha256.clone(),
        }
    }
}

impl Manifest {
    /// Measures every file of `folder` into [`Manifest::files`], then writes `manifest.json` and `SHA256SUMS`.
    pub fn seal(mut self, folder: &Utf8Path) -> Result<Self> {
        for entry in folder.read_dir_utf8()? {
            let path = entry?.into_path();
            let name = path.file_name().unwrap_or_default().to_owned();
            self.files.insert(
                name,
                FileEntry {
                    size: fs_err::metadata(&path)?.len(),
                    sha256: sha256(&path)?,
                },
            );
        }
        let text = serde_json::to_string_pretty(&self)? + "\n";
        fs_err::write(folder.join("manifest.json"), &text)?;
        let mut sums: BTreeMap<&str, String> = self
            .files
            .iter()
            .map(|(name, file)| (name.as_str(), file.sha256.clone()))
            .collect();
        sums.insert("manifest.json", sha256(&folder.join("manifest.json"))?);
        let sums: String = sums
            .into_iter()
            .map(|(name, digest)| format!("{digest}  {name}\n"))
            .collect();
        fs_err::write(folder.join("SHA256SUMS"), sums)?;
        Ok(self)
    }

    /// Reads the manifest of an image folder, or a manifest file.
    pub fn read(path: &Utf8Path) -> Result<Self> {
        let file = if path.is_dir() {
            path.join("manifest.json")
        } else {
            path.to_owned()
        };
        let text = fs_err::read_to_string(&file)
            .context("cannot read the manifest\nhint: give the folder of an image, such as out/control/0.1.0")?;
        serde_json::from_str(&text).with_context(|| format!("`{file}` is not a manifest"))
    }

    /// Compares every file of `folder` with what the manifest says.
    pub fn verify(&self, folder: &Utf8Path) -> Result<()> {
        for (name, entry) in &self.files {
            let path = folder.join(name);
            let size = fs_err::metadata(&path)
                .with_context(|| format!("`{name}` of the image is missing"))?
                .len();
            if size != entry.size {
                bail!(
                    "`{path}` has {size} bytes, but the manifest says {}\nhint: build or copy the image again",
                    entry.size
                );
            }
            let digest = sha256(&path)?;
            if digest != entry.sha256 {
                bail!(
                    "`{path}` has sha256 {digest}, but the manifest says {}\nhint: build or copy the image again",
                    entry.sha256
                );
            }
        }
        Ok(())
    }

    /// Whether `folder` holds an image made from the same things, with every file of its right size.
    pub fn up_to_date(folder: &Utf8Path, key: &str) -> bool {
        let whole = |manifest: &Manifest| {
            manifest.files.iter().all(|(name, entry)| {
                fs_err::metadata(folder.join(name)).is_ok_and(|data| data.len() == entry.size)
            })
        };
        Manifest::read(folder).is_ok_and(|manifest| manifest.key == key && whole(&manifest))
    }
}
