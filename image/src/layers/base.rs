//! The base layer: essential and common packages, installed by mmdebstrap from the local archive.

use anyhow::{Context, Result};
use camino::Utf8Path;

use crate::cache;
use crate::recipe::{Lock, PATH_RULES, SUITE};
use crate::snapshot::Snapshot;
use crate::tools::Tools;

/// Fills `folder/content`. `packages` are the common packages of the role set.
pub fn fill(
    folder: &Utf8Path,
    tools: &Tools,
    snapshot: &Snapshot,
    lock: &Lock,
    packages: &[String],
) -> Result<()> {
    bootstrap(folder, tools, snapshot, lock, "base", packages, &PATH_RULES)?;
    let content = folder.join("content");
    super::clean(&content)?;
    // machine-id(5): an empty file is bound over at boot; a missing one means "first boot" and presets every unit.
    fs_err::write(content.join("etc/machine-id"), "")?;
    for mount_point in [
        "state", "var", "run", "srv", "proc", "sys", "dev", "tmp", "boot",
    ] {
        fs_err::create_dir_all(content.join(mount_point))?;
    }
    Ok(())
}

/// Makes a Debian root in `folder/content` from exactly the packages of one set of the lock.
pub fn bootstrap(
    folder: &Utf8Path,
    tools: &Tools,
    snapshot: &Snapshot,
    lock: &Lock,
    set: &str,
    packages: &[String],
    rules: &[&str],
) -> Result<()> {
    let archive = folder.join("archive");
    snapshot.archive(lock, set, &archive)?;
    let mut arguments = vec![
        format!("SOURCE_DATE_EPOCH={}", lock.epoch),
        "mmdebstrap".to_owned(),
        "--mode=root".to_owned(),
        "--variant=apt".to_owned(),
        "--format=directory".to_owned(),
        "--aptopt=APT::Install-Recommends \"false\"".to_owned(),
        // The entry is synced once when it is whole.
        "--dpkgopt=force-unsafe-io".to_owned(),
    ];
    arguments.extend(rules.iter().map(|rule| format!("--dpkgopt={rule}")));
    if !packages.is_empty() {
        arguments.push(format!("--include={}", packages.join(",")));
    }
    arguments.push(SUITE.to_owned());
    arguments.push(tools.path(&folder.join("content")));
    arguments.push(format!(
        "deb [trusted=yes] copy://{} {SUITE} main",
        tools.path(&archive)
    ));
    tools
        .run("env", arguments)
        .with_context(|| format!("cannot install the packages of `{set}`"))?;
    cache::remove(&archive)
}
