//! Everything the screens show. It changes only in [`crate::update`], and is drawn from `&State`.

use std::collections::BTreeMap;

use firmware::{
    Finding,
    inventory::{Disk, DiskId},
};
use plan::{Plan, step::PlannedDisk};
use roles::{NodeFile, node::Shell, role::Layout, role::Purpose};
use run::{appliance::status::Status, node_source::stick::Stick};
use tui_input::Input;

use crate::{
    chassis::{self, Spot},
    draft::{self, Carrier},
    facts::{Facts, Mode},
    fields::{self, FieldId},
    message::{Installed, Neighbour, Place, Wait},
    progress::Progress,
    proposal::{self, Proposal},
};

/// All of it, the same on every console of a machine.
#[derive(Debug, Default)]
pub struct State {
    /// Time of the last message, in milliseconds.
    pub now: u64,
    /// Console whose keys count; nobody's until one is pressed.
    pub keyboard: Option<String>,
    /// Why there is no first message.
    pub stuck: Option<String>,
    /// What follows from the first message; absent while the machine is looked at for the first time.
    pub wizard: Option<Box<Wizard>>,
}

/// A screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Screen {
    /// What this machine is, and what to do.
    Welcome,
    /// Against the reference.
    Hardware,
    /// The installed system, and what it lacks.
    Repair,
    /// Bays and their uses.
    Disks,
    /// Ports, bonds, VLANs, addresses.
    Network,
    /// The management controller.
    Bmc,
    /// Who may log in, who else is in the rack.
    Cluster,
    /// The plan, to be confirmed.
    Review,
    /// The install at work.
    Progress,
    /// What to do now.
    Done,
    /// The running appliance.
    Console,
}

impl Screen {
    /// Steps of the wizard in order.
    pub const STEPS: [Self; 7] = [
        Self::Welcome,
        Self::Hardware,
        Self::Disks,
        Self::Network,
        Self::Bmc,
        Self::Cluster,
        Self::Review,
    ];

    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Welcome,
        Self::Repair,
        Self::Hardware,
        Self::Disks,
        Self::Network,
        Self::Bmc,
        Self::Cluster,
        Self::Review,
        Self::Progress,
        Self::Done,
        Self::Console,
    ];
}

/// What the machine is to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// An appliance of the image's role.
    Install,
    /// What it was before a disk was changed; or a shell.
    Repair,
    /// Nothing: all its disks are emptied.
    Decommission,
}

/// Something said in the line above the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Good news.
    pub good: bool,
    /// Text.
    pub text: String,
}

/// What lies over the screen.
#[derive(Debug, Clone)]
pub enum Popup {
    /// Keys of the screen.
    Help {
        /// First line shown.
        scroll: usize,
    },
    /// One field.
    Edit {
        /// Which.
        field: FieldId,
        /// What is typed.
        input: Input,
        /// What is wrong with it.
        error: Option<String>,
    },
    /// A choice.
    Menu {
        /// Above it.
        title: String,
        /// Choices.
        items: Vec<MenuItem>,
        /// The marked one.
        selected: usize,
    },
    /// Text to read.
    Text {
        /// Above it.
        title: String,
        /// Lines.
        lines: Vec<String>,
        /// First line shown.
        scroll: usize,
    },
    /// The last question: the node's name must be typed.
    Confirm {
        /// Digest of the plan that is on the screen.
        digest: String,
        /// What must be typed.
        word: String,
        /// What is typed.
        input: Input,
        /// What is wrong with it.
        error: Option<String>,
    },
    /// A picture of a text for a telephone's camera.
    Code {
        /// The text in it.
        text: String,
    },
}

/// One line of a menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MenuItem {
    /// What it is called.
    pub label: String,
    /// What it means.
    pub detail: String,
    /// What it does; nothing if it cannot be chosen.
    pub choice: Option<Choice>,
}

/// What a menu line does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// The use of a disk.
    Use(DiskId, Option<Purpose>),
    /// The data group's layout.
    Layout(Layout),
    /// What carries a network.
    Carrier(String, Carrier),
    /// Which port of the board the management controller uses.
    BmcMode(Option<String>),
    /// Whether the consoles lead to a shell.
    Shell(Shell),
    /// Leave the data disks as they are, or not.
    KeepData(bool),
    /// Let something guarded be destroyed.
    Allow(String),
    /// Save the node file.
    Save(Place),
    /// Save what an engineer needs to know of a failure.
    Bundle(Place),
    /// Write the file that waits onto this stick.
    Stick(Stick),
    /// Show it as a picture.
    Code,
    /// Restart the machine.
    Restart,
    /// Leave the program.
    Leave,
    /// Nothing.
    Nothing,
}

/// Everything after the first message.
#[derive(Debug)]
pub struct Wizard {
    /// What was known at the start; the inventory changes with a new look.
    pub facts: Facts,
    /// The node file being made.
    pub node: NodeFile,
    /// What follows from both.
    pub proposal: Proposal,
    /// What to do with the machine.
    pub task: Task,
    /// The screen.
    pub screen: Screen,
    /// Screens before it.
    pub back: Vec<Screen>,
    /// Marked line of each screen.
    pub cursors: BTreeMap<Screen, usize>,
    /// What lies over the screen.
    pub popup: Option<Popup>,
    /// What is waited for, and since when.
    pub waits: BTreeMap<Wait, u64>,
    /// The last thing said.
    pub notice: Option<Notice>,
    /// The install.
    pub progress: Progress,
    /// Name and content of a file that waits for a stick.
    pub file: Option<(String, String)>,
    /// Digest of the plan that was confirmed last.
    pub confirmed: Option<String>,
    /// Disk whose light is on.
    pub light: Option<DiskId>,
    /// What the network was found to be; absent until it was asked.
    pub network: Option<Vec<Finding>>,
    /// Switch ports.
    pub neighbours: Vec<Neighbour>,
    /// What the management controller said.
    pub bmc: Vec<String>,
    /// The installed system that a repair is for; absent until it was looked for.
    pub installed: Option<Box<Installed>>,
    /// The running appliance.
    pub status: Option<Box<Status>>,
    /// Last lines of the log.
    pub journal: Vec<String>,
    /// The other view of the screen: a table for a drawing, the log for the steps.
    pub other_view: bool,
}

impl Wizard {
    /// From the first message.
    #[must_use]
    pub fn new(facts: Facts) -> Self {
        let node = draft::start(&facts);
        let proposal = proposal::propose(&facts, &node);
        let screen = match facts.mode {
            Mode::Install => Screen::Welcome,
            Mode::Console => Screen::Console,
        };
        Self {
            node,
            proposal,
            task: Task::Install,
            screen,
            back: Vec::new(),
            cursors: BTreeMap::new(),
            popup: None,
            waits: BTreeMap::new(),
            notice: None,
            progress: Progress::default(),
            file: None,
            confirmed: None,
            light: None,
            network: None,
            neighbours: Vec::new(),
            bmc: Vec::new(),
            installed: None,
            status: None,
            journal: Vec::new(),
            other_view: false,
            facts,
        }
    }

    /// After any change of node file or machine.
    pub fn propose(&mut self) {
        self.proposal = match self.task {
            Task::Decommission => proposal::decommission(&self.facts, &self.node),
            Task::Repair => proposal::repair(self.installed.as_deref()),
            Task::Install => proposal::propose(&self.facts, &self.node),
        };
        let last = self.length().saturating_sub(1);
        let cursor = self.cursors.entry(self.screen).or_default();
        *cursor = (*cursor).min(last);
    }

    /// Marked line of this screen.
    #[must_use]
    pub fn cursor(&self) -> usize {
        self.cursors.get(&self.screen).copied().unwrap_or_default()
    }

    /// Lines of this screen that can be marked.
    #[must_use]
    pub fn length(&self) -> usize {
        match self.screen {
            Screen::Welcome => 3,
            Screen::Hardware => self.findings().len(),
            Screen::Repair => self.recorded().len(),
            Screen::Disks => self.spots().len(),
            Screen::Network | Screen::Bmc | Screen::Cluster => {
                fields::fields(self, self.screen).len()
            }
            Screen::Review => self.plan().map_or(0, |plan| plan.steps.len()),
            Screen::Progress => self.progress.steps.len(),
            Screen::Done => 0,
            Screen::Console => self.status.as_ref().map_or(0, |status| status.disks.len()),
        }
    }

    /// Hardware and network, worst first.
    #[must_use]
    pub fn findings(&self) -> Vec<&Finding> {
        let mut findings: Vec<&Finding> = self
            .proposal
            .findings
            .iter()
            .chain(self.network.iter().flatten())
            .collect();
        // Stable: what is equally bad keeps its order.
        findings.sort_by_key(|finding| std::cmp::Reverse(rank(finding)));
        findings
    }

    /// Places for disks.
    #[must_use]
    pub fn spots(&self) -> Vec<Spot> {
        chassis::spots(&self.facts.inventory)
    }

    /// The disk at the marked place.
    #[must_use]
    pub fn disk(&self) -> Option<&Disk> {
        let spots = self.spots();
        let cursor = self.cursors.get(&Screen::Disks).copied().unwrap_or(0);
        let disk = spots.get(cursor)?.disk?;
        self.facts.inventory.disks.get(disk)
    }

    /// Disks of the installed system, those that are missing first.
    #[must_use]
    pub fn recorded(&self) -> Vec<(&PlannedDisk, bool)> {
        let there = |disk: &PlannedDisk| {
            let disks = &self.facts.inventory.disks;
            disks.iter().any(|other| other.id == disk.id)
        };
        let mut disks: Vec<(&PlannedDisk, bool)> = self
            .installed
            .iter()
            .flat_map(|installed| &installed.disks)
            .map(|disk| (disk, there(disk)))
            .collect();
        disks.sort_by_key(|(_, there)| *there);
        disks
    }

    /// Disks of the machine that the installed system does not know.
    #[must_use]
    pub fn strangers(&self) -> Vec<&Disk> {
        let known = |disk: &Disk| {
            let recorded = self.installed.iter().flat_map(|found| &found.disks);
            recorded.into_iter().any(|planned| planned.id == disk.id)
        };
        let disks = self.facts.inventory.disks.iter();
        disks
            .filter(|disk| !disk.boot_medium && !disk.removable && disk.size > 0 && !known(disk))
            .collect()
    }

    /// What is to be typed before anything begins.
    #[must_use]
    pub fn word(&self) -> &str {
        self.plan().map_or(&self.node.node, |plan| &plan.node)
    }

    /// The plan, if there is one.
    #[must_use]
    pub fn plan(&self) -> Option<&Plan> {
        self.proposal.plan.as_ref()
    }

    /// What keeps a step of the wizard from being right: a mark at its name.
    #[must_use]
    pub fn trouble(&self, screen: Screen) -> bool {
        match screen {
            Screen::Hardware => self.findings().iter().any(|finding| finding.blocks()),
            Screen::Disks => self.proposal.error.is_some(),
            Screen::Network => !self.proposal.problems.is_empty(),
            Screen::Review => !self.proposal.can_install(),
            _ => false,
        }
    }

    /// Nothing keeps the plan from being confirmed.
    #[must_use]
    pub fn can_install(&self) -> bool {
        self.proposal.can_install()
            && !self.progress.running()
            && !self.waits.contains_key(&Wait::Start)
            // What the network says is of no matter to disks that are emptied or brought back.
            && (self.task != Task::Install
                || !self.findings().iter().any(|finding| finding.blocks()))
    }
}

/// How far up a finding stands.
fn rank(finding: &Finding) -> u8 {
    use firmware::Weight;
    match (finding.weight, finding.waived.is_some()) {
        (Weight::Fail, false) => 4,
        (Weight::Warn, false) => 3,
        (Weight::Fail | Weight::Warn, true) => 2,
        (Weight::Info, _) => 1,
        (Weight::Pass, _) => 0,
    }
}
