//! The shape of a ZFS pool: the words that the installer's planner reads, checked where the file is written.

use super::Checker;

const HINT: &str = "one of: mail, capacity, mirror, raidz1, raidz2, raidz3, draid2:8d; hot spares: `raidz2 spares 2`";

/// Redundancy of a vdev.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `mail`, `capacity`: the planner's default for the number of disks.
    Default,
    /// So many members at least.
    Grouped(u32),
    /// So many disks at least, without spares.
    Draid(u32),
}

/// Checks `vdev` and `width` of the layout at `path` for `count` disks.
pub(super) fn check(vdev: &str, width: u32, count: u32, path: &str, checker: &mut Checker<'_, '_>) {
    let at_vdev = format!("{path}.vdev");
    let at_width = format!("{path}.width");
    let mut words = vdev.split_whitespace();
    let word = words.next().unwrap_or_default();
    let Some(kind) = kind(word) else {
        checker
            .bad(&at_vdev, format!("there is no kind of vdev `{word}`"))
            .hint(HINT);
        return;
    };
    let spares = match (words.next(), words.next(), words.next()) {
        (None, ..) => 0,
        (Some(_), ..) if kind == Kind::Default => {
            checker
                .bad(&at_vdev, format!("`{word}` decides about spares by itself"))
                .hint("name the kind instead: `mirror spares 2`");
            return;
        }
        (Some("spares" | "spare"), Some(number), None) => match number.parse::<u32>() {
            Ok(number) => number,
            Err(_) => {
                checker.bad(&at_vdev, format!("`{number}` is not a number of spares"));
                return;
            }
        },
        _ => {
            checker
                .bad(
                    &at_vdev,
                    format!("`{vdev}` is not a kind of vdev and `spares` with a number"),
                )
                .hint(HINT);
            return;
        }
    };
    let groups = match kind {
        Kind::Grouped(least) => least,
        Kind::Default | Kind::Draid(_) => {
            if width > 0 {
                checker
                    .conflict(&at_width, format!("`{word}` decides the width by itself"))
                    .hint("leave out `width`");
            }
            let least = match kind {
                Kind::Draid(least) => least.saturating_add(spares),
                _ => 2,
            };
            if count < least {
                checker.conflict(
                    &at_vdev,
                    format!("`{vdev}` needs at least {least} disks, not {count}"),
                );
            }
            return;
        }
    };
    if width == 0 {
        checker
            .bad(
                path,
                format!("`{word}` needs a width: the number of disks in one vdev"),
            )
            .hint("add `width = 2`, or let `vdev = \"mail\"` or `vdev = \"capacity\"` decide");
        return;
    }
    let members = count.saturating_sub(spares);
    if members == 0 || !members.is_multiple_of(width) {
        let left = if spares == 0 {
            String::new()
        } else {
            format!(" after {spares} spares")
        };
        checker.conflict(
            &at_width,
            format!("{members} disks{left} cannot be divided into groups of {width}"),
        );
    }
    if width < groups {
        checker.conflict(
            &at_width,
            format!("`{word}` needs at least {groups} disks in a group, not {width}"),
        );
    }
}

/// The same words as `plan::layout` reads.
fn kind(word: &str) -> Option<Kind> {
    if let Some(rest) = word.strip_prefix("draid") {
        // zpoolconcepts(7): parity 1 to 3, 2 here if it is not said; 8 data disks in a group if it is not said.
        let (parity, data) = rest.split_once(':').unwrap_or((rest, "8d"));
        let parity: u32 = if parity.is_empty() {
            2
        } else {
            parity.parse().ok()?
        };
        let data: u32 = data.strip_suffix('d')?.parse().ok()?;
        return ((1..=3).contains(&parity) && (1..=64).contains(&data))
            .then_some(Kind::Draid(parity + data));
    }
    match word {
        "mail" | "capacity" => Some(Kind::Default),
        "mirror" | "raidz1" => Some(Kind::Grouped(2)),
        "raidz2" => Some(Kind::Grouped(3)),
        "raidz3" => Some(Kind::Grouped(4)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, kind};

    #[test]
    fn words() {
        for (word, expected) in [
            ("mail", Some(Kind::Default)),
            ("capacity", Some(Kind::Default)),
            ("mirror", Some(Kind::Grouped(2))),
            ("raidz1", Some(Kind::Grouped(2))),
            ("raidz3", Some(Kind::Grouped(4))),
            ("raidz", None),
            ("raidz4", None),
            ("stripe", None),
            ("", None),
            ("draid", Some(Kind::Draid(10))),
            ("draid1", Some(Kind::Draid(9))),
            ("draid2:4d", Some(Kind::Draid(6))),
            ("draid4:8d", None),
            ("draid2:0d", None),
            ("draid2:8", None),
            ("draid2:99999999999d", None),
        ] {
            assert_eq!(kind(word), expected, "{word}");
        }
    }
}
