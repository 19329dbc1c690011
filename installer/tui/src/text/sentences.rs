//! Sentences that are made from values.

use firmware::{
    Finding, Inventory, Weight,
    inventory::{Disk, Health, Nic},
};
use plan::{PlanError, layout::PoolLayout, size::decimal, step::Guard};
use roles::role::Purpose;
use run::node_source::stick::Stick;

use super::words::*;
use crate::{
    message::Wait,
    state::{Screen, Task, Wizard},
};

/// Name of a step in the line of steps.
#[must_use]
pub fn step(screen: Screen) -> &'static str {
    match screen {
        Screen::Welcome => "Start",
        Screen::Hardware => "Hardware",
        Screen::Repair => "Repair",
        Screen::Disks => "Disks",
        Screen::Network => "Network",
        Screen::Bmc => "BMC",
        Screen::Cluster => "Cluster",
        Screen::Review => "Review",
        Screen::Progress => "Install",
        Screen::Done => "Done",
        Screen::Console => "Status",
    }
}

/// What a screen is for: first line of its help.
#[must_use]
pub fn about(screen: Screen) -> &'static str {
    match screen {
        Screen::Welcome => {
            "What this machine is, and what shall be done with it. Nothing is written before Review."
        }
        Screen::Hardware => {
            "This machine against the reference of its role, worst first. What blocks must be mended or waived with a reason."
        }
        Screen::Repair => {
            "The installed system, its disks and what it lacks. Only a new disk is written; the plan comes before."
        }
        Screen::Disks => {
            "Every bay and its planned use. A change is planned at once; what it survives stands beside it."
        }
        Screen::Network => {
            "Ports of this machine, and the networks that lie on them. Values are checked as they are typed."
        }
        Screen::Bmc => "The management controller: what it is set to, and what it shall be set to.",
        Screen::Cluster => "Who may log in, and the other machines of the cluster.",
        Screen::Review => {
            "The plan, step by step, with all that it destroys. It begins after the node's name was typed."
        }
        Screen::Progress => {
            "The install runs in a process of its own: it goes on if this program ends."
        }
        Screen::Done => "What is left to do at the machine.",
        Screen::Console => "How this appliance is. It is looked at again every few seconds.",
    }
}

/// Which port of the board a management controller uses.
#[must_use]
pub fn bmc_mode(mode: Option<&str>) -> &'static str {
    match mode {
        Some("dedicated") => "only its own port",
        Some("shared") => "the first port of the board, beside the system",
        Some("failover") => "its own port, else the first of the board",
        _ => "left as it is",
    }
}

/// `10 Gb/s`, `no link`.
#[must_use]
pub fn link(nic: &Nic) -> String {
    match (nic.carrier, nic.speed) {
        (Some(false), _) => "no link".to_owned(),
        (_, Some(speed)) if speed >= 1000 => format!("{} Gb/s", speed / 1000),
        (_, Some(speed)) => format!("{speed} Mb/s"),
        (Some(true), None) => "link".to_owned(),
        (None, None) => "not known".to_owned(),
    }
}

/// A purpose's word.
#[must_use]
pub fn purpose(purpose: Option<Purpose>) -> &'static str {
    match purpose {
        Some(purpose) => plan::select::purpose(purpose),
        None => "not used",
    }
}

/// What a purpose means.
#[must_use]
pub fn purpose_detail(purpose: Option<Purpose>) -> &'static str {
    match purpose {
        Some(Purpose::Os) => "mirror of the system; each disk starts the machine alone",
        Some(Purpose::Data) => "what the role keeps",
        Some(Purpose::Log) => "intent log of the pool, mirrored",
        Some(Purpose::Cache) => "read cache of the pool",
        Some(Purpose::Special) => "metadata and small blocks of the pool, mirrored",
        Some(Purpose::Spare) => "waits, and takes the place of a data disk that fails",
        None => "never opened for writing",
    }
}

/// Letter of a purpose in the drawing.
#[must_use]
pub fn letter(purpose: Option<Purpose>) -> char {
    match purpose {
        Some(Purpose::Os) => 'O',
        Some(Purpose::Data) => 'D',
        Some(Purpose::Log) => 'L',
        Some(Purpose::Cache) => 'C',
        Some(Purpose::Special) => 'X',
        Some(Purpose::Spare) => 'S',
        None => '-',
    }
}

/// `front 3`, or the serial number.
#[must_use]
pub fn place(disk: &Disk) -> String {
    match &disk.bay {
        Some(bay) => format!("{} {}", bay.side, bay.slot),
        None => disk
            .paths
            .first()
            .map_or_else(|| "-".to_owned(), |path| path.kernel_name.clone()),
    }
}

/// Title of what is done with a disk.
#[must_use]
pub fn use_of(disk: &Disk) -> String {
    format!(
        "{}: {} {}, {}",
        place(disk),
        disk.model.as_deref().unwrap_or("disk"),
        disk.serial.as_deref().unwrap_or("-"),
        decimal(disk.size)
    )
}

/// A layout of a pool in one line; room and failures first, since the end may be cut off.
#[must_use]
pub fn pool_layout(layout: &PoolLayout, size: u64) -> String {
    let (sentence, tolerates) = (layout.sentence(size), layout.tolerates());
    let usable = sentence
        .split_once("usable ")
        .and_then(|(_, rest)| rest.split_once(" before"))
        .map_or("-", |(usable, _)| usable);
    // One of one is no news, and there are 51 columns.
    let layout = layout.to_string().replace("distributed ", "");
    let layout = layout.strip_prefix("1 x ").unwrap_or(&layout);
    format!("{usable}, {tolerates} may fail: {layout}")
}

/// A layout of an array in one line.
#[must_use]
pub fn array_layout(usable: &str, lost: usize) -> String {
    match lost {
        1 => format!("{usable}, any 1 disk may fail"),
        lost => format!("{usable}, any {lost} disks may fail"),
    }
}

/// Not for so many disks.
#[must_use]
pub fn layout_does_not_fit(count: usize) -> String {
    format!("not with {count} disks")
}

/// Twice in a list.
#[must_use]
pub fn peer_twice(name: &str) -> String {
    format!("`{name}` is in the list already")
}

/// A network that is not there.
#[must_use]
pub fn no_network(name: &str) -> String {
    format!("the network `{name}` is not used; choose a port for it first")
}

/// Who holds the keyboard.
#[must_use]
pub fn keyboard_taken(console: &str) -> String {
    format!("the keyboard is now at {console}")
}

/// Who holds the keyboard.
#[must_use]
pub fn keyboard_elsewhere(console: &str) -> String {
    format!("the keyboard is at {console}; {OTHER_HOLDS}")
}

/// What came of asking the network.
#[must_use]
pub fn network_asked(checks: usize, bad: usize) -> String {
    match bad {
        0 => format!("the network was asked: {checks} checks, nothing blocks"),
        bad => format!("the network was asked: {bad} of {checks} checks block"),
    }
}

/// Asked twice.
#[must_use]
pub fn already_waiting(what: Wait) -> String {
    format!("already {}", waiting(what))
}

/// What is waited for.
#[must_use]
pub fn waiting(what: Wait) -> &'static str {
    match what {
        Wait::Probe => "looking at the machine",
        Wait::Network => "asking the network",
        Wait::Bmc => "asking the management controller",
        Wait::Save => "writing a file",
        Wait::Installed => LOOKING_FOR_INSTALLED,
        Wait::Start => "starting the install",
        Wait::Light => "switching a light",
        Wait::Status => "looking at the appliance",
        Wait::Restart => "restarting",
    }
}

/// Something else was typed.
#[must_use]
pub fn not_the_name(typed: &str, word: &str) -> String {
    if typed.is_empty() {
        format!("type `{word}`; nothing was written")
    } else {
        format!("`{typed}` is not `{word}`; nothing was written")
    }
}

/// First line of an error.
#[must_use]
pub fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// What to do.
#[must_use]
pub fn hint(text: &str) -> String {
    format!("hint: {text}")
}

/// Why a disk is no choice.
#[must_use]
pub fn cannot_be_used(reason: &str) -> String {
    format!("this disk is never used: {reason}")
}

/// A finding's weight.
#[must_use]
pub fn weight(finding: &Finding) -> &'static str {
    match (finding.weight, finding.waived.is_some()) {
        (Weight::Fail | Weight::Warn, true) => "waived",
        (Weight::Fail, false) => "FAIL",
        (Weight::Warn, false) => "warn",
        (Weight::Info, _) => "info",
        (Weight::Pass, _) => "ok",
    }
}

/// A finding in full.
#[must_use]
pub fn finding(finding: &Finding) -> Vec<String> {
    let mut lines = vec![
        format!("{}  [{}]", weight(finding), finding.id),
        String::new(),
        format!("{EXPECTED}: {}", finding.expected),
        format!("{FOUND}:    {}", finding.found),
    ];
    if let Some(advice) = &finding.advice {
        lines.push(format!("{WHAT_HELPS}: {advice}"));
    }
    if let Some(reason) = &finding.waived {
        lines.push(format!("waived: {reason}"));
    } else if finding.blocks() {
        lines.push(
            if finding.waivable {
                "blocks the install; w sets it aside with a reason"
            } else {
                "blocks the install and cannot be waived"
            }
            .to_owned(),
        );
    }
    lines
}

/// One guarded thing.
#[must_use]
pub fn guard(guard: &Guard, allowed: bool) -> String {
    format!(
        "[{}] {} {}",
        if allowed { 'x' } else { ' ' },
        guard.kind,
        guard.name.as_deref().unwrap_or(&guard.key)
    )
}

/// A disk with all that is known of it, and what lies on it, from what uses others to what carries others.
#[must_use]
pub fn what_lies(disk: &Disk, inventory: &Inventory) -> Vec<String> {
    let mut lines = disk_lines(disk);
    let mut holders: Vec<_> = inventory
        .found
        .iter()
        .filter(|holder| holder.disks.contains(&disk.id))
        .collect();
    holders.sort_by_key(|holder| level(&holder.kind));
    lines.push(String::new());
    if holders.is_empty() {
        lines.push("nothing is known to lie on it".to_owned());
    } else {
        lines.push("on it now; taken down from top to bottom:".to_owned());
    }
    for (depth, holder) in holders.into_iter().enumerate() {
        let words: Vec<&str> = [
            Some(holder.kind.as_str()),
            holder.name.as_deref(),
            holder.detail.as_deref(),
            holder.host.as_deref(),
            holder.active.then_some("(running)"),
        ]
        .into_iter()
        .flatten()
        .collect();
        let disks = holder.disks.len();
        lines.push(format!(
            "{:indent$}- {}, on {disks} disk{}",
            "",
            words.join(" "),
            if disks == 1 { "" } else { "s" },
            indent = depth * 2
        ));
    }
    lines
}

/// How far up something stands.
fn level(kind: &str) -> usize {
    match kind {
        "gpt" | "mbr" => 4,
        "md" | "imsm" | "ddf" | "mpath" => 3,
        "lvm" | "bcache" => 2,
        "zfs" => 1,
        _ => 0,
    }
}

/// Facts of a disk.
#[must_use]
pub fn disk_lines(disk: &Disk) -> Vec<String> {
    let known = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let paths: Vec<&str> = disk
        .paths
        .iter()
        .map(|path| path.kernel_name.as_str())
        .collect();
    vec![
        format!(
            "{} {}, {}",
            known(&disk.vendor),
            known(&disk.model),
            decimal(disk.size)
        ),
        format!("serial  {}", known(&disk.serial)),
        format!("WWN     {}", known(&disk.wwn)),
        format!("paths   {}: {}", disk.paths.len(), paths.join(" ")),
        format!("health  {}", health(disk)),
    ]
}

/// What a disk says of itself.
#[must_use]
pub fn health(disk: &Disk) -> String {
    if let Some(fault) = disk.faults.first() {
        return format!("FAULT {fault}");
    }
    match &disk.health {
        Some(Health::Passed) => "passed".to_owned(),
        Some(Health::Warned { cause } | Health::Failing { cause }) => cause.clone(),
        Some(Health::Unknown) | None => "not told".to_owned(),
    }
}

/// What keeps the plan from being confirmed.
#[must_use]
pub fn obstacles(wizard: &Wizard) -> Vec<String> {
    let mut lines = Vec::new();
    if wizard.task == Task::Repair {
        lines.extend(wizard.proposal.problems.iter().cloned());
        if let Some(plan) = wizard.plan().filter(|plan| plan.steps.is_empty()) {
            lines.extend(plan.notes.iter().cloned());
        }
        if lines.is_empty() && !wizard.progress.running() {
            lines.push(LOOKING_FOR_INSTALLED.to_owned());
        }
        if !lines.is_empty() {
            return lines
                .iter()
                .flat_map(|line| line.lines())
                .map(str::to_owned)
                .collect();
        }
    }
    if let Some(error) = &wizard.proposal.error {
        lines.push(format!("Disks or ports (steps {} and {}):", 3, 4));
        lines.extend(error.to_string().lines().map(|line| format!("  {line}")));
        if matches!(error, PlanError::Guarded { .. }) {
            lines.push("  g in step 3 lets something be destroyed by name".to_owned());
        }
    }
    if !wizard.proposal.problems.is_empty() {
        lines.push(format!("Node file ({RED_PROBLEMS}, steps 4 to 6):"));
        lines.extend(
            wizard
                .proposal
                .problems
                .iter()
                .map(|problem| format!("  {problem}")),
        );
    }
    let blocking: Vec<String> = wizard
        .findings()
        .into_iter()
        .filter(|finding| finding.blocks())
        .map(|finding| format!("  {}: {}", finding.part, finding.found))
        .collect();
    if !blocking.is_empty() {
        lines.push("Hardware (step 2): mend it, or waive it with a reason".to_owned());
        lines.extend(blocking);
    }
    if lines.is_empty() {
        lines.push("an install is running".to_owned());
    }
    lines
}

/// More than there is room for.
#[must_use]
pub fn more_lines(count: usize) -> String {
    format!("and {count} more: d shows all of them")
}

/// More than there is room for, on the way to the plan.
#[must_use]
pub fn more_with_enter(count: usize) -> String {
    format!("and {count} more lines: Enter, then d, shows all")
}

/// More that is not right than there is room for.
#[must_use]
pub fn more_of_status(count: usize) -> String {
    format!("and {count} more lines: log in, `rackwright-installer status`")
}

/// Of a stick, as it is labelled.
#[must_use]
pub fn stick(stick: &Stick) -> String {
    let model = match stick.model.as_str() {
        "" => "stick without a name",
        model => model,
    };
    format!("{model}, {}", decimal(stick.size))
}

/// Of memory, in bytes.
#[must_use]
pub fn memory_free(available: u64, total: u64) -> String {
    format!(
        "memory {} of {} free",
        plan::size::binary(available),
        plan::size::binary(total)
    )
}

/// Of an installed system.
#[must_use]
pub fn disks_missing(all: usize, missing: usize) -> String {
    match missing {
        0 => format!("all {all} disks are there"),
        _ => format!("{missing} of {all} disks MISSING"),
    }
}

/// Size of a repair.
#[must_use]
pub fn repair_steps(steps: usize, destroyed: usize) -> String {
    format!("{steps} steps, {destroyed} disk(s) written; Enter shows them, nothing begins yet")
}

/// `1 h 5 min`, `12 s`.
#[must_use]
pub fn duration(seconds: u64) -> String {
    match seconds {
        0..=99 => format!("{seconds} s"),
        100..=5999 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// How much is destroyed, for the last question.
#[must_use]
pub fn destroys(count: usize, node: &str) -> String {
    match count {
        1 => format!("All content of 1 disk of `{node}` is destroyed."),
        count => format!("All content of {count} disks of `{node}` is destroyed."),
    }
}

/// What the machine does after the restart, from the role's data.
#[must_use]
pub fn after_restart(wizard: &Wizard) -> Vec<String> {
    let role = &wizard.facts.role;
    let list = |units: &[String]| {
        units
            .iter()
            .map(|unit| unit.trim_end_matches(".service"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let mut lines = vec![format!("role {}: {}", role.name, role.summary)];
    if !role.services.start.is_empty() {
        lines.push(format!("starts {}", list(&role.services.start)));
    }
    if !role.join.is_empty() {
        let steps: Vec<&str> = role.join.iter().map(|step| step.id.as_str()).collect();
        lines.push(format!("joins the cluster by {}", steps.join(", ")));
    }
    lines
}
