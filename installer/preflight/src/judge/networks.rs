//! Networks: duplicate addresses, gateways, peers, and packets of full size.

use firmware::{Finding, Weight};
use roles::{NodeFile, node::Network};

use crate::measured::{AddressProbe, Measured, NetworkState, Path};

use super::{finding, names};

/// Name of a gateway among the peers.
pub(crate) const GATEWAY: &str = "gateway";

pub(super) fn findings(node: &NodeFile, measured: &Measured) -> Vec<Finding> {
    let mut findings = Vec::new();
    for network in &node.networks {
        let state = measured
            .networks
            .iter()
            .find(|state| state.name == network.name);
        if let Some(state) = state {
            findings.extend(interface(network, state));
        }
        let paths: Vec<&Path> = measured
            .paths
            .iter()
            .filter(|path| path.network == network.name)
            .collect();
        findings.extend(gateways(network, &paths));
        findings.extend(reach(network, &paths));
        findings.extend(size(network, &paths));
    }
    findings.extend(measured.addresses.iter().map(address));
    if measured.not_asked > 0 {
        findings.push(
            finding("peers", "peers", Weight::Info)
                .expected("all asked")
                .found(format!("{} left out", measured.not_asked))
                .advice("the first of each network were asked; the rest would take too long"),
        );
    }
    findings
}

fn interface(network: &Network, state: &NetworkState) -> Option<Finding> {
    let name = &network.name;
    if !state.present {
        return Some(
            finding(
                format!("network:{name}"),
                format!("network {name}"),
                Weight::Info,
            )
            .expected("set up in this boot")
            .found("its interface is not there, so nothing on it was checked")
            .advice("the node file came after the boot, or the port was not found; on a stick or in the image the file is there before"),
        );
    }
    let (wanted, found) = (network.mtu_bytes(), state.mtu?);
    (found < wanted).then(|| {
        finding(
            format!("mtu-here:{name}"),
            format!("MTU of network {name} on this machine"),
            Weight::Fail,
        )
        .expected(format!("{wanted} bytes"))
        .found(format!("{found} bytes"))
        .advice("the adapter or its driver does not take packets of this size; lower `mtu` everywhere or change the adapter")
    })
}

fn gateways(network: &Network, paths: &[&Path]) -> Option<Finding> {
    let path = paths.iter().find(|path| path.peer.name == GATEWAY)?;
    Some(
        finding(
            format!("gateway:{}", network.name),
            format!("gateway of network {}", network.name),
            if path.answers {
                Weight::Pass
            } else {
                Weight::Warn
            },
        )
        .expected(format!("{} answers", path.peer.address))
        .found(if path.answers { "it does" } else { "no answer" })
        .advice("is the router on, and is the VLAN on its port? some routers do not answer a ping"),
    )
}

fn reach(network: &Network, paths: &[&Path]) -> Option<Finding> {
    let peers: Vec<&&Path> = paths
        .iter()
        .filter(|path| path.peer.name != GATEWAY)
        .collect();
    if peers.is_empty() {
        return None;
    }
    let answered = peers.iter().filter(|path| path.answers).count();
    Some(
        finding(
            format!("peers:{}", network.name),
            format!("peers in network {}", network.name),
            // They may be off: in which order machines are switched on does not matter.
            if answered == 0 {
                Weight::Info
            } else {
                Weight::Pass
            },
        )
        .expected("those that are on answer")
        .found(format!("{answered} of {} answer", peers.len()))
        .advice("fine if all others are off; if not, the VLAN does not reach them: look at the switch ports"),
    )
}

/// A packet of full size, not to be fragmented (field lesson: found in production otherwise).
fn size(network: &Network, paths: &[&Path]) -> Option<Finding> {
    let wanted = network.mtu_bytes();
    let answering: Vec<&&Path> = paths.iter().filter(|path| path.answers).collect();
    if answering.is_empty() {
        return None;
    }
    let small: Vec<&str> = answering
        .iter()
        .filter(|path| !path.full)
        .map(|path| path.peer.name.as_str())
        .collect();
    let said = answering.iter().filter_map(|path| path.said).min();
    let found = if small.is_empty() {
        format!("answered by all {}", answering.len())
    } else {
        let said = said.map_or(String::new(), |said| {
            format!(", the way takes {said} bytes")
        });
        format!("only small packets are answered by {}{said}", names(&small))
    };
    Some(
        finding(
            format!("mtu:{}", network.name),
            format!("packets of full size in network {}", network.name),
            match small[..] {
                [] => Weight::Pass,
                // Routers may have their reasons, and carry nothing of the cluster's own.
                [GATEWAY] => Weight::Warn,
                _ => Weight::Fail,
            },
        )
        .expected(format!("{wanted} bytes without fragments"))
        .found(found)
        .advice(format!(
            "set the MTU of the switch ports and aggregated interfaces to 9216, and that of the peers' network to {wanted}"
        )),
    )
}

fn address(probe: &AddressProbe) -> Finding {
    let twin = "find the machine by its MAC address in the switch's table; two machines of one address take each other's connections";
    let (weight, found) = if !probe.owners.is_empty() {
        let owners: Vec<&str> = probe.owners.iter().map(String::as_str).collect();
        (Weight::Fail, format!("in use by {}", names(&owners)))
    } else if probe.refused {
        (
            Weight::Fail,
            "in use: the kernel's duplicate address detection failed".to_owned(),
        )
    } else if let Some(error) = &probe.error {
        (Weight::Info, format!("could not be asked for: {error}"))
    } else {
        (Weight::Pass, "free".to_owned())
    };
    finding(
        format!("address:{}", probe.address),
        format!("address {} in network {}", probe.address, probe.network),
        weight,
    )
    .expected("no other machine has it")
    .found(found)
    .advice(if weight == Weight::Fail {
        twin
    } else {
        "look at the interface; the address was not checked"
    })
}
