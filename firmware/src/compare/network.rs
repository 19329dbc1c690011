//! Network ports.

use super::{Case, Finding, Weight};
use crate::inventory::Nic;
use crate::reference::{PartReference, is_older};

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    let wanted = &case.role.network;
    let nics = &case.inventory.nics;
    let mut findings = vec![count(case)];
    if wanted.reference_speed > 1000 {
        let fast: Vec<&Nic> = nics
            .iter()
            .filter(|nic| speed(case, nic) >= wanted.reference_speed)
            .collect();
        let gigabits = wanted.reference_speed / 1000;
        let enough = fast.len() >= wanted.ports as usize;
        let weight = match (fast.is_empty(), enough) {
            (true, _) => wanted.slow,
            (false, false) => Weight::Warn.min(wanted.slow),
            (false, true) => Weight::Pass,
        };
        findings.push(
            Finding::new("nic.speed", "fast network ports", weight)
                .expected(format!("{} ports of {gigabits} Gbit/s or more", wanted.ports))
                .found(fast.len().to_string())
                .advice("mail waits for its storage: check that the adapter is seen, that its ports are Ethernet, and that mlx4_en is loaded for a ConnectX-3"),
        );
        if wanted.separate {
            findings.push(separate(&fast));
        }
    }
    let mut seen: Vec<&str> = Vec::new();
    for nic in nics {
        findings.extend(port_type(nic));
        let address = nic.address.as_deref().unwrap_or_default();
        if let Some(part) = known(case, nic).filter(|_| !seen.contains(&address)) {
            seen.push(address);
            findings.extend(firmware(nic, part));
            findings.extend(lanes(nic, part));
        }
    }
    findings
}

fn known<'a>(case: &Case<'a>, nic: &Nic) -> Option<&'a PartReference> {
    let id = nic.id.as_deref()?;
    case.reference.adapters.iter().find(|part| part.id == id)
}

/// What the port can do: by its adapter, else by the link it has now. X540 ports may train at 1 Gbit/s at first.
fn speed(case: &Case<'_>, nic: &Nic) -> u32 {
    case.reference.port_speed(nic).unwrap_or(0)
}

fn count(case: &Case<'_>) -> Finding {
    let wanted = case.role.network.ports as usize;
    let found = case.inventory.nics.len();
    let weight = match found {
        0 => Weight::Fail,
        found if found < wanted => case.role.network.few,
        _ => Weight::Pass,
    };
    let finding = Finding::new("nic.ports", "network ports", weight)
        .expected(wanted.to_string())
        .found(found.to_string())
        .advice("no bond and no separate networks with fewer ports");
    if found == 0 {
        finding
            .law()
            .advice("no network port is seen: the machine cannot join a cluster")
    } else {
        finding
    }
}

/// Storage traffic wants an adapter of its own, not only a port.
fn separate(fast: &[&Nic]) -> Finding {
    // `0000:03:00.1` and `0000:03:00.0` are one adapter.
    let mut adapters: Vec<&str> = fast
        .iter()
        .filter_map(|nic| nic.address.as_deref())
        .map(|address| address.split('.').next().unwrap_or(address))
        .collect();
    adapters.sort_unstable();
    adapters.dedup();
    Finding::new(
        "nic.separate",
        "storage network",
        if adapters.len() > 1 {
            Weight::Pass
        } else {
            Weight::Warn
        },
    )
    .expected("a second fast adapter, for NFS only")
    .found(format!(
        "{} fast adapter{}",
        adapters.len(),
        if adapters.len() == 1 { "" } else { "s" }
    ))
    .advice("NFS shares its link with everything else")
}

fn port_type(nic: &Nic) -> Option<Finding> {
    let kind = nic.port_type.as_deref()?;
    let address = nic.address.as_deref().unwrap_or("unknown");
    let ethernet = kind == "eth" || kind == "auto (eth)";
    Some(
        Finding::new(format!("nic.port-type:{address}:{}", nic.dev_port), "ConnectX-3 port type", if ethernet { Weight::Pass } else { Weight::Warn })
            .expected("eth")
            .found(kind)
            .advice(format!("write `eth` to /sys/bus/pci/devices/{address}/mlx4_port{}; all ports of the card go away for a moment", nic.dev_port + 1)),
    )
}

fn firmware(nic: &Nic, part: &PartReference) -> Option<Finding> {
    let floor = part.firmware_floor.as_deref()?;
    let found = nic.firmware.as_deref();
    let weight = match found {
        None => Weight::Info,
        Some(found) if is_older(found, floor) => Weight::Warn,
        Some(_) => Weight::Pass,
    };
    Some(
        Finding::new(format!("nic.firmware:{}", nic.address.as_deref().unwrap_or("unknown")), format!("firmware of {}", part.name), weight)
            .expected(format!("{floor} or later"))
            .found(found.unwrap_or("not readable"))
            .advice("the last release; update it with mstflint in a maintenance window, with Secure Boot off; never done from here"),
    )
}

fn lanes(nic: &Nic, part: &PartReference) -> Option<Finding> {
    let (wanted, width) = (part.lanes?, nic.link.as_ref()?.width?);
    Some(
        Finding::new(
            format!("nic.link:{}", nic.address.as_deref().unwrap_or("unknown")),
            format!("PCI Express link of {}", part.name),
            if width >= wanted {
                Weight::Pass
            } else {
                Weight::Warn
            },
        )
        .expected(format!("x{wanted}"))
        .found(format!("x{width}"))
        .advice("the card sits in a narrow slot or not quite in it"),
    )
}
