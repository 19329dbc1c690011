//! Where role data comes from.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use camino::Utf8Path;
use roles::folder::{RoleFolder, RoleSet};

/// Reads every role folder below `root`.
pub fn read(root: &Utf8Path) -> Result<RoleSet> {
    let text = fs_err::read_to_string(root.join("common/common.toml"))
        .context("cannot read role data\nhint: --roles DIR")?;
    let mut roles = BTreeMap::new();
    for entry in root.read_dir_utf8()? {
        let folder = entry?.into_path();
        let file = folder.join("role.toml");
        if file.is_file() {
            let role = toml::from_str(&fs_err::read_to_string(&file)?)
                .with_context(|| format!("in `{file}`"))?;
            let templates = templates(&folder)?;
            roles.insert(
                folder.file_name().unwrap_or_default().to_owned(),
                RoleFolder { role, templates },
            );
        }
    }
    Ok(RoleSet {
        common: toml::from_str(&text)?,
        common_templates: templates(&root.join("common"))?,
        roles,
    })
}

fn templates(folder: &Utf8Path) -> Result<BTreeMap<String, String>> {
    let mut templates = BTreeMap::new();
    let Ok(entries) = folder.join("templates").read_dir_utf8() else {
        return Ok(templates);
    };
    for entry in entries {
        let entry = entry?;
        templates.insert(
            entry.file_name().to_owned(),
            fs_err::read_to_string(entry.path())?,
        );
    }
    Ok(templates)
}
