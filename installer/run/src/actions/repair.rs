//! The actions of a repair: open what is there, give it back what is gone, record the new disks.

use std::collections::BTreeSet;

use camino::Utf8Path;
use plan::{
    Action, Check, Device, DevicePaths, Plan,
    commands::{self, POOL_ROOT},
    step::{LostMember, Replaced},
};
use system::{Command, CommandError};

use super::{Act, ActionError, PATIENCE, command, state_mount};
use crate::{
    checks,
    devices::disks_under,
    install_state::{InstallState, Progress, Repair},
    pools::{self, Leaf},
    prior,
};

/// WWNs of the disks that the running appliance uses through dm-multipath, below the state file system.
const MULTIPATH: &str = "multipath.json";
/// Permanent MAC addresses of the named ports, below the state file system.
const PORTS: &str = "ports.json";

impl Act<'_> {
    /// Starts an array with the members that are left; one that runs already (as in the running appliance) stays as it is.
    pub(super) fn open_array(&mut self, name: &str, uuid: &str) -> Result<(), ActionError> {
        if self.devices.running_array(uuid)?.is_some() {
            return Ok(());
        }
        let Some(paths) = checks::member_paths(self.system, self.devices, self.plan, uuid)? else {
            return Err(ActionError::with_hint(
                format!("no disk carries the label of array `{name}` ({uuid})"),
                "were its disks wiped? look at `mdadm --examine` of its partitions",
            ));
        };
        self.run_with_retries(&command(commands::assemble(name, uuid, &paths)))?;
        self.settle()?;
        let array = Device::Array {
            uuid: uuid.to_owned(),
        };
        self.wait_for(&array)?;
        Ok(())
    }

    /// Imports a pool with the members that are left; one that is imported already stays as it is, if it is the one.
    pub(super) fn open_pool(&mut self, name: &str) -> Result<(), ActionError> {
        let Action::OpenPool {
            members, joining, ..
        } = &self.step.action
        else {
            return Ok(());
        };
        let list = Command::new("zpool")
            .args(["list", "-H", "-o", "name"])
            .arg(name);
        match self.system.run(&list) {
            Ok(_) => {
                let disks: BTreeSet<_> = members
                    .iter()
                    .chain(joining)
                    .flat_map(|member| self.devices.under(member))
                    .collect();
                let ours = self.devices.all_names(&disks);
                // In the running appliance a leaf may be a mapped device over several paths.
                let is_ours = |leaf: &Leaf| {
                    let node = self.system.resolve(Utf8Path::new(&leaf.path));
                    node.is_ok_and(|node| {
                        let under = disks_under(self.system, node.file_name().unwrap_or_default());
                        leaf.works() && !under.is_disjoint(&ours)
                    })
                };
                if pools::leaves(self.system, name)?.iter().any(is_ours) {
                    return Ok(());
                }
                Err(ActionError::with_hint(
                    format!("the pool `{name}` that is imported lies on other disks"),
                    format!(
                        "look at `zpool status`; if it does not belong here: `zpool export {name}`"
                    ),
                ))
            }
            Err(CommandError::Failed { .. }) => self.run_commands(),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn begin_repair(&mut self, replaced: &[Replaced]) -> Result<(), ActionError> {
        self.note_repair(replaced, false)
    }

    /// Exports the pools that the repair imported, and makes the new disks part of the record.
    pub(super) fn finish_repair(
        &mut self,
        pools: &[String],
        record: &Plan,
    ) -> Result<(), ActionError> {
        for pool in pools {
            let altroot = Command::new("zpool")
                .args(["get", "-H", "-o", "value", "altroot"])
                .arg(pool);
            match self.system.run(&altroot) {
                // In the running appliance the pool is in use and stays; a pool that was exported before is done with.
                Ok(output) if output.stdout.trim() == POOL_ROOT => {
                    self.run(&Command::new("zpool").arg("export").arg(pool))?;
                }
                Ok(_) | Err(CommandError::Failed { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.system.sync();
        self.write_record(record)?;
        let replaced = self.plan.steps.iter().find_map(|step| match &step.action {
            Action::BeginRepair { replaced, .. } => Some(replaced.clone()),
            _ => None,
        });
        self.note_repair(&replaced.unwrap_or_default(), true)
    }

    /// Writes `plan.json`, what a later repair compares the machine with, and what the running appliance reads of it.
    pub(super) fn write_record(&self, record: &Plan) -> Result<(), ActionError> {
        let wrong = |error: serde_json::Error| ActionError::Other {
            message: error.to_string(),
            hint: None,
        };
        for step in &record.steps {
            if let Action::WriteState {
                multipath, ports, ..
            } = &step.action
            {
                let text = serde_json::to_vec_pretty(multipath).map_err(wrong)?;
                self.system
                    .write(&state_mount().join(MULTIPATH), &text, 0o644)?;
                if !ports.is_empty() {
                    let text = serde_json::to_vec_pretty(ports).map_err(wrong)?;
                    self.system
                        .write(&state_mount().join(PORTS), &text, 0o644)?;
                }
            }
        }
        let mut text = serde_json::to_vec_pretty(record).map_err(wrong)?;
        text.push(b'\n');
        self.system
            .write(&state_mount().join(prior::PLAN), &text, 0o644)?;
        Ok(())
    }

    /// Notes the repair in `install.json`; its permit is spent once it is done.
    fn note_repair(&self, replaced: &[Replaced], done: bool) -> Result<(), ActionError> {
        let Some(mut install) = InstallState::read(self.system, state_mount())? else {
            return Err(ActionError::with_hint(
                "the state file system has no `install.json`",
                "nothing is installed here that could be repaired",
            ));
        };
        if install.state == Progress::Incomplete {
            return Err(ActionError::with_hint(
                "the install of this machine did not finish",
                "go on with it: boot the medium with the permit of the install",
            ));
        }
        let this = Repair {
            permit: self.context.permit.as_ref().map(|permit| permit.id.clone()),
            plan: self.plan.digest(),
            done,
            replaced: replaced.to_vec(),
        };
        install
            .repairs
            .retain(|other| other.done || other.plan != this.plan);
        install.repairs.push(this);
        install.write(self.system, state_mount())?;
        Ok(())
    }

    /// Adds a member and waits until its rebuild has begun. The end is not waited for: it takes hours, and the array goes on
    /// with it after a restart (md(4), recovery offset in the superblock).
    pub(super) fn add_member(
        &mut self,
        name: &str,
        uuid: &str,
        member: &Device,
    ) -> Result<(), ActionError> {
        let path = self.wait_for(member)?;
        let Some(array) = self.devices.running_array(uuid)? else {
            return Err(ActionError::with_hint(
                format!("array `{name}` does not run any more"),
                "look at the kernel's messages: did another disk fail?",
            ));
        };
        if checks::takes_part(self.system, &array, &path) {
            return Ok(());
        }
        for line in commands::commands(&self.step.action, self.devices)? {
            self.run_with_retries(&command(line))?;
        }
        self.until_done(&format!("array `{name}` does not rebuild `{path}`"))
    }

    /// Gives a pool a new device for the one that is gone.
    pub(super) fn replace_member(
        &mut self,
        pool: &str,
        lost: &LostMember,
        member: &Device,
        redundant: bool,
    ) -> Result<(), ActionError> {
        let path = self.wait_for(member)?;
        if pools::uses(self.system, pool, &path)? {
            return Ok(());
        }
        let stable = self.devices.stable(member)?;
        let leaves = pools::leaves(self.system, pool)?;
        let guid = match gone(&leaves, lost) {
            Ok(guid) => Some(guid),
            // A cache or spare that is gone may have been removed by hand already.
            Err(_) if !redundant && leaves.iter().all(Leaf::works) => None,
            Err(reason) => {
                return Err(ActionError::with_hint(
                    format!("pool `{pool}`: {reason}"),
                    format!(
                        "look at `zpool status -g {pool}`, then: zpool replace {pool} GUID {stable}"
                    ),
                ));
            }
        };
        let lines = commands::replace_member(
            &self.step.action,
            guid.as_deref().unwrap_or_default(),
            &stable,
        );
        let skip = usize::from(guid.is_none());
        for line in lines.into_iter().skip(skip) {
            self.run_with_retries(&command(line))?;
        }
        self.until_done(&format!("pool `{pool}` does not use `{path}`"))
    }

    /// Waits until the step's own check holds.
    fn until_done(&mut self, otherwise: &str) -> Result<(), ActionError> {
        let check: &Check = &self.step.done_when;
        let began = self.system.now();
        let mut attempt = 1;
        while !checks::holds(check, self.plan, self.devices, self.system)? {
            if self.system.now().saturating_sub(began) > PATIENCE {
                return Err(ActionError::with_hint(
                    otherwise,
                    "look at the kernel's messages: the disk may be failing",
                ));
            }
            attempt += 1;
            self.retrying(attempt, otherwise.to_owned());
            self.system.sleep(std::time::Duration::from_secs(1));
        }
        Ok(())
    }
}

/// GUID of the device that is gone: the one whose last path names the lost partition or disk, else the only one that is gone.
fn gone(leaves: &[Leaf], lost: &LostMember) -> Result<String, String> {
    let gone: Vec<&Leaf> = leaves.iter().filter(|leaf| !leaf.works()).collect();
    let marks = [
        Some(&lost.partition),
        lost.wwn.as_ref(),
        lost.serial.as_ref(),
    ];
    let marks: Vec<String> = marks
        .into_iter()
        .flatten()
        .filter(|mark| !mark.is_empty())
        .map(|mark| mark.to_lowercase())
        .collect();
    let named: Vec<&&Leaf> = gone
        .iter()
        .filter(|leaf| {
            let path = leaf.path.to_lowercase();
            marks.iter().any(|mark| path.contains(mark.as_str()))
        })
        .collect();
    match (named.as_slice(), gone.as_slice()) {
        ([one], _) => Ok(one.guid.clone()),
        (_, [one]) => Ok(one.guid.clone()),
        (_, []) => Err("none of its devices is gone".into()),
        (_, many) => {
            let many: Vec<String> = many
                .iter()
                .map(|leaf| format!("{} ({}, {})", leaf.guid, leaf.path, leaf.state))
                .collect();
            Err(format!(
                "it cannot be told which of these was on disk `{}`: {}",
                lost.disk,
                many.join(", ")
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use firmware::inventory::DiskId;

    use super::*;

    #[test]
    fn the_device_that_is_gone() {
        let leaf = |guid: &str, path: &str, state: &str| Leaf {
            guid: guid.into(),
            path: path.into(),
            state: state.into(),
        };
        let lost = LostMember {
            disk: DiskId("wwn-0x5000".into()),
            partition: "AAAA-1".into(),
            wwn: Some("0x5000".into()),
            serial: Some("SER1".into()),
        };
        let online = leaf("1", "/dev/disk/by-partuuid/bbbb", "ONLINE");
        let table: &[(&[Leaf], Result<&str, &str>)] = &[
            (&[], Err("none of its devices is gone")),
            (&[leaf("2", "/dev/sdc1", "UNAVAIL")], Ok("2")),
            (
                &[
                    leaf("2", "/dev/sdc1", "UNAVAIL"),
                    leaf("3", "/dev/disk/by-partuuid/aaaa-1", "REMOVED"),
                ],
                Ok("3"),
            ),
            (
                &[
                    leaf("2", "/dev/disk/by-id/wwn-0x5000-part1", "UNAVAIL"),
                    leaf("3", "/dev/sdd1", "UNAVAIL"),
                ],
                Ok("2"),
            ),
            (
                &[
                    leaf("2", "/dev/disk/by-id/scsi-SHGST_ser1-part1", "FAULTED"),
                    leaf("3", "/dev/sdd1", "UNAVAIL"),
                ],
                Ok("2"),
            ),
            (
                &[
                    leaf("2", "/dev/sdc1", "UNAVAIL"),
                    leaf("3", "/dev/sdd1", "UNAVAIL"),
                ],
                Err(
                    "it cannot be told which of these was on disk `wwn-0x5000`: 2 (/dev/sdc1, UNAVAIL), 3 (/dev/sdd1, UNAVAIL)",
                ),
            ),
        ];
        for (leaves, expected) in table {
            let mut leaves = leaves.to_vec();
            leaves.push(online.clone());
            let expected = expected.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(gone(&leaves, &lost), expected);
        }
    }
}
