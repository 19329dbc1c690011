//! A machine that is not there: every effect has an answer, no disk is written. For a first look, for captures, for tests.

use std::{thread, time::Duration};

use camino::Utf8PathBuf;
use firmware::{
    Finding, Weight,
    inventory::{Disk, DiskId},
};
use plan::{Action, Plan};
use roles::role::Purpose;
use run::{Event, Outcome, Record, node_source::stick::Stick};
use serde_json::json;

use crate::{
    draft,
    executor::{Executor, Post},
    facts::Facts,
    message::{Effect, Installed, Message, Neighbour, Place, Wait},
    proposal,
};

/// Milliseconds of one step of an install.
const STEP: u64 = 150;
/// Pieces in which the root image is copied.
const PIECES: u64 = 10;

/// The simulated executor.
#[derive(Debug, Clone)]
pub struct Simulated {
    facts: Facts,
    /// The first run fails in the first step whose id holds this.
    pub fail_once: Option<String>,
    /// Where files are really written to, if anywhere.
    pub folder: Option<Utf8PathBuf>,
    /// Answers come at once, in the order of the calls: for tests.
    pub immediate: bool,
    lines: u64,
}

impl Simulated {
    /// Of this machine.
    #[must_use]
    pub fn new(facts: Facts) -> Self {
        Self {
            facts,
            fail_once: None,
            folder: None,
            immediate: false,
            lines: 0,
        }
    }

    /// What follows from an effect, each message with the milliseconds before it.
    pub fn answer(&mut self, effect: &Effect) -> Vec<(u64, Message)> {
        let done = |what, good, text: &str| {
            vec![(
                200,
                Message::Done {
                    what,
                    good,
                    text: text.to_owned(),
                },
            )]
        };
        match effect {
            Effect::Probe => vec![(
                800,
                Message::Probed {
                    inventory: Box::new(self.facts.inventory.clone()),
                },
            )],
            Effect::Network { node } => vec![(1500, self.network(node))],
            Effect::Bmc { .. } => vec![(600, self.bmc())],
            Effect::LightDisk { disk, on } => {
                let place = self
                    .facts
                    .inventory
                    .disks
                    .iter()
                    .find(|other| other.id == *disk)
                    .map(crate::text::place)
                    .unwrap_or_default();
                let state = if *on { "on" } else { "off" };
                done(
                    Wait::Light,
                    true,
                    &format!("locate light of {place} is {state}"),
                )
            }
            Effect::LightPort { port } => {
                done(Wait::Light, true, &format!("{port} blinks for 10 s"))
            }
            Effect::Save { place, name, text } => {
                let (good, said) = self.save(*place, name, text);
                done(Wait::Save, good, &said)
            }
            Effect::Sticks => {
                let sticks = vec![Stick {
                    device: "/dev/sdx1".to_owned(),
                    model: "SanDisk Ultra".to_owned(),
                    size: 30_752_000_000,
                }];
                vec![(400, Message::Sticks { sticks })]
            }
            Effect::SaveOn { name, text, .. } => {
                let (good, said) = self.save(Place::Stick, name, text);
                done(Wait::Save, good, &said)
            }
            Effect::Record => done(
                Wait::Save,
                false,
                "start with --record FILE to keep this session",
            ),
            Effect::Install { node, digest } => {
                match roles::parse::node_file("node.toml", node, None) {
                    Ok(node) => {
                        let proposal = proposal::propose(&self.facts, &node);
                        self.run(proposal.plan, digest)
                    }
                    Err(wrong) => done(Wait::Start, false, &wrong.to_string()),
                }
            }
            Effect::Decommission {
                node,
                allowed,
                digest,
            } => {
                let (role, inventory) = (&self.facts.role.name, &self.facts.inventory);
                let plan = plan::decommission::make(node, role, inventory, allowed);
                self.run(plan.ok(), digest)
            }
            Effect::Status => vec![(
                300,
                Message::Status {
                    status: self.status(),
                },
            )],
            Effect::Journal => vec![(
                200,
                Message::Journal {
                    lines: vec!["this is a simulated machine: it keeps no log".to_owned()],
                },
            )],
            Effect::Restart => done(
                Wait::Restart,
                true,
                "a real machine restarts now; Ctrl-C leaves the demonstration",
            ),
            Effect::Shell => done(Wait::Light, false, "a simulated machine has no shell"),
            Effect::Installed { allowed } => vec![(
                900,
                Message::Installed {
                    installed: Box::new(self.installed(allowed)),
                    inventory: Box::new(self.facts.inventory.clone()),
                },
            )],
            Effect::Repair {
                allowed, digest, ..
            } => {
                let plan = self.installed(allowed).plan;
                self.run(plan, digest)
            }
            Effect::Redraw | Effect::Leave => Vec::new(),
        }
    }

    fn save(&self, place: Place, name: &str, text: &str) -> (bool, String) {
        match (&self.folder, place) {
            (Some(folder), Place::Folder | Place::Stick) => {
                let path = folder.join(name);
                match std::fs::write(&path, text) {
                    Ok(()) => (true, format!("written: {path}")),
                    Err(error) => (false, format!("cannot write `{path}`: {error}")),
                }
            }
            _ => (true, format!("{name} would be written now")),
        }
    }

    fn record(&mut self, at: u64, event: Event) -> Message {
        let line = self.lines;
        self.lines += 1;
        Message::Event {
            line,
            record: Record {
                sequence: line,
                at,
                event,
            },
        }
    }

    fn run(&mut self, plan: Option<Plan>, digest: &str) -> Vec<(u64, Message)> {
        let Some(plan) = plan.filter(|plan| plan.digest() == digest) else {
            let text = "the plan is not the one that was confirmed".to_owned();
            return vec![(
                100,
                Message::Done {
                    what: Wait::Start,
                    good: false,
                    text,
                },
            )];
        };
        let steps = plan
            .steps
            .iter()
            .map(|step| (step.id.clone(), step.title.clone()))
            .collect();
        let mut at = 0;
        let planned = Event::Planned {
            node: plan.node.clone(),
            digest: digest.to_owned(),
            steps,
        };
        let mut messages = vec![(300, self.record(at, planned))];
        let fails = self.fail_once.take();
        for step in &plan.steps {
            let id = step.id.clone();
            messages.push((0, self.record(at, Event::Started { step: id.clone() })));
            if fails.as_ref().is_some_and(|part| id.contains(part)) {
                at += STEP;
                let failed = Event::Failed {
                    step: id,
                    error: match &step.action {
                        Action::CreatePool { name, .. } => format!(
                            "`zpool create {name} ...` ended with status 1\n\
                             cannot create '{name}': one or more devices is currently unavailable"
                        ),
                        _ => "`sgdisk --zap-all /dev/sdc` ended with status 4\n\
                              Problem opening /dev/sdc for writing! Error is 5 (Input/output error)"
                            .to_owned(),
                    },
                    hint: Some("look at the cable and the bay of this disk, then try again".into()),
                };
                messages.push((STEP, self.record(at, failed)));
                let ended = Event::Ended {
                    outcome: Outcome::Failed,
                    message: format!("`{}` failed", step.title),
                };
                messages.push((0, self.record(at, ended)));
                return messages;
            }
            if let Action::WriteImage { size, .. } = &step.action {
                for piece in 1..=PIECES {
                    at += 2 * STEP;
                    let progress = Event::Progress {
                        step: id.clone(),
                        done: size / PIECES * piece,
                        total: *size,
                        unit: "bytes".into(),
                    };
                    messages.push((2 * STEP, self.record(at, progress)));
                }
            }
            at += STEP;
            let finished = Event::Finished {
                step: id,
                milliseconds: STEP,
            };
            messages.push((STEP, self.record(at, finished)));
        }
        let ended = Event::Ended {
            outcome: Outcome::Done,
            message: if plan.is_decommission() {
                format!("the disks of `{}` are empty", plan.node)
            } else if plan.is_repair() {
                format!("`{}` is whole again", plan.node)
            } else {
                format!("`{}` is installed", plan.node)
            },
        };
        messages.push((0, self.record(at, ended)));
        messages
    }

    /// As if this machine had been installed, and one of its system disks been changed since.
    fn installed(&self, allowed: &[String]) -> Installed {
        let node = draft::start(&self.facts);
        let role = &self.facts.role;
        let mut before = self.facts.clone();
        let uses = draft::uses(role, &node, &before.inventory);
        let system = |disk: &&mut Disk| uses.get(&disk.id) == Some(&Purpose::Os);
        if let Some(disk) = before.inventory.disks.iter_mut().find(system) {
            disk.id = DiskId(format!("{}-before", disk.id.0));
            disk.serial = Some("PULLED-OUT-1".to_owned());
            disk.wwn = disk.wwn.as_ref().map(|_| "0x5000c500aaaa0001".to_owned());
        }
        let Some(recorded) = proposal::propose(&before, &node).plan else {
            return Installed {
                problem: Some("no installed system was found on the disks of this machine".into()),
                ..Installed::default()
            };
        };
        Installed::compare(
            &recorded,
            self.facts.version.clone(),
            plan::repair::make(&recorded, role, &node, &self.facts.inventory, allowed),
        )
    }

    fn network(&self, node: &str) -> Message {
        let mut findings = Vec::new();
        if let Ok(node) = roles::parse::node_file("node.toml", node, None) {
            for network in &node.networks {
                findings.push(
                    Finding::new(
                        format!("preflight.link:{}", network.name),
                        format!("network {}", network.name),
                        Weight::Pass,
                    )
                    .expected("a link")
                    .found("link, neighbour answers"),
                );
            }
            for host in &node.hosts {
                findings.push(
                    Finding::new(
                        format!("preflight.peer:{}", host.name),
                        format!("machine {}", host.name),
                        Weight::Info,
                    )
                    .expected("an answer, if it is installed")
                    .found("no answer (it may not be installed yet)"),
                );
            }
        }
        let neighbours = self
            .facts
            .inventory
            .nics
            .iter()
            .filter(|nic| nic.carrier == Some(true))
            .enumerate()
            .filter_map(|(index, nic)| {
                Some(Neighbour {
                    mac: nic.mac.clone()?.to_ascii_lowercase(),
                    name: format!("sw{} xe-0/0/{index}", index % 2 + 1),
                })
            })
            .collect();
        Message::Network {
            findings,
            neighbours,
        }
    }

    fn bmc(&self) -> Message {
        let lines = match self.facts.inventory.bmc.as_ref().filter(|bmc| bmc.answers) {
            Some(bmc) => vec![format!(
                "the controller answers, firmware {}; serial over LAN on the second port",
                bmc.firmware.as_deref().unwrap_or("-")
            )],
            None => vec!["no controller answers".to_owned()],
        };
        Message::Bmc { lines }
    }

    fn status(&self) -> serde_json::Value {
        let role = &self.facts.role;
        let checks: Vec<_> = [("mount /state", "mounted"), ("mount /var", "mounted")]
            .into_iter()
            .map(|(name, detail)| json!({"name": name, "result": "pass", "detail": detail}))
            .chain(role.services.start.iter().map(|unit| {
                json!({"name": format!("service {unit}"), "result": "pass", "detail": "active"})
            }))
            .chain([json!({"name": "array /state", "result": "warn",
                           "detail": "md127 rebuilds onto its second disk: 12.5 %"})])
            .collect();
        let disks: Vec<_> = self
            .facts
            .inventory
            .disks
            .iter()
            .map(|disk| {
                json!({"name": disk.paths.first().map(|path| &path.kernel_name), "model": disk.model,
                       "serial": disk.serial, "size": disk.size})
            })
            .collect();
        let unit = |name: &str| role.services.start.iter().any(|unit| unit == name);
        let held: Vec<_> = unit("keepalived.service")
            .then(|| json!({"name": "mail", "address": "192.0.2.100", "interface": "mgmt0"}))
            .into_iter()
            .collect();
        let database = unit("rackwright-health.service").then(|| {
            json!({"running": true, "primary": true, "size": 2, "writable": true,
                   "members": ["galera-1", "galera-2"], "missing": ["galera-3"]})
        });
        let has_pool = ["storage", "backup"].contains(&role.name.as_str());
        let kernel_name = |disk: &firmware::inventory::Disk| {
            disk.paths.first().map(|path| path.kernel_name.clone())
        };
        // The third disk in a bay has left its pool.
        let in_bays = self
            .facts
            .inventory
            .disks
            .iter()
            .filter(|disk| disk.bay.is_some());
        let devices: Vec<_> = in_bays
            .enumerate()
            .map(|(index, disk)| {
                let works = index != 2;
                json!({"path": "/dev/disk/by-partuuid/0", "disks": [kernel_name(disk)], "works": works,
                       "state": if works { "ONLINE" } else { "FAULTED" }})
            })
            .collect();
        let pools: Vec<_> = has_pool
            .then(|| {
                json!({"name": "tank", "health": "DEGRADED", "size": 180_000_000_000_000_u64,
                            "allocated": 61_000_000_000_000_u64, "devices": devices})
            })
            .into_iter()
            .collect();
        let copy = has_pool.then(|| {
            json!({"state": "ready", "detail": "exports the mail store",
                   "replication": {"role": "source", "snapshot": "rackwright-1763917442", "age": 58,
                                   "interval": 60, "good": true}})
        });
        json!({
            "node": format!("{}-1", role.name), "role": role.name, "version": self.facts.version,
            "mode": "run", "slot": "a", "state": "installed", "healthy": true, "disks": disks,
            "arrays": [{"name": "md127", "level": "raid1", "members": 2, "missing": 0, "state": "active",
                        "action": "recover", "progress": [125, 1000]}],
            "pools": pools, "service": copy,
            "networks": [{"name": "mgmt0", "state": "UP", "mac": null, "mtu": 1500,
                          "addresses": ["192.0.2.10/24"]}],
            "services": [], "checks": checks, "own_files": [],
            "memory": {"total": self.facts.inventory.memory, "available": self.facts.inventory.memory / 3},
            "held": held, "database": database, "events": [
                {"at": 1_763_917_490, "text": "the address of this machine is there"},
                {"at": 1_763_917_499, "text": "health: healthy"},
                {"at": 1_763_917_500, "text": "the install of this machine is proven"},
            ],
        })
    }
}

impl Executor for Simulated {
    fn begin(&mut self, known: bool, post: &Post) {
        if known {
            return;
        }
        post(Message::Begin {
            facts: Box::new(self.facts.clone()),
        });
    }

    fn carry_out(&mut self, effect: Effect, post: &Post) {
        let messages = self.answer(&effect);
        if self.immediate {
            messages.into_iter().for_each(|(_, message)| post(message));
            return;
        }
        let post = post.clone();
        thread::spawn(move || {
            for (wait, message) in messages {
                thread::sleep(Duration::from_millis(wait));
                post(message);
            }
        });
    }

    fn on_console(&mut self, effect: &Effect, post: &Post) {
        self.carry_out(effect.clone(), post);
    }
}
