//! A virtual address that no balancer holds: it is on the server that takes writes or exports, and on no other.

use roles::NodeFile;
use system::{Command, System};

use crate::{settings::Database, sql::words};

/// Address with prefix length and interface; nothing where the plan has none for this machine.
#[must_use]
pub fn planned(node: &NodeFile, plan: &Database) -> Option<(String, String)> {
    let vip = plan.vips.iter().find(|vip| vip.name == "database")?;
    let network = node
        .networks
        .iter()
        .find(|network| network.name == vip.network)?;
    let interface = network
        .interface()
        .unwrap_or_else(|| format!("{}0", network.name));
    Some((vip.address.clone(), interface))
}

fn ip(system: &dyn System, arguments: &[&str]) -> Result<String, String> {
    let command = Command::new("ip").args(arguments.iter().copied());
    let output = system.run(&command).map_err(|error| words(&error))?;
    Ok(output.stdout)
}

/// This machine has the address on the interface.
///
/// # Errors
/// Words of `ip`.
pub fn is_held(system: &dyn System, address: &str, interface: &str) -> Result<bool, String> {
    let shown = ip(system, &["-oneline", "address", "show", "dev", interface])?;
    Ok(shown.contains(&format!(" {address} ")))
}

/// Puts the address on this machine and tells the network.
///
/// # Errors
/// Words of `ip`.
pub fn hold(system: &dyn System, address: &str, interface: &str) -> Result<(), String> {
    if is_held(system, address, interface)? {
        return Ok(());
    }
    ip(system, &["address", "replace", address, "dev", interface])?;
    let bare = address.split('/').next().unwrap_or_default();
    // Clients and switches learn at once where it is now (RFC 5227, 3). They would learn it anyway, later: no reason to fail.
    // IPv6 neighbours ask again by themselves.
    let tell = Command::new("arping").args(["-U", "-c", "3", "-I", interface, bare]);
    if !bare.contains(':')
        && let Err(error) = system.run(&tell)
    {
        tracing::warn!(error = %words(&error), "the neighbours were not told");
    }
    Ok(())
}

/// Takes it away; one that is not there is no error.
///
/// # Errors
/// Words of `ip`.
pub fn release(system: &dyn System, address: &str, interface: &str) -> Result<(), String> {
    if is_held(system, address, interface)? {
        ip(system, &["address", "delete", address, "dev", interface])?;
    }
    Ok(())
}
