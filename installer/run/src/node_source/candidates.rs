//! Which partitions and disks may carry a node file: named or labelled `RACKWRIGHT`, and on something removable or on the boot
//! medium.

use camino::{Utf8Path, Utf8PathBuf};
use system::{Command, System};

use crate::appliance::boot_facts;

const NAME: &str = "RACKWRIGHT";
/// What a stick or CD may be formatted with.
const KINDS: [&str; 4] = ["vfat", "iso9660", "ext4", "exfat"];

/// A file system to look into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Device node.
    pub device: String,
    /// File system for mount(2).
    pub kind: &'static str,
}

impl Candidate {
    /// As it stands in messages.
    pub fn file_name(&self) -> String {
        format!("{}:node.toml", self.device)
    }
}

/// All of them, by kernel name.
pub fn list(system: &dyn System) -> Vec<Candidate> {
    let class = Utf8Path::new("/sys/class/block");
    let medium = boot_medium(system);
    let names = system.list(class).unwrap_or_default();
    names
        .into_iter()
        .filter(|name| {
            on_medium(name, medium.as_deref()) || is_removable(system, &class.join(name))
        })
        .filter_map(|name| candidate(system, &name))
        .collect()
}

/// Those that may be written to: on something that people plug in, and never on the boot medium (DESIGN.md, promise 1).
pub fn writable(system: &dyn System) -> Vec<Candidate> {
    let class = Utf8Path::new("/sys/class/block");
    let medium = boot_medium(system);
    let names = system.list(class).unwrap_or_default();
    names
        .into_iter()
        .filter(|name| {
            !name.starts_with("ram")
                && !on_medium(name, medium.as_deref())
                && is_removable(system, &class.join(name))
        })
        .filter_map(|name| candidate(system, &name))
        .filter(|candidate| candidate.kind != "iso9660")
        .collect()
}

/// Device node of the disk the live system was booted from: a hypervisor may give it as an ordinary disk.
fn boot_medium(system: &dyn System) -> Option<String> {
    let text = system.read(Utf8Path::new(boot_facts::PATH)).ok()?;
    boot_facts::parse(&String::from_utf8_lossy(&text))
        .ok()?
        .medium
}

/// `sda3` of `/dev/sda`, `nvme0n1p3` of `/dev/nvme0n1`.
fn on_medium(name: &str, medium: Option<&str>) -> bool {
    let rest = medium
        .and_then(|node| node.strip_prefix("/dev/"))
        .and_then(|disk| name.strip_prefix(disk));
    rest.is_some_and(|rest| {
        let number = rest.strip_prefix('p').unwrap_or(rest);
        number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

fn candidate(system: &dyn System, name: &str) -> Option<Candidate> {
    let device = format!("/dev/{name}");
    // blkid knows that Windows keeps a FAT label in the root directory only. It fails where there is no file system.
    let command = Command::new("blkid")
        .args(["--probe", "--output", "export"])
        .arg(&device);
    let output = system.run(&command).ok()?;
    let kind = kind_if_named(&output.stdout)?;
    Some(Candidate { device, kind })
}

/// File system of a partition or disk that is labelled or named so (blkid(8), `export` output).
fn kind_if_named(text: &str) -> Option<&'static str> {
    let value = |key: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
    };
    let named = ["LABEL", "LABEL_FATBOOT", "PART_ENTRY_NAME"]
        .iter()
        .any(|key| value(key).is_some_and(|name| name.eq_ignore_ascii_case(NAME)));
    let kind = KINDS.into_iter().find(|kind| value("TYPE") == Some(kind))?;
    named.then_some(kind)
}

/// The disk says so, or it hangs on USB (sticks with a fixed disk's manners, virtual media of a BMC), or it is a RAM disk: init
/// copies the node partition of a boot CD into one.
fn is_removable(system: &dyn System, attributes: &Utf8Path) -> bool {
    let path: Utf8PathBuf = system
        .resolve(attributes)
        .unwrap_or_else(|_| attributes.to_owned());
    let on_usb = path
        .components()
        .any(|component| component.as_str().starts_with("usb"));
    // A partition lies in the directory of its disk.
    let disk = path.parent().unwrap_or(&path);
    on_usb
        || path.file_name().is_some_and(|name| name.starts_with("ram"))
        || [path.as_path(), disk]
            .iter()
            .any(|folder| attribute(system, folder, "removable").trim() == "1")
}

fn attribute(system: &dyn System, folder: &Utf8Path, name: &str) -> String {
    let bytes = system.read(&folder.join(name)).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use system::{Simulated, simulated::SimulatedDisk};

    #[test]
    fn file_systems_and_labels() {
        let cases = [
            (
                "DEVNAME=/dev/sda1\nLABEL=rackwright\nTYPE=vfat\n",
                Some("vfat"),
            ),
            ("LABEL_FATBOOT=RACKWRIGHT\nTYPE=vfat\n", Some("vfat")),
            ("TYPE=ext4\nPART_ENTRY_NAME=RACKWRIGHT\n", Some("ext4")),
            ("LABEL=RACKWRIGHT\nTYPE=linux_raid_member\n", None),
            ("LABEL=RACKWRIGHT2\nTYPE=vfat\n", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(kind_if_named(text), expected, "{text}");
        }
    }

    #[test]
    fn only_removable_disks_and_the_boot_medium_are_looked_at() {
        let system = Simulated::new();
        for (name, size) in [("sda", 1 << 30), ("sdb", 1 << 30)] {
            system.add_disk(name, SimulatedDisk::new(size, (8, 0)));
        }
        system.answer("blkid", Ok("LABEL=RACKWRIGHT\nTYPE=vfat\n"));
        assert!(list(&system).is_empty());
        system.put_file("/sys/class/block/sdb/removable", b"1\n");
        let found = list(&system);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].file_name(), "/dev/sdb:node.toml");
    }

    #[test]
    fn partitions_of_the_boot_medium() {
        let cases = [
            ("vda3", Some("/dev/vda"), true),
            ("vda", Some("/dev/vda"), true),
            ("vdab3", Some("/dev/vda"), false),
            ("nvme0n1p3", Some("/dev/nvme0n1"), true),
            ("sdb1", Some("/dev/sda"), false),
            ("sdb1", None, false),
        ];
        for (name, medium, expected) in cases {
            assert_eq!(on_medium(name, medium), expected, "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "(LABEL=|TYPE=|[a-zA-Z=\n]){0,30}") {
            kind_if_named(&text);
        }
    }
}
