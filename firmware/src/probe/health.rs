//! Asks every disk once whether it is failing, over the first path that answers.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Instruments;
use crate::health::{self, HealthCommand};
use crate::inventory::{Disk, Gap, Health, Inventory};

/// For all disks together: a hanging disk costs seconds, and forty of them must not hold up the inventory.
const PATIENCE: Duration = Duration::from_secs(30);

/// Fills in `health`; a disk that says it is failing gets a fault, one that does not answer a gap.
///
/// Sticks and disks in use are never asked: nothing that this system stands on is to be disturbed.
pub(super) fn ask(inventory: &mut Inventory, instruments: &mut dyn Instruments) {
    let started = Instant::now();
    let mut silent: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for disk in inventory.disks.iter_mut().filter(|disk| !disk.removable) {
        let Some(command) = HealthCommand::of(disk.transport) else {
            continue;
        };
        let answer = if disk.boot_medium {
            Err("it is in use by the running system".to_owned())
        } else if started.elapsed() > PATIENCE {
            Err(format!(
                "the disks before it took more than {} s",
                PATIENCE.as_secs()
            ))
        } else {
            one(disk, command, &inventory.dead_paths, instruments)
        };
        match answer {
            Ok(health) => {
                if let Health::Failing { cause } = &health {
                    disk.faults.push(format!("says it is failing ({cause})"));
                }
                disk.health = Some(health);
            }
            Err(reason) => silent.entry(reason).or_default().push(name(disk)),
        }
    }
    inventory
        .gaps
        .extend(silent.into_iter().map(|(reason, names)| Gap {
            part: match names.as_slice() {
                [first, .., last] => {
                    format!("health of {} disks, {first} to {last}", names.len())
                }
                _ => format!("health of {}", names.concat()),
            },
            reason,
        }));
}

/// A path that cannot be asked is passed over; what a disk itself answers is final.
fn one(
    disk: &Disk,
    command: HealthCommand,
    dead: &BTreeMap<String, String>,
    instruments: &mut dyn Instruments,
) -> Result<Health, String> {
    let mut failure = "no path to it works".to_owned();
    for path in &disk.paths {
        if dead.contains_key(&path.kernel_name) {
            continue;
        }
        match instruments.health(&path.kernel_name, command) {
            Ok(raw) => return health::verdict(&raw),
            Err(reason) => failure = reason,
        }
    }
    Err(failure)
}

fn name(disk: &Disk) -> String {
    disk.paths
        .first()
        .map_or_else(|| disk.id.to_string(), |path| path.kernel_name.clone())
}

#[cfg(test)]
mod tests {
    use roles::selector::Transport;

    use super::*;
    use crate::health::RawHealth;
    use crate::inventory::DiskPath;
    use crate::recording::Recording;

    fn disk(transport: Transport, names: &[&str]) -> Disk {
        let paths = names.iter().map(|name| DiskPath {
            kernel_name: (*name).into(),
            ..DiskPath::default()
        });
        Disk {
            transport,
            paths: paths.collect(),
            ..Disk::default()
        }
    }

    fn page(code: u8) -> RawHealth {
        RawHealth {
            command: HealthCommand::Scsi,
            status: 0,
            sense: Vec::new(),
            data: vec![0x2f, 0, 0, 8, 0, 0, 3, 4, code, 0, 0, 0],
        }
    }

    #[test]
    fn every_disk_once_over_a_path_that_works() {
        let in_use = Disk {
            boot_medium: true,
            ..disk(Transport::Sas, &["sdg"])
        };
        let mut inventory = Inventory {
            disks: vec![
                disk(Transport::Sas, &["sda", "sdb", "sdc"]),
                disk(Transport::Sas, &["sdd"]),
                disk(Transport::Sas, &["sde"]),
                disk(Transport::Sas, &["sdf"]),
                in_use,
                disk(Transport::Usb, &["sdh"]),
                disk(Transport::Virtio, &["vda"]),
            ],
            dead_paths: [("sda".to_owned(), "offline".to_owned())].into(),
            ..Inventory::default()
        };
        let mut instruments = Recording {
            health: [
                ("sda".to_owned(), Ok(page(0))),
                ("sdb".to_owned(), Err("input/output error".to_owned())),
                ("sdc".to_owned(), Ok(page(0x5d))),
                ("sdd".to_owned(), Err("no answer within 5 s".to_owned())),
                ("sde".to_owned(), Err("no answer within 5 s".to_owned())),
                ("sdf".to_owned(), Ok(page(0))),
                ("sdg".to_owned(), Ok(page(0x5d))),
                ("sdh".to_owned(), Ok(page(0x5d))),
            ]
            .into(),
            ..Recording::default()
        };
        ask(&mut inventory, &mut instruments);
        let faults: Vec<_> = inventory
            .disks
            .iter()
            .map(|disk| disk.faults.join("; "))
            .collect();
        assert_eq!(
            faults,
            [
                "says it is failing (SMART: failure predicted, threshold exceeded (5D/00))",
                "",
                "",
                "",
                "",
                "",
                ""
            ]
        );
        assert_eq!(inventory.disks[3].health, Some(Health::Passed));
        let gaps: Vec<_> = inventory
            .gaps
            .iter()
            .map(|gap| format!("{}: {}", gap.part, gap.reason))
            .collect();
        assert_eq!(
            gaps,
            [
                "health of sdg: it is in use by the running system",
                "health of 2 disks, sdd to sde: no answer within 5 s",
            ]
        );
    }
}
