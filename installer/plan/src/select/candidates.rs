//! The table every failed selection prints: all disks, and for each the condition that excluded it.

use std::fmt;

use firmware::inventory::Disk;

use crate::{size::decimal, table};

/// All disks of a machine against the selectors of one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidates {
    rows: Vec<Row>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    cells: [String; 5],
    verdicts: Vec<String>,
}

const HEAD: [&str; 5] = ["bay", "size", "model", "serial", "WWN"];

impl Candidates {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self { rows: Vec::new() }
    }

    /// One disk and what each alternative said of it.
    pub fn push(&mut self, disk: &Disk, mut verdicts: Vec<String>) {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
        let bay = disk
            .bay
            .as_ref()
            .map(|bay| format!("{}:{}", bay.side, bay.slot));
        let cells = [
            text(&bay),
            decimal(disk.size),
            text(&disk.model),
            text(&disk.serial),
            text(&disk.wwn),
        ];
        if verdicts
            .iter()
            .all(|verdict| Some(verdict) == verdicts.first())
        {
            verdicts.truncate(1);
        } else {
            for (number, verdict) in verdicts.iter_mut().enumerate() {
                *verdict = format!("alternative {}: {verdict}", number + 1);
            }
        }
        self.rows.push(Row { cells, verdicts });
    }
}

impl Default for Candidates {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Candidates {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rows.is_empty() {
            return formatter.write_str("  no disk was found at all");
        }
        let rows = self.rows.iter();
        table::write(
            formatter,
            HEAD,
            rows.map(|row| (&row.cells, row.verdicts.as_slice())),
        )
    }
}
