//! IceWarp as a payload: what is decided before its installer runs. The flags and exit codes are those of the public
//! install.sh of 12.0 (2017); those of later versions were not seen, so an unknown exit code is a failure.

use serde::Deserialize;
use sha2::{Digest, Sha256};

/// What the site file says of the payload.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Payload {
    /// SHA-256 of the archive, hexadecimal.
    pub sha256: String,
    /// Licence key or file.
    pub license: String,
    /// Where it is installed.
    pub folder: String,
    /// Account that it runs as.
    pub user: String,
    /// Root of a distribution that it supports; absent: this system itself.
    pub root: Option<String>,
}

/// Why it is not installed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Other bytes.
    #[error("the archive has SHA-256 {found}, the site file says {wanted}")]
    Checksum {
        /// Of the file.
        found: String,
        /// Of the site file.
        wanted: String,
    },
    /// For another system.
    #[error(
        "the archive is for `{wanted}`, and this would be `{found}`\nhint: give a root of a supported distribution; it runs in systemd-nspawn with the network and the store of this machine"
    )]
    Platform {
        /// What the archive says.
        wanted: String,
        /// What there is.
        found: String,
    },
    /// The archive does not say for what it is.
    #[error("the archive has no line `platform`: it cannot be known whether it fits")]
    NoPlatform,
    /// Two characters, letters and digits.
    #[error(
        "`mail_id`: `{0}` is no server id: one or two letters or digits, the prefix of message files"
    )]
    Id(String),
    /// The installer ended with an error.
    #[error("the installer ended with {code}: {why}")]
    Installer {
        /// Exit code.
        code: i32,
        /// What it means.
        why: &'static str,
    },
}

/// The archive is the one that the site file means.
///
/// # Errors
/// It is another one.
pub fn check_archive(payload: &Payload, archive: &[u8]) -> Result<(), Refusal> {
    let found = hex::encode(Sha256::digest(archive));
    if found.eq_ignore_ascii_case(&payload.sha256) {
        return Ok(());
    }
    Err(Refusal::Checksum {
        found,
        wanted: payload.sha256.clone(),
    })
}

/// `ID MAJOR` of `os-release(5)`, such as `debian 13`.
#[must_use]
pub fn system_of(os_release: &str) -> String {
    let value = |key: &str| {
        let line = os_release
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_default().trim_matches('"').to_owned()
    };
    let version = value("VERSION_ID");
    format!(
        "{} {}",
        value("ID"),
        version.split('.').next().unwrap_or_default()
    )
}

/// The archive's file `platform` (`rhel 8`) against the system that it would run on: its own installer ends with 1 if they
/// differ, after it has unpacked half of itself.
///
/// # Errors
/// They differ.
pub fn check_platform(platform: &str, os_release: &str) -> Result<(), Refusal> {
    let wanted = platform
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .to_lowercase();
    if wanted.is_empty() {
        return Err(Refusal::NoPlatform);
    }
    let found = system_of(os_release);
    if wanted == found {
        return Ok(());
    }
    Err(Refusal::Platform { wanted, found })
}

/// The installer's command line, in the root that it needs.
#[must_use]
pub fn install(payload: &Payload, mount: &str) -> Vec<String> {
    let installer = [
        "./install.sh",
        "--auto",
        "--fast",
        "--install-dir",
        &payload.folder,
        "--user",
        &payload.user,
        "--license",
        &payload.license,
    ];
    inside(payload, mount, &installer)
}

/// A command natively, or in the root of its distribution: with the network and the mail store of this machine
/// (systemd-nspawn(1) shares the network unless told otherwise).
#[must_use]
pub fn inside(payload: &Payload, mount: &str, command: &[&str]) -> Vec<String> {
    let mut words: Vec<String> = match &payload.root {
        None => Vec::new(),
        Some(root) => [
            "systemd-nspawn".to_owned(),
            "--quiet".to_owned(),
            format!("--directory={root}"),
            format!("--bind={mount}"),
            "--".to_owned(),
        ]
        .into(),
    };
    words.extend(command.iter().map(|word| (*word).to_owned()));
    words
}

/// What the installer's exit code means.
///
/// # Errors
/// Everything but 0.
pub fn installed(code: i32) -> Result<(), Refusal> {
    match code {
        0 => Ok(()),
        1 => Err(Refusal::Installer {
            code,
            why: "wrong distribution, or no right to install",
        }),
        2 => Err(Refusal::Installer {
            code,
            why: "libraries are missing",
        }),
        _ => Err(Refusal::Installer {
            code,
            why: "not a code that is known",
        }),
    }
}

/// The two server keys are placeholders until an installed payload was seen: `tool.sh` lists its own.
///
/// Settings of one server of a cluster, for `tool.sh set system KEY VALUE`. The master flag follows who is on duty, never the
/// plan alone: two masters would both change the shared configuration.
///
/// # Errors
/// The id cannot be a prefix of files.
pub fn settings(
    id: &str,
    temp: &str,
    on_duty: bool,
) -> Result<Vec<(&'static str, String)>, Refusal> {
    let plain = (1..=2).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !plain {
        return Err(Refusal::Id(id.to_owned()));
    }
    Ok(vec![
        ("c_system_storage_dir_temppath", temp.to_owned()),
        ("c_system_server_id", id.to_owned()),
        (
            "c_system_server_master",
            if on_duty { "1" } else { "0" }.to_owned(),
        ),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(root: Option<&str>) -> Payload {
        Payload {
            sha256: hex::encode(Sha256::digest(b"archive")),
            license: "/run/license".into(),
            folder: "/opt/icewarp".into(),
            user: "icewarp".into(),
            root: root.map(str::to_owned),
        }
    }

    #[test]
    fn only_what_fits_is_installed() {
        let debian = "PRETTY_NAME=\"x\"\nVERSION_ID=\"13\"\nID=debian\n";
        let rhel = "ID=\"rhel\"\nVERSION_ID=\"8.9\"\n";
        assert_eq!(check_archive(&payload(None), b"archive"), Ok(()));
        let said = |result: Result<(), Refusal>| {
            result.map_or_else(|refusal| refusal.to_string(), |()| "ok".to_owned())
        };
        let table = [
            (
                said(check_archive(&payload(None), b"other")),
                "the archive has SHA-256 ",
            ),
            (said(check_platform("rhel 8\n", rhel)), "ok"),
            (said(check_platform("RHEL  8", rhel)), "ok"),
            (
                said(check_platform("rhel 8", debian)),
                "the archive is for `rhel 8`, and this would be `debian 13`",
            ),
            (
                said(check_platform("rhel 9", rhel)),
                "the archive is for `rhel 9`, and this would be `rhel 8`",
            ),
            (said(check_platform("", debian)), "no line `platform`"),
            (said(installed(0)), "ok"),
            (said(installed(1)), "ended with 1: wrong distribution"),
            (said(installed(2)), "ended with 2: libraries are missing"),
            (said(installed(77)), "not a code that is known"),
            (
                said(settings("abc", "/t", true).map(drop)),
                "`abc` is no server id",
            ),
            (
                said(settings("", "/t", true).map(drop)),
                "`` is no server id",
            ),
            (
                said(settings("a/", "/t", true).map(drop)),
                "`a/` is no server id",
            ),
        ];
        for (said, wanted) in table {
            assert!(
                said.starts_with(wanted) || said.contains(wanted),
                "{wanted}: {said}"
            );
        }
    }

    #[test]
    fn it_runs_natively_or_in_a_root() {
        assert_eq!(install(&payload(None), "/var/srv/mail")[0], "./install.sh");
        let words = install(&payload(Some("/var/lib/machines/rhel")), "/var/srv/mail").join(" ");
        assert_eq!(
            words,
            "systemd-nspawn --quiet --directory=/var/lib/machines/rhel --bind=/var/srv/mail -- ./install.sh --auto --fast --install-dir /opt/icewarp --user icewarp --license /run/license"
        );
        let master = |on_duty| {
            settings("a1", "/var/spool/temp", on_duty)
                .unwrap_or_default()
                .last()
                .map(|it| it.1.clone())
        };
        assert_eq!(
            (master(true).as_deref(), master(false).as_deref()),
            (Some("1"), Some("0"))
        );
    }
}
