//! The table that every failed choice prints: all ports of the machine and what was said of each.

use std::fmt;

use super::condition::Known;
use crate::table;

/// All ports of a machine against one entry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PortTable {
    rows: Vec<([String; 6], String)>,
}

const HEAD: [&str; 6] = ["PCI address", "port", "MAC", "driver", "Mbit/s", "link"];

impl PortTable {
    /// One row for each port, with the verdict on it.
    pub fn of(known: &[Known<'_>], verdict: impl Fn(&Known<'_>) -> String) -> Self {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
        let rows = known.iter().map(|known| {
            let nic = known.nic;
            let cells = [
                text(&nic.address),
                nic.dev_port.to_string(),
                text(&nic.mac),
                text(&nic.driver),
                known
                    .speed
                    .map_or_else(|| "-".into(), |speed| speed.to_string()),
                match nic.carrier {
                    Some(true) => "up".into(),
                    Some(false) => "down".into(),
                    None => "-".into(),
                },
            ];
            (cells, verdict(known))
        });
        Self {
            rows: rows.collect(),
        }
    }
}

impl fmt::Display for PortTable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rows.is_empty() {
            return formatter.write_str("  no network port was found at all");
        }
        let rows = self.rows.iter();
        table::write(
            formatter,
            HEAD,
            rows.map(|(cells, verdict)| (cells, std::slice::from_ref(verdict))),
        )
    }
}
