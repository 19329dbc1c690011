//! The initrd: the static first process, the modules it may need, mdadm with its libraries. Two archives one after the other:
//! the first is the same for all roles and cached, the second says which root belongs to it.

pub mod closure;
pub mod cpio;

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use camino::Utf8Path;
use serde::{Deserialize, Serialize};

use crate::initrd::closure::Modules;
use crate::initrd::cpio::{Archive, Node};
use crate::layers::kernel::Kernel;
use crate::tools::Tools;

/// Programs beside the first process, with what they link.
const PROGRAMS: [&str; 1] = ["/usr/sbin/mdadm"];

/// zstd level: the initrd is made once and unpacked at every boot of every machine.
const LEVEL: i32 = 15;

/// `/rackwright/root.json`: the root that belongs to this kernel and initrd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFile {
    /// Role name.
    pub role: String,
    /// Version of the image.
    pub version: String,
    /// Bytes.
    pub size: u64,
    /// Hexadecimal sha256.
    pub sha256: String,
    /// Kernel version.
    pub kernel: String,
}

/// What goes into the shared part.
pub struct Parts<'a> {
    /// Unpacked kernel.
    pub kernel: &'a Kernel,
    /// Base layer.
    pub base: &'a Utf8Path,
    /// Static `rackwright-init`.
    pub init: &'a Utf8Path,
    /// Modules: names and patterns.
    pub modules: &'a [String],
    /// Modules that are always loaded.
    pub load: &'a [String],
    /// Every time stamp.
    pub epoch: u64,
}

/// Fills `folder` with `shared.cpio.zst`.
pub fn fill(folder: &Utf8Path, tools: &Tools, parts: &Parts) -> Result<()> {
    let mut archive = Archive::default();
    for name in [
        "dev",
        "proc",
        "sys",
        "run",
        "tmp",
        "root",
        "etc",
        "rackwright",
    ] {
        archive.add(name, Node::Folder);
    }
    // The kernel opens it as standard input and output of the first process before anything is mounted.
    archive.add(
        "dev/console",
        Node::CharacterDevice {
            mode: 0o600,
            major: 5,
            minor: 1,
        },
    );
    archive.add(
        "dev/null",
        Node::CharacterDevice {
            mode: 0o666,
            major: 1,
            minor: 3,
        },
    );
    archive.file("init", 0o755, fs_err::read(parts.init)?);
    archive.file("rackwright/modules", 0o644, parts.load.join("\n") + "\n");
    add_modules(&mut archive, folder, tools, parts)?;
    for program in PROGRAMS {
        add_program(&mut archive, tools, parts.base, program)?;
    }
    let packed = zstd::encode_all(archive.bytes(parts.epoch).as_slice(), LEVEL)
        .context("cannot compress the initrd")?;
    fs_err::write(folder.join("shared.cpio.zst"), packed)?;
    Ok(())
}

/// What an image carries of its owner; nothing secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Carried {
    /// Public key of minisign, as its file has it: the first process then boots a signed root only.
    pub trust: Option<String>,
    /// Pin of the cluster's authority: `sha256:` and hexadecimal.
    pub pin: Option<String>,
}

/// The second part: small and not compressed, so that it needs no tool to read or replace. `sign` makes the signature of
/// `root.json`, for an image that trusts a key.
///
/// # Errors
/// It cannot be signed.
pub fn second_part(
    root: &RootFile,
    carried: &Carried,
    sign: &dyn Fn(&[u8]) -> Result<String>,
    epoch: u64,
) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    let text = serde_json::to_vec(root)?;
    if let Some(key) = &carried.trust {
        archive.file("rackwright/trust.pub", 0o644, key.as_str());
        archive.file("rackwright/root.json.minisig", 0o644, sign(&text)?);
    }
    if let Some(pin) = &carried.pin {
        archive.file("rackwright/pin", 0o644, format!("{pin}\n"));
    }
    archive.file("rackwright/root.json", 0o644, text);
    Ok(archive.bytes(epoch))
}

fn add_modules(
    archive: &mut Archive,
    folder: &Utf8Path,
    tools: &Tools,
    parts: &Parts,
) -> Result<()> {
    let modules = Modules::read(&parts.kernel.modules())?;
    let wanted: Vec<String> = parts.modules.iter().chain(parts.load).cloned().collect();
    // Unpacked in a scratch root and indexed there: the kernel takes plain files with finit_module(2) without any help, and the
    // whole archive is compressed once.
    let scratch = folder.join("scratch");
    let target = scratch.join("lib/modules").join(&parts.kernel.version);
    let paths = modules.closure(&wanted)?;
    for path in &paths {
        let to = target.join(path);
        fs_err::create_dir_all(to.parent().unwrap_or(&target))?;
        fs_err::copy(parts.kernel.modules().join(path), &to)?;
    }
    let packed: Vec<_> = paths
        .iter()
        .filter(|path| path.ends_with(".xz"))
        .map(|path| tools.path(&target.join(path)))
        .collect();
    if !packed.is_empty() {
        tools.run(
            "xz",
            ["-d", "--"].map(str::to_owned).into_iter().chain(packed),
        )?;
    }
    for name in [
        "modules.builtin",
        "modules.builtin.modinfo",
        "modules.order",
    ] {
        fs_err::copy(parts.kernel.modules().join(name), target.join(name))?;
    }
    tools.run(
        "depmod",
        ["-b", &tools.path(&scratch), &parts.kernel.version],
    )?;
    let to = format!("lib/modules/{}", parts.kernel.version);
    for path in &paths {
        let path = path.strip_suffix(".xz").unwrap_or(path);
        archive.file(
            &format!("{to}/{path}"),
            0o644,
            fs_err::read(target.join(path))?,
        );
    }
    for name in [
        "modules.dep",
        "modules.alias",
        "modules.builtin",
        "modules.softdep",
    ] {
        archive.file(
            &format!("{to}/{name}"),
            0o644,
            fs_err::read(target.join(name))?,
        );
    }
    crate::cache::remove(&scratch)
}

/// Adds a program and every file the loader would map for it.
fn add_program(archive: &mut Archive, tools: &Tools, base: &Utf8Path, program: &str) -> Result<()> {
    if !base.join(program.trim_start_matches('/')).is_file() {
        bail!(
            "`{program}` is not in the base layer\nhint: add its package to roles/common/common.toml"
        );
    }
    // ld.so(8): the loader itself says what it would map, with the same search it does when the program starts.
    let loader = "/lib64/ld-linux-x86-64.so.2";
    let output = tools.run_in(base, loader, ["--list", program])?;
    for path in loaded(&output.stdout) {
        let file = fs_err::canonicalize(base.join(path.trim_start_matches('/')))?;
        archive.file(&path, 0o755, fs_err::read(file)?);
    }
    let name = program.rsplit('/').next().unwrap_or(program);
    archive.file(
        &format!("sbin/{name}"),
        0o755,
        fs_err::read(base.join(program.trim_start_matches('/')))?,
    );
    Ok(())
}

/// Paths in the loader's list: `libc.so.6 => /lib/libc.so.6 (0x...)`, `/lib64/ld.so (0x...)`; the kernel's own
/// `linux-vdso.so.1` has none.
fn loaded(list: &str) -> BTreeSet<String> {
    list.lines()
        .filter_map(|line| {
            let line = line.trim();
            let path = line.split_once(" => ").map_or(line, |(_, path)| path);
            path.starts_with('/')
                .then(|| path.split_whitespace().next().unwrap_or(path).to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_loaders_list() {
        let list = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibudev.so.1 => /lib/x86_64-linux-gnu/libudev.so.1 (0x00007f1)\n\
                    \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f2)\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f3)\n";
        assert_eq!(
            loaded(list).into_iter().collect::<Vec<_>>(),
            [
                "/lib/x86_64-linux-gnu/libc.so.6",
                "/lib/x86_64-linux-gnu/libudev.so.1",
                "/lib64/ld-linux-x86-64.so.2"
            ]
        );
    }
}
