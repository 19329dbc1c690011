//! The files of a machine below a root: what renders `/etc` writes through this. A root other than `/` is for tests.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink},
};

use camino::{Utf8Path, Utf8PathBuf};

use crate::SystemError;

/// Files below a root. Paths are absolute paths of the machine.
#[derive(Debug, Clone)]
pub struct Tree {
    root: Utf8PathBuf,
}

impl Tree {
    /// Files below `root`.
    pub fn new(root: impl Into<Utf8PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where a path of the machine really is.
    pub fn real(&self, path: &str) -> Utf8PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// Content of a file; none if there is none.
    pub fn read(&self, path: &str) -> Result<Option<String>, SystemError> {
        let real = self.real(path);
        match fs::read(&real) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(SystemError::file("read", &real)(error)),
        }
    }

    /// Replaces whatever is at `path` by a file.
    pub fn put_file(&self, path: &str, content: &[u8], mode: u32) -> Result<(), SystemError> {
        let real = self.real(path);
        let put = || -> io::Result<()> {
            clear(&real)?;
            // Narrow from the beginning: the content may be a secret.
            let mut file = fs::OpenOptions::new();
            std::os::unix::fs::OpenOptionsExt::mode(&mut file, 0o600);
            let mut file = file.write(true).create_new(true).open(&real)?;
            io::Write::write_all(&mut file, content)?;
            file.set_permissions(fs::Permissions::from_mode(mode & 0o7777))
        };
        put().map_err(SystemError::file("write", &real))
    }

    /// Replaces whatever is at `path` by a symbolic link.
    pub fn put_link(&self, path: &str, target: &str) -> Result<(), SystemError> {
        let real = self.real(path);
        clear(&real)
            .and_then(|()| symlink(target, &real))
            .map_err(SystemError::file("make the link", &real))
    }

    /// Copies everything below `from` over `to`, with owner and mode, and gives the machine's paths of the files and links
    /// that were laid over, sorted. No `from` means nothing to do.
    pub fn lay_over(&self, from: &str, to: &str) -> Result<Vec<String>, SystemError> {
        let mut laid = Vec::new();
        let source = self.real(from);
        if source.is_dir() {
            self.lay_folder(&source, to.trim_end_matches('/'), &mut laid)?;
        }
        laid.sort();
        Ok(laid)
    }

    fn lay_folder(
        &self,
        source: &Utf8Path,
        to: &str,
        laid: &mut Vec<String>,
    ) -> Result<(), SystemError> {
        let entries = source
            .read_dir_utf8()
            .map_err(SystemError::file("list", source))?;
        for entry in entries {
            let entry = entry.map_err(SystemError::file("list", source))?;
            let target = format!("{to}/{}", entry.file_name());
            let real = self.real(&target);
            let metadata = fs::symlink_metadata(entry.path())
                .map_err(SystemError::file("read", entry.path()))?;
            if metadata.is_dir() {
                make_folder(&real, &metadata)
                    .map_err(SystemError::file("make directory", &real))?;
                self.lay_folder(entry.path(), &target, laid)?;
            } else if metadata.is_file() || metadata.is_symlink() {
                copy(entry.path(), &real, &metadata).map_err(SystemError::file("write", &real))?;
                laid.push(target);
            }
        }
        Ok(())
    }
}

/// Makes room at `path`: its parents exist, itself does not.
fn clear(path: &Utf8Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// A directory that is there keeps its owner and mode: only what is in it is somebody's own.
fn make_folder(path: &Utf8Path, like: &fs::Metadata) -> io::Result<()> {
    if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
        return Ok(());
    }
    clear(path)?;
    fs::create_dir(path)?;
    chown(path, Some(like.uid()), Some(like.gid()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(like.mode() & 0o7777))
}

fn copy(source: &Utf8Path, target: &Utf8Path, like: &fs::Metadata) -> io::Result<()> {
    clear(target)?;
    if like.is_symlink() {
        symlink(fs::read_link(source)?, target)?;
        return lchown(target, Some(like.uid()), Some(like.gid()));
    }
    fs::copy(source, target)?;
    // The owner first: chown clears set-user-ID bits.
    chown(target, Some(like.uid()), Some(like.gid()))?;
    fs::set_permissions(target, fs::Permissions::from_mode(like.mode() & 0o7777))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> (tempfile::TempDir, Tree) {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
        (folder, Tree::new(root))
    }

    #[test]
    fn files_and_links_replace_whatever_is_there() {
        let (_guard, tree) = tree();
        assert_eq!(tree.read("/etc/x").unwrap(), None);
        tree.put_link("/etc/x", "/dev/null").unwrap();
        tree.put_file("/etc/x", b"text", 0o640).unwrap();
        assert_eq!(tree.read("/etc/x").unwrap().unwrap(), "text");
        let mode = tree.real("/etc/x").symlink_metadata().unwrap().mode();
        assert_eq!(mode & 0o7777, 0o640);
        tree.put_file("/etc/d/e", b"", 0o600).unwrap();
        tree.put_link("/etc/d", "elsewhere").unwrap();
        assert_eq!(tree.real("/etc/d").read_link_utf8().unwrap(), "elsewhere");
    }

    #[test]
    fn own_files_are_laid_over_and_listed() {
        let (_guard, tree) = tree();
        assert!(tree.lay_over("/state/etc", "/etc").unwrap().is_empty());
        tree.put_file("/etc/ssh/sshd_config", b"rendered", 0o644)
            .unwrap();
        tree.put_file("/etc/kept", b"rendered", 0o644).unwrap();
        tree.put_file("/state/etc/ssh/sshd_config", b"own", 0o600)
            .unwrap();
        tree.put_file("/state/etc/new/file", b"own", 0o755).unwrap();
        tree.put_link("/state/etc/localtime", "/usr/share/zoneinfo/UTC")
            .unwrap();
        assert_eq!(
            tree.lay_over("/state/etc", "/etc").unwrap(),
            ["/etc/localtime", "/etc/new/file", "/etc/ssh/sshd_config"]
        );
        assert_eq!(tree.read("/etc/ssh/sshd_config").unwrap().unwrap(), "own");
        assert_eq!(tree.read("/etc/kept").unwrap().unwrap(), "rendered");
        let mode = tree
            .real("/etc/new/file")
            .symlink_metadata()
            .unwrap()
            .mode();
        assert_eq!(mode & 0o7777, 0o755);
    }
}
