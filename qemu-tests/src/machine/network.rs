//! Network ports of a simulated machine.

use std::net::SocketAddr;

/// One port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nic {
    /// Permanent MAC address.
    pub mac: String,
    /// What the guest sees.
    pub model: NicModel,
    /// What it is plugged into.
    pub network: Network,
}

/// Emulated hardware.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NicModel {
    /// Intel 82574L: stands for the on-board 1GbE ports (`igb` needs QEMU 8).
    E1000e,
    /// virtio: stands for the 10GbE ports.
    Virtio,
}

/// What a port is plugged into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Network {
    /// QEMU's own NAT and DHCP server; the guest's port 22 appears on this port of 127.0.0.1, if one is given.
    User {
        /// Port on the host.
        ssh_port: Option<u16>,
        /// The guest may reach the host at 10.0.2.2. Otherwise it reaches nobody: an appliance must install without a
        /// network.
        open: bool,
    },
    /// A tap of a [`Segment`](super::Segment), in the network namespace of a process.
    Tap {
        /// Its name there.
        name: String,
        /// Process id.
        namespace: u32,
    },
    /// A port of a [`Switch`](crate::switch::Switch).
    Switch {
        /// Where the port listens.
        port: SocketAddr,
    },
    /// A switch with nobody else on it.
    Nothing,
}

impl Nic {
    /// `order`: its place in the firmware's boot order; absent: it is not booted from. `bare`: without an option ROM all the same.
    pub(super) fn arguments(&self, index: usize, order: Option<usize>, bare: bool) -> Vec<String> {
        let backend = match &self.network {
            Network::User { ssh_port, open } => {
                let restrict = if *open { "off" } else { "on" };
                let forward = ssh_port
                    .map(|port| format!(",hostfwd=tcp:127.0.0.1:{port}-:22"))
                    .unwrap_or_default();
                format!("user,id=net{index},restrict={restrict}{forward}")
            }
            Network::Tap { name, .. } => {
                format!("tap,id=net{index},ifname={name},script=no,downscript=no")
            }
            Network::Switch { port } => format!("socket,id=net{index},connect={port}"),
            // A hub without a second port never takes a packet, and the guest's transmit queue hangs ("NETDEV
            // WATCHDOG"); a NAT that answers nobody takes them all.
            Network::Nothing => format!("user,id=net{index},restrict=on,ipv6=off,net=192.0.2.0/24"),
        };
        let model = match self.model {
            NicModel::E1000e => "e1000e",
            NicModel::Virtio => "virtio-net-pci",
        };
        // Without a place in the order no option ROM either: SeaBIOS would try PXE first.
        let boot = order.map_or_else(
            || "romfile=".to_owned(),
            |order| {
                let rom = if bare { ",romfile=" } else { "" };
                format!("bootindex={order}{rom}")
            },
        );
        vec![
            "-netdev".to_owned(),
            backend,
            "-device".to_owned(),
            format!("{model},netdev=net{index},mac={},{boot}", self.mac),
        ]
    }
}
