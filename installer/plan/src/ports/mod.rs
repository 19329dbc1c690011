//! Which physical port is which: exactly one for each entry of the node file, never by the kernel's name, which changes
//! with the BIOS version and the slot. As with disks, "first match" is how others take the wrong one, so every failure
//! shows all ports with the condition that excluded each.

mod condition;
mod table;

use firmware::Reference;
use firmware::inventory::{Inventory, Nic};
use roles::NodeFile;
use roles::wiring::PhysicalPort;
use serde::{Deserialize, Serialize};

pub use condition::{Known, excluded};
pub use table::PortTable;

/// One port of the node file and the port of the machine that it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChosenPort {
    /// Our name.
    pub name: String,
    /// Permanent MAC address: what `.link` files match from now on.
    pub mac: String,
    /// PCI address.
    pub address: Option<String>,
    /// Port on that function.
    pub dev_port: u32,
    /// Kernel driver.
    pub driver: Option<String>,
}

/// Why ports could not be chosen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// None, or several.
    #[error(
        "port `{port}` must be exactly one port of this machine, {found} match\nhint: {hint}\n{table}"
    )]
    Count {
        /// Port of the node file.
        port: String,
        /// How many match.
        found: usize,
        /// What to do.
        hint: String,
        /// All ports.
        table: PortTable,
    },
    /// One port, two names.
    #[error(
        "one port of this machine is both `{first}` and `{second}`\n\
         hint: narrow one of them, by `mac`, or by `path` and `dev_port`\n{table}"
    )]
    Overlap {
        /// One name.
        first: String,
        /// The other.
        second: String,
        /// All ports.
        table: PortTable,
    },
    /// It cannot be named.
    #[error(
        "port `{port}` has no permanent MAC address, so it cannot be given a name\n\
         hint: an address made up by the driver changes at every boot; set one in the adapter or use another port\n{table}"
    )]
    Nameless {
        /// Port of the node file.
        port: String,
        /// All ports.
        table: PortTable,
    },
}

/// Chooses the port of every entry under `[[ports]]`, in their order.
///
/// # Errors
/// An entry matches none or several, two entries match one port, or a port has no permanent MAC address.
pub fn choose(
    node: &NodeFile,
    inventory: &Inventory,
    reference: &Reference,
) -> Result<Vec<ChosenPort>, PortError> {
    let known: Vec<Known<'_>> = inventory
        .nics
        .iter()
        .map(|nic| Known {
            nic,
            speed: reference.port_speed(nic),
        })
        .collect();
    let mut chosen: Vec<(&PhysicalPort, &Nic)> = Vec::new();
    for port in &node.ports {
        let matching: Vec<&Known<'_>> = known
            .iter()
            .filter(|known| excluded(known, port).is_none())
            .collect();
        let [only] = matching[..] else {
            return Err(PortError::Count {
                port: port.name.clone(),
                found: matching.len(),
                hint: hint(port, matching.len()).into(),
                table: PortTable::of(&known, |known| verdict(known, port)),
            });
        };
        let same = |other: &&(&PhysicalPort, &Nic)| std::ptr::eq(other.1, only.nic);
        if let Some((first, _)) = chosen.iter().find(same) {
            return Err(PortError::Overlap {
                first: first.name.clone(),
                second: port.name.clone(),
                table: PortTable::of(&known, |known| {
                    let claims: Vec<&str> = [*first, port]
                        .iter()
                        .filter(|port| excluded(known, port).is_none())
                        .map(|port| port.name.as_str())
                        .collect();
                    if claims.is_empty() {
                        "claimed by neither".into()
                    } else {
                        format!("claimed by {}", claims.join(", "))
                    }
                }),
            });
        }
        chosen.push((port, only.nic));
    }
    chosen
        .into_iter()
        .map(|(port, nic)| {
            let mac = nic.mac.clone().ok_or_else(|| PortError::Nameless {
                port: port.name.clone(),
                table: PortTable::of(&known, |known| verdict(known, port)),
            })?;
            Ok(ChosenPort {
                name: port.name.clone(),
                mac: mac.to_ascii_lowercase(),
                address: nic.address.clone(),
                dev_port: nic.dev_port,
                driver: nic.driver.clone(),
            })
        })
        .collect()
}

fn verdict(known: &Known<'_>, port: &PhysicalPort) -> String {
    match excluded(known, port) {
        None => "matches".into(),
        Some(reason) => format!("excluded: {reason}"),
    }
}

fn hint(port: &PhysicalPort, found: usize) -> &'static str {
    if found > 1 && port.path.is_some() && port.dev_port.is_none() {
        "several ports share this PCI function: add `dev_port`"
    } else if found > 1 {
        "narrow it in the node file, by `mac`, or by `path` and `dev_port`; never is one of several taken by chance"
    } else {
        "look at the condition that excluded each port; correct the node file, or look for the card and its driver"
    }
}
