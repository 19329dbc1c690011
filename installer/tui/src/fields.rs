//! Fields of the forms: what they hold, what may be chosen, and what is wrong with a value, said at the field.

use std::collections::BTreeMap;
use std::net::IpAddr;

use plan::size::decimal;
use roles::{
    NodeFile,
    address::Cidr,
    node::Network,
    wiring::{BmcSettings, Host},
};

use crate::{
    draft::{self, Carrier},
    state::{Choice, MenuItem, Screen, Wizard},
    text,
};

/// Which field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldId {
    /// Host name.
    Name,
    /// DNS domain.
    Domain,
    /// Port or pair of ports of a network.
    Carrier(String),
    /// VLAN of a network.
    Vlan(String),
    /// Address of a network.
    Address(String),
    /// Gateway of a network.
    Gateway(String),
    /// MTU of a network.
    Mtu(String),
    /// Name servers.
    Dns,
    /// Time servers.
    Ntp,
    /// Address of the management controller.
    BmcAddress,
    /// Its gateway.
    BmcGateway,
    /// Its VLAN.
    BmcVlan,
    /// Its port.
    BmcMode,
    /// Its administrator.
    BmcUser,
    /// Administrator.
    User,
    /// SSH key, by number; one behind the last is a new one.
    Key(usize),
    /// Another machine, by number; one behind the last is a new one.
    Peer(usize),
    /// Reason of a waiver, by the finding's id.
    Waiver(String),
}

/// One field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Which.
    pub id: FieldId,
    /// Group: name of the network.
    pub group: String,
    /// What it is called.
    pub label: &'static str,
    /// What it holds, as it is typed.
    pub value: String,
    /// What is said where it holds nothing.
    pub empty: &'static str,
}

impl Field {
    fn new(
        id: FieldId,
        group: &str,
        label: &'static str,
        value: String,
        empty: &'static str,
    ) -> Self {
        Self {
            id,
            group: group.to_owned(),
            label,
            value,
            empty,
        }
    }
}

/// Fields of a screen, in order.
#[must_use]
pub fn fields(wizard: &Wizard, screen: Screen) -> Vec<Field> {
    match screen {
        Screen::Network => network(wizard),
        Screen::Bmc => bmc(wizard),
        Screen::Cluster => cluster(wizard),
        _ => Vec::new(),
    }
}

fn network(wizard: &Wizard) -> Vec<Field> {
    let node = &wizard.node;
    let mut fields = vec![
        Field::new(
            FieldId::Name,
            text::NODE,
            text::HOST_NAME,
            node.node.clone(),
            "",
        ),
        Field::new(
            FieldId::Domain,
            text::NODE,
            text::DOMAIN,
            node.domain.clone().unwrap_or_default(),
            text::NONE,
        ),
    ];
    for name in network_names(wizard) {
        let network = node.networks.iter().find(|network| network.name == name);
        let carrier = network.map_or_else(String::new, |network| carrier_text(wizard, network));
        let mut add = |id: FieldId, label, value: String, empty| {
            fields.push(Field::new(id, &name, label, value, empty));
        };
        add(
            FieldId::Carrier(name.clone()),
            text::PORT,
            carrier,
            text::NOT_USED,
        );
        let Some(network) = network else { continue };
        add(
            FieldId::Address(name.clone()),
            text::ADDRESS,
            if network.dhcp {
                "dhcp".to_owned()
            } else {
                network.addresses.join(" ")
            },
            text::NONE,
        );
        add(
            FieldId::Gateway(name.clone()),
            text::GATEWAY,
            network.gateway.clone().unwrap_or_default(),
            if network.dhcp {
                text::BY_DHCP
            } else {
                text::NONE
            },
        );
        add(
            FieldId::Vlan(name.clone()),
            text::VLAN,
            network
                .vlan
                .map(|vlan| vlan.to_string())
                .unwrap_or_default(),
            text::UNTAGGED,
        );
        add(
            FieldId::Mtu(name.clone()),
            text::MTU,
            network.mtu.map(|mtu| mtu.to_string()).unwrap_or_default(),
            "1500",
        );
    }
    fields.push(Field::new(
        FieldId::Dns,
        text::SERVICES,
        text::NAME_SERVERS,
        node.dns.join(" "),
        text::BY_DHCP,
    ));
    fields.push(Field::new(
        FieldId::Ntp,
        text::SERVICES,
        text::TIME_SERVERS,
        node.ntp.join(" "),
        text::NONE,
    ));
    fields
}

/// Networks of the role, then those that only the node file has.
#[must_use]
pub fn network_names(wizard: &Wizard) -> Vec<String> {
    let mut names: Vec<String> = wizard
        .facts
        .role
        .networks
        .iter()
        .map(|need| need.name.clone())
        .collect();
    for network in &wizard.node.networks {
        if !names.contains(&network.name) {
            names.push(network.name.clone());
        }
    }
    names
}

fn carrier_text(wizard: &Wizard, network: &Network) -> String {
    let ports = draft::ports_of(&wizard.node, network, &wizard.facts.inventory);
    let names: Vec<&str> = ports.iter().map(|nic| nic.kernel_name.as_str()).collect();
    match names.len() {
        0 => network
            .on
            .clone()
            .or_else(|| network.mac.clone())
            .unwrap_or_default(),
        1 => names.join(""),
        _ => names.join(" + "),
    }
}

fn bmc(wizard: &Wizard) -> Vec<Field> {
    let settings = wizard.node.bmc.clone().unwrap_or_default();
    let vlan = settings.vlan.map(|vlan| vlan.to_string());
    [
        (FieldId::BmcAddress, text::ADDRESS, settings.address),
        (FieldId::BmcGateway, text::GATEWAY, settings.gateway),
        (FieldId::BmcVlan, text::VLAN, vlan),
        (FieldId::BmcMode, text::BMC_PORT, settings.mode),
        (FieldId::BmcUser, text::BMC_USER, settings.user),
    ]
    .into_iter()
    .map(|(id, label, value)| {
        Field::new(
            id,
            text::WANTED,
            label,
            value.unwrap_or_default(),
            text::AS_IT_IS,
        )
    })
    .collect()
}

fn cluster(wizard: &Wizard) -> Vec<Field> {
    let access = &wizard.node.access;
    let mut fields = vec![Field::new(
        FieldId::User,
        text::LOGIN,
        text::USER,
        access.user.clone().unwrap_or_default(),
        "admin",
    )];
    for index in 0..=access.ssh_keys.len() {
        fields.push(Field::new(
            FieldId::Key(index),
            text::LOGIN,
            if index < access.ssh_keys.len() {
                text::SSH_KEY
            } else {
                text::NEW_SSH_KEY
            },
            access.ssh_keys.get(index).cloned().unwrap_or_default(),
            "-",
        ));
    }
    let hosts = &wizard.node.hosts;
    for index in 0..=hosts.len() {
        fields.push(Field::new(
            FieldId::Peer(index),
            text::PEERS,
            if index < hosts.len() {
                text::PEER
            } else {
                text::NEW_PEER
            },
            hosts.get(index).map(peer_text).unwrap_or_default(),
            "-",
        ));
    }
    fields
}

/// `galera-2 galera cluster=10.77.40.12`.
fn peer_text(host: &Host) -> String {
    let mut words = vec![host.name.clone()];
    words.extend(host.role.clone());
    words.extend(
        host.addresses
            .iter()
            .map(|(network, address)| format!("{network}={address}")),
    );
    words.join(" ")
}

/// Choices of a field that is not typed.
#[must_use]
pub fn choices(wizard: &Wizard, id: &FieldId) -> Option<Vec<MenuItem>> {
    match id {
        FieldId::Carrier(network) => Some(carriers(wizard, network)),
        FieldId::BmcMode => Some(
            [None, Some("dedicated"), Some("shared"), Some("failover")]
                .into_iter()
                .map(|mode| MenuItem {
                    label: mode.unwrap_or(text::AS_IT_IS).to_owned(),
                    detail: text::bmc_mode(mode).to_owned(),
                    choice: Some(Choice::BmcMode(mode.map(str::to_owned))),
                })
                .collect(),
        ),
        _ => None,
    }
}

fn carriers(wizard: &Wizard, network: &str) -> Vec<MenuItem> {
    let nics: Vec<_> = wizard
        .facts
        .inventory
        .nics
        .iter()
        .filter_map(|nic| Some((nic, nic.mac.clone()?)))
        .collect();
    let mut items = vec![MenuItem {
        label: text::NOT_USED.to_owned(),
        detail: text::NETWORK_LEFT_OUT.to_owned(),
        choice: Some(Choice::Carrier(network.to_owned(), Carrier::Nothing)),
    }];
    for (nic, mac) in &nics {
        items.push(MenuItem {
            label: nic.kernel_name.clone(),
            detail: format!("{mac}  {}", text::link(nic)),
            choice: Some(Choice::Carrier(
                network.to_owned(),
                Carrier::Port(mac.clone()),
            )),
        });
    }
    for (index, (first, mac)) in nics.iter().enumerate() {
        for (second, other) in &nics[index + 1..] {
            items.push(MenuItem {
                label: format!("{} + {}", first.kernel_name, second.kernel_name),
                detail: text::BOND.to_owned(),
                choice: Some(Choice::Carrier(
                    network.to_owned(),
                    Carrier::Bond(mac.clone(), other.clone()),
                )),
            });
        }
    }
    items
}

/// Puts a typed value into the node file.
///
/// # Errors
/// What is wrong with it, in one line.
pub fn set(node: &mut NodeFile, id: &FieldId, value: &str) -> Result<(), String> {
    let value = value.trim();
    let some = || (!value.is_empty()).then(|| value.to_owned());
    match id {
        FieldId::Name => {
            name(value)?;
            value.clone_into(&mut node.node);
        }
        FieldId::Domain => {
            if !value.is_empty() {
                value.split('.').try_for_each(name)?;
            }
            node.domain = some();
        }
        FieldId::Carrier(_) | FieldId::BmcMode => {}
        FieldId::Vlan(name) => draft::set_vlan(node, name, vlan(value)?),
        FieldId::Address(name) => {
            let network = find(node, name)?;
            if value.eq_ignore_ascii_case("dhcp") {
                (network.dhcp, network.gateway) = (true, None);
                network.addresses.clear();
            } else {
                let addresses: Vec<String> = value.split_whitespace().map(str::to_owned).collect();
                if addresses.is_empty() {
                    return Err(text::ADDRESS_OR_DHCP.to_owned());
                }
                addresses.iter().try_for_each(|address| cidr(address))?;
                (network.dhcp, network.addresses) = (false, addresses);
            }
        }
        FieldId::Gateway(name) => {
            let network = find(node, name)?;
            if !value.is_empty() {
                let gateway = address(value)?;
                let near = network
                    .addresses
                    .iter()
                    .filter_map(|address| Cidr::parse(address))
                    .any(|cidr| cidr.contains(gateway));
                if network.dhcp {
                    return Err(text::GATEWAY_BY_DHCP.to_owned());
                }
                if !near {
                    return Err(text::GATEWAY_FAR.to_owned());
                }
            }
            network.gateway = some();
        }
        FieldId::Mtu(name) => {
            let mtu = match value {
                "" => None,
                value => Some(
                    value
                        .parse::<u32>()
                        .ok()
                        .filter(|mtu| (1280..=9216).contains(mtu))
                        .ok_or_else(|| text::MTU_RANGE.to_owned())?,
                ),
            };
            find(node, name)?.mtu = mtu;
        }
        FieldId::Dns => node.dns = addresses(value)?,
        FieldId::Ntp => {
            node.ntp = value.split_whitespace().map(str::to_owned).collect();
            for server in &node.ntp {
                if server.parse::<IpAddr>().is_err() {
                    server.split('.').try_for_each(self::name)?;
                }
            }
        }
        FieldId::BmcAddress => {
            if !value.is_empty() {
                cidr(value)?;
            }
            set_bmc(node, |bmc| bmc.address = some());
        }
        FieldId::BmcGateway => {
            if !value.is_empty() {
                address(value)?;
            }
            set_bmc(node, |bmc| bmc.gateway = some());
        }
        FieldId::BmcVlan => {
            let vlan = vlan(value)?;
            set_bmc(node, |bmc| bmc.vlan = vlan);
        }
        FieldId::BmcUser => {
            if value.len() > 16 || value.chars().any(char::is_whitespace) {
                return Err(text::BMC_USER_LENGTH.to_owned());
            }
            set_bmc(node, |bmc| bmc.user = some());
        }
        FieldId::User => {
            let good = value
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_');
            if !good || value == "root" || value.starts_with(|c: char| !c.is_ascii_lowercase()) {
                return Err(text::USER_FORM.to_owned());
            }
            node.access.user = some();
        }
        FieldId::Key(index) => {
            let keys = &mut node.access.ssh_keys;
            if value.is_empty() {
                if *index < keys.len() {
                    keys.remove(*index);
                }
                return Ok(());
            }
            let kind = value.split_whitespace().next().unwrap_or_default();
            let known = ["ssh-", "ecdsa-", "sk-"]
                .iter()
                .any(|start| kind.starts_with(start));
            if !known || value.split_whitespace().count() < 2 {
                return Err(text::SSH_KEY_FORM.to_owned());
            }
            replace(keys, *index, value.to_owned());
        }
        FieldId::Peer(index) => {
            if value.is_empty() {
                if *index < node.hosts.len() {
                    node.hosts.remove(*index);
                }
                return Ok(());
            }
            let host = peer(value)?;
            let twice = node
                .hosts
                .iter()
                .enumerate()
                .any(|(other, known)| other != *index && known.name == host.name);
            if twice {
                return Err(text::peer_twice(&host.name));
            }
            replace(&mut node.hosts, *index, host);
        }
        FieldId::Waiver(finding) => {
            node.waivers.retain(|waiver| waiver.finding != *finding);
            if value.is_empty() {
                return Ok(());
            }
            if value.chars().count() < 3 {
                return Err(text::REASON_SHORT.to_owned());
            }
            node.waivers.push(roles::node::Waiver {
                finding: finding.clone(),
                reason: value.to_owned(),
            });
        }
    }
    Ok(())
}

fn replace<T>(list: &mut Vec<T>, index: usize, value: T) {
    match list.get_mut(index) {
        Some(place) => *place = value,
        None => list.push(value),
    }
}

fn find<'a>(node: &'a mut NodeFile, name: &str) -> Result<&'a mut Network, String> {
    node.networks
        .iter_mut()
        .find(|network| network.name == name)
        .ok_or_else(|| text::no_network(name))
}

fn set_bmc(node: &mut NodeFile, change: impl FnOnce(&mut BmcSettings)) {
    let mut settings = node.bmc.take().unwrap_or_default();
    change(&mut settings);
    node.bmc = (settings != BmcSettings::default()).then_some(settings);
}

/// Which port of the board the management controller uses.
pub fn set_bmc_mode(node: &mut NodeFile, mode: Option<String>) {
    set_bmc(node, |bmc| bmc.mode = mode);
}

/// RFC 1123, section 2.1: letters, digits and hyphens, 63 at most.
fn name(text: &str) -> Result<(), String> {
    let good = !text.is_empty()
        && text.len() <= 63
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && !text.starts_with('-')
        && !text.ends_with('-');
    if good {
        Ok(())
    } else {
        Err(text::NAME_FORM.to_owned())
    }
}

fn cidr(value: &str) -> Result<(), String> {
    match Cidr::parse(value) {
        Some(_) if value.contains('/') => Ok(()),
        _ => Err(text::CIDR_FORM.to_owned()),
    }
}

fn address(value: &str) -> Result<IpAddr, String> {
    value.parse().map_err(|_| text::ADDRESS_FORM.to_owned())
}

fn addresses(value: &str) -> Result<Vec<String>, String> {
    value
        .split_whitespace()
        .map(|word| address(word).map(|_| word.to_owned()))
        .collect()
}

fn vlan(value: &str) -> Result<Option<u16>, String> {
    if value.is_empty() {
        return Ok(None);
    }
    value
        .parse()
        .ok()
        .filter(|vlan| (1..=4094).contains(vlan))
        .map(Some)
        .ok_or_else(|| text::VLAN_RANGE.to_owned())
}

fn peer(value: &str) -> Result<Host, String> {
    let mut words = value.split_whitespace();
    let host_name = words.next().unwrap_or_default();
    name(host_name)?;
    let mut host = Host {
        name: host_name.to_owned(),
        role: None,
        addresses: BTreeMap::new(),
    };
    for word in words {
        match word.split_once('=') {
            Some((network, value)) => {
                address(value)?;
                host.addresses.insert(network.to_owned(), value.to_owned());
            }
            None if host.role.is_none() && host.addresses.is_empty() => {
                host.role = Some(word.to_owned());
            }
            None => return Err(text::PEER_FORM.to_owned()),
        }
    }
    if host.addresses.is_empty() {
        return Err(text::PEER_FORM.to_owned());
    }
    Ok(host)
}

/// The data group's layouts for so many disks, with the room and the failures that each gives.
#[must_use]
pub fn layouts(wizard: &Wizard) -> Vec<MenuItem> {
    use plan::layout::PoolLayout;
    use roles::role::Layout;
    let role = &wizard.facts.role;
    let Some(need) = draft::data_need(role, &wizard.node) else {
        return Vec::new();
    };
    let uses = draft::uses(role, &wizard.node, &wizard.facts.inventory);
    let sizes: Vec<u64> = wizard
        .facts
        .inventory
        .disks
        .iter()
        .filter(|disk| uses.get(&disk.id) == Some(&need.purpose))
        .map(|disk| disk.size)
        .collect();
    let (count, size) = (sizes.len(), sizes.iter().copied().min().unwrap_or_default());
    let mut items = Vec::new();
    match &need.layout {
        Some(Layout::Zfs { pool, datasets, .. }) => {
            for (vdev, width) in [
                ("mail", 0),
                ("mirror", 2),
                ("mirror", 3),
                ("capacity", 0),
                ("raidz2", 6),
                ("raidz2 spares 2", 8),
                ("raidz3", 9),
                ("draid2:8d spares 2", 0),
            ] {
                let read = PoolLayout::read(vdev, width as usize, count);
                items.push(MenuItem {
                    label: if width == 0 {
                        vdev.to_owned()
                    } else {
                        format!("{vdev}, {width}")
                    },
                    detail: match &read {
                        Ok(layout) => text::pool_layout(layout, size),
                        Err(reason) => reason.clone(),
                    },
                    choice: read.is_ok().then(|| {
                        Choice::Layout(Layout::Zfs {
                            pool: pool.clone(),
                            vdev: vdev.to_owned(),
                            width,
                            datasets: datasets.clone(),
                        })
                    }),
                });
            }
        }
        Some(Layout::Md {
            file_system, mount, ..
        }) => {
            for (level, least, usable, lost) in [
                (10, 2, count / 2, 1),
                (1, 2, 1, count.saturating_sub(1)),
                (5, 3, count.saturating_sub(1), 1),
                (6, 4, count.saturating_sub(2), 2),
            ] {
                let fits = count >= least && (level != 10 || count.is_multiple_of(2));
                items.push(MenuItem {
                    label: format!("RAID{level}"),
                    detail: if fits {
                        text::array_layout(&decimal(size.saturating_mul(usable as u64)), lost)
                    } else {
                        text::layout_does_not_fit(count)
                    },
                    choice: fits.then(|| {
                        Choice::Layout(Layout::Md {
                            level,
                            file_system: file_system.clone(),
                            mount: mount.clone(),
                        })
                    }),
                });
            }
        }
        None => {}
    }
    items
}
