//! Health: what the role says must hold, compared with what the machine shows. Looking ([`observe`]) and judging
//! ([`evaluate`]) are apart, so that every verdict can be tested without a machine.

mod arrays;
mod evaluate;
mod listeners;
mod multipath;
mod observe;
mod pools;
mod units;

use serde::{Deserialize, Serialize};

pub use arrays::Array;
pub use evaluate::evaluate;
pub use listeners::listeners;
pub use multipath::{DiskPath, Multipath, multipath};
pub use observe::{Mount, Observed, observe};
pub use pools::{Pool, PoolDevice};
pub use units::Unit;

/// Verdict of one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Pass,
    /// It works, but somebody must look: a degraded mirror.
    Warn,
    /// The machine is not healthy.
    Fail,
}

impl Verdict {
    /// As it stands in text and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckResult {
    /// What was checked: `service ssh.service`, `array /state`.
    pub name: String,
    /// Verdict.
    pub result: Verdict,
    /// What was seen, and what to do about it.
    pub detail: String,
}

/// All hold; warnings are healthy.
pub fn is_healthy(checks: &[CheckResult]) -> bool {
    checks.iter().all(|check| check.result != Verdict::Fail)
}
