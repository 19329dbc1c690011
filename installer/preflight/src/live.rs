//! The asking: sysfs, `ping` and `ip` through `system`, frames and datagrams through its network half. Nothing here decides.

mod bonds;
mod clocks;
mod neighbours;
mod paths;

use std::net::IpAddr;
use std::time::Duration;

use camino::Utf8PathBuf;
use roles::{NodeFile, address::Cidr, node::Network as Planned};
use system::{Command, Network, System};

use crate::Port;
use crate::measured::{AddressProbe, Leg, Measured, NetworkState};
use crate::wire::{arp, mac_bytes};

/// How far the asking goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Each leg of each bond is taken down and up again; never on a machine in service.
    pub pull_legs: bool,
    /// How long to wait for LLDP: switches speak every 30 s (IEEE 802.1AB clause 9.2.5.6, `msgTxInterval`).
    pub lldp: Duration,
    /// How long to wait for a link: a 10GBASE-T port may train for several seconds.
    pub link: Duration,
}

impl Default for Depth {
    fn default() -> Self {
        Self {
            pull_legs: true,
            lldp: Duration::from_secs(32),
            link: Duration::from_secs(10),
        }
    }
}

/// How long a command of this module may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What all parts need.
struct Asking<'a> {
    system: &'a dyn System,
    network: &'a dyn Network,
    node: &'a NodeFile,
    ports: &'a [Port],
    depth: Depth,
}

/// Asks everything. Takes up to a minute where a cable plan is to be checked, a few seconds otherwise.
pub fn measure(
    system: &dyn System,
    network: &dyn Network,
    node: &NodeFile,
    ports: &[Port],
    depth: Depth,
) -> Measured {
    let asking = Asking {
        system,
        network,
        node,
        ports,
        depth,
    };
    let legs = asking.legs();
    asking.settle(&legs);
    let networks = asking.networks();
    let addresses = asking.addresses();
    let (paths, not_asked) = paths::ask(&asking);
    let bonds = bonds::ask(&asking, &paths);
    Measured {
        legs,
        bonds,
        networks,
        addresses,
        paths,
        clocks: clocks::ask(&asking),
        hardware_clock: clocks::hardware(&asking),
        bmc_clock: None,
        not_asked,
    }
}

impl Asking<'_> {
    /// A file of an interface, trimmed.
    fn attribute(&self, interface: &str, name: &str) -> Option<String> {
        let path = Utf8PathBuf::from(format!("/sys/class/net/{interface}/{name}"));
        let content = self.system.read(&path).ok()?;
        Some(String::from_utf8_lossy(&content).trim().to_owned())
    }

    fn carrier(&self, interface: &str) -> Option<bool> {
        self.attribute(interface, "carrier").map(|text| text == "1")
    }

    fn ip(&self, words: &[&str]) -> bool {
        let command = Command::new("ip").args(words.iter().copied());
        self.system.run(&command.timeout(PATIENCE)).is_ok()
    }

    /// Asks until it is so, or patience ends.
    fn wait(&self, patience: Duration, is_so: impl Fn() -> bool) -> bool {
        let start = self.system.now();
        loop {
            if is_so() {
                return true;
            }
            if self.system.now().saturating_sub(start) >= patience {
                return false;
            }
            self.system.sleep(Duration::from_millis(200));
        }
    }

    /// All ports at once: LLDP is heard every 30 s only.
    fn legs(&self) -> Vec<Leg> {
        std::thread::scope(|scope| {
            let waiting: Vec<_> = self
                .ports
                .iter()
                .map(|port| (port, scope.spawn(move || self.leg(port))))
                .collect();
            waiting
                .into_iter()
                .map(|(port, thread)| {
                    thread.join().unwrap_or_else(|_| Leg {
                        name: port.chosen.name.clone(),
                        ..Leg::default()
                    })
                })
                .collect()
        })
    }

    fn leg(&self, port: &Port) -> Leg {
        let name = &port.kernel_name;
        // A port that is down tells neither link nor speed: both read as EINVAL.
        if self.carrier(name).is_none() {
            self.ip(&["link", "set", "dev", name, "up"]);
        }
        let up = self.wait(self.depth.link, || self.carrier(name) == Some(true));
        let planned = self.node.port(&port.chosen.name);
        let has_plan = planned.is_some_and(|it| it.switch.is_some() || it.switch_port.is_some());
        Leg {
            name: port.chosen.name.clone(),
            carrier: self.carrier(name),
            speed: self
                .attribute(name, "speed")
                .and_then(|text| text.parse::<i64>().ok())
                .and_then(|speed| u32::try_from(speed).ok())
                .filter(|speed| *speed > 0),
            neighbours: (up && has_plan).then(|| neighbours::listen(self, name)),
        }
    }

    /// Networks whose interface has a name that we gave.
    fn named(&self) -> impl Iterator<Item = (&Planned, String)> {
        self.node
            .networks
            .iter()
            .filter_map(|network| Some((network, network.interface()?)))
    }

    /// Shortly after a boot bonds and VLANs are still in the making, and LACP needs seconds; without a link below there is
    /// nothing to wait for.
    fn settle(&self, legs: &[Leg]) {
        let linked = |network: &Planned| {
            let ports = self.node.legs(network);
            ports.is_empty()
                || ports.iter().any(|port| {
                    legs.iter()
                        .any(|leg| leg.name == port.name && leg.carrier == Some(true))
                })
        };
        let waited_for: Vec<String> = self
            .named()
            .filter(|(network, _)| linked(network))
            .map(|(_, interface)| interface)
            .collect();
        self.wait(self.depth.link, || {
            waited_for
                .iter()
                .all(|interface| self.carrier(interface) == Some(true))
        });
    }

    fn networks(&self) -> Vec<NetworkState> {
        self.named()
            .map(|(network, interface)| {
                let mtu = self.attribute(&interface, "mtu");
                NetworkState {
                    name: network.name.clone(),
                    present: mtu.is_some(),
                    mtu: mtu.and_then(|text| text.parse().ok()),
                }
            })
            .collect()
    }

    /// Who else has our addresses (RFC 5227); all at once, since each takes seconds.
    fn addresses(&self) -> Vec<AddressProbe> {
        let all: Vec<(String, String, Cidr)> = self
            .named()
            .filter(|(_, interface)| self.attribute(interface, "mtu").is_some())
            .flat_map(|(network, interface)| {
                let addresses = network.addresses.iter();
                addresses
                    .filter_map(|text| Cidr::parse(text))
                    .map(move |cidr| (network.name.clone(), interface.clone(), cidr))
            })
            .collect();
        std::thread::scope(|scope| {
            let waiting: Vec<_> = all
                .iter()
                .map(|(network, interface, cidr)| {
                    scope.spawn(move || self.address(network, interface, cidr.address))
                })
                .collect();
            waiting
                .into_iter()
                .filter_map(|thread| thread.join().ok())
                .collect()
        })
    }

    fn address(&self, network: &str, interface: &str, address: IpAddr) -> AddressProbe {
        let mut probe = AddressProbe {
            network: network.to_owned(),
            address: address.to_string(),
            ..AddressProbe::default()
        };
        match address {
            IpAddr::V6(_) => probe.refused = self.is_refused(interface, address),
            IpAddr::V4(address) => {
                let Some(own) = self
                    .attribute(interface, "address")
                    .and_then(|text| mac_bytes(&text))
                else {
                    probe.error = Some(format!("`{interface}` has no MAC address"));
                    return probe;
                };
                let question = arp::probe(own, address);
                // Three probes, and a second for the last answer (RFC 5227 section 1.1 has PROBE_NUM 3, PROBE_MIN 1 s; a
                // cabled network of one switch needs no more than half of that).
                let heard = self.network.frames(
                    interface,
                    arp::ETHERTYPE,
                    &[question.clone(), question.clone(), question],
                    Duration::from_millis(500),
                    Duration::from_secs(2),
                );
                match heard {
                    Err(error) => probe.error = Some(error.to_string()),
                    Ok(frames) => {
                        let mut owners: Vec<String> = frames
                            .iter()
                            .filter_map(|frame| arp::claim(frame, own, address))
                            .filter(|mac| !self.is_ours(mac))
                            .collect();
                        owners.sort();
                        owners.dedup();
                        probe.owners = owners;
                    }
                }
            }
        }
        probe
    }

    /// Two ports of one machine on one network hear each other.
    fn is_ours(&self, mac: &str) -> bool {
        self.ports
            .iter()
            .any(|port| port.chosen.mac.eq_ignore_ascii_case(mac))
    }

    /// IPv6 asks by itself (RFC 4862 section 5.4); `dadfailed` says that somebody answered.
    fn is_refused(&self, interface: &str, address: IpAddr) -> bool {
        let command = Command::new("ip").args(["-j", "-6", "address", "show", "dev", interface]);
        let Ok(output) = self.system.run(&command.timeout(PATIENCE)) else {
            return false;
        };
        let Ok(links) = serde_json::from_str::<serde_json::Value>(&output.stdout) else {
            return false;
        };
        let links = links.as_array().cloned().unwrap_or_default();
        links
            .iter()
            .filter_map(|link| link.get("addr_info")?.as_array())
            .flatten()
            .any(|entry| {
                let is_it = entry
                    .get("local")
                    .and_then(|local| local.as_str())
                    .and_then(|local| local.parse::<IpAddr>().ok())
                    == Some(address);
                is_it && entry.get("dadfailed").is_some_and(|flag| *flag == true)
            })
    }
}
