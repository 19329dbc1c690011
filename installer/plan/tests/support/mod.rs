//! Reference machines as inventories, and what else a plan needs.
#![allow(dead_code, reason = "every test file uses another part")]

use std::sync::LazyLock;

use camino::Utf8Path;
use firmware::inventory::{Bay, Disk, DiskId, DiskPath, Enclosure, Inventory};
use plan::{RootImage, Seed};
use roles::folder::RoleSet;
use roles::selector::Transport;
use roles::{NodeFile, Role};

pub fn role(name: &str) -> Role {
    static ROLE_FILES: LazyLock<RoleSet> = LazyLock::new(|| {
        let folder = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../../roles");
        roles::folder::read(&folder).unwrap()
    });
    ROLE_FILES.roles[name].role.clone()
}

pub fn node(role: &str) -> NodeFile {
    let text = format!("format = 1\nnode = \"{role}1\"\nrole = \"{role}\"\n");
    toml::from_str(&text).unwrap()
}

pub fn image() -> RootImage {
    RootImage {
        size: 236_978_176,
        sha256: "ab".repeat(32),
        version: "0.1.0".into(),
    }
}

pub fn seed() -> Seed {
    Seed::new(&["test", "ZM17", "permit-1"])
}

/// A model of disk.
#[derive(Clone, Copy)]
pub struct Model {
    pub vendor: &'static str,
    pub model: &'static str,
    pub size: u64,
    pub physical: u32,
    pub spins: bool,
    pub transport: Transport,
}

pub const HE8: Model = Model {
    vendor: "HGST",
    model: "HUH728080AL5200",
    size: 8_001_563_222_016,
    physical: 4096,
    spins: true,
    transport: Transport::Sas,
};
pub const ES3: Model = Model {
    vendor: "SEAGATE",
    model: "ST1000NM0023",
    size: 1_000_204_886_016,
    physical: 512,
    spins: true,
    transport: Transport::Sas,
};
pub const SSD800MH: Model = Model {
    vendor: "HGST",
    model: "HUSMH8040BSS200",
    size: 400_088_457_216,
    physical: 4096,
    spins: false,
    transport: Transport::Sas,
};
pub const SM863: Model = Model {
    vendor: "ATA",
    model: "SAMSUNG MZ7KM960HAHP-00005",
    size: 960_197_124_096,
    physical: 4096,
    spins: false,
    transport: Transport::Sata,
};
pub const PRO1: Model = Model {
    vendor: "ATA",
    model: "Samsung SSD 850 PRO 1TB",
    size: 1_024_209_543_168,
    physical: 512,
    spins: false,
    transport: Transport::Sata,
};
pub const PRO2: Model = Model {
    model: "Samsung SSD 850 PRO 2TB",
    size: 2_048_408_248_320,
    ..PRO1
};
pub const RED: Model = Model {
    vendor: "ATA",
    model: "WDC WD7500BFCX-68N6GN0",
    size: 750_156_374_016,
    physical: 4096,
    spins: true,
    transport: Transport::Sata,
};
pub const INTEL: Model = Model {
    vendor: "ATA",
    model: "INTEL SSDSC2BB240G4",
    size: 240_057_409_536,
    physical: 4096,
    spins: false,
    transport: Transport::Sata,
};
pub const VIRTIO: Model = Model {
    vendor: "QEMU",
    model: "QEMU HARDDISK",
    size: 21_474_836_480,
    physical: 512,
    spins: true,
    transport: Transport::Virtio,
};

/// A machine under construction; every disk gets numbers of its own.
#[derive(Default)]
pub struct Machine {
    pub inventory: Inventory,
}

impl Machine {
    /// Adds `count` disks of a model from a bay on; SAS disks in bays have two paths through two HBAs.
    pub fn disks(mut self, model: Model, count: u32, side: Option<&str>, first: u32) -> Self {
        for slot in first..first + count {
            let number = self.inventory.disks.len() as u64;
            let wwn = format!("0x{:016x}", 0x5000_cca2_6000_0000_u64 + number * 4);
            let bay = side.map(|side| Bay {
                side: side.into(),
                slot,
            });
            let both = model.transport == Transport::Sas && bay.is_some();
            let hbas: &[&str] = if both {
                &["0000:02:00.0", "0000:81:00.0"]
            } else {
                &["0000:00:1f.2"]
            };
            let paths = hbas
                .iter()
                .enumerate()
                .map(|(path, hba)| DiskPath {
                    kernel_name: format!("sd{number}{path}"),
                    device: (8, number as u32 * 32 + path as u32 * 16),
                    hba: Some((*hba).into()),
                    by_path: Some(format!("pci-{hba}-disk{number}")),
                    expander: both.then(|| format!("expander-{}:{path}", side.unwrap_or_default())),
                    ..DiskPath::default()
                })
                .collect();
            self.inventory.disks.push(Disk {
                id: DiskId(format!("wwn-{wwn}")),
                vendor: Some(model.vendor.into()),
                model: Some(model.model.into()),
                serial: Some(format!("S{number:07}")),
                wwn: Some(wwn),
                size: model.size,
                logical_sector: 512,
                physical_sector: model.physical,
                rotational: Some(model.spins),
                transport: model.transport,
                paths,
                bay,
                ..Disk::default()
            });
        }
        self
    }

    /// Adds the stick the installer came from.
    pub fn stick(mut self) -> Self {
        let model = Model {
            vendor: "SanDisk",
            model: "Ultra",
            size: 30_752_000_000,
            transport: Transport::Usb,
            ..INTEL
        };
        self = self.disks(model, 1, None, 0);
        let disk = self.inventory.disks.last_mut().unwrap();
        disk.removable = true;
        disk.boot_medium = true;
        self
    }
}

/// The reference machine of a role.
pub fn machine(role: &str) -> Inventory {
    let machine = Machine::default();
    let machine = match role {
        "control" => machine.disks(INTEL, 2, None, 0),
        "production" | "standalone" => machine.disks(RED, 2, None, 0).disks(PRO1, 4, None, 2),
        "database" | "galera" => machine.disks(RED, 2, None, 0).disks(PRO2, 4, None, 2),
        "lb" => machine.disks(VIRTIO, 2, None, 0),
        "storage" => machine
            .disks(HE8, 16, Some("front"), 0)
            .disks(ES3, 2, Some("rear"), 0)
            .disks(SSD800MH, 2, Some("rear"), 2)
            .disks(SM863, 2, None, 0),
        "backup" => machine
            .disks(HE8, 16, Some("front"), 0)
            .disks(ES3, 2, Some("rear"), 0),
        other => panic!("no machine for {other}"),
    };
    let mut inventory = machine.stick().inventory;
    if inventory.disks.iter().any(|disk| disk.bay.is_some()) {
        for (side, slots) in [("front", 24), ("rear", 12)] {
            inventory.enclosures.push(Enclosure {
                side: side.into(),
                slots,
                ..Enclosure::default()
            });
        }
    }
    inventory
}

pub const ROLES: [&str; 8] = [
    "control",
    "production",
    "standalone",
    "database",
    "galera",
    "lb",
    "storage",
    "backup",
];
