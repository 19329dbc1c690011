//! Takeovers on simulated pools: whatever happens in which order, no file is lost and never do two machines export.

use super::*;
use crate::mark::{self, Question};
use crate::view::{self, is_in};
use proptest::prelude::*;

type Files = BTreeSet<u32>;

#[derive(Debug, Clone, Default)]
struct Set {
    files: Files,
    /// Name, GUID, seconds, content.
    snapshots: Vec<(String, u64, u64, Files)>,
    properties: BTreeMap<String, String>,
    /// A clone's snapshot of origin.
    origin: Option<String>,
}

/// A pool and the commands of `zfs` that the plans use, with the rules that make them fail.
#[derive(Debug, Clone, Default)]
struct Pool {
    sets: BTreeMap<String, Set>,
}

static GUID: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);

fn guid() -> u64 {
    GUID.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

impl Pool {
    fn new(names: &[&str]) -> Self {
        Self {
            sets: names
                .iter()
                .map(|name| ((*name).to_owned(), Set::default()))
                .collect(),
        }
    }

    fn view(&self) -> View {
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

    fn run(&mut self, step: &Step, now: u64) -> Result<(), String> {
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

    fn all(&self, steps: &[Step], now: u64) {
        let mut copy = self.clone();
        for step in steps {
            if let Err(error) = copy.run(step, now) {
                panic!("{}: {error}\n{:#?}", step.command.join(" "), self.sets);
            }
        }
    }

    /// Everything that can be read anywhere on it.
    fn files(&self) -> Files {
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
fn replicate(from: &Pool, to: &mut Pool) -> bool {
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

const NAMES: [&str; 2] = ["st1", "st2"];

/// Two machines; the first is the source by plan.
struct Rack {
    pools: [Pool; 2],
    on: [bool; 2],
    now: u64,
    written: Files,
}

impl Rack {
    fn new() -> Self {
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

    fn answers(&self, asker: usize) -> Vec<Answer> {
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

    fn exports(&self, machine: usize) -> bool {
        let (view, answers) = (self.pools[machine].view(), self.answers(machine));
        let asked = [NAMES[1 - machine].to_owned()];
        let live = view.datasets.get("tank/mail-root");
        let question = Question {
            node: NAMES[machine],
            tree: "tank/mail-root",
            exists: live.is_some(),
            readonly: live.is_some_and(|it| it.readonly),
            own: view.mark(),
            sink_of: (machine == 1).then_some("st1"),
            asked: &asked,
            answers: &answers,
            // The worst operator: confirms always.
            confirmed: true,
            serves: false,
        };
        self.on[machine] && mark::may_export(&question).is_ok()
    }

    fn promote(&mut self, machine: usize, fenced: Fenced) -> Result<(), Refusal> {
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

    fn demote(&mut self, machine: usize, release: bool) -> Result<(), Refusal> {
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

    fn apply(&mut self, machine: usize, steps: &[Step]) {
        let now = self.now;
        self.pools[machine].all(steps, now);
        for step in steps {
            let _ = self.pools[machine].run(step, now);
        }
    }

    fn write(&mut self, file: u32) {
        for machine in 0..2 {
            if self.exports(machine)
                && let Some(set) = self.pools[machine].sets.get_mut("tank/mail-root/mail")
            {
                set.files.insert(file);
                self.written.insert(file);
            }
        }
    }

    fn tick(&mut self) {
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

fn lines(steps: &[Step]) -> String {
    steps
        .iter()
        .map(|step| format!("{}\n    {}\n", step.title, step.command.join(" ")))
        .collect()
}

#[test]
fn a_takeover_and_the_way_back() {
    let mut rack = Rack::new();
    rack.write(1);
    rack.tick();
    rack.write(2);
    rack.on[0] = false;
    let view = rack.pools[1].view();
    let request = Promote {
        node: "st2",
        mountpoint: "/var/srv/export",
        now: rack.now + 30,
        fenced: Fenced::Word,
        answers: &[],
        exporting: &[],
        asked: &[],
        last: None,
        place: (0, 1),
        accept_loss: 120,
    };
    let (mark, steps) = promote(&view, &request).unwrap_or_else(|refusal| panic!("{refusal}"));
    assert_eq!(
        mark,
        Mark {
            epoch: 2,
            owner: "st2".into()
        }
    );
    insta::assert_snapshot!("promote", lines(&steps));
}

#[test]
fn the_old_owner_comes_back_and_receives() {
    let mut rack = Rack::new();
    rack.write(1);
    rack.tick();
    rack.write(2);
    rack.on[0] = false;
    rack.now += 30;
    // The epoch of the one that is off is known to the control servers, or to the received tree's own memory.
    let known = [Answer {
        from: "ct1".into(),
        mark: Some(Mark {
            epoch: 1,
            owner: "st1".into(),
        }),
    }];
    let view = rack.pools[1].view();
    let request = Promote {
        node: "st2",
        mountpoint: "/var/srv/export",
        now: rack.now,
        fenced: Fenced::Word,
        answers: &known,
        exporting: &[],
        asked: &[],
        last: None,
        place: (0, 1),
        accept_loss: 120,
    };
    let (mark, steps) = promote(&view, &request).unwrap_or_else(|refusal| panic!("{refusal}"));
    assert_eq!(mark.epoch, 2);
    rack.apply(1, &steps);
    rack.write(3);
    rack.on[0] = true;
    assert!(!rack.exports(0) && rack.exports(1));
    rack.tick();
    let (view, answers) = (rack.pools[0].view(), rack.answers(0));
    let theirs = rack.pools[1].view().snapshots;
    let request = Demote {
        node: "st1",
        answers: &answers,
        theirs: &theirs,
        their_tree: "tank/mail-root",
        release: false,
        now: 1090,
    };
    let steps = demote(&view, &request).unwrap_or_else(|refusal| panic!("{refusal}"));
    insta::assert_snapshot!("demote", lines(&steps));
    rack.apply(0, &steps);
    rack.tick();
    assert_eq!(
        rack.pools[0].sets["tank/received/mail-root/mail"].files,
        Files::from([1, 3])
    );
    assert_eq!(
        rack.pools[0].sets["tank/lost-1/mail"].files,
        Files::from([1, 2]),
        "what only the old one had"
    );
}

#[test]
fn a_planned_change_loses_nothing() {
    let mut rack = Rack::new();
    rack.write(1);
    rack.tick();
    rack.write(2);
    let refusal = rack.promote(1, Fenced::Released);
    assert!(matches!(refusal, Err(Refusal::Exports(_))), "{refusal:?}");
    assert_eq!(rack.demote(0, true), Ok(()));
    assert!(!rack.exports(0));
    let refusal = rack.promote(1, Fenced::Released);
    assert!(matches!(refusal, Err(Refusal::Late(_))), "{refusal:?}");
    rack.tick();
    assert_eq!(rack.promote(1, Fenced::Released), Ok(()));
    assert!(rack.exports(1) && !rack.exports(0));
    assert_eq!(
        rack.pools[1].sets["tank/mail-root/mail"].files,
        Files::from([1, 2])
    );
    assert_eq!(rack.demote(0, false), Ok(()));
    rack.write(3);
    rack.tick();
    assert_eq!(
        rack.pools[0].sets["tank/received/mail-root/mail"].files,
        Files::from([1, 2, 3])
    );
}

#[test]
fn what_was_let_go_of_may_be_taken_back() {
    let mut rack = Rack::new();
    rack.write(1);
    assert_eq!(rack.demote(0, true), Ok(()));
    assert!(!rack.exports(0));
    assert_eq!(rack.promote(0, Fenced::Word), Ok(()));
    assert!(rack.exports(0));
}

#[test]
fn each_refusal_has_its_words() {
    let mut rack = Rack::new();
    rack.write(1);
    let empty = rack.pools[1].view();
    rack.tick();
    rack.now += 600;
    let (first, second) = (rack.pools[0].view(), rack.pools[1].view());
    let exporting = ["st1".to_owned()];
    let base = Promote {
        node: "st2",
        mountpoint: "/e",
        now: rack.now,
        fenced: Fenced::Word,
        answers: &[],
        exporting: &[],
        asked: &[],
        last: None,
        place: (0, 1),
        accept_loss: 120,
    };
    let table = [
        (
            &first,
            Promote {
                node: "st1",
                ..base.clone()
            },
            "this machine holds the mail store already, since epoch 1",
        ),
        (
            &second,
            Promote {
                exporting: &exporting,
                ..base.clone()
            },
            "`st1` exports the mail store at this moment",
        ),
        (
            &second,
            Promote {
                fenced: Fenced::No,
                ..base.clone()
            },
            "the old owner is not known to be off",
        ),
        (&empty, base.clone(), "nothing was received here yet"),
        (
            &second,
            base.clone(),
            "the newest snapshot that is here is 600 s old",
        ),
    ];
    for (view, request, wanted) in table {
        let refusal = promote(view, &request)
            .err()
            .map(|it| it.to_string())
            .unwrap_or_default();
        assert!(refusal.contains(wanted), "{refusal}");
    }
    let mut partial = second.clone();
    partial
        .snapshots
        .retain(|it| it.dataset != "tank/received/mail-root/mail");
    assert!(matches!(
        promote(&partial, &base),
        Err(Refusal::Incomplete(_))
    ));
    let demotion = Demote {
        node: "st1",
        answers: &[],
        theirs: &[],
        their_tree: "tank/mail-root",
        release: false,
        now: 1090,
    };
    assert_eq!(demote(&first, &demotion), Err(Refusal::Owner { epoch: 1 }));
    assert!(matches!(
        demote(&second, &demotion),
        Err(Refusal::Receives(_))
    ));
    let mut kept = first.clone();
    kept.datasets
        .insert("tank/lost-1".into(), Default::default());
    let newer = [Answer {
        from: "st2".into(),
        mark: Some(Mark {
            epoch: 2,
            owner: "st2".into(),
        }),
    }];
    assert!(matches!(
        demote(
            &kept,
            &Demote {
                answers: &newer,
                ..demotion
            }
        ),
        Err(Refusal::Kept(_))
    ));
}

/// What a machine is told when it asks whether it may export.
fn asks(rack: &Rack, machine: usize, confirmed: bool, serves: bool) -> Result<Mark, mark::Refusal> {
    let (view, answers) = (rack.pools[machine].view(), rack.answers(machine));
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

/// `promote --fenced` says for this boot that nobody else took over; without that word the silent one is waited for.
#[test]
fn the_new_owner_exports_with_the_old_one_dead() {
    let mut rack = Rack::new();
    rack.write(1);
    rack.tick();
    rack.on[0] = false;
    assert_eq!(rack.promote(1, Fenced::Word), Ok(()));
    assert!(asks(&rack, 1, true, false).is_ok());
    assert!(asks(&rack, 1, false, false).is_err());
}

#[test]
fn a_source_goes_on_while_its_only_receiver_is_away() {
    let mut rack = Rack::new();
    rack.write(1);
    rack.tick();
    rack.on[1] = false;
    assert!(asks(&rack, 0, false, true).is_ok());
    // Not after a boot.
    assert!(asks(&rack, 0, false, false).is_err());
}

/// Cut off after each of its steps, served on where it still may, then done again.
#[test]
fn a_release_that_was_cut_off_loses_nothing() {
    for cut in 0..12 {
        let mut rack = Rack::new();
        rack.write(1);
        rack.tick();
        let (view, answers) = (rack.pools[0].view(), rack.answers(0));
        let theirs = rack.pools[1].view().snapshots;
        let request = Demote {
            node: "st1",
            answers: &answers,
            theirs: &theirs,
            their_tree: "tank/mail-root",
            release: true,
            now: rack.now,
        };
        let steps = demote(&view, &request).unwrap_or_else(|refusal| panic!("{refusal}"));
        rack.apply(0, &steps[..cut.min(steps.len())]);
        rack.write(2);
        rack.now += 5;
        let _ = rack.demote(0, true);
        rack.tick();
        assert_eq!(rack.promote(1, Fenced::Released), Ok(()), "cut after {cut}");
        let there = &rack.pools[1].sets["tank/mail-root/mail"].files;
        assert_eq!(*there, rack.written, "cut after {cut}");
    }
}

/// Cut off after each of its steps, then given again.
#[test]
fn a_takeover_that_was_cut_off_goes_on() {
    for back in [false, true] {
        for cut in 0..16 {
            let mut rack = Rack::new();
            rack.write(1);
            rack.tick();
            if back {
                // What lies at its place is set aside.
                rack.on[0] = false;
                assert_eq!(rack.promote(1, Fenced::Word), Ok(()));
                rack.on[0] = true;
                assert_eq!(rack.demote(0, false), Ok(()));
                rack.write(2);
                rack.tick();
            }
            let (machine, other) = if back { (0, 1) } else { (1, 0) };
            rack.on[other] = false;
            let view = rack.pools[machine].view();
            let request = Promote {
                node: NAMES[machine],
                mountpoint: "/var/srv/export",
                now: rack.now,
                fenced: Fenced::Word,
                asked: &[],
                answers: &[],
                exporting: &[],
                last: None,
                place: (machine as u64, 2),
                accept_loss: u64::MAX,
            };
            let (_, steps) = promote(&view, &request).unwrap_or_else(|refusal| panic!("{refusal}"));
            let whole = cut >= steps.len();
            rack.apply(machine, &steps[..cut.min(steps.len())]);
            rack.now += 5;
            if !whole {
                let again = rack.promote(machine, Fenced::Word);
                assert!(
                    matches!(again, Ok(()) | Err(Refusal::Holds(_))),
                    "cut after {cut}: {again:?}"
                );
            }
            assert!(rack.exports(machine), "cut after {cut}");
            let there = &rack.pools[machine].sets["tank/mail-root/mail"].files;
            assert_eq!(*there, rack.written, "cut after {cut}");
        }
    }
}

#[test]
fn no_epoch_is_given_twice() {
    let mut rack = Rack::new();
    rack.write(1);
    rack.tick();
    assert_eq!(rack.demote(0, true), Ok(()));
    rack.tick();
    assert_eq!(rack.promote(1, Fenced::Released), Ok(()));
    rack.on[1] = false;
    assert_eq!(
        rack.promote(0, Fenced::Released),
        Err(Refusal::Unsure("st2".into()))
    );
    // Somebody says it is off, and is wrong.
    assert_eq!(rack.promote(0, Fenced::Word), Ok(()));
    rack.on[1] = true;
    let epochs = [0, 1].map(|it| rack.pools[it].view().mark().map(|mark| mark.epoch));
    assert_eq!(epochs, [Some(2), Some(3)]);
    assert!(asks(&rack, 0, true, true).is_err() && asks(&rack, 1, true, true).is_ok());
}

/// Cut off while it let go; the other took over; then the operator mistakes the machine.
#[test]
fn an_overtaken_machine_does_not_go_on() {
    let mut rack = Rack::new();
    rack.write(1);
    rack.tick();
    let set = rack.pools[0].sets.get_mut("tank/mail-root");
    let properties = set.map(|set| &mut set.properties);
    properties.map(|it| it.insert("readonly".to_owned(), "on".to_owned()));
    rack.on[0] = false;
    assert_eq!(rack.promote(1, Fenced::Word), Ok(()));
    rack.on[0] = true;
    assert_eq!(
        rack.promote(0, Fenced::Word),
        Err(Refusal::Exports("st2".into()))
    );
    // It answers, and does not export at this moment.
    let (view, answers) = (rack.pools[0].view(), rack.answers(0));
    let request = Promote {
        node: "st1",
        mountpoint: "/e",
        now: rack.now,
        fenced: Fenced::Word,
        asked: &[],
        answers: &answers,
        exporting: &[],
        last: None,
        place: (0, 2),
        accept_loss: u64::MAX,
    };
    assert_eq!(
        promote(&view, &request),
        Err(Refusal::Overtaken {
            own: 1,
            epoch: 3,
            owner: "st2".into()
        })
    );
}

#[test]
fn places_have_numbers_of_their_own() {
    for known in 1..20 {
        let all: BTreeSet<u64> = (0..3).map(|place| next(known, (place, 3))).collect();
        assert_eq!(all, BTreeSet::from([known + 1, known + 2, known + 3]));
    }
    assert_eq!(next(1, (0, 0)), 2);
    assert_eq!(next(u64::MAX, (0, 2)), u64::MAX);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Writes, snapshots, failures, takeovers and returns in any order.
    #[test]
    fn no_file_is_lost_and_never_do_two_export(actions in proptest::collection::vec((0u8..7, 0usize..2), 1..40)) {
        let mut rack = Rack::new();
        for (number, (action, machine)) in (0u32..).zip(actions) {
            match action {
                0 | 1 => rack.write(number),
                2 => rack.tick(),
                3 => rack.on[machine] = !rack.on[machine],
                4 => {
                    // Fenced means off.
                    let fenced = if rack.on[1 - machine] { Fenced::No } else { Fenced::Word };
                    if rack.on[machine] { let _ = rack.promote(machine, fenced); }
                }
                5 => if rack.on[machine] { let _ = rack.demote(machine, false); },
                _ => if rack.on == [true, true] && rack.demote(machine, true).is_ok() {
                        rack.tick();
                    let _ = rack.promote(1 - machine, Fenced::Released);
                },
            }
            prop_assert!(!(rack.exports(0) && rack.exports(1)), "both export");
            let mut there = rack.pools[0].files();
            there.extend(rack.pools[1].files());
            prop_assert!(rack.written.is_subset(&there), "{:?} lost", rack.written.difference(&there));
        }
    }
}
