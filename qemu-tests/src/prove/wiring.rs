//! Three live systems on one switch: bonds with LACP, VLANs and jumbo frames under a real kernel and networkd.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use roles::NodeFile;
use roles::node::{Bond, BondMode, Host, Network, PhysicalPort};
use run::event::Event;

use super::machines::{BIOS_USB, Test};
use crate::images::Image;
use crate::machine::{Boot, Builder, Network as Plug, Nic, NicModel, Patience, Running};
use crate::scenario::{Site, type_in};
use crate::switch::{Port, Switch};

pub(super) fn tests() -> Vec<Test> {
    vec![Test {
        name: "network::bonds-and-vlans",
        role: "lb",
        run: bonds_and_vlans,
    }]
}

/// VLAN and MTU of each network.
const NETWORKS: [(&str, u16, u32); 3] = [
    ("mgmt", 10, 1500),
    ("cluster", 30, 1500),
    ("storage", 40, 9000),
];
const MACHINES: usize = 3;
/// Two members of one virtual chassis, as the plan wants the legs of a bond.
const LEGS: [&str; 2] = ["xe-0/0/", "xe-1/0/"];

/// Three machines and what they are plugged into.
struct Rack {
    switch: Switch,
    sites: Vec<Site>,
}

fn port_name(machine: usize, leg: usize) -> String {
    format!("{}{machine}", LEGS[leg])
}

fn mac(machine: usize, leg: usize) -> String {
    format!("52:54:00:b1:{machine:02x}:{leg:02x}")
}

fn address(machine: usize, network: usize) -> String {
    format!("10.77.{}.{}", NETWORKS[network].1, 11 + machine)
}

impl Rack {
    fn new(test: &Test, image: &Image) -> anyhow::Result<Self> {
        let vlans = NETWORKS.map(|(_, vlan, _)| vlan);
        let ports = (0..MACHINES).flat_map(|machine| {
            (0..LEGS.len()).map(move |leg| {
                let number = u16::try_from(machine + 1).unwrap_or(u16::MAX);
                Port::named(&port_name(machine, leg))
                    .tagged(&vlans)
                    .aggregate(number)
            })
        });
        let switch = Switch::start("sw1", ports.collect())?;
        let sites = (0..MACHINES)
            .map(|machine| {
                let plugs = (0..LEGS.len())
                    .map(|leg| switch.address(&port_name(machine, leg)))
                    .collect::<anyhow::Result<Vec<_>>>()?;
                let wire = |builder: Builder| {
                    let builder = builder.without_nics();
                    plugs
                        .into_iter()
                        .enumerate()
                        .fold(builder, |builder, (leg, port)| {
                            builder.nic(Nic {
                                mac: mac(machine, leg),
                                model: NicModel::Virtio,
                                network: Plug::Switch { port },
                            })
                        })
                };
                Site::new(test.role, image, BIOS_USB, wire, |file| {
                    node_file(file, machine)
                })
            })
            .collect::<anyhow::Result<_>>()?;
        Ok(Self { switch, sites })
    }

    /// Starts all machines; each comes to a refusal, because nobody permits an install, and waits.
    fn start(&mut self) -> anyhow::Result<Vec<Running>> {
        let mut running = Vec::new();
        for site in &mut self.sites {
            let boot = site.medium_boot();
            running.push(site.machine.boot(&Boot { ..boot })?);
        }
        for (site, running) in self.sites.iter_mut().zip(&mut running) {
            let refused = running.wait_for("refusal without permit", Patience::BOOT, |event| {
                matches!(event, Event::Ended { .. }).then_some(())
            });
            site.explain(refused, running)?;
        }
        Ok(running)
    }
}

/// Two ports, one bond, three networks.
fn node_file(file: &mut NodeFile, machine: usize) {
    file.node = format!("lb{}", machine + 1);
    file.permit = None;
    file.ports = (0..LEGS.len())
        .map(|leg| PhysicalPort {
            name: format!("leg{leg}"),
            mac: Some(mac(machine, leg)),
            switch: Some("sw1".to_owned()),
            switch_port: Some(port_name(machine, leg)),
            ..PhysicalPort::default()
        })
        .collect();
    file.bonds = vec![Bond {
        name: "bond0".to_owned(),
        ports: vec!["leg0".to_owned(), "leg1".to_owned()],
        mode: BondMode::Aggregation,
        lacp_rate: None,
        hash: None,
        min_links: None,
    }];
    file.networks = NETWORKS
        .iter()
        .enumerate()
        .map(|(index, (name, vlan, mtu))| Network {
            name: (*name).to_owned(),
            on: Some("bond0".to_owned()),
            vlan: Some(*vlan),
            mtu: Some(*mtu),
            addresses: vec![format!("{}/24", address(machine, index))],
            ..Network::default()
        })
        .collect();
    file.hosts = (0..MACHINES)
        .map(|other| Host {
            name: format!("lb{}", other + 1),
            role: Some("lb".to_owned()),
            addresses: NETWORKS
                .iter()
                .enumerate()
                .map(|(index, (name, _, _))| ((*name).to_owned(), address(other, index)))
                .collect(),
        })
        .collect();
}

/// `ping` with the largest packet that the network carries, fragmentation forbidden (`-M do`). 28 bytes are headers.
fn ping(to: usize, network: usize) -> String {
    format!(
        "ping -q -c 2 -W 5 -M do -s {} {} >/dev/null",
        NETWORKS[network].2 - 28,
        address(to, network)
    )
}

fn bonds_and_vlans(test: &Test, image: &Image) -> anyhow::Result<()> {
    let mut rack = Rack::new(test, image)?;
    let mut running = rack.start()?;
    let first = &mut running[0];
    let look = type_in(
        first,
        "cat /proc/net/bonding/bond0; networkctl --no-pager --no-legend list; ip -br link; ip -br addr",
    )?;
    for words in [
        "802.3ad",
        "leg0",
        "leg1",
        "cluster0",
        "storage0",
        "10.77.40.11/24",
    ] {
        ensure!(look.contains(words), "there is no `{words}`:\n{look}");
    }
    // Both legs are in the aggregate that works: the switch answered on both.
    let active = "grep -c 'Aggregator ID: '$(sed -n 's/.*Aggregator ID: //p' /proc/net/bonding/bond0 | head -1)'$' /proc/net/bonding/bond0";
    wait_for(
        first,
        &format!("test $({active}) = 3"),
        "both legs in one aggregate",
    )
    .with_context(|| look.clone())?;
    for (network, (name, _, _)) in NETWORKS.iter().enumerate() {
        for other in 1..MACHINES {
            let what = format!("lb{} over `{name}`", other + 1);
            wait_for(first, &ping(other, network), &what)?;
        }
    }
    // A leg that is cut: the other carries everything.
    rack.switch.cut(&port_name(0, 0), true)?;
    wait_for(first, &ping(1, 2), "lb2 over `storage` with one leg")?;
    rack.switch.cut(&port_name(0, 0), false)?;
    // A switch port whose MTU was forgotten: ordinary packets pass, large ones do not.
    rack.switch
        .change(&port_name(1, 0), |port| port.mtu = 1500)?;
    rack.switch
        .change(&port_name(1, 1), |port| port.mtu = 1500)?;
    wait_for(first, &ping(1, 1), "lb2 over `cluster`")?;
    ensure!(
        type_in(first, &ping(1, 2)).is_err(),
        "9000 bytes went through a port that carries 1500"
    );
    Ok(())
}

/// Repeats a command until it succeeds: links take seconds to come up.
fn wait_for(running: &mut Running, command: &str, what: &str) -> anyhow::Result<()> {
    const PATIENCE: Duration = Duration::from_secs(120);
    let start = Instant::now();
    loop {
        match type_in(running, command) {
            Ok(_) => return Ok(()),
            Err(error) if start.elapsed() > PATIENCE => {
                return Err(error).with_context(|| format!("{what}: `{command}`"));
            }
            Err(_) => std::thread::sleep(Duration::from_secs(2)),
        }
    }
}
