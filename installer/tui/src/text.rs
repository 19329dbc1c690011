//! All English of the screens, so that it can be translated in one place.

use firmware::{
    Finding, Inventory, Weight,
    inventory::{Disk, Health, Nic},
};
use plan::{PlanError, layout::PoolLayout, size::decimal, step::Guard};
use roles::role::Purpose;

use crate::{
    message::Wait,
    state::{Screen, Wizard},
};

macro_rules! words {
    ($($name:ident = $text:literal;)*) => {
        $(
            #[doc = $text]
            pub const $name: &str = $text;
        )*
    };
}

words! {
    PRODUCT = "Rackwright";
    SIMULATED = "SIMULATED: no disk is written";
    STUCK = "This machine cannot be looked at";
    STUCK_HELP = "F12 opens a shell, q leaves";
    LOOKING = "Looking at this machine";
    LOOKING_DETAIL = "Disks, ports and the management controller are being asked. q leaves, F12 opens a shell.";

    KEY_HELP = "help";
    KEY_BACK = "back";
    KEY_SHELL = "root shell on this console";
    KEY_REDRAW = "draw everything again";
    KEY_RECORD = "save the recording of this session";
    KEY_KEYBOARD = "take the keyboard from another console";
    KEY_LEAVE = "leave";
    KEY_CHOOSE = "choose";
    KEY_UP = "up";
    KEY_DOWN = "down";
    KEY_LEFT = "left";
    KEY_RIGHT = "right";
    KEY_PAGE_UP = "ten lines up";
    KEY_PAGE_DOWN = "ten lines down";
    KEY_FIRST = "first line";
    KEY_LAST = "last line";
    KEY_NEXT = "next";
    KEY_STEP = "go to this step";
    KEY_RESCAN = "look again";
    KEY_DETAIL = "detail";
    KEY_WAIVE = "waive";
    KEY_USE = "use";
    KEY_LAYOUT = "layout";
    KEY_BLINK = "blink";
    KEY_TABLE = "table";
    KEY_WHAT_LIES = "what lies on it";
    KEY_GUARDS = "what is guarded, and may be destroyed";
    KEY_ROLE_DISKS = "disks as the role has them";
    KEY_EDIT = "edit";
    KEY_PREFLIGHT = "ask the network";
    KEY_BLINK_PORT = "blink";
    KEY_EMPTY = "empty";
    KEY_TEST = "test";
    KEY_ASK_PEERS = "ask the peers";
    KEY_REMOVE = "remove";
    KEY_INSTALL = "confirm";
    KEY_DRY_RUN = "dry run";
    KEY_SAVE = "save node file";
    KEY_LOG = "log";
    KEY_RETRY = "retry";
    KEY_PLAN = "back to the plan";
    KEY_BUNDLE = "save report";
    KEY_RESTART = "restart";
    KEY_JOURNAL = "log";
    KEY_REFRESH = "refresh";
    KEY_LOGIN = "log in";
    KEY_TAKE = "take";
    KEY_MARK = "mark";
    KEY_READ = "read";
    KEY_CLOSE = "close";

    NODE = "node";
    HOST_NAME = "name";
    DOMAIN = "domain";
    PORT = "port";
    ADDRESS = "address";
    GATEWAY = "gateway";
    VLAN = "VLAN";
    MTU = "MTU";
    SERVICES = "services";
    NAME_SERVERS = "name servers";
    TIME_SERVERS = "time servers";
    NONE = "none";
    NOT_USED = "not used";
    NETWORK_LEFT_OUT = "this network is left out";
    BY_DHCP = "by DHCP";
    UNTAGGED = "untagged";
    BOND = "bond, one port waits (active-backup)";
    WANTED = "wanted";
    BMC_PORT = "port";
    BMC_USER = "user";
    AS_IT_IS = "as it is";
    LOGIN = "log-in";
    USER = "user";
    SSH_KEY = "SSH key";
    NEW_SSH_KEY = "add a key";
    PEERS = "cluster";
    PEER = "machine";
    NEW_PEER = "add machine";
    CHOOSE = "Choose";

    ADDRESS_OR_DHCP = "write `dhcp`, or an address with prefix such as 192.0.2.10/24";
    GATEWAY_BY_DHCP = "with DHCP the gateway comes from the server; give an address first";
    GATEWAY_FAR = "the gateway is in none of this network's addresses";
    MTU_RANGE = "an MTU is a number from 1280 to 9216";
    VLAN_RANGE = "a VLAN is a number from 1 to 4094; leave it empty for untagged";
    NAME_FORM = "a name has lower case letters, digits and hyphens, 63 at most, no hyphen at an end";
    CIDR_FORM = "an address with prefix looks like 192.0.2.10/24";
    ADDRESS_FORM = "an address looks like 192.0.2.1";
    BMC_USER_LENGTH = "at most 16 characters, no blanks (IPMI 2.0)";
    USER_FORM = "lower case letters, digits, - and _; begins with a letter; not root";
    SSH_KEY_FORM = "a public key as in an id_*.pub file: kind, blank, key";
    PEER_FORM = "write: name role network=address, such as `galera-2 galera cluster=10.0.0.12`";
    REASON_SHORT = "say why it is accepted; it goes into the report";

    LOOKED = "looked at the machine again";
    STATUS_UNREADABLE = "the status of this machine cannot be read";
    PLAN_CHANGED = "the plan is another one now: read it and confirm it again";
    NO_PLAN = "there is no plan like this: step 3 says why";
    PLANNED_ANEW = "the plan was made anew";
    NO_SHELL = "the node file allows no shell here";
    LEAVE_QUESTION = "Leave this program?";
    LEAVE = "leave";
    LEAVE_DETAIL = "an install that runs goes on";
    STAY = "no";
    NOTHING_TO_SAVE = "there is nothing to save yet";
    SAVE_NODE_FILE = "Save the node file";
    SAVE_BUNDLE = "Save what an engineer needs";
    TO_STICK = "USB stick";
    TO_STICK_DETAIL = "its file system or partition is named RACKWRIGHT";
    TO_DEPOT = "depot";
    NO_DEPOT = "none is known";
    TO_FOLDER = "this system";
    TO_FOLDER_DETAIL = "into /run/rackwright, gone after a restart";
    AS_CODE = "on the screen";
    AS_CODE_DETAIL = "a QR code of the error for a telephone";
    RESTART_QUESTION = "Restart from the disks?";
    RESTART = "restart";
    RESTART_DETAIL = "take the stick out first";
    RESTART_APPLIANCE = "Restart this appliance?";
    RESTART_APPLIANCE_DETAIL = "its services stop until it is up again";
    CANNOT_BE_WAIVED = "this cannot be waived: the role cannot work without it";
    NOTHING_TO_WAIVE = "this is as expected";
    EMPTY_BAY = "there is no disk here";
    NO_DATA_GROUP = "this role has no data disks";
    KEEP_DATA = "keep the data";
    KEEP_DATA_DETAIL = "install the system anew, leave data disks as they are";
    NEW_DATA = "make the data anew";
    NEW_DATA_DETAIL = "all that lies on the data disks is destroyed";
    LAYOUT_OF_DATA = "Layout of the data disks, room before overhead";
    NOTHING_GUARDED = "nothing of others lies on the disks of this plan";
    GUARDED = "Guarded: choose what may be destroyed";
    NO_PORT_HERE = "mark a network that has a port";
    CANNOT_INSTALL = "This cannot be confirmed yet";
    DRY_RUN = "Every command, nothing is carried out";
    LOG = "Log";

    TASK_INSTALL = "Install";
    TASK_REPAIR = "Repair or rescue";
    TASK_DECOMMISSION = "Decommission";
    TASK_INSTALL_DETAIL = "make this machine an appliance of its role";
    TASK_REPAIR_DETAIL = "bring back what a changed disk took away, or look around";
    TASK_DECOMMISSION_DETAIL = "empty all its disks; nothing is installed";
    THIS_MACHINE = "This machine";
    WHAT_WAS_FOUND = "What was found";
    WHAT_TO_DO = "What shall be done?";
    BOARD = "board";
    BOARD_SERIAL = "serial";
    MEMORY = "memory";
    PROCESSORS = "processors";
    DISKS = "disks";
    PORTS = "ports";
    FIRMWARE = "firmware";
    ROLE = "role";
    IMAGE = "image";
    NODE_FILE = "node file";
    DEPOT = "depot";
    EARLIER = "on the disks";
    NOTHING_FOUND = "nothing that is known";
    NO_NODE_FILE = "none: this program makes one";
    EXPECTED = "expected";
    FOUND = "found";
    WHAT_HELPS = "what helps";
    NO_FINDINGS = "nothing was compared";
    FRONT = "front";
    NO_BAY = "without a bay";
    LEGEND = "O os  D data  L log  C cache  X special  S spare  - not used  ! fault";
    SURVIVES = "What it survives";
    NO_PLAN_BECAUSE = "There is no plan, because";
    PORT_HEAD = "port        link      MAC address        driver     place / neighbour";
    ONBOARD = "board";
    CURRENT = "current";
    BMC_NONE = "this machine has no management controller that answers";
    BMC_LATER = "Settings that stay empty are left as they are. t asks the controller.";
    CLUSTER_AFTER = "After the restart";
    DESTROYED = "All content of these disks is destroyed";
    KEPT = "These disks keep their content";
    STEPS = "Steps";
    TYPE_NAME = "Type the name of the node to go on";
    NOTHING_UNDONE = "What is destroyed cannot be brought back.";
    OVERALL = "overall";
    FAILED = "FAILED";
    TRY = "r tries again; p goes back to the plan; F12 opens a shell; b saves a report";
    WAITING_FOR_INSTALL = "the install begins";
    INSTALLED = "is installed.";
    DECOMMISSIONED = "is empty: nothing can be started from its disks.";
    NOW = "What to do now";
    NOW_STICK = "Take the installation medium out (USB stick, virtual CD, network boot).";
    NOW_CABLES = "Connect all cables as in the cable plan.";
    NOW_RESTART = "Restart: Enter. The machine starts from its disks and shows its state here.";
    NOW_POWER = "Switch the machine off.";
    WORK_ORDER = "To set in the firmware's menu (BIOS)";
    HEALTHY = "HEALTHY";
    NOT_HEALTHY = "NOT HEALTHY";
    STATUS_WAIT = "Looking at this machine";
    CHECKS = "Health";
    NETWORKS = "Networks";
    STORAGE = "Storage";
    HELP = "Keys";
    TOO_SMALL = "the window is too small: 60 x 16 at least";
    CODE_TOO_LARGE = "the window is too small for the picture; save the report to a stick";
    RED_PROBLEMS = "what is wrong with the node file";
    OTHER_HOLDS = "Ctrl-T takes the keyboard";
}

/// Name of a step in the line of steps.
#[must_use]
pub fn step(screen: Screen) -> &'static str {
    match screen {
        Screen::Welcome => "Start",
        Screen::Hardware => "Hardware",
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
    let sentence = layout.sentence(size);
    let usable = sentence
        .split_once("usable ")
        .and_then(|(_, rest)| rest.split_once(" before"))
        .map_or("-", |(usable, _)| usable);
    format!("{usable}, any {} may fail: {layout}", layout.tolerates())
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
    if !role.services.masked.is_empty() {
        lines.push(format!(
            "waits for the join before it starts {}",
            list(&role.services.masked)
        ));
    }
    lines
}
