//! What a machine that installs tells: that it begins to write, its events, what is left of a failed install, how it is.

use std::io::Write as _;

use camino::{Utf8Path, Utf8PathBuf};
use run::event::Record;

use super::{Refused, Store};
use crate::record::Change;
use crate::view::{Phase, Report};
use crate::wire::{Bundle, Events, Health, Spend};

/// Bytes of events that are kept of one install.
const EVENTS: u64 = 16 << 20;

impl Store {
    /// Spends a permit: after this disks are written. The same machine may ask again with the same plan: an answer can be lost.
    ///
    /// # Errors
    /// It is not its permit, it is over, or it was spent.
    pub fn spend(&self, now: u64, fingerprint: &str, spend: &Spend) -> Result<(), Refused> {
        let mut inner = self.inner();
        let (node, machine) = inner.by(fingerprint)?;
        let Some(permit) = machine
            .permit
            .as_ref()
            .filter(|permit| permit.id == spend.permit)
        else {
            return Err(Refused::NoPermit(spend.permit.clone()));
        };
        if let Some(spent) = &permit.spent {
            let again = machine.phase == Phase::Installing && spent.plan == spend.plan;
            return match again {
                true => Ok(()),
                false => Err(Refused::Spent(spend.permit.clone())),
            };
        }
        if machine.armed(now).is_none() {
            return Err(Refused::NoPermit(spend.permit.clone()));
        }
        if let Some(wanted) = &permit.board
            && spend.board.as_ref() != Some(wanted)
        {
            return Err(Refused::Board {
                node,
                wanted: wanted.clone(),
                found: spend.board.clone().unwrap_or_default(),
            });
        }
        let change = Change::Spent {
            node: node.clone(),
            permit: spend.permit.clone(),
            plan: spend.plan.clone(),
        };
        inner.change(now, change)?;
        inner.live.entry(node).or_default().heard = Some(now);
        drop(inner);
        self.touch();
        Ok(())
    }

    /// Takes events; gives how many of this boot it has.
    ///
    /// # Errors
    /// Who sends them is not known, or some are missing in between.
    pub fn events(&self, now: u64, fingerprint: &str, events: &Events) -> Result<u64, Refused> {
        let mut inner = self.inner();
        let (node, machine) = inner.by(fingerprint)?;
        let Some(permit) = machine.permit.as_ref().map(|permit| permit.id.clone()) else {
            return Err(Refused::Unknown);
        };
        let phase = machine.phase;
        let path = events_file(&self.folder, &node, &permit);
        let live = inner.live.entry(node.clone()).or_default();
        live.heard = Some(now);
        if events.from > live.have {
            return Err(Refused::Gap(live.have));
        }
        let skip = usize::try_from(live.have - events.from).unwrap_or(usize::MAX);
        let new: &[Record] = events.records.get(skip..).unwrap_or_default();
        if new.is_empty() {
            return Ok(live.have);
        }
        live.bytes += append(&path, new, live.bytes < EVENTS)?;
        for record in new {
            live.take(record);
        }
        let (have, size) = (live.have, live.bytes);
        if let Some((done, line)) = live.ended.take()
            && phase == Phase::Installing
        {
            let summary = line.clone();
            inner.change(
                now,
                Change::Ended {
                    node: node.clone(),
                    done,
                    line,
                },
            )?;
            let report = Report {
                name: format!("{permit}.jsonl"),
                at: now,
                summary,
                failed: !done,
                size,
            };
            inner.change(
                now,
                Change::Reported {
                    node: node.clone(),
                    report,
                },
            )?;
        }
        drop(inner);
        self.touch();
        Ok(have)
    }

    /// Keeps a failure bundle.
    ///
    /// # Errors
    /// Who sends it is not known, or the disk does not take it.
    pub fn bundle(&self, now: u64, fingerprint: &str, bundle: &Bundle) -> Result<(), Refused> {
        let mut inner = self.inner();
        let (node, machine) = inner.by(fingerprint)?;
        let Some(permit) = machine.permit.as_ref().map(|permit| permit.id.clone()) else {
            return Err(Refused::Unknown);
        };
        let name = format!("{permit}.bundle.json");
        let path = installs(&self.folder, &node).join(&name);
        let text = serde_json::to_vec_pretty(bundle).map_err(std::io::Error::from)?;
        fs_err::create_dir_all(installs(&self.folder, &node))?;
        let new = path.with_extension("new");
        fs_err::write(&new, &text)?;
        fs_err::rename(&new, &path)?;
        let report = Report {
            name,
            at: now,
            summary: bundle.summary.chars().take(200).collect(),
            failed: true,
            size: text.len() as u64,
        };
        inner.change(now, Change::Reported { node, report })?;
        drop(inner);
        self.touch();
        Ok(())
    }

    /// An installed machine says how it is.
    ///
    /// # Errors
    /// Who says it is not known, or its install has not ended.
    pub fn health(&self, now: u64, fingerprint: &str, health: &Health) -> Result<(), Refused> {
        let mut inner = self.inner();
        let (node, machine) = inner.by(fingerprint)?;
        if !matches!(
            machine.phase,
            Phase::Installing | Phase::Installed | Phase::Healthy
        ) {
            return Err(Refused::Unknown);
        }
        inner.live.entry(node.clone()).or_default().heard = Some(now);
        let change = Change::Health {
            node,
            healthy: health.healthy,
            unwell: health.unwell.clone(),
        };
        inner.change(now, change)?;
        drop(inner);
        self.touch();
        Ok(())
    }

    /// A report that is kept.
    #[must_use]
    pub fn report(&self, node: &str, name: &str) -> Option<Vec<u8>> {
        let listed = self
            .inner()
            .machine(node)?
            .reports
            .iter()
            .any(|report| report.name == name);
        // Names are ours, and only those on the list are opened.
        listed.then(|| fs_err::read(installs(&self.folder, node).join(name)).ok())?
    }
}

pub(super) fn installs(folder: &Utf8Path, node: &str) -> Utf8PathBuf {
    folder.join("installs").join(node)
}

pub(super) fn events_file(folder: &Utf8Path, node: &str, permit: &str) -> Utf8PathBuf {
    installs(folder, node).join(format!("{permit}.jsonl"))
}

/// Adds events to their file, without waiting for the disk: they are told again, or missed. Gives how many bytes.
pub(super) fn append(path: &Utf8Path, records: &[Record], room: bool) -> Result<u64, Refused> {
    if !room {
        return Ok(0);
    }
    if let Some(folder) = path.parent() {
        fs_err::create_dir_all(folder)?;
    }
    let mut text = String::new();
    for record in records {
        text.push_str(&serde_json::to_string(record).map_err(std::io::Error::from)?);
        text.push('\n');
    }
    let mut file = fs_err::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    Ok(text.len() as u64)
}
