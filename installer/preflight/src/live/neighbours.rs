//! Listening for LLDP on one port.

use std::time::Duration;

use crate::measured::Neighbour;
use crate::wire::lldp;

use super::Asking;

/// Listened for in pieces, so that a neighbour that spoke early does not cost the whole time.
const PIECE: Duration = Duration::from_secs(4);

/// Who speaks on this port; nobody if the time passes in silence.
pub(super) fn listen(asking: &Asking<'_>, interface: &str) -> Vec<Neighbour> {
    // Adapters drop group addresses that nobody asked for.
    asking.ip(&["maddress", "add", lldp::GROUP, "dev", interface]);
    let start = asking.system.now();
    let mut heard: Vec<Neighbour> = Vec::new();
    loop {
        let left = asking
            .depth
            .lldp
            .saturating_sub(asking.system.now().saturating_sub(start));
        if left.is_zero() || !heard.is_empty() {
            break;
        }
        let frames = asking
            .network
            .frames(interface, lldp::ETHERTYPE, &[], PIECE, left.min(PIECE));
        let Ok(frames) = frames else { break };
        heard.extend(frames.iter().filter_map(|frame| lldp::parse(frame)));
    }
    asking.ip(&["maddress", "del", lldp::GROUP, "dev", interface]);
    heard.sort();
    heard.dedup();
    heard
}
