//! Leaves the initramfs: frees its memory, makes the new root the root, renders `/etc` and becomes systemd.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::Path,
    process::{Command, Stdio},
    thread,
};

use anyhow::{Context, Result, bail};
use nix::{
    mount::{MsFlags, mount},
    unistd::{chdir, chroot},
};

use crate::{console, mounts};

const INSTALLER: &str = "/usr/bin/rackwright-installer";
const SYSTEMD: &str = "/sbin/init";

/// Makes the new root the root of everything (Documentation/filesystems/ramfs-rootfs-initramfs.rst: the initramfs
/// cannot be unmounted, so it is emptied and covered).
pub fn switch_root() -> Result<()> {
    for name in ["dev", "proc", "sys", "run"] {
        mounts::relocate(&format!("/{name}"), &format!("{}/{name}", mounts::NEW_ROOT))?;
    }
    let device = fs::metadata("/").context("cannot look at `/`")?.dev();
    empty(Path::new("/"), device);
    chdir(mounts::NEW_ROOT).context("cannot enter the new root")?;
    let none: Option<&str> = None;
    mount(Some("."), "/", none, MsFlags::MS_MOVE, none)
        .context("cannot move the new root to `/`")?;
    chroot(".").context("cannot make the new root the root")?;
    chdir("/").context("cannot enter the new root")
}

/// Removes everything on the file system `device`, mount points and what is in them excepted. What cannot be removed
/// costs memory, nothing else.
fn empty(folder: &Path, device: u64) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let Ok(metadata) = fs::symlink_metadata(&path) else {
            continue;
        };
        if metadata.dev() != device {
            continue;
        }
        if metadata.is_dir() {
            empty(&path, device);
            fs::remove_dir(&path).ok();
        } else {
            fs::remove_file(&path).ok();
        }
    }
}

/// Renders `/etc`. It does not fail by itself: it shows the fault and picks the target that says so.
pub fn prepare_boot() -> Result<()> {
    let mut child = Command::new(INSTALLER)
        .arg("prepare-boot")
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{INSTALLER} prepare-boot` in the new root"))?;
    let readers = [child.stdout.take().map(tell), child.stderr.take().map(tell)];
    let status = child.wait().context("cannot wait for prepare-boot")?;
    for reader in readers.into_iter().flatten() {
        reader.join().ok();
    }
    if !status.success() {
        bail!("`{INSTALLER} prepare-boot` ended with {status}");
    }
    Ok(())
}

fn tell(pipe: impl Read + Send + 'static) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            console::say(&line);
        }
    })
}

/// Becomes systemd. Comes back only with an error.
pub fn systemd() -> anyhow::Error {
    // The kernel puts unknown words of its command line into the environment of init: systemd would hand them on.
    let error = Command::new(SYSTEMD)
        .env_clear()
        .envs([("HOME", "/"), ("TERM", "linux")])
        .exec();
    anyhow::Error::new(error).context(format!("cannot start `{SYSTEMD}` of the new root"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empties_one_file_system_only() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("a/b")).unwrap();
        fs::write(root.path().join("a/b/file"), "x").unwrap();
        std::os::unix::fs::symlink("/nowhere", root.path().join("link")).unwrap();
        let device = fs::metadata(root.path()).unwrap().dev();
        empty(root.path(), device + 1);
        assert!(root.path().join("a/b/file").exists());
        empty(root.path(), device);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }
}
