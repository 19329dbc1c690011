//! Our own builder, run as a user runs it: the `rackwright` program.

use std::process::Command;

use anyhow::Context as _;
use camino::{Utf8Path, Utf8PathBuf};

use crate::clock::{Figure, time};

/// `rackwright build` with a cache and an output directory of its own.
pub struct Builder {
    directory: Utf8PathBuf,
    mirror: Option<String>,
    roles: Utf8PathBuf,
}

impl Builder {
    /// Starts from nothing: an earlier cache below `directory` is removed.
    ///
    /// # Errors
    /// If directories cannot be made or the role data cannot be copied.
    pub fn new(directory: &Utf8Path, mirror: Option<&str>) -> anyhow::Result<Self> {
        for old in ["cache", "out", "roles"] {
            let path = directory.join(old);
            if path.exists() {
                fs_err::remove_dir_all(path)?;
            }
        }
        // A copy, so that changing a template does not touch the source tree.
        let roles = directory.join("roles");
        time(
            "copy of roles",
            Command::new("cp").args(["-r", "roles"]).arg(&roles),
        )?;
        // Compiled beforehand: what is measured is the building of images, not of Rust.
        time(
            "cargo build",
            Command::new("cargo").args(["build", "--quiet", "--release", "--package", "image"]),
        )?;
        Ok(Self {
            directory: directory.to_owned(),
            mirror: mirror.map(str::to_owned),
            roles,
        })
    }

    /// Nothing cached, download included.
    ///
    /// # Errors
    /// If the build fails.
    pub fn cold(&self, role: &str) -> anyhow::Result<Figure> {
        self.build("rackwright, cold (with USB, CD and PXE media)", role)
    }

    /// One template of the role's common part changed.
    ///
    /// # Errors
    /// If the build fails.
    pub fn template_changed(&self, role: &str) -> anyhow::Result<Figure> {
        let templates = self.roles.join("common/templates");
        let first = fs_err::read_dir(&templates)?
            .next()
            .context("no common template to change")??
            .path();
        let text = fs_err::read_to_string(&first)?;
        fs_err::write(&first, format!("{text}\n# changed\n"))?;
        let figure = self.build("rackwright, one template changed", role);
        fs_err::write(&first, text)?;
        figure
    }

    /// Every role after the first, one after another.
    ///
    /// # Errors
    /// If a build fails.
    pub fn all(&self) -> anyhow::Result<Vec<Figure>> {
        let mut names = Vec::new();
        for entry in fs_err::read_dir(&self.roles)? {
            let path = entry?.path();
            if path.join("role.toml").exists() {
                names.extend(
                    path.file_name()
                        .map(|name| name.to_string_lossy().into_owned()),
                );
            }
        }
        names.sort();
        names.iter().map(|role| self.build(role, role)).collect()
    }

    /// Names of the packages in the role's image, from its manifest.
    ///
    /// # Errors
    /// If the manifest cannot be read.
    pub fn packages(&self, role: &str) -> anyhow::Result<Vec<String>> {
        let path = self.result(role)?.join("manifest.json");
        let manifest: serde_json::Value = serde_json::from_slice(&fs_err::read(&path)?)?;
        let packages = manifest["packages"]
            .as_array()
            .with_context(|| format!("`{path}` lists no packages"))?;
        Ok(packages
            .iter()
            .filter_map(|package| package["name"].as_str().map(str::to_owned))
            .collect())
    }

    fn build(&self, name: &str, role: &str) -> anyhow::Result<Figure> {
        let mut command = Command::new("cargo");
        command.args([
            "run",
            "--quiet",
            "--release",
            "--package",
            "image",
            "--bin",
            "rackwright",
            "--",
        ]);
        command.args(["build", role, "--cache"]);
        command.arg(self.directory.join("cache"));
        command.arg("--out").arg(self.directory.join("out"));
        command.arg("--roles").arg(&self.roles);
        if let Some(mirror) = &self.mirror {
            command.args(["--mirror", mirror]);
        }
        let mut figure = time(name, &mut command)?;
        let medium = self.result(role)?.join(format!("rackwright-{role}.iso"));
        figure.bytes = Some(fs_err::metadata(medium)?.len());
        Ok(figure)
    }

    /// `out/<role>/<version>/`: the only version there.
    fn result(&self, role: &str) -> anyhow::Result<Utf8PathBuf> {
        let role = self.directory.join("out").join(role);
        let newest = fs_err::read_dir(&role)?
            .filter_map(Result::ok)
            .max_by_key(|entry| entry.metadata().and_then(|data| data.modified()).ok())
            .with_context(|| format!("nothing was built in `{role}`"))?;
        Utf8PathBuf::from_path_buf(newest.path())
            .map_err(|path| anyhow::anyhow!("not UTF-8: {path:?}"))
    }
}
