//! Before any disk is written: is the network what the node file says? Measuring ([`measure`]) and judging ([`judge`]) are
//! apart: the first only asks, through `system`; the second is pure and gives findings like those of the hardware.
//!
//! Order of power-on does not matter: a peer that does not answer is never a failure by itself.

mod judge;
mod live;
mod measured;
pub mod wire;

use firmware::Finding;
use plan::ports::ChosenPort;
use roles::NodeFile;

pub use judge::{PREFIX, judge, middle};
pub use live::{Depth, measure};
pub use measured::{
    AddressProbe, BondState, Clock, Leg, LegState, Measured, Neighbour, NetworkState, Path, Peer,
    Pull,
};

/// One planned port and the name that the kernel has for it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Which it is.
    pub chosen: ChosenPort,
    /// Good for this boot only.
    pub kernel_name: String,
}

/// The ports that were chosen, with their names of this boot.
#[must_use]
pub fn ports(chosen: Vec<ChosenPort>, inventory: &firmware::Inventory) -> Vec<Port> {
    chosen
        .into_iter()
        .filter_map(|chosen| {
            let nic = inventory.nics.iter().find(|nic| {
                nic.mac
                    .as_ref()
                    .is_some_and(|mac| mac.eq_ignore_ascii_case(&chosen.mac))
            })?;
            Some(Port {
                kernel_name: nic.kernel_name.clone(),
                chosen,
            })
        })
        .collect()
}

/// How far this machine's clock must be stepped, in milliseconds; `None` if it is right within a second, or nobody knows.
#[must_use]
pub fn step_needed(measured: &Measured) -> Option<i64> {
    middle(&measured.clocks).filter(|offset| offset.unsigned_abs() > 1000)
}

/// Applies the waivers of the node file that are meant for the preflight; gives a line for each that changed nothing.
pub fn waive(findings: &mut [Finding], node: &NodeFile) -> Vec<String> {
    let waivers: Vec<_> = node
        .waivers
        .iter()
        .filter(|waiver| waiver.finding.starts_with(PREFIX))
        .cloned()
        .collect();
    firmware::compare::waive(findings, &waivers)
        .into_iter()
        .map(|(waiver, why)| format!("the waiver of `{}` has no effect: {why}", waiver.finding))
        .collect()
}
