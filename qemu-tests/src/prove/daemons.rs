//! Daemons of Debian 13 as a folder: unpacked, never installed and never started as services, so that what is rendered for
//! them can be read by the very programs of the images on any host.

use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use camino::{Utf8Path, Utf8PathBuf};

/// The suite of the images.
const SUITE: &str = "trixie";

/// Packages with the programs that the tests start; what they depend on comes along.
const PACKAGES: [&str; 31] = [
    "base-files",
    "chrony",
    "coreutils",
    "dash",
    "dnsmasq-base",
    "dovecot-core",
    "dovecot-imapd",
    "dovecot-lmtpd",
    "dovecot-mysql",
    "e2fsprogs",
    "findutils",
    "grep",
    "haproxy",
    "keepalived",
    "hostname",
    "mariadb-client",
    "mariadb-server",
    "mariadb-server-core",
    "nfs-common",
    "nfs-kernel-server",
    "nftables",
    "openssh-client",
    "openssh-server",
    "postfix",
    "postfix-mysql",
    "prometheus",
    "prometheus-node-exporter",
    "sed",
    "systemd",
    "systemd-journal-remote",
    "valkey-server",
];

/// Packages of the databases and what their scripts call: a cluster of namespaces runs them.
const DATABASES: [&str; 21] = [
    "base-files",
    "bash",
    "coreutils",
    "dash",
    "diffutils",
    "findutils",
    "galera-4",
    "grep",
    "haproxy",
    "hostname",
    "iproute2",
    "lsof",
    "mariadb-backup",
    "mariadb-client",
    "mariadb-server",
    "mawk",
    "procps",
    "pv",
    "sed",
    "socat",
    "util-linux",
];

/// The folder, made if it is not in the cache: 30 s and 500 MB, with the network.
///
/// # Errors
/// If mmdebstrap fails.
pub(super) fn folder(cache: &Utf8Path) -> anyhow::Result<Utf8PathBuf> {
    let mut packages = PACKAGES.to_vec();
    packages.push("udev");
    let key = image::cache::Key::new("daemons", &(SUITE, PACKAGES, "udev"));
    unpacked(cache, &format!("daemons-{}", key.short()), &packages)
}

/// The same for the databases: 25 s and 600 MB.
///
/// # Errors
/// If mmdebstrap fails.
pub(super) fn databases(cache: &Utf8Path) -> anyhow::Result<Utf8PathBuf> {
    let key = image::cache::Key::new("databases", &(SUITE, DATABASES));
    unpacked(cache, &format!("databases-{}", key.short()), &DATABASES)
}

fn unpacked(cache: &Utf8Path, name: &str, packages: &[&str]) -> anyhow::Result<Utf8PathBuf> {
    let folder = cache.join(name);
    if folder.exists() {
        return Ok(folder);
    }
    fs_err::create_dir_all(cache)?;
    let unfinished = cache.join(format!("{name}.unfinished"));
    remove(&unfinished)?;
    let output = Command::new("mmdebstrap")
        // `extract`: no package script runs, so nothing is configured or started.
        .args(["--variant=extract", "--format=directory"])
        .arg(format!("--include={}", packages.join(",")))
        .args([SUITE, unfinished.as_str()])
        .env("PATH", crate::host::search_path())
        .stdin(Stdio::null())
        .output()
        .context("cannot start `mmdebstrap`")?;
    if !output.status.success() {
        remove(&unfinished).ok();
        bail!(
            "mmdebstrap ended with {}\n{}\nhint: is the Debian mirror reachable?",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    fs_err::rename(&unfinished, &folder)?;
    Ok(folder)
}

/// Files of a rootless mmdebstrap belong to subordinate users, so they are removed as such.
fn remove(folder: &Utf8Path) -> anyhow::Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    let mut command = if nix::unistd::geteuid().is_root() {
        Command::new("rm")
    } else {
        let mut unshare = Command::new("unshare");
        unshare.args(["--user", "--map-auto", "--map-root-user", "rm"]);
        unshare
    };
    let status = command.args(["-r", "-f", folder.as_str()]).status()?;
    if !status.success() {
        bail!("cannot remove `{folder}`: {status}");
    }
    Ok(())
}
