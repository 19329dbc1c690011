//! Bonds: does the switch take part, and does the bond bear the loss of each leg?

use firmware::{Finding, Weight};

use crate::measured::{BondState, Measured, Pull};

use super::{finding, names};

pub(super) fn findings(measured: &Measured) -> Vec<Finding> {
    let mut findings = Vec::new();
    for bond in &measured.bonds {
        if !bond.present {
            findings.push(
                finding(
                    format!("bond:{}", bond.name),
                    format!("bond {}", bond.name),
                    Weight::Info,
                )
                .expected("set up in this boot")
                .found("not there")
                .advice("the node file came after the boot; on a stick or in the image it is there before"),
            );
            continue;
        }
        findings.extend(partner(bond));
        findings.extend(bond.pulls.iter().map(|pull| pulled(bond, pull)));
    }
    findings
}

fn partner(bond: &BondState) -> Option<Finding> {
    let partner = bond.partner.as_ref()?;
    let silent = partner.chars().all(|c| matches!(c, '0' | ':'));
    let mut groups: Vec<u32> = bond
        .legs
        .iter()
        .filter(|leg| leg.up)
        .filter_map(|leg| leg.aggregator)
        .collect();
    let up = groups.len();
    groups.sort_unstable();
    groups.dedup();
    let (weight, found, advice) = if up == 0 {
        return None;
    } else if silent {
        (
            Weight::Warn,
            "no partner: the switch does not speak LACP on these ports".to_owned(),
            "make the ports of the switch members of one aggregated interface with LACP; until then one leg carries everything",
        )
    } else if groups.len() > 1 {
        (
            Weight::Warn,
            format!("{up} legs in {} groups", groups.len()),
            "the legs end in different aggregated interfaces: look at the switch, and at the cables",
        )
    } else {
        (
            Weight::Pass,
            format!("{up} legs with partner {partner}"),
            "",
        )
    };
    Some(
        finding(
            format!("lacp:{}", bond.name),
            format!("LACP of bond {}", bond.name),
            weight,
        )
        .expected("all legs with one partner")
        .found(found)
        .advice(advice),
    )
}

fn pulled(bond: &BondState, pull: &Pull) -> Finding {
    let missing: Vec<&str> = pull
        .before
        .iter()
        .filter(|name| !pull.without.contains(name))
        .map(String::as_str)
        .collect();
    let (weight, found) = if !pull.restored {
        (Weight::Fail, "the leg did not come back".to_owned())
    } else if !pull.link_kept {
        (Weight::Fail, "the bond lost its link".to_owned())
    } else if !missing.is_empty() {
        (Weight::Fail, format!("no answer from {}", names(&missing)))
    } else if pull.before.is_empty() {
        (
            Weight::Pass,
            "the bond kept its link; no peer was there to ask".to_owned(),
        )
    } else {
        (
            Weight::Pass,
            format!(
                "{} of {} peers answered",
                pull.without.len(),
                pull.before.len()
            ),
        )
    };
    finding(
        format!("leg:{}:{}", bond.name, pull.leg),
        format!("bond {} without leg {}", bond.name, pull.leg),
        weight,
    )
    .expected("works on")
    .found(found)
    .advice("the other leg does not carry what it should: look at its cable, and at the VLANs of its switch port")
}
