//! systemd-networkd: one link and one network file per network of the node file.

use crate::{NodeFile, node::Network};

use super::RenderedFile;

/// Links, networks and name resolution.
pub(super) fn files(node: Option<&NodeFile>) -> Vec<RenderedFile> {
    let mut files = interfaces(node);
    // The real servers, not resolved's stub: port 53 of the control server belongs to dnsmasq.
    files.push(RenderedFile::link(
        "/etc/resolv.conf",
        "/run/systemd/resolve/resolv.conf",
    ));
    files
}

/// Without networks in the node file (or without a node file): ask a DHCP server on every Ethernet port, so that the
/// installer can fetch its node file and a person can reach the machine.
fn interfaces(node: Option<&NodeFile>) -> Vec<RenderedFile> {
    let Some(node) = node.filter(|node| !node.networks.is_empty()) else {
        return vec![RenderedFile::text(
            "/etc/systemd/network/90-any.network",
            format!(
                "[Match]\nType=ether\nKind=!*\n\n[Link]\nRequiredForOnline=no\n\n[Network]\nDHCP=yes\n{DHCP}"
            ),
        )];
    };
    let mut files = Vec::new();
    for network in &node.networks {
        let name = &network.name;
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
            format!("{matches}\n{}", settings(network, node)),
        ));
    }
    files
}

/// A hostname from a DHCP server must not replace the node's, and the MAC address identifies the client: a lease then
/// survives a reinstall, and a reservation by MAC works.
const DHCP: &str = "\n[DHCPv4]\nUseHostname=no\nClientIdentifier=mac\n";

fn settings(network: &Network, node: &NodeFile) -> String {
    let mut text = String::from("[Link]\nRequiredForOnline=no\n");
    if let Some(mtu) = network.mtu {
        text.push_str(&format!("MTUBytes={mtu}\n"));
    }
    // The switch then names the port it sees; `networkctl lldp` shows the switch.
    text.push_str("\n[Network]\nLLDP=yes\nEmitLLDP=yes\n");
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
    if network.dhcp {
        text.push_str(DHCP);
    }
    text
}
