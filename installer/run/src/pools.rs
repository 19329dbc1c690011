//! What an imported pool consists of, from `zpool status -j` (zpool-status(8), OpenZFS 2.3).

use camino::Utf8Path;
use serde_json::Value;
use system::{Command, CommandError, System, SystemError};

/// One device of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Its GUID, in decimal digits.
    pub guid: String,
    /// Path it was last found at.
    pub path: String,
    /// `ONLINE`, `UNAVAIL`, `REMOVED`, `AVAIL`, ...
    pub state: String,
}

impl Leaf {
    /// It works, or could at any time (a spare).
    #[must_use]
    pub fn works(&self) -> bool {
        ["ONLINE", "HEALTHY", "DEGRADED", "AVAIL", "INUSE"].contains(&self.state.as_str())
    }
}

/// The devices of a pool; none if it is not imported.
///
/// # Errors
/// They could not be found out.
pub fn leaves(system: &dyn System, pool: &str) -> Result<Vec<Leaf>, SystemError> {
    let status = Command::new("zpool").args(["status", "-j", "-P"]).arg(pool);
    match system.run(&status) {
        Ok(output) => Ok(parse(&output.stdout)),
        Err(CommandError::Failed { stderr, .. }) if stderr.contains("no such pool") => {
            Ok(Vec::new())
        }
        Err(error) => Err(error.into()),
    }
}

/// Whatever has a path and a GUID is a device; how deep it lies and in which section differs by kind and version.
fn parse(text: &str) -> Vec<Leaf> {
    let mut found = Vec::new();
    if let Ok(value) = serde_json::from_str(text) {
        collect(&value, &mut found);
    }
    found
}

fn collect(value: &Value, found: &mut Vec<Leaf>) {
    let Value::Object(fields) = value else {
        return;
    };
    let text = |key: &str| match fields.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    if let (Some(guid), Some(path)) = (text("guid"), text("path")) {
        let leaf = Leaf {
            guid,
            path,
            state: text("state").unwrap_or_default(),
        };
        // A spare in use is shown twice.
        if !found.iter().any(|other| other.guid == leaf.guid) {
            found.push(leaf);
        }
    }
    for field in fields.values() {
        collect(field, found);
    }
}

/// The pool works on this node.
///
/// # Errors
/// It could not be found out.
pub fn uses(system: &dyn System, pool: &str, node: &Utf8Path) -> Result<bool, SystemError> {
    Ok(leaves(system, pool)?.iter().any(|leaf| {
        leaf.works()
            && system
                .resolve(Utf8Path::new(&leaf.path))
                .is_ok_and(|path| path == node)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_of_the_json_form() {
        let text = r#"{"output_version": {"command": "zpool status"}, "pools": {"tank": {"name": "tank", "pool_guid": "1",
            "vdevs": {"tank": {"vdev_type": "root", "guid": "1", "vdevs": {
                "mirror-0": {"vdev_type": "mirror", "guid": "2", "state": "DEGRADED", "vdevs": {
                    "/dev/disk/by-partuuid/a": {"vdev_type": "disk", "guid": "3", "path": "/dev/disk/by-partuuid/a", "state": "ONLINE"},
                    "4": {"vdev_type": "disk", "guid": 4, "path": "/dev/disk/by-partuuid/b", "not_present": 1, "state": "UNAVAIL"}}}}}},
            "logs": {"l": {"guid": "5", "path": "/dev/c1", "state": "ONLINE"}},
            "spares": {"s": {"guid": "6", "path": "/dev/d1", "state": "AVAIL"}},
            "l2cache": {"s": {"guid": "6", "path": "/dev/d1", "state": "AVAIL"}}}}}"#;
        let found = parse(text);
        let mut shown: Vec<(&str, &str, bool)> = found
            .iter()
            .map(|leaf| (leaf.guid.as_str(), leaf.path.as_str(), leaf.works()))
            .collect();
        shown.sort_unstable();
        assert_eq!(
            shown,
            [
                ("3", "/dev/disk/by-partuuid/a", true),
                ("4", "/dev/disk/by-partuuid/b", false),
                ("5", "/dev/c1", true),
                ("6", "/dev/d1", true),
            ]
        );
        assert_eq!(parse("no json"), []);
    }
}
