//! Mount units for the data file systems that the install recorded.

use super::{Content, DataMount, RenderedFile, services::UNITS};

/// The journal of a file system that lost its power is replayed while it is mounted: ended half-way it begins anew next time.
const PATIENCE: &str = "15min";

pub(super) fn files(mounts: &[DataMount]) -> Vec<RenderedFile> {
    let mut files = Vec::new();
    let mut rules = String::new();
    for mount in mounts {
        let DataMount { path, uuid, kind } = mount;
        let unit = format!("{}.mount", escape_path(path));
        // Wanted, not required: with a data disk gone the machine must still come up and say so.
        let text = format!(
            "[Unit]
Description=Data at {path}
Before=local-fs.target

[Mount]
What=/dev/disk/by-uuid/{uuid}
Where={path}
Type={kind}
Options=noatime
TimeoutSec={PATIENCE}
"
        );
        let file = format!("/etc/systemd/system/{unit}");
        files.push(RenderedFile::link(
            format!("/etc/systemd/system/local-fs.target.wants/{unit}"),
            &file,
        ));
        files.push(RenderedFile::text(file, text));
        // A disk that never comes must not hold the boot for the default 90 s, and one that comes later is mounted then
        // (udev's `SYSTEMD_WANTS`, systemd.device(5)): seen with an array that took more than 30 s to appear.
        let device = escape_path(&format!("/dev/disk/by-uuid/{uuid}"));
        files.push(RenderedFile::text(
            format!("/etc/systemd/system/{device}.device.d/rackwright.conf"),
            "[Unit]\nJobRunningTimeoutSec=60s\n",
        ));
        rules.push_str(&format!(
            "ACTION!=\"remove\", SUBSYSTEM==\"block\", ENV{{ID_FS_UUID}}==\"{uuid}\", ENV{{SYSTEMD_WANTS}}+=\"{}\"\n",
            unit
        ));
    }
    if !rules.is_empty() {
        files.push(RenderedFile::text(
            "/etc/udev/rules.d/90-rackwright-data.rules",
            rules,
        ));
    }
    files
}

/// A mount that comes late brings along what the boot gave up because of it: `Dependency failed` is final, and databases whose
/// array took two minutes never joined (2026-11-30). `start`: the role's units; `rendered`: where they and their drop-ins lie.
pub(super) fn wants(
    mounts: &[DataMount],
    start: &[String],
    rendered: &[RenderedFile],
) -> Vec<RenderedFile> {
    let mut links = Vec::new();
    for unit in start {
        let file = format!("{UNITS}/{unit}");
        let more = format!("{file}.d/");
        let own = rendered
            .iter()
            .filter(|rendered| rendered.path == file || rendered.path.starts_with(&more));
        let needed: Vec<&str> = own
            .filter_map(|file| match &file.content {
                Content::File { text, .. } => Some(text.as_str()),
                Content::Link { .. } => None,
            })
            .flat_map(str::lines)
            .filter_map(|line| line.strip_prefix("RequiresMountsFor="))
            .flat_map(str::split_whitespace)
            .collect();
        for mount in mounts {
            let inside = |path: &&str| {
                let rest = path.strip_prefix(mount.path.trim_end_matches('/'));
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            if needed.iter().any(inside) {
                links.push(RenderedFile::link(
                    format!("{UNITS}/{}.mount.wants/{unit}", escape_path(&mount.path)),
                    &file,
                ));
            }
        }
    }
    links
}

/// systemd-escape(1) `--path`.
pub(super) fn escape_path(path: &str) -> String {
    let mut escaped = String::new();
    for (index, byte) in path.trim_matches('/').bytes().enumerate() {
        match byte {
            b'/' => escaped.push('-'),
            b'.' if index == 0 => escaped.push_str("\\x2e"),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b':' | b'_' | b'.' => {
                escaped.push(char::from(byte))
            }
            other => escaped.push_str(&format!("\\x{other:02x}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_brings_along_what_needs_it() {
        let mounts = [("/var/lib/mysql", "a"), ("/srv/b.c", "b")].map(|(path, uuid)| DataMount {
            path: path.into(),
            uuid: uuid.into(),
            kind: "xfs".into(),
        });
        let unit = |name: &str, needs: &str| {
            let text = format!("[Unit]\n{needs}\n[Service]\n");
            RenderedFile::text(format!("{UNITS}/{name}"), text)
        };
        let rendered = [
            unit("exact.service", "RequiresMountsFor=/var/lib/mysql"),
            unit("below.service", "RequiresMountsFor=/state /srv/b.c/deep"),
            unit("drop.service.d/more.conf", "RequiresMountsFor=/srv/b.c/"),
            unit("beside.service", "RequiresMountsFor=/var/lib/mysqlx"),
            unit("none.service", "After=network.target"),
            // Not one that is started at boot.
            unit("other.service", "RequiresMountsFor=/var/lib/mysql"),
        ];
        let start = ["exact", "below", "drop", "beside", "none"];
        let start = start.map(|name| format!("{name}.service"));
        let links = wants(&mounts, &start, &rendered);
        let paths: Vec<&str> = links.iter().map(|link| link.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "/etc/systemd/system/var-lib-mysql.mount.wants/exact.service",
                "/etc/systemd/system/srv-b.c.mount.wants/below.service",
                "/etc/systemd/system/srv-b.c.mount.wants/drop.service",
            ]
        );
    }
}
