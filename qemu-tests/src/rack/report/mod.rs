//! The rack test's report: a row for each fault with what the client saw of it, as Markdown, JSON and a timeline.

mod timeline;

use std::fmt::Write as _;

use camino::Utf8Path;
use serde::{Deserialize, Serialize};

use super::books::check::{Checked, Counts, Window};
use super::books::journal::{Entry, Moment, Protocol};
use super::books::outage::{self, Outage};

pub use timeline::svg;

/// A fault, as the one who made it knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What was done: `power cut of the active lb`.
    pub name: String,
    /// When it was done. Messages from here on are this fault's.
    pub begin: Moment,
    /// When the next one may come: the client was served again, and the rack was as it was to be.
    pub end: Moment,
    /// When the rack called itself healthy; absent if it did not.
    pub healthy: Option<Moment>,
    /// What went wrong besides mail.
    #[serde(default)]
    pub problem: Option<String>,
}

/// A row. Times in milliseconds since the report's begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Fault.
    pub fault: String,
    /// From.
    pub begin: u64,
    /// Until.
    pub end: u64,
    /// Longest time without an acknowledgement.
    pub smtp_outage: Gap,
    /// Longest time without a look at a mailbox.
    pub imap_outage: Gap,
    /// Messages that were begun meanwhile.
    #[serde(flatten)]
    pub counts: Counts,
    /// From the fault until the rack called itself healthy; absent if it did not.
    pub time_to_healthy: Option<u64>,
    /// What is wrong; nothing if the row is green.
    pub problems: Vec<String>,
}

/// An outage in milliseconds since the report's begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// From.
    pub begin: u64,
    /// How long.
    pub milliseconds: u64,
    /// It was not over at the end of the row.
    pub open: bool,
}

/// The report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Heading.
    pub title: String,
    /// Date, machine, command.
    pub about: String,
    /// Milliseconds from the first line of the journals to the last one.
    pub length: u64,
    /// Faults in order of time.
    pub rows: Vec<Row>,
    /// All messages, those between faults too.
    pub total: Counts,
    /// Documented losses, with the number of messages that each one excuses.
    pub excused: Vec<(String, u64)>,
    /// What is wrong with the books as a whole.
    pub problems: Vec<String>,
    /// When a message was acknowledged. Not in the file: the journals have it.
    #[serde(skip)]
    pub smtp: Vec<u64>,
    /// When a mailbox was looked at.
    #[serde(skip)]
    pub imap: Vec<u64>,
}

impl Report {
    /// Puts together what the books and the maker of the faults know.
    #[must_use]
    pub fn new(
        title: &str,
        about: &str,
        entries: &[Entry],
        checked: &Checked,
        faults: &[Fault],
    ) -> Self {
        let moments = || {
            let own = entries.iter().map(|entry| entry.at);
            own.chain(faults.iter().flat_map(|fault| [fault.begin, fault.end]))
        };
        let nothing = Moment {
            monotonic: 0,
            wall: 0,
        };
        let begin = moments().min().unwrap_or(nothing);
        let mut smtp = outage::successes(entries, Protocol::Smtp);
        let mut imap = outage::successes(entries, Protocol::Imap);
        // Several journals may overlap.
        smtp.sort_unstable();
        imap.sort_unstable();
        let gap = |outage: Outage| Gap {
            begin: outage.begin.since(begin),
            milliseconds: outage.milliseconds,
            open: outage.open,
        };
        let row = |fault: &Fault| {
            let window = Some(Window {
                begin: fault.begin,
                end: fault.end,
            });
            let mut problems = checked.problems(window);
            problems.extend(fault.problem.clone());
            if fault.healthy.is_none() {
                problems.push("never healthy again".to_owned());
            }
            Row {
                fault: fault.name.clone(),
                begin: fault.begin.since(begin),
                end: fault.end.since(begin),
                smtp_outage: gap(outage::longest(&smtp, fault.begin, fault.end)),
                imap_outage: gap(outage::longest(&imap, fault.begin, fault.end)),
                counts: checked.counts(window),
                time_to_healthy: fault.healthy.map(|healthy| healthy.since(fault.begin)),
                problems,
            }
        };
        let mut rows: Vec<Row> = faults.iter().map(row).collect();
        rows.sort_by_key(|row| row.begin);
        let since = |moments: &[Moment]| moments.iter().map(|at| at.since(begin)).collect();
        let excuses = checked.excuses().into_iter();
        Self {
            title: title.to_owned(),
            about: about.to_owned(),
            length: moments().max().unwrap_or(nothing).since(begin),
            rows,
            total: checked.counts(None),
            excused: excuses
                .map(|(reason, count)| (reason.to_owned(), count))
                .collect(),
            problems: checked.problems(None),
            smtp: since(&smtp),
            imap: since(&imap),
        }
    }

    /// No acknowledged message is missing outside of documented losses, none was changed, and no row is red. Books in which nothing
    /// was acknowledged prove nothing.
    #[must_use]
    pub fn is_green(&self) -> bool {
        self.problems.is_empty()
            && self.total.acknowledged > 0
            && self.rows.iter().all(|row| row.problems.is_empty())
    }

    /// Leaves `report.md`, `report.json` and `timeline.svg` in a folder.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self, folder: &Utf8Path) -> anyhow::Result<()> {
        fs_err::create_dir_all(folder)?;
        fs_err::write(folder.join("report.md"), markdown(self))?;
        let json = serde_json::to_string_pretty(self)? + "\n";
        fs_err::write(folder.join("report.json"), json)?;
        fs_err::write(folder.join("timeline.svg"), svg(self))?;
        Ok(())
    }
}

/// The table, what is wrong, what was excused.
#[must_use]
pub fn markdown(report: &Report) -> String {
    let mut text = format!("## {}\n\n", report.title);
    if !report.about.is_empty() {
        let _ = writeln!(text, "{}\n", report.about);
    }
    text.push_str(
        "| # | fault | SMTP outage | IMAP outage | sent | acknowledged | found | lost | documented loss | duplicated | time to healthy | verdict |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for (index, row) in report.rows.iter().enumerate() {
        let verdict = if row.problems.is_empty() {
            "green".to_owned()
        } else {
            format!("**red**: {}", row.problems.join("; "))
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} |",
            index + 1,
            cell(&row.fault),
            shown(row.smtp_outage),
            shown(row.imap_outage),
            sums(&row.counts),
            row.time_to_healthy.map_or("-".to_owned(), seconds),
            cell(&verdict)
        );
    }
    let total = &report.total;
    let verdict = if report.is_green() {
        "green"
    } else {
        "**red**"
    };
    let _ = writeln!(
        text,
        "| | all messages, {} | | | {} | | {verdict} |",
        seconds(report.length),
        sums(total)
    );
    let _ = writeln!(
        text,
        "\nChanged on the way: {}. Never acknowledged, but found: {}.",
        total.changed, total.unacknowledged
    );
    for (reason, count) in &report.excused {
        let _ = writeln!(text, "- documented loss, {count}: {reason}");
    }
    for problem in &report.problems {
        let _ = writeln!(text, "- **red**: {problem}");
    }
    if total.acknowledged == 0 {
        text.push_str("- **red**: nothing was acknowledged, so nothing is proven\n");
    }
    text
}

fn sums(counts: &Counts) -> String {
    format!(
        "{} | {} | {} | {} | {} | {}",
        counts.sent,
        counts.acknowledged,
        counts.found,
        counts.lost,
        counts.documented,
        counts.duplicated
    )
}

/// A text that does not end its cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn shown(gap: Gap) -> String {
    let time = seconds(gap.milliseconds);
    if gap.open {
        format!("{time}, not over")
    } else {
        time
    }
}

/// Milliseconds for people.
fn seconds(milliseconds: u64) -> String {
    match milliseconds {
        0..10_000 => format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100),
        10_000..600_000 => format!("{} s", milliseconds / 1000),
        _ => format!("{} min", milliseconds / 60_000),
    }
}

#[cfg(test)]
mod tests;
