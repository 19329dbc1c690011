//! The tool root: a small trixie with everything whose version matters, so that the host's distribution does not.
//!
//! Made by the host's mmdebstrap, entered by chroot(8). The host's whole tree is visible inside it at `/host`, so a host path
//! becomes a tool path by a prefix, and file systems that are put together for packing are mounted at `/merged`.

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use system::{Command, Output, System};

use crate::cache::Cache;
use crate::recipe::{SUITE, Tools as Recipe};

/// A tool root that is ready to be used in this mount namespace.
pub struct Tools<'a> {
    root: Utf8PathBuf,
    runner: &'a dyn System,
}

/// Makes the tool root, or takes it from the cache. Needs the network the first time.
pub fn make(
    cache: &Cache,
    recipe: &Recipe,
    runner: &dyn System,
    offline: bool,
) -> Result<Utf8PathBuf> {
    let (entry, _) = cache.make(&recipe.key(), recipe, |folder| {
        if offline {
            bail!("the tool root is not in the cache and `--offline` was given\nhint: build once with the network");
        }
        let mut arguments = vec![
            // The builder is root here, in its own user namespace if need be.
            "--mode=root".to_owned(),
            "--variant=apt".to_owned(),
            "--components=main,contrib".to_owned(),
            "--format=directory".to_owned(),
            format!("--include={}", recipe.packages.join(",")),
            SUITE.to_owned(),
            folder.join("content").to_string(),
        ];
        arguments.extend(recipe.mirrors.iter().cloned());
        runner
            .run(&Command::new("mmdebstrap").args(arguments))
            .context("cannot make the tool root\nhint: is the mirror reachable? another one: --mirror URL")?;
        for folder in ["host", "merged"].map(|name| folder.join("content").join(name)) {
            fs_err::create_dir_all(folder)?;
        }
        Ok(())
    })?;
    Ok(entry.join("content"))
}

impl<'a> Tools<'a> {
    /// Makes the tool root at `root` usable in this mount namespace, which must be private.
    pub fn enter(root: &Utf8Path, runner: &'a dyn System) -> Result<Self> {
        bind(root, root)?;
        bind(Utf8Path::new("/"), &root.join("host"))?;
        file_systems(root)?;
        bind(Utf8Path::new("/sys"), &root.join("sys"))?;
        let resolver = root.join("etc/resolv.conf");
        if Utf8Path::new("/etc/resolv.conf").exists() {
            if !resolver.is_file() {
                fs_err::write(&resolver, "")?;
            }
            bind(Utf8Path::new("/etc/resolv.conf"), &resolver)?;
        }
        let tools = Tools {
            root: root.to_owned(),
            runner,
        };
        tools.check_xorriso()?;
        Ok(tools)
    }

    /// How a host path is called inside the tool root.
    pub fn path(&self, host: &Utf8Path) -> String {
        format!("/host{host}")
    }

    /// Where file systems are put together, seen from the host side.
    pub fn merged(&self) -> Utf8PathBuf {
        self.root.join("merged")
    }

    /// Runs a program of the tool root.
    pub fn run<A: Into<String>>(
        &self,
        program: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Output> {
        self.run_in(&self.root, program, arguments)
    }

    /// Runs a program of the tool root with text on its standard input.
    pub fn run_with_input<A: Into<String>>(
        &self,
        program: &str,
        arguments: impl IntoIterator<Item = A>,
        input: String,
    ) -> Result<Output> {
        let mut line = chroot(&self.root, program, arguments);
        line.input = Some(input);
        Ok(self.runner.run(&line)?)
    }

    /// Runs a program of another root.
    pub fn run_in<A: Into<String>>(
        &self,
        root: &Utf8Path,
        program: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Output> {
        Ok(self.runner.run(&chroot(root, program, arguments))?)
    }

    /// Mounts an overlay at `/merged`: `lower` from top to bottom, written to `upper` if there is one (with `work`, an empty
    /// folder on the same file system).
    pub fn overlay(
        &self,
        lower: &[&Utf8Path],
        upper: Option<(&Utf8Path, &Utf8Path)>,
    ) -> Result<Merged> {
        let join = |paths: &[&Utf8Path]| {
            paths
                .iter()
                .map(|path| path.as_str())
                .collect::<Vec<_>>()
                .join(":")
        };
        let mut options = format!("lowerdir={}", join(lower));
        if let Some((upper, work)) = upper {
            options.push_str(&format!(",upperdir={upper},workdir={work}"));
        }
        if !nix::unistd::Uid::effective().is_root() || in_user_namespace() {
            // Documentation/filesystems/overlayfs.rst: without CAP_SYS_ADMIN in the first user namespace, overlayfs keeps its
            // notes in user.* attributes.
            options.push_str(",userxattr");
        }
        let path = self.merged();
        mount(
            Some("overlay"),
            path.as_std_path(),
            Some("overlay"),
            MsFlags::empty(),
            Some(options.as_str()),
        )
        .with_context(|| format!("cannot mount an overlay with `{options}`"))?;
        Ok(Merged { path })
    }

    fn check_xorriso(&self) -> Result<()> {
        let text = self.run("xorriso", ["--version"])?;
        let version = xorriso_version(&format!("{}{}", text.stdout, text.stderr))
            .context("cannot read xorriso's version")?;
        if version < [1, 5, 6] {
            bail!(
                "the tool root has xorriso {}.{}.{}, but media made by less than 1.5.6 do not boot from Supermicro's virtual CD\n\
                 hint: use a mirror that has {SUITE}",
                version[0],
                version[1],
                version[2]
            );
        }
        Ok(())
    }
}

/// A mounted overlay; unmounted when dropped.
pub struct Merged {
    path: Utf8PathBuf,
}

impl Merged {
    /// Where it is mounted, seen from the host side.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// Mounts what package scripts expect: `/proc`, a small `/dev`, and empty `/run` and `/tmp` that leave nothing behind.
    pub fn system_file_systems(&self) -> Result<()> {
        file_systems(&self.path)?;
        temporary(&self.path.join("run"))
    }
}

impl Drop for Merged {
    fn drop(&mut self) {
        // MNT_DETACH takes the mounts below along.
        if let Err(error) = umount2(self.path.as_std_path(), MntFlags::MNT_DETACH) {
            tracing::warn!(%error, path = %self.path, "cannot unmount");
        }
    }
}

/// Makes `source` visible at `target` with everything mounted below it.
pub fn bind(source: &Utf8Path, target: &Utf8Path) -> Result<()> {
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(
        Some(source.as_std_path()),
        target.as_std_path(),
        None::<&str>,
        flags,
        None::<&str>,
    )
    .with_context(|| format!("cannot bind `{source}` to `{target}`"))
}

fn temporary(target: &Utf8Path) -> Result<()> {
    tmpfs(target, "mode=1777")
}

fn tmpfs(target: &Utf8Path, mode: &str) -> Result<()> {
    mount(
        Some("tmpfs"),
        target.as_std_path(),
        Some("tmpfs"),
        MsFlags::empty(),
        Some(mode),
    )
    .with_context(|| format!("cannot mount a tmpfs at `{target}`"))
}

/// Device files that programs expect anywhere. Disks are not among them: a package script cannot touch the host's.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

fn file_systems(root: &Utf8Path) -> Result<()> {
    bind(Utf8Path::new("/proc"), &root.join("proc"))?;
    let devices = root.join("dev");
    // Not with the sticky bit: opening another owner's file for writing with O_CREAT is then refused (measured).
    tmpfs(&devices, "mode=0755")?;
    for name in DEVICES {
        // Bound, not made: in a user namespace mknod(2) is not allowed.
        fs_err::write(devices.join(name), "")?;
        bind(&Utf8Path::new("/dev").join(name), &devices.join(name))?;
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "fd/0"),
        ("stdout", "fd/1"),
        ("stderr", "fd/2"),
    ] {
        fs_err::os::unix::fs::symlink(target, devices.join(name))?;
    }
    for name in ["shm", "pts"] {
        fs_err::create_dir(devices.join(name))?;
    }
    temporary(&root.join("tmp"))
}

fn chroot<A: Into<String>>(
    root: &Utf8Path,
    program: &str,
    arguments: impl IntoIterator<Item = A>,
) -> Command {
    let fixed = [
        root.as_str(),
        "env",
        "-i",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME=/root",
        "LC_ALL=C.UTF-8",
        "DEBIAN_FRONTEND=noninteractive",
        program,
    ];
    Command::new("chroot").args(fixed).args(arguments)
}

/// True if uid 0 here is not uid 0 of the machine.
fn in_user_namespace() -> bool {
    // The first user namespace maps everything onto itself (user_namespaces(7)).
    fs_err::read_to_string("/proc/self/uid_map")
        .is_ok_and(|map| map.split_whitespace().collect::<Vec<_>>() != ["0", "0", "4294967295"])
}

fn xorriso_version(text: &str) -> Option<[u32; 3]> {
    let start = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("xorriso "))?;
    let mut numbers = start
        .split(|c: char| !c.is_ascii_digit())
        .map(str::parse::<u32>);
    Some([
        numbers.next()?.ok()?,
        numbers.next()?.ok()?,
        numbers.next()?.ok()?,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_xorriso_versions() {
        let banner = "xorriso 1.5.6 : RockRidge filesystem manipulator, libburnia project.\n";
        assert_eq!(xorriso_version(banner), Some([1, 5, 6]));
        assert_eq!(xorriso_version("something else"), None);
    }
}
