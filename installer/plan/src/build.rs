//! Collects the steps of a plan, numbers them, and says which disks each of them writes. Nobody else fills `destroys`, so a
//! step cannot write a disk it does not name.

use std::collections::{BTreeMap, BTreeSet};

use firmware::inventory::DiskId;

use crate::multipath::Multipath;
use crate::step::{Action, Check, Device, Step};

/// Steps under construction.
#[derive(Debug, Default)]
pub struct Builder {
    steps: Vec<(String, String, Check, Action)>,
    arrays: BTreeMap<String, BTreeSet<DiskId>>,
    pools: BTreeMap<String, BTreeSet<DiskId>>,
    /// Why the layout is as it is.
    pub notes: Vec<String>,
    /// Disks that the running system uses through dm-multipath.
    pub(crate) multipath: Multipath,
}

impl Builder {
    /// Adds a step.
    pub fn step(&mut self, slug: &str, title: String, done_when: Check, action: Action) {
        match &action {
            Action::CreateArray {
                uuid,
                members,
                spares,
                ..
            } => {
                let under = members
                    .iter()
                    .chain(spares)
                    .flat_map(|member| self.under(member))
                    .collect();
                self.arrays.insert(uuid.clone(), under);
            }
            Action::CreatePool { name, vdevs, .. } => {
                let members = vdevs.iter().flat_map(|vdev| &vdev.members);
                let under = members.flat_map(|member| self.under(member)).collect();
                self.pools.insert(name.clone(), under);
            }
            _ => {}
        }
        self.steps.push((slug.into(), title, done_when, action));
    }

    /// Adds a line to the reasons.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Names of the pools so far.
    pub fn pools(&self) -> Vec<String> {
        self.pools.keys().cloned().collect()
    }

    fn under(&self, device: &Device) -> BTreeSet<DiskId> {
        match device {
            Device::Disk { disk } | Device::Partition { disk, .. } => {
                BTreeSet::from([disk.clone()])
            }
            Device::Array { uuid } | Device::ArrayPartition { uuid, .. } => {
                self.arrays.get(uuid).cloned().unwrap_or_default()
            }
        }
    }

    fn writes(&self, action: &Action) -> BTreeSet<DiskId> {
        match action {
            Action::Wipe { disk } => BTreeSet::from([disk.clone()]),
            Action::Partition { device, .. }
            | Action::MakeFileSystem { device, .. }
            | Action::WriteImage { device, .. } => self.under(device),
            Action::CreateArray { uuid, .. } => self.arrays.get(uuid).cloned().unwrap_or_default(),
            Action::CreatePool { name, .. } => self.pools.get(name).cloned().unwrap_or_default(),
            Action::CreateDataset { name, .. } => {
                let pool = name.split('/').next().unwrap_or_default();
                self.pools.get(pool).cloned().unwrap_or_default()
            }
            Action::BeginInstall { state } | Action::WriteState { state, .. } => self.under(state),
            Action::MakeBootable { disk, esp, .. } => {
                let mut disks = self.under(esp);
                disks.insert(disk.clone());
                disks
            }
            Action::FinishInstall { state, pools } => {
                let mut disks = self.under(state);
                disks.extend(
                    pools
                        .iter()
                        .filter_map(|pool| self.pools.get(pool))
                        .flatten()
                        .cloned(),
                );
                disks
            }
            Action::ConfigureBmc { .. } => BTreeSet::new(),
            // A repair is not built here: its steps name their disks themselves.
            Action::OpenArray { .. }
            | Action::OpenPool { .. }
            | Action::BeginRepair { .. }
            | Action::FinishRepair { .. } => BTreeSet::new(),
            Action::AddMember { member, .. } | Action::ReplaceMember { member, .. } => {
                self.under(member)
            }
            Action::CopyBootable { disk, .. } => BTreeSet::from([disk.clone()]),
        }
    }

    /// The numbered steps.
    pub fn finish(self) -> (Vec<Step>, Vec<String>) {
        let width = if self.steps.len() > 99 { 3 } else { 2 };
        let steps = self
            .steps
            .iter()
            .enumerate()
            .map(|(index, (slug, title, done_when, action))| Step {
                id: format!("{:0width$}-{slug}", index + 1),
                title: title.clone(),
                destroys: self.writes(action).into_iter().collect(),
                done_when: done_when.clone(),
                action: action.clone(),
            })
            .collect();
        (steps, self.notes)
    }
}
