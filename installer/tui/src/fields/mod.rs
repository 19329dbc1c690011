//! Fields of the forms: what they hold, what may be chosen, and what is wrong with a value, said at the field.

mod choices;
mod set;

use roles::{
    node::{Network, Shell},
    wiring::Host,
};

pub use choices::{choices, layouts};
pub use set::{set, set_bmc_mode};

use crate::{
    draft,
    state::{Screen, Wizard},
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
    /// Whether the consoles lead to a shell.
    Shell,
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
    let shell = match wizard.node.console.shell {
        Some(Shell::Open) => text::SHELL_OPEN,
        Some(Shell::Closed) => text::SHELL_CLOSED,
        None => "",
    };
    fields.push(Field::new(
        FieldId::Shell,
        text::LOGIN,
        text::SHELL,
        shell.to_owned(),
        text::SHELL_OPEN,
    ));
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
