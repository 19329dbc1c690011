//! Bonds as the kernel shows them, and each leg taken away and given back.

use std::net::IpAddr;
use std::time::Duration;

use crate::Port;
use crate::measured::{BondState, LegState, Path, Pull};

use super::paths::{SETTLE, answers};
use super::{Asking, PATIENCE};

/// Peers of each network that are asked while a leg is away: enough to notice, few enough to be quick.
const WITNESSES: usize = 2;

/// How long the way round may take to be found: an adapter that keeps its light on leaves it to LACP, which gives a silent
/// leg up after 3 s (IEEE 802.1AX clause 6.4.1.6, `Short_Timeout_Time`).
const DIVERSION: Duration = Duration::from_secs(8);

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
    over.iter()
        .flat_map(|(network, interface)| {
            let answering = paths.iter().filter(move |path| path.network == *network);
            answering
                .filter(|path| path.answers)
                .filter_map(move |path| {
                    let address = path.peer.address.parse().ok()?;
                    let name = format!("{} in {network}", path.peer.name);
                    Some((name, interface.clone(), address))
                })
                .take(WITNESSES)
        })
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

/// LACP: the partner is in step with this leg and sends and receives on it: bits 3 to 5 of its state (IEEE 802.1AX clause
/// 6.4.2.3). Other modes have no such thing.
fn is_used(asking: &Asking<'_>, leg: &Port) -> bool {
    asking
        .attribute(&leg.kernel_name, "bonding_slave/ad_partner_oper_port_state")
        .and_then(|text| text.parse::<u8>().ok())
        .is_some_and(|state| state & 0x38 == 0x38)
}

/// Asks until all have answered or [`DIVERSION`] has passed.
fn who_answers(asking: &Asking<'_>, witnesses: &[(String, String, IpAddr)]) -> Vec<String> {
    let start = asking.system.now();
    let mut silent: Vec<&(String, String, IpAddr)> = witnesses.iter().collect();
    loop {
        silent.retain(|(_, interface, address)| answers(asking, interface, *address, 56).is_err());
        let passed = asking.system.now().saturating_sub(start);
        if silent.is_empty() || passed >= DIVERSION {
            break;
        }
        asking.system.sleep(Duration::from_millis(200));
    }
    witnesses
        .iter()
        .filter(|witness| !silent.contains(witness))
        .map(|(name, ..)| name.clone())
        .collect()
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
    let was_used = is_used(asking, leg);
    {
        let _away = Away::take(asking, &leg.kernel_name);
        asking.system.sleep(SETTLE);
        pull.link_kept = asking.wait(PATIENCE, || asking.carrier(bond) == Some(true));
        pull.without = who_answers(asking, witnesses);
    }
    pull.restored = asking.wait(RETURN, || of_leg(asking, leg).up);
    // The switch must have taken it back before the next one goes.
    asking.system.sleep(SETTLE);
    if was_used {
        asking.wait(RETURN, || is_used(asking, leg));
    }
    pull
}
