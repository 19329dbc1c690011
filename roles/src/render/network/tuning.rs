//! Rings, interrupts, flow control and the lossless class of RDMA: data of the role, applied to the ports that carry the
//! network they are written for.

use crate::{node::Network, role::LinkSettings, wiring::PhysicalPort};

use super::{RenderedFile, Wiring};

/// Link settings for the networks this port carries. Where several networks of one port differ, the role's order decides:
/// what stands first is what the role needs most.
fn of_port(wiring: &Wiring<'_>, port: &PhysicalPort) -> LinkSettings {
    let device = wiring
        .node
        .bond_of(&port.name)
        .map_or(port.name.as_str(), |bond| bond.name.as_str());
    let carried: Vec<&str> = wiring
        .node
        .networks_on(device)
        .map(|network| network.name.as_str())
        .collect();
    let mut settings = LinkSettings::default();
    for need in &wiring.folder.role.networks {
        if let Some(link) = need
            .link
            .as_ref()
            .filter(|_| carried.contains(&need.name.as_str()))
        {
            settings.fill(link);
        }
    }
    settings
}

/// Lines of the `[Link]` section.
pub(super) fn lines(wiring: &Wiring<'_>, port: &PhysicalPort) -> String {
    let settings = of_port(wiring, port);
    let mut text = String::new();
    let mut line = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            text.push_str(&format!("{key}={value}\n"));
        }
    };
    let yes = |flag: bool| if flag { "yes" } else { "no" }.to_owned();
    line("RxBufferSize", settings.receive_ring.map(|n| n.to_string()));
    line(
        "TxBufferSize",
        settings.transmit_ring.map(|n| n.to_string()),
    );
    line(
        "UseAdaptiveRxCoalesce",
        settings.adaptive_interrupts.map(yes),
    );
    line(
        "RxCoalesceSec",
        settings.receive_wait.map(|wait| format!("{wait}us")),
    );
    line(
        "TxCoalesceSec",
        settings.transmit_wait.map(|wait| format!("{wait}us")),
    );
    // Pause frames stop everything on the wire, priority flow control one class: a port does one of them (IEEE 802.1Qbb
    // clause 36.1.1).
    let flow = if wiring.rdma && settings.lossless_priority.is_some() {
        Some(false)
    } else {
        settings.flow_control
    };
    line("RxFlowControl", flow.map(yes));
    line("TxFlowControl", flow.map(yes));
    text
}

/// IEEE 802.1p priority of a network whose frames must not be lost; only where RDMA was asked for.
pub(super) fn priority(wiring: &Wiring<'_>, network: &Network) -> Option<u8> {
    if !wiring.rdma {
        return None;
    }
    let needs = &wiring.folder.role.networks;
    needs
        .iter()
        .find(|need| need.name == network.name)
        .and_then(|need| need.link.as_ref()?.lossless_priority)
}

/// Parameters of the driver, for what systemd.link(5) has no word for: priority flow control of ConnectX-3 is a bit mask of
/// priorities (`modinfo mlx4_en`: `pfctx`, `pfcrx`).
pub(super) fn modules(wiring: &Wiring<'_>) -> Option<RenderedFile> {
    let mask = wiring
        .node
        .networks
        .iter()
        .filter_map(|network| priority(wiring, network))
        .fold(0_u8, |mask, priority| mask | (1 << (priority & 7)));
    (mask != 0).then(|| {
        RenderedFile::text(
            "/etc/modprobe.d/rackwright-network.conf",
            format!("options mlx4_en pfctx={mask:#04x} pfcrx={mask:#04x}\n"),
        )
    })
}
