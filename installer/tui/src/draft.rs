//! The node file being made: a first one for a bare machine, and the changes that people make to it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use firmware::{
    Inventory,
    inventory::{Disk, DiskId, Nic},
};
use plan::{make, select};
use roles::{
    NodeFile, Role,
    node::{Network, Permit},
    role::{DiskNeed, Layout, Purpose},
    selector::Selector,
    wiring::{Bond, BondMode, PhysicalPort},
};

use crate::facts::Facts;

/// The node file to start with: the one that was found, else one for this role on this machine. Its permit is this session's:
/// who confirms here gives a right of his own, and the one that was found may be spent, or be for a repair.
#[must_use]
pub fn start(facts: &Facts) -> NodeFile {
    let mut node = facts.node.clone().unwrap_or_else(|| fresh(facts));
    node.permit = Some(Permit {
        id: facts.session.clone(),
        board_serial: facts.inventory.board.serial.clone(),
        plan: None,
        task: None,
    });
    node
}

fn fresh(facts: &Facts) -> NodeFile {
    let role = &facts.role;
    let mut node = NodeFile {
        format: 1,
        node: format!("{}-1", role.name),
        role: role.name.clone(),
        ..NodeFile::default()
    };
    node.disks = counts(role, &node, &facts.inventory);
    // A proposal: a port that is fast enough, else any; the board's own come first, as the kernel lists them by PCI address.
    let mut ports: Vec<&Nic> = facts
        .inventory
        .nics
        .iter()
        .filter(|nic| nic.mac.is_some())
        .collect();
    for need in role.networks.iter().filter(|need| !need.optional) {
        let fits = |nic: &&Nic| nic.carrier == Some(true) && nic.speed >= Some(need.speed);
        let exactly = |nic: &&Nic| fits(nic) && nic.speed < Some(need.speed.saturating_mul(10));
        let place = ports
            .iter()
            .position(exactly)
            .or_else(|| ports.iter().position(fits))
            .unwrap_or(0);
        let port = (!ports.is_empty()).then(|| ports.remove(place));
        node.networks.push(Network {
            name: need.name.clone(),
            mac: port.and_then(|nic| nic.mac.clone()),
            dhcp: true,
            ..Network::default()
        });
    }
    node
}

/// Data groups with as many disks as this machine has for them, where that is another number than the role's. Shown, like
/// everything, before it is confirmed.
fn counts(role: &Role, node: &NodeFile, inventory: &Inventory) -> Vec<DiskNeed> {
    let mut changed = Vec::new();
    for need in make::needs(role, node) {
        if need.purpose != Purpose::Data {
            continue;
        }
        let found = need.select.iter().map(|selector| {
            inventory
                .disks
                .iter()
                .filter(|disk| matches!(select::excluded(disk, selector), Ok(None)))
                .count()
        });
        let count = found.into_iter().find(|count| *count > 1).unwrap_or(0);
        if count > 1 && count != need.count as usize {
            let mut need = need;
            need.count = u32::try_from(count).unwrap_or(need.count);
            if let Some(Layout::Zfs { vdev, width, .. }) = &mut need.layout
                && *width > 0
                && !count.is_multiple_of(*width as usize)
            {
                (*vdev, *width) = ("mail".into(), 0);
            }
            changed.push(need);
        }
    }
    changed
}

/// Which disk is for what, by the node file as it stands: also where there is no plan yet.
#[must_use]
pub fn uses(role: &Role, node: &NodeFile, inventory: &Inventory) -> BTreeMap<DiskId, Purpose> {
    let mut uses = BTreeMap::new();
    for need in make::needs(role, node) {
        // As the planner: the first alternative that gives the right number, else the nearest to it.
        let best = need
            .select
            .iter()
            .map(|selector| {
                inventory
                    .disks
                    .iter()
                    .filter(|disk| matches!(select::excluded(disk, selector), Ok(None)))
                    .map(|disk| disk.id.clone())
                    .collect::<Vec<_>>()
            })
            .min_by_key(|disks| disks.len().abs_diff(need.count as usize));
        for id in best.unwrap_or_default() {
            uses.entry(id).or_insert(need.purpose);
        }
    }
    uses
}

/// Gives a disk another use, or none. The groups that it leaves and joins then name their disks one by one, by WWN or serial
/// number: what a person chose by hand must never match another disk. Choosing the use that a disk has already settles its
/// group as it is: a virtual machine with one system disk is made right that way.
pub fn change_use(
    role: &Role,
    node: &mut NodeFile,
    inventory: &Inventory,
    disk: &DiskId,
    to: Option<Purpose>,
) {
    let mut uses = uses(role, node, inventory);
    let from = uses.remove(disk);
    if from.is_none() && to.is_none() {
        return;
    }
    if let Some(to) = to {
        uses.insert(disk.clone(), to);
    }
    let needs = make::needs(role, node);
    for purpose in BTreeSet::from_iter([from, to].into_iter().flatten()) {
        let members: Vec<&Disk> = inventory
            .disks
            .iter()
            .filter(|disk| uses.get(&disk.id) == Some(&purpose))
            .collect();
        let before = needs.iter().find(|need| need.purpose == purpose);
        let need = DiskNeed {
            purpose,
            count: u32::try_from(members.len().max(1)).unwrap_or(1),
            optional: purpose != Purpose::Os && (members.is_empty() || purpose != Purpose::Data),
            select: vec![exactly(&members)],
            layout: before.and_then(|need| need.layout.clone()),
        };
        set_need(node, need);
    }
}

/// Replaces the node file's groups of one purpose.
pub fn set_need(node: &mut NodeFile, need: DiskNeed) {
    let place = node
        .disks
        .iter()
        .position(|other| other.purpose == need.purpose)
        .unwrap_or(node.disks.len());
    node.disks.retain(|other| other.purpose != need.purpose);
    node.disks.insert(place.min(node.disks.len()), need);
}

fn exactly(disks: &[&Disk]) -> Selector {
    let wwns: Option<Vec<String>> = disks.iter().map(|disk| disk.wwn.clone()).collect();
    let serials: Option<Vec<String>> = disks.iter().map(|disk| disk.serial.clone()).collect();
    match (wwns, serials) {
        // No disk at all: a selector that nothing matches, since an empty one is an error.
        _ if disks.is_empty() => Selector {
            serial: vec!["none".into()],
            ..Selector::default()
        },
        (Some(wwn), _) => Selector {
            wwn,
            ..Selector::default()
        },
        (None, serial) => Selector {
            serial: serial.unwrap_or_else(|| {
                disks
                    .iter()
                    .filter_map(|disk| disk.serial.clone())
                    .collect()
            }),
            ..Selector::default()
        },
    }
}

/// The data group's layout, as it would be planned.
#[must_use]
pub fn layout(role: &Role, node: &NodeFile) -> Option<Layout> {
    data_need(role, node).and_then(|need| need.layout)
}

/// The group that layouts are chosen for.
#[must_use]
pub fn data_need(role: &Role, node: &NodeFile) -> Option<DiskNeed> {
    make::needs(role, node)
        .into_iter()
        .find(|need| need.purpose == Purpose::Data)
}

/// Gives the data group another layout.
pub fn set_layout(role: &Role, node: &mut NodeFile, layout: Layout) {
    if let Some(mut need) = data_need(role, node) {
        need.layout = Some(layout);
        set_need(node, need);
    }
}

/// What carries a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Carrier {
    /// Nothing: the network is left out.
    Nothing,
    /// One port, by MAC address.
    Port(String),
    /// Two ports, one of them waiting (active-backup).
    Bond(String, String),
}

/// Puts a network on a port or a pair of ports. Ports are named by their permanent MAC address.
pub fn set_carrier(node: &mut NodeFile, network: &str, carrier: &Carrier) {
    let position = node.networks.iter().position(|other| other.name == network);
    let mut entry = match position {
        Some(index) => node.networks.remove(index),
        None => Network {
            name: network.to_owned(),
            dhcp: true,
            ..Network::default()
        },
    };
    (entry.mac, entry.on) = (None, None);
    drop_unused(node);
    match carrier {
        Carrier::Nothing => return,
        Carrier::Port(mac) => {
            let shared = node
                .networks
                .iter()
                .any(|other| other.mac.as_deref() == Some(mac));
            if shared || entry.vlan.is_some() || node.ports.iter().any(|port| is(port, mac)) {
                share(node, mac);
                entry.on = Some(name_port(node, mac));
            } else {
                entry.mac = Some(mac.clone());
            }
        }
        Carrier::Bond(first, second) => {
            let ports: Vec<String> = [first, second]
                .map(|mac| {
                    share(node, mac);
                    name_port(node, mac)
                })
                .into();
            let known = node.bonds.iter().find(|bond| bond.ports == ports);
            let name = match known.map(|bond| bond.name.clone()) {
                Some(name) => name,
                None => {
                    let name = short(&format!("bond-{network}"));
                    node.bonds.push(Bond {
                        name: name.clone(),
                        ports,
                        mode: BondMode::ActiveBackup,
                        lacp_rate: None,
                        hash: None,
                        min_links: None,
                    });
                    name
                }
            };
            entry.on = Some(name);
        }
    }
    let index = position
        .unwrap_or(node.networks.len())
        .min(node.networks.len());
    node.networks.insert(index, entry);
}

/// A network that has the port for itself by `mac` must name it, once somebody else uses it too.
fn share(node: &mut NodeFile, mac: &str) {
    let alone = node
        .networks
        .iter()
        .position(|network| network.mac.as_deref() == Some(mac));
    if let Some(index) = alone {
        let name = name_port(node, mac);
        node.networks[index].mac = None;
        node.networks[index].on = Some(name);
    }
}

fn is(port: &PhysicalPort, mac: &str) -> bool {
    port.mac
        .as_deref()
        .is_some_and(|other| other.eq_ignore_ascii_case(mac))
}

fn name_port(node: &mut NodeFile, mac: &str) -> String {
    if let Some(port) = node.ports.iter().find(|port| is(port, mac)) {
        return port.name.clone();
    }
    let name = (0..)
        .map(|number| format!("port{number}"))
        .find(|name| node.ports.iter().all(|port| port.name != *name))
        .unwrap_or_default();
    node.ports.push(PhysicalPort {
        name: name.clone(),
        mac: Some(mac.to_owned()),
        ..PhysicalPort::default()
    });
    name
}

/// An interface's name has at most 15 characters (`IFNAMSIZ` of if.h).
fn short(name: &str) -> String {
    name.chars().take(15).collect()
}

/// Bonds and ports that carry nothing any more.
fn drop_unused(node: &mut NodeFile) {
    let used = |name: &str, networks: &[Network]| {
        networks
            .iter()
            .any(|network| network.on.as_deref() == Some(name))
    };
    let networks = node.networks.clone();
    node.bonds.retain(|bond| used(&bond.name, &networks));
    let bonds = node.bonds.clone();
    node.ports.retain(|port| {
        used(&port.name, &networks) || bonds.iter().any(|bond| bond.ports.contains(&port.name))
    });
}

/// The VLAN of a network; a tagged network needs a named port under it.
pub fn set_vlan(node: &mut NodeFile, network: &str, vlan: Option<u16>) {
    let Some(index) = node.networks.iter().position(|other| other.name == network) else {
        return;
    };
    if vlan.is_some()
        && let Some(mac) = node.networks[index].mac.take()
    {
        let name = name_port(node, &mac);
        node.networks[index].on = Some(name);
    }
    node.networks[index].vlan = vlan;
}

/// The ports of the machine that carry a network, in order.
#[must_use]
pub fn ports_of<'a>(node: &NodeFile, network: &Network, inventory: &'a Inventory) -> Vec<&'a Nic> {
    let by_mac = |mac: &str| {
        inventory.nics.iter().find(|nic| {
            nic.mac
                .as_deref()
                .is_some_and(|other| other.eq_ignore_ascii_case(mac))
        })
    };
    if let Some(mac) = &network.mac {
        return by_mac(mac).into_iter().collect();
    }
    node.legs(network)
        .into_iter()
        .filter_map(|port| match (&port.mac, &port.path) {
            (Some(mac), _) => by_mac(mac),
            (None, Some(path)) => inventory.nics.iter().find(|nic| {
                nic.address.as_ref() == Some(path)
                    && port.dev_port.is_none_or(|number| number == nic.dev_port)
            }),
            (None, None) => None,
        })
        .collect()
}
