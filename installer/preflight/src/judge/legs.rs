//! Ports: link, speed, and what is at the other end of the cable.

use firmware::{Finding, Weight};
use roles::{NodeFile, wiring::PhysicalPort};

use crate::measured::{Leg, Measured, Neighbour};
use crate::wire::lldp;

use super::finding;

pub(super) fn findings(node: &NodeFile, measured: &Measured) -> Vec<Finding> {
    let mut findings = Vec::new();
    for leg in &measured.legs {
        let Some(port) = node.port(&leg.name) else {
            continue;
        };
        findings.push(link(leg));
        findings.extend(speed(leg, port));
        findings.extend(cable(leg, port, node));
    }
    findings
}

fn link(leg: &Leg) -> Finding {
    let up = leg.carrier == Some(true);
    let found = match (up, leg.speed) {
        (true, Some(speed)) => format!("link of {speed} Mbit/s"),
        (true, None) => "link".to_owned(),
        (false, _) => "no link".to_owned(),
    };
    finding(
        format!("link:{}", leg.name),
        format!("link of port {}", leg.name),
        // Never a failure: a machine installs from its stick with all cables out.
        if up { Weight::Pass } else { Weight::Warn },
    )
    .expected("link")
    .found(found)
    .advice("look at cable, module and switch port; the port of the switch may be shut down")
}

fn speed(leg: &Leg, port: &PhysicalPort) -> Option<Finding> {
    let (wanted, found) = (port.speed?, leg.speed?);
    let slow = found < wanted;
    Some(
        finding(
            format!("speed:{}", leg.name),
            format!("speed of port {}", leg.name),
            if slow { Weight::Warn } else { Weight::Pass },
        )
        .expected(format!("{wanted} Mbit/s"))
        .found(format!("{found} Mbit/s"))
        .advice("cable, module or switch port are of a slower kind, or set to a fixed speed"),
    )
}

/// The cable plan against LLDP.
fn cable(leg: &Leg, port: &PhysicalPort, node: &NodeFile) -> Option<Finding> {
    let expected = planned(port)?;
    let neighbours = leg.neighbours.as_ref()?;
    let (weight, found, advice) = if neighbours.iter().any(|it| is_planned(it, port)) {
        (Weight::Pass, expected.clone(), String::new())
    } else if neighbours.is_empty() {
        (
            Weight::Info,
            "nobody spoke LLDP".to_owned(),
            "switch LLDP on for this port, to have its cable checked".to_owned(),
        )
    } else {
        let others: Vec<&PhysicalPort> = node
            .ports
            .iter()
            .filter(|other| other.name != port.name && planned(other).is_some())
            .filter(|other| neighbours.iter().any(|it| is_planned(it, other)))
            .collect();
        let advice = match others.first() {
            Some(other) => format!(
                "this is the place of port {}: swap the cables, or correct the plan",
                other.name
            ),
            None => "put the cable where the plan has it, or correct `switch` and `switch_port`"
                .to_owned(),
        };
        let seen: Vec<String> = neighbours.iter().map(shown).collect();
        (Weight::Fail, seen.join("; "), advice)
    };
    Some(
        finding(
            format!("cable:{}", leg.name),
            format!("cable of port {}", leg.name),
            weight,
        )
        .expected(expected)
        .found(found)
        .advice(advice),
    )
}

fn planned(port: &PhysicalPort) -> Option<String> {
    match (&port.switch, &port.switch_port) {
        (Some(switch), Some(at)) => Some(format!("{switch} port {at}")),
        (Some(switch), None) => Some(switch.clone()),
        (None, Some(at)) => Some(format!("port {at}")),
        (None, None) => None,
    }
}

fn is_planned(neighbour: &Neighbour, port: &PhysicalPort) -> bool {
    port.switch
        .as_ref()
        .is_none_or(|name| lldp::is_system(neighbour, name))
        && port
            .switch_port
            .as_ref()
            .is_none_or(|name| lldp::is_port(neighbour, name))
}

fn shown(neighbour: &Neighbour) -> String {
    let system = neighbour
        .system
        .as_deref()
        .or(neighbour.chassis.as_deref())
        .unwrap_or("a system without a name");
    let port = neighbour
        .port
        .as_deref()
        .or(neighbour.description.as_deref())
        .unwrap_or("unknown");
    match &neighbour.description {
        Some(description) if description != port => format!("{system} port {port} ({description})"),
        _ => format!("{system} port {port}"),
    }
}
