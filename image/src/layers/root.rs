//! The root: base, role, kernel modules and our own files laid over each other, checked, and packed as squashfs.
//!
//! squashfs with zstd level 3: measured nine times cheaper to make than erofs and no larger.

use anyhow::{Context, Result, bail};
use camino::Utf8Path;
use roles::Role;
use roles::role::Layout;
use serde::Serialize;

use crate::tools::Tools;

/// What `/usr/share/rackwright/image.json` says.
#[derive(Debug, Clone, Serialize)]
pub struct ImageFile<'a> {
    /// Role name.
    pub role: &'a str,
    /// Version of the image.
    pub version: &'a str,
    /// Source revision, if known.
    pub source: Option<&'a str>,
}

/// What is packed.
pub struct Parts<'a> {
    /// Layers from top to bottom, without our own files.
    pub layers: &'a [&'a Utf8Path],
    /// Static `rackwright-installer`.
    pub installer: &'a Utf8Path,
    /// Folder with `common/` and one folder per role.
    pub role_data: &'a Utf8Path,
    /// The role.
    pub role: &'a Role,
    /// For `image.json`.
    pub image: ImageFile<'a>,
    /// Every time stamp.
    pub epoch: u64,
}

/// Fills `folder` with `root.squashfs` and `packages.json`.
pub fn fill(folder: &Utf8Path, tools: &Tools, parts: &Parts) -> Result<()> {
    let own = folder.join("own");
    own_files(&own, parts)?;
    let layers: Vec<&Utf8Path> = std::iter::once(own.as_path())
        .chain(parts.layers.iter().copied())
        .collect();
    let merged = tools.overlay(&layers, None)?;
    check(merged.path(), parts.role)?;
    let squashfs = folder.join("root.squashfs");
    let epoch = parts.epoch.to_string();
    tools.run(
        "mksquashfs",
        [
            "/merged",
            tools.path(&squashfs).as_str(),
            "-comp",
            "zstd",
            "-Xcompression-level",
            "3",
            "-noappend",
            "-no-progress",
            "-quiet",
            "-mkfs-time",
            &epoch,
            "-all-time",
            &epoch,
        ],
    )?;
    drop(merged);
    // A partition ends at a sector; mksquashfs pads to 4 KiB, which is more.
    if fs_err::metadata(&squashfs)?.len() % 4096 != 0 {
        bail!("mksquashfs did not pad `{squashfs}` to 4 KiB");
    }
    crate::cache::remove(&own)
}

fn own_files(own: &Utf8Path, parts: &Parts) -> Result<()> {
    let share = own.join("usr/share/rackwright");
    fs_err::create_dir_all(own.join("usr/bin"))?;
    let program = own.join("usr/bin/rackwright-installer");
    fs_err::copy(parts.installer, &program)?;
    fs_err::set_permissions(
        &program,
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )?;
    for name in ["common", parts.role.name.as_str()] {
        copy_tree(&parts.role_data.join(name), &share.join("roles").join(name))?;
    }
    fs_err::write(share.join("image.json"), serde_json::to_vec(&parts.image)?)?;
    fs_err::create_dir_all(own.join("etc"))?;
    fs_err::create_dir_all(own.join("var"))?;
    // systemd-update-done.service(8): without these every first boot rebuilds caches that are in the image.
    fs_err::write(own.join("var/.updated"), "")?;
    // Rendered at boot; what stands here only keeps programs quiet before that.
    for name in ["fstab", "machine-id", ".updated"] {
        fs_err::write(own.join("etc").join(name), "")?;
    }
    fs_err::os::unix::fs::symlink(
        "/run/systemd/resolve/resolv.conf",
        own.join("etc/resolv.conf"),
    )?;
    Ok(())
}

fn copy_tree(from: &Utf8Path, to: &Utf8Path) -> Result<()> {
    fs_err::create_dir_all(to)?;
    for entry in from
        .read_dir_utf8()
        .with_context(|| format!("cannot read role data `{from}`"))?
    {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(entry.path(), &target)?;
        } else {
            fs_err::copy(entry.path(), &target)?;
            fs_err::set_permissions(&target, std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
        }
    }
    Ok(())
}

/// Programs every plan calls, and the package that has each.
const PROGRAMS: [(&str, &str); 18] = [
    ("sfdisk", "fdisk"),
    ("mdadm", "mdadm"),
    ("mkfs.ext4", "e2fsprogs"),
    ("mkfs.vfat", "dosfstools"),
    ("wipefs", "util-linux"),
    ("blkid", "util-linux"),
    ("lsblk", "util-linux"),
    ("dmsetup", "dmsetup"),
    ("swapoff", "util-linux"),
    ("mount", "mount"),
    ("umount", "mount"),
    ("grub-install", "grub2-common"),
    ("ssh-keygen", "openssh-client"),
    ("udevadm", "udev"),
    ("systemctl", "systemd"),
    ("ip", "iproute2"),
    ("modprobe", "kmod"),
    ("ipmitool", "ipmitool"),
];

/// Programs that pools need.
const ZFS: [(&str, &str); 3] = [
    ("zpool", "zfsutils-linux"),
    ("zfs", "zfsutils-linux"),
    ("zgenhostid", "zfsutils-linux"),
];

/// Files that GRUB's installer takes, and their package.
const GRUB: [(&str, &str); 2] = [
    ("usr/lib/grub/i386-pc/boot.img", "grub-pc-bin"),
    ("usr/lib/grub/x86_64-efi/kernel.img", "grub-efi-amd64-bin"),
];

/// Nothing that compiles may be left in an image.
const COMPILERS: [&str; 6] = ["gcc", "cc", "g++", "make", "clang", "ld"];

/// Checks that the image holds every program its plan will call, and no compiler. `root` is the merged tree.
pub fn check(root: &Utf8Path, role: &Role) -> Result<()> {
    let mut wanted: Vec<(&str, &str)> = PROGRAMS.into();
    for need in &role.disks {
        match &need.layout {
            Some(Layout::Md { file_system, .. }) if file_system == "xfs" => {
                wanted.push(("mkfs.xfs", "xfsprogs"))
            }
            Some(Layout::Zfs { .. }) => wanted.extend(ZFS),
            _ => {}
        }
    }
    let there = |program: &str| {
        ["usr/bin", "usr/sbin"]
            .iter()
            .any(|folder| fs_err::symlink_metadata(root.join(folder).join(program)).is_ok())
    };
    let missing: Vec<String> = wanted
        .into_iter()
        .filter(|(program, _)| !there(program))
        .map(|(program, package)| format!("`{program}` (package {package})"))
        .chain(
            GRUB.into_iter()
                .filter(|(path, _)| !root.join(path).is_file())
                .map(|(path, package)| format!("`/{path}` (package {package})")),
        )
        .collect();
    if !missing.is_empty() {
        bail!(
            "the image of role `{}` lacks programs that its plan calls: {}\n\
             hint: add the packages to `packages` of the role or of roles/common/common.toml",
            role.name,
            missing.join(", ")
        );
    }
    let compilers: Vec<_> = COMPILERS
        .into_iter()
        .filter(|program| there(program))
        .collect();
    if !compilers.is_empty() {
        bail!(
            "the image of role `{}` has a compiler: {}\nhint: a package of the role pulls it in; remove that package",
            role.name,
            compilers.join(", ")
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role() -> Role {
        toml::from_str(
            "format = 1\nname = \"storage\"\nsummary = \"s\"\n[[disks]]\npurpose = \"data\"\ncount = 2\nselect = []\n\
             layout = { kind = \"zfs\", pool = \"tank\", vdev = \"mirror\", width = 2 }\n",
        )
        .unwrap()
    }

    fn tree(skip: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(folder.path()).unwrap();
        let programs = PROGRAMS
            .iter()
            .map(|(program, _)| *program)
            .chain(ZFS.map(|(program, _)| program));
        let paths = programs
            .map(|program| format!("usr/sbin/{program}"))
            .chain(GRUB.map(|(path, _)| path.to_owned()));
        for path in paths.filter(|path| !path.ends_with(skip)) {
            fs_err::create_dir_all(root.join(&path).parent().unwrap()).unwrap();
            fs_err::write(root.join(path), "").unwrap();
        }
        folder
    }

    fn verdict(folder: &tempfile::TempDir) -> String {
        match check(Utf8Path::from_path(folder.path()).unwrap(), &role()) {
            Ok(()) => "good".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_missing_program_is_named_with_its_package() {
        assert_eq!(verdict(&tree("nothing")), "good");
        assert_eq!(
            verdict(&tree("/zpool")),
            "the image of role `storage` lacks programs that its plan calls: `zpool` (package zfsutils-linux)\n\
             hint: add the packages to `packages` of the role or of roles/common/common.toml"
        );
    }

    #[test]
    fn a_compiler_is_refused() {
        let folder = tree("nothing");
        fs_err::write(folder.path().join("usr/sbin/make"), "").unwrap();
        assert_eq!(
            verdict(&folder),
            "the image of role `storage` has a compiler: make\nhint: a package of the role pulls it in; remove that package"
        );
    }
}
