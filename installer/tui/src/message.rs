//! All that may happen to the state, and all that may follow from it. Both are plain data: a list of messages is a recording,
//! and every console of a machine is a fold over the same list.

use firmware::{Finding, Inventory, inventory::DiskId};
use plan::{
    Plan, PlanError,
    repair::RepairError,
    step::{Guard, PlannedDisk},
};
use run::{Record, node_source::stick::Stick};
use serde::{Deserialize, Serialize};

use crate::{facts::Facts, key::Key};

/// One message with where it came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Console: `tty1`, `ttyS1`.
    pub from: String,
    /// Milliseconds since the machine (or the demonstration) began.
    pub at: u64,
    /// What happened.
    pub message: Message,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Message {
    /// The first message: what is known of this machine.
    Begin {
        /// All of it.
        facts: Box<Facts>,
    },
    /// The machine could not be looked at; there is still a shell.
    Stuck {
        /// Why.
        text: String,
    },
    /// A key was pressed.
    Key {
        /// Which.
        key: Key,
    },
    /// Text was pasted.
    Paste {
        /// It.
        text: String,
    },
    /// The machine was looked at again.
    Probed {
        /// What was found.
        inventory: Box<Inventory>,
    },
    /// The network was asked.
    Network {
        /// What it means.
        findings: Vec<Finding>,
        /// What LLDP tells.
        neighbours: Vec<Neighbour>,
    },
    /// The management controller was asked.
    Bmc {
        /// Lines for people.
        lines: Vec<String>,
    },
    /// A line of the install's events file. The same line may come several times, from several consoles.
    Event {
        /// Number of the line, from 0.
        line: u64,
        /// It.
        record: Record,
    },
    /// What was asked for is done, or cannot be done.
    Done {
        /// Which wait is over.
        what: Wait,
        /// It worked.
        good: bool,
        /// One line for people.
        text: String,
    },
    /// Sticks that may be written to.
    Sticks {
        /// All of them.
        sticks: Vec<Stick>,
    },
    /// The installed system was looked for.
    Installed {
        /// What was found.
        installed: Box<Installed>,
        /// The machine, as it was looked at for that.
        inventory: Box<Inventory>,
    },
    /// How the running appliance is: the `status --json` document.
    Status {
        /// The document.
        status: serde_json::Value,
    },
    /// Last lines of the system's log.
    Journal {
        /// Oldest first.
        lines: Vec<String>,
    },
    /// Written by a newer version.
    #[serde(other)]
    Unknown,
}

/// An installed system on the disks, and what would bring it back to what it was.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Installed {
    /// Node name; empty if there is no installed system.
    pub node: String,
    /// Version that was installed.
    pub version: String,
    /// Its disks, as they were recorded.
    pub disks: Vec<PlannedDisk>,
    /// What a repair does: without steps nothing is missing.
    pub plan: Option<Plan>,
    /// Why there is no repair.
    pub problem: Option<String>,
    /// What of others would have to be allowed by name.
    pub guards: Vec<Guard>,
}

impl Installed {
    /// From the recorded plan and what a repair of it would be.
    #[must_use]
    pub fn compare(recorded: &Plan, version: String, repair: Result<Plan, RepairError>) -> Self {
        let mut installed = Self {
            node: recorded.node.clone(),
            version,
            disks: recorded.disks.clone(),
            ..Self::default()
        };
        match repair {
            Ok(plan) => installed.plan = Some(plan),
            Err(error) => {
                installed.problem = Some(error.to_string());
                if let RepairError::Plan(PlanError::Guarded { guards }) = error {
                    installed.guards = guards;
                }
            }
        }
        installed
    }
}

/// A switch port at the other end of a cable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// MAC address of this machine's port, in lower case.
    pub mac: String,
    /// Switch and its port: `sw1 xe-0/0/3`.
    pub name: String,
}

/// Something that is waited for. None of them holds up anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wait {
    /// Looking at the machine again.
    Probe,
    /// Asking the network.
    Network,
    /// Asking the management controller.
    Bmc,
    /// Writing a file.
    Save,
    /// Looking for the installed system.
    Installed,
    /// Starting the install.
    Start,
    /// A light.
    Light,
    /// Looking at the running appliance.
    Status,
    /// Restarting.
    Restart,
}

/// Where a file goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// A USB stick with a file system named `RACKWRIGHT`, chosen by its name.
    Stick,
    /// The depot that the kernel command line or the node file came from.
    Depot,
    /// A folder of this system.
    Folder,
}

/// What is to be done outside. Returned by update, carried out by an executor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Look at the machine again.
    Probe,
    /// Ask the network whether it is what the node file says.
    Network {
        /// The node file's text.
        node: String,
    },
    /// Ask the management controller.
    Bmc {
        /// The node file's text.
        node: String,
    },
    /// Switch the light of a disk's bay.
    LightDisk {
        /// Disk.
        disk: DiskId,
        /// On or off.
        on: bool,
    },
    /// Let a port's light blink for some seconds.
    LightPort {
        /// Kernel name.
        port: String,
    },
    /// Write a file.
    Save {
        /// Where to.
        place: Place,
        /// File name.
        name: String,
        /// Content.
        text: String,
    },
    /// Look for sticks.
    Sticks,
    /// Write a file onto a stick: only ever after the stick was chosen by its name.
    SaveOn {
        /// Which.
        stick: Stick,
        /// File name.
        name: String,
        /// Content.
        text: String,
    },
    /// Install: only ever returned after the node's name was typed below the plan of this digest.
    Install {
        /// The node file's text, with the permit.
        node: String,
        /// Digest of the confirmed plan.
        digest: String,
    },
    /// Destroy what lies on the disks and install nothing: only ever after the confirmation.
    Decommission {
        /// Name of the machine, as it was typed.
        node: String,
        /// Keys of guarded things that may be destroyed.
        allowed: Vec<String>,
        /// Digest of the confirmed plan.
        digest: String,
    },
    /// A root shell on this console, until it ends.
    Shell,
    /// Look for the installed system and for what it lacks.
    Installed {
        /// Keys of guarded things that may be destroyed.
        allowed: Vec<String>,
    },
    /// Bring back what a changed disk took away: only ever after the confirmation.
    Repair {
        /// Name of the machine, as it was typed.
        node: String,
        /// Keys of guarded things that may be destroyed.
        allowed: Vec<String>,
        /// Digest of the confirmed plan.
        digest: String,
    },
    /// Look at the running appliance.
    Status,
    /// Read the last lines of the system's log.
    Journal,
    /// Restart the machine.
    Restart,
    /// Write the recording of this session to a file.
    Record,
    /// Write everything again: something else wrote on this terminal.
    Redraw,
    /// Leave the program.
    Leave,
}

impl Effect {
    /// It begins something that cannot be undone.
    #[must_use]
    pub fn destroys(&self) -> bool {
        matches!(
            self,
            Self::Install { .. } | Self::Decommission { .. } | Self::Repair { .. }
        )
    }

    /// It takes over the console until it ends.
    #[must_use]
    pub fn takes_console(&self) -> bool {
        matches!(self, Self::Shell)
    }
}
