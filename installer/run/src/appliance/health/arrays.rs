//! md arrays, from `/sys/block/md*/md` (Documentation/admin-guide/md.rst).

use camino::Utf8Path;
use serde::{Deserialize, Serialize};
use system::System;

/// One array.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Array {
    /// Kernel name, for this boot.
    pub name: String,
    /// `raid1`, `raid10`, ...
    pub level: String,
    /// How many members it has when it is whole.
    pub members: u32,
    /// How many of them are missing.
    pub missing: u32,
    /// `clean`, `active`, `inactive`, `broken`, ...
    pub state: String,
    /// `idle`, `resync`, `recover`, `check`, ...
    pub action: String,
    /// Sectors done and sectors in all of the action.
    pub progress: Option<(u64, u64)>,
}

impl Array {
    /// `resync 12.5 %`.
    pub fn action_text(&self) -> String {
        match self.progress {
            Some((done, all)) if all > 0 => {
                let tenths = u128::from(done) * 1000 / u128::from(all);
                format!("{} {}.{} %", self.action, tenths / 10, tenths % 10)
            }
            _ => self.action.clone(),
        }
    }
}

/// All arrays, by name.
pub fn arrays(system: &dyn System) -> Vec<Array> {
    let names = system.list(Utf8Path::new("/sys/block")).unwrap_or_default();
    names
        .into_iter()
        .filter(|name| name.starts_with("md"))
        .filter_map(|name| read(system, name))
        .collect()
}

fn read(system: &dyn System, name: String) -> Option<Array> {
    let folder = Utf8Path::new("/sys/block").join(&name).join("md");
    let text = |attribute: &str| -> Option<String> {
        let bytes = system.read(&folder.join(attribute)).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim().to_owned())
    };
    Some(Array {
        level: text("level")?,
        members: text("raid_disks")?.split(' ').next()?.parse().ok()?,
        missing: text("degraded")
            .and_then(|text| text.parse().ok())
            .unwrap_or(0),
        state: text("array_state").unwrap_or_else(|| "unknown".to_owned()),
        action: text("sync_action").unwrap_or_else(|| "idle".to_owned()),
        progress: text("sync_completed").and_then(|text| {
            let (done, all) = text.split_once(" / ")?;
            Some((done.parse().ok()?, all.parse().ok()?))
        }),
        name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use system::Simulated;

    #[test]
    fn arrays_from_sysfs() {
        let system = Simulated::new();
        for (attribute, text) in [
            ("level", "raid1\n"),
            ("raid_disks", "2\n"),
            ("degraded", "1\n"),
            ("array_state", "clean\n"),
            ("sync_action", "recover\n"),
            ("sync_completed", "125 / 1000\n"),
        ] {
            system.put_file(&format!("/sys/block/md127/md/{attribute}"), text.as_bytes());
        }
        system.put_file("/sys/block/sda/size", b"1\n");
        let arrays = arrays(&system);
        assert_eq!(arrays.len(), 1);
        assert_eq!((arrays[0].members, arrays[0].missing), (2, 1));
        assert_eq!(arrays[0].action_text(), "recover 12.5 %");
    }
}
