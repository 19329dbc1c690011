//! A role's packages, installed over the base in an overlay. Only what the role adds or changes is kept.

use anyhow::{Context, Result};
use camino::Utf8Path;
use roles::Role;

use crate::cache;
use crate::recipe::{self, Lock, SUITE};
use crate::snapshot::Snapshot;
use crate::tools::{Tools, bind};

/// Fills `folder/content` with the role's difference from `base`.
pub fn fill(
    folder: &Utf8Path,
    tools: &Tools,
    snapshot: &Snapshot,
    lock: &Lock,
    name: &str,
    role: &Role,
    base: &Utf8Path,
) -> Result<()> {
    let (content, work, archive) = (
        folder.join("content"),
        folder.join("work"),
        folder.join("archive"),
    );
    fs_err::create_dir_all(&content)?;
    let packages = &role.packages;
    if packages.is_empty() {
        return Ok(());
    }
    fs_err::create_dir_all(&work)?;
    snapshot.archive(lock, &format!("role:{name}"), &archive)?;
    let merged = tools.overlay(&[base], Some((&content, &work)))?;
    let root = merged.path();
    provide(root, &recipe::provided(role))?;
    merged.system_file_systems()?;
    install(tools, root, &archive, lock.epoch, packages)
        .with_context(|| format!("cannot install the packages of role `{name}`"))?;
    super::clean(root)?;
    drop(merged);
    cache::remove(&archive)?;
    cache::remove(&work)
}

/// Installs from the local archive into a merged root, offline. `words` are names of packages, or paths in that root.
pub(super) fn install(
    tools: &Tools,
    root: &Utf8Path,
    archive: &Utf8Path,
    epoch: u64,
    words: &[String],
) -> Result<()> {
    // Everything apt needs lies on the tmpfs at /tmp and leaves nothing behind.
    let temporary = root.join("tmp");
    for path in ["archive", "lists/partial", "cache/archives/partial"] {
        fs_err::create_dir_all(temporary.join(path))?;
    }
    bind(archive, &temporary.join("archive"))?;
    fs_err::write(
        temporary.join("sources.list"),
        format!("deb [trusted=yes] file:/tmp/archive {SUITE} main\n"),
    )?;
    // invoke-rc.d(8): exit code 101 forbids starting services.
    let policy = root.join("usr/sbin/policy-rc.d");
    fs_err::write(&policy, "#!/bin/sh\nexit 101\n")?;
    fs_err::set_permissions(&policy, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let options = [
        "Dir::Etc::sourcelist=/tmp/sources.list",
        "Dir::Etc::sourceparts=-",
        "Dir::State::lists=/tmp/lists",
        "Dir::Cache=/tmp/cache",
        "APT::Install-Recommends=false",
        "APT::Sandbox::User=root",
        "DPkg::Options::=--force-unsafe-io",
    ]
    .map(|option| ["-o".to_owned(), option.to_owned()])
    .concat();
    let apt = |words: &[String]| {
        let epoch = format!("SOURCE_DATE_EPOCH={epoch}");
        let line = [
            epoch,
            "apt-get".to_owned(),
            "-q".to_owned(),
            "-y".to_owned(),
        ];
        tools.run_in(
            root,
            "env",
            line.into_iter()
                .chain(options.iter().cloned())
                .chain(words.iter().cloned()),
        )
    };
    apt(&["update".to_owned()])?;
    apt(&["install".to_owned()]
        .into_iter()
        .chain(words.iter().cloned())
        .collect::<Vec<_>>())?;
    Ok(())
}

/// Tells dpkg what the image brings without a package.
fn provide(root: &Utf8Path, stanza: &str) -> Result<()> {
    let Some(name) = stanza
        .lines()
        .find_map(|line| line.strip_prefix("Package: "))
    else {
        return Ok(());
    };
    let dpkg = root.join("var/lib/dpkg");
    fs_err::write(dpkg.join(format!("info/{name}.list")), "")?;
    let status = fs_err::read_to_string(dpkg.join("status"))?;
    fs_err::write(
        dpkg.join("status"),
        format!("{}\n\n{stanza}", status.trim_end()),
    )?;
    Ok(())
}
