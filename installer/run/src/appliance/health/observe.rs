//! Looks at the running machine.

use std::collections::BTreeSet;

use camino::Utf8Path;
use roles::role::HealthCheck;
use serde::{Deserialize, Serialize};
use system::System;

use super::{Array, Multipath, Pool, Unit, arrays, listeners, multipath, pools, units};

/// What the machine shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// Units that were asked for.
    pub units: Vec<Unit>,
    /// Units in state `failed`.
    pub failed: Vec<String>,
    /// What is mounted.
    pub mounts: Vec<Mount>,
    /// md arrays.
    pub arrays: Vec<Array>,
    /// ZFS pools.
    pub pools: Vec<Pool>,
    /// Disks that dm-multipath owns.
    pub multipath: Vec<Multipath>,
    /// Protocol and port.
    pub listeners: BTreeSet<(String, u16)>,
    /// Loaded and built-in modules that were asked for.
    pub modules: BTreeSet<String>,
}

/// One mounted file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Where.
    pub path: String,
    /// Device or data set.
    pub source: String,
    /// File system.
    pub kind: String,
    /// Nothing can be written.
    pub read_only: bool,
}

/// Looks at what these checks need, and at these units.
pub fn observe(system: &dyn System, checks: &[HealthCheck], services: &[String]) -> Observed {
    let mut names: Vec<String> = services.to_vec();
    let mut modules = BTreeSet::new();
    let mut wants_pool = false;
    for check in checks {
        match check {
            HealthCheck::Service { unit } if !names.contains(unit) => names.push(unit.clone()),
            HealthCheck::Module { name } if has_module(system, name) => {
                modules.insert(name.clone());
            }
            HealthCheck::Pool { .. } => wants_pool = true,
            _ => {}
        }
    }
    let (units, failed) = units::units(system, &names);
    Observed {
        units,
        failed,
        mounts: parse_mounts(&text(system, "/proc/mounts")),
        arrays: arrays::arrays(system),
        pools: if wants_pool {
            pools::pools(system)
        } else {
            Vec::new()
        },
        multipath: multipath(system),
        listeners: listeners(system),
        modules,
    }
}

fn text(system: &dyn System, path: &str) -> String {
    let bytes = system.read(Utf8Path::new(path)).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Loaded, or built in with parameters: `/sys/module` has both; some loaded ones stand in `/proc/modules` only.
fn has_module(system: &dyn System, name: &str) -> bool {
    let name = name.replace('-', "_");
    let loaded = text(system, "/proc/modules");
    loaded
        .lines()
        .any(|line| line.split(' ').next() == Some(name.as_str()))
        || system.exists(&Utf8Path::new("/sys/module").join(&name))
}

/// proc_pid_mounts(5): blanks in paths are `\040`.
fn parse_mounts(text: &str) -> Vec<Mount> {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split(' ');
            Some(Mount {
                source: fields.next()?.replace("\\040", " "),
                path: fields.next()?.replace("\\040", " "),
                kind: fields.next()?.to_owned(),
                read_only: fields.next()?.split(',').any(|option| option == "ro"),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use system::Simulated;

    #[test]
    fn mounts_and_modules() {
        let mounts = parse_mounts(
            "/dev/md127p4 /var ext4 ro,nosuid,errors=remount-ro 0 0\ntank/mail /srv/a\\040b zfs rw 0 0\nx\n",
        );
        assert_eq!(mounts.len(), 2);
        assert!(mounts[0].read_only && !mounts[1].read_only);
        assert_eq!(mounts[1].path, "/srv/a b");

        let system = Simulated::new();
        system.put_file("/proc/modules", b"ip_vs 200704 6 ip_vs_rr, Live 0x0\n");
        system.put_file("/sys/module/nfsd/refcnt", b"1\n");
        assert!(has_module(&system, "ip-vs"));
        assert!(!has_module(&system, "zfs"));
    }
}
