//! Junos set-commands for EX4550 switches: a virtual chassis of two, as typed statements and their text.
//!
//! EX4550 runs Junos 12.2 to 15.1 without Enhanced Layer 2 Software: `port-mode` and not `interface-mode` ("Ethernet
//! Switching User Guide", non-ELS). The virtual chassis of EX4550 alone is never in mixed mode.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use crate::{
    compile::is_tagged,
    site::{
        Site,
        model::{BondMode, Link, Switch, SwitchModel},
    },
};

/// MTU of an aggregated link, bytes: the largest that EX4550 takes.
const LARGEST_MTU: u32 = 9216;

/// One statement of the configuration, as far as we write any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    /// `virtual-chassis preprovisioned`: members are told by serial number.
    Preprovisioned,
    /// `virtual-chassis no-split-detection`: with two members the one that is left must go on.
    NoSplitDetection,
    /// `virtual-chassis member N serial-number S`.
    MemberSerial(u32, String),
    /// `virtual-chassis member N role routing-engine`.
    MemberRole(u32),
    /// `chassis aggregated-devices ethernet device-count N`.
    DeviceCount(usize),
    /// `chassis redundancy graceful-switchover`.
    GracefulSwitchover,
    /// `ethernet-switching-options nonstop-bridging`.
    NonstopBridging,
    /// `vlans NAME vlan-id N`.
    Vlan(String, u16),
    /// `interfaces IF description "..."`.
    Description(String, String),
    /// `interfaces PORT ether-options 802.3ad AE`.
    Leg(String, String),
    /// `interfaces AE mtu N`.
    Mtu(String, u32),
    /// `interfaces AE aggregated-ether-options lacp active`.
    LacpActive(String),
    /// `interfaces AE aggregated-ether-options lacp periodic fast`.
    LacpFast(String),
    /// `interfaces IF unit 0 family ethernet-switching port-mode trunk|access`.
    PortMode(String, bool),
    /// `interfaces IF unit 0 family ethernet-switching vlan members [ ... ]`.
    Members(String, Vec<String>),
    /// `protocols rstp interface IF.0 edge`.
    Edge(String),
    /// `protocols rstp bpdu-block-on-edge`.
    BpduBlock,
    /// `protocols lldp interface all`.
    Lldp,
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("set ")?;
        let switching = "unit 0 family ethernet-switching";
        match self {
            Self::Preprovisioned => f.write_str("virtual-chassis preprovisioned"),
            Self::NoSplitDetection => f.write_str("virtual-chassis no-split-detection"),
            Self::MemberSerial(member, serial) => {
                write!(f, "virtual-chassis member {member} serial-number {serial}")
            }
            Self::MemberRole(member) => {
                write!(f, "virtual-chassis member {member} role routing-engine")
            }
            Self::DeviceCount(count) => {
                write!(
                    f,
                    "chassis aggregated-devices ethernet device-count {count}"
                )
            }
            Self::GracefulSwitchover => f.write_str("chassis redundancy graceful-switchover"),
            Self::NonstopBridging => f.write_str("ethernet-switching-options nonstop-bridging"),
            Self::Vlan(name, id) => write!(f, "vlans {name} vlan-id {id}"),
            Self::Description(port, text) => {
                write!(f, "interfaces {port} description \"{}\"", quoted(text))
            }
            Self::Leg(port, bundle) => {
                write!(f, "interfaces {port} ether-options 802.3ad {bundle}")
            }
            Self::Mtu(port, bytes) => write!(f, "interfaces {port} mtu {bytes}"),
            Self::LacpActive(bundle) => {
                write!(
                    f,
                    "interfaces {bundle} aggregated-ether-options lacp active"
                )
            }
            Self::LacpFast(bundle) => {
                write!(
                    f,
                    "interfaces {bundle} aggregated-ether-options lacp periodic fast"
                )
            }
            Self::PortMode(port, trunk) => {
                let mode = if *trunk { "trunk" } else { "access" };
                write!(f, "interfaces {port} {switching} port-mode {mode}")
            }
            Self::Members(port, vlans) => match vlans.as_slice() {
                [vlan] => write!(f, "interfaces {port} {switching} vlan members {vlan}"),
                _ => write!(
                    f,
                    "interfaces {port} {switching} vlan members [ {} ]",
                    vlans.join(" ")
                ),
            },
            Self::Edge(port) => write!(f, "protocols rstp interface {port}.0 edge"),
            Self::BpduBlock => f.write_str("protocols rstp bpdu-block-on-edge"),
            Self::Lldp => f.write_str("protocols lldp interface all"),
        }
    }
}

/// A description is one line within double quotes.
fn quoted(text: &str) -> String {
    text.chars()
        .map(|letter| {
            if letter == '"' || letter == '\\' || letter.is_control() {
                '\''
            } else {
                letter
            }
        })
        .collect()
}

/// One configuration: of a virtual chassis, or of a switch by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// Name: the chassis' members', joined.
    pub name: String,
    /// Statements in the order in which they are to be entered.
    pub statements: Vec<Statement>,
    /// What is not known and must be added by a person.
    pub missing: Vec<String>,
}

/// Configurations of all EX4550 of a site.
#[must_use]
pub fn plan(site: &Site) -> Vec<Configuration> {
    let mut chassis: BTreeMap<(bool, Option<&str>, &str), Vec<&Switch>> = BTreeMap::new();
    for switch in site
        .switches
        .iter()
        .filter(|switch| switch.model == SwitchModel::Ex4550)
    {
        // Members of one place are one chassis; a switch without a member number is alone.
        let alone = if switch.member.is_some() {
            ""
        } else {
            &switch.name
        };
        chassis
            .entry((switch.member.is_none(), switch.site.as_deref(), alone))
            .or_default()
            .push(switch);
    }
    chassis
        .into_values()
        .map(|mut members| {
            members.sort_by_key(|switch| switch.member);
            one(site, &members)
        })
        .collect()
}

fn one(site: &Site, members: &[&Switch]) -> Configuration {
    let names: Vec<&str> = members.iter().map(|switch| switch.name.as_str()).collect();
    let mut writer = Writer {
        site,
        place: members.first().and_then(|switch| switch.site.as_deref()),
        statements: Vec::new(),
        missing: Vec::new(),
        used: BTreeSet::new(),
        mtu: members
            .iter()
            .filter_map(|switch| switch.mtu)
            .min()
            .unwrap_or(LARGEST_MTU),
    };
    let bundles = bundles(site, &names);
    writer.chassis(members, bundles.len());
    writer.vlans();
    for (number, (owner, link)) in bundles.iter().enumerate() {
        writer.bundle(&format!("ae{number}"), owner, link, &names);
    }
    writer.single_links(&names);
    writer.own_ports(members);
    writer.statements.push(Statement::BpduBlock);
    writer.statements.push(Statement::Lldp);
    Configuration {
        name: names.join("-"),
        statements: writer.statements,
        missing: writer.missing,
    }
}

/// Aggregated links that end on these switches, in the order of their lowest port: adding a machine at the end of the
/// switch renumbers nothing.
fn bundles<'a>(site: &'a Site, switches: &[&str]) -> Vec<(&'a str, &'a Link)> {
    let mut found: Vec<(Vec<PortKey>, &str, &Link)> = Vec::new();
    for node in &site.nodes {
        for link in &node.links {
            let aggregated =
                link.bond.is_some() && link.mode.unwrap_or(BondMode::Lacp) == BondMode::Lacp;
            let mut ports: Vec<PortKey> = ends(link, switches).map(port_key).collect();
            if aggregated && !ports.is_empty() {
                ports.sort();
                found.push((ports, &node.name, link));
            }
        }
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    found
        .into_iter()
        .map(|(_, node, link)| (node, link))
        .collect()
}

type PortKey = (Vec<u32>, String);

/// Order in which people count ports: `xe-0/0/2` before `xe-0/0/10`.
pub(crate) fn port_key(port: &str) -> PortKey {
    let numbers = port
        .split(|letter: char| !letter.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .rev()
        .collect();
    (numbers, port.to_owned())
}

/// Ports of these switches at which a link's cables end.
fn ends<'a>(link: &'a Link, switches: &'a [&str]) -> impl Iterator<Item = &'a str> {
    link.ports
        .iter()
        .filter(|port| {
            port.switch
                .as_deref()
                .is_some_and(|name| switches.contains(&name))
        })
        .filter_map(|port| port.port.as_deref())
}

struct Writer<'a> {
    site: &'a Site,
    place: Option<&'a str>,
    statements: Vec<Statement>,
    missing: Vec<String>,
    /// Ports that have their configuration.
    used: BTreeSet<String>,
    mtu: u32,
}

impl Writer<'_> {
    fn chassis(&mut self, members: &[&Switch], bundles: usize) {
        if members.iter().any(|switch| switch.member.is_some()) {
            self.statements.push(Statement::Preprovisioned);
            self.statements.push(Statement::NoSplitDetection);
            for switch in members {
                let Some(member) = switch.member else {
                    continue;
                };
                let serial = switch.serial.clone().unwrap_or_else(|| {
                    self.missing
                        .push(format!("serial number of `{}`", switch.name));
                    format!("SERIAL-NUMBER-OF-{}", switch.name)
                });
                self.statements
                    .push(Statement::MemberSerial(member, serial));
                self.statements.push(Statement::MemberRole(member));
            }
            self.statements.push(Statement::GracefulSwitchover);
            self.statements.push(Statement::NonstopBridging);
        }
        if bundles > 0 {
            // In steps of eight: more machines then need no change here.
            let count = bundles.div_ceil(8) * 8;
            self.statements.push(Statement::DeviceCount(count));
        }
    }

    fn vlans(&mut self) {
        for network in &self.site.networks {
            let here = network.site.is_none()
                || self.place.is_none()
                || network.site.as_deref() == self.place;
            if let Some(vlan) = network.vlan.filter(|_| here) {
                self.statements
                    .push(Statement::Vlan(network.name.clone(), vlan));
            }
        }
    }

    /// Names of the VLANs on a link, and whether they are tagged.
    fn carried(&self, link: &Link) -> (Vec<String>, bool) {
        let networks: Vec<_> = link
            .networks
            .iter()
            .filter_map(|name| self.site.network_of(name, self.place))
            .filter(|network| network.vlan.is_some())
            .collect();
        let trunk = networks.iter().any(|network| is_tagged(link, network));
        (
            networks
                .iter()
                .map(|network| network.name.clone())
                .collect(),
            trunk,
        )
    }

    /// A VLAN port towards a machine: no other switch is behind it.
    fn switching(&mut self, port: &str, vlans: Vec<String>, trunk: bool) {
        self.statements
            .push(Statement::PortMode(port.to_owned(), trunk));
        if !vlans.is_empty() {
            self.statements
                .push(Statement::Members(port.to_owned(), vlans));
        }
        self.statements.push(Statement::Edge(port.to_owned()));
    }

    fn bundle(&mut self, bundle: &str, node: &str, link: &Link, switches: &[&str]) {
        let text = format!("{node} {}", link.bond.as_deref().unwrap_or_default());
        self.statements
            .push(Statement::Description(bundle.to_owned(), text.clone()));
        for port in ends(link, switches) {
            self.used.insert(port.to_owned());
            self.statements
                .push(Statement::Description(port.to_owned(), text.clone()));
            self.statements
                .push(Statement::Leg(port.to_owned(), bundle.to_owned()));
        }
        // Only here: some releases refuse an MTU on a leg.
        self.statements
            .push(Statement::Mtu(bundle.to_owned(), self.mtu));
        self.statements
            .push(Statement::LacpActive(bundle.to_owned()));
        self.statements.push(Statement::LacpFast(bundle.to_owned()));
        let (vlans, trunk) = self.carried(link);
        self.switching(bundle, vlans, trunk);
    }

    /// Links of one port, and the legs of bonds that the switch knows nothing of.
    fn single_links(&mut self, switches: &[&str]) {
        let mut found: Vec<(PortKey, &str, &Link)> = Vec::new();
        for node in &self.site.nodes {
            for link in &node.links {
                for port in ends(link, switches).filter(|port| !self.used.contains(*port)) {
                    found.push((port_key(port), &node.name, link));
                }
            }
        }
        found.sort_by(|one, other| one.0.cmp(&other.0));
        for ((_, port), node, link) in found {
            if !self.used.insert(port.clone()) {
                continue;
            }
            let what = link
                .bond
                .as_deref()
                .unwrap_or(link.networks.first().map_or("", String::as_str));
            self.statements.push(Statement::Description(
                port.clone(),
                format!("{node} {what}"),
            ));
            let (vlans, trunk) = self.carried(link);
            let large = link.networks.iter().any(|name| {
                let network = self.site.network_of(name, self.place);
                network
                    .and_then(|network| network.mtu)
                    .is_some_and(|mtu| mtu > 1500)
            });
            if large {
                self.statements.push(Statement::Mtu(port.clone(), self.mtu));
            }
            self.switching(&port, vlans, trunk);
        }
    }

    /// Ports that the site file describes at the switch: uplinks, board management.
    fn own_ports(&mut self, members: &[&Switch]) {
        for switch in members {
            for port in &switch.ports {
                if !self.used.insert(port.port.clone()) {
                    continue;
                }
                if let Some(text) = &port.description {
                    self.statements
                        .push(Statement::Description(port.port.clone(), text.clone()));
                }
                let vlans: Vec<String> = port
                    .networks
                    .iter()
                    .filter(|name| {
                        let network = self.site.network_of(name, self.place);
                        network.is_some_and(|network| network.vlan.is_some())
                    })
                    .cloned()
                    .collect();
                let trunk = vlans.len() > 1;
                self.statements
                    .push(Statement::PortMode(port.port.clone(), trunk));
                if !vlans.is_empty() {
                    self.statements
                        .push(Statement::Members(port.port.clone(), vlans));
                }
            }
        }
    }
}
