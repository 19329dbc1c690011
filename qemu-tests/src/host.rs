//! What the host must have: names what is missing and installs it with apt.

use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use camino::Utf8Path;

/// A program (or file) and the Debian package that has it.
const NEEDED: [(&str, &str); 16] = [
    ("mmdebstrap", "mmdebstrap"),
    ("unshare", "util-linux"),
    ("sfdisk", "fdisk"),
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("/usr/share/OVMF/OVMF_VARS_4M.fd", "ovmf"),
    ("mformat", "mtools"),
    ("ssh-keygen", "openssh-client"),
    ("cc", "gcc"),
    ("git", "git"),
    ("setpriv", "util-linux"),
    ("newuidmap", "uidmap"),
    ("ipmi_sim", "openipmi"),
    ("minisign", "minisign"),
    ("dnsmasq", "dnsmasq-base"),
    ("ip", "iproute2"),
    ("ping", "iputils-ping"),
];

/// `PATH` with the folders of system programs, which are not in everyone's.
#[must_use]
pub fn search_path() -> String {
    format!(
        "{}:/usr/sbin:/sbin",
        std::env::var("PATH").unwrap_or_default()
    )
}

/// Packages that are missing, each once.
#[must_use]
pub fn missing() -> Vec<&'static str> {
    let mut packages: Vec<_> = NEEDED
        .iter()
        .filter(|(thing, _)| !present(thing))
        .map(|(_, package)| *package)
        .collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

fn present(thing: &str) -> bool {
    if thing.starts_with('/') {
        return Utf8Path::new(thing).exists();
    }
    search_path()
        .split(':')
        .any(|folder| Utf8Path::new(folder).join(thing).is_file())
}

/// Installs what is missing, after saying what; with sudo if we are not root.
///
/// # Errors
/// If this is no Debian, or apt fails.
pub fn prepare() -> anyhow::Result<()> {
    let packages = missing();
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    writeln!(
        std::io::stderr(),
        "this host lacks: {list}; installing them with apt-get"
    )?;
    if !present("apt-get") {
        bail!("there is no apt-get here\nhint: install what Debian calls {list}");
    }
    apt(&["update", "--quiet"])?;
    let mut words = vec!["install", "--yes", "--quiet", "--no-install-recommends"];
    words.extend(packages);
    apt(&words)
}

fn apt(words: &[&str]) -> anyhow::Result<()> {
    let root = nix::unistd::geteuid().is_root();
    let mut command = Command::new(if root { "apt-get" } else { "sudo" });
    if !root {
        command.args(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
    }
    command
        .args(words)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdout(Stdio::from(std::io::stderr()));
    let status = command
        .status()
        .with_context(|| format!("cannot start {command:?}"))?;
    if !status.success() {
        bail!("`apt-get {}` ended with {status}", words.join(" "));
    }
    Ok(())
}
