//! Network ports. A port is its PCI function and `dev_port`: ConnectX-3 has two ports on one function.

use super::tree::Tree;
use super::{Instruments, path, pci};
use crate::inventory::Nic;
use crate::port_module;

const CLASS: &str = "/sys/class/net";
/// `addr_assign_type`: the address is the permanent one (include/uapi/linux/netdevice.h, `NET_ADDR_PERM`).
const PERMANENT: &str = "0";

/// Physical ports, by PCI address and port.
pub fn ports(tree: &Tree, instruments: &mut dyn Instruments) -> Vec<Nic> {
    let mut ports: Vec<Nic> = tree
        .list(CLASS)
        .into_iter()
        .filter_map(|name| port(tree, instruments, &name))
        .collect();
    ports.sort_by(|a, b| {
        (&a.address, a.dev_port, &a.kernel_name).cmp(&(&b.address, b.dev_port, &b.kernel_name))
    });
    ports
}

fn port(tree: &Tree, instruments: &mut dyn Instruments, name: &str) -> Option<Nic> {
    let base = format!("{CLASS}/{name}");
    // Bridges, bonds, VLANs and the loopback have no device behind them.
    let device = tree.resolve(&format!("{base}/device"))?;
    // A virtual function is a share of a port that is listed itself.
    if tree.exists(&format!("{base}/device/physfn")) {
        return None;
    }
    let text = |attribute: &str| tree.text(&format!("{base}/{attribute}"));
    let address = path::pci_address(&device);
    let of_function =
        |read: fn(&Tree, &str) -> Option<String>| address.as_deref().and_then(|it| read(tree, it));
    let dev_port = text("dev_port")
        .and_then(|port| port.parse().ok())
        .unwrap_or(0);
    let verbs = verbs(tree, &format!("{base}/device"));
    let of_verbs = |attribute: &str| tree.text(&format!("{}/{attribute}", verbs.as_deref()?));
    let module = instruments
        .module(name)
        .and_then(|raw| raw.as_ref().map(port_module::decode).transpose());
    let (module, no_module) = match module {
        Ok(module) => (module, None),
        Err(reason) => (None, Some(reason)),
    };
    Some(Nic {
        module,
        no_module,
        mac: permanent_address(tree, &base),
        dev_port,
        id: of_function(pci::id),
        subsystem: of_function(pci::subsystem),
        // virtio: the driver is that of the virtio device, below the PCI function.
        driver: tree.link_name(&format!("{base}/device/driver")),
        firmware: instruments
            .network_firmware(name)
            .or_else(|| of_verbs("fw_ver")),
        speed: text("speed")
            .and_then(|speed| speed.parse().ok())
            .filter(|speed| *speed > 0),
        carrier: text("carrier").map(|carrier| carrier == "1"),
        port_type: tree.text(&format!("{base}/device/mlx4_port{}", dev_port + 1)),
        board_id: of_verbs("board_id"),
        link: address.as_deref().and_then(|it| pci::link(tree, it)),
        numa: address.as_deref().and_then(|it| pci::numa(tree, it)),
        address,
        kernel_name: name.to_owned(),
    })
}

/// A bonded port answers with the bond's address; the bond keeps the permanent one.
fn permanent_address(tree: &Tree, base: &str) -> Option<String> {
    let bonded = tree.text(&format!("{base}/bonding_slave/perm_hwaddr"));
    let own = || {
        let assigned = tree.text(&format!("{base}/addr_assign_type"));
        let address = tree.text(&format!("{base}/address"))?;
        (assigned.is_none_or(|kind| kind == PERMANENT)).then_some(address)
    };
    bonded
        .or_else(own)
        .map(|address| address.to_ascii_lowercase())
        .filter(|address| address != "00:00:00:00:00:00")
}

/// The RDMA device of the same function (`mlx4_ib`): it knows firmware and board id without mstflint.
fn verbs(tree: &Tree, device: &str) -> Option<String> {
    let name = tree
        .list(&format!("{device}/infiniband"))
        .into_iter()
        .next()?;
    Some(format!("{device}/infiniband/{name}"))
}
