//! systemd-networkd: names, bonds, VLANs and addresses, from the node file. Pure text; the manual pages are systemd.link(5),
//! systemd.netdev(5) and systemd.network(5) of version 257.

mod device;
mod settings;
mod tuning;

use std::collections::BTreeMap;

use crate::{NodeFile, RoleFolder, RoleSet, node::Network};

use super::{BootFacts, BootMode, RenderedFile};

/// What the files are made from.
pub(super) struct Wiring<'a> {
    /// The node file.
    node: &'a NodeFile,
    /// What the role says of links.
    folder: &'a RoleFolder,
    /// Permanent MAC addresses that the install recorded, by name of the port.
    recorded: &'a BTreeMap<String, String>,
    /// `settings.rdma`: NFS over RDMA was asked for.
    rdma: bool,
}

/// Links, networks and name resolution.
pub(super) fn files(
    roles: &RoleSet,
    folder: &RoleFolder,
    node: Option<&NodeFile>,
    facts: &BootFacts,
) -> Vec<RenderedFile> {
    let wiring = node.map(|node| Wiring {
        node,
        folder,
        recorded: &facts.ports,
        rdma: is_set("rdma", roles, folder, node),
    });
    let mut files = interfaces(wiring.as_ref(), facts.mode);
    // The real servers, not resolved's stub: port 53 of the control server belongs to dnsmasq.
    files.push(RenderedFile::link(
        "/etc/resolv.conf",
        "/run/systemd/resolve/resolv.conf",
    ));
    files
}

/// A truth value of the settings: the node file's, else the role's, else the common one.
fn is_set(key: &str, roles: &RoleSet, folder: &RoleFolder, node: &NodeFile) -> bool {
    [
        &node.settings,
        &folder.role.settings,
        &roles.common.settings,
    ]
    .iter()
    .find_map(|settings| settings.get(key)?.as_bool())
    .unwrap_or(false)
}

fn interfaces(wiring: Option<&Wiring<'_>>, mode: BootMode) -> Vec<RenderedFile> {
    let Some(wiring) =
        wiring.filter(|wiring| !wiring.node.networks.is_empty() || !wiring.node.ports.is_empty())
    else {
        return vec![any_port()];
    };
    let node = wiring.node;
    let mut files: Vec<RenderedFile> = node
        .networks
        .iter()
        .filter(|network| network.on.is_none())
        .flat_map(|network| alone(network, node))
        .collect();
    files.extend(device::ports(wiring));
    files.extend(device::bonds(wiring));
    files.extend(device::vlans(wiring));
    files.extend(tuning::modules(wiring));
    // Before the install has looked at the machine, a port that is asked for by driver or speed alone has no name yet.
    let nameless = node
        .ports
        .iter()
        .any(|port| wiring.condition(port).is_none());
    if nameless && mode != BootMode::Run || node.networks.is_empty() {
        files.push(any_port());
    }
    files
}

/// Without networks in the node file (or without a node file): ask a DHCP server on every Ethernet port, so that the
/// installer can fetch its node file and a person can reach the machine.
fn any_port() -> RenderedFile {
    RenderedFile::text(
        "/etc/systemd/network/90-any.network",
        format!(
            "[Match]\nType=ether\nKind=!*\n\n[Link]\nRequiredForOnline=no\n\n[Network]\nDHCP=yes\n{}",
            settings::DHCP
        ),
    )
}

/// A network that has its port to itself and says so by a MAC address, or that is the machine's only one.
fn alone(network: &Network, node: &NodeFile) -> Vec<RenderedFile> {
    let name = &network.name;
    let mut files = Vec::new();
    // PermanentMACAddress, not MACAddress: members of a bond carry the bond's address (systemd.link(5)).
    let matches = match &network.mac {
        Some(mac) => format!(
            "[Match]\nPermanentMACAddress={}\n",
            mac.to_ascii_lowercase()
        ),
        None => "[Match]\nType=ether\nKind=!*\n".to_owned(),
    };
    if network.mac.is_some() {
        // The kernel's names depend on the BIOS version of the reference boards; the MAC address does not.
        files.push(RenderedFile::text(
            format!("/etc/systemd/network/10-{name}.link"),
            format!("{matches}\n[Link]\nName={name}0\n"),
        ));
    }
    files.push(RenderedFile::text(
        format!("/etc/systemd/network/20-{name}.network"),
        format!(
            "{matches}\n{}",
            settings::text(&settings::Own {
                network: Some(network),
                mtu: network.mtu,
                physical: true,
                ..settings::Own::new(node)
            })
        ),
    ));
    files
}
