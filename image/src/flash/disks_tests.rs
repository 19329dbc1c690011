//! Machines as folders: no tree, however it is put together, makes a system disk or a disk in use a stick.

use std::fs;
use std::os::unix::fs::symlink;

use camino::Utf8Path;
use proptest::prelude::*;

use super::*;

/// A disk of a made-up machine.
#[derive(Debug, Clone, Default)]
struct Fixture {
    name: String,
    /// Folder under `sys/devices`.
    place: &'static str,
    removable: bool,
    size: u64,
    /// Mount points of its two partitions.
    mounted: [Option<&'static str>; 2],
    /// The mount is known by its source only, as of btrfs.
    by_source: bool,
    swap: bool,
    holder: Option<&'static str>,
    mark: Option<(usize, Vec<u8>)>,
    read_only: bool,
}

fn machine(root: &Utf8Path, disks: &[Fixture]) -> Machine {
    let write = |path: &str, text: &[u8]| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let mut mounts = "22 1 0:21 / /proc rw - proc proc rw\n".to_owned();
    let mut swaps = "Filename\tType\tSize\tUsed\tPriority\n".to_owned();
    fs::create_dir_all(root.join("sys/class/block")).unwrap();
    for (index, disk) in disks.iter().enumerate() {
        let Fixture { name, place, .. } = disk;
        let base = format!("sys/devices/{place}/block/{name}");
        write(&format!("{base}/size"), disk.size.to_string().as_bytes());
        write(
            &format!("{base}/removable"),
            if disk.removable { b"1" } else { b"0" },
        );
        write(
            &format!("{base}/ro"),
            if disk.read_only { b"1" } else { b"0" },
        );
        write(
            &format!("{base}/dev"),
            format!("8:{}", index * 16).as_bytes(),
        );
        write(&format!("{base}/device/model"), b"Model\n");
        if place.contains("mmc") {
            write(&format!("{base}/device/type"), b"SD\n");
        }
        symlink(root.join(&base), root.join("sys/class/block").join(name)).unwrap();
        write(&format!("dev/{name}"), &[0; 1024]);
        for number in 1..=2_usize {
            let part = format!("{name}{number}");
            let inner = format!("{base}/{part}");
            write(&format!("{inner}/partition"), number.to_string().as_bytes());
            write(
                &format!("{inner}/dev"),
                format!("8:{}", index * 16 + number).as_bytes(),
            );
            write(&format!("{inner}/size"), b"2048");
            symlink(root.join(&inner), root.join("sys/class/block").join(&part)).unwrap();
            let mut content = vec![0; 1 << 18];
            if let Some((at, bytes)) = disk.mark.as_ref().filter(|_| number == 2) {
                content[*at..*at + bytes.len()].copy_from_slice(bytes);
            }
            write(&format!("dev/{part}"), &content);
            if let Some(point) = disk.mounted[number - 1] {
                let device = if disk.by_source {
                    "0:40".to_owned()
                } else {
                    format!("8:{}", index * 16 + number)
                };
                mounts.push_str(&format!(
                    "30 1 {device} / {point} rw - btrfs /dev/{part} rw\n"
                ));
            }
        }
        if disk.swap {
            swaps.push_str(&format!("/dev/{name}2 partition 1 0 -2\n"));
        }
        if let Some(holder) = disk.holder {
            write(&format!("{base}/{name}1/holders/{holder}/x"), b"");
        }
    }
    write("proc/self/mountinfo", mounts.as_bytes());
    write("proc/swaps", swaps.as_bytes());
    Machine::new(root)
}

const BUILT_IN: &str = "pci0000:00/0000:00:1f.2/ata1/host0";
const USB: &str = "pci0000:00/0000:00:14.0/usb2/2-1/host6";
const CARD: &str = "platform/mmc_host/mmc0";

fn stick(name: &str) -> Fixture {
    Fixture {
        name: name.into(),
        place: USB,
        size: 62_333_952,
        ..Fixture::default()
    }
}

fn refusals(disks: &[Fixture]) -> String {
    let folder = camino_tempfile();
    let root = Utf8Path::from_path(folder.path())
        .unwrap()
        .canonicalize_utf8()
        .unwrap();
    let disks = machine(&root, disks).disks();
    disks
        .into_iter()
        .map(|disk| {
            format!(
                "{}: {}\n",
                disk.name,
                disk.refused.unwrap_or_else(|| "a stick".into())
            )
        })
        .collect()
}

fn camino_tempfile() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn each_disk_and_its_reason() {
    let disks = [
        Fixture {
            place: BUILT_IN,
            mounted: [None, Some("/")],
            ..stick("sda")
        },
        Fixture {
            place: BUILT_IN,
            ..stick("sdb")
        },
        stick("sdc"),
        Fixture {
            mounted: [Some("/media/x"), None],
            ..stick("sdd")
        },
        Fixture {
            swap: true,
            ..stick("sde")
        },
        Fixture {
            holder: Some("md127"),
            ..stick("sdf")
        },
        Fixture {
            mark: Some((512, b"LABELONE".to_vec())),
            ..stick("sdg")
        },
        Fixture {
            size: 0,
            ..stick("sdh")
        },
        Fixture {
            place: CARD,
            ..stick("mmcblk0")
        },
        Fixture {
            place: BUILT_IN,
            removable: true,
            ..stick("sdi")
        },
        Fixture {
            mounted: [Some("/"), None],
            by_source: true,
            ..stick("sdj")
        },
        Fixture {
            read_only: true,
            ..stick("sdk")
        },
        Fixture {
            place: "virtual",
            ..stick("loop0")
        },
    ];
    insta::assert_snapshot!(refusals(&disks), @r"
    loop0: it is built in: neither removable nor on USB nor a memory card
    mmcblk0: a stick
    sda: `/` of this machine is on `sda2`
    sdb: it is built in: neither removable nor on USB nor a memory card
    sdc: a stick
    sdd: `sdd1` is mounted at `/media/x`
    sde: `sde2` is swap
    sdf: `sdf1` is part of `md127`
    sdg: `sdg2` is a physical volume of LVM; if that may go, empty it with `wipefs --all /dev/sdg2`
    sdh: it has no medium
    sdi: a stick
    sdj: `/` of this machine is on `sdj1`
    sdk: it is write-protected
    ");
}

fn any_disk() -> impl Strategy<Value = Fixture> {
    let points =
        || prop::option::weighted(0.3, prop::sample::select(vec!["/", "/home", "/boot/efi"]));
    (
        prop::sample::select(vec![BUILT_IN, USB, CARD]),
        any::<[bool; 3]>(),
        points(),
        points(),
        prop::option::weighted(0.2, prop::sample::select(vec!["md0", "dm-3"])),
        any::<bool>(),
    )
        .prop_map(
            |(place, [removable, by_source, small], first, second, holder, swap)| Fixture {
                place,
                removable,
                size: if small { 0 } else { 4096 },
                mounted: [first, second],
                by_source,
                holder,
                swap,
                ..Fixture::default()
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn never_a_system_disk(mut disks in prop::collection::vec(any_disk(), 1..5)) {
        for (index, disk) in disks.iter_mut().enumerate() {
            disk.name = format!("sd{}", char::from(b'a' + index as u8));
        }
        let folder = camino_tempfile();
        let root = Utf8Path::from_path(folder.path()).unwrap().canonicalize_utf8().unwrap();
        let found = machine(&root, &disks).disks();
        prop_assert_eq!(found.len(), disks.len());
        for (disk, fixture) in found.iter().zip(&disks) {
            let used = fixture.mounted.iter().any(Option::is_some) || fixture.swap || fixture.holder.is_some();
            let portable = fixture.removable || fixture.place != BUILT_IN;
            prop_assert_eq!(disk.refused.is_none(), !used && portable && fixture.size > 0, "{:?}", fixture);
        }
    }
}
