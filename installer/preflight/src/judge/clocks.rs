//! Clocks: this machine's against the time servers, the hardware's and the BMC's against this machine's.

use firmware::{Finding, Weight};

use crate::measured::{Clock, Measured};

use super::{finding, names};

/// Certificates, joins and logs stand a second (cluster facts: preflight of Galera and TLS).
const TOLERANCE: i64 = 1000;

/// Seconds that a hardware clock may be off: it counts whole ones and is read slowly.
const HARDWARE: i64 = 5;

pub(super) fn findings(measured: &Measured) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !measured.clocks.is_empty() {
        findings.push(own(&measured.clocks));
        findings.extend(servers(&measured.clocks));
    }
    findings.extend(measured.hardware_clock.map(hardware));
    findings.extend(measured.bmc_clock.map(bmc));
    findings
}

/// What the clock is to be stepped by, in milliseconds: the middle one of what the servers say; one that is wrong does not
/// move it where there are three.
#[must_use]
pub fn middle(clocks: &[Clock]) -> Option<i64> {
    let mut offsets: Vec<i64> = clocks.iter().filter_map(|clock| clock.offset).collect();
    offsets.sort_unstable();
    offsets.get(offsets.len().checked_sub(1)? / 2).copied()
}

fn own(clocks: &[Clock]) -> Finding {
    let (weight, found, advice) = match middle(clocks) {
        Some(offset) if offset.abs() <= TOLERANCE => {
            (Weight::Pass, format!("{offset} ms off"), String::new())
        }
        Some(offset) => (
            Weight::Warn,
            format!("{} {}", length(offset), if offset > 0 { "behind" } else { "ahead" }),
            "the installer steps it before anything is verified with it, and writes the hardware clock; a dead battery brings this back at every power cut".to_owned(),
        ),
        None => {
            let reasons: Vec<String> = clocks
                .iter()
                .map(|clock| {
                    format!("{} ({})", clock.server, clock.error.as_deref().unwrap_or("no answer"))
                })
                .collect();
            let reasons: Vec<&str> = reasons.iter().map(String::as_str).collect();
            (
                Weight::Info,
                format!("not known: {}", names(&reasons)),
                "fine if the time servers are still off".to_owned(),
            )
        }
    };
    finding("clock", "clock", weight)
        .expected("within 1 s of the time servers")
        .found(found)
        .advice(advice)
}

fn servers(clocks: &[Clock]) -> Option<Finding> {
    let offsets: Vec<i64> = clocks.iter().filter_map(|clock| clock.offset).collect();
    let spread = offsets.iter().max()?.saturating_sub(*offsets.iter().min()?);
    (offsets.len() > 1).then(|| {
        finding(
            "clock-servers",
            "time servers",
            if spread > TOLERANCE {
                Weight::Warn
            } else {
                Weight::Pass
            },
        )
        .expected("within 1 s of each other")
        .found(format!("{} apart", length(spread)))
        .advice("one of them is wrong; with two nobody can tell which")
    })
}

fn hardware(offset: i64) -> Finding {
    // Whole quarters of an hour, at most those of the time zones there are (+14 to -12).
    let nearest = (offset as f64 / 900.0).round() as i64 * 900;
    let zone = nearest != 0 && nearest.abs() <= 14 * 3600 && (offset - nearest).abs() <= HARDWARE;
    let weight = if offset.abs() <= HARDWARE {
        Weight::Pass
    } else if zone {
        Weight::Warn
    } else {
        Weight::Info
    };
    finding("hardware-clock", "hardware clock", weight)
        .expected("the system's time, in UTC")
        .found(if offset.abs() <= HARDWARE {
            format!("{offset} s off")
        } else {
            format!("{} {}", length(offset.saturating_mul(1000)), if offset < 0 { "behind" } else { "ahead" })
        })
        .advice(if zone {
            "it seems to be set to local time: set UTC in the firmware's menu, or leave it to the installer, which writes UTC"
        } else {
            "the installer writes it"
        })
}

fn bmc(offset: i64) -> Finding {
    finding(
        "bmc-clock",
        "clock of the BMC",
        if offset.abs() > 60 {
            Weight::Warn
        } else {
            Weight::Pass
        },
    )
    .expected("within a minute of the system's time")
    .found(format!("{} off", length(offset.saturating_mul(1000))))
    .advice("its event log will have wrong times; set it with `rackwright-installer bmc`")
}

/// Milliseconds in the unit that says most.
fn length(milliseconds: i64) -> String {
    let seconds = milliseconds.unsigned_abs() / 1000;
    match seconds {
        0..=119 => format!("{}.{:03} s", seconds, milliseconds.unsigned_abs() % 1000),
        120..=7199 => format!("{} minutes", seconds / 60),
        7200..=172_799 => format!("{} hours", seconds / 3600),
        172_800..=63_071_999 => format!("{} days", seconds / 86_400),
        _ => format!("{} years", seconds / 31_557_600),
    }
}
