//! The list of cables, for the one who pulls them and the one who looks for a fault.

use std::collections::BTreeMap;

use crate::{RoleSet, compile::wires, site::Site};

/// One cable from a machine to a switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cable {
    /// Machine.
    pub machine: String,
    /// Port by the name that we give it.
    pub port: String,
    /// What tells the port: MAC address, or PCI address and number.
    pub known_by: String,
    /// Switch; empty: not said.
    pub switch: String,
    /// Port of the switch.
    pub switch_port: String,
    /// Bond it is a leg of; empty: none.
    pub bond: String,
    /// Networks on it.
    pub networks: String,
}

/// All cables that the site file describes, in its order.
#[must_use]
pub fn list(site: &Site, roles: Option<&RoleSet>) -> Vec<Cable> {
    let mut cables = Vec::new();
    for node in site.nodes.iter().filter(|node| !node.links.is_empty()) {
        let wires = wires::plan(site, node, roles);
        let mut bond_of: BTreeMap<&str, &str> = BTreeMap::new();
        for bond in &wires.bonds {
            bond_of.extend(
                bond.ports
                    .iter()
                    .map(|leg| (leg.as_str(), bond.name.as_str())),
            );
        }
        for port in &wires.ports {
            let bond = bond_of.get(port.name.as_str()).copied().unwrap_or_default();
            let device = if bond.is_empty() { &port.name } else { bond };
            let networks: Vec<String> = wires
                .networks
                .iter()
                .filter(|network| network.on.as_deref() == Some(device))
                .map(|network| match network.vlan {
                    Some(vlan) => format!("{} ({vlan})", network.name),
                    None => network.name.clone(),
                })
                .collect();
            let known_by = match (&port.mac, &port.path) {
                (Some(mac), _) => mac.clone(),
                (None, Some(path)) => format!("{path} port {}", port.dev_port.unwrap_or(0)),
                (None, None) => String::new(),
            };
            cables.push(Cable {
                machine: node.name.clone(),
                port: port.name.clone(),
                known_by,
                switch: port.switch.clone().unwrap_or_default(),
                switch_port: port.switch_port.clone().unwrap_or_default(),
                bond: bond.to_owned(),
                networks: networks.join(", "),
            });
        }
    }
    cables
}

/// Titles of the columns.
pub(super) const TITLES: [&str; 7] = [
    "machine",
    "port",
    "known by",
    "switch",
    "switch port",
    "bond",
    "networks (VLAN)",
];

impl Cable {
    /// Its fields in the order of the titles.
    pub(super) fn fields(&self) -> [&str; 7] {
        [
            &self.machine,
            &self.port,
            &self.known_by,
            &self.switch,
            &self.switch_port,
            &self.bond,
            &self.networks,
        ]
    }
}

/// The list as comma-separated values (RFC 4180).
#[must_use]
pub fn csv(cables: &[Cable]) -> String {
    let row = |fields: [&str; 7]| {
        let fields = fields.map(field);
        format!("{}\r\n", fields.join(","))
    };
    let mut text = row(TITLES);
    text.extend(cables.iter().map(|cable| row(cable.fields())));
    text
}

fn field(text: &str) -> String {
    // A spreadsheet would take a text with one of these in front for a formula.
    let guarded = if text.starts_with(['=', '+', '-', '@']) {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if guarded.contains(['"', ',', '\r', '\n']) {
        format!("\"{}\"", guarded.replace('"', "\"\""))
    } else {
        guarded
    }
}
