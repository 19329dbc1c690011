//! PCI functions: storage controllers, and the facts a network port takes from its function.

use super::tree::Tree;
use crate::inventory::{Hba, PcieLink};

const DEVICES: &str = "/sys/bus/pci/devices";

/// Every storage controller: PCI class 01 (mass storage), whatever its maker.
pub fn storage_controllers(tree: &Tree) -> Vec<Hba> {
    let mut controllers: Vec<Hba> = addresses(tree)
        .into_iter()
        .filter_map(|address| {
            let class = tree
                .text(&format!("{DEVICES}/{address}/class"))?
                .trim_start_matches("0x")
                .to_owned();
            class
                .starts_with("01")
                .then(|| controller(tree, &address, class))
        })
        .collect();
    controllers.sort_by(|a, b| a.address.cmp(&b.address));
    controllers
}

fn addresses(tree: &Tree) -> Vec<String> {
    tree.list(DEVICES)
}

fn controller(tree: &Tree, address: &str, class: String) -> Hba {
    let base = format!("{DEVICES}/{address}");
    // Only mpt3sas has these attributes; other drivers' hosts lack them.
    let host = tree.list(&base).into_iter().find(|name| {
        name.strip_prefix("host")
            .is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
    });
    let of_host = |attribute: &str| {
        let host = host.as_deref()?;
        tree.text(&format!("{base}/{host}/scsi_host/{host}/{attribute}"))
            .or_else(|| tree.text(&format!("/sys/class/scsi_host/{host}/{attribute}")))
    };
    Hba {
        address: address.to_owned(),
        id: id(tree, address).unwrap_or_default(),
        subsystem: subsystem(tree, address),
        driver: driver(tree, address),
        firmware: of_host("version_fw"),
        bios: of_host("version_bios"),
        board: of_host("board_name"),
        mode: mode(&class, of_host("version_product").as_deref()),
        link: link(tree, address),
        numa: numa(tree, address),
        class,
    }
}

/// IR firmware calls its product `LSISAS3008-IR`... on some cards; class 0104 is a RAID controller anyway. Else unknown:
/// the sure source is the capability line in the kernel log, which is no file.
fn mode(class: &str, product: Option<&str>) -> Option<String> {
    if class.starts_with("0104") {
        return Some("ir".to_owned());
    }
    let product = product?;
    if product.ends_with("-IR") || product.contains("IR)") {
        Some("ir".to_owned())
    } else if product.ends_with("-IT") || product.contains("IT)") {
        Some("it".to_owned())
    } else {
        None
    }
}

/// `1000:0097`.
pub fn id(tree: &Tree, address: &str) -> Option<String> {
    pair(tree, address, "vendor", "device")
}

/// `15d9:0808`; absent if the function has none.
pub fn subsystem(tree: &Tree, address: &str) -> Option<String> {
    pair(tree, address, "subsystem_vendor", "subsystem_device").filter(|id| id != "0000:0000")
}

fn pair(tree: &Tree, address: &str, vendor: &str, device: &str) -> Option<String> {
    let vendor = tree.hexadecimal(&format!("{DEVICES}/{address}/{vendor}"))?;
    let device = tree.hexadecimal(&format!("{DEVICES}/{address}/{device}"))?;
    Some(format!("{vendor:04x}:{device:04x}"))
}

/// Kernel driver bound to the function.
pub fn driver(tree: &Tree, address: &str) -> Option<String> {
    tree.link_name(&format!("{DEVICES}/{address}/driver"))
}

/// NUMA node; -1 (no node) is absent.
pub fn numa(tree: &Tree, address: &str) -> Option<u32> {
    tree.number(&format!("{DEVICES}/{address}/numa_node"))
}

/// Link of the function; absent for what is not PCI Express. `Unknown` speeds and width 0 or 63 are absent.
pub fn link(tree: &Tree, address: &str) -> Option<PcieLink> {
    let speed = |name: &str| {
        tree.text(&format!("{DEVICES}/{address}/{name}"))
            .filter(|speed| !speed.starts_with("Unknown"))
    };
    let width = |name: &str| {
        tree.number::<u32>(&format!("{DEVICES}/{address}/{name}"))
            .filter(|width| (1..=32).contains(width))
    };
    let link = PcieLink {
        speed: speed("current_link_speed"),
        width: width("current_link_width"),
        max_speed: speed("max_link_speed"),
        max_width: width("max_link_width"),
    };
    (link != PcieLink::default()).then_some(link)
}
