//! Images of the roles: built by `rackwright build`, which keeps its own cache, so asking again costs little.

use std::process::Stdio;

use anyhow::{Context as _, bail};
use camino::{Utf8Path, Utf8PathBuf};

use crate::guise::Guise;

/// Files of one built role.
#[derive(Debug, Clone)]
pub struct Image {
    /// Folder of them.
    pub folder: Utf8PathBuf,
    /// Hybrid medium.
    pub iso: Utf8PathBuf,
    /// Kernel.
    pub kernel: Utf8PathBuf,
    /// Initrd.
    pub initrd: Utf8PathBuf,
    /// Root image.
    pub root: Utf8PathBuf,
}

/// The workspace's folder.
#[must_use]
pub fn workspace() -> Utf8PathBuf {
    image::binaries::own_source()
}

/// Builds the roles, shows the builder's progress (on standard error), and returns their files in order.
///
/// # Errors
/// If the builder fails or leaves a file out.
pub fn build(roles: &[&str]) -> anyhow::Result<Vec<Image>> {
    let out =
        std::env::var("RACKWRIGHT_OUT").map_or_else(|_| workspace().join("out"), Utf8PathBuf::from);
    let mut command = Guise::Rackwright.command()?;
    command
        .args(["build", "--out", out.as_str()])
        .args(roles)
        .current_dir(workspace())
        .stdin(Stdio::null())
        .stdout(Stdio::from(std::io::stderr()));
    let status = command
        .status()
        .with_context(|| format!("cannot start {command:?}"))?;
    if !status.success() {
        bail!("`rackwright build {}` ended with {status}", roles.join(" "));
    }
    roles.iter().map(|role| find(&out, role)).collect()
}

/// Images that were built before, in `out`; else builds them.
///
/// # Errors
/// If one is missing, or the builder fails.
pub fn get(out: Option<&Utf8Path>, roles: &[&str]) -> anyhow::Result<Vec<Image>> {
    match out {
        Some(out) => roles.iter().map(|role| find(out, role)).collect(),
        None => build(roles),
    }
}

fn find(out: &Utf8Path, role: &str) -> anyhow::Result<Image> {
    let folder = out.join(role).join(env!("CARGO_PKG_VERSION"));
    let file = |name: &str| {
        let path = folder.join(name);
        if !path.is_file() {
            bail!("there is no `{path}`");
        }
        Ok(path)
    };
    Ok(Image {
        iso: file(&format!("rackwright-{role}.iso"))?,
        kernel: file("vmlinuz")?,
        initrd: file("initrd.zst")?,
        root: file("root.squashfs")?,
        folder,
    })
}
