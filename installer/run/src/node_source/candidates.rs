//! Which partitions and disks may carry a node file: named or labelled `RACKWRIGHT`, and on something removable.

use camino::{Utf8Path, Utf8PathBuf};
use system::{Access, System};

const NAME: &str = "RACKWRIGHT";

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
    let names = system.list(class).unwrap_or_default();
    names
        .into_iter()
        .filter(|name| is_removable(system, &class.join(name)))
        .filter_map(|name| candidate(system, &class.join(&name), &name))
        .collect()
}

fn candidate(system: &dyn System, attributes: &Utf8Path, name: &str) -> Option<Candidate> {
    let device = format!("/dev/{name}");
    let named = attribute(system, attributes, "uevent")
        .lines()
        .any(|line| line.strip_prefix("PARTNAME=") == Some(NAME));
    let mut head = vec![0; HEAD];
    let read = system
        .open(Utf8Path::new(&device), Access::Read)
        .and_then(|mut open| open.read_at(0, &mut head));
    // Smaller than that, or no medium in the drive.
    read.ok()?;
    let kind = match file_system(&head) {
        Some((kind, label)) if label.eq_ignore_ascii_case(NAME) => kind,
        Some((kind, _)) if named => kind,
        None if named => "ext4",
        _ => return None,
    };
    Some(Candidate { device, kind })
}

/// The disk says so, or it hangs on USB (sticks with a fixed disk's manners, virtual media of a BMC).
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
        || [path.as_path(), disk]
            .iter()
            .any(|folder| attribute(system, folder, "removable").trim() == "1")
}

fn attribute(system: &dyn System, folder: &Utf8Path, name: &str) -> String {
    let bytes = system.read(&folder.join(name)).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Enough for the primary volume descriptor of ISO 9660, at sector 16.
const HEAD: usize = 17 * 2048;

/// Kind and label, if it is FAT (Microsoft FAT specification 1.03) or ISO 9660 (ECMA-119, 8.4).
fn file_system(head: &[u8]) -> Option<(&'static str, String)> {
    let text = |start: usize, length: usize| {
        let bytes = head.get(start..start + length).unwrap_or_default();
        String::from_utf8_lossy(bytes)
            .trim_end_matches([' ', '\0'])
            .to_owned()
    };
    if head.get(32769..32774) == Some(b"CD001") {
        return Some(("iso9660", text(32808, 32)));
    }
    if head.get(510..512) != Some(&[0x55, 0xaa]) {
        return None;
    }
    if head.get(82..87) == Some(b"FAT32") {
        return Some(("vfat", text(71, 11)));
    }
    if head.get(54..57) == Some(b"FAT") {
        return Some(("vfat", text(43, 11)));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fat(at: usize, kind: &[u8], label_at: usize, label: &[u8]) -> Vec<u8> {
        let mut head = vec![0; HEAD];
        head[510..512].copy_from_slice(&[0x55, 0xaa]);
        head[at..at + kind.len()].copy_from_slice(kind);
        head[label_at..label_at + 11].fill(b' ');
        head[label_at..label_at + label.len()].copy_from_slice(label);
        head
    }

    #[test]
    fn file_systems_and_labels() {
        let mut iso = vec![0; HEAD];
        iso[32769..32774].copy_from_slice(b"CD001");
        iso[32808..32818].copy_from_slice(b"RACKWRIGHT");
        let label = |text: &str| text.to_owned();
        let cases = [
            (
                fat(82, b"FAT32   ", 71, b"RACKWRIGHT"),
                Some(("vfat", label(NAME))),
            ),
            (
                fat(54, b"FAT16   ", 43, b"EFI"),
                Some(("vfat", label("EFI"))),
            ),
            (iso, Some(("iso9660", label(NAME)))),
            (vec![0; HEAD], None),
            (vec![], None),
        ];
        for (head, expected) in cases {
            assert_eq!(file_system(&head), expected);
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(head in proptest::collection::vec(proptest::num::u8::ANY, 0..600)) {
            file_system(&head);
        }
    }
}
