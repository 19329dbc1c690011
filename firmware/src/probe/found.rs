//! What lies on the disks: labels of whole disks and partitions, put together to arrays, pools and groups, and what of
//! it runs now.

use std::collections::BTreeMap;

use super::Instruments;
use super::tree::Tree;
use crate::inventory::{Disk, DiskId, Gap, Holder};
use crate::signature::Signature;

/// Labels by kernel name of disk or partition.
pub type Labels = BTreeMap<String, Vec<Signature>>;

/// Labels of every disk, over the first path that can be read, and of its partitions.
pub fn read(
    tree: &Tree,
    disks: &[Disk],
    instruments: &mut dyn Instruments,
    gaps: &mut Vec<Gap>,
) -> Labels {
    let mut labels = Labels::new();
    let gap = |name: &str, reason| Gap {
        part: format!("labels on {name}"),
        reason,
    };
    for disk in disks.iter().filter(|disk| disk.size > 0) {
        let mut failure = None;
        for path in &disk.paths {
            match instruments.labels(&path.kernel_name) {
                Ok(found) => {
                    labels.insert(path.kernel_name.clone(), found);
                    for part in partitions(tree, &path.kernel_name) {
                        match instruments.labels(&part) {
                            Ok(found) => {
                                labels.insert(part, found);
                            }
                            Err(reason) => gaps.push(gap(&part, reason)),
                        }
                    }
                    failure = None;
                    break;
                }
                Err(reason) => failure = Some(gap(&path.kernel_name, reason)),
            }
        }
        gaps.extend(failure);
    }
    labels
}

fn partitions(tree: &Tree, disk: &str) -> Vec<String> {
    let base = format!("/sys/block/{disk}");
    let names = tree.list(&base).into_iter();
    names
        .filter(|name| name.starts_with(disk) && tree.exists(&format!("{base}/{name}/partition")))
        .collect()
}

/// Puts labels together: members with one kind and one UUID are one holder. Then adds what runs.
pub fn holders(tree: &Tree, labels: &Labels, disks: &[Disk]) -> Vec<Holder> {
    let mut holders: Vec<Holder> = Vec::new();
    for (name, signatures) in labels {
        let Some(disk) = owner(disks, name) else {
            continue;
        };
        for signature in signatures {
            let joins = matches!(
                signature.kind.as_str(),
                "md" | "zfs" | "lvm" | "imsm" | "ddf" | "bcache"
            );
            let known = holders.iter_mut().find(|holder| {
                joins
                    && signature.uuid.is_some()
                    && holder.kind == signature.kind
                    && holder.uuid == signature.uuid
            });
            match known {
                Some(holder) => {
                    if !holder.disks.contains(disk) {
                        holder.disks.push(disk.clone());
                    }
                }
                None => holders.push(Holder {
                    kind: signature.kind.clone(),
                    name: signature.name.clone(),
                    uuid: signature.uuid.clone(),
                    disks: vec![disk.clone()],
                    detail: signature.detail.clone(),
                    host: signature.host.clone(),
                    active: false,
                }),
            }
        }
    }
    running(tree, disks, &mut holders);
    holders.sort_by(|a, b| {
        (&a.kind, &a.name, &a.uuid, &a.disks).cmp(&(&b.kind, &b.name, &b.uuid, &b.disks))
    });
    holders
}

/// The disk that a disk or partition name belongs to: `sda3` to `sda`, `nvme0n1p3` to `nvme0n1`, `sdaa1` not to `sda`.
fn owner<'a>(disks: &'a [Disk], name: &str) -> Option<&'a DiskId> {
    let belongs = |disk: &str| {
        name.strip_prefix(disk).is_some_and(|rest| {
            let digits = if disk.ends_with(|last: char| last.is_ascii_digit()) {
                rest.strip_prefix('p')
            } else {
                Some(rest)
            };
            rest.is_empty()
                || digits.is_some_and(|digits| {
                    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
                })
        })
    };
    disks
        .iter()
        .find(|disk| disk.paths.iter().any(|path| belongs(&path.kernel_name)))
        .map(|disk| &disk.id)
}

/// Arrays and device-mapper devices that run now (`/sys/block/md*`, `/sys/block/dm-*`).
fn running(tree: &Tree, disks: &[Disk], holders: &mut Vec<Holder>) {
    for name in tree.list("/sys/block") {
        let base = format!("/sys/block/{name}");
        let under: Vec<DiskId> = {
            let mut ids: Vec<DiskId> = tree
                .list(&format!("{base}/slaves"))
                .iter()
                .filter_map(|slave| owner(disks, slave).cloned())
                .collect();
            ids.sort();
            ids.dedup();
            ids
        };
        if under.is_empty() {
            continue;
        }
        if name.starts_with("md") {
            let state = tree
                .text(&format!("{base}/md/array_state"))
                .unwrap_or_else(|| "unknown".to_owned());
            let level = tree
                .text(&format!("{base}/md/level"))
                .unwrap_or_else(|| "unknown level".to_owned());
            let detail = format!("{name}, {level}, {state}");
            let label = holders.iter_mut().find(|holder| {
                holder.kind == "md" && holder.disks.iter().any(|id| under.contains(id))
            });
            match label {
                Some(holder) => {
                    holder.active = true;
                    holder.detail = Some(
                        [holder.detail.take(), Some(detail)]
                            .into_iter()
                            .flatten()
                            .collect::<Vec<_>>()
                            .join("; "),
                    );
                }
                None => holders.push(Holder {
                    kind: "md".to_owned(),
                    uuid: tree.text(&format!("{base}/md/uuid")),
                    name: Some(name),
                    disks: under,
                    detail: Some(detail),
                    active: true,
                    ..Holder::default()
                }),
            }
        } else if name.starts_with("dm-") {
            let uuid = tree.text(&format!("{base}/dm/uuid"));
            let kind = match uuid.as_deref() {
                Some(uuid) if uuid.starts_with("mpath-") => "multipath",
                Some(uuid) if uuid.starts_with("LVM-") => "logical volume",
                Some(uuid) if uuid.starts_with("CRYPT-") => "crypt",
                _ => "device mapper",
            };
            holders.push(Holder {
                kind: kind.to_owned(),
                name: tree.text(&format!("{base}/dm/name")),
                uuid,
                disks: under,
                detail: Some(name),
                active: true,
                ..Holder::default()
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{HealthCommand, RawHealth};
    use crate::inventory::DiskPath;
    use crate::port_module::RawModule;

    fn disk(id: &str, names: &[&str]) -> Disk {
        let paths = names
            .iter()
            .map(|name| DiskPath {
                kernel_name: (*name).into(),
                ..DiskPath::default()
            })
            .collect();
        Disk {
            id: DiskId(id.into()),
            size: 1 << 30,
            paths,
            ..Disk::default()
        }
    }

    struct Images(BTreeMap<&'static str, Vec<u8>>);

    impl Instruments for Images {
        fn network_firmware(&mut self, _: &str) -> Option<String> {
            None
        }

        fn labels(&mut self, kernel_name: &str) -> Result<Vec<Signature>, String> {
            let head = self
                .0
                .get(kernel_name)
                .ok_or_else(|| "input/output error".to_owned())?;
            Ok(crate::signature::scan(head, &[], 1 << 30))
        }

        fn health(&mut self, _: &str, _: HealthCommand) -> Result<RawHealth, String> {
            Err("not asked here".to_owned())
        }

        fn module(&mut self, _: &str) -> Result<Option<RawModule>, String> {
            Ok(None)
        }
    }

    #[test]
    fn owners() {
        let disks = [
            disk("a", &["sda", "sdaa"]),
            disk("n", &["nvme0n1"]),
            disk("n10", &["nvme0n10"]),
        ];
        for (name, expected) in [
            ("sda", Some("a")),
            ("sda3", Some("a")),
            ("sdaa1", Some("a")),
            ("sdab1", None),
            ("nvme0n1p2", Some("n")),
            ("nvme0n10", Some("n10")),
            ("nvme0n1p", None),
        ] {
            assert_eq!(
                owner(&disks, name).map(|id| id.0.as_str()),
                expected,
                "{name}"
            );
        }
    }

    #[test]
    fn members_of_one_array_are_one_holder_and_a_dead_path_is_passed_over() {
        let mut head = vec![0u8; 8192];
        head[4096..4100].copy_from_slice(&0xa92b_4efcu32.to_le_bytes());
        head[4100] = 1;
        head[4112..4128].copy_from_slice(&[7; 16]);
        head[4188] = 2;
        let mut images = Images([("sdb", head.clone()), ("sdc", head)].into());
        let disks = [
            disk("a", &["sda", "sdb"]),
            disk("c", &["sdc"]),
            disk("d", &["sdd"]),
        ];
        let root = tempfile::tempdir().unwrap();
        let base = root.path().join("sys/block/md127");
        std::fs::create_dir_all(base.join("slaves/sdb")).unwrap();
        std::fs::create_dir_all(base.join("md")).unwrap();
        std::fs::write(base.join("md/array_state"), "clean\n").unwrap();
        let tree = Tree::new(camino::Utf8Path::from_path(root.path()).unwrap());
        let mut gaps = Vec::new();
        let labels = read(&tree, &disks, &mut images, &mut gaps);
        let holders = holders(&tree, &labels, &disks);
        assert_eq!(holders.len(), 1);
        assert_eq!(holders[0].disks, [DiskId("a".into()), DiskId("c".into())]);
        assert!(holders[0].active);
        assert_eq!(
            holders[0].detail.as_deref(),
            Some("metadata 1.2, RAID 0, 2 disks; md127, unknown level, clean")
        );
        assert_eq!(
            gaps,
            [Gap {
                part: "labels on sdd".into(),
                reason: "input/output error".into()
            }]
        );
    }
}
