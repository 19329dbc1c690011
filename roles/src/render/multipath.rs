//! dm-multipath for exactly the disks that the plan chose; for nothing else, and without them not at all.
//!
//! Sources: multipath.conf(5), multipath(8) and the udev rules of multipath-tools 0.11 in Debian 13.

use super::RenderedFile;

const UNITS: &str = "/etc/systemd/system";

/// multipathd's name of a SCSI disk: `3` and the digits of its WWN (udev's `ID_SERIAL`, scsi_id(8)).
fn id(wwn: &str) -> String {
    format!("3{}", wwn.strip_prefix("0x").unwrap_or(wwn))
}

/// Where the disks' first partitions appear: `/dev/mapper/35000cca261280e68-part1`.
pub(super) fn partitions(wwns: &[String]) -> Vec<String> {
    wwns.iter()
        .map(|wwn| format!("/dev/mapper/{}-part1", id(wwn)))
        .collect()
}

/// Configuration and units for disks of these WWNs (`0x...`), or what keeps dm-multipath away if there are none.
pub(super) fn files(wwns: &[String]) -> Vec<RenderedFile> {
    if wwns.is_empty() {
        return off();
    }
    let ids: Vec<String> = wwns.iter().map(|wwn| id(wwn)).collect();
    let exceptions: String = ids
        .iter()
        .map(|id| format!("    wwid \"^{id}$\"\n"))
        .collect();
    let known: String = ids.iter().map(|id| format!("/{id}/\n")).collect();
    vec![
        RenderedFile::text("/etc/multipath.conf", format!("{SETTINGS}{exceptions}}}\n")),
        // `strict` takes what stands here, also a disk that shows one path at this boot.
        RenderedFile::with_mode(
            "/etc/multipath/wwids",
            format!(
                "# Multipath wwids, Version : 1.0\n# Rendered at boot.\n#\n# Valid WWIDs:\n{known}"
            ),
            0o600,
        ),
        // In sysinit, as the package does it: `multipath -u` in udev's rules claims nothing unless this link is there. The
        // unit is ordered before local-fs-pre.target, so mounts of arrays come after it.
        RenderedFile::link(
            format!("{UNITS}/sysinit.target.wants/multipathd.service"),
            "/usr/lib/systemd/system/multipathd.service",
        ),
        // The service listens by itself; nothing else may start it.
        RenderedFile::link(format!("{UNITS}/multipathd.socket"), "/dev/null"),
    ]
}

/// No daemon, and no udev rule that claims a disk for one.
fn off() -> Vec<RenderedFile> {
    ["multipathd.service", "multipathd.socket"]
        .iter()
        .map(|unit| format!("{UNITS}/{unit}"))
        .chain(["/etc/udev/rules.d/60-multipath.rules".to_owned()])
        .map(|path| RenderedFile::link(path, "/dev/null"))
        .collect()
}

const SETTINGS: &str = r#"# Rendered at boot from the plan of the install.
defaults {
    user_friendly_names no
    # Only disks named below and in `wwids`, and those also when they show one path.
    find_multipaths strict
    polling_interval 5
    # Without the daemon nothing could end the queueing.
    queue_without_daemon no
}

# Wins over the built-in table of devices.
overrides {
    # Both ports of a SAS disk are equally good. All paths carry load, so a bad cable shows itself at once and not on the
    # day the other one fails; one group each (`failover`) would leave an HBA idle.
    path_grouping_policy multibus
    path_selector "service-time 0"
    path_checker tur
    detect_checker no
    prio const
    detect_prio no
    failback immediate
    # With all paths gone: queue for 3 checks (15 s, a reset of HBA or expander), then fail, so that pool or array sees a
    # dead disk and takes a spare. A disk that was pulled fails at once.
    no_path_retry 3
    flush_on_last_del always
    skip_kpartx no
}

blacklist {
    wwid ".*"
}

blacklist_exceptions {
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::Content;

    fn paths(files: &[RenderedFile]) -> Vec<&str> {
        files.iter().map(|file| file.path.as_str()).collect()
    }

    #[test]
    fn exactly_the_planned_disks() {
        let wwns = ["0x5000cca261280e68".to_owned(), "0x5000c50012345678".into()];
        let files = files(&wwns);
        let text = |path: &str| match &files.iter().find(|file| file.path == path).unwrap().content
        {
            Content::File { text, .. } => text.clone(),
            Content::Link { target } => target.clone(),
        };
        let configuration = text("/etc/multipath.conf");
        assert!(configuration.contains("blacklist {\n    wwid \".*\"\n}\n"));
        assert!(configuration.ends_with(
            "blacklist_exceptions {\n    wwid \"^35000cca261280e68$\"\n    wwid \"^35000c50012345678$\"\n}\n"
        ));
        assert_eq!(
            configuration.matches('{').count(),
            configuration.matches('}').count()
        );
        assert!(
            text("/etc/multipath/wwids").ends_with("/35000cca261280e68/\n/35000c50012345678/\n")
        );
        assert_eq!(
            text("/etc/systemd/system/sysinit.target.wants/multipathd.service"),
            "/usr/lib/systemd/system/multipathd.service"
        );
        assert!(!paths(&files).contains(&"/etc/systemd/system/multipathd.service"));
        assert_eq!(partitions(&wwns)[0], "/dev/mapper/35000cca261280e68-part1");
    }

    #[test]
    fn without_planned_disks_nothing_claims_one() {
        let files = files(&[]);
        assert_eq!(
            paths(&files),
            [
                "/etc/systemd/system/multipathd.service",
                "/etc/systemd/system/multipathd.socket",
                "/etc/udev/rules.d/60-multipath.rules"
            ]
        );
        assert!(files.iter().all(
            |file| matches!(&file.content, Content::Link { target } if target == "/dev/null")
        ));
    }
}
