//! Which new disk takes which place: the one in the same bay; without bays, exactly as many unused disks as are gone. Never
//! one of several.

use firmware::inventory::{Disk, Inventory};
use roles::role::DiskNeed;
use roles::selector::Selector;
use roles::{NodeFile, Role};

use crate::make::needs;
use crate::os::{FIRST, MIB};
use crate::repair::record::table;
use crate::repair::{RepairError, bay, of_disk, on_own_array, place};
use crate::select::{Candidates, excluded, ineligible, names};
use crate::size::decimal;
use crate::step::{Action, Device, Plan, PlannedDisk};

type Pairs<'a, 'b> = Vec<(&'b PlannedDisk, &'a Disk)>;

/// Lost and new disks in pairs, and what stays missing in words.
pub(super) fn find<'a, 'b>(
    recorded: &Plan,
    lost: &[&'b PlannedDisk],
    role: &Role,
    node: &NodeFile,
    inventory: &'a Inventory,
) -> Result<(Pairs<'a, 'b>, Vec<String>), RepairError> {
    let unused: Vec<&Disk> = inventory
        .disks
        .iter()
        .filter(|disk| !recorded.disks.iter().any(|planned| planned.id == disk.id))
        .collect();
    let needs = needs(role, node);
    let machine = Machine {
        recorded,
        inventory,
        needs: names(&needs).into_iter().zip(&needs).collect(),
    };
    let bays = inventory.disks.iter().any(|disk| disk.bay.is_some());
    let mut pairs: Pairs<'a, 'b> = Vec::new();
    let mut missing = Vec::new();
    let mut anywhere: Vec<&'b PlannedDisk> = Vec::new();
    for planned in lost {
        if table(recorded, &planned.id).is_none() {
            let disk = place(planned);
            return Err(RepairError::NotRecorded { disk });
        }
        if !bays || planned.bay.is_none() {
            anywhere.push(planned);
            continue;
        }
        match unused.iter().find(|disk| bay(disk) == planned.bay) {
            None => missing.push(format!(
                "{} of `{}` is gone, and there is no new disk in its bay",
                place(planned),
                planned.group
            )),
            Some(disk) => match machine.unfit(planned, disk) {
                Some(reason) => {
                    return Err(RepairError::Unfit {
                        disk: of_disk(disk),
                        lost: planned.group.clone(),
                        reason,
                    });
                }
                None => pairs.push((planned, disk)),
            },
        }
    }
    machine.without_bays(&anywhere, &unused, &mut pairs, &mut missing)?;
    if pairs.is_empty() {
        let missing: Vec<String> = missing.iter().map(|line| format!("  {line}")).collect();
        return Err(RepairError::NoReplacement {
            missing: missing.join("\n"),
            table: machine.table(lost, &unused),
        });
    }
    Ok((pairs, missing))
}

struct Machine<'a, 'n> {
    recorded: &'a Plan,
    inventory: &'a Inventory,
    needs: Vec<(String, &'n DiskNeed)>,
}

impl Machine<'_, '_> {
    fn without_bays<'a, 'b>(
        &self,
        lost: &[&'b PlannedDisk],
        unused: &[&'a Disk],
        pairs: &mut Pairs<'a, 'b>,
        missing: &mut Vec<String>,
    ) -> Result<(), RepairError> {
        let mut groups: Vec<&str> = Vec::new();
        for planned in lost {
            if !groups.contains(&planned.group.as_str()) {
                groups.push(&planned.group);
            }
        }
        for group in groups {
            let gone: Vec<&'b PlannedDisk> = lost
                .iter()
                .filter(|planned| planned.group == group)
                .copied()
                .collect();
            let fitting: Vec<&'a Disk> = unused
                .iter()
                .filter(|disk| gone.iter().any(|lost| self.verdict(lost, disk).is_none()))
                .copied()
                .collect();
            // A disk that two groups could want is as bad as two disks for one place.
            let claimed = fitting
                .iter()
                .any(|disk| pairs.iter().any(|(_, taken)| taken.id == disk.id));
            if fitting.len() > gone.len() || claimed {
                return Err(RepairError::Ambiguous {
                    group: group.into(),
                    lost: gone.len(),
                    found: fitting.len(),
                    table: self.table(lost, unused),
                });
            }
            for (index, planned) in gone.into_iter().enumerate() {
                match fitting.get(index) {
                    Some(disk) => pairs.push((planned, disk)),
                    None => missing.push(format!(
                        "{} of `{}` is gone, and no unused disk fits",
                        place(planned),
                        planned.group
                    )),
                }
            }
        }
        Ok(())
    }

    /// Why a disk cannot take a place, wherever it is.
    fn unfit(&self, lost: &PlannedDisk, disk: &Disk) -> Option<String> {
        if let Some(reason) = ineligible(&self.seen(disk)) {
            return Some(reason);
        }
        let least = self.least(lost);
        if disk.size < least {
            return Some(format!(
                "it has {} bytes ({}), {least} ({}) are needed",
                disk.size,
                decimal(disk.size),
                decimal(least)
            ));
        }
        let largest = self
            .inventory
            .disks
            .iter()
            .filter(|other| {
                self.recorded
                    .disks
                    .iter()
                    .any(|planned| planned.id == other.id && planned.group == lost.group)
            })
            .map(|other| other.logical_sector)
            .max();
        if largest.is_some_and(|largest| disk.logical_sector > largest) {
            return Some(format!(
                "it has sectors of {} bytes, the others of its group of {}",
                disk.logical_sector,
                largest.unwrap_or_default()
            ));
        }
        let ashift = ashift(self.recorded, lost)?;
        let sector = u64::from(disk.logical_sector);
        (sector > 1 << ashift).then(|| {
            format!(
                "it has sectors of {sector} bytes, its pool of {}",
                1_u64 << ashift
            )
        })
    }

    /// Why a disk that is in no known bay is not taken.
    fn verdict(&self, lost: &PlannedDisk, disk: &Disk) -> Option<String> {
        if let Some(reason) = self.unfit(lost, disk) {
            return Some(reason);
        }
        let Some((_, need)) = self.needs.iter().find(|(name, _)| *name == lost.group) else {
            return Some(format!("there is no group `{}` any more", lost.group));
        };
        let seen = self.seen(disk);
        let mut reason = None;
        for selector in &need.select {
            // A new disk has a new serial number and WWN by nature; what else is asked for must hold.
            let general = Selector {
                serial: Vec::new(),
                wwn: Vec::new(),
                ..selector.clone()
            };
            let selector = if general == Selector::default() {
                selector
            } else {
                &general
            };
            match excluded(&seen, selector) {
                Ok(None) => return None,
                Ok(Some(why)) => reason = reason.or(Some(why)),
                Err(error) => reason = reason.or(Some(error.to_string())),
            }
        }
        Some(reason.unwrap_or_else(|| "its group has no selector".into()))
    }

    /// The disk without what an interrupted repair of this very machine mounted on it.
    fn seen(&self, disk: &Disk) -> Disk {
        let mut seen = disk.clone();
        if on_own_array(self.recorded, self.inventory, &disk.id) {
            seen.mounted.clear();
        }
        seen
    }

    /// Bytes the lost disk's partitions need, with a MiB for the partition table at either end.
    fn least(&self, lost: &PlannedDisk) -> u64 {
        let Some((_, partitions)) = table(self.recorded, &lost.id) else {
            return lost.size;
        };
        let sizes: Option<u64> = partitions.iter().map(|partition| partition.size).sum();
        // One that takes the rest needs what it had.
        sizes.map_or(lost.size, |sum| FIRST + sum + MIB)
    }

    fn table(&self, lost: &[&PlannedDisk], unused: &[&Disk]) -> Candidates {
        let mut table = Candidates::new();
        for disk in unused {
            let verdicts = lost
                .iter()
                .map(|lost| match self.verdict(lost, disk) {
                    None => format!("fits `{}`", lost.group),
                    Some(reason) => format!("not for `{}`: {reason}", lost.group),
                })
                .collect();
            table.push(disk, verdicts);
        }
        table
    }
}

/// log2 of the sector of the pool the disk was part of.
fn ashift(recorded: &Plan, lost: &PlannedDisk) -> Option<u32> {
    recorded.steps.iter().find_map(|step| match &step.action {
        Action::CreatePool { ashift, vdevs, .. } => vdevs
            .iter()
            .flat_map(|vdev| &vdev.members)
            .any(|member| matches!(member, Device::Partition { disk, .. } if *disk == lost.id))
            .then_some(*ashift),
        _ => None,
    })
}
