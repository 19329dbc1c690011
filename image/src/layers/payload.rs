//! Payloads of a role, laid over its packages: files as they are, Debian packages installed offline.

use anyhow::{Context, Result};
use camino::Utf8Path;
use roles::site::model::PayloadKind;

use super::role;
use crate::cache;
use crate::payload::{self, Payload};
use crate::recipe::Lock;
use crate::snapshot::Snapshot;
use crate::tools::Tools;

/// Fills `folder/content`. `below` are the role's layers, top first.
pub fn fill(
    folder: &Utf8Path,
    tools: &Tools,
    snapshot: &Snapshot,
    lock: &Lock,
    name: &str,
    payloads: &[Payload],
    below: &[&Utf8Path],
) -> Result<()> {
    let content = folder.join("content");
    fs_err::create_dir_all(&content)?;
    let debs: Vec<&Payload> = payloads
        .iter()
        .filter(|payload| payload.entry.kind == PayloadKind::Deb)
        .collect();
    if !debs.is_empty() {
        let (work, archive) = (folder.join("work"), folder.join("archive"));
        fs_err::create_dir_all(&work)?;
        snapshot.archive(lock, &format!("role:{name}"), &archive)?;
        let merged = tools.overlay(below, Some((&content, &work)))?;
        let root = merged.path();
        merged.system_file_systems()?;
        // apt takes a file only by a path with a slash in it (apt-get(8)).
        let mut words = Vec::new();
        for deb in debs {
            let path = format!("tmp/payload/{}", deb.entry.file);
            fs_err::create_dir_all(root.join("tmp/payload"))?;
            fs_err::copy(&deb.source.file, root.join(&path))?;
            payload::unchanged(&deb.source, &root.join(&path))?;
            words.push(format!("/{path}"));
        }
        role::install(tools, root, &archive, lock.epoch, &words)
            .with_context(|| format!("cannot install the payloads of role `{name}`"))?;
        super::clean(root)?;
        drop(merged);
        cache::remove(&archive)?;
        cache::remove(&work)?;
    }
    payload::lay_out(&content, payloads)
}
