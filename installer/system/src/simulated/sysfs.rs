//! The files of `/sys` and `/proc` that the engine reads.

use camino::Utf8Path;

use super::state::State;

fn nodes(state: &State) -> Vec<String> {
    let whole: Vec<&String> = state.disks.keys().chain(state.arrays.keys()).collect();
    let mut names: Vec<String> = whole
        .iter()
        .flat_map(|name| state.partition_names(name))
        .collect();
    names.extend(whole.into_iter().cloned());
    names.extend(state.mappings.keys().cloned());
    names.sort();
    names
}

fn split(path: &Utf8Path) -> Option<(&str, &str)> {
    let rest = path.as_str().strip_prefix("/sys/class/block/")?;
    Some(rest.split_once('/').unwrap_or((rest, "")))
}

pub(super) fn read(state: &State, path: &Utf8Path) -> Option<String> {
    match path.as_str() {
        "/proc/self/mounts" => {
            let lines = state.mounts.iter().map(|mount| {
                let how = if mount.read_only { "ro" } else { "rw" };
                format!("/dev/{} {} auto {how} 0 0\n", mount.node, mount.target)
            });
            return Some(lines.collect());
        }
        "/proc/swaps" => {
            return Some("Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n".to_owned());
        }
        _ => {}
    }
    let (name, attribute) = split(path)?;
    if !nodes(state).iter().any(|node| node == name) {
        return None;
    }
    let disk = state.disks.get(name);
    match attribute {
        "size" => Some(format!("{}\n", state.node_size(name)? / 512)),
        "dev" => {
            let (major, minor) = disk.map_or((9, 127), |disk| disk.device);
            Some(format!("{major}:{minor}\n"))
        }
        "device/wwid" => Some(format!(
            "naa.{}\n",
            disk?.wwn.as_ref()?.trim_start_matches("0x")
        )),
        "device/serial" => Some(format!("{}\n", disk?.serial.as_ref()?)),
        "md/degraded" => {
            let array = state.arrays.get(name)?;
            let missing = array.record.devices.saturating_sub(array.members.len());
            Some(format!("{missing}\n"))
        }
        attribute if attribute.starts_with("md/dev-") => {
            let array = state.arrays.get(name)?;
            let (member, what) = attribute.strip_prefix("md/dev-")?.split_once('/')?;
            let place = array.members.iter().position(|other| other == member)?;
            let (member, slot) = if place < array.record.devices {
                ("in_sync", place.to_string())
            } else {
                ("spare", "none".to_owned())
            };
            match what {
                "state" => Some(format!("{member}\n")),
                "slot" => Some(format!("{slot}\n")),
                _ => None,
            }
        }
        "partition" => state.partition(name).map(|_| "1\n".to_owned()),
        "uevent" => {
            let (_, entry) = state.partition(name)?;
            Some(format!(
                "DEVTYPE=partition\nPARTNAME={}\nPARTUUID={}\n",
                entry.name, entry.uuid
            ))
        }
        _ => None,
    }
}

pub(super) fn list(state: &State, path: &Utf8Path) -> Option<Vec<String>> {
    if path == "/sys/class/block" {
        return Some(nodes(state));
    }
    let (name, attribute) = split(path)?;
    match attribute {
        "holders" => {
            let holders = state
                .arrays
                .iter()
                .filter(|(_, array)| array.members.iter().any(|member| member == name));
            let mappings = state
                .mappings
                .iter()
                .filter(|(_, under)| under.iter().any(|node| node == name));
            Some(
                holders
                    .map(|(name, _)| name.clone())
                    .chain(mappings.map(|(name, _)| name.clone()))
                    .collect(),
            )
        }
        "slaves" => Some(
            state
                .arrays
                .get(name)
                .map(|array| &array.members)
                .or_else(|| state.mappings.get(name))
                .cloned()
                .unwrap_or_default(),
        ),
        _ => None,
    }
}

pub(super) fn exists(state: &State, path: &Utf8Path) -> bool {
    if let Some(name) = path.as_str().strip_prefix("/dev/") {
        return state.node_size(name).is_some();
    }
    match split(path) {
        Some((name, "")) => nodes(state).iter().any(|node| node == name),
        _ => read(state, path).is_some() || list(state, path).is_some(),
    }
}
