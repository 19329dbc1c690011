//! From what was measured to findings. Pure. What keeps the cluster from working when it is in use fails: an address that
//! somebody else has, packets that do not fit, a cable in the wrong port, a bond that does not bear the loss of a leg. What
//! may be as it should be, or mends itself, warns or informs.

mod bonds;
mod clocks;
mod legs;
mod networks;

pub use clocks::middle;
pub(crate) use networks::GATEWAY;

use firmware::{Finding, Weight};
use roles::NodeFile;

use crate::measured::Measured;

/// Ids of all these findings begin so; waivers tell them by it from those of the hardware.
pub const PREFIX: &str = "preflight.";

/// All findings, worst first.
#[must_use]
pub fn judge(node: &NodeFile, measured: &Measured) -> Vec<Finding> {
    let mut findings = legs::findings(node, measured);
    findings.extend(bonds::findings(measured));
    findings.extend(networks::findings(node, measured));
    findings.extend(clocks::findings(measured));
    findings.sort_by(|a, b| b.weight.cmp(&a.weight).then_with(|| a.id.cmp(&b.id)));
    findings
}

/// A finding of the network; `id` is what follows the prefix.
fn finding(id: impl AsRef<str>, part: impl Into<String>, weight: Weight) -> Finding {
    Finding::new(format!("{PREFIX}{}", id.as_ref()), part, weight)
}

/// `a, b and 3 more`: a finding stays a line or two on a rack of a thousand.
fn names(all: &[&str]) -> String {
    const SHOWN: usize = 6;
    let shown = all
        .iter()
        .take(SHOWN)
        .copied()
        .collect::<Vec<_>>()
        .join(", ");
    match all.len().saturating_sub(SHOWN) {
        0 => shown,
        rest => format!("{shown} and {rest} more"),
    }
}
