//! Board, processors, memory and how the machine was booted.

use super::smbios::{self, Smbios};
use super::tree::Tree;
use crate::inventory::{BootMode, Cpu, Gap, Inventory};

/// Raw SMBIOS tables; mode 0400.
pub const TABLES: &str = "/sys/firmware/dmi/tables/DMI";
/// Boot mode: present only under UEFI.
const EFI: &str = "/sys/firmware/efi";
/// Secure Boot state: four attribute bytes, then 0 or 1 (UEFI 2.10, 3.3).
pub const SECURE_BOOT: &str =
    "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";

/// Fills board, slots, modules, memory, processors and boot mode.
pub fn fill(tree: &Tree, inventory: &mut Inventory) {
    let smbios = tree.bytes(TABLES).map(|bytes| smbios::parse(&bytes)).unwrap_or_else(|| {
        inventory.gaps.push(Gap {
            part: "smbios".to_owned(),
            reason: format!("`{TABLES}` cannot be read; slots, memory modules and power supplies are unknown"),
        });
        Smbios::default()
    });
    identity(tree, inventory, &smbios);
    inventory.memory = memory(tree, &smbios);
    inventory.slots = smbios.slots;
    inventory.modules = smbios.modules;
    inventory.power_supplies = smbios.power_supplies;
    inventory.cpus = processors(&tree.text("/proc/cpuinfo").unwrap_or_default());
    if inventory.cpus.is_empty() {
        inventory.gaps.push(Gap {
            part: "cpus".to_owned(),
            reason: "`/proc/cpuinfo` cannot be read".to_owned(),
        });
    }
    if tree.exists(EFI) {
        inventory.boot = BootMode::Uefi;
        inventory.secure_boot = tree
            .bytes(SECURE_BOOT)
            .and_then(|value| value.get(4).map(|byte| *byte == 1));
    }
}

/// `/sys/class/dmi/id` where the tables are missing or lack a string.
fn identity(tree: &Tree, inventory: &mut Inventory, smbios: &Smbios) {
    let id = |name: &str| tree.text(&format!("/sys/class/dmi/id/{name}"));
    let either = |table: &Option<String>, name: &str| table.clone().or_else(|| id(name));
    let board = &mut inventory.board;
    board.vendor = smbios
        .vendor
        .clone()
        .or_else(|| id("sys_vendor"))
        .or_else(|| either(&smbios.board_vendor, "board_vendor"));
    board.name = either(&smbios.board_name, "board_name");
    board.serial = either(&smbios.board_serial, "board_serial");
    board.product = either(&smbios.product, "product_name");
    board.bios_version = either(&smbios.bios_version, "bios_version");
    board.bios_date = either(&smbios.bios_date, "bios_date");
    board.system_serial = either(&smbios.system_serial, "product_serial");
    board.uuid = either(&smbios.uuid, "product_uuid");
    board.chassis_vendor = either(&smbios.chassis_vendor, "chassis_vendor");
    board.chassis_serial = either(&smbios.chassis_serial, "chassis_serial");
    board.chassis_type = smbios
        .chassis_type
        .or_else(|| tree.number("/sys/class/dmi/id/chassis_type"));
    board.sockets = smbios.sockets;
    if board.name.is_none() && board.product.is_none() {
        inventory.gaps.push(Gap {
            part: "board".to_owned(),
            reason: "neither SMBIOS nor `/sys/class/dmi/id` names the board".to_owned(),
        });
    }
}

/// Fitted modules, else what the kernel manages (some per cent less).
fn memory(tree: &Tree, smbios: &Smbios) -> u64 {
    let modules: u64 = smbios
        .modules
        .iter()
        .map(|module| module.size)
        .fold(0, u64::saturating_add);
    if modules > 0 {
        return modules;
    }
    let text = tree.text("/proc/meminfo").unwrap_or_default();
    let kibibytes = text.lines().find_map(|line| {
        line.strip_prefix("MemTotal:")?
            .split_whitespace()
            .next()?
            .parse::<u64>()
            .ok()
    });
    kibibytes.unwrap_or(0).saturating_mul(1024)
}

/// Sockets in use by `physical id`; a machine that gives none (some hypervisors) counts as one socket.
fn processors(text: &str) -> Vec<Cpu> {
    let mut sockets: Vec<Cpu> = Vec::new();
    for block in text.split("\n\n") {
        let value = |key: &str| {
            block.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                (name.trim() == key).then(|| value.trim().to_owned())
            })
        };
        if value("processor").is_none() {
            continue;
        }
        let socket = value("physical id")
            .and_then(|id| id.parse().ok())
            .unwrap_or(0);
        let cores = value("cpu cores").and_then(|cores| cores.parse::<u32>().ok());
        match sockets.iter_mut().find(|cpu| cpu.socket == socket) {
            Some(cpu) if cores.is_none() => cpu.cores += 1,
            Some(_) => {}
            None => sockets.push(Cpu {
                socket,
                model: value("model name").unwrap_or_default(),
                cores: cores.unwrap_or(1),
            }),
        }
    }
    sockets.sort_by_key(|cpu| cpu.socket);
    sockets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_by_physical_id() {
        let one = |number: u32, socket: u32| {
            format!(
                "processor\t: {number}\nmodel name\t: Intel(R) Xeon(R) CPU E5-2620 v3 @ 2.40GHz\nphysical id\t: {socket}\ncpu cores\t: 6"
            )
        };
        let text = [one(0, 0), one(1, 0), one(2, 1), one(3, 1)].join("\n\n");
        let sockets: Vec<(u32, u32)> = processors(&text)
            .iter()
            .map(|cpu| (cpu.socket, cpu.cores))
            .collect();
        assert_eq!(sockets, [(0, 6), (1, 6)]);
        assert_eq!(
            processors("processor : 0\nmodel name : x\n\nprocessor : 1\nmodel name : x")[0].cores,
            2
        );
        assert_eq!(processors(""), []);
    }
}
