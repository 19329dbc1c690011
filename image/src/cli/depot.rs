//! `rackwright depot`, `arm`, `disarm` and `approve`: an operator's side of a running depot.

use std::io::Write;
use std::time::Duration;

use anyhow::{Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;
use depot::admin::{self, Ask};
use depot::view::{Permit, Rack};
use tui::report::Report;

/// Folder of the depot, where `serve` has its own.
pub const STATE: &str = "depot";

#[derive(Debug, Args)]
pub struct Depot {
    /// A report to print instead: NODE/NAME, as the list shows it
    #[arg(long, value_name = "NODE/NAME")]
    report: Option<String>,
    /// Play the report on the installer's screens; Ctrl-C ends it
    #[arg(long, requires = "report")]
    replay: bool,
    /// Folder of the depot
    #[arg(long, value_name = "DIR", default_value = STATE)]
    state: Utf8PathBuf,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct Arm {
    /// Machines
    #[arg(value_name = "NODE", required = true)]
    nodes: Vec<String>,
    /// Leave data disks as they are
    #[arg(long)]
    keep_data: bool,
    /// How long the permit may be used: 30m, 1h, 2d
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = duration)]
    expires: Duration,
    /// Take the first machine with the right board serial for the right one,
    /// without comparing fingerprints
    #[arg(long)]
    on_sight: bool,
    /// Folder of the depot
    #[arg(long, value_name = "DIR", default_value = STATE)]
    state: Utf8PathBuf,
}

#[derive(Debug, Args)]
pub struct Disarm {
    /// Machines
    #[arg(value_name = "NODE", required = true)]
    nodes: Vec<String>,
    /// Folder of the depot
    #[arg(long, value_name = "DIR", default_value = STATE)]
    state: Utf8PathBuf,
}

#[derive(Debug, Args)]
pub struct Approve {
    /// Machine
    node: String,
    /// Fingerprint, as the machine's screen shows it
    fingerprint: String,
    /// Folder of the depot
    #[arg(long, value_name = "DIR", default_value = STATE)]
    state: Utf8PathBuf,
}

/// `90s`, `30m`, `1h`, `2d`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no time\nhint: a number with s, m, h or d, such as 1h");
    let at = text
        .find(|letter: char| !letter.is_ascii_digit())
        .ok_or_else(wrong)?;
    let (number, unit) = text.split_at(at);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    number
        .checked_mul(seconds)
        .map(Duration::from_secs)
        .ok_or_else(wrong)
}

pub fn show(arguments: &Depot) -> Result<u8> {
    let mut out = std::io::stdout().lock();
    if let Some(report) = &arguments.report {
        let Some((node, name)) = report.split_once('/') else {
            bail!("`{report}` is no report\nhint: NODE/NAME, as `rackwright depot` lists them");
        };
        if arguments.replay {
            replay(&arguments.state, node, name)?;
            return Ok(0);
        }
        write!(out, "{}", kept(&arguments.state, node, name)?)?;
        return Ok(0);
    }
    let rack = rack(&arguments.state)?;
    if arguments.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&rack)?)?;
    } else {
        write!(out, "{}", text(&rack))?;
    }
    Ok(0)
}

fn kept(state: &Utf8Path, node: &str, name: &str) -> Result<String> {
    let (node, name) = (node.to_owned(), name.to_owned());
    Ok(admin::ask(state, &Ask::Report { node, name })?)
}

/// Events of the one report, and the machine from the bundle of the same install, if it left one.
fn replay(state: &Utf8Path, node: &str, name: &str) -> Result<()> {
    let asked = Report::read(&kept(state, node, name)?);
    let rack = rack(state)?;
    let machine = rack.machines.iter().find(|machine| machine.node == node);
    let install = name.split('.').next().unwrap_or(name);
    let beside = machine
        .into_iter()
        .flat_map(|machine| &machine.reports)
        .filter(|report| report.name != name && report.name.split('.').next() == Some(install))
        .filter_map(|report| kept(state, node, &report.name).ok());
    let mut reports = vec![asked];
    reports.extend(beside.map(|text| Report::read(&text)));
    super::tui::report(machine.map_or("control", |machine| &machine.role), &reports)
}

/// What the depot of a folder knows.
pub fn rack(state: &Utf8Path) -> Result<Rack> {
    Ok(admin::ask(state, &Ask::Rack)?)
}

pub fn arm(arguments: &Arm) -> Result<u8> {
    for node in &arguments.nodes {
        let permit = arm_one(
            &arguments.state,
            node,
            arguments.keep_data,
            arguments.expires,
            arguments.on_sight,
        )?;
        let keep = if permit.keep_data {
            ", data disks are left as they are"
        } else {
            ""
        };
        writeln!(
            std::io::stdout(),
            "{node}: may be installed once within {} s, permit {}{keep}",
            arguments.expires.as_secs(),
            permit.id
        )?;
    }
    Ok(0)
}

/// Arms one machine.
pub fn arm_one(
    state: &Utf8Path,
    node: &str,
    keep_data: bool,
    time: Duration,
    on_sight: bool,
) -> Result<Permit> {
    let wish = Ask::Arm {
        node: node.to_owned(),
        keep_data,
        seconds: time.as_secs(),
        on_sight,
    };
    let permit: Option<Permit> = admin::ask(state, &wish)?;
    permit.ok_or_else(|| anyhow::anyhow!("the depot gave no permit for `{node}`"))
}

pub fn disarm(arguments: &Disarm) -> Result<u8> {
    for node in &arguments.nodes {
        let node = node.clone();
        let _: Option<Permit> = admin::ask(&arguments.state, &Ask::Disarm { node: node.clone() })?;
        writeln!(std::io::stdout(), "{node}: may not be installed")?;
    }
    Ok(0)
}

pub fn approve(arguments: &Approve) -> Result<u8> {
    let wish = Ask::Approve {
        node: arguments.node.clone(),
        fingerprint: arguments.fingerprint.clone(),
    };
    let _: Option<Permit> = admin::ask(&arguments.state, &wish)?;
    writeln!(std::io::stdout(), "{}: goes on", arguments.node)?;
    Ok(0)
}

fn text(rack: &Rack) -> String {
    let wide = |name: fn(&depot::view::Machine) -> &str, least: usize| {
        let longest = rack.machines.iter().map(|machine| name(machine).len());
        longest.max().unwrap_or(0).max(least)
    };
    let (node, role) = (
        wide(|machine| &machine.node, 4),
        wide(|machine| &machine.role, 4),
    );
    let mut text = format!("{:node$}  {:role$}  STATE\n", "NODE", "ROLE");
    for machine in &rack.machines {
        let step = machine
            .step
            .as_ref()
            .map(|step| format!("{:>3} % [{}/{}] ", step.percent, step.number, step.of));
        let line = format!(
            "{:node$}  {:role$}  {:10}  {}{}",
            machine.node,
            machine.role,
            board::words::phase(machine.phase),
            step.unwrap_or_default(),
            machine.line.as_deref().unwrap_or_default()
        );
        text.push_str(line.trim_end());
        text.push('\n');
        for report in &machine.reports {
            let failed = if report.failed { "failed: " } else { "" };
            text.push_str(&format!(
                "{:node$}  {}/{}  {failed}{}\n",
                "", machine.node, report.name, report.summary
            ));
        }
    }
    if !rack.strangers.is_empty() {
        text.push_str("\nWaiting for approval\n");
    }
    for stranger in &rack.strangers {
        let guess = stranger.guess.as_deref().unwrap_or("NODE");
        text.push_str(&format!(
            "  {}  board {}, from {}\n    rackwright approve {guess} {}\n",
            stranger.fingerprint,
            stranger.board.as_deref().unwrap_or("unknown"),
            stranger.from,
            stranger.fingerprint
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use depot::view::{Machine, Phase, Report, Step, Stranger};

    #[test]
    fn times() {
        for (text, seconds) in [("90s", 90), ("30m", 1800), ("1h", 3600), ("2d", 172_800)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)));
        }
        for wrong in ["", "1", "h", "1w", "-1h", "1.5h", "99999999999999999999d"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_list() {
        let machine = |node: &str, phase| Machine {
            node: node.into(),
            role: "galera".into(),
            place: None,
            board: None,
            phase,
            permit: None,
            step: None,
            line: None,
            warnings: Vec::new(),
            heard: None,
            reports: Vec::new(),
            unwell: Default::default(),
        };
        let rack = Rack {
            machines: vec![
                Machine {
                    step: Some(Step {
                        number: 3,
                        of: 16,
                        title: "write the root image".into(),
                        percent: 14,
                    }),
                    line: Some("write the root image".into()),
                    ..machine("db1", Phase::Installing)
                },
                Machine {
                    line: Some("disk gone".into()),
                    reports: vec![Report {
                        name: "1-ab.jsonl".into(),
                        at: 1,
                        summary: "disk gone".into(),
                        failed: true,
                        size: 9,
                    }],
                    ..machine("db2", Phase::Failed)
                },
                machine("db3", Phase::New),
            ],
            strangers: vec![Stranger {
                fingerprint: "abcd-efgh".into(),
                board: Some("ZM3".into()),
                addresses: Vec::new(),
                from: "10.77.10.33".into(),
                guess: Some("db3".into()),
                heard: 1,
            }],
            ..Rack::default()
        };
        insta::assert_snapshot!(text(&rack), @r"
        NODE  ROLE    STATE
        db1   galera  installing   14 % [3/16] write the root image
        db2   galera  failed      disk gone
              db2/1-ab.jsonl  failed: disk gone
        db3   galera  new

        Waiting for approval
          abcd-efgh  board ZM3, from 10.77.10.33
            rackwright approve db3 abcd-efgh
        ");
    }
}
