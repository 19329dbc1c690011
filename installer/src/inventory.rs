//! `inventory`: what this machine is, as a table or JSON, live or from a capture.

use anyhow::Context as _;
use camino::Utf8Path;
use firmware::{
    Inventory, Reference, bmc::users, capture, ipmi::IpmiTransport, live::IpmiDevice, report,
};
use serde_json::json;
use system::System;

use crate::{arguments, output, survey};

/// Looks at the machine below a root, and, on a live one, asks its BMC.
pub fn probe(root: &Utf8Path) -> Inventory {
    if root == "/" {
        run::bmc::load_driver(&system::Live);
    }
    let mut bmc = bmc(root);
    let mut inventory = firmware::probe::inventory(root, transport(&mut bmc));
    // Not part of the probe: what the probe asks is kept in captures, and those leave the house.
    if let (Some(known), Some(bmc)) = (&mut inventory.bmc, transport(&mut bmc)) {
        known.factory_password = users::has_factory_password(bmc).unwrap_or_default();
    }
    inventory
}

/// The machine that a capture was taken of.
pub fn replay(file: &Utf8Path) -> anyhow::Result<Inventory> {
    Ok(capture::open(file)?.inventory())
}

fn bmc(root: &Utf8Path) -> Option<IpmiDevice> {
    // Another machine's files must not be mixed with this machine's BMC.
    (root == "/").then(IpmiDevice::open)?.ok()
}

fn transport(bmc: &mut Option<IpmiDevice>) -> Option<&mut dyn IpmiTransport> {
    bmc.as_mut().map(|bmc| bmc as &mut dyn IpmiTransport)
}

pub fn run(system: &dyn System, options: &arguments::Inventory, json: bool) -> anyhow::Result<u8> {
    let inventory = match (&options.from, &options.capture) {
        (Some(file), _) => replay(file)?,
        (None, Some(file)) => {
            let mut bmc = bmc(&options.root);
            let how = capture::Options {
                without_serials: options.without_serials,
            };
            let inventory = capture::write(&options.root, transport(&mut bmc), file, how)?;
            output::note(&format!("written to `{file}`"));
            inventory
        }
        (None, None) => probe(&options.root),
    };
    let findings = match role(system, options) {
        Some(role) => {
            let reference = Reference::built_in().context("the reference data is malformed")?;
            let findings = firmware::compare(&reference, &role, &inventory);
            Some((role, findings))
        }
        None => None,
    };
    match (json, findings) {
        // Only when asked for: the plain document is what `plan --inventory` reads.
        (true, Some((_, findings))) if options.role.is_some() => {
            output::json(&json!({"findings": findings, "inventory": inventory}))?;
        }
        (true, _) => output::json(&inventory)?,
        (false, findings) => {
            output::text(&report::text(&inventory))?;
            if let Some((role, findings)) = findings {
                let findings = report::findings(&findings);
                output::text(&format!(
                    "\nagainst the reference of role `{role}`\n{findings}"
                ))?;
            }
        }
    }
    Ok(0)
}

/// The role that was asked for; on a live machine otherwise the running image's.
fn role(system: &dyn System, options: &arguments::Inventory) -> Option<String> {
    if options.role.is_some() || options.from.is_some() || options.root != "/" {
        return options.role.clone();
    }
    Some(survey::boot_facts(system).ok()??.root.role)
}
