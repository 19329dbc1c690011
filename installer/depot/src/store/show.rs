//! From what the depot remembers to what it shows. Pure.

use std::collections::BTreeMap;

use super::{Known, Live};
use crate::record::{Machine, State};
use crate::view::{self, Phase, Rack, Stranger};

pub(super) fn rack(
    cluster: &str,
    revision: u64,
    now: u64,
    known: &[Known],
    state: &State,
    live: &BTreeMap<String, Live>,
    strangers: Vec<Stranger>,
) -> Rack {
    let nothing = (Machine::default(), Live::default());
    Rack {
        cluster: cluster.to_owned(),
        revision,
        now,
        machines: known
            .iter()
            .map(|known| {
                let machine = state.machines.get(&known.node).unwrap_or(&nothing.0);
                machine_of(
                    now,
                    known,
                    machine,
                    live.get(&known.node).unwrap_or(&nothing.1),
                )
            })
            .collect(),
        strangers,
    }
}

fn machine_of(now: u64, known: &Known, machine: &Machine, live: &Live) -> view::Machine {
    let phase = machine.phase(now);
    view::Machine {
        node: known.node.clone(),
        role: known.role.clone(),
        place: known.place.clone(),
        board: machine.board.clone().or(known.facts.serial.clone()),
        phase,
        permit: machine.permit.as_ref().map(|permit| view::Permit {
            id: permit.id.clone(),
            keep_data: permit.keep_data,
            expires: permit.expires,
            spent: permit.spent.as_ref().map(|spent| spent.at),
        }),
        step: (phase == Phase::Installing).then(|| live.step()).flatten(),
        line: line(now, machine, live),
        warnings: live.warnings.clone(),
        heard: live.heard,
        reports: machine.reports.clone(),
        unwell: machine.unwell.clone(),
    }
}

/// The line that says most.
fn line(now: u64, machine: &Machine, live: &Live) -> Option<String> {
    if machine.phase == Phase::Armed && machine.armed(now).is_none() {
        return Some("its permit is over: nothing was installed".to_owned());
    }
    if let Some((check, detail)) = machine.unwell.iter().next() {
        return Some(format!("{check}: {detail}"));
    }
    match machine.phase {
        Phase::Installed | Phase::Failed => machine.line.clone().or_else(|| live.line.clone()),
        Phase::Armed if machine.fingerprint.is_none() => live
            .line
            .clone()
            .or_else(|| Some("waits for the machine to say hello".to_owned())),
        Phase::Armed | Phase::Installing => live.line.clone(),
        _ => None,
    }
}
