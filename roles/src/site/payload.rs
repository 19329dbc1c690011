//! Software that the owner supplies: one entry of the site file for each file. It is never fetched, and a cluster works
//! without any.

use serde::{Deserialize, Serialize};

use super::Site;
use crate::{
    check::{Checker, is_label, is_plain_path},
    folder::RoleSet,
    shape::nearest,
};

/// Third-party software that the owner supplies; never fetched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    /// What it is; [`KNOWN`] names have roles of their own.
    pub name: String,
    /// File, beside the site file.
    pub file: String,
    /// Digest, 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// How it goes into an image; absent: by the file's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<PayloadKind>,
    /// Roles whose images carry it; empty: those of a known name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// Where a binary lies on the machine; absent: `/usr/local/bin/NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// System it was made for, such as `debian13`; absent: runs anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Root file system of that system, in which it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_root: Option<String>,
    /// Digest of `container_root`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_sha256: Option<String>,
    /// File with the licence, beside the site file; `{node}` in it is the machine's name. It travels as a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
}

/// How a payload goes into an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PayloadKind {
    /// A Debian package, installed like those of the role.
    Deb,
    /// Carried as it is, and unpacked by who needs it.
    Archive,
    /// One program.
    Binary,
}

impl PayloadKind {
    /// As the site file writes it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Deb => "deb",
            Self::Archive => "archive",
            Self::Binary => "binary",
        }
    }
}

/// Names that Rackwright knows, and the roles that carry them.
pub const KNOWN: [(&str, &[&str]); 4] = [
    ("icewarp", &["production", "standalone"]),
    ("proxysql", &["lb"]),
    ("maxscale", &["lb"]),
    ("zrepl", &["storage", "backup"]),
];

/// Where archives lie on a machine, and what says that a payload is there.
pub const FOLDER: &str = "/usr/share/rackwright/payload";

impl Payload {
    /// As said, else by the file's name.
    #[must_use]
    pub fn kind(&self) -> PayloadKind {
        let file = self.file.to_ascii_lowercase();
        let archive = [".tar", ".tgz", ".txz", ".zip"]
            .iter()
            .any(|ending| file.ends_with(ending))
            || file.contains(".tar.");
        self.kind.unwrap_or(if file.ends_with(".deb") {
            PayloadKind::Deb
        } else if archive {
            PayloadKind::Archive
        } else {
            PayloadKind::Binary
        })
    }

    /// Roles whose images carry it.
    #[must_use]
    pub fn roles(&self) -> Vec<&str> {
        if !self.roles.is_empty() {
            return self.roles.iter().map(String::as_str).collect();
        }
        KNOWN
            .iter()
            .find(|(name, _)| *name == self.name)
            .map_or_else(Vec::new, |(_, roles)| roles.to_vec())
    }

    /// Where its file lies on a machine; a package has no one place.
    #[must_use]
    pub fn target(&self) -> Option<String> {
        let name = &self.name;
        match self.kind() {
            PayloadKind::Deb => None,
            PayloadKind::Archive => {
                let file = self.file.rsplit('/').next().unwrap_or(&self.file);
                Some(format!("{FOLDER}/{name}/{file}"))
            }
            PayloadKind::Binary => Some(
                self.path
                    .clone()
                    .unwrap_or_else(|| format!("/usr/local/bin/{name}")),
            ),
        }
    }

    /// Purpose of the secret that holds its licence.
    #[must_use]
    pub fn license_purpose(&self) -> String {
        format!("{}-license", self.name)
    }
}

/// A payload's name is a folder on machines; without a known name its roles are said.
pub(super) fn check(site: &Site, roles: Option<&RoleSet>, checker: &mut Checker<'_, '_>) {
    let known: Vec<&str> = KNOWN.iter().map(|(name, _)| *name).collect();
    for (index, payload) in site.payloads.iter().enumerate() {
        let path = format!("payloads.{index}");
        if !is_label(&payload.name) {
            checker
                .bad(
                    &format!("{path}.name"),
                    format!("`{}` cannot be the name of a payload", payload.name),
                )
                .hint("lower-case letters, digits and hyphens, at most 63 characters");
        } else if payload.roles().is_empty() {
            let wrong = checker.bad(
                &format!("{path}.name"),
                format!("no role is known to carry `{}`", payload.name),
            );
            match nearest(&payload.name, &known) {
                Some(near) => wrong.label(format!("did you mean `{near}`?")),
                None => wrong.hint("say which with `roles`"),
            };
        }
        for (position, role) in payload.roles.iter().enumerate() {
            if roles.is_some_and(|roles| !roles.roles.contains_key(role)) {
                checker.bad(
                    &format!("{path}.roles.{position}"),
                    format!("there is no role `{role}`"),
                );
            }
        }
        let Some(target) = &payload.path else {
            continue;
        };
        if payload.kind() != PayloadKind::Binary {
            checker.conflict(
                &format!("{path}.path"),
                format!(
                    "only a binary has a path, and `{}` is of kind `{}`",
                    payload.file,
                    payload.kind().word()
                ),
            );
        } else if !is_plain_path(target) || !target.starts_with("/usr/") {
            checker
                .bad(
                    &format!("{path}.path"),
                    format!("`{target}` is no place for a program"),
                )
                .hint("an absolute path below /usr");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_roles_and_place_follow_from_name_and_file() {
        let table = [
            ("proxysql", "p/proxysql_2.7.1_amd64.deb", "deb lb "),
            (
                "icewarp",
                "p/IceWarp-14.tar.gz",
                "archive production,standalone /usr/share/rackwright/payload/icewarp/IceWarp-14.tar.gz",
            ),
            (
                "zrepl",
                "zrepl-0.7.0",
                "binary storage,backup /usr/local/bin/zrepl",
            ),
            (
                "agent",
                "agent.tgz",
                "archive  /usr/share/rackwright/payload/agent/agent.tgz",
            ),
        ];
        for (name, file, wanted) in table {
            let payload = Payload {
                name: name.into(),
                file: file.into(),
                ..Payload::default()
            };
            let found = format!(
                "{} {} {}",
                payload.kind().word(),
                payload.roles().join(","),
                payload.target().unwrap_or_default()
            );
            assert_eq!(found, wanted);
        }
    }
}
