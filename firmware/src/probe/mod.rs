//! The probe: reads what a machine is from the files below a root, and a few facts more from ioctls and the BMC.
//!
//! It never writes and never fails: what cannot be read is absent, with a [`Gap`] that says why. Sources are those of the
//! kernel's documentation (`Documentation/ABI/stable` and `testing`); each module names its own.

use camino::Utf8Path;

use crate::health::{HealthCommand, RawHealth};
use crate::inventory::{Gap, Inventory};
use crate::ipmi::IpmiTransport;
use crate::live::Live;
use crate::port_module::RawModule;
use crate::recording::Recording;
use crate::signature::Signature;

mod bmc;
mod bmc_lan;
mod board;
mod enclosure;
mod fold;
mod found;
mod health;
pub mod identity;
mod network;
mod path;
mod pci;
pub mod smbios;
mod tree;
mod udev;
mod usage;

pub use board::{SECURE_BOOT, TABLES};
pub use enclosure::locate_files;

/// MAC address of the first LAN channel of the BMC, if it answers.
pub fn bmc_mac(transport: &mut dyn IpmiTransport) -> Option<String> {
    bmc_lan::read(transport, &crate::inventory::Bmc::default())?.mac
}
pub(crate) use tree::clean;
pub use tree::{Trace, Tree};

/// What no file holds and must be asked of the live machine: ioctls and reads of devices. A capture keeps the answers.
pub trait Instruments {
    /// Firmware version of a network port by its kernel name (`ETHTOOL_GDRVINFO`).
    fn network_firmware(&mut self, kernel_name: &str) -> Option<String>;

    /// Labels on a disk or partition.
    ///
    /// # Errors
    /// Why the device cannot be read.
    fn labels(&mut self, kernel_name: &str) -> Result<Vec<Signature>, String>;

    /// What a disk answers to a question about its health.
    ///
    /// # Errors
    /// Why it cannot be asked over this path.
    fn health(&mut self, kernel_name: &str, command: HealthCommand) -> Result<RawHealth, String>;

    /// Memory of the module in a network port; `None` if the port has no cage.
    ///
    /// # Errors
    /// Why there is none: the cage is empty, or the module does not answer.
    fn module(&mut self, kernel_name: &str) -> Result<Option<RawModule>, String>;
}

/// No answers: for fixtures.
#[derive(Debug, Clone, Copy, Default)]
pub struct FilesOnly;

impl Instruments for FilesOnly {
    fn network_firmware(&mut self, _: &str) -> Option<String> {
        None
    }

    fn labels(&mut self, _: &str) -> Result<Vec<Signature>, String> {
        Ok(Vec::new())
    }

    fn health(&mut self, _: &str, _: HealthCommand) -> Result<RawHealth, String> {
        Err("no file tells it".to_owned())
    }

    fn module(&mut self, _: &str) -> Result<Option<RawModule>, String> {
        Ok(None)
    }
}

/// Reads the machine below `root`: `/`, a fixture, or an unpacked capture. The boot medium is what the initrd named in
/// `/run/rackwright/boot.json` below that root.
pub fn inventory(root: &Utf8Path, transport: Option<&mut dyn IpmiTransport>) -> Inventory {
    inventory_with_medium(root, transport, None)
}

/// As [`inventory`], with the boot medium given as a device path (`/dev/sda`).
pub fn inventory_with_medium(
    root: &Utf8Path,
    transport: Option<&mut dyn IpmiTransport>,
    medium: Option<&str>,
) -> Inventory {
    let tree = Tree::new(root);
    if tree.is_live() {
        return measure(&tree, &mut Live, transport, medium);
    }
    let Some(mut recorded) = Recording::read(&tree) else {
        return measure(&tree, &mut FilesOnly, transport, medium);
    };
    let mut answers = recorded.transport();
    match (transport, &mut answers) {
        (None, Some(answers)) => measure(&tree, &mut recorded, Some(answers), medium),
        (transport, _) => measure(&tree, &mut recorded, transport, medium),
    }
}

/// The probe itself, with every source given.
pub fn measure(
    tree: &Tree,
    instruments: &mut dyn Instruments,
    transport: Option<&mut dyn IpmiTransport>,
    medium: Option<&str>,
) -> Inventory {
    let mut inventory = Inventory::default();
    board::fill(tree, &mut inventory);
    inventory.hbas = pci::storage_controllers(tree);
    inventory.nics = network::ports(tree, instruments);
    disks(tree, medium, &mut inventory);
    health::ask(&mut inventory, instruments);
    let labels = found::read(tree, &inventory.disks, instruments, &mut inventory.gaps);
    inventory.found = found::holders(tree, &labels, &inventory.disks);
    inventory.bmc = bmc::read(tree, transport, &mut inventory.gaps);
    inventory
}

fn disks(tree: &Tree, medium: Option<&str>, inventory: &mut Inventory) {
    let names = tree.list("/sys/block");
    if names.is_empty() {
        inventory.gaps.push(Gap {
            part: "disks".to_owned(),
            reason: "`/sys/block` cannot be read or is empty".to_owned(),
        });
    }
    inventory.optical = names
        .iter()
        .filter(|name| name.starts_with("sr"))
        .cloned()
        .collect();
    let mut paths = Vec::new();
    for name in names.iter().filter(|name| path::is_disk(name)) {
        match path::read(tree, name) {
            Some(facts) => paths.push(facts),
            None if tree.text(&format!("/sys/block/{name}/hidden")).as_deref() == Some("1") => {}
            None => inventory.gaps.push(Gap {
                part: format!("disk {name}"),
                reason: "it is listed but has no device number; it may have been pulled".to_owned(),
            }),
        }
    }
    let dead = paths
        .iter()
        .filter_map(|facts| Some((facts.path.kernel_name.clone(), facts.state.clone()?)));
    inventory.dead_paths = dead.collect();
    let seen = enclosure::read(tree);
    let (mut disks, enclosures) = enclosure::place(&seen, fold::fold(paths));
    usage::mark(tree, medium, &mut disks);
    for disk in disks
        .iter()
        .filter(|disk| disk.wwn.is_none() && disk.serial.is_none())
    {
        let name = disk
            .paths
            .first()
            .map(|path| path.kernel_name.as_str())
            .unwrap_or_default();
        inventory.gaps.push(Gap {
            part: format!("disk {name}"),
            reason: "it has neither WWN nor serial number, so it is known by its place only"
                .to_owned(),
        });
    }
    inventory.disks = disks;
    inventory.enclosures = enclosures;
}
