//! A capture replays to the same inventory, carries no secret, and cannot reach out of its directory.

use super::*;
use crate::fixture::{self, Machine};
use crate::ipmi::IpmiError;

fn scratch() -> (tempfile::TempDir, Utf8PathBuf) {
    let directory = fixture::scratch().unwrap();
    let path = Utf8PathBuf::from_path_buf(directory.path().to_owned()).unwrap();
    (directory, path)
}

/// Everything unpacked, as one lossy text.
fn contents(file: &Utf8Path) -> String {
    let mut text = String::new();
    let mut archive = tar::Archive::new(zstd::Decoder::new(File::open(file).unwrap()).unwrap());
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        text.push_str(&entry.path().unwrap().to_string_lossy());
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        text.push_str(&String::from_utf8_lossy(&bytes));
    }
    text
}

#[test]
fn replay_is_the_same() {
    for name in fixture::names() {
        let (_keep, root) = scratch();
        Machine::named(name).unwrap().write(&root).unwrap();
        let (_also, out) = scratch();
        let file = out.join("machine.tar.zst");
        let taken = write(&root, None, &file, Options::default()).unwrap();
        assert_eq!(taken, probe::inventory(&root, None), "{name}");
        assert_eq!(open(&file).unwrap().inventory(), taken, "{name}");
    }
}

struct Scripted;

impl IpmiTransport for Scripted {
    fn request(&mut self, function: u8, command: u8, _: &[u8]) -> Result<Vec<u8>, IpmiError> {
        match (function, command) {
            (6, 0x42) => Ok(vec![1, 4, 1]),
            (0x0c, 2) => Ok(vec![0x11, 0x0c, 0xc4, 0x7a, 1, 2, 3]),
            (6, 1) => Ok(vec![0x20, 1, 3, 0x80, 2, 0xbf, 0x7c, 0x2a, 0, 0x59, 0x08]),
            _ => Err(IpmiError::Refused {
                function,
                command,
                code: 0xc1,
            }),
        }
    }
}

#[test]
fn the_bmc_is_replayed() {
    let (_keep, root) = scratch();
    Machine::named("lb").unwrap().write(&root).unwrap();
    let file = root.join("machine.tar.zst");
    let taken = write(&root, Some(&mut Scripted), &file, Options::default()).unwrap();
    assert_eq!(taken.bmc.as_ref().and_then(|bmc| bmc.product), Some(0x859));
    assert_eq!(open(&file).unwrap().inventory(), taken);
    write(
        &root,
        Some(&mut Scripted),
        &file,
        Options {
            without_serials: true,
        },
    )
    .unwrap();
    assert!(!contents(&file).contains("0cc47a010203"));
}

/// Captures of older releases lack answers; that is said, once, and is no fault.
#[test]
fn what_was_not_recorded_is_a_gap() {
    let (_keep, root) = scratch();
    Machine::named("storage").unwrap().write(&root).unwrap();
    std::fs::write(
        root.join(recording::PLACE.trim_start_matches('/')),
        r#"{"modules": {"enp131s0": {"Err": "the cage is empty"}}}"#,
    )
    .unwrap();
    let file = root.join("machine.tar.zst");
    let taken = write(&root, None, &file, Options::default()).unwrap();
    let replayed = open(&file).unwrap().inventory();
    assert_eq!(replayed, taken);
    let gaps: Vec<_> = taken
        .gaps
        .iter()
        .map(|gap| format!("{}: {}", gap.part, gap.reason))
        .collect();
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert!(
        gaps[0].starts_with("health of 22 disks, ") && gaps[0].ends_with("it was not recorded")
    );
    let cages: Vec<_> = taken
        .nics
        .iter()
        .filter_map(|nic| nic.no_module.clone())
        .collect();
    assert_eq!(cages, ["the cage is empty"]);
}

#[test]
fn no_secret_is_taken() {
    let secret = "correct-horse-battery-staple";
    let (_keep, root) = scratch();
    Machine::named("control").unwrap().write(&root).unwrap();
    for (path, content) in [
        (
            "run/rackwright/embedded-node.toml",
            format!("password_hash = \"{secret}\""),
        ),
        (
            "run/rackwright/boot.json",
            format!("{{\"medium\": \"/dev/sdc\", \"node_url\": \"https://{secret}@depot/\"}}"),
        ),
        (
            "proc/mounts",
            format!(
                "//server/share /mnt cifs password={secret} 0 0\n/dev/sdc1 /run/medium vfat key={secret} 0 0\n"
            ),
        ),
        (
            "proc/self/mountinfo",
            format!(
                "22 27 8:33 / /run/medium rw - vfat /dev/sdc1 rw,key={secret}\n23 27 0:9 / /mnt rw - cifs //{secret}@server/share rw\n"
            ),
        ),
        ("etc/shadow", secret.to_owned()),
        (
            "proc/cmdline",
            format!("rackwright.node=https://{secret}@depot/"),
        ),
        (
            "run/udev/data/b8:0",
            format!("E:ID_MODEL_ENC=x\nE:ID_FS_LABEL={secret}\n"),
        ),
    ] {
        let place = root.join(path);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::write(place, content).unwrap();
    }
    let file = root.join("machine.tar.zst");
    let taken = write(&root, None, &file, Options::default()).unwrap();
    assert!(taken.disks.iter().any(|disk| disk.boot_medium));
    assert!(!contents(&file).contains(secret));
    assert_eq!(open(&file).unwrap().inventory(), taken);
}

#[test]
fn serials_are_replaced_and_still_fold() {
    for name in ["control", "galera", "storage", "lb"] {
        let (_keep, root) = scratch();
        let mut machine = Machine::named(name).unwrap();
        machine.disks[0].failing = vec![0];
        machine.write(&root).unwrap();
        let file = root.join("machine.tar.zst");
        let taken = write(
            &root,
            None,
            &file,
            Options {
                without_serials: true,
            },
        )
        .unwrap();
        let text = contents(&file);
        let replayed = open(&file).unwrap().inventory();
        let mut secrets: Vec<String> = taken
            .disks
            .iter()
            .filter_map(|disk| disk.serial.clone())
            .collect();
        secrets.extend(
            taken
                .disks
                .iter()
                .filter_map(|disk| Some(disk.wwn.clone()?.trim_start_matches("0x").to_owned())),
        );
        secrets.extend(
            taken
                .disks
                .iter()
                .flat_map(|disk| &disk.paths)
                .filter_map(|path| path.sas_address.clone()),
        );
        secrets.extend(taken.nics.iter().filter_map(|nic| nic.mac.clone()));
        secrets.extend(taken.board.serial.clone());
        let modules = taken.nics.iter().filter_map(|nic| nic.module.as_ref());
        secrets.extend(modules.filter_map(|module| module.serial.clone()));
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "{name}: {secret}");
            assert!(
                !text.contains(&hex::encode(secret)),
                "{name}: {secret} as digits"
            );
            let turned = String::from_utf8_lossy(
                &secret
                    .as_bytes()
                    .chunks_exact(2)
                    .flat_map(|word| [word[1], word[0]])
                    .collect::<Vec<u8>>(),
            )
            .into_owned();
            assert!(
                !text.contains(&turned),
                "{name}: {secret} with bytes swapped"
            );
        }
        let shape = |inventory: &Inventory| -> Vec<(Option<String>, u64, usize, bool)> {
            inventory
                .disks
                .iter()
                .map(|disk| {
                    (
                        disk.model.clone(),
                        disk.size,
                        disk.paths.len(),
                        disk.serial.is_some(),
                    )
                })
                .collect()
        };
        assert_eq!(shape(&replayed), shape(&taken), "{name}");
        assert_eq!(
            (replayed.memory, &replayed.board.name),
            (taken.memory, &taken.board.name),
            "{name}"
        );
        let said = |inventory: &Inventory| -> Vec<_> {
            let disks = inventory.disks.iter();
            disks
                .map(|disk| (disk.health.clone(), disk.faults.clone()))
                .collect()
        };
        assert_eq!(said(&replayed), said(&taken), "{name}");
        let parts = |inventory: &Inventory| -> Vec<_> {
            let modules = inventory.nics.iter().map(|nic| nic.module.as_ref());
            modules
                .map(|module| module.map(|it| (it.part.clone(), it.serial.is_some())))
                .collect()
        };
        assert_eq!(parts(&replayed), parts(&taken), "{name}");
        assert_eq!(replayed.gaps, taken.gaps, "{name}");
    }
}

/// An archive made by somebody else.
fn hostile(file: &Utf8Path, kind: tar::EntryType, name: &str, target: &str) {
    let mut archive =
        tar::Builder::new(zstd::Encoder::new(File::create(file).unwrap(), 1).unwrap());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(0);
    header.set_mode(0o644);
    let bytes = name.as_bytes();
    header.as_old_mut().name[..bytes.len()].copy_from_slice(bytes);
    if !target.is_empty() {
        header.set_link_name(target).unwrap();
    }
    header.set_cksum();
    archive.append(&header, io::empty()).unwrap();
    archive.into_inner().unwrap().finish().unwrap();
}

#[test]
fn a_hostile_archive_reaches_nothing() {
    let (_keep, root) = scratch();
    let file = root.join("hostile.tar.zst");
    hostile(&file, tar::EntryType::Regular, "../escaped", "");
    assert!(matches!(open(&file), Err(CaptureError::Refused { .. })));
    hostile(&file, tar::EntryType::Char, "dev/ipmi0", "");
    let error = open(&file).unwrap_err().to_string();
    assert!(
        error.ends_with("`dev/ipmi0` is neither file, directory nor link"),
        "{error}"
    );
    std::fs::write(&file, b"no archive at all").unwrap();
    assert!(open(&file).is_err());
    // A link that leads out is unpacked, but never followed.
    let (_outside, other) = scratch();
    std::fs::write(other.join("meminfo"), "MemTotal: 4194304 kB\n").unwrap();
    hostile(&file, tar::EntryType::Symlink, "proc", other.as_str());
    if let Ok(capture) = open(&file) {
        assert_eq!(capture.inventory().memory, 0);
    }
}
