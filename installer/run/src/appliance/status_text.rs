//! `status` for people: 80 columns, no colour needed.

use super::{
    health::Verdict,
    status::Status,
    surroundings::{Database, Happened},
};

const WIDTH: usize = 80;

pub(super) fn text(status: &Status) -> String {
    let mut lines = vec![format!(
        "{}  {}",
        if status.healthy {
            "HEALTHY"
        } else {
            "NOT HEALTHY"
        },
        status.node.as_deref().unwrap_or("(no node file)")
    )];
    let slot = status
        .slot
        .as_ref()
        .map_or_else(|| status.mode.clone(), |slot| format!("slot {slot}"));
    lines.push(format!(
        "role {}, version {}, {slot}, {}",
        status.role, status.version, status.state
    ));
    if let Some(memory) = status.memory {
        lines.push(format!(
            "memory: {} of {} available",
            size(memory.available),
            size(memory.total)
        ));
    }
    for verdict in [Verdict::Fail, Verdict::Warn] {
        for check in status.checks.iter().filter(|check| check.result == verdict) {
            let mark = verdict.name().to_uppercase();
            lines.extend(folded(
                &format!("{mark}  "),
                &format!("{}: {}", check.name, check.detail),
            ));
        }
    }
    let passed = status
        .checks
        .iter()
        .filter(|check| check.result == Verdict::Pass)
        .count();
    lines.push(format!("{passed} of {} checks pass", status.checks.len()));

    section(
        &mut lines,
        "Disks",
        status.disks.iter().map(|disk| {
            format!(
                "{:<8} {:>9}  {} {}",
                disk.name,
                size(disk.size),
                disk.model.as_deref().unwrap_or("(no model)").trim(),
                disk.serial.as_deref().unwrap_or("(no serial)").trim()
            )
        }),
    );
    section(
        &mut lines,
        "Arrays",
        status.arrays.iter().map(|array| {
            format!(
                "{:<8} {:<7} {} of {} members, {}, {}",
                array.name,
                array.level,
                array.members.saturating_sub(array.missing),
                array.members,
                array.state,
                array.action_text()
            )
        }),
    );
    section(
        &mut lines,
        "Pools",
        status.pools.iter().map(|pool| {
            format!(
                "{:<8} {:<9} {} of {} used",
                pool.name,
                pool.health,
                size(pool.allocated),
                size(pool.size)
            )
        }),
    );
    section(
        &mut lines,
        "Devices of pools that do not work",
        status.pools.iter().flat_map(|pool| {
            let faults = pool.faults();
            faults.map(|device| format!("{:<8} {}", pool.name, device.text()))
        }),
    );
    let copy = status
        .service
        .iter()
        .filter_map(|report| report.replication.as_ref());
    section(
        &mut lines,
        "Copy of the mail",
        copy.map(|copy| format!("{}: {}", copy.role, copy.text())),
    );
    section(
        &mut lines,
        "Disks of several paths",
        status.multipath.iter().map(|disk| {
            let paths: Vec<String> = disk
                .paths
                .iter()
                .map(|path| format!("{path} {}", if path.up { "up" } else { "DOWN" }))
                .collect();
            format!(
                "{}  {} of {} up  {}",
                disk.wwn,
                disk.up(),
                disk.paths.len(),
                paths.join(", ")
            )
        }),
    );
    section(
        &mut lines,
        "Networks",
        status.networks.iter().map(|network| {
            format!(
                "{:<10} {:<7} {}",
                network.name,
                network.state.to_lowercase(),
                network.addresses.join(" ")
            )
        }),
    );
    section(
        &mut lines,
        "Virtual addresses held",
        status
            .held
            .iter()
            .map(|held| format!("{:<10} {} {}", held.interface, held.address, held.name)),
    );
    section(
        &mut lines,
        "Database",
        status.database.iter().map(Database::text),
    );
    section(
        &mut lines,
        "Services",
        status
            .services
            .iter()
            .map(|unit| format!("{:<42} {} ({})", unit.unit, unit.active, unit.sub)),
    );
    section(
        &mut lines,
        "Secrets, by name",
        status.secrets.iter().cloned(),
    );
    section(
        &mut lines,
        "Own files over the rendered ones",
        status.own_files.iter().cloned(),
    );
    section(
        &mut lines,
        "Last events, UTC",
        status.events.iter().map(Happened::text),
    );
    lines.join("\n") + "\n"
}

fn section(lines: &mut Vec<String>, title: &str, entries: impl Iterator<Item = String>) {
    let mut entries = entries.peekable();
    if entries.peek().is_none() {
        return;
    }
    lines.push(String::new());
    lines.push(title.to_owned());
    for entry in entries {
        lines.extend(folded("  ", &entry));
    }
}

/// Words in lines of at most 80 columns; the first line begins with `mark`, the others with as many blanks.
fn folded(mark: &str, text: &str) -> Vec<String> {
    let indent = " ".repeat(mark.chars().count());
    let mut lines = Vec::new();
    for part in text.lines() {
        let mut line = if lines.is_empty() {
            mark.to_owned()
        } else {
            indent.clone()
        };
        let mut empty = true;
        // Not split_whitespace: runs of blanks are columns.
        for word in part.split(' ') {
            if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
                lines.push(std::mem::replace(&mut line, indent.clone()));
                empty = true;
            }
            if !empty {
                line.push(' ');
            }
            line.push_str(word);
            empty = false;
        }
        lines.push(line.trim_end().to_owned());
    }
    lines
}

fn size(bytes: u64) -> String {
    let mut unit = 1_u64;
    let mut names = ["B", "kB", "MB", "GB", "TB"].into_iter();
    let mut name = names.next().unwrap_or_default();
    for next in names {
        if bytes / unit < 1000 {
            break;
        }
        unit *= 1000;
        name = next;
    }
    if unit == 1 || bytes / unit >= 100 {
        format!("{} {name}", bytes / unit)
    } else {
        format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_lines() {
        for (bytes, expected) in [
            (0, "0 B"),
            (999, "999 B"),
            (1500, "1.5 kB"),
            (256_060_514_304, "256 GB"),
            (8_001_563_222_016, "8.0 TB"),
            (u64::MAX, "18446744 TB"),
        ] {
            assert_eq!(size(bytes), expected);
        }
        assert_eq!(folded("X  ", "a  b\nc"), ["X  a  b", "   c"]);
        let long = "word ".repeat(40);
        assert!(folded("  ", &long).iter().all(|line| line.len() <= WIDTH));
    }
}
