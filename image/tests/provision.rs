//! Four machines at once over `ipmi_sim` (Debian's package openipmi), a BMC that is dead and one with another password; the
//! depot is a table in memory. Without that program the tests fail and say how to get it.

#![expect(clippy::unwrap_used, reason = "a panic in a test is the report")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::UdpSocket;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use camino::Utf8Path;
use firmware::bmc::Password;
use image::provision::engine::{self, Event, Machine, Options, State};
use image::provision::record::Records;
use image::provision::{Follow, FollowError, Phase, Seen};
use program::shown;
use simulator::{PASSWORD, Simulator};

mod program;
mod simulator;

/// A depot that tells of each machine what it is given, one thing after the other; the last one stays.
#[derive(Default)]
struct Fake(Mutex<BTreeMap<String, Vec<Option<Phase>>>>);

impl Fake {
    fn new(all: &[(&str, &[Option<Phase>])]) -> Self {
        let all = all
            .iter()
            .map(|(node, phases)| ((*node).to_owned(), phases.to_vec()));
        Self(Mutex::new(all.collect()))
    }
}

impl Follow for Fake {
    fn look(&self, node: &str) -> Result<Seen, FollowError> {
        let mut all = self.0.lock().unwrap();
        let phases = all.get_mut(node).unwrap();
        let phase = match phases.len() {
            1 => phases[0],
            _ => phases.remove(0),
        };
        Ok(Seen {
            phase: phase.ok_or_else(|| FollowError("busy".into()))?,
            line: None,
            percent: None,
        })
    }
}

fn machine(node: &str, bmc: &str, password: &str) -> Machine {
    Machine {
        node: node.into(),
        bmc: bmc.into(),
        user: "ADMIN".into(),
        password: Password::parse(password).unwrap(),
    }
}

/// A program that another test starts at this moment has our lock too, until it becomes that program (flock(2), fork(2)).
fn records(folder: &Utf8Path) -> Records {
    let began = std::time::Instant::now();
    loop {
        match Records::open(folder) {
            Err(_) if began.elapsed().as_secs() < 10 => {
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
            opened => return opened.unwrap(),
        }
    }
}

/// Runs, and gives the last states and all that was told.
fn provision(
    machines: &[Machine],
    folder: &Path,
    depot: Option<&dyn Follow>,
    cut: bool,
) -> (String, Vec<Event>) {
    let told = Mutex::new(Vec::new());
    let records = records(Utf8Path::from_path(folder).unwrap());
    let last = engine::run(
        machines,
        &records,
        &Options {
            uefi: true,
            jobs: 4,
            pause: Duration::from_millis(20),
            patience: Duration::from_secs(20),
            follow: depot,
            may_cut: &|running| {
                Ok(running
                    .iter()
                    .filter(|_| cut)
                    .cloned()
                    .collect::<BTreeSet<_>>())
            },
            tell: &|event| told.lock().unwrap().push(event),
        },
    )
    .unwrap();
    let text = last
        .iter()
        .map(|event| format!("{} {} {}\n", event.node, event.state.word(), event.message))
        .collect();
    (text, told.into_inner().unwrap())
}

#[test]
fn four_machines_and_a_second_run() {
    let simulators: Vec<Simulator> = (0..4).map(|_| Simulator::start()).collect();
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap().to_string();
    let mut machines: Vec<Machine> = simulators
        .iter()
        .enumerate()
        .map(|(index, simulator)| machine(&format!("n{index}"), &simulator.address(), PASSWORD))
        .collect();
    machines.push(machine("dead", &silent, PASSWORD));
    machines.push(machine("locked", &simulators[0].address(), "not this one"));
    // It runs, and nobody said that it may lose its power.
    std::fs::write(simulators[3].path("power"), "1").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let well = [
        Some(Phase::Armed),
        None,
        Some(Phase::Installing),
        Some(Phase::Installed),
        Some(Phase::Healthy),
    ];
    let armed = [Some(Phase::Armed)];
    let depot = Fake::new(&[
        ("n0", &well),
        (
            "n1",
            &[
                Some(Phase::Armed),
                Some(Phase::Installing),
                Some(Phase::Failed),
            ],
        ),
        ("n2", &[Some(Phase::New)]),
        ("n3", &armed),
        ("dead", &armed),
        ("locked", &armed),
    ]);
    let (last, told) = provision(&machines, folder.path(), Some(&depot), false);
    let last = last
        .replace(&silent, "[DEAD]")
        .replace(silent.trim_start_matches("127.0.0.1:"), "[PORT]")
        .replace(&simulators[0].address(), "[BMC]");
    insta::assert_snapshot!("first-run", last);
    let states: Vec<State> = told
        .iter()
        .filter(|event| event.node == "n0")
        .map(|event| event.state)
        .collect();
    use State::{Healthy, Installed, Installing, Started, Starting};
    assert_eq!(states, [Starting, Started, Installing, Installed, Healthy]);
    let done =
        |index: usize| std::fs::read_to_string(simulators[index].path("done")).unwrap_or_default();
    let first = done(0);
    assert!(
        first.contains("boot=pxe") && first.contains("power=1"),
        "{first}"
    );
    assert_eq!([done(2), done(3)], ["", ""]);

    // Once more: who is installed or installing keeps its power, who failed and was armed anew is started again.
    let depot = Fake::new(&[
        ("n0", &[Some(Phase::Healthy)]),
        ("n1", &[Some(Phase::Installing), Some(Phase::Healthy)]),
        ("n2", &[Some(Phase::Armed), Some(Phase::Healthy)]),
        ("n3", &[Some(Phase::Armed), Some(Phase::Healthy)]),
    ]);
    let before = [done(0), done(1)];
    let (last, _) = provision(&machines[..4], folder.path(), Some(&depot), true);
    assert_eq!(last, "n0 healthy \nn1 healthy \nn2 healthy \nn3 healthy \n");
    assert_eq!([done(0), done(1)], before);
    assert!(done(2).contains("power=1") && !done(3).is_empty());
}

/// Without a depot: switched on once, and then left alone.
#[test]
fn nobody_to_ask() {
    let simulator = Simulator::start();
    let folder = tempfile::tempdir().unwrap();
    let machines = [machine("n0", &simulator.address(), PASSWORD)];
    for _ in 0..2 {
        let (last, _) = provision(&machines, folder.path(), None, true);
        assert_eq!(last, "n0 started no depot is asked how it goes on\n");
    }
    let done = std::fs::read_to_string(simulator.path("done")).unwrap();
    assert_eq!(done.matches("power=").count(), 1, "{done}");
    std::fs::write(folder.path().join("n0.json"), "{").unwrap();
    let (last, _) = provision(&machines, folder.path(), None, true);
    assert!(
        last.contains("n0.json` is damaged\nhint: remove it if `n0` may be started anew"),
        "{last}"
    );
}

#[test]
fn what_the_command_says() {
    let folder = tempfile::tempdir().unwrap();
    let site = roles::site::init(roles::site::model::Setup::Ha, 5000, "mail");
    std::fs::write(folder.path().join("site.toml"), site).unwrap();
    for (name, words) in [
        ("no-seed", vec!["provision", "site.toml"]),
        (
            "no-machine",
            vec!["provision", "site.toml", "--node", "db9"],
        ),
        ("help-provision", vec!["provision", "--help"]),
    ] {
        let text = shown(folder.path(), &words, "");
        assert!(name != "help-provision" || text.lines().all(|line| line.chars().count() <= 80));
        insta::assert_snapshot!(name, text);
    }
}
