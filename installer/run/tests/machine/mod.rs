//! A small machine with two OS disks, two data disks, a medium and a foreign disk, and a plan for it.
#![allow(dead_code, reason = "every test file uses another part")]

mod steps;

use std::{cell::Cell, collections::BTreeMap, sync::LazyLock};

use camino::Utf8Path;
use firmware::inventory::{Bay, Disk, DiskId, DiskPath, Inventory};
use plan::{
    Action, Check, Device, Plan, Step,
    step::{Mount, Partition, PlannedDisk, Vdev},
};
use roles::{folder::RoleSet, node::Permit, role::Purpose, selector::Transport};
use run::{
    Context, Event, Outcome,
    install_state::{InstallState, Progress},
};
use sha2::{Digest, Sha256};
use system::{
    Command, Simulated, System,
    simulated::{Content, SimulatedDisk},
};

pub const PERMIT: &str = "permit-1";
const MIB: u64 = 1 << 20;
const SIZE: u64 = 18 * MIB;
const ARRAY: &str = "11111111:22222222:33333333:44444444";
const STATE_UUID: &str = "5555aaaa-0000-4000-8000-000000000001";

/// Kernel name and WWN.
const DISKS: [(&str, &str); 6] = [
    ("sda", "0x5000000000000001"),
    ("sdb", "0x5000000000000002"),
    ("sdc", "0x5000000000000003"),
    ("sdd", "0x5000000000000004"),
    ("sdm", "0x50000000000000aa"),
    ("sdz", "0x50000000000000ff"),
];

/// Root image and its digest. Not a multiple of anything, more than one MiB; made once, as the tests make many machines.
static IMAGE: LazyLock<(Vec<u8>, String)> = LazyLock::new(|| {
    let image: Vec<u8> = (0..1_118_208_u32)
        .map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let digest = hex::encode(Sha256::digest(&image));
    (image, digest)
});

pub struct Machine {
    pub simulated: Simulated,
    pub plan: Plan,
    pub context: Context,
    pub image: Vec<u8>,
    canary: (Content, Content),
}

fn id(number: usize) -> DiskId {
    DiskId(format!("wwn-{}", DISKS[number].1))
}

fn partition(number: usize, index: u32) -> Device {
    Device::Partition {
        disk: id(number),
        number: index,
    }
}

fn inside(number: u32) -> Device {
    Device::ArrayPartition {
        uuid: ARRAY.into(),
        number,
    }
}

impl Machine {
    pub fn new() -> Self {
        let image = IMAGE.0.clone();
        let simulated = Simulated::new();
        for (index, (name, wwn)) in DISKS.iter().enumerate() {
            let size = if *name == "sdm" {
                image.len() as u64
            } else {
                SIZE
            };
            simulated.add_disk(
                name,
                SimulatedDisk::new(size, (8, index as u32 * 16)).wwn(wwn),
            );
        }
        simulated.put("sdm", 0, &image);
        simulated.put("sdz", 0, b"somebody's data");
        // Old content on a disk that will be used.
        simulated.put("sda", 3 * MIB, b"old data");
        let canary = (simulated.content("sdm"), simulated.content("sdz"));
        let machine = Self {
            plan: steps::plan(&image),
            context: context(),
            canary,
            image,
            simulated,
        };
        machine.live_files();
        machine
    }

    fn live_files(&self) {
        self.simulated.put_file(run::context::KERNEL, b"kernel");
        self.simulated.put_file(run::context::INITRD, b"initrd");
        self.simulated.put_file("/sys/module/zfs", b"");
    }

    pub fn reboot(&self) {
        self.simulated.power_cycle();
        self.live_files();
    }

    /// An installed machine that was healthy once.
    pub fn installed() -> Self {
        // Installed once, as the tests begin here many times.
        static INSTALLED: LazyLock<Machine> = LazyLock::new(|| {
            let machine = Machine::new();
            assert_eq!(machine.execute(&machine.simulated).0, Outcome::Done);
            let mut state = machine.install_state().unwrap();
            state.state = Progress::Installed;
            machine.put_install_state(&state);
            machine.reboot();
            machine
        });
        Self {
            simulated: INSTALLED.simulated.copy(),
            plan: INSTALLED.plan.clone(),
            context: INSTALLED.context.clone(),
            image: INSTALLED.image.clone(),
            canary: INSTALLED.canary.clone(),
        }
    }

    /// Pulls a disk and puts another, which looks used, into its bay; it gets the same kernel name.
    pub fn change_disk(&mut self, number: usize, wwn: &str) {
        let name = DISKS[number].0;
        self.simulated.remove_disk(name);
        let new = SimulatedDisk::new(SIZE, (8, number as u32 * 16)).wwn(wwn);
        self.simulated.add_disk(name, new);
        self.simulated.put(name, 5 * MIB, b"from another machine");
        let disk = &mut self.context.inventory.disks[number];
        disk.id = DiskId(format!("wwn-{wwn}"));
        disk.wwn = Some(wwn.into());
    }

    pub fn id_at(&self, number: usize) -> DiskId {
        self.context.inventory.disks[number].id.clone()
    }

    pub fn content_at(&self, number: usize) -> Content {
        self.simulated.content(DISKS[number].0)
    }

    /// What a repair would do now.
    pub fn repair_plan(&self) -> Result<Plan, String> {
        static ROLES: LazyLock<RoleSet> = LazyLock::new(|| {
            let folder = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../../roles");
            roles::folder::read(&folder).unwrap()
        });
        let inventory = &self.context.inventory;
        let recorded = run::recorded::find(&self.simulated, inventory, Some("mail1"))
            .map_err(|error| error.to_string())?;
        let text = recorded.node_file.unwrap();
        let node = toml::from_str(&format!("{text}\nrole = \"storage\"\n")).unwrap();
        let role = &ROLES.roles["storage"].role;
        plan::repair::make(&recorded.plan, role, &node, inventory, &[])
            .map_err(|error| error.to_string())
    }

    pub fn permit_repair(&mut self, id: &str) {
        self.context.permit = Some(Permit {
            id: id.into(),
            board_serial: None,
            plan: None,
            task: Some("repair".into()),
        });
    }

    pub fn execute_plan(&self, plan: &Plan, system: &dyn System) -> (Outcome, Vec<Event>) {
        let mut events = Vec::new();
        let outcome = run::execute(
            plan,
            &self.context,
            system,
            &mut |event| events.push(event),
            &mut || Ok(()),
            &|| false,
        );
        (outcome, events)
    }

    pub fn execute(&self, system: &dyn System) -> (Outcome, Vec<Event>) {
        let mut events = Vec::new();
        let outcome = run::execute(
            &self.plan,
            &self.context,
            system,
            &mut |event| events.push(event),
            &mut || Ok(()),
            &|| false,
        );
        (outcome, events)
    }

    /// Runs until the step whose id holds the word has ended.
    pub fn execute_until(&self, system: &dyn System, word: &str) -> (Outcome, Vec<Event>) {
        let mut events = Vec::new();
        let stop = Cell::new(false);
        let outcome = run::execute(
            &self.plan,
            &self.context,
            system,
            &mut |event| {
                if matches!(&event, Event::Finished { step, .. } if step.contains(word)) {
                    stop.set(true);
                }
                events.push(event);
            },
            &mut || Ok(()),
            &|| stop.get(),
        );
        (outcome, events)
    }

    /// Nothing outside the plan was written, nor was it tried.
    pub fn assert_untouched(&self) {
        assert_eq!(self.simulated.violations(), [""; 0]);
        let now = (self.simulated.content("sdm"), self.simulated.content("sdz"));
        assert_eq!(now, self.canary);
    }

    pub fn contents(&self) -> Vec<Content> {
        DISKS
            .iter()
            .map(|(name, _)| self.simulated.content(name))
            .collect()
    }

    pub fn state_file(&self, path: &str) -> Option<Vec<u8>> {
        self.simulated.file_on(STATE_UUID, path)
    }

    pub fn install_state(&self) -> Option<InstallState> {
        serde_json::from_slice(&self.state_file("/install.json")?).ok()
    }

    pub fn put_install_state(&self, state: &InstallState) {
        let text = serde_json::to_vec(state).unwrap();
        self.simulated
            .put_file_on(STATE_UUID, "/install.json", &text);
    }

    pub fn image_digest(&self) -> String {
        IMAGE.1.clone()
    }

    /// Starts the OS array, as a boot with automatic assembly would.
    pub fn leave_array_running(&self) -> String {
        let disks: Vec<String> = ["sda", "sdb"].map(str::to_owned).to_vec();
        self.simulated.allow_writes(&disks, &disks);
        let list = self.simulated.list("/sys/class/block".into()).unwrap();
        if let Some(name) = list.iter().find(|name| name.starts_with("md")) {
            return name.clone();
        }
        let assemble = Command::new("mdadm")
            .args(["--assemble", "/dev/md/x", "--run"])
            .arg(format!("--uuid={ARRAY}"))
            .args(["/dev/sda3", "/dev/sdb3"]);
        self.simulated.run(&assemble).unwrap();
        "md127".into()
    }

    pub fn state_node(&self) -> String {
        "/dev/md127p3".into()
    }

    /// What the medium holds now is what it must hold afterwards.
    pub fn remember_medium(&mut self) {
        self.canary.0 = self.simulated.content("sdm");
    }

    pub fn slot_a(&self) -> Vec<u8> {
        self.leave_array_running();
        self.simulated.get("md127p1", 0, self.image.len()).unwrap()
    }

    pub fn corrupt_slot(&self) {
        self.leave_array_running();
        self.simulated.put("md127p1", 1_100_000, b"flipped");
        self.reboot();
    }

    /// A medium that ends too early.
    pub fn shrink_medium(&mut self) {
        let disk = SimulatedDisk::new(MIB, (8, 64)).wwn(DISKS[4].1);
        self.simulated.add_disk("sdm", disk);
        self.simulated.put("sdm", 0, &self.image[..MIB as usize]);
        self.canary.0 = self.simulated.content("sdm");
    }

    /// The probe of another boot sees `sda` and `sdb` the other way round.
    pub fn swap_inventory_names(&mut self) {
        let disks = &mut self.context.inventory.disks;
        let (first, second) = (disks[0].paths.clone(), disks[1].paths.clone());
        disks[0].paths = second;
        disks[1].paths = first;
    }
}

fn context() -> Context {
    let disks = DISKS
        .iter()
        .enumerate()
        .map(|(index, (name, wwn))| Disk {
            id: id(index),
            vendor: None,
            model: None,
            serial: None,
            wwn: Some((*wwn).into()),
            firmware: None,
            size: SIZE,
            logical_sector: 512,
            physical_sector: 512,
            rotational: None,
            transport: Transport::Sas,
            paths: vec![DiskPath {
                kernel_name: (*name).into(),
                device: (8, index as u32 * 16),
                hba: None,
                by_path: None,
                sas_address: None,
                link_rate: None,
                expander: None,
            }],
            bay: Some(Bay {
                side: "front".into(),
                slot: index as u32,
            }),
            removable: false,
            read_only: false,
            mounted: Default::default(),
            boot_medium: *name == "sdm",
            faults: vec![],
            health: None,
        })
        .collect();
    let mut inventory = Inventory {
        disks,
        ..Inventory::default()
    };
    inventory.board.serial = Some("ZM1".into());
    Context {
        inventory,
        node_file: "format = 1\nnode = \"mail1\"\n".into(),
        permit: Some(Permit {
            id: PERMIT.into(),
            board_serial: Some("ZM1".into()),
            plan: None,
            task: None,
        }),
        role: "storage".into(),
        version: "0.1.0".into(),
        root_device: "/dev/sdm".into(),
        kernel: run::context::KERNEL.into(),
        initrd: run::context::INITRD.into(),
    }
}
