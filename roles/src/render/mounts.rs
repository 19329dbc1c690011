//! Mount units for the data file systems that the install recorded.

use super::{DataMount, RenderedFile};

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
