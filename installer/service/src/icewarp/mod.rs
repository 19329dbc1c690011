//! IceWarp as a payload: what is decided before and after its installer runs, as functions of what is there. The flags and exit
//! codes are those of the public install.sh of 12.0 (2017), settings and their keys those of public scripts; later versions
//! were not seen, so an unknown exit code is a failure.
//!
//! Everything of it lies in one folder of the local array: the unpacked archive, the root of another distribution if it needs
//! one, and the installed program. What was done there is said by files with digests, so a round begins where the last ended.

pub mod duty;
pub mod settings;

use roles::site::model::PayloadKind;
use serde::Deserialize;

/// Name of the payload, its account, and the unit that runs it.
pub const NAME: &str = "icewarp";
/// The unit; it lies in `/run`, written by the round.
pub const UNIT: &str = "icewarp.service";
/// Purpose of the secret with the licence.
pub const LICENSE: &str = "icewarp-license";
/// Where the installer is seen inside another root.
const PAYLOAD: &str = "/payload";

/// What the image says of the payload (`payload.json`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Entry {
    /// How it is carried.
    pub kind: PayloadKind,
    /// Where the archive lies.
    pub path: Option<String>,
    /// SHA-256 of the archive, hexadecimal.
    pub sha256: String,
    /// Root of a distribution that it supports; absent: this system itself.
    pub root: Option<Root>,
}

/// Archive of a root file system.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Root {
    /// Where it lies.
    pub path: String,
    /// SHA-256, hexadecimal.
    pub sha256: String,
}

/// Where it is on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Folder of the local array.
    pub work: String,
    /// It runs in a root of its own.
    pub has_root: bool,
    /// Folders that it sees in there under the same path: the store, local temporary files.
    pub binds: Vec<String>,
}

/// What was found on the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Digest of the root that was unpacked.
    pub root: Option<String>,
    /// Digest of the archive that was unpacked.
    pub unpacked: Option<String>,
    /// The archive's file `platform`.
    pub platform: String,
    /// `os-release` of the system that it would run on.
    pub os_release: String,
    /// Digest of the archive that was installed.
    pub installed: Option<String>,
    /// The licence was delivered.
    pub has_license: bool,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Unpack the root, and forget what was installed in the old one.
    UnpackRoot,
    /// Unpack the archive.
    Unpack,
    /// Run the installer.
    Install,
    /// All of it is there: settings and start.
    Configure,
}

/// Why it is not installed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A kind that cannot be.
    #[error(
        "the payload `icewarp` is of kind `{0}`\nhint: its tar archive as `kind = \"archive\"`"
    )]
    Kind(&'static str),
    /// Other bytes.
    #[error(
        "`{path}` has SHA-256 {found}, the image says {wanted}\nhint: the disk lost something: install the image again"
    )]
    Checksum {
        /// File.
        path: String,
        /// Of the file.
        found: String,
        /// Of the image.
        wanted: String,
    },
    /// For another system.
    #[error(
        "the archive is for `{wanted}`, and this would be `{found}`\nhint: give the root of a supported distribution as `container_root` of the payload; it runs there with the network and the store of this machine"
    )]
    Platform {
        /// What the archive says.
        wanted: String,
        /// What there is.
        found: String,
    },
    /// The archive does not say for what it is.
    #[error("the archive has no file `platform`: it cannot be known whether it fits")]
    NoPlatform,
    /// Not there, or more than one.
    #[error("the archive has no `install.sh` at its top, or in the one folder there")]
    NoInstaller,
    /// Two characters, letters and digits.
    #[error(
        "`mail_id`: `{0}` is no server id: one or two letters or digits, the prefix of message files"
    )]
    Id(String),
    /// A value that would be something else to a shell or to the program.
    #[error("`{key}`: {why}")]
    Text {
        /// Setting or secret; never its value.
        key: String,
        /// Why not.
        why: &'static str,
    },
    /// Two servers would overwrite each other's files.
    #[error(
        "`temp_root`: `{0}` lies on the shared store, and temporary files are each server's own"
    )]
    SharedTemp(String),
    /// The installer ended with an error.
    #[error("the installer ended with {code}: {why}\nhint: {hint}")]
    Installer {
        /// Exit code.
        code: i32,
        /// What it means.
        why: &'static str,
        /// What to do.
        hint: &'static str,
    },
}

/// Why there is no next step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Halt {
    /// Somebody must act.
    Refused(Refusal),
    /// It comes by itself.
    Waits(&'static str),
}

impl From<Refusal> for Halt {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// What to do next.
///
/// # Errors
/// Nothing can be done.
pub fn next(entry: &Entry, seen: &Seen) -> Result<Next, Halt> {
    if entry.kind != PayloadKind::Archive || entry.path.is_none() {
        return Err(Refusal::Kind(entry.kind.word()).into());
    }
    if let Some(root) = &entry.root
        && seen.root.as_ref() != Some(&root.sha256)
    {
        return Ok(Next::UnpackRoot);
    }
    if seen.unpacked.as_ref() != Some(&entry.sha256) {
        return Ok(Next::Unpack);
    }
    check_platform(&seen.platform, &seen.os_release)?;
    if seen.installed.as_ref() == Some(&entry.sha256) {
        return Ok(Next::Configure);
    }
    if !seen.has_license {
        return Err(Halt::Waits(
            "the secret `icewarp-license` was not delivered: say `license` in the payload's entry of the site file, compile, and bring the sealed secrets",
        ));
    }
    Ok(Next::Install)
}

/// Name and first number of what a text says: `RHEL8_x64`, `rhel 8`, `debian-13`.
fn platform_of(text: &str) -> Option<(String, String)> {
    let text = text.trim().to_lowercase();
    let end = text.find(|c: char| !c.is_ascii_alphabetic())?;
    let (name, rest) = text.split_at(end);
    let number: String = rest
        .chars()
        .skip_while(|c| !c.is_ascii_digit())
        .take_while(char::is_ascii_digit)
        .collect();
    (!name.is_empty() && !number.is_empty()).then(|| (name.to_owned(), number))
}

/// Names of a system and its first number, from `os-release(5)`. A rebuild of a distribution is one that it is like.
fn system_of(os_release: &str) -> (Vec<String>, String) {
    let value = |key: &str| {
        let line = os_release
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_default().trim_matches('"').to_lowercase()
    };
    let names = format!("{} {}", value("ID"), value("ID_LIKE"));
    let version = value("VERSION_ID");
    (
        names.split_whitespace().map(str::to_owned).collect(),
        version.split('.').next().unwrap_or_default().to_owned(),
    )
}

/// The archive's file `platform` against the system that it would run on: its own installer ends with 1 if they differ, after
/// it has unpacked half of itself.
///
/// # Errors
/// They differ.
pub fn check_platform(platform: &str, os_release: &str) -> Result<(), Refusal> {
    let (name, number) = platform_of(platform).ok_or(Refusal::NoPlatform)?;
    let (names, version) = system_of(os_release);
    if names.contains(&name) && number == version {
        return Ok(());
    }
    Err(Refusal::Platform {
        wanted: format!("{name} {number}"),
        found: format!("{} {version}", names.first().map_or("", String::as_str)),
    })
}

/// What the installer's exit code means.
///
/// # Errors
/// Everything but 0.
pub fn installed(code: i32) -> Result<(), Refusal> {
    let (why, hint) = match code {
        0 => return Ok(()),
        1 => (
            "incompatible Linux distribution, or no right to install",
            "the payload's `container_root` must be a distribution that this version supports",
        ),
        2 => (
            "libraries that it depends on are missing",
            "its log names them (`icewarp-install.log`): put them into the payload's `container_root`",
        ),
        _ => (
            "not a code that is known",
            "its log is `icewarp-install.log` in root's home",
        ),
    };
    Err(Refusal::Installer { code, why, hint })
}

impl Place {
    /// Root of its own distribution, on this machine.
    #[must_use]
    pub fn root(&self) -> String {
        format!("{}/root", self.work)
    }

    /// The unpacked archive, on this machine.
    #[must_use]
    pub fn unpacked(&self) -> String {
        format!("{}/unpacked", self.work)
    }

    /// Where it is installed, as it sees it itself.
    #[must_use]
    pub fn folder(&self) -> String {
        if self.has_root {
            "/opt/icewarp".to_owned()
        } else {
            format!("{}/program", self.work)
        }
    }

    /// Where it is installed, on this machine.
    #[must_use]
    pub fn folder_here(&self) -> String {
        if self.has_root {
            format!("{}/opt/icewarp", self.root())
        } else {
            self.folder()
        }
    }

    /// A command as it is started here: as it is, or in the root of its distribution, with the network of this machine, which
    /// systemd-nspawn(1) shares unless told otherwise. `extra` are further options for that.
    #[must_use]
    pub fn inside(&self, extra: &[&str], command: &[&str]) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        if self.has_root {
            words.extend([
                "systemd-nspawn".to_owned(),
                "--quiet".to_owned(),
                "--register=no".to_owned(),
                // Its own units and links in /etc stay as they are.
                "--resolv-conf=replace-host".to_owned(),
                format!("--directory={}", self.root()),
            ]);
            words.extend(self.binds.iter().map(|path| format!("--bind={path}")));
            words.extend(extra.iter().map(|word| (*word).to_owned()));
            words.push("--".to_owned());
        }
        words.extend(command.iter().map(|word| (*word).to_owned()));
        words
    }

    /// The installer's command line, and the folder it is started in. `at` is the folder with `install.sh`, below the unpacked
    /// archive; the licence is a file, so that it is in no argument.
    #[must_use]
    pub fn install(&self, at: &str, license: &str) -> (Vec<String>, String) {
        let folder = self.folder();
        let command = [
            "./install.sh",
            "--auto",
            "--fast",
            "--install-dir",
            &folder,
            "--user",
            NAME,
            "--license",
            license,
        ];
        let unpacked = format!("{}/{at}", self.unpacked());
        let unpacked = unpacked.trim_end_matches('/');
        let options = [
            format!("--bind={unpacked}:{PAYLOAD}"),
            format!("--bind-ro={license}"),
            format!("--chdir={PAYLOAD}"),
            "--pipe".to_owned(),
        ];
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        (self.inside(&options, &command), unpacked.to_owned())
    }

    /// A shell that takes its script from standard input, so that no value of it is in an argument of ours.
    #[must_use]
    pub fn shell(&self) -> Vec<String> {
        self.inside(&["--pipe"], &["/bin/sh", "-e", "-s"])
    }

    /// The unit that runs it. Its own starter puts daemons into the background, so a shell stays in front of them and stops
    /// them; where it has a root of its own, that shell is process 1 in there.
    #[must_use]
    pub fn unit(&self) -> String {
        let folder = self.folder();
        let script = format!(
            "trap '{folder}/icewarpd.sh --stop; exit 0' TERM INT; {folder}/icewarpd.sh --start || exit 1; while :; do sleep 5 & wait $!; done"
        );
        let words = self.inside(&["--kill-signal=SIGTERM"], &["/bin/sh", "-c", &script]);
        let line: Vec<String> = words
            .iter()
            .map(|word| {
                // systemd.service(5): dollar and percent signs are doubled, quotes keep a word together.
                let word = word.replace('$', "$$").replace('%', "%%");
                if word.contains(' ') {
                    format!("\"{word}\"")
                } else {
                    word
                }
            })
            .collect();
        let program = match line.first() {
            Some(first) if !first.starts_with('/') => format!("/usr/bin/{}", line.join(" ")),
            _ => line.join(" "),
        };
        format!(
            "# Written by rackwright-serve, which starts and stops it.\n[Unit]\nDescription=IceWarp, supplied as payload\n\
             ConditionPathExists=/run/rackwright/mail/ready\n\n[Service]\nType=simple\nExecStart={program}\n\
             KillMode=mixed\nTimeoutStopSec=120\nTasksMax=infinity\nLimitNOFILE=65536\n"
        )
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
