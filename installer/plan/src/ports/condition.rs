//! One port of the machine against one entry of the node file: it matches, or the first condition that excludes it, in words.

use firmware::inventory::Nic;
use roles::wiring::PhysicalPort;

/// A port and what it can do.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The port.
    pub nic: &'a Nic,
    /// Megabits per second it is made for, else those of its link; absent: nobody knows.
    pub speed: Option<u32>,
}

/// `None` if every condition holds, else the condition that does not. A port that lacks the property does not match.
#[must_use]
pub fn excluded(known: &Known<'_>, port: &PhysicalPort) -> Option<String> {
    let nic = known.nic;
    let unknown = |what: &str| Some(format!("{what} is not known"));
    // An InfiniBand port has another kind of address: nothing else of it can match.
    if let Some(kind) = nic.port_type.as_deref()
        && !matches!(kind, "eth" | "auto (eth)")
    {
        return Some(format!(
            "it is InfiniBand (`{kind}`); `type = \"ethernet\"` sets it at the next boot"
        ));
    }
    match (&port.mac, &nic.mac) {
        (None, _) => {}
        (Some(_), None) => return unknown("MAC address"),
        (Some(wanted), Some(mac)) if !wanted.eq_ignore_ascii_case(mac) => {
            return Some(format!("MAC address `{mac}` is not `{wanted}`"));
        }
        _ => {}
    }
    match (&port.path, &nic.address) {
        (None, _) => {}
        (Some(_), None) => return unknown("PCI address"),
        (Some(wanted), Some(address)) if wanted != address => {
            return Some(format!("PCI address `{address}` is not `{wanted}`"));
        }
        _ => {}
    }
    if let Some(wanted) = port.dev_port
        && wanted != nic.dev_port
    {
        return Some(format!("dev_port is {}, not {wanted}", nic.dev_port));
    }
    match (&port.driver, &nic.driver) {
        (None, _) => {}
        (Some(_), None) => return unknown("driver"),
        (Some(wanted), Some(driver)) if !same_driver(wanted, driver) => {
            return Some(format!("driver `{driver}` is not `{wanted}`"));
        }
        _ => {}
    }
    match (port.speed, known.speed) {
        (None, _) => {}
        (Some(_), None) => return unknown("speed"),
        (Some(wanted), Some(speed)) if speed < wanted => {
            return Some(format!("{speed} Mbit/s is less than {wanted}"));
        }
        _ => {}
    }
    None
}

/// The PCI function of a ConnectX-3 belongs to `mlx4_core`, its interface to `mlx4_en`: people write either.
fn same_driver(wanted: &str, driver: &str) -> bool {
    let family = |name: &str| match name {
        "mlx4_en" | "mlx4_ib" => "mlx4_core".to_owned(),
        // Module names and driver names differ in this one character.
        other => other.replace('-', "_"),
    };
    family(wanted) == family(driver)
}
