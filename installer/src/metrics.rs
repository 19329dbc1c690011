//! Figures of this machine in the exposition format of Prometheus (text version 0.0.4), for the textfile collector of its node
//! exporter: what the exporter itself cannot know. Written with each report to the control servers, so about once a minute.

use std::{collections::BTreeMap, fmt::Write as _};

use camino::Utf8Path;
use run::appliance::{health::Verdict, status::Status};
use system::{System, SystemError};

/// Folder that the collector reads; in memory.
pub const FOLDER: &str = "/run/rackwright/metrics";

/// Writes the file. The collector may be reading: it is replaced at once.
///
/// # Errors
/// The file cannot be written.
pub fn write(system: &dyn System, status: &Status, until: Option<i64>) -> Result<(), SystemError> {
    system.make_directory(Utf8Path::new(FOLDER))?;
    let path = Utf8Path::new(FOLDER).join("rackwright.prom");
    system.write(&path, text(status, until).as_bytes(), 0o644)
}

/// The text. `until`: seconds since 1970 when the machine's certificate ends.
fn text(status: &Status, until: Option<i64>) -> String {
    let mut page = Page::default();
    page.metric("healthy", "Nothing that this machine checks fails.");
    page.line("healthy", &[], u64::from(status.healthy));
    page.metric("check_failed", "A health check fails (1) or warns (0.5).");
    // One line for a name, or the collector refuses the whole file: of several checks the worst.
    let mut worst: BTreeMap<&str, f32> = BTreeMap::new();
    for check in &status.checks {
        let value = match check.result {
            Verdict::Fail => 1.0,
            Verdict::Warn => 0.5,
            Verdict::Pass => 0.0,
        };
        let known = worst.entry(&check.name).or_default();
        *known = known.max(value);
    }
    for (name, value) in worst {
        page.line("check_failed", &[("check", name)], value);
    }
    page.metric("pool_online", "The ZFS pool is whole.");
    for pool in &status.pools {
        let online = u64::from(pool.health == "ONLINE");
        page.line("pool_online", &[("pool", &pool.name)], online);
    }
    let report = status.service.as_ref();
    if let Some(copy) = report.and_then(|report| report.replication.as_ref()) {
        let role = [("role", copy.role.as_str())];
        page.metric("replication_good", "The copy is young enough.");
        page.line("replication_good", &role, u64::from(copy.good));
        if let Some(age) = copy.age {
            page.metric(
                "replication_age_seconds",
                "Age of the newest whole copy: what a takeover would lose.",
            );
            page.line("replication_age_seconds", &role, age);
        }
    }
    if let Some(database) = &status.database {
        page.metric(
            "database_serves",
            "Balancers may send clients to this server.",
        );
        let serves = database.running && database.unfit.is_none();
        page.line("database_serves", &[], u64::from(serves));
        page.metric("database_writable", "This server takes writes.");
        page.line("database_writable", &[], u64::from(database.writable));
        page.metric(
            "galera_members",
            "Members that this server sees; 0: no cluster.",
        );
        page.line("galera_members", &[], database.size);
    }
    page.metric("address_held", "This machine has the virtual address.");
    for held in &status.held {
        let labels = [
            ("name", held.name.as_str()),
            ("address", held.address.as_str()),
        ];
        page.line("address_held", &labels, 1);
    }
    if let Some(until) = until {
        page.metric(
            "certificate_expiry_timestamp_seconds",
            "When this machine's certificate ends.",
        );
        page.line("certificate_expiry_timestamp_seconds", &[], until);
    }
    page.text
}

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn metric(&mut self, name: &str, help: &str) {
        let head = format!("# HELP rackwright_{name} {help}\n# TYPE rackwright_{name} gauge\n");
        self.text.push_str(&head);
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let labels: Vec<String> = labels
            .iter()
            .map(|(key, value)| format!("{key}=\"{}\"", escaped(value)))
            .collect();
        let series = match labels.as_slice() {
            [] => format!("rackwright_{name}"),
            _ => format!("rackwright_{name}{{{}}}", labels.join(",")),
        };
        let _ = writeln!(self.text, "{series} {value}");
    }
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page() {
        let status = serde_json::json!({
            "node": "st1", "role": "storage", "version": "0.1.0", "mode": "run", "slot": "a", "state": "installed",
            "healthy": false, "disks": [], "arrays": [],
            "pools": [
                {"name": "tank", "health": "ONLINE", "size": 1, "allocated": 1},
                {"name": "old", "health": "DEGRADED", "size": 1, "allocated": 1}
            ],
            "networks": [], "services": [],
            "checks": [
                {"name": "pool old", "result": "fail", "detail": "x"},
                {"name": "role \"x\"", "result": "warn", "detail": ""},
                {"name": "mount", "result": "pass", "detail": ""},
                {"name": "mount", "result": "fail", "detail": ""}
            ],
            "held": [{"name": "storage", "address": "10.77.40.9", "interface": "storage0"}],
            "database": {"running": true, "primary": true, "size": 3, "writable": true},
            "service": {"state": "ready", "detail": "", "replication":
                {"role": "sink", "snapshot": "a", "age": 42, "interval": 60, "good": true}},
            "own_files": []
        });
        let status: Status = serde_json::from_value(status).unwrap();
        insta::assert_snapshot!(text(&status, Some(1_800_000_000)));
    }
}
