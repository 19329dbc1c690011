//! Status of simulated machines.

use super::*;
use system::Simulated;

pub(in crate::appliance) fn roles() -> RoleSet {
    let folder = tempfile::tempdir().unwrap();
    let root = camino::Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
    for (path, text) in [
        (
            "common/common.toml",
            "format = 1\npackages = []\nimage_modules = []\ninitrd_modules = []\ninitrd_load = []\n\
             [services]\nstart = [\"ssh.service\"]\n\
             [[health]]\nkind = \"array\"\npath = \"/state\"\n[[health]]\nkind = \"service\"\nunit = \"ssh.service\"\n",
        ),
        (
            "toy/role.toml",
            "format = 1\nname = \"toy\"\nsummary = \"A toy.\"\n[services]\nstart = [\"toy.service\"]\n\
             [[health]]\nkind = \"service\"\nunit = \"toy.service\"\n[[health]]\nkind = \"listen\"\nprotocol = \"tcp\"\nport = 25\n",
        ),
    ] {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    roles::folder::read(&root).unwrap()
}

/// A machine with a degraded mirror on which everything else is well.
pub(in crate::appliance) fn machine(state: &str) -> Simulated {
    let system = Simulated::new();
    let boot = r#"{"mode":"run","medium":null,"root_device":"/dev/md127p1","root":{"role":"toy","version":"0.1.0","size":1,"sha256":"0","kernel":"6.12"},"array":"/dev/md127","slot":"a","node_file":null,"warnings":["array started degraded: 1 of 2 members"]}"#;
    for (path, text) in [
        (boot_facts::PATH, boot),
        (progress::PATH, &format!(r#"{{"state": "{state}"}}"#)),
        (NODE_FILE, "format = 1\nnode = \"toy1\"\nrole = \"toy\"\n"),
        (prepare::OWN_FILES, r#"["/etc/hosts"]"#),
        ("/proc/mounts", "/dev/md127p3 /state ext4 rw 0 0\n"),
        ("/proc/net/tcp", "h\n 0: 00000000:0019 00000000:0000 0A\n"),
        ("/sys/class/tty/console/active", "tty0 ttyS0\n"),
        ("/sys/block/md127/md/level", "raid1\n"),
        ("/sys/block/md127/md/raid_disks", "2\n"),
        ("/sys/block/md127/md/degraded", "1\n"),
        ("/sys/block/md127/md/array_state", "clean\n"),
        ("/sys/block/md127/md/sync_action", "idle\n"),
    ] {
        system.put_file(path, text.as_bytes());
    }
    // What lsblk says of this disk is cut.
    system.put_file(
        "/sys/block/sda/device/vpd_pg89",
        &firmware::fixture::pages::ata_information("INTEL SSDSC2BB240G4", "D2010370", "BTWL1"),
    );
    system.answer("systemctl list-units", Ok(""));
    system.answer(
        "lsblk",
        Ok(r#"{"blockdevices": [{"name":"sda","type":"disk","model":"INTEL SSDSC2BB24","serial":"BTWL1","size":240057409536}, {"name":"sr0","type":"rom","model":null,"serial":null,"size":1}]}"#),
    );
    system.answer(
        "ip -json address show",
        Ok(r#"[{"ifname":"lo","operstate":"UNKNOWN","mtu":65536,"addr_info":[]},{"ifname":"mgmt0","operstate":"UP","address":"52:54:00:00:00:01","mtu":1500,"addr_info":[{"family":"inet","local":"192.0.2.10","prefixlen":24}]}]"#),
    );
    system
}

pub(in crate::appliance) const ACTIVE: &str = "ActiveState=active\nSubState=running\nResult=success\n\nActiveState=active\nSubState=running\nResult=success\n";

#[test]
fn a_machine_with_a_degraded_mirror() {
    let system = machine("installed");
    system.answer("systemctl show", Ok(ACTIVE));
    let status = status_with(&system, Ok(roles()));
    assert_eq!(status.exit_code(), 0);
    let text = status.text();
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
    insta::assert_snapshot!(text, @r"
    HEALTHY  toy1
    role toy, version 0.1.0, slot a, installed
    WARN  boot: array started degraded: 1 of 2 members
    WARN  array /state: md127 raid1 DEGRADED: 1 of 2 members, REPLACE THE MISSING
          DISK
    3 of 5 checks pass

    Disks
      sda         240 GB  INTEL SSDSC2BB240G4 BTWL1

    Arrays
      md127    raid1   1 of 2 members, clean, idle

    Networks
      mgmt0      up      192.0.2.10/24

    Services
      ssh.service                                active (running)
      toy.service                                active (running)

    Own files over the rendered ones
      /etc/hosts
    ");
    let json = status.json();
    let mut keys: Vec<&String> = json.as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(
        keys,
        [
            "arrays",
            "checks",
            "database",
            "disks",
            "events",
            "healthy",
            "held",
            "memory",
            "mode",
            "multipath",
            "networks",
            "node",
            "own_files",
            "pools",
            "role",
            "secrets",
            "service",
            "services",
            "slot",
            "state",
            "version"
        ]
    );
    assert_eq!(
        json["checks"][2],
        serde_json::json!({"name": "service ssh.service", "result": "pass", "detail": "active (running)"})
    );
    assert_eq!(serde_json::from_value::<Status>(json).unwrap(), status);
}

#[test]
fn a_stopped_service_and_an_unfinished_install() {
    let system = machine("incomplete");
    system.put_file(
        incomplete::REASON,
        b"the install of this machine did not finish",
    );
    system.answer("systemctl show", Ok("ActiveState=active\nSubState=running\nResult=success\n\nActiveState=inactive\nSubState=dead\nResult=success\n"));
    let status = status_with(&system, Ok(roles()));
    assert_eq!(status.exit_code(), 1);
    insta::assert_snapshot!(status.text().lines().take(8).collect::<Vec<_>>().join("\n"), @r"
    NOT HEALTHY  toy1
    role toy, version 0.1.0, slot a, incomplete
    FAIL  install: the install of this machine did not finish
    FAIL  state: the install state is `incomplete`
    FAIL  service toy.service: inactive (dead)
    WARN  boot: array started degraded: 1 of 2 members
    WARN  array /state: md127 raid1 DEGRADED: 1 of 2 members, REPLACE THE MISSING
          DISK
    ");
}

#[test]
fn nothing_can_be_read() {
    let status = status_with(&Simulated::new(), Err("no roles".to_owned()));
    assert!(!status.healthy);
    assert_eq!(
        (status.mode.as_str(), status.state.as_str()),
        ("unknown", "unknown")
    );
}
