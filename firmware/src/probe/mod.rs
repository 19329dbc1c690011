//! The probe: reads what a machine is from the files below a root, and a few facts more from ioctls and the BMC.
//!
//! It never writes and never fails: what cannot be read is absent, with a [`Gap`] that says why. Sources are those of the
//! kernel's documentation (`Documentation/ABI/stable` and `testing`); each module names its own.

use camino::Utf8Path;

use crate::inventory::{Gap, Inventory};
use crate::ipmi::IpmiTransport;

mod bmc;
mod board;
mod enclosure;
mod fold;
pub mod identity;
mod network;
mod path;
mod pci;
pub mod smbios;
mod tree;
mod udev;
mod usage;

pub use board::{SECURE_BOOT, TABLES};
pub use tree::Tree;

/// Facts that no file holds.
pub trait Ioctls {
    /// Firmware version of a network port by its kernel name (`ETHTOOL_GDRVINFO`).
    fn network_firmware(&self, kernel_name: &str) -> Option<String>;
}

/// No ioctls: for fixtures and captures.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoIoctls;

impl Ioctls for NoIoctls {
    fn network_firmware(&self, _: &str) -> Option<String> {
        None
    }
}

/// Reads the machine below `root`: `/`, a fixture, or an unpacked capture. The boot medium is what the initrd named in
/// `/run/rackwright/boot.json` below that root.
pub fn inventory(root: &Utf8Path, transport: Option<&mut dyn IpmiTransport>) -> Inventory {
    inventory_with(&Tree::new(root), &NoIoctls, transport, None)
}

/// As [`inventory`], with the boot medium given as a device path (`/dev/sda`).
pub fn inventory_with_medium(
    root: &Utf8Path,
    transport: Option<&mut dyn IpmiTransport>,
    medium: Option<&str>,
) -> Inventory {
    inventory_with(&Tree::new(root), &NoIoctls, transport, medium)
}

fn inventory_with(
    tree: &Tree,
    ioctls: &dyn Ioctls,
    transport: Option<&mut dyn IpmiTransport>,
    medium: Option<&str>,
) -> Inventory {
    let mut inventory = Inventory::default();
    board::fill(tree, &mut inventory);
    inventory.hbas = pci::storage_controllers(tree);
    inventory.nics = network::ports(tree, ioctls);
    disks(tree, medium, &mut inventory);
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
