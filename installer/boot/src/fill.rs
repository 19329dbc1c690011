//! Brings what the image has in `/var` and the persistent `/var` lacks, with owner and mode.
//!
//! Once per image: a marker names the image that was brought last, so that an ordinary boot does nothing and a boot
//! that was cut off in the middle is made up for.

use std::{
    fs::{self, Metadata},
    os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink},
    path::Path,
};

use anyhow::{Context, Result};

const MARKER: &str = ".rackwright-image";

/// Copies what is missing in `to`. `image` identifies the root image. Gives how many entries were created.
pub fn fill(from: &Path, to: &Path, image: &str) -> Result<u64> {
    let marker = to.join(MARKER);
    if fs::read_to_string(&marker).is_ok_and(|text| text == image) {
        return Ok(0);
    }
    let created = folder(from, to)?;
    let fresh = to.join(format!("{MARKER}.new"));
    fs::write(&fresh, image).with_context(|| format!("cannot write `{}`", fresh.display()))?;
    fs::File::open(&fresh)
        .and_then(|file| file.sync_all())
        .and_then(|()| fs::rename(&fresh, &marker))
        .with_context(|| format!("cannot write `{}`", marker.display()))?;
    Ok(created)
}

fn folder(from: &Path, to: &Path) -> Result<u64> {
    let mut created = 0;
    let entries =
        fs::read_dir(from).with_context(|| format!("cannot read `{}`", from.display()))?;
    for entry in entries {
        let source = entry
            .with_context(|| format!("cannot read `{}`", from.display()))?
            .path();
        let Some(name) = source.file_name() else {
            continue;
        };
        created += entry_to(&source, &to.join(name))
            .with_context(|| format!("cannot bring `{}`", source.display()))?;
    }
    Ok(created)
}

fn entry_to(source: &Path, target: &Path) -> Result<u64> {
    let wanted = fs::symlink_metadata(source)?;
    match fs::symlink_metadata(target) {
        // What is there is the machine's own; only directories are looked into.
        Ok(there) if there.is_dir() && wanted.is_dir() => folder(source, target),
        Ok(_) => Ok(0),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            create(source, target, &wanted)
        }
        Err(error) => Err(error.into()),
    }
}

fn create(source: &Path, target: &Path, wanted: &Metadata) -> Result<u64> {
    if wanted.is_symlink() {
        symlink(fs::read_link(source)?, target)?;
        lchown(target, Some(wanted.uid()), Some(wanted.gid()))?;
        return Ok(1);
    }
    let mut created = 1;
    if wanted.is_dir() {
        fs::create_dir(target)?;
        created += folder(source, target)?;
    } else if wanted.is_file() {
        fs::copy(source, target)?;
    } else {
        // Sockets, pipes and device nodes are made by the services that use them.
        return Ok(0);
    }
    // The owner first: chown clears set-user-ID and set-group-ID bits.
    chown(target, Some(wanted.uid()), Some(wanted.gid()))?;
    fs::set_permissions(target, fs::Permissions::from_mode(wanted.mode() & 0o7777))?;
    Ok(created)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brings_what_is_missing_and_leaves_the_rest() {
        let image = tempfile::tempdir().unwrap();
        let var = tempfile::tempdir().unwrap();
        let (from, to) = (image.path(), var.path());
        fs::create_dir_all(from.join("lib/mysql/deep")).unwrap();
        fs::write(from.join("lib/mysql/deep/file"), "image").unwrap();
        fs::write(from.join("lib/own"), "image").unwrap();
        fs::set_permissions(from.join("lib/mysql"), fs::Permissions::from_mode(0o2750)).unwrap();
        symlink("/run", from.join("run")).unwrap();
        fs::create_dir_all(to.join("lib")).unwrap();
        fs::write(to.join("lib/own"), "machine").unwrap();

        assert_eq!(fill(from, to, "one").unwrap(), 4);
        assert_eq!(fs::read_to_string(to.join("lib/own")).unwrap(), "machine");
        assert_eq!(
            fs::read_to_string(to.join("lib/mysql/deep/file")).unwrap(),
            "image"
        );
        assert_eq!(fs::read_link(to.join("run")).unwrap(), Path::new("/run"));
        let mode = fs::metadata(to.join("lib/mysql")).unwrap().mode() & 0o7777;
        assert_eq!(mode, 0o2750);

        // The same image again: a file the machine removed stays removed. Another image brings it back.
        fs::remove_file(to.join("lib/mysql/deep/file")).unwrap();
        assert_eq!(fill(from, to, "one").unwrap(), 0);
        assert!(!to.join("lib/mysql/deep/file").exists());
        assert_eq!(fill(from, to, "two").unwrap(), 1);
    }

    #[test]
    fn a_fill_that_was_cut_off_is_made_up_for() {
        let image = tempfile::tempdir().unwrap();
        let var = tempfile::tempdir().unwrap();
        fs::create_dir_all(image.path().join("lib")).unwrap();
        fs::write(image.path().join("lib/file"), "x").unwrap();
        // Power was lost after the directory was made: no marker.
        fs::create_dir_all(var.path().join("lib")).unwrap();
        assert_eq!(fill(image.path(), var.path(), "one").unwrap(), 1);
    }
}
