//! Payloads of a site: found beside the site file, compared with what it says, ready to go into an image. Nothing is fetched.

pub mod license;
pub mod zrepl;

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use roles::Site;
use roles::site::{
    self, Wrong,
    model::{Payload as Entry, PayloadKind},
    payload::FOLDER,
};
use serde::{Deserialize, Serialize};

use crate::snapshot::sha256;

/// A file that is what the site file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// On this machine.
    pub file: Utf8PathBuf,
    /// Hexadecimal.
    pub sha256: String,
}

/// A payload of one role, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// What the image's manifest says of it.
    pub entry: PayloadEntry,
    /// Its file.
    pub source: Source,
    /// The root in which it runs.
    pub root: Option<Source>,
}

/// What manifest, image and machine say of a payload; on a machine it is `payload.json` below
/// `/usr/share/rackwright/payload/NAME/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayloadEntry {
    /// Its name.
    pub name: String,
    /// How it is carried.
    pub kind: PayloadKind,
    /// File name, without the owner's folders.
    pub file: String,
    /// Where it lies on the machine; absent: a package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Bytes.
    pub size: u64,
    /// Hexadecimal.
    pub sha256: String,
    /// System it was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// The root in which it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<RootEntry>,
}

/// A root file system that a payload brings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootEntry {
    /// Where its archive lies on the machine.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Hexadecimal.
    pub sha256: String,
}

/// Payloads by role; empty for most sites.
pub type ByRole = BTreeMap<String, Vec<Payload>>;

/// Reads and checks the payloads of these roles. `file` and `text` are the site file's, so that what is wrong is shown there;
/// `folder` is where it lies.
///
/// # Errors
/// A file is missing or is another one than the site file means; all of them, with their places.
pub fn of_roles(
    file: &Utf8Path,
    folder: &Utf8Path,
    text: &str,
    site: &Site,
    wanted: &[String],
) -> Result<ByRole> {
    let mut wrong = Vec::new();
    let mut by_role = ByRole::new();
    for (index, entry) in site.payloads.iter().enumerate() {
        let roles: Vec<&String> = wanted
            .iter()
            .filter(|role| entry.roles().contains(&role.as_str()))
            .collect();
        if roles.is_empty() {
            continue;
        }
        match one(folder, entry) {
            Ok(payload) => {
                for role in roles {
                    by_role
                        .entry(role.clone())
                        .or_default()
                        .push(payload.clone());
                }
            }
            Err((key, message)) => wrong.push(Wrong {
                path: format!("payloads.{index}.{key}"),
                message,
                hint: "put the file there, or change the entry; `rackwright payload` compares all"
                    .to_owned(),
            }),
        }
    }
    if !wrong.is_empty() {
        bail!(
            "payloads are not as the site file says\n{}",
            site::locate(file.as_str(), text, &wrong)
                .render(false)
                .trim_end()
        );
    }
    Ok(by_role)
}

/// Checks one entry. The error is the key that is wrong, and why.
pub fn one(folder: &Utf8Path, entry: &Entry) -> Result<Payload, (&'static str, String)> {
    let (source, size) = same(
        folder,
        &entry.file,
        entry.sha256.as_deref(),
        "file",
        "sha256",
    )?;
    let root = match &entry.container_root {
        None => None,
        Some(file) => {
            let said = entry.container_sha256.as_deref();
            Some(same(
                folder,
                file,
                said,
                "container_root",
                "container_sha256",
            )?)
        }
    };
    let base = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    let root_entry = root.as_ref().map(|(root, size)| RootEntry {
        path: format!("{FOLDER}/{}/root-{}", entry.name, base(root.file.as_str())),
        size: *size,
        sha256: root.sha256.clone(),
    });
    Ok(Payload {
        entry: PayloadEntry {
            name: entry.name.clone(),
            kind: entry.kind(),
            file: base(&entry.file),
            path: entry.target(),
            size,
            sha256: source.sha256.clone(),
            platform: entry.platform.clone(),
            root: root_entry,
        },
        source,
        root: root.map(|(source, _)| source),
    })
}

fn same(
    folder: &Utf8Path,
    file: &str,
    said: Option<&str>,
    file_key: &'static str,
    digest_key: &'static str,
) -> Result<(Source, u64), (&'static str, String)> {
    let path = folder.join(file);
    let there = fs_err::metadata(&path).map_err(|error| (file_key, error.to_string()))?;
    if !there.is_file() {
        return Err((file_key, format!("`{path}` is not a file")));
    }
    let found = sha256(&path).map_err(|error| (file_key, format!("{error:#}")))?;
    match said {
        Some(said) if said.eq_ignore_ascii_case(&found) => Ok((
            Source {
                file: path,
                sha256: found,
            },
            there.len(),
        )),
        Some(said) => Err((
            digest_key,
            format!(
                "`{path}` was changed: its sha256 is {found}, the site file says {}",
                said.to_lowercase()
            ),
        )),
        None => Err((
            file_key,
            format!("the site file has no `{digest_key}` for `{path}`; it is {found}"),
        )),
    }
}

/// What a layer's key is made of: no paths of this machine.
pub fn digests(payloads: &[Payload]) -> Vec<&PayloadEntry> {
    payloads.iter().map(|payload| &payload.entry).collect()
}

/// Puts archives, binaries and what says that they are there below `own`; packages are installed elsewhere. What was copied
/// is compared again: the file may have been changed after it was checked.
pub fn lay_out(own: &Utf8Path, payloads: &[Payload]) -> Result<()> {
    let below = |path: &str| own.join(path.trim_start_matches('/'));
    for payload in payloads {
        let entry = &payload.entry;
        let folder = below(&format!("{FOLDER}/{}", entry.name));
        fs_err::create_dir_all(&folder)?;
        let mut text = serde_json::to_string_pretty(entry)?;
        text.push('\n');
        fs_err::write(folder.join("payload.json"), text)?;
        if let Some(path) = &entry.path {
            let mode = if entry.kind == PayloadKind::Binary {
                0o755
            } else {
                0o644
            };
            put(&payload.source, &below(path), mode)?;
        }
        if let (Some(root), Some(said)) = (&payload.root, &entry.root) {
            put(root, &below(&said.path), 0o644)?;
        }
    }
    Ok(())
}

fn put(source: &Source, target: &Utf8Path, mode: u32) -> Result<()> {
    if let Some(folder) = target.parent() {
        fs_err::create_dir_all(folder)?;
    }
    fs_err::copy(&source.file, target)?;
    fs_err::set_permissions(target, std::os::unix::fs::PermissionsExt::from_mode(mode))?;
    unchanged(source, target)
}

/// The copy is what was checked.
///
/// # Errors
/// It is not.
pub fn unchanged(source: &Source, copy: &Utf8Path) -> Result<()> {
    let found = sha256(copy).context("cannot read the copy of a payload")?;
    if found != source.sha256 {
        bail!(
            "`{}` was changed while the image was built\nhint: build again",
            source.file
        );
    }
    Ok(())
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
