//! The kernel package unpacked (not installed: no initramfs-tools, no hooks), and the modules that stay in an image.

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};

use crate::cache;
use crate::initrd::closure::Modules;
use crate::recipe::Lock;
use crate::snapshot::Snapshot;
use crate::tools::Tools;

/// Where modules are below a root with merged `/usr`.
const MODULES: &str = "usr/lib/modules";

/// The unpacked kernel in the cache.
pub struct Kernel {
    /// Root below which `usr/lib/modules/VERSION` is.
    pub root: Utf8PathBuf,
    /// `6.12.117+deb13-amd64`.
    pub version: String,
    /// Kernel image.
    pub vmlinuz: Utf8PathBuf,
}

impl Kernel {
    /// Reads what [`fill`] left in `entry`.
    pub fn read(entry: &Utf8Path) -> Result<Self> {
        let root = entry.join("content");
        let modules = root.join(MODULES);
        let mut versions = modules
            .read_dir_utf8()
            .with_context(|| format!("cannot read `{modules}`"))?;
        let Some(version) = versions
            .next()
            .transpose()?
            .map(|entry| entry.file_name().to_owned())
        else {
            bail!("the kernel package has no modules");
        };
        let vmlinuz = root.join(format!("boot/vmlinuz-{version}"));
        Ok(Kernel {
            root,
            version,
            vmlinuz,
        })
    }

    /// Folder with `modules.dep` and the module files.
    pub fn modules(&self) -> Utf8PathBuf {
        self.root.join(MODULES).join(&self.version)
    }
}

/// Unpacks the kernel package into `folder/content` and indexes its modules.
pub fn fill(folder: &Utf8Path, tools: &Tools, snapshot: &Snapshot, lock: &Lock) -> Result<()> {
    let package = lock
        .kernel()
        .context("no kernel image among the packages of `linux-image-amd64`\nhint: --refresh")?;
    let deb = snapshot.deb(package)?;
    let content = folder.join("content");
    fs_err::create_dir_all(&content)?;
    tools.run(
        "dpkg-deb",
        ["-x".to_owned(), tools.path(&deb), tools.path(&content)],
    )?;
    if !content.join(MODULES).is_dir() && content.join("lib/modules").is_dir() {
        fs_err::create_dir_all(content.join("usr/lib"))?;
        fs_err::rename(content.join("lib/modules"), content.join(MODULES))?;
    }
    let kernel = Kernel::read(folder)?;
    depmod(tools, &kernel.root, &kernel.version)
}

/// Fills `folder/content` with the modules that `wanted` names, what they depend on, and compiled ones from `extra`.
pub fn prune(
    folder: &Utf8Path,
    tools: &Tools,
    kernel: &Kernel,
    wanted: &[String],
    extra: Option<&Utf8Path>,
) -> Result<()> {
    let modules = Modules::read(&kernel.modules())?;
    let content = folder.join("content");
    let target = content.join(MODULES).join(&kernel.version);
    for path in modules.closure(wanted)? {
        copy(&kernel.modules(), &target, &path)?;
    }
    // depmod(8) and kmod need to know what is built in.
    for name in [
        "modules.builtin",
        "modules.builtin.modinfo",
        "modules.order",
    ] {
        copy(&kernel.modules(), &target, name)?;
    }
    if let Some(extra) = extra {
        for module in extra.read_dir_utf8()? {
            let name = module?.file_name().to_owned();
            copy(extra, &target.join("updates"), &name)?;
        }
    }
    depmod(tools, &content, &kernel.version)
}

fn copy(from: &Utf8Path, to: &Utf8Path, path: &str) -> Result<()> {
    let target = to.join(path);
    if let Some(parent) = target.parent() {
        fs_err::create_dir_all(parent)?;
    }
    if fs_err::hard_link(from.join(path), &target).is_err() {
        fs_err::copy(from.join(path), &target)?;
    }
    Ok(())
}

/// Indexes the modules below `root`. depmod looks in `lib/modules`, which in a root with merged `/usr` is a link.
fn depmod(tools: &Tools, root: &Utf8Path, version: &str) -> Result<()> {
    let link = root.join("lib");
    fs_err::os::unix::fs::symlink("usr/lib", &link)?;
    tools.run("depmod", ["-b", &tools.path(root), version])?;
    cache::remove(&link)
}
