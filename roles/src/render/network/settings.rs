//! The part of a `.network` file after its match: what an interface carries.

use crate::{NodeFile, node::Network};

/// A hostname from a DHCP server must not replace the node's, and the MAC address identifies the client: a lease then
/// survives a reinstall, and a reservation by MAC works.
pub(super) const DHCP: &str = "\n[DHCPv4]\nUseHostname=no\nClientIdentifier=mac\n";

/// One interface.
pub(super) struct Own<'a> {
    pub(super) node: &'a NodeFile,
    /// The network whose addresses it has; absent: it only carries others.
    pub(super) network: Option<&'a Network>,
    /// Bytes.
    pub(super) mtu: Option<u32>,
    /// A port with a cable: LLDP is spoken here and nowhere else (IEEE 802.1AB works below bonds and VLANs).
    pub(super) physical: bool,
    /// The bond it is a leg of.
    pub(super) bond: Option<&'a str>,
    /// The leg that works first.
    pub(super) preferred: bool,
    /// Interfaces of the VLANs on it.
    pub(super) vlans: Vec<String>,
}

impl<'a> Own<'a> {
    pub(super) fn new(node: &'a NodeFile) -> Self {
        Self {
            node,
            network: None,
            mtu: None,
            physical: false,
            bond: None,
            preferred: false,
            vlans: Vec::new(),
        }
    }
}

pub(super) fn text(own: &Own<'_>) -> String {
    // Nothing waits for a network: a machine with all its cables out comes up and says so.
    let mut text = String::from("[Link]\nRequiredForOnline=no\n");
    if let Some(mtu) = own.mtu {
        text.push_str(&format!("MTUBytes={mtu}\n"));
    }
    text.push_str("\n[Network]\n");
    if own.physical {
        // The switch then names the port it sees; `networkctl lldp` shows the switch.
        text.push_str("LLDP=yes\nEmitLLDP=yes\n");
    } else {
        text.push_str("LLDP=no\nEmitLLDP=no\n");
    }
    if let Some(bond) = own.bond {
        text.push_str(&format!("Bond={bond}\n"));
        if own.preferred {
            text.push_str("PrimarySlave=yes\n");
        }
    }
    match own.network {
        Some(network) => addresses(network, own.node, &mut text),
        None => {
            text.push_str("DHCP=no\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n");
            // Bonds and VLANs above it are made whether a cable is in or not.
            text.push_str("ConfigureWithoutCarrier=yes\n");
        }
    }
    for vlan in &own.vlans {
        text.push_str(&format!("VLAN={vlan}\n"));
    }
    for route in own.network.iter().flat_map(|network| &network.routes) {
        text.push_str(&format!(
            "\n[Route]\nDestination={}\nGateway={}\n",
            route.to, route.via
        ));
    }
    if own.network.is_some_and(|network| network.dhcp) {
        text.push_str(DHCP);
    }
    text
}

fn addresses(network: &Network, node: &NodeFile, text: &mut String) {
    if network.dhcp {
        text.push_str("DHCP=yes\n");
    } else {
        // A service may bind to its address before the cable is in.
        text.push_str("DHCP=no\nIPv6AcceptRA=no\nConfigureWithoutCarrier=yes\n");
    }
    for address in &network.addresses {
        text.push_str(&format!("Address={address}\n"));
    }
    if let Some(gateway) = &network.gateway {
        text.push_str(&format!("Gateway={gateway}\n"));
    }
    for server in &node.dns {
        text.push_str(&format!("DNS={server}\n"));
    }
    if let Some(domain) = &node.domain {
        text.push_str(&format!("Domains={domain}\n"));
    }
}
