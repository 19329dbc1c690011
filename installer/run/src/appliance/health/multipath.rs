//! Paths of the disks that dm-multipath owns. Which disks those are stands in the state; which paths a map has, and which of
//! them the kernel uses, says `dmsetup status`, also when multipathd does not answer; where a path leads says `/sys`.

use std::collections::BTreeSet;

use camino::Utf8Path;
use serde::{Deserialize, Serialize};
use system::{Command, System};

use crate::appliance::prepare;

/// One disk that dm-multipath owns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Multipath {
    /// `0x` and hexadecimal digits.
    pub wwn: String,
    /// Its paths; none if it has no map.
    pub paths: Vec<DiskPath>,
}

/// One path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskPath {
    /// Kernel name, for this boot; `8:16` if `/sys` does not know it.
    pub name: String,
    /// PCI address of the controller.
    pub hba: Option<String>,
    /// `port-0:1` of a SAS controller, else `2:0:0:1`.
    pub port: Option<String>,
    /// In use.
    pub up: bool,
}

impl Multipath {
    /// How many paths are in use.
    pub fn up(&self) -> usize {
        self.paths.iter().filter(|path| path.up).count()
    }

    /// Controllers of the paths that are in use.
    pub fn hbas(&self) -> BTreeSet<&str> {
        let up = self.paths.iter().filter(|path| path.up);
        up.filter_map(|path| path.hba.as_deref()).collect()
    }
}

impl std::fmt::Display for DiskPath {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "{} (HBA {}, {})",
            self.name,
            self.hba.as_deref().unwrap_or("unknown"),
            self.port.as_deref().unwrap_or("port unknown")
        )
    }
}

/// The disks of the plan; none where the plan says one path each.
pub fn multipath(system: &dyn System) -> Vec<Multipath> {
    let wwns: Vec<String> = system
        .read(Utf8Path::new(prepare::MULTIPATH))
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default();
    if wwns.is_empty() {
        return Vec::new();
    }
    let command = Command::new("dmsetup").args(["status", "--target", "multipath"]);
    let text = system.run(&command).map(|output| output.stdout);
    let text = text.unwrap_or_default();
    wwns.into_iter()
        .map(|wwn| {
            let name = format!("3{}:", wwn.strip_prefix("0x").unwrap_or(&wwn));
            let line = text.lines().find_map(|line| line.strip_prefix(&name));
            let paths = devices(line.unwrap_or_default())
                .into_iter()
                .map(|(device, up)| path(system, &device, up))
                .collect();
            Multipath { wwn, paths }
        })
        .collect()
}

/// Devices and whether they are active, out of a status line (`multipath_status` in drivers/md/dm-mpath.c): each path is
/// `8:16 A 0 ...` or `8:16 F 2 ...`.
fn devices(line: &str) -> Vec<(String, bool)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    words
        .windows(2)
        .filter_map(|pair| match pair {
            [device, state @ ("A" | "F")] => {
                let (major, minor) = device.split_once(':')?;
                let numbers = [major, minor]
                    .iter()
                    .all(|part| part.parse::<u32>().is_ok());
                numbers.then(|| ((*device).to_owned(), *state == "A"))
            }
            _ => None,
        })
        .collect()
}

fn path(system: &dyn System, device: &str, up: bool) -> DiskPath {
    let link = Utf8Path::new("/sys/dev/block").join(device);
    let real = system.resolve(&link).unwrap_or_default();
    let parts: Vec<&str> = real.as_str().split('/').collect();
    let host = parts.iter().position(|part| {
        part.strip_prefix("host")
            .is_some_and(|number| number.parse::<u32>().is_ok())
    });
    let (before, after) = parts.split_at(host.unwrap_or(parts.len()));
    DiskPath {
        name: if host.is_some() {
            real.file_name().unwrap_or(device).to_owned()
        } else {
            device.to_owned()
        },
        hba: before
            .iter()
            .rev()
            .find(|part| is_pci(part))
            .map(|part| (*part).to_owned()),
        // The port of the controller, not that of an expander below it; without one, the SCSI address.
        port: after
            .iter()
            .find(|part| part.starts_with("port-"))
            .or_else(|| after.iter().find(|part| part.matches(':').count() == 3))
            .map(|part| (*part).to_owned()),
        up,
    }
}

/// `0000:81:00.0`.
fn is_pci(part: &str) -> bool {
    part.len() >= 12 && part.matches(':').count() == 2 && part.contains('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_lines_of_the_kernel() {
        for (line, expected) in [
            (
                " 0 15628053168 multipath 2 0 0 0 1 1 A 0 2 2 8:16 A 0 0 1 65:32 F 3 0 1 ",
                vec![("8:16", true), ("65:32", false)],
            ),
            (
                "0 20480 multipath 2 0 1 0 2 1 A 0 1 0 8:0 A 0 E 0 1 0 8:48 A 0",
                vec![("8:0", true), ("8:48", true)],
            ),
            ("0 20480 multipath 2 0 0 0 0 0", vec![]),
            ("x:y A 8: A :1 F 1:2:3 A", vec![]),
        ] {
            let expected: Vec<(String, bool)> = expected
                .into_iter()
                .map(|(device, up)| (device.to_owned(), up))
                .collect();
            assert_eq!(devices(line), expected, "{line}");
        }
    }

    #[test]
    fn pci_addresses() {
        assert!(is_pci("0000:81:00.0") && is_pci("10000:01:00.0"));
        assert!(!is_pci("pci0000:80") && !is_pci("0:0:1:0") && !is_pci("target0:0:1"));
    }
}
