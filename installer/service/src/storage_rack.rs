//! Two storage servers with simulated pools: `zfs` with the rules that make its commands fail, replication, power.

use super::*;
use crate::mark::{self, Question};
use crate::view::{self, is_in};

pub(super) type Files = BTreeSet<u32>;

#[derive(Debug, Clone, Default)]
pub(super) struct Set {
    pub(super) files: Files,
    /// Name, GUID, seconds, content.
    pub(super) snapshots: Vec<(String, u64, u64, Files)>,
    pub(super) properties: BTreeMap<String, String>,
    /// A clone's snapshot of origin.
    pub(super) origin: Option<String>,
}

/// A pool and the commands of `zfs` that the plans use, with the rules that make them fail.
#[derive(Debug, Clone, Default)]
pub(super) struct Pool {
    pub(super) sets: BTreeMap<String, Set>,
}

static GUID: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);

pub(super) fn guid() -> u64 {
    GUID.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

impl Pool {
    pub(super) fn new(names: &[&str]) -> Self {
        Self {
            sets: names
                .iter()
                .map(|name| ((*name).to_owned(), Set::default()))
                .collect(),
        }
    }

    pub(super) fn view(&self) -> View {
        let mut datasets = String::new();
        let mut snapshots = String::new();
        for (name, set) in &self.sets {
            for property in ["readonly", view::EPOCH, view::OWNER, view::LAST] {
                let inherited = (1..=name.len())
                    .rev()
                    .filter_map(|end| self.sets.get(&name[..end]))
                    .find_map(|set| set.properties.get(property));
                let value = inherited.map_or("-", String::as_str);
                datasets.push_str(&format!("{name}\t{property}\t{value}\n"));
            }
            for (snapshot, guid, at, _) in &set.snapshots {
                snapshots.push_str(&format!("{name}@{snapshot}\t{guid}\t{at}\n"));
            }
        }
        view::parse("tank", &datasets, &snapshots)
    }

    pub(super) fn run(&mut self, step: &Step, now: u64) -> Result<(), String> {
        let words: Vec<&str> = step.command.iter().map(String::as_str).collect();
        let [program, rest @ ..] = words.as_slice() else {
            return Err("empty".into());
        };
        if *program != "zfs" {
            return Ok(());
        }
        match rest {
            ["snapshot", "-r", what] => {
                let (root, name) = what.split_once('@').ok_or("no @")?;
                let mut found = false;
                for (_, set) in self.sets.iter_mut().filter(|(set, _)| is_in(set, root)) {
                    found = true;
                    if set.snapshots.iter().any(|it| it.0 == name) {
                        return Err(format!("{what} exists"));
                    }
                    set.snapshots
                        .push((name.to_owned(), guid(), now, set.files.clone()));
                }
                found.then_some(()).ok_or(format!("{root} does not exist"))
            }
            ["rename", from, to] => {
                let parent = to.rsplit_once('/').map_or("", |it| it.0);
                if self.sets.contains_key(*to)
                    || !self.sets.contains_key(parent)
                    || !self.sets.contains_key(*from)
                {
                    return Err(format!("rename {from} {to}"));
                }
                self.sets = std::mem::take(&mut self.sets)
                    .into_iter()
                    .map(|(name, mut set)| {
                        if let Some(origin) = set
                            .origin
                            .as_mut()
                            .filter(|it| is_in(it.split('@').next().unwrap_or(""), from))
                        {
                            *origin = origin.replacen(from, to, 1);
                        }
                        let name = if is_in(&name, from) {
                            name.replacen(from, to, 1)
                        } else {
                            name
                        };
                        (name, set)
                    })
                    .collect();
                Ok(())
            }
            ["set", pairs @ .., name] => {
                let set = self.sets.get_mut(*name).ok_or(format!("no {name}"))?;
                for pair in pairs {
                    let (key, value) = pair.split_once('=').ok_or("no =")?;
                    set.properties.insert(key.to_owned(), value.to_owned());
                }
                Ok(())
            }
            ["create", .., name] => {
                let set = Set {
                    properties: [("readonly".to_owned(), "on".to_owned())].into(),
                    ..Set::default()
                };
                self.sets
                    .insert((*name).to_owned(), set)
                    .is_none()
                    .then_some(())
                    .ok_or("exists".into())
            }
            ["clone", .., from, to] => {
                let (dataset, name) = from.split_once('@').ok_or("no @")?;
                let snapshots = &self.sets.get(dataset).ok_or("no data set")?.snapshots;
                let files = snapshots
                    .iter()
                    .find(|it| it.0 == name)
                    .ok_or("no snapshot")?
                    .3
                    .clone();
                let set = Set {
                    files,
                    origin: Some((*from).to_owned()),
                    properties: [("readonly".to_owned(), "on".to_owned())].into(),
                    ..Set::default()
                };
                self.sets
                    .insert((*to).to_owned(), set)
                    .is_none()
                    .then_some(())
                    .ok_or("exists".into())
            }
            ["promote", name] => {
                let origin = self.sets[*name].origin.clone().ok_or("no clone")?;
                let (dataset, snapshot) = origin.split_once('@').ok_or("no @")?;
                let from = self.sets.get_mut(dataset).ok_or("no origin")?;
                let at = from
                    .snapshots
                    .iter()
                    .position(|it| it.0 == snapshot)
                    .ok_or("no snapshot")?
                    + 1;
                let moved: Vec<_> = from.snapshots.drain(..at).collect();
                from.origin = Some(format!("{name}@{snapshot}"));
                let to = self.sets.get_mut(*name).ok_or("no clone")?;
                to.snapshots.splice(0..0, moved);
                to.origin = None;
                Ok(())
            }
            ["hold" | "mount", ..] | ["receive", "-A", _] => Ok(()),
            other => Err(format!("unknown: {other:?}")),
        }
    }

    pub(super) fn all(&self, steps: &[Step], now: u64) {
        let mut copy = self.clone();
        for step in steps {
            if let Err(error) = copy.run(step, now) {
                panic!("{}: {error}\n{:#?}", step.command.join(" "), self.sets);
            }
        }
    }

    /// Everything that can be read anywhere on it.
    pub(super) fn files(&self) -> Files {
        self.sets
            .values()
            .flat_map(|set| {
                set.files
                    .iter()
                    .chain(set.snapshots.iter().flat_map(|it| &it.3))
            })
            .copied()
            .collect()
    }
}

/// As `zfs receive` without `-F`: only where the newest snapshot here is one of theirs.
pub(super) fn replicate(from: &Pool, to: &mut Pool) -> bool {
    if !to.sets.contains_key("tank/received")
        || to.sets.contains_key("tank/mail-root")
        || !from.sets.contains_key("tank/mail-root")
    {
        return false;
    }
    let mut sent = false;
    for (name, set) in from
        .sets
        .iter()
        .filter(|(name, _)| is_in(name, "tank/mail-root"))
    {
        let target = to
            .sets
            .entry(name.replacen("tank/", "tank/received/", 1))
            .or_default();
        let from = match target.snapshots.last() {
            None => 0,
            Some(last) => match set.snapshots.iter().position(|it| it.1 == last.1) {
                Some(at) => at + 1,
                None => continue,
            },
        };
        target
            .snapshots
            .extend(set.snapshots[from..].iter().cloned());
        if let Some(last) = target.snapshots.last() {
            target.files.clone_from(&last.3);
            sent = true;
        }
    }
    sent
}

pub(super) const NAMES: [&str; 2] = ["st1", "st2"];

/// Two machines; the first is the source by plan.
pub(super) struct Rack {
    pub(super) pools: [Pool; 2],
    pub(super) on: [bool; 2],
    pub(super) now: u64,
    pub(super) written: Files,
}

impl Rack {
    pub(super) fn new() -> Self {
        let mut first = Pool::new(&["tank", "tank/mail-root", "tank/mail-root/mail"]);
        if let Some(set) = first.sets.get_mut("tank/mail-root") {
            set.properties.extend([
                (EPOCH.to_owned(), "1".to_owned()),
                (OWNER.to_owned(), "st1".to_owned()),
            ]);
        }
        let mut second = Pool::new(&["tank", "tank/received"]);
        if let Some(set) = second.sets.get_mut("tank/received") {
            set.properties
                .insert("readonly".to_owned(), "on".to_owned());
        }
        Self {
            pools: [first, second],
            on: [true, true],
            now: 1000,
            written: Files::new(),
        }
    }

    pub(super) fn answers(&self, asker: usize) -> Vec<Answer> {
        let other = 1 - asker;
        self.on[other]
            .then(|| Answer {
                from: NAMES[other].to_owned(),
                mark: self.pools[other]
                    .view()
                    .datasets
                    .values()
                    .filter_map(|it| it.mark.clone())
                    .max_by_key(|it| it.epoch),
            })
            .into_iter()
            .collect()
    }

    /// What a machine is told when it asks whether it may export.
    pub(super) fn asks(
        &self,
        machine: usize,
        confirmed: bool,
        serves: bool,
    ) -> Result<Mark, mark::Refusal> {
        let (view, answers) = (self.pools[machine].view(), self.answers(machine));
        let asked = [NAMES[1 - machine].to_owned()];
        let live = view.datasets.get("tank/mail-root");
        mark::may_export(&Question {
            node: NAMES[machine],
            tree: "tank/mail-root",
            exists: live.is_some(),
            readonly: live.is_some_and(|it| it.readonly),
            own: view.mark(),
            sink_of: (machine == 1).then_some("st1"),
            asked: &asked,
            answers: &answers,
            confirmed,
            serves,
        })
    }

    /// With the worst operator, who confirms always.
    pub(super) fn exports(&self, machine: usize) -> bool {
        self.on[machine] && self.asks(machine, true, false).is_ok()
    }

    pub(super) fn promote(&mut self, machine: usize, fenced: Fenced) -> Result<(), Refusal> {
        let (answers, view) = (self.answers(machine), self.pools[machine].view());
        let exporting: Vec<String> = (0..2)
            .filter(|it| *it != machine && self.exports(*it))
            .map(|it| NAMES[it].to_owned())
            .collect();
        let other = 1 - machine;
        let last = self.pools[other].view();
        let last = self.on[other]
            .then(|| last.datasets.get("tank/mail-root")?.last.clone())
            .flatten();
        let request = Promote {
            node: NAMES[machine],
            mountpoint: "/var/srv/export",
            now: self.now,
            fenced,
            answers: &answers,
            exporting: &exporting,
            asked: &[NAMES[1 - machine].to_owned()],
            last: last.as_deref(),
            place: (machine as u64, 2),
            accept_loss: u64::MAX,
        };
        let (_, steps) = promote(&view, &request)?;
        self.apply(machine, &steps);
        Ok(())
    }

    pub(super) fn demote(&mut self, machine: usize, release: bool) -> Result<(), Refusal> {
        let (answers, view) = (self.answers(machine), self.pools[machine].view());
        let theirs = self.pools[1 - machine].view().snapshots;
        let request = Demote {
            node: NAMES[machine],
            answers: &answers,
            theirs: if self.on[1 - machine] { &theirs } else { &[] },
            their_tree: "tank/mail-root",
            release,
            now: self.now,
        };
        let steps = demote(&view, &request)?;
        self.apply(machine, &steps);
        Ok(())
    }

    pub(super) fn apply(&mut self, machine: usize, steps: &[Step]) {
        let now = self.now;
        self.pools[machine].all(steps, now);
        for step in steps {
            let _ = self.pools[machine].run(step, now);
        }
    }

    pub(super) fn write(&mut self, file: u32) {
        for machine in 0..2 {
            if self.exports(machine)
                && let Some(set) = self.pools[machine].sets.get_mut("tank/mail-root/mail")
            {
                set.files.insert(file);
                self.written.insert(file);
            }
        }
    }

    pub(super) fn tick(&mut self) {
        self.now += 60;
        let name = format!("rackwright-{}", self.now);
        for machine in 0..2 {
            if self.exports(machine) {
                let step = Step {
                    title: "",
                    command: ["zfs", "snapshot", "-r", &format!("tank/mail-root@{name}")]
                        .map(str::to_owned)
                        .to_vec(),
                };
                self.apply(machine, &[step]);
            }
        }
        if self.on == [true, true] {
            let [first, second] = &mut self.pools;
            replicate(first, second);
            replicate(second, first);
        }
    }
}
