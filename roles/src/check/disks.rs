//! Rules of disk groups, the same in role and node files.

use crate::{
    role::{DiskNeed, Layout, Purpose},
    selector::Selector,
};

use super::{Checker, is_plain_path, pool};

/// Checks the list at the key `disks`.
pub(crate) fn check(disks: &[DiskNeed], checker: &mut Checker<'_, '_>) {
    for (index, need) in disks.iter().enumerate() {
        let path = format!("disks.{index}");
        if disks[..index]
            .iter()
            .any(|other| other.purpose == need.purpose)
        {
            checker
                .conflict(
                    &format!("{path}.purpose"),
                    "a second group of disks for the same purpose".to_owned(),
                )
                .hint("one group per purpose; alternatives go into its `select` list");
        }
        if need.select.is_empty() {
            checker
                .bad(&format!("{path}.select"), "no condition says which disks".to_owned())
                .hint("add at least one selector, such as `{ rotational = false, size = \"200 GB..\" }`");
        }
        for (number, selector) in need.select.iter().enumerate() {
            check_selector(selector, &format!("{path}.select.{number}"), checker);
        }
        match (&need.layout, need.purpose) {
            (Some(layout), Purpose::Data) => {
                check_layout(layout, need.count, &format!("{path}.layout"), checker)
            }
            (Some(_), _) => {
                checker.conflict(
                    &format!("{path}.layout"),
                    "only data disks have a layout".to_owned(),
                );
            }
            (None, Purpose::Data) => {
                checker
                    .bad(&path, "data disks need a layout".to_owned())
                    .hint("add `layout = { kind = \"md\", ... }` or `layout = { kind = \"zfs\", ... }`");
            }
            (None, _) => {}
        }
    }
}

fn check_selector(selector: &Selector, path: &str, checker: &mut Checker<'_, '_>) {
    if selector.is_empty() {
        checker.bad(
            path,
            "a selector without conditions matches every disk".to_owned(),
        );
    }
    for (key, error) in [
        ("size", selector.size_range().err()),
        ("bay", selector.bay_set().err()),
    ] {
        if let Some(error) = error {
            checker
                .bad(&format!("{path}.{key}"), error.to_string())
                .hint(error.hint);
        }
    }
    for (index, wwn) in selector.wwn.iter().enumerate() {
        let digits = wwn.strip_prefix("0x").unwrap_or_default();
        if !matches!(digits.len(), 16 | 32)
            || !digits
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        {
            checker
                .bad(&format!("{path}.wwn.{index}"), format!("`{wwn}` is not a world wide name"))
                .hint("write `0x` and 16 lower-case hexadecimal digits, as `lsblk -o NAME,WWN` prints them");
        }
    }
}

fn check_layout(layout: &Layout, count: u32, path: &str, checker: &mut Checker<'_, '_>) {
    match layout {
        Layout::Md { level, mount, .. } => {
            let least = match level {
                0 | 1 => 2,
                5 => 3,
                6 | 10 => 4,
                other => {
                    checker
                        .bad(
                            &format!("{path}.level"),
                            format!("there is no RAID level `{other}`"),
                        )
                        .hint("one of: 0, 1, 5, 6, 10");
                    return;
                }
            };
            if count < least {
                checker.conflict(
                    &format!("{path}.level"),
                    format!("RAID level {level} needs at least {least} disks, not {count}"),
                );
            }
            check_mount(mount, &format!("{path}.mount"), checker);
        }
        Layout::Zfs {
            pool,
            vdev,
            width,
            datasets,
        } => {
            if !is_zfs_name(pool)
                || matches!(
                    pool.as_str(),
                    "mirror" | "raidz" | "draid" | "spare" | "log"
                )
            {
                checker.bad(
                    &format!("{path}.pool"),
                    format!("`{pool}` cannot be the name of a pool"),
                );
            }
            pool::check(vdev, *width, count, path, checker);
            for (index, dataset) in datasets.iter().enumerate() {
                let name = &dataset.name;
                if !name.split('/').all(is_zfs_name) {
                    checker.bad(
                        &format!("{path}.datasets.{index}.name"),
                        format!("`{name}` cannot be the name of a data set"),
                    );
                }
                if datasets[..index].iter().any(|other| other.name == *name) {
                    checker.conflict(
                        &format!("{path}.datasets.{index}.name"),
                        format!("a second data set `{name}`"),
                    );
                }
            }
        }
    }
}

/// zpool(8) and zfs(8): begins with a letter, then letters, digits and `-_.:`.
fn is_zfs_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.len() < 200
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
}

fn check_mount(mount: &str, path: &str, checker: &mut Checker<'_, '_>) {
    // The root file system is read-only, so nothing else can hold a mount point; `/var` itself is on the system disks.
    if !is_plain_path(mount) {
        checker.bad(path, format!("`{mount}` is not a plain absolute path"));
    } else if !mount.starts_with("/var/") {
        checker
            .bad(path, format!("data cannot be mounted at `{mount}`"))
            .hint("the root file system is read-only; use a folder below `/var`");
    }
}
