//! Templates of role folders. A value that is not there is an error: half a configuration is worse than none.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use minijinja::{Environment, UndefinedBehavior, syntax::SyntaxConfig, value::Serde};
use serde::Serialize;

use crate::{
    NodeFile, RoleFolder, RoleSet,
    check::role::file_mode,
    node::Network,
    role::{Layout, Template},
    wiring::Host,
};

use super::{BootFacts, RenderError, RenderedFile};

/// What a template can use.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Context {
    /// The node's name, or `rackwright-<role>` without a node file.
    pub(super) hostname: String,
    /// DNS domain.
    pub(super) domain: Option<String>,
    /// Role name.
    role: String,
    /// This boot: `mode`, `version`, `slot`, `mounts`.
    boot: Boot,
    /// Networks of the node file.
    pub(super) networks: Vec<Network>,
    /// Interface of each network: `interface.public`; `<name>0` where the kernel's name stays.
    interface: BTreeMap<String, String>,
    /// First address of each network without its prefix: `address.mgmt`.
    address: BTreeMap<String, String>,
    /// Networks in prefix form by name: `subnet.mgmt`.
    subnet: BTreeMap<String, String>,
    /// Machines of the cluster: `name`, `role`, `addresses` by network.
    hosts: Vec<Host>,
    /// Addresses of the control servers that are not this machine, as a URL has them.
    controls: Vec<String>,
    /// Name servers.
    dns: Vec<String>,
    /// Time servers.
    ntp: Vec<String>,
    /// ZFS pools of this node.
    pools: Vec<String>,
    /// Common defaults, then role defaults, then the node file's.
    settings: BTreeMap<String, toml::Value>,
}

#[derive(Debug, Clone, Serialize)]
struct Boot {
    mode: super::BootMode,
    version: String,
    slot: Option<String>,
    mounts: Vec<super::DataMount>,
    /// First partitions of the disks that dm-multipath owns.
    multipath: Vec<String>,
}

impl Context {
    pub(super) fn new(
        roles: &RoleSet,
        folder: &RoleFolder,
        node: Option<&NodeFile>,
        facts: &BootFacts,
    ) -> Self {
        let mut settings = roles.common.settings.clone();
        merge(&mut settings, &folder.role.settings);
        if let Some(node) = node {
            merge(&mut settings, &node.settings);
        }
        let networks = node.map(|node| node.networks.clone()).unwrap_or_default();
        let mut address = BTreeMap::new();
        let mut subnet = BTreeMap::new();
        let interface = networks
            .iter()
            .map(|network| {
                let name = network.interface();
                (
                    network.name.clone(),
                    name.unwrap_or_else(|| format!("{}0", network.name)),
                )
            })
            .collect();
        for network in &networks {
            if let Some(cidr) = network
                .addresses
                .first()
                .and_then(|text| crate::address::Cidr::parse(text))
            {
                address.insert(network.name.clone(), cidr.address.to_string());
                subnet.insert(network.name.clone(), cidr.network());
            }
        }
        Self {
            hostname: node.map_or_else(
                || format!("rackwright-{}", facts.role),
                |node| node.node.clone(),
            ),
            domain: node.and_then(|node| node.domain.clone()),
            role: facts.role.clone(),
            boot: Boot {
                mode: facts.mode,
                version: facts.version.clone(),
                slot: facts.slot.clone(),
                mounts: facts.mounts.clone(),
                multipath: super::multipath::partitions(&facts.multipath),
            },
            networks,
            interface,
            address,
            subnet,
            hosts: node.map(|node| node.hosts.clone()).unwrap_or_default(),
            controls: controls(node),
            dns: node.map(|node| node.dns.clone()).unwrap_or_default(),
            ntp: node.map(|node| node.ntp.clone()).unwrap_or_default(),
            pools: pools(folder, node),
            settings,
        }
    }
}

/// Control servers other than this machine; an IPv6 address in brackets (RFC 3986).
fn controls(node: Option<&NodeFile>) -> Vec<String> {
    let Some(node) = node else {
        return Vec::new();
    };
    let own: BTreeSet<IpAddr> = node
        .networks
        .iter()
        .flat_map(|network| &network.addresses)
        .filter_map(|text| crate::address::Cidr::parse(text))
        .map(|cidr| cidr.address)
        .collect();
    let servers = node
        .authority
        .iter()
        .flat_map(|authority| &authority.servers);
    servers
        .filter_map(|text| text.parse::<IpAddr>().ok())
        .filter(|address| !own.contains(address))
        .map(|address| match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        })
        .collect()
}

/// Pools of the role's disk groups, or of the node file's groups in their place. As in the planner, a group of the node
/// file without a layout (`count = 36` alone) has that of the role's first group of its purpose.
fn pools(folder: &RoleFolder, node: Option<&NodeFile>) -> Vec<String> {
    let overrides = node.map_or(&[][..], |node| &node.disks);
    let theirs = &folder.role.disks;
    let kept = theirs
        .iter()
        .filter(|need| !overrides.iter().any(|other| other.purpose == need.purpose));
    let pools: BTreeSet<String> = kept
        .chain(overrides)
        .filter_map(|need| {
            need.layout.as_ref().or_else(|| {
                theirs
                    .iter()
                    .find(|other| other.purpose == need.purpose)
                    .and_then(|other| other.layout.as_ref())
            })
        })
        .filter_map(|layout| match layout {
            Layout::Zfs { pool, .. } => Some(pool.clone()),
            Layout::Md { .. } => None,
        })
        .collect();
    pools.into_iter().collect()
}

/// Lays `over` onto `under`: tables key by key, everything else as a whole.
fn merge(under: &mut BTreeMap<String, toml::Value>, over: &BTreeMap<String, toml::Value>) {
    for (key, value) in over {
        match (under.get_mut(key), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) => {
                let mut merged: BTreeMap<String, toml::Value> =
                    std::mem::take(below).into_iter().collect();
                merge(&mut merged, &above.clone().into_iter().collect());
                *below = merged.into_iter().collect();
            }
            _ => {
                under.insert(key.clone(), value.clone());
            }
        }
    }
}

/// Renders the templates of one folder.
pub(super) fn render(
    folder: &str,
    templates: &[Template],
    sources: &BTreeMap<String, String>,
    context: &Context,
) -> Result<Vec<RenderedFile>, RenderError> {
    let environment = environment();
    let mut files = Vec::new();
    for template in templates {
        let source = sources
            .get(&template.source)
            .ok_or_else(|| RenderError::Missing {
                role: folder.to_owned(),
                name: template.source.clone(),
            })?;
        let text = environment
            .render_named_str(&template.source, source, Serde(context))
            .map_err(|error| RenderError::Template {
                role: folder.to_owned(),
                name: template.source.clone(),
                line: error.line().unwrap_or_default(),
                message: describe(&error),
            })?;
        let mode = template
            .mode
            .as_deref()
            .and_then(file_mode)
            .unwrap_or(0o644);
        files.push(RenderedFile::with_mode(&template.target, text, mode));
    }
    Ok(files)
}

fn describe(error: &minijinja::Error) -> String {
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}

/// Configuration files are no HTML: nothing is escaped, line ends stay, and a block tag takes its own line away.
fn environment<'a>() -> Environment<'a> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    let syntax = SyntaxConfig::builder()
        .keep_trailing_newline(true)
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build();
    // The default delimiters are valid, so this cannot fail.
    if let Ok(syntax) = syntax {
        environment.set_syntax(syntax);
    }
    environment
}
