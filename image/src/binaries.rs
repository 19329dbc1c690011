//! The two programs of ours that go into an image, linked statically: the host's C library may be newer than the image's.

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use system::{Command, System};

/// Target of both programs.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Paths of the two programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// `rackwright-installer`.
    pub installer: Utf8PathBuf,
    /// `rackwright-init`.
    pub init: Utf8PathBuf,
}

/// The source tree that `cargo run` was called in, else the one this builder was compiled from. They differ where checkouts share
/// a target folder: for cargo a package that lies elsewhere in the same workspace is the same, and is not compiled again.
pub fn own_source() -> Utf8PathBuf {
    let told = std::env::var("CARGO_MANIFEST_DIR").ok();
    let told = told
        .as_deref()
        .and_then(|package| Utf8Path::new(package).parent());
    told.filter(|source| source.join("image/Cargo.toml").is_file())
        .or_else(|| Utf8Path::new(env!("CARGO_MANIFEST_DIR")).parent())
        .map(Utf8Path::to_owned)
        .unwrap_or_default()
}

/// Names of the variables by which `cargo run` tells the program it starts about its package. A cargo that this program starts must
/// not see them: the build script of ring asks to be run again when they change, and two thirds of the workspace stand on ring
/// (measured 2026-11-30, the programs of the image after changes in a few crates: 350 s with other variables, 182 s with the same).
#[must_use]
pub fn variables_of_cargo() -> Vec<String> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    names
        .filter(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
        .collect()
}

/// Compiles both programs from the source tree. cargo decides what has to be done again.
pub fn build(source: &Utf8Path, runner: &dyn System) -> Result<Binaries> {
    if !source.join("installer/Cargo.toml").is_file() {
        bail!(
            "the source tree is not at `{source}`, so the programs of the image cannot be compiled\n\
             hint: --source DIR, or both --installer FILE and --init FILE"
        );
    }
    // A target folder of its own: other RUSTFLAGS in the same one would compile everything anew, back and forth.
    let target = std::env::var("CARGO_TARGET_DIR")
        .map_or_else(|_| source.join("target"), Utf8PathBuf::from)
        .join("appliance");
    let forget = variables_of_cargo().into_iter();
    let forget = forget.flat_map(|name| ["--unset".to_owned(), name]);
    let line = [
        "RUSTFLAGS=-Ctarget-feature=+crt-static",
        "cargo",
        "build",
        "--release",
        "--quiet",
        "--locked",
        "--target",
        TARGET,
        "--package",
        "rackwright-installer",
        "--package",
        "boot",
        "--manifest-path",
        source.join("Cargo.toml").as_str(),
        "--target-dir",
        target.as_str(),
    ]
    .map(str::to_owned);
    let line = forget.chain(line);
    runner.run(&Command::new("env").args(line)).context(
        "cannot compile the programs of the image\nhint: is Rust there? https://rustup.rs",
    )?;
    let folder = target.join(TARGET).join("release");
    Ok(Binaries {
        installer: folder.join("rackwright-installer"),
        init: folder.join("rackwright-init"),
    })
}

impl Binaries {
    /// Checks that both are static programs for this kind of machine.
    pub fn check(&self) -> Result<()> {
        for path in [&self.installer, &self.init] {
            let bytes = fs_err::read(path)?;
            match interpreter(&bytes) {
                Some(false) => {}
                Some(true) => bail!(
                    "`{path}` is linked dynamically; it would depend on the C library of the host that built it\n\
                     hint: build it with RUSTFLAGS=-Ctarget-feature=+crt-static and --target {TARGET}"
                ),
                None => bail!("`{path}` is not a program for x86_64"),
            }
        }
        Ok(())
    }
}

/// Whether a 64-bit x86 ELF program asks for a dynamic loader (PT_INTERP, elf(5)); `None` if it is no such program.
pub(crate) fn interpreter(bytes: &[u8]) -> Option<bool> {
    const X86_64: u16 = 62;
    const PT_INTERP: u32 = 3;
    let short = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let long = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    if bytes.get(..6)? != b"\x7fELF\x02\x01" || short(18)? != X86_64 {
        return None;
    }
    let (table, size, count) = (
        usize::try_from(long(32)?).ok()?,
        usize::from(short(54)?),
        usize::from(short(56)?),
    );
    for number in 0..count {
        if word(table.checked_add(number * size)?)? == PT_INTERP {
            return Some(true);
        }
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF header with one program header of this type.
    fn elf(kind: u32) -> Vec<u8> {
        let mut bytes = vec![0; 64 + 56];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[18] = 62;
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = 1;
        bytes[64..68].copy_from_slice(&kind.to_le_bytes());
        bytes
    }

    #[test]
    fn tells_static_from_dynamic() {
        assert_eq!(interpreter(&elf(1)), Some(false));
        assert_eq!(interpreter(&elf(3)), Some(true));
        assert_eq!(interpreter(&elf(3)[..66]), None);
        assert_eq!(interpreter(b"#!/bin/sh\n"), None);
        // This test program itself is dynamic.
        assert_eq!(
            interpreter(&fs_err::read(std::env::current_exe().unwrap()).unwrap()),
            Some(true)
        );
    }
}
