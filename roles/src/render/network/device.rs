//! Ports, bonds and VLANs as files: one `.link` and one `.network` for each port, a `.netdev` and a `.network` for everything
//! that is made.

use crate::{
    node::{Bond, BondMode, Network},
    wiring::PhysicalPort,
};

use super::{RenderedFile, Wiring, settings, settings::Own, tuning};

const FOLDER: &str = "/etc/systemd/network";

/// udev property by which a port is known that has no MAC address in the node file.
const PROPERTY: &str = "RACKWRIGHT_PORT";

/// How often a bond looks at its legs, in milliseconds: 100 is what the kernel's document advises
/// (Documentation/networking/bonding.rst, `miimon`); LACP itself notices a dead partner after 3 s at best.
const LOOK: u32 = 100;

/// Milliseconds a leg must have its link before it is used, a multiple of [`LOOK`]: a switch port is up long before it
/// forwards after a restart.
const UP_DELAY: u32 = 400;

impl Wiring<'_> {
    /// The line of a `[Match]` section that means this port and no other; `None` before the install has chosen it.
    pub(super) fn condition(&self, port: &PhysicalPort) -> Option<String> {
        let mac = port.mac.as_ref().or_else(|| self.recorded.get(&port.name));
        match (mac, &port.path) {
            // PermanentMACAddress, not MACAddress: legs of a bond carry the bond's address (systemd.link(5)).
            (Some(mac), _) => Some(format!("PermanentMACAddress={}", mac.to_ascii_lowercase())),
            // `Path=` cannot tell the two ports of one PCI function apart, so a rule of udev marks the port.
            (None, Some(_)) => Some(format!("Property={PROPERTY}={}", port.name)),
            (None, None) => None,
        }
    }

    fn vlans_on(&self, device: &str) -> Vec<String> {
        self.node
            .networks_on(device)
            .filter(|network| network.vlan.is_some())
            .filter_map(Network::interface)
            .collect()
    }

    fn untagged(&self, device: &str) -> Option<&Network> {
        self.node
            .networks
            .iter()
            .find(|network| network.on.as_deref() == Some(device) && network.vlan.is_none())
    }
}

/// Names, link settings and contents of the physical ports, and the rules of udev they need.
pub(super) fn ports(wiring: &Wiring<'_>) -> Vec<RenderedFile> {
    let mut files = Vec::new();
    let mut rules = String::new();
    for port in &wiring.node.ports {
        rules.push_str(&rule(wiring, port));
        let Some(condition) = wiring.condition(port) else {
            continue;
        };
        let name = &port.name;
        files.push(RenderedFile::text(
            format!("{FOLDER}/10-{name}.link"),
            format!(
                "[Match]\n{condition}\n\n[Link]\nName={name}\nWakeOnLan=off\n{}",
                tuning::lines(wiring, port)
            ),
        ));
        let bond = wiring.node.bond_of(name);
        let network = wiring.untagged(name);
        let own = Own {
            network,
            mtu: Some(wiring.node.device_mtu(name)),
            physical: true,
            bond: bond.map(|bond| bond.name.as_str()),
            preferred: bond.is_some_and(|bond| {
                bond.mode == BondMode::ActiveBackup && bond.ports.first() == Some(name)
            }),
            vlans: wiring.vlans_on(name),
            ..Own::new(wiring.node)
        };
        files.push(RenderedFile::text(
            format!("{FOLDER}/21-{name}.network"),
            format!("[Match]\n{condition}\n\n{}", settings::text(&own)),
        ));
    }
    if !rules.is_empty() {
        // Before 80-net-setup-link.rules, which reads the property.
        files.push(RenderedFile::text(
            "/etc/udev/rules.d/70-rackwright-ports.rules",
            rules,
        ));
    }
    files
}

/// Sets a VPI port to Ethernet, and marks a port that is known by its place only.
fn rule(wiring: &Wiring<'_>, port: &PhysicalPort) -> String {
    let mut rules = String::new();
    let place = |key: &str| {
        port.path
            .as_ref()
            .map(|path| format!(", {key}==\"{path}\""))
            .unwrap_or_default()
    };
    if port.kind.as_deref() == Some("ethernet") {
        // Without dev_port both ports of the card: a dual card with one leg of each kind is nothing anyone wants.
        let numbers = match port.dev_port {
            Some(dev_port) => vec![dev_port + 1],
            None => vec![1, 2],
        };
        for number in numbers {
            // Written only where it is something else: all interfaces of the card go away for a moment
            // (drivers/net/ethernet/mellanox/mlx4/main.c, `mlx4_change_port_types`).
            rules.push_str(&format!(
                "ACTION!=\"remove\", SUBSYSTEM==\"pci\", DRIVER==\"mlx4_core\"{}, \
                 ATTR{{mlx4_port{number}}}==\"ib|auto (ib)\", ATTR{{mlx4_port{number}}}=\"eth\"\n",
                place("KERNEL")
            ));
        }
    }
    let marked = wiring
        .condition(port)
        .is_some_and(|condition| condition.starts_with("Property="));
    if marked {
        let number = port
            .dev_port
            .map(|number| format!(", ATTR{{dev_port}}==\"{number}\""))
            .unwrap_or_default();
        rules.push_str(&format!(
            "ACTION!=\"remove\", SUBSYSTEM==\"net\"{}{number}, ENV{{{PROPERTY}}}=\"{}\"\n",
            place("KERNELS"),
            port.name
        ));
    }
    rules
}

/// Bonds as devices, and what lies on them.
pub(super) fn bonds(wiring: &Wiring<'_>) -> Vec<RenderedFile> {
    let mut files = Vec::new();
    for bond in &wiring.node.bonds {
        let name = &bond.name;
        let mtu = wiring.node.device_mtu(name);
        files.push(RenderedFile::text(
            format!("{FOLDER}/12-{name}.netdev"),
            bond_device(wiring, bond, mtu),
        ));
        let own = Own {
            network: wiring.untagged(name),
            mtu: Some(mtu),
            vlans: wiring.vlans_on(name),
            ..Own::new(wiring.node)
        };
        files.push(RenderedFile::text(
            format!("{FOLDER}/22-{name}.network"),
            format!(
                "[Match]\nName={name}\nKind=bond\n\n{}",
                settings::text(&own)
            ),
        ));
    }
    files
}

fn bond_device(wiring: &Wiring<'_>, bond: &Bond, mtu: u32) -> String {
    let mut text = format!("[NetDev]\nName={}\nKind=bond\nMTUBytes={mtu}\n", bond.name);
    // The address of the first leg: a reservation in a DHCP server and the switch's table then know the machine by an
    // address that is printed on it, not by one made from the machine-id.
    let first = bond.ports.first().and_then(|leg| {
        let port = wiring.node.port(leg)?;
        port.mac.as_ref().or_else(|| wiring.recorded.get(leg))
    });
    if let Some(mac) = first {
        text.push_str(&format!("MACAddress={}\n", mac.to_ascii_lowercase()));
    }
    text.push_str(&format!(
        "\n[Bond]\nMode={}\nMIIMonitorSec={LOOK}ms\nUpDelaySec={UP_DELAY}ms\n",
        bond.mode.word()
    ));
    match bond.mode {
        BondMode::Aggregation => text.push_str(&format!(
            "LACPTransmitRate={}\nTransmitHashPolicy={}\nMinLinks={}\n",
            bond.lacp_rate.as_deref().unwrap_or("fast"),
            bond.hash.as_deref().unwrap_or("layer3+4"),
            bond.min_links.unwrap_or(1)
        )),
        // The neighbours hear of the other leg at once. The leg that came back is not taken again by itself while the
        // working one is as good: a switch that restarts twice would cut connections four times.
        BondMode::ActiveBackup => {
            text.push_str("PrimaryReselectPolicy=failure\nGratuitousARP=3\n");
        }
    }
    text
}

/// VLANs as devices, and the networks on them.
pub(super) fn vlans(wiring: &Wiring<'_>) -> Vec<RenderedFile> {
    let mut files = Vec::new();
    for network in &wiring.node.networks {
        let (Some(vlan), Some(_), Some(name)) = (network.vlan, &network.on, network.interface())
        else {
            continue;
        };
        let mtu = network.mtu_bytes();
        let mut device =
            format!("[NetDev]\nName={name}\nKind=vlan\nMTUBytes={mtu}\n\n[VLAN]\nId={vlan}\n");
        if let Some(priority) = tuning::priority(wiring, network) {
            // Linux marks packets that nobody classified with 0; on the wire the lossless class has another number.
            device.push_str(&format!("EgressQOSMaps=0-{priority}\n"));
        }
        files.push(RenderedFile::text(
            format!("{FOLDER}/13-{name}.netdev"),
            device,
        ));
        let own = Own {
            network: Some(network),
            mtu: Some(mtu),
            ..Own::new(wiring.node)
        };
        files.push(RenderedFile::text(
            format!("{FOLDER}/23-{name}.network"),
            format!(
                "[Match]\nName={name}\nKind=vlan\n\n{}",
                settings::text(&own)
            ),
        ));
    }
    files
}
