//! Three live systems on one switch: bonds with LACP, VLANs and jumbo frames under a real kernel and networkd, and a
//! preflight that finds what is wrong with them before a disk is written.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use roles::NodeFile;
use roles::node::{Bond, BondMode, Host, Network, PhysicalPort, Waiver};
use run::event::Event;

use super::machines::{BIOS_USB, Test};
use crate::images::Image;
use crate::machine::{Boot, Builder, Network as Plug, Nic, NicModel, Patience, Running};
use crate::node;
use crate::scenario::{Site, plans, refuses, type_in};
use crate::switch::{Port, Switch};

pub(super) fn tests() -> Vec<Test> {
    vec![Test {
        name: "network::bonds-vlans-and-preflight",
        role: "lb",
        run: three_machines,
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
    /// What the machines' clocks begin with; absent: now.
    clocks: [Option<String>; MACHINES],
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
                                // virtio-net knows no speed and duplex here, and a port without them takes no part in LACP
                                // (drivers/net/bonding/bond_3ad.c, `__get_duplex`).
                                model: NicModel::E1000e,
                                network: Plug::Switch { port },
                            })
                        })
                };
                Site::new(test.role, image, BIOS_USB, wire, |file| {
                    node_file(file, machine)
                })
            })
            .collect::<anyhow::Result<_>>()?;
        Ok(Self {
            switch,
            sites,
            clocks: [const { None }; MACHINES],
        })
    }

    /// Starts all machines; each comes to a refusal, because nobody permits an install, and waits.
    fn start(&mut self) -> anyhow::Result<Vec<Running>> {
        let mut running = Vec::new();
        for (site, clock) in self.sites.iter_mut().zip(&self.clocks) {
            let boot = Boot {
                clock: clock.clone(),
                ..site.medium_boot()
            };
            // The node file may have been changed since the machine was made.
            let text = node::text(&site.node)?;
            site.write_node_file(&text)?;
            let mut machine = site.machine.boot(&boot)?;
            // One after the other: three kernels that start at once on two cores may find their timer dead
            // ("IO-APIC + timer doesn't work", emulated, 2026-11-23).
            let begun = machine.wait_for("first event", Patience::BOOT, |_| Some(()));
            site.explain(begun, &mut machine)?;
            running.push(machine);
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

fn three_machines(test: &Test, image: &Image) -> anyhow::Result<()> {
    let mut rack = Rack::new(test, image)?;
    // The third machine tells the time, the first does not know it.
    rack.sites[0].node.ntp = vec![address(2, 0)];
    rack.clocks[0] = Some("1970-01-02T00:00:00".to_owned());
    let mut running = rack.start()?;
    type_in(
        &mut running[2],
        "printf 'local stratum 8\\nallow\\n' > /run/clock.conf; chronyd -x -f /run/clock.conf; sleep 2",
    )?;
    let first = &mut running[0];
    connected(first).context("bonds and VLANs")?;

    let clean = preflight(first)?;
    for (id, wanted) in [
        ("preflight.cable:leg0", "pass"),
        ("preflight.cable:leg1", "pass"),
        ("preflight.lacp:bond0", "pass"),
        ("preflight.leg:bond0:leg0", "pass"),
        ("preflight.leg:bond0:leg1", "pass"),
        ("preflight.mtu:storage", "pass"),
        ("preflight.clock", "warn"),
    ] {
        expect(&clean, id, wanted)?;
    }
    let failed: Vec<_> = clean
        .iter()
        .filter(|(_, weight)| *weight == "fail")
        .collect();
    ensure!(failed.is_empty(), "nothing is wrong, but: {failed:?}");

    // A leg that is dead behind its link: the other carries everything, and no reserve is left.
    rack.switch.cut(&port_name(0, 0), true)?;
    wait_for(first, &ping(1, 2), "lb2 over `storage` with one leg")?;
    expect(&preflight(first)?, "preflight.leg:bond0:leg1", "fail")?;
    rack.switch.cut(&port_name(0, 0), false)?;

    // Switch ports whose MTU was forgotten: ordinary packets pass, large ones do not.
    let forget = |mtu| {
        (0..LEGS.len()).try_for_each(|leg| {
            rack.switch
                .change(&port_name(1, leg), |port| port.mtu = mtu)
        })
    };
    forget(1500)?;
    wait_for(first, &ping(1, 1), "lb2 over `cluster`")?;
    expect(&preflight(first)?, "preflight.mtu:storage", "fail")?;
    forget(9216)?;

    // A cable in the wrong port of the switch.
    rack.switch
        .change(&port_name(0, 1), |port| port.name = "xe-1/0/20".to_owned())?;
    std::thread::sleep(Duration::from_secs(5));
    expect(&preflight(first)?, "preflight.cable:leg1", "fail")?;
    rack.switch
        .change("xe-1/0/20", |port| port.name = port_name(0, 1))?;

    // Another machine has this one's address.
    let taken = address(0, 2);
    type_in(
        &mut running[2],
        &format!("ip address add {taken}/24 dev storage0"),
    )?;
    let first = &mut running[0];
    expect(
        &preflight(first)?,
        &format!("preflight.address:{taken}"),
        "fail",
    )?;
    drop(running.remove(0));

    // With a permit: refused before the first write; waived, it goes on.
    let site = &mut rack.sites[0];
    site.node.permit = node::node_file(test.role, "permit-preflight", "").permit;
    let text = node::text(&site.node)?;
    site.write_node_file(&text)?;
    let id = format!("preflight.address:{taken}");
    refuses(site, &[&id, "[[waivers]]"])?;
    site.node.waivers.push(Waiver {
        finding: id,
        reason: "a test".to_owned(),
    });
    let text = node::text(&site.node)?;
    site.write_node_file(&text)?;
    plans(site).context("with the finding waived")
}

/// Everybody hears everybody with full packets, over two legs.
fn connected(first: &mut Running) -> anyhow::Result<()> {
    let look = type_in(
        first,
        "cat /proc/net/bonding/bond0; networkctl --no-pager --no-legend list; ip -color=never -br addr",
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
    let same =
        "test $(sed -n 's/.*Aggregator ID: //p' /proc/net/bonding/bond0 | sort -u | wc -l) = 1";
    wait_for(first, same, "both legs in one aggregate")?;
    for (network, (name, _, _)) in NETWORKS.iter().enumerate() {
        for other in 1..MACHINES {
            let what = format!("lb{} over `{name}`", other + 1);
            wait_for(first, &ping(other, network), &what)?;
        }
    }
    Ok(())
}

/// Findings of the network, by id.
fn preflight(running: &mut Running) -> anyhow::Result<BTreeMap<String, String>> {
    let said = type_in(
        running,
        "rackwright-installer preflight --json --pull-legs 2>/dev/null || true",
    )?;
    let json = said
        .get(said.find('[').unwrap_or_default()..=said.rfind(']').unwrap_or_default())
        .unwrap_or_default();
    let findings: Vec<serde_json::Value> =
        serde_json::from_str(json).with_context(|| format!("no findings in:\n{said}"))?;
    let word = |finding: &serde_json::Value, key: &str| {
        finding[key].as_str().unwrap_or_default().to_owned()
    };
    Ok(findings
        .iter()
        .map(|finding| (word(finding, "id"), word(finding, "weight")))
        .collect())
}

fn expect(findings: &BTreeMap<String, String>, id: &str, wanted: &str) -> anyhow::Result<()> {
    ensure!(
        findings.get(id).is_some_and(|weight| weight == wanted),
        "`{id}` was to be `{wanted}`:\n{findings:#?}"
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
