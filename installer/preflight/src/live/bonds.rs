//! Bonds as the kernel shows them, and each leg taken away and given back.

use std::net::IpAddr;
use std::time::Duration;

use crate::Port;
use crate::measured::{BondState, LegState, Path, Pull};

use super::paths::{SETTLE, answers};
use super::{Asking, PATIENCE};

/// Peers that are asked while a leg is away: enough to notice, few enough to be quick.
const WITNESSES: usize = 3;

/// How long a leg may take to come back: link training, the bond's delay, LACP.
const RETURN: Duration = Duration::from_secs(20);

pub(super) fn ask(asking: &Asking<'_>, paths: &[Path]) -> Vec<BondState> {
    asking
        .node
        .bonds
        .iter()
        .map(|bond| {
            let name = &bond.name;
            let present = asking.attribute(name, "bonding/mode").is_some();
            let legs: Vec<&Port> = bond
                .ports
                .iter()
                .filter_map(|leg| asking.ports.iter().find(|port| port.chosen.name == *leg))
                .collect();
            let mut state = BondState {
                name: name.clone(),
                present,
                partner: asking
                    .attribute(name, "bonding/ad_partner_mac")
                    .filter(|text| !text.is_empty()),
                legs: legs.iter().map(|leg| of_leg(asking, leg)).collect(),
                pulls: Vec::new(),
            };
            let working = state.legs.iter().filter(|leg| leg.up).count();
            if present && asking.depth.pull_legs && working > 1 {
                let witnesses = witnesses(asking, name, paths);
                state.pulls = legs
                    .iter()
                    .filter(|leg| of_leg(asking, leg).up)
                    .map(|leg| pull(asking, name, leg, &witnesses))
                    .collect();
            }
            state
        })
        .collect()
}

fn of_leg(asking: &Asking<'_>, leg: &Port) -> LegState {
    let of = |name: &str| asking.attribute(&leg.kernel_name, &format!("bonding_slave/{name}"));
    LegState {
        name: leg.chosen.name.clone(),
        up: of("mii_status").as_deref() == Some("up"),
        aggregator: of("ad_aggregator_id").and_then(|text| text.parse().ok()),
    }
}

/// Peers that answer over this bond: name, interface, address.
fn witnesses(asking: &Asking<'_>, bond: &str, paths: &[Path]) -> Vec<(String, String, IpAddr)> {
    let over: Vec<(&str, String)> = asking
        .node
        .networks_on(bond)
        .filter_map(|network| Some((network.name.as_str(), network.interface()?)))
        .collect();
    paths
        .iter()
        .filter(|path| path.answers)
        .filter_map(|path| {
            let (_, interface) = over.iter().find(|(name, _)| *name == path.network)?;
            let address = path.peer.address.parse().ok()?;
            let name = format!("{} in {}", path.peer.name, path.network);
            Some((name, interface.clone(), address))
        })
        .take(WITNESSES)
        .collect()
}

/// Gives the leg back whatever happens in between.
struct Away<'a, 'b> {
    asking: &'a Asking<'b>,
    interface: &'a str,
}

impl<'a, 'b> Away<'a, 'b> {
    fn take(asking: &'a Asking<'b>, interface: &'a str) -> Self {
        asking.ip(&["link", "set", "dev", interface, "down"]);
        Self { asking, interface }
    }
}

impl Drop for Away<'_, '_> {
    fn drop(&mut self) {
        self.asking
            .ip(&["link", "set", "dev", self.interface, "up"]);
    }
}

fn pull(
    asking: &Asking<'_>,
    bond: &str,
    leg: &Port,
    witnesses: &[(String, String, IpAddr)],
) -> Pull {
    let mut pull = Pull {
        leg: leg.chosen.name.clone(),
        before: witnesses.iter().map(|(name, ..)| name.clone()).collect(),
        ..Pull::default()
    };
    {
        let _away = Away::take(asking, &leg.kernel_name);
        asking.system.sleep(SETTLE);
        pull.link_kept = asking.wait(PATIENCE, || asking.carrier(bond) == Some(true));
        for (name, interface, address) in witnesses {
            if answers(asking, interface, *address, 56).is_ok() {
                pull.without.push(name.clone());
            }
        }
    }
    pull.restored = asking.wait(RETURN, || of_leg(asking, leg).up);
    // The switch must have taken it back before the next one goes.
    asking.system.sleep(SETTLE);
    pull
}
