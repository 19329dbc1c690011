//! The reference machine of each role, as data: boards, disks with their real identity strings, networks.
//!
//! Every machine also has a canary: a disk full of data that no role asks for. It must never change.

use crate::machine::{
    Accelerator, Attachment, Board, Builder, CpuModel, Disk, Firmware, Machine, Network, Nic,
    NicModel, Rotation,
};

/// All roles.
pub const ROLES: [&str; 8] = [
    "control",
    "lb",
    "production",
    "standalone",
    "database",
    "galera",
    "storage",
    "backup",
];

/// Name of the disk that must never change.
pub const CANARY: &str = "canary";

/// Networks of a role's machine, in the order of its ports. The first one leads to the host.
#[must_use]
pub fn networks(role: &str) -> &'static [&'static str] {
    match role {
        "production" => &["mgmt", "public", "cluster", "storage"],
        "database" | "galera" => &["mgmt", "cluster"],
        "storage" | "backup" => &["mgmt", "storage"],
        "lb" => &["mgmt", "public", "cluster"],
        "standalone" => &["mgmt", "public"],
        _ => &["mgmt", "cluster"],
    }
}

/// MAC address of port `index`.
#[must_use]
pub fn mac(index: usize) -> String {
    // 52:54:00 is what QEMU uses for its own guests.
    format!("52:54:00:a1:00:{:02x}", index + 1)
}

/// Board serial number of a role's machine.
#[must_use]
pub fn board_serial(role: &str) -> String {
    let number = ROLES
        .iter()
        .position(|name| *name == role)
        .unwrap_or(ROLES.len());
    format!("ZM15AS{number:06}")
}

/// The reference machine of `role`, reachable on `ssh_port` of the host. A role that is not known here gets the
/// control server.
#[must_use]
pub fn reference(role: &str, firmware: Firmware, ssh_port: Option<u16>) -> Builder {
    let (board, disks, cpu, memory) = match role {
        "production" | "standalone" => (
            Board::X10DRW_E,
            mail_disks("Samsung SSD 850 PRO 1TB", 1_024_209_543_168),
            CpuModel::Max,
            2048,
        ),
        "database" | "galera" => (
            Board::X10DRW_E,
            mail_disks("Samsung SSD 850 PRO 2TB", 2_048_408_248_320),
            CpuModel::Max,
            2048,
        ),
        "storage" => (
            Board::X10DRH_IT,
            storage_disks(true),
            CpuModel::Nehalem,
            3072,
        ),
        "backup" => (
            Board::X10DRH_IT,
            storage_disks(false),
            CpuModel::Nehalem,
            3072,
        ),
        "lb" => (Board::X10SRL_F, lb_disks(), CpuModel::Max, 2048),
        _ => (Board::X10SRL_F, control_disks(), CpuModel::Max, 2048),
    };
    let mut builder = Machine::builder(role)
        .board(board, &board_serial(role))
        .firmware(firmware)
        .cpu(cpu)
        .memory(memory)
        .accelerator(Accelerator::of_this_host())
        // A load balancer may be a virtual machine: no BMC.
        .bmc(role != "lb")
        .disks(disks)
        .disk(canary(role));
    for (index, _) in networks(role).iter().enumerate() {
        builder = builder.nic(Nic {
            mac: mac(index),
            model: if index == 0 {
                NicModel::E1000e
            } else {
                NicModel::Virtio
            },
            network: if index == 0 {
                Network::User {
                    ssh_port,
                    open: false,
                }
            } else {
                Network::Nothing
            },
        });
    }
    builder
}

/// Two Intel SSDs of 240 GB.
fn control_disks() -> Vec<Disk> {
    (0..2)
        .map(|index| {
            let serial = format!("BTWL3456780{index}240NGN");
            let wwn = 0x5001_5178_f363_0000 + index;
            Disk::sata(
                &format!("os{index}"),
                "INTEL SSDSC2BB240G4",
                &serial,
                wwn,
                240_057_409_536,
                Rotation::Solid,
            )
        })
        .collect()
}

/// Two virtual disks of 20 GB.
fn lb_disks() -> Vec<Disk> {
    (0..2)
        .map(|index| {
            let serial = format!("LB-OS-{index}");
            Disk::sata(
                &format!("os{index}"),
                "virtual",
                &serial,
                0,
                20_000_000_000,
                Rotation::Solid,
            )
            .attached(Attachment::Virtio)
        })
        .collect()
}

/// Two WD Red of 750 GB and four Samsung 850 PRO.
fn mail_disks(data_model: &str, data_size: u64) -> Vec<Disk> {
    let os = (0..2).map(|index| {
        let serial = format!("WD-WX31A74R000{index}");
        let wwn = 0x5001_4ee6_0500_0000 + index;
        let spinning = Rotation::Spinning(5400);
        Disk::sata(
            &format!("os{index}"),
            "WDC WD7500BFCX-68N6GN0",
            &serial,
            wwn,
            750_156_374_016,
            spinning,
        )
    });
    let data = (0..4).map(|index| {
        let serial = format!("S252NXAG80000{index}X");
        let wwn = 0x5002_538d_4000_0000 + index;
        Disk::sata(
            &format!("data{index}"),
            data_model,
            &serial,
            wwn,
            data_size,
            Rotation::Solid,
        )
    });
    os.chain(data).collect()
}

/// Two ES.3, sixteen He8, and with `fast` two SSD800MH.B and two SM863. The OS disks are the SATA kind: OVMF has no driver
/// that finds disks behind QEMU's SAS controllers (2026-11-23, Debian 12: its shell lists none of them).
fn storage_disks(fast: bool) -> Vec<Disk> {
    let sas =
        |name: String, vendor: &str, model: &str, serial: String, wwn: u64, size: u64, rotation| {
            Disk::sata(&name, model, &serial, wwn, size, rotation)
                .attached(Attachment::Sas)
                .made_by(vendor)
        };
    let spinning = Rotation::Spinning(7200);
    let os = (0..2).map(|index| {
        Disk::sata(
            &format!("os{index}"),
            "ST1000NM0033-9ZM173",
            &format!("Z1W0A00{index}"),
            0x5000_c500_5f4a_0000 + index * 4,
            1_000_204_886_016,
            spinning,
        )
    });
    let data = (0..16).map(|index| {
        let wwn = 0x5000_cca2_6128_0e68 + index * 4;
        let serial = format!("VJGR{index:02}DX");
        sas(
            format!("data{index}"),
            "HGST",
            "HUH728080AL5200",
            serial,
            wwn,
            8_001_563_222_016,
            spinning,
        )
    });
    let log = (0..2).map(|index| {
        let wwn = 0x5000_cca0_4db1_0000 + index * 4;
        let serial = format!("0HW0A0{index}A");
        sas(
            format!("log{index}"),
            "HGST",
            "HUSMH8040BSS200",
            serial,
            wwn,
            400_088_457_216,
            Rotation::Solid,
        )
    });
    let cache = (0..2).map(|index| {
        let serial = format!("S2HTNX0H40000{index}");
        let wwn = 0x5002_538c_4000_0000 + index;
        Disk::sata(
            &format!("cache{index}"),
            "SAMSUNG MZ7KM960HAHP-00005",
            &serial,
            wwn,
            960_197_124_096,
            Rotation::Solid,
        )
    });
    let base = os.chain(data);
    if fast {
        base.chain(log).chain(cache).collect()
    } else {
        base.collect()
    }
}

/// A small SATA SSD that no role asks for. The load balancer takes nearly any disk, so its canary is tiny.
fn canary(role: &str) -> Disk {
    let size = if role == "lb" {
        8_012_390_400
    } else {
        120_034_123_776
    };
    Disk::sata(
        CANARY,
        "KINGSTON SA400S37120G",
        "50026B7780CAFE00",
        0x5002_6b77_80ca_fe00,
        size,
        Rotation::Solid,
    )
}

#[cfg(test)]
mod tests {
    use roles::role::Purpose;

    use super::*;
    use crate::machine::KeyPair;
    use crate::{images, node};

    #[test]
    fn every_role_has_a_machine_with_its_disks_and_networks() {
        let set = roles::folder::read(&images::workspace().join("roles")).unwrap();
        let names: Vec<&str> = set.roles.keys().map(String::as_str).collect();
        let mut known = ROLES;
        known.sort_unstable();
        assert_eq!(names, known);
        for role in ROLES {
            let data = &set.roles[role].role;
            let machine = reference(role, Firmware::Uefi, None).specification();
            for need in &data.disks {
                let name = match need.purpose {
                    Purpose::Os => "os",
                    Purpose::Data => "data",
                    Purpose::Log => "log",
                    Purpose::Cache => "cache",
                    Purpose::Special | Purpose::Spare => "none",
                };
                let count = machine
                    .disks
                    .iter()
                    .filter(|disk| disk.name.starts_with(name))
                    .count();
                assert_eq!(count, need.count as usize, "{role}: {name}");
            }
            for network in data.networks.iter().filter(|network| !network.optional) {
                assert!(
                    networks(role).contains(&network.name.as_str()),
                    "{role}: {}",
                    network.name
                );
            }
        }
    }

    #[test]
    fn node_files_are_what_the_installer_accepts() {
        let set = roles::folder::read(&images::workspace().join("roles")).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let key = KeyPair::make(camino::Utf8Path::from_path(directory.path()).unwrap()).unwrap();
        for role in ROLES {
            let text = node::text(&node::node_file(role, "p1", &key.public)).unwrap();
            let parsed = roles::parse::node_file("node.toml", &text, Some(&set));
            assert!(parsed.is_ok(), "{role}: {parsed:?}\n{text}");
        }
    }
}
