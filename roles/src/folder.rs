//! Reads role folders. The only file access in this crate.

use std::{collections::BTreeMap, io};

use camino::{Utf8Path, Utf8PathBuf};

use crate::{Common, Role, diagnostic::Diagnostics, parse};

/// All role folders of one place, and what is common to them.
#[derive(Debug, Clone, PartialEq)]
pub struct RoleSet {
    /// `common/common.toml`.
    pub common: Common,
    /// `common/templates/`: file name to text.
    pub common_templates: BTreeMap<String, String>,
    /// Folders with a `role.toml`, by name.
    pub roles: BTreeMap<String, RoleFolder>,
}

/// One role folder.
#[derive(Debug, Clone, PartialEq)]
pub struct RoleFolder {
    /// `role.toml`.
    pub role: Role,
    /// `templates/`: file name to text.
    pub templates: BTreeMap<String, String>,
}

/// Why the roles could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A file or folder could not be read.
    #[error("cannot read `{path}`")]
    Read {
        /// Which.
        path: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Files that are wrong; all of them.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Invalid(Vec<Diagnostics>),
    /// The role's name is not its folder's.
    #[error("`{path}` names the role `{name}`, but its folder is called `{folder}`")]
    Misnamed {
        /// The role file.
        path: Utf8PathBuf,
        /// Name in the file.
        name: String,
        /// Name of the folder.
        folder: String,
    },
    /// There is no role at all.
    #[error("`{0}` holds no folder with a `role.toml`")]
    Empty(Utf8PathBuf),
}

/// Reads `common/` and every folder that has a `role.toml`; other folders are none of its business.
///
/// # Errors
/// Something cannot be read, or files are wrong (all of them are listed).
pub fn read(dir: &Utf8Path) -> Result<RoleSet, FolderError> {
    let mut invalid = Vec::new();
    let common_dir = dir.join("common");
    let common_templates = read_templates(&common_dir.join("templates"))?;
    let common_file = common_dir.join("common.toml");
    let common = parse::common(
        common_file.as_str(),
        &read_text(&common_file)?,
        &names(&common_templates),
    )
    .map_err(|wrong| invalid.push(wrong))
    .ok();

    let mut roles = BTreeMap::new();
    for folder in folders(dir)? {
        let path = dir.join(&folder);
        let file = path.join("role.toml");
        if !file.is_file() {
            continue;
        }
        let templates = read_templates(&path.join("templates"))?;
        match parse::role(file.as_str(), &read_text(&file)?, &names(&templates)) {
            Ok(role) if role.name != folder => {
                return Err(FolderError::Misnamed {
                    path: file,
                    name: role.name,
                    folder,
                });
            }
            Ok(role) => {
                roles.insert(folder, RoleFolder { role, templates });
            }
            Err(wrong) => invalid.push(wrong),
        }
    }
    match common {
        Some(common) if invalid.is_empty() => {
            if roles.is_empty() {
                return Err(FolderError::Empty(dir.to_owned()));
            }
            Ok(RoleSet {
                common,
                common_templates,
                roles,
            })
        }
        _ => Err(FolderError::Invalid(invalid)),
    }
}

fn names(templates: &BTreeMap<String, String>) -> Vec<&str> {
    templates.keys().map(String::as_str).collect()
}

/// Names of the folders in `dir`, sorted.
fn folders(dir: &Utf8Path) -> Result<Vec<String>, FolderError> {
    let failed = |source| FolderError::Read {
        path: dir.to_owned(),
        source,
    };
    let mut found = Vec::new();
    for entry in dir.read_dir_utf8().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.path().is_dir() {
            found.push(entry.file_name().to_owned());
        }
    }
    found.sort();
    Ok(found)
}

/// The files of a `templates/` folder; none if there is no such folder.
fn read_templates(dir: &Utf8Path) -> Result<BTreeMap<String, String>, FolderError> {
    let failed = |source| FolderError::Read {
        path: dir.to_owned(),
        source,
    };
    let mut templates = BTreeMap::new();
    if !dir.exists() {
        return Ok(templates);
    }
    for entry in dir.read_dir_utf8().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.path().is_file() {
            templates.insert(entry.file_name().to_owned(), read_text(entry.path())?);
        }
    }
    Ok(templates)
}

fn read_text(path: &Utf8Path) -> Result<String, FolderError> {
    std::fs::read_to_string(path).map_err(|source| FolderError::Read {
        path: path.to_owned(),
        source,
    })
}
