//! Node files for simulated machines, made from the same types the installer reads.

use roles::node::{Access, Console, Network, NodeFile, Permit, Storage};

use crate::machines;

/// A node file that installs `role` on its reference machine without anyone at the keyboard.
///
/// Arrays are created without their first resync: sparse images read zeros everywhere, and a resync of terabytes
/// would take the emulated machine for hours.
#[must_use]
pub fn node_file(role: &str, permit: &str, ssh_key: &str) -> NodeFile {
    let networks = machines::networks(role)
        .iter()
        .enumerate()
        .map(|(index, name)| Network {
            name: (*name).to_owned(),
            mac: Some(machines::mac(index)),
            // QEMU's own network is 10.0.2.0/24 with the host at .2 (QEMU manual, "Using the user mode network stack").
            addresses: vec![if index == 0 {
                "10.0.2.15/24".to_owned()
            } else {
                format!("198.51.100.{}/24", index * 16)
            }],
            gateway: (index == 0).then(|| "10.0.2.2".to_owned()),
            ..Network::default()
        });
    NodeFile {
        format: 1,
        node: format!("{role}-1"),
        role: role.to_owned(),
        domain: Some("example.org".to_owned()),
        permit: Some(Permit {
            id: permit.to_owned(),
            board_serial: Some(machines::board_serial(role)),
            plan: None,
            task: None,
        }),
        access: Access {
            user: None,
            ssh_keys: vec![ssh_key.to_owned()],
            password_hash: None,
        },
        // Nobody is there to press a key; the compiled node files have the wait that people get.
        console: Console {
            wait: Some(0),
            ..Console::default()
        },
        storage: Storage {
            initial_sync: Some("skip".to_owned()),
            ..Storage::default()
        },
        networks: networks.collect(),
        ..NodeFile::default()
    }
}

/// As TOML.
///
/// # Errors
/// If a value has no TOML form.
pub fn text(file: &NodeFile) -> Result<String, toml::ser::Error> {
    toml::to_string(file)
}
