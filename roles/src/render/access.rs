//! Who may log in: the administrator's account, keys, sudo.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::NodeFile;

use super::{BootFacts, RenderedFile};

/// The account files of the image, as text. `prepare-boot` reads them before anything is laid over them.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accounts {
    /// `/etc/passwd`.
    pub passwd: String,
    /// `/etc/shadow`.
    pub shadow: String,
    /// `/etc/group`.
    pub group: String,
}

/// Password hashes stay out of logs.
impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts").finish_non_exhaustive()
    }
}

/// User and group id of the administrator. Debian gives 1000 to the first person.
const ADMINISTRATOR: u32 = 1000;

pub(super) fn files(node: Option<&NodeFile>, facts: &BootFacts) -> Vec<RenderedFile> {
    let Some(node) = node else { return Vec::new() };
    let access = &node.access;
    let user = access.user.as_deref().unwrap_or("admin");
    let mut keys = access.ssh_keys.join("\n");
    if !keys.is_empty() {
        keys.push('\n');
    }
    let mut files = vec![
        RenderedFile::text(format!("/etc/ssh/authorized_keys.d/{user}"), keys),
        // The account may have no password at all, so sudo cannot ask for one.
        RenderedFile::with_mode(
            "/etc/sudoers.d/rackwright",
            format!("{user} ALL=(ALL:ALL) NOPASSWD: ALL\n"),
            0o440,
        ),
        // Root file system and `/home` are read-only or lost at reboot; `/var` stays.
        RenderedFile::text(
            "/etc/tmpfiles.d/rackwright-home.conf",
            format!("d /var/home 0755 root root -\nd /var/home/{user} 0700 {user} {user} -\n"),
        ),
    ];
    if let Some(accounts) = &facts.accounts {
        let hash = access.password_hash.as_deref().unwrap_or("!");
        files.push(RenderedFile::text(
            "/etc/passwd",
            with_entry(
                &accounts.passwd,
                user,
                &format!("{user}:x:{ADMINISTRATOR}:{ADMINISTRATOR}:Administrator:/var/home/{user}:/bin/bash"),
            ),
        ));
        // Day 20000 (2024) as the last change of the password: 0 would force a change at the first log-in.
        files.push(RenderedFile::with_mode(
            "/etc/shadow",
            with_entry(
                &accounts.shadow,
                user,
                &format!("{user}:{hash}:20000:0:99999:7:::"),
            ),
            0o600,
        ));
        let group = with_entry(&accounts.group, user, &format!("{user}:x:{ADMINISTRATOR}:"));
        files.push(RenderedFile::text(
            "/etc/group",
            with_member(&group, &["sudo", "adm", "systemd-journal"], user),
        ));
    }
    files
}

/// Replaces or adds the line of `name`.
fn with_entry(text: &str, name: &str, entry: &str) -> String {
    let mut lines: Vec<&str> = text
        .lines()
        .filter(|line| line.split(':').next() != Some(name))
        .collect();
    lines.push(entry);
    lines.join("\n") + "\n"
}

/// Adds `user` to each of these groups that exists.
fn with_member(text: &str, groups: &[&str], user: &str) -> String {
    text.lines()
        .map(|line| {
            let name = line.split(':').next().unwrap_or_default();
            let members = line.rsplit(':').next().unwrap_or_default();
            if !groups.contains(&name) || members.split(',').any(|member| member == user) {
                format!("{line}\n")
            } else if members.is_empty() {
                format!("{line}{user}\n")
            } else {
                format!("{line},{user}\n")
            }
        })
        .collect()
}
