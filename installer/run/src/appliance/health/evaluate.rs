//! Judges what was seen. Pure.

use std::collections::BTreeSet;

use roles::role::HealthCheck;

use super::{Array, CheckResult, Mount, Multipath, Observed, Pool, Verdict};

/// One result for each check, one for the paths of all disks or for each disk that lacks one, a failure for each of the role's
/// units that was never started, and a warning for each failed unit that no check names.
pub fn evaluate(checks: &[HealthCheck], seen: &Observed) -> Vec<CheckResult> {
    let mut results: Vec<CheckResult> = Vec::new();
    for check in checks {
        let (name, (result, detail)) = judge(check, seen);
        // Role and common may ask for the same.
        if !results.iter().any(|result| result.name == name) {
            results.push(CheckResult {
                name,
                result,
                detail,
            });
        }
    }
    results.extend(paths(&seen.multipath));
    // A join that waits for a mount which never came is not `failed`: a machine without it once called itself healthy.
    let untried = seen.units.iter().filter(|unit| unit.untried).map(|unit| {
        let detail = format!(
            "never started; see `systemctl list-dependencies {}`",
            unit.unit
        );
        (&unit.unit, Verdict::Fail, detail)
    });
    let failed = seen.failed.iter().map(|unit| {
        let detail = format!("failed; see `journalctl -u {unit}`");
        (unit, Verdict::Warn, detail)
    });
    for (unit, result, detail) in untried.chain(failed) {
        let name = format!("service {unit}");
        if !results.iter().any(|result| result.name == name) {
            results.push(CheckResult {
                name,
                result,
                detail,
            });
        }
    }
    results
}

type Judgement = (Verdict, String);

fn judge(check: &HealthCheck, seen: &Observed) -> (String, Judgement) {
    match check {
        HealthCheck::Service { unit } => (format!("service {unit}"), service(unit, seen)),
        HealthCheck::Mount { path } => (format!("mount {path}"), mount(path, seen)),
        HealthCheck::Array { path } => (format!("array {path}"), array(path, seen)),
        HealthCheck::Pool { name } => (format!("pool {name}"), pool(name, seen)),
        HealthCheck::Listen { protocol, port } => {
            let result = if seen.listeners.contains(&(protocol.clone(), *port)) {
                pass("listens")
            } else {
                fail("nothing listens")
            };
            (format!("listen {protocol} {port}"), result)
        }
        HealthCheck::Module { name } => {
            let result = if seen.modules.contains(name) {
                pass("loaded")
            } else {
                fail("not loaded")
            };
            (format!("module {name}"), result)
        }
    }
}

fn pass(detail: impl Into<String>) -> Judgement {
    (Verdict::Pass, detail.into())
}

fn warn(detail: impl Into<String>) -> Judgement {
    (Verdict::Warn, detail.into())
}

fn fail(detail: impl Into<String>) -> Judgement {
    (Verdict::Fail, detail.into())
}

fn service(unit: &str, seen: &Observed) -> Judgement {
    let Some(state) = seen.units.iter().find(|state| state.unit == unit) else {
        return fail("unknown");
    };
    match state.active.as_str() {
        "active" | "reloading" | "refreshing" => pass(format!("active ({})", state.sub)),
        "failed" => fail(format!(
            "failed ({}); see `journalctl -u {unit}`",
            state.result
        )),
        other => fail(format!("{other} ({})", state.sub)),
    }
}

/// The last line of a path counts: it lies on top.
fn mounted<'a>(path: &str, seen: &'a Observed) -> Option<&'a Mount> {
    seen.mounts.iter().rfind(|mount| mount.path == path)
}

fn mount(path: &str, seen: &Observed) -> Judgement {
    match mounted(path, seen) {
        None => fail("not mounted"),
        Some(mount) if mount.read_only => fail(format!(
            "{} is read-only; it may have had an error: see `dmesg`",
            mount.source
        )),
        Some(mount) => pass(format!("{} ({})", mount.source, mount.kind)),
    }
}

fn array(path: &str, seen: &Observed) -> Judgement {
    let Some(mount) = mounted(path, seen) else {
        return fail("not mounted");
    };
    match seen
        .arrays
        .iter()
        .find(|array| carries(array, &mount.source))
    {
        None => fail(format!("{} is not on an md array", mount.source)),
        Some(array) => array_state(array),
    }
}

/// `/dev/md127` or a partition of it, `/dev/md127p4`.
fn carries(array: &Array, source: &str) -> bool {
    let Some(rest) = source
        .strip_prefix("/dev/")
        .and_then(|name| name.strip_prefix(array.name.as_str()))
    else {
        return false;
    };
    rest.is_empty()
        || rest.strip_prefix('p').is_some_and(|number| {
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        })
}

fn array_state(array: &Array) -> Judgement {
    let name = format!("{} {}", array.name, array.level);
    if matches!(
        array.state.as_str(),
        "inactive" | "broken" | "clear" | "unknown"
    ) {
        return fail(format!("{name} is {}", array.state));
    }
    let present = array.members.saturating_sub(array.missing);
    if array.missing == 0 {
        return pass(format!(
            "{name}, {present} of {present} members, {}",
            array.action_text()
        ));
    }
    let doing = match array.action.as_str() {
        "recover" | "resync" => array.action_text(),
        _ => "REPLACE THE MISSING DISK".to_owned(),
    };
    warn(format!(
        "{name} DEGRADED: {present} of {} members, {doing}",
        array.members
    ))
}

fn pool(name: &str, seen: &Observed) -> Judgement {
    match seen.pools.iter().find(|pool| pool.name == name) {
        None => fail("not imported"),
        Some(pool) => match pool.health.as_str() {
            "ONLINE" => pass("ONLINE"),
            "DEGRADED" => warn(said(pool)),
            _ => fail(said(pool)),
        },
    }
}

/// `DEGRADED: sdc UNAVAIL; see ...`
fn said(pool: &Pool) -> String {
    let faults: String = pool
        .faults()
        .map(|device| format!("{}; ", device.text()))
        .collect();
    format!("{}: {faults}see `zpool status {}`", pool.health, pool.name)
}

/// A lost path is a warning: the data is there, and the next loss takes it away. How many paths a disk should have is not
/// recorded: as many as the best of its kind has.
fn paths(disks: &[Multipath]) -> Vec<CheckResult> {
    let most = disks.iter().map(|disk| disk.paths.len()).max().unwrap_or(0);
    let hbas: BTreeSet<&str> = disks.iter().flat_map(Multipath::hbas).collect();
    let result = |name: String, (result, detail): Judgement| CheckResult {
        name,
        result,
        detail,
    };
    let bad: Vec<CheckResult> = disks
        .iter()
        .filter(|disk| disk.up() < most.max(1))
        .map(|disk| {
            let name = format!("paths {}", disk.wwn);
            if disk.paths.is_empty() {
                return result(
                    name,
                    warn("no dm-multipath device: is the disk there, does multipathd run?"),
                );
            }
            let mut words = vec![format!("{} of {most} up", disk.up())];
            for path in disk.paths.iter().filter(|path| !path.up) {
                words.push(format!("{path} is down"));
            }
            let known: BTreeSet<&str> =
                disk.paths.iter().filter_map(|p| p.hba.as_deref()).collect();
            for hba in hbas.difference(&known) {
                words.push(format!("none through HBA {hba}"));
            }
            result(name, warn(words.join("; ")))
        })
        .collect();
    if bad.is_empty() && !disks.is_empty() {
        let detail = format!("{} disks, each through {most}", disks.len());
        return vec![result("paths".into(), pass(detail))];
    }
    bad
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::health::{DiskPath, Unit, is_healthy};

    fn unit(name: &str, active: &str) -> Unit {
        Unit {
            unit: name.into(),
            active: active.into(),
            sub: "sub".into(),
            result: "exit-code".into(),
            untried: active == "inactive",
        }
    }

    fn mount(path: &str, source: &str, read_only: bool) -> Mount {
        Mount {
            path: path.into(),
            source: source.into(),
            kind: "ext4".into(),
            read_only,
        }
    }

    fn array(name: &str, missing: u32, state: &str, action: &str) -> Array {
        Array {
            name: name.into(),
            level: "raid1".into(),
            members: 2,
            missing,
            state: state.into(),
            action: action.into(),
            progress: None,
        }
    }

    fn seen() -> Observed {
        let pool = |name: &str, health: &str| Pool {
            name: name.into(),
            health: health.into(),
            size: 1,
            allocated: 0,
            devices: Vec::new(),
        };
        Observed {
            units: vec![
                unit("a.service", "active"),
                unit("b.service", "failed"),
                unit("c.service", "activating"),
                unit("join.service", "inactive"),
            ],
            failed: vec!["b.service".into(), "other.service".into()],
            mounts: vec![
                mount("/state", "/dev/md127p3", false),
                mount("/var", "/dev/md127p4", true),
                mount("/data", "/dev/md1", false),
                mount("/bare", "/dev/sda1", false),
                mount("/gone", "/dev/md12", false),
            ],
            arrays: vec![
                array("md1", 0, "active", "check"),
                array("md12", 2, "broken", "idle"),
                array("md127", 1, "clean", "idle"),
            ],
            pools: vec![
                pool("tank", "DEGRADED"),
                pool("good", "ONLINE"),
                pool("bad", "SUSPENDED"),
            ],
            multipath: Vec::new(),
            listeners: [("tcp".to_owned(), 22)].into(),
            modules: ["ip_vs".to_owned()].into(),
        }
    }

    #[test]
    fn verdicts() {
        let service = |unit: &str| HealthCheck::Service { unit: unit.into() };
        let mounted = |path: &str| HealthCheck::Mount { path: path.into() };
        let on_array = |path: &str| HealthCheck::Array { path: path.into() };
        let pool = |name: &str| HealthCheck::Pool { name: name.into() };
        let listen = |protocol: &str, port| HealthCheck::Listen {
            protocol: protocol.into(),
            port,
        };
        let module = |name: &str| HealthCheck::Module { name: name.into() };
        let checks = [
            service("a.service"),
            service("b.service"),
            service("c.service"),
            service("d.service"),
            mounted("/state"),
            mounted("/var"),
            mounted("/nowhere"),
            on_array("/state"),
            on_array("/data"),
            on_array("/bare"),
            on_array("/gone"),
            pool("tank"),
            pool("good"),
            pool("bad"),
            pool("none"),
            listen("tcp", 22),
            listen("udp", 22),
            module("ip_vs"),
            module("zfs"),
            service("a.service"),
        ];
        let lines: Vec<String> = evaluate(&checks, &seen())
            .into_iter()
            .map(|check| {
                format!(
                    "{} | {} | {}",
                    check.result.name(),
                    check.name,
                    check.detail
                )
            })
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        pass | service a.service | active (sub)
        fail | service b.service | failed (exit-code); see `journalctl -u b.service`
        fail | service c.service | activating (sub)
        fail | service d.service | unknown
        pass | mount /state | /dev/md127p3 (ext4)
        fail | mount /var | /dev/md127p4 is read-only; it may have had an error: see `dmesg`
        fail | mount /nowhere | not mounted
        warn | array /state | md127 raid1 DEGRADED: 1 of 2 members, REPLACE THE MISSING DISK
        pass | array /data | md1 raid1, 2 of 2 members, check
        fail | array /bare | /dev/sda1 is not on an md array
        fail | array /gone | md12 raid1 is broken
        warn | pool tank | DEGRADED: see `zpool status tank`
        pass | pool good | ONLINE
        fail | pool bad | SUSPENDED: see `zpool status bad`
        fail | pool none | not imported
        pass | listen tcp 22 | listens
        fail | listen udp 22 | nothing listens
        pass | module ip_vs | loaded
        fail | module zfs | not loaded
        fail | service join.service | never started; see `systemctl list-dependencies join.service`
        warn | service other.service | failed; see `journalctl -u other.service`
        ");
    }

    #[test]
    fn paths_of_disks() {
        let path = |name: &str, hba: &str, up| DiskPath {
            name: name.into(),
            hba: Some(hba.into()),
            port: Some("port-0:1".into()),
            up,
        };
        let (a, b) = ("0000:02:00.0", "0000:81:00.0");
        let disk = |wwn: &str, paths: Vec<DiskPath>| Multipath {
            wwn: wwn.into(),
            paths,
        };
        let whole = disk(
            "0x5000000000000001",
            vec![path("sda", a, true), path("sdb", b, true)],
        );
        let text = |disks: &[Multipath]| {
            let lines: Vec<String> = paths(disks)
                .into_iter()
                .map(|check| {
                    format!(
                        "{} | {} | {}",
                        check.result.name(),
                        check.name,
                        check.detail
                    )
                })
                .collect();
            lines.join("\n")
        };
        assert_eq!(text(&[]), "");
        assert_eq!(
            text(&[whole.clone(), whole.clone()]),
            "pass | paths | 2 disks, each through 2"
        );
        let down = disk(
            "0x5000000000000002",
            vec![path("sdc", a, true), path("sdd", b, false)],
        );
        let gone = disk("0x5000000000000003", vec![path("sde", a, true)]);
        let none = disk("0x5000000000000004", vec![]);
        assert_eq!(
            text(&[whole, down, gone, none]),
            "warn | paths 0x5000000000000002 | 1 of 2 up; sdd (HBA 0000:81:00.0, port-0:1) is down\n\
             warn | paths 0x5000000000000003 | 1 of 2 up; none through HBA 0000:81:00.0\n\
             warn | paths 0x5000000000000004 | no dm-multipath device: is the disk there, does multipathd run?"
        );
    }

    #[test]
    fn a_degraded_system_array_is_healthy_and_said_loudly() {
        let seen = Observed {
            units: Vec::new(),
            ..seen()
        };
        let array = HealthCheck::Array {
            path: "/state".into(),
        };
        let results = evaluate(&[array], &seen);
        assert!(is_healthy(&results));
        assert!(results[0].detail.contains("DEGRADED"));
    }
}
