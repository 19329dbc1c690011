//! What `compile`, `draw` and `network-config` have in common: a site file that is right, and a folder of files of our own.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
};

use anyhow::{Context, Result, bail};
use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use roles::{RoleSet, Site};

/// The list of files that a folder's command made: what is not in it is somebody else's.
const LIST: &str = ".made-by-rackwright";

/// Role data: given, or the source tree's.
pub fn roles(given: Option<&Utf8PathBuf>) -> Result<RoleSet> {
    let folder = given.map_or_else(
        || crate::binaries::own_source().join("roles"),
        ToOwned::to_owned,
    );
    roles::folder::read(&folder)
        .map_err(|error| anyhow::anyhow!("{}\nhint: --roles DIR", super::build::rendered(&error)))
}

/// A site file without errors; `-` is standard input. Warnings go to standard error.
pub fn site(file: &Utf8Path, roles: &RoleSet) -> Result<Site> {
    let (site, found) = super::site::read(file, Some(roles))?;
    write!(std::io::stderr(), "{}", found.render(false))?;
    match site {
        Some(site) if !found.has_errors() => Ok(site),
        _ => bail!(
            "nothing is made from a site file with errors\nhint: `rackwright check {file}` shows them alone"
        ),
    }
}

/// What writing a folder came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// New or changed.
    pub written: usize,
    /// As they were.
    pub unchanged: usize,
    /// Of an earlier run, and no longer wanted.
    pub removed: usize,
}

/// Makes a folder hold these files of ours, by name. Only what differs is written, only what an earlier run made is removed,
/// and a file that somebody else put there is never touched. `mode` is that of new files, and decides that of a new folder.
///
/// # Errors
/// A file of that name is not ours, or something cannot be written.
pub fn write(folder: &Utf8Path, files: &BTreeMap<String, String>, mode: u32) -> Result<Written> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    let earlier: BTreeSet<String> = match fs_err::read_to_string(folder.join(LIST)) {
        Ok(text) => text.lines().map(ToOwned::to_owned).collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeSet::new(),
        Err(error) => return Err(error).context("cannot read the list of made files"),
    };
    let mut changed = Vec::new();
    let mut result = Written::default();
    for (name, text) in files {
        match fs_err::read(folder.join(name)) {
            Ok(bytes) if bytes == text.as_bytes() => result.unchanged += 1,
            Ok(_) if !earlier.contains(name) => bail!(
                "`{}` is there already and was not made by this command\nhint: move it away, or write into another folder",
                folder.join(name)
            ),
            Ok(_) => changed.push((name, text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                changed.push((name, text))
            }
            Err(error) => return Err(error).context("cannot compare with what is there"),
        }
    }
    let private = mode & 0o077 == 0;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(if private { 0o700 } else { 0o755 })
        .create(folder)
        .with_context(|| format!("cannot make the folder `{folder}`"))?;
    // The list first, with old and new: should this be cut short, the next run still knows what is ours.
    let names: BTreeSet<&str> = files.keys().map(String::as_str).collect();
    let stale: Vec<&String> = earlier
        .iter()
        .filter(|name| !names.contains(name.as_str()) && is_plain(name))
        .collect();
    let all: BTreeSet<&str> = names
        .iter()
        .copied()
        .chain(stale.iter().map(|name| name.as_str()))
        .collect();
    replace(&folder.join(LIST), &lines(&all), 0o644)?;
    for (name, text) in changed {
        replace(&folder.join(name), text, mode)?;
        result.written += 1;
    }
    for name in stale {
        match fs_err::remove_file(folder.join(name)) {
            Ok(()) => result.removed += 1,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).context("cannot remove what is no longer wanted"),
        }
    }
    replace(&folder.join(LIST), &lines(&names), 0o644)?;
    return Ok(result);

    /// Whole or not at all.
    fn replace(path: &Utf8Path, text: &str, mode: u32) -> Result<()> {
        let temporary = Utf8PathBuf::from(format!("{path}.new"));
        let _ = fs_err::remove_file(&temporary);
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&temporary)
            .with_context(|| format!("cannot write `{temporary}`"))?;
        file.write_all(text.as_bytes())
            .with_context(|| format!("cannot write `{temporary}`"))?;
        fs_err::rename(&temporary, path)?;
        Ok(())
    }
}

fn lines(names: &BTreeSet<&str>) -> String {
    names.iter().map(|name| format!("{name}\n")).collect()
}

/// One file name: a list that somebody wrote into must not lead out of the folder.
fn is_plain(name: &str) -> bool {
    let mut parts = Utf8Path::new(name).components();
    matches!(
        (parts.next(), parts.next()),
        (Some(Utf8Component::Normal(_)), None)
    ) && name != LIST
}
