//! Site file -> node files and secrets. Pure: the same site and seed give the same bytes, on any machine and in any year.
//!
//! Linear in the number of machines. The list of hosts, which is the same in every node file, is kept once: a thousand
//! machines that each know a thousand would otherwise be a million entries.

mod authority;
mod disks;
pub mod identity;
mod sealed;
pub mod secrets;
mod settings;
mod vips;
pub(crate) mod wires;

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    NodeFile, RoleSet,
    node::{Machine, Permit, Storage},
    site::{
        Site,
        model::{BmcMode, SiteNode},
    },
    wiring::{BmcSettings, Host},
};

pub use identity::Identities;
pub use sealed::{UnlockCode, open as open_sealed};
pub use secrets::{Secret, SecretError, Secrets, Seed};
pub use vips::PlannedVip;
pub use wires::is_tagged;

/// Everything that is derived for the machines.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// Node files by machine, without `hosts`.
    nodes: BTreeMap<String, NodeFile>,
    /// Every machine and every virtual address.
    pub hosts: Vec<Host>,
    /// Secrets by machine.
    pub secrets: BTreeMap<String, Secrets>,
}

/// The site and what is looked up in it again and again.
struct Context<'a> {
    site: &'a Site,
    roles: Option<&'a RoleSet>,
    identities: Identities,
    vips: Vec<PlannedVip<'a>>,
    galera: Vec<&'a SiteNode>,
    databases: Vec<&'a SiteNode>,
    production: Vec<&'a SiteNode>,
    balancers: Vec<&'a SiteNode>,
    controls: Vec<&'a SiteNode>,
    /// Databases in the order in which they become the writer.
    writers: Vec<&'a SiteNode>,
    /// Addresses of the Galera group, arbitrator included.
    members: Vec<toml::Value>,
    /// Votes of the whole group.
    voters: u64,
    /// Holds the live data.
    source: Option<&'a SiteNode>,
    /// Receive its snapshots.
    sinks: Vec<&'a SiteNode>,
    dns: Vec<String>,
    ntp: Vec<String>,
}

/// Derives everything. `permit` gives every machine the right to be installed once, under this id and the machine's name.
///
/// The site should have passed [`crate::site::check`]: what it does not say or says wrongly is left out here, and the node
/// file's own rules then complain.
#[must_use]
pub fn compile(
    site: &Site,
    seed: &Seed,
    roles: Option<&RoleSet>,
    permit: Option<&str>,
) -> Compiled {
    let context = Context::new(site, roles);
    let authority = authority::of(site, seed);
    let nodes = site
        .nodes
        .iter()
        .map(|node| {
            let mut file = node_file(&context, node, permit);
            file.authority.clone_from(&authority.said);
            (node.name.clone(), file)
        })
        .collect();
    let secrets = site
        .nodes
        .iter()
        .map(|node| {
            let mut secrets = seed.secrets(site, node);
            secrets.extend(authority.secrets(site, seed, node, permit));
            (node.name.clone(), secrets)
        })
        .collect();
    Compiled {
        nodes,
        hosts: hosts(&context),
        secrets,
    }
}

/// Virtual addresses with everything chosen, for drawings.
#[must_use]
pub fn planned_vips(site: &Site) -> Vec<PlannedVip<'_>> {
    vips::plan(site, &identity::choose(site).virtual_router_ids)
}

impl Compiled {
    /// Names of the machines, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.nodes.keys().map(String::as_str)
    }

    /// Role of a machine.
    #[must_use]
    pub fn role(&self, name: &str) -> Option<&str> {
        self.nodes.get(name).map(|node| node.role.as_str())
    }

    /// The node file of a machine, whole.
    #[must_use]
    pub fn node_file(&self, name: &str) -> Option<NodeFile> {
        let mut node = self.nodes.get(name)?.clone();
        node.hosts.clone_from(&self.hosts);
        Some(node)
    }

    /// The node file of a machine with only its own entry and those of virtual addresses under `hosts`: enough for every rule
    /// about one machine.
    #[must_use]
    pub fn narrow_node_file(&self, name: &str) -> Option<NodeFile> {
        let mut node = self.nodes.get(name)?.clone();
        node.hosts = self
            .hosts
            .iter()
            .filter(|host| host.role.is_none() || host.name == name)
            .cloned()
            .collect();
        Some(node)
    }

    /// Texts of all node files, by machine.
    ///
    /// # Errors
    /// A value that TOML cannot hold; none of ours is such.
    pub fn texts(&self) -> Result<BTreeMap<&str, String>, toml::ser::Error> {
        let mut shared = String::new();
        for host in &self.hosts {
            shared.push_str(&host_text(host));
        }
        self.nodes
            .iter()
            .map(|(name, node)| {
                // Tables after values, and lists of tables may stand anywhere: the hosts go to the end.
                let text = format!(
                    "# Made by `rackwright compile` from the site file: changes belong there.\n{}{shared}",
                    toml::to_string(node)?
                );
                Ok((name.as_str(), text))
            })
            .collect()
    }
}

/// One entry of `hosts`. By hand, because its table of addresses must stand on one line to be part of it.
fn host_text(host: &Host) -> String {
    let string = |text: &String| toml::Value::String(text.clone());
    let role = host
        .role
        .as_ref()
        .map_or_else(String::new, |role| format!("role = {}\n", string(role)));
    let addresses: toml::Table = host
        .addresses
        .iter()
        .map(|(network, address)| (network.clone(), string(address)))
        .collect();
    format!(
        "\n[[hosts]]\nname = {}\n{role}addresses = {}\n",
        string(&host.name),
        toml::Value::Table(addresses)
    )
}

impl<'a> Context<'a> {
    fn new(site: &'a Site, roles: Option<&'a RoleSet>) -> Self {
        let identities = identity::choose(site);
        let vips = vips::plan(site, &identities.virtual_router_ids);
        let galera = site.nodes_of("galera");
        let databases = site.nodes_of("database");
        let storages = site.nodes_of("storage");
        let by_name: BTreeMap<&str, &SiteNode> = site
            .nodes
            .iter()
            .map(|node| (node.name.as_str(), node))
            .collect();
        let source = site
            .storage
            .source
            .as_ref()
            .and_then(|name| by_name.get(name.as_str()).copied())
            .or(storages.first().copied());
        let sinks = if site.storage.sinks.is_empty() {
            let others = storages.iter().copied().chain(site.nodes_of("backup"));
            others
                .filter(|node| source.is_some_and(|source| source.name != node.name))
                .collect()
        } else {
            let names = site.storage.sinks.iter();
            names
                .filter_map(|name| by_name.get(name.as_str()).copied())
                .collect()
        };
        let garbd = site
            .galera
            .garbd
            .as_ref()
            .and_then(|name| by_name.get(name.as_str()).copied());
        let members = galera
            .iter()
            .copied()
            .chain(garbd)
            .filter_map(|node| node.addresses.get("cluster").or(node.addresses.get("mgmt")))
            .map(|address| address.as_str().into())
            .collect();
        let votes: u64 = galera
            .iter()
            .map(|node| u64::from(node.weight.unwrap_or(1)))
            .sum();
        let voters = votes + u64::from(site.galera.garbd.is_some());
        let (dns, ntp) = servers(site);
        Self {
            writers: writers(site, &galera, &databases),
            production: site.nodes_of("production"),
            balancers: site.nodes_of("lb"),
            controls: site.nodes_of("control"),
            site,
            roles,
            identities,
            vips,
            galera,
            databases,
            members,
            voters,
            source,
            sinks,
            dns,
            ntp,
        }
    }
}

/// Databases in the order in which they become the writer: as said, then by priority.
fn writers<'a>(
    site: &Site,
    galera: &[&'a SiteNode],
    databases: &[&'a SiteNode],
) -> Vec<&'a SiteNode> {
    let all: &[&SiteNode] = if galera.is_empty() { databases } else { galera };
    let said = &site.galera.writers;
    let first = said
        .iter()
        .filter_map(|name| all.iter().find(|node| node.name == *name));
    let named: BTreeSet<&str> = said.iter().map(String::as_str).collect();
    let rest = all
        .iter()
        .filter(|node| !named.contains(node.name.as_str()));
    first
        .chain(rest)
        .filter(|node| site.database.replica.as_ref() != Some(&node.name))
        .copied()
        .collect()
}

/// Name and time servers: the control servers first, where there are some, then those outside.
fn servers(site: &Site) -> (Vec<String>, Vec<String>) {
    let controls: Vec<String> = site
        .nodes_of("control")
        .into_iter()
        .filter_map(|node| node.addresses.get("mgmt").cloned())
        .collect();
    let both = |outside: &[String]| {
        let mut all = controls.clone();
        all.extend(
            outside
                .iter()
                .filter(|server| !controls.contains(server))
                .cloned(),
        );
        all
    };
    // resolv.conf(5) takes three; the ones of the rack come first.
    let mut dns = both(&site.dns.servers);
    dns.truncate(3);
    (dns, both(&site.time.servers))
}

fn node_file(context: &Context<'_>, node: &SiteNode, permit: Option<&str>) -> NodeFile {
    let site = context.site;
    let wires = wires::plan(site, node, context.roles);
    // The control servers are the name and time servers of the others; asking itself or its twin they would ask in a circle.
    let (dns, ntp) = if node.role == "control" {
        (site.dns.servers.clone(), site.time.servers.clone())
    } else {
        (context.dns.clone(), context.ntp.clone())
    };
    NodeFile {
        format: 1,
        node: node.name.clone(),
        role: node.role.clone(),
        domain: Some(site.domain.clone()),
        machine: machine(node),
        permit: permit.map(|id| Permit {
            id: format!("{id}-{}", node.name),
            board_serial: node.serial.clone(),
            plan: None,
            task: None,
        }),
        access: site.access.clone(),
        console: site.console.clone(),
        disks: disks::overrides(site, node, context.roles),
        storage: Storage::default(),
        waivers: node.waivers.clone(),
        ports: wires.ports,
        bonds: wires.bonds,
        networks: wires.networks,
        hosts: Vec::new(),
        authority: None,
        bmc: bmc(site, node),
        dns,
        ntp,
        settings: settings::of(context, node),
    }
}

/// What the site file says of the machine's board and BMC.
fn machine(node: &SiteNode) -> Option<Machine> {
    let machine = Machine {
        serial: node.serial.clone(),
        bmc_mac: node.bmc.as_ref().and_then(|bmc| bmc.mac.clone()),
    };
    (machine != Machine::default()).then_some(machine)
}

fn bmc(site: &Site, node: &SiteNode) -> Option<BmcSettings> {
    let bmc = node.bmc.as_ref()?;
    let mode = match bmc.mode.unwrap_or(BmcMode::Dedicated) {
        BmcMode::Dedicated => "dedicated",
        BmcMode::Shared => "shared",
        BmcMode::Failover => "failover",
    };
    let network = site.network_of("mgmt", node.site.as_deref());
    let gateway = network.and_then(|network| network.gateway.clone());
    Some(BmcSettings {
        address: network.and_then(|network| wires::with_prefix(&bmc.address, &network.subnet)),
        gateway,
        // The router's and switches' ports for board management are access ports.
        vlan: None,
        mode: Some(mode.to_owned()),
        user: Some(bmc.user.clone().unwrap_or_else(|| "rackwright".to_owned())),
    })
}

fn hosts(context: &Context<'_>) -> Vec<Host> {
    let machines = context.site.nodes.iter().map(|node| Host {
        name: node.name.clone(),
        role: Some(node.role.clone()),
        addresses: node.addresses.clone(),
    });
    let addresses = context.vips.iter().map(|vip| Host {
        name: vip.host.clone(),
        role: None,
        addresses: [(vip.vip.network.clone(), vip.vip.address.clone())].into(),
    });
    machines.chain(addresses).collect()
}
