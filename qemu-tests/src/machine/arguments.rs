//! From a specification and its files to QEMU's command line: pure, so that it can be read in a snapshot.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};

use super::{Accelerator, Attachment, CpuModel, Disk, Files, Firmware, Specification};

/// What is special about one boot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Boot {
    /// Sticks and CDs; the first is tried before the disks.
    pub media: Vec<Medium>,
    /// Kernel and initrd handed over directly, as a PXE loader would.
    pub kernel: Option<DirectKernel>,
    /// Names of disks that are pulled.
    pub without: BTreeSet<String>,
    /// Disks with a sector that gives an I/O error whenever it is read or written (512 bytes, from 0).
    pub bad_sectors: BTreeMap<String, u64>,
    /// Firmware other than the specification's.
    pub firmware: Option<Firmware>,
    /// The first network port is tried before everything else.
    pub network: bool,
    /// UEFI fetches its loader by HTTP: PXE is switched off in its settings, and the port has no option ROM.
    pub http: bool,
    /// Start of the machine's clock, as `2031-01-01T00:00:00`; absent: now.
    pub clock: Option<String>,
    /// MiB of memory other than the specification's.
    pub memory: Option<u32>,
}

/// A removable medium.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Medium {
    /// Stick or CD.
    pub kind: MediumKind,
    /// Raw image.
    pub image: Utf8PathBuf,
}

/// Kind of removable medium.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediumKind {
    /// USB stick, writable.
    Usb,
    /// CD in an AHCI drive.
    Cd,
}

/// Kernel and initrd handed over directly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectKernel {
    /// Kernel.
    pub kernel: Utf8PathBuf,
    /// Initrd.
    pub initrd: Utf8PathBuf,
    /// Kernel command line.
    pub command_line: String,
}

/// AHCI ports of the chip set's own controller (ICH9: 6); further disks go to a second controller.
const OWN_AHCI_PORTS: usize = 6;

/// Disks behind one emulated SAS1068.
const SAS_PORTS: usize = 8;
/// SAS address of the first controller (LSI's company id).
const HBA_ADDRESS: u64 = 0x5006_05b0_0000_1000;

/// What an emulated machine sets for itself and a server does not, by credentials that systemd passes on
/// (systemd.system-credentials(7), SMBIOS type 11). For systemd-sysctl:
/// - A new array is not brought into step as fast as the disks can, but at so many KiB/s: an emulated database spent two thirds
///   of its processor on it, and 45 % at the kernel's own lower limit of 1000 (2026-11-30).
/// - Programs lie at the same addresses at each start: QEMU translates them once (docs/performance.md: 27 % of a boot).
const SETTINGS: &str =
    "dev.raid.speed_limit_min=10\ndev.raid.speed_limit_max=10\nkernel.randomize_va_space=0\n";
/// For its unit: new file systems of terabytes, whose inode tables ext4 writes zeros to for an hour after they were made (ext4(5),
/// `init_itable`), are left as they are. It was a quarter of an emulated database's processor, 1.2 MB/s on a mirror of sparse
/// files (2026-11-30). Where they are not mounted yet, on an installer's medium, nothing is done.
const NO_ZEROS: &str = "[Service]\nExecStartPre=-mount -o remount,noinit_itable /var\n\
ExecStartPre=-mount -o remount,noinit_itable /state\n";
/// Names of these credentials and what they say.
const CREDENTIALS: [(&str, &str); 2] = [
    ("sysctl.extra", SETTINGS),
    ("systemd.unit-dropin.systemd-sysctl.service", NO_ZEROS),
];

/// First place in the boot order; 0 is QEMU's own loader of a kernel that is handed over.
const FIRST: usize = 1;

/// QEMU's command line without the program name.
///
/// The machine is a q35 with the X10's two serial ports (ttyS0 and ttyS1, sockets that also keep a log), the guest's
/// event port, QMP, and a display that only `screendump` sees. It ends instead of rebooting.
#[must_use]
pub fn arguments(machine: &Specification, files: &Files, boot: &Boot, number: u32) -> Vec<String> {
    let mut line = Line::default();
    let run = files.run(number);
    line.pair("-name", &machine.name);
    line.pair("-machine", "q35");
    line.pair("-accel", machine.accelerator.argument());
    line.pair("-cpu", cpu(machine));
    line.pair("-smp", &machine.processors.to_string());
    line.pair("-m", &boot.memory.unwrap_or(machine.memory).to_string());
    line.words(&["-nodefaults", "-no-user-config", "-no-reboot"]);
    line.words(&["-display", "none", "-vga", "std"]);
    let clock = boot.clock.as_deref().unwrap_or("utc");
    line.pair("-rtc", &format!("base={clock}"));
    line.0
        .extend(machine.board.arguments(&machine.board_serial));
    for (name, text) in CREDENTIALS {
        let text = data_encoding::BASE64.encode(text.as_bytes());
        line.pair(
            "-smbios",
            &format!("type=11,value=io.systemd.credential.binary:{name}={text}"),
        );
    }

    if boot.firmware.unwrap_or(machine.firmware) == Firmware::Uefi {
        line.pair(
            "-drive",
            &format!(
                "if=pflash,unit=0,format=raw,readonly=on,file={}",
                path(&files.firmware)
            ),
        );
        line.pair(
            "-drive",
            &format!(
                "if=pflash,unit=1,format=raw,file={}",
                path(&files.variables)
            ),
        );
        if boot.http {
            // Settings of OVMF (edk2, OvmfPkg/README).
            for name in ["IPv4PXESupport", "IPv6PXESupport"] {
                line.pair(
                    "-fw_cfg",
                    &format!("name=opt/org.tianocore/{name},string=no"),
                );
            }
        }
    }

    line.pair(
        "-qmp",
        &format!("unix:{},server=on,wait=off", path(&run.qmp)),
    );
    for (index, (socket, log)) in [(&run.serial0, &run.console0), (&run.serial1, &run.console1)]
        .into_iter()
        .enumerate()
    {
        line.pair(
            "-chardev",
            &format!(
                "socket,id=tty{index},path={},server=on,wait=off,logfile={}",
                path(socket),
                path(log)
            ),
        );
        line.pair("-serial", &format!("chardev:tty{index}"));
    }
    line.device("virtio-serial-pci,id=ports");
    line.pair(
        "-chardev",
        &format!("file,id=events,path={}", path(&run.events)),
    );
    line.device("virtserialport,bus=ports.0,chardev=events,name=org.rackwright.events");
    // Host keys and UUIDs need random numbers that Nehalem has no instruction for.
    line.device("virtio-rng-pci");
    line.device("qemu-xhci,id=usb");
    if machine.bmc {
        match machine.external_bmc {
            Some(port) => {
                line.pair(
                    "-chardev",
                    &format!("socket,id=bmcline,host=127.0.0.1,port={port},reconnect=1"),
                );
                line.device("ipmi-bmc-extern,id=bmc,chardev=bmcline");
            }
            None => line.device(&format!(
                "ipmi-bmc-sim,id=bmc,mfg_id=10876,product_id={}",
                machine.board.bmc_product
            )),
        }
        // X10: SMBIOS type 38 says KCS at 0xCA2.
        line.device("isa-ipmi-kcs,bmc=bmc,ioport=0xca2");
    }
    for (index, nic) in machine.nics.iter().enumerate() {
        let order = (boot.network && index == 0).then_some(FIRST);
        line.0.extend(nic.arguments(index, order, boot.http));
    }
    media(&mut line, boot);
    disks(&mut line, machine, files, boot);
    if let Some(direct) = &boot.kernel {
        line.pair("-kernel", direct.kernel.as_str());
        line.pair("-initrd", direct.initrd.as_str());
        line.pair("-append", &direct.command_line);
    }
    line.0
}

fn cpu(machine: &Specification) -> &'static str {
    match (machine.accelerator, machine.cpu) {
        (Accelerator::Kvm, _) => "host",
        // What an emulator does slowly is left out: string moves byte by byte, the switch that guards user memory, a fifth level of
        // page tables (2026-11-30: 99 s of CPU from power-on to the installer instead of 111 s).
        (_, CpuModel::Max) => "max,-erms,-smap,-la57",
        (_, CpuModel::Nehalem) => "Nehalem",
    }
}

fn media(line: &mut Line, boot: &Boot) {
    for (index, medium) in boot.media.iter().enumerate() {
        let order = FIRST + usize::from(boot.network) + index;
        let read_only = match medium.kind {
            MediumKind::Usb => "",
            MediumKind::Cd => ",read-only=on",
        };
        line.pair(
            "-blockdev",
            &format!(
                "driver=raw,node-name=medium{index},file.driver=file,file.filename={}{read_only}",
                path(&medium.image)
            ),
        );
        line.device(&match medium.kind {
            MediumKind::Usb => format!(
                "usb-storage,bus=usb.0,drive=medium{index},removable=on,serial=STICK{index},bootindex={order}"
            ),
            // The last port of the chip set's controller; disks fill it from the first.
            MediumKind::Cd => format!(
                "ide-cd,bus=ide.{},drive=medium{index},bootindex={order}",
                OWN_AHCI_PORTS - 1
            ),
        });
    }
}

fn disks(line: &mut Line, machine: &Specification, files: &Files, boot: &Boot) {
    let count = |attachments: &[Attachment]| {
        machine
            .disks
            .iter()
            .filter(|disk| attachments.contains(&disk.attachment))
            .count()
    };
    for hba in 0..count(&[Attachment::Sas, Attachment::SasTwoPaths]).div_ceil(SAS_PORTS) {
        line.device(&format!(
            "mptsas1068,id=sas{hba}a,sas_address={:#x}",
            HBA_ADDRESS + 2 * hba as u64
        ));
        if count(&[Attachment::SasTwoPaths]) > 0 {
            line.device(&format!(
                "mptsas1068,id=sas{hba}b,sas_address={:#x}",
                HBA_ADDRESS + 2 * hba as u64 + 1
            ));
        }
    }
    if count(&[Attachment::VirtioScsi]) > 0 {
        line.device("virtio-scsi-pci,id=scsi");
    }
    // One port of the first controller stays free for the CD.
    let own_ports = OWN_AHCI_PORTS - 1;
    let sata = count(&[Attachment::Sata]);
    for controller in 0..sata.saturating_sub(own_ports).div_ceil(OWN_AHCI_PORTS) {
        line.device(&format!("ich9-ahci,id=ahci{controller}"));
    }

    let (mut sata_port, mut sas_port, mut target) = (0, 0, 0);
    let next = |counter: &mut usize| std::mem::replace(counter, *counter + 1);
    for (index, disk) in machine.disks.iter().enumerate() {
        // A bay keeps its place while its neighbour is pulled.
        let places = match disk.attachment {
            Attachment::Sata => vec![sata_bus(next(&mut sata_port), own_ports)],
            Attachment::Sas => vec![sas_place(next(&mut sas_port), 'a')],
            Attachment::SasTwoPaths => {
                let port = next(&mut sas_port);
                vec![sas_place(port, 'a'), sas_place(port, 'b')]
            }
            Attachment::VirtioScsi => {
                vec![format!("bus=scsi.0,scsi-id={},lun=0", next(&mut target))]
            }
            Attachment::Nvme | Attachment::Virtio => vec![String::new()],
        };
        if boot.without.contains(&disk.name) {
            continue;
        }
        line.pair(
            "-blockdev",
            &format!(
                "driver=raw,node-name={},discard=unmap,detect-zeroes=unmap,cache.no-flush=on,{}",
                disk.name,
                file(&files.disk(&disk.name), boot.bad_sectors.get(&disk.name))
            ),
        );
        // The firmware's order: media, then disks in bay order; a disk's second path has no place in it.
        let order = format!(
            ",bootindex={}",
            FIRST + usize::from(boot.network) + boot.media.len() + index
        );
        for (number, place) in places.iter().enumerate() {
            let share = if places.len() > 1 { ",share-rw=on" } else { "" };
            let order = if number == 0 { order.as_str() } else { "" };
            line.device(&format!(
                "{},id={}{share}{order}",
                device(disk, place, number as u64),
                device_id(&disk.name, number)
            ));
        }
    }
}

/// QEMU's id of a disk's path, by which it is pulled while the machine runs.
#[must_use]
pub fn device_id(disk: &str, path: usize) -> String {
    format!("{disk}-path{path}")
}

/// The file under a disk, behind QEMU's error injection if a sector is bad. Errno 5 is EIO; `none` is the event that
/// matches every request (QEMU, docs/devel/blkdebug.rst).
fn file(image: &Utf8Path, bad: Option<&u64>) -> String {
    let Some(sector) = bad else {
        return format!("file.driver=file,file.filename={}", path(image));
    };
    format!(
        "file.driver=blkdebug,file.image.driver=file,file.image.filename={},\
         file.inject-error.0.event=none,file.inject-error.0.errno=5,file.inject-error.0.once=off,\
         file.inject-error.0.sector={sector}",
        path(image)
    )
}

fn sas_place(port: usize, path: char) -> String {
    format!(
        "bus=sas{}{path}.0,scsi-id={}",
        port / SAS_PORTS,
        port % SAS_PORTS
    )
}

fn sata_bus(port: usize, own_ports: usize) -> String {
    if port < own_ports {
        return format!("bus=ide.{port}");
    }
    let further = port - own_ports;
    format!(
        "bus=ahci{}.{}",
        further / OWN_AHCI_PORTS,
        further % OWN_AHCI_PORTS
    )
}

fn device(disk: &Disk, place: &str, path: u64) -> String {
    let Disk {
        name,
        serial,
        vendor,
        wwn,
        ..
    } = disk;
    let rate = disk.rotation.rate();
    let model = disk.model.replace(',', ",,");
    match disk.attachment {
        Attachment::Sata => {
            format!(
                "ide-hd,{place},drive={name},model={model},serial={serial},wwn={wwn:#x},rotation_rate={rate}"
            )
        }
        Attachment::Sas | Attachment::SasTwoPaths | Attachment::VirtioScsi => format!(
            "scsi-hd,{place},drive={name},vendor={vendor},product={model},serial={serial},wwn={wwn:#x},\
             port_wwn={:#x},port_index={},rotation_rate={rate}",
            // A SAS disk's two ports have the addresses after its name.
            wwn + 1 + path,
            path + 1,
        ),
        Attachment::Nvme => format!(
            "nvme,drive={name},serial={serial},smart_critical_warning={}",
            disk.warning
        ),
        Attachment::Virtio => format!("virtio-blk-pci,drive={name},serial={serial}"),
    }
}

/// A path inside an option value: QEMU doubles commas.
fn path(path: &Utf8Path) -> String {
    path.as_str().replace(',', ",,")
}

#[derive(Default)]
struct Line(Vec<String>);

impl Line {
    fn pair(&mut self, option: &str, value: &str) {
        self.words(&[option, value]);
    }

    fn device(&mut self, value: &str) {
        self.pair("-device", value);
    }

    fn words(&mut self, words: &[&str]) {
        self.0.extend(words.iter().map(|word| (*word).to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machines;

    fn files() -> Files {
        Files {
            directory: "/m".into(),
            firmware: "/f/code".into(),
            variables: "/m/variables".into(),
        }
    }

    /// Options that matter here, one on each line.
    fn shown(role: &str, boot: &Boot, firmware: Firmware) -> String {
        let mut machine = machines::reference(role, firmware, Some(2200)).specification();
        machine.accelerator = Accelerator::Emulation;
        let words = arguments(&machine, &files(), boot, 1);
        let mut text = String::new();
        for word in &words {
            text.push_str(if word.starts_with('-') && !text.is_empty() {
                "\n"
            } else {
                " "
            });
            text.push_str(word);
        }
        text
    }

    #[test]
    fn control_by_uefi_from_a_stick() {
        let stick = Medium {
            kind: MediumKind::Usb,
            image: "/m/medium".into(),
        };
        let boot = Boot {
            media: vec![stick],
            ..Boot::default()
        };
        insta::assert_snapshot!(shown("control", &boot, Firmware::Uefi));
    }

    #[test]
    fn production_by_bios_from_a_cd() {
        let cd = Medium {
            kind: MediumKind::Cd,
            image: "/m/a,b".into(),
        };
        let boot = Boot {
            media: vec![cd],
            ..Boot::default()
        };
        insta::assert_snapshot!(shown("production", &boot, Firmware::Bios));
    }

    #[test]
    fn a_pulled_disk_leaves_its_bay_empty() {
        let whole = shown("storage", &Boot::default(), Firmware::Uefi);
        let without = ["os0".to_owned(), "data3".to_owned()].into();
        let pulled = shown(
            "storage",
            &Boot {
                without,
                ..Boot::default()
            },
            Firmware::Uefi,
        );
        let gone: Vec<&str> = whole
            .lines()
            .filter(|line| !pulled.contains(line))
            .collect();
        assert_eq!(gone.len(), 4, "{gone:?}");
        assert!(
            gone.iter()
                .all(|line| line.contains("os0") || line.contains("data3")),
            "{gone:?}"
        );
        assert!(pulled.lines().all(|line| whole.contains(line)));
    }

    #[test]
    fn two_paths_are_one_disk_on_two_controllers() {
        let mut machine = machines::reference("backup", Firmware::Uefi, None).specification();
        for disk in &mut machine.disks {
            if disk.attachment == Attachment::Sas {
                disk.attachment = Attachment::SasTwoPaths;
            }
        }
        let words = arguments(&machine, &files(), &Boot::default(), 1);
        let of = |text: &str| {
            words
                .iter()
                .filter(|word| word.contains(text))
                .cloned()
                .collect::<Vec<_>>()
        };
        assert_eq!(of("node-name=data9,").len(), 1);
        let paths = of("drive=data9,");
        assert_eq!(paths.len(), 2);
        assert!(
            paths[0].starts_with("scsi-hd,bus=sas1a.0,scsi-id=1,"),
            "{paths:?}"
        );
        assert!(
            paths[1].starts_with("scsi-hd,bus=sas1b.0,scsi-id=1,"),
            "{paths:?}"
        );
        assert!(
            paths.iter().all(
                |path| path.contains("wwn=0x5000cca261280e8c,") && path.contains("share-rw=on")
            )
        );
        assert_eq!(of("mptsas1068").len(), 4);
    }

    #[test]
    fn a_bmc_outside_takes_the_place_of_qemus_own() {
        let mut machine = machines::reference("control", Firmware::Uefi, None).specification();
        machine.external_bmc = Some(4711);
        let words = arguments(&machine, &files(), &Boot::default(), 1).join(" ");
        assert!(words.contains(
            "-chardev socket,id=bmcline,host=127.0.0.1,port=4711,reconnect=1 -device ipmi-bmc-extern,id=bmc,chardev=bmcline -device isa-ipmi-kcs,bmc=bmc,ioport=0xca2"
        ));
        assert!(!words.contains("ipmi-bmc-sim"));
    }

    #[test]
    fn no_identity_is_given_twice() {
        for role in machines::ROLES {
            let disks = machines::reference(role, Firmware::Bios, None)
                .specification()
                .disks;
            for key in [
                |disk: &Disk| disk.serial.clone(),
                |disk: &Disk| disk.name.clone(),
            ] {
                let all: BTreeSet<String> = disks.iter().map(key).collect();
                assert_eq!(all.len(), disks.len(), "{role}");
            }
        }
    }
}
