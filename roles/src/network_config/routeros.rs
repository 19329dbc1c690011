//! RouterOS 7 script for the RB3011: management VLAN, addresses for board management, the tunnel for people outside.
//!
//! The RB3011 has two switch chips and one bridge over both: VLAN filtering is done by the processor, and is switched on with
//! the last command, or the one who pastes the script locks himself out half-way. The tunnel's private key is made by the
//! router itself, and people's public keys come from them: nothing here invents a key.

use std::fmt;

use crate::{
    address::Cidr,
    compile::{is_tagged, planned_vips},
    site::{
        Site,
        model::{Router, SiteNetwork, VipName},
    },
};

/// Port of WireGuard, as RouterOS chooses it itself.
const WIREGUARD_PORT: u16 = 13231;
const BRIDGE: &str = "br-mgmt";
const TUNNEL: &str = "wg0";
/// Copper ports; `sfp1` leads to the switch.
const PORTS: [&str; 10] = [
    "ether1", "ether2", "ether3", "ether4", "ether5", "ether6", "ether7", "ether8", "ether9",
    "ether10",
];
const UPLINK: &str = "sfp1";

/// One command: menu, verb, what it is about, and properties.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// `/interface bridge`.
    pub menu: &'static str,
    /// `add` or `set`.
    pub verb: &'static str,
    /// `set`: the item.
    pub item: Option<String>,
    /// Properties in order.
    pub properties: Vec<(&'static str, String)>,
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.menu, self.verb)?;
        if let Some(item) = &self.item {
            write!(f, " {item}")?;
        }
        for (key, value) in &self.properties {
            let plain = !value.is_empty()
                && value
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_.,:/".contains(&byte));
            if plain {
                write!(f, " {key}={value}")?;
            } else {
                write!(f, " {key}=\"{}\"", quoted(value))?;
            }
        }
        Ok(())
    }
}

/// Within double quotes RouterOS reads `\`, `"` and `$`; none of ours is worth an escape.
fn quoted(text: &str) -> String {
    text.chars()
        .map(|letter| {
            if matches!(letter, '"' | '\\' | '$') || letter.is_control() {
                '\''
            } else {
                letter
            }
        })
        .collect()
}

/// The script, and what a person must add.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// In order.
    pub commands: Vec<Command>,
    /// What is not known.
    pub missing: Vec<String>,
}

/// Why there is no script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouterError {
    /// WireGuard came with RouterOS 7.
    #[error(
        "RouterOS {0} has no WireGuard and other commands\nhint: bring the router to RouterOS 7 and say `version = 7`"
    )]
    Version(u32),
    /// The router's address lies in no network named `mgmt`.
    #[error(
        "the router's address `{0}` lies in no network `mgmt`\nhint: the router stands in the management network"
    )]
    Address(String),
}

/// Plans the script; none if the site has no router.
///
/// # Errors
/// A version before 7, or an address outside the management network.
pub fn plan(site: &Site) -> Result<Option<Script>, RouterError> {
    let Some(router) = &site.router else {
        return Ok(None);
    };
    if let Some(version) = router.version.filter(|version| *version < 7) {
        return Err(RouterError::Version(version));
    }
    let outside = || RouterError::Address(router.address.clone());
    let address = router.address.parse().map_err(|_| outside())?;
    let (network, subnet) = site
        .networks
        .iter()
        .filter(|network| network.name == "mgmt")
        .filter_map(|network| Some((network, Cidr::parse(&network.subnet)?)))
        .find(|(_, subnet)| subnet.contains(address))
        .ok_or_else(outside)?;
    let mut writer = Writer {
        site,
        router,
        network,
        subnet,
        wan: router.wan.as_deref().unwrap_or("ether1"),
        commands: Vec::new(),
        missing: Vec::new(),
    };
    writer.bridge();
    writer.addresses();
    writer.tunnel();
    writer.firewall();
    writer.set(
        "/interface bridge",
        BRIDGE,
        vec![("vlan-filtering", "yes".to_owned())],
    );
    Ok(Some(Script {
        commands: writer.commands,
        missing: writer.missing,
    }))
}

struct Writer<'a> {
    site: &'a Site,
    router: &'a Router,
    network: &'a SiteNetwork,
    subnet: Cidr,
    wan: &'a str,
    commands: Vec<Command>,
    missing: Vec<String>,
}

impl Writer<'_> {
    fn add<const N: usize>(&mut self, menu: &'static str, properties: [(&'static str, &str); N]) {
        self.commands.push(Command {
            menu,
            verb: "add",
            item: None,
            properties: properties
                .map(|(key, value)| (key, value.to_owned()))
                .into(),
        });
    }

    fn set(&mut self, menu: &'static str, item: &str, properties: Vec<(&'static str, String)>) {
        self.commands.push(Command {
            menu,
            verb: "set",
            item: Some(item.to_owned()),
            properties,
        });
    }

    /// Interface in which the router has its management address.
    fn inside(&self) -> String {
        self.network
            .vlan
            .map_or_else(|| BRIDGE.to_owned(), |vlan| format!("vlan{vlan}"))
    }

    fn bridge(&mut self) {
        self.add(
            "/interface bridge",
            [
                ("name", BRIDGE),
                ("vlan-filtering", "no"),
                ("comment", "management"),
            ],
        );
        // Without a VLAN id everything lies in the bridge's own, 1.
        let vlan = self.network.vlan.unwrap_or(1).to_string();
        let access: Vec<&str> = PORTS.into_iter().filter(|port| *port != self.wan).collect();
        for port in &access {
            self.add(
                "/interface bridge port",
                [
                    ("bridge", BRIDGE),
                    ("interface", port),
                    ("pvid", &vlan),
                    ("frame-types", "admit-only-untagged-and-priority-tagged"),
                ],
            );
        }
        if self.wan != UPLINK {
            self.add(
                "/interface bridge port",
                [("bridge", BRIDGE), ("interface", UPLINK)],
            );
        }
        if self.network.vlan.is_none() {
            return;
        }
        let tagged = if self.wan == UPLINK {
            BRIDGE.to_owned()
        } else {
            format!("{BRIDGE},{UPLINK}")
        };
        self.add(
            "/interface bridge vlan",
            [
                ("bridge", BRIDGE),
                ("tagged", &tagged),
                ("untagged", &access.join(",")),
                ("vlan-ids", &vlan),
            ],
        );
        let inside = self.inside();
        self.add(
            "/interface vlan",
            [("interface", BRIDGE), ("name", &inside), ("vlan-id", &vlan)],
        );
    }

    fn addresses(&mut self) {
        let inside = self.inside();
        let own = format!("{}/{}", self.router.address, self.subnet.prefix);
        self.add("/ip address", [("address", &own), ("interface", &inside)]);
        let range = self.router.dhcp.clone();
        if let Some(range) = &range {
            self.add("/ip pool", [("name", "mgmt"), ("ranges", range)]);
        }
        // Without a range only machines with a reservation get an address.
        self.add(
            "/ip dhcp-server",
            [
                ("name", "mgmt"),
                ("interface", &inside),
                (
                    "address-pool",
                    if range.is_some() {
                        "mgmt"
                    } else {
                        "static-only"
                    },
                ),
                ("lease-time", "1h"),
            ],
        );
        self.dhcp_network();
        for (address, mac, comment) in self.reservations() {
            self.add(
                "/ip dhcp-server lease",
                [
                    ("address", &address),
                    ("mac-address", &mac),
                    ("server", "mgmt"),
                    ("comment", &comment),
                ],
            );
        }
    }

    fn dhcp_network(&mut self) {
        let controls: Vec<&str> = self
            .site
            .nodes_of("control")
            .into_iter()
            .filter(|node| self.network.site.is_none() || node.site == self.network.site)
            .filter_map(|node| node.addresses.get("mgmt").map(String::as_str))
            .collect();
        let vips = planned_vips(self.site);
        let depot = vips
            .iter()
            .find(|vip| vip.vip.name == VipName::Control && vip.vip.network == "mgmt")
            .map(|vip| vip.vip.address.as_str())
            .or(controls.first().copied());
        let dns = if controls.is_empty() {
            self.site.dns.servers.join(",")
        } else {
            controls.join(",")
        };
        let mut properties = vec![
            ("address", self.subnet.network()),
            (
                "gateway",
                self.network
                    .gateway
                    .clone()
                    .unwrap_or_else(|| self.router.address.clone()),
            ),
        ];
        if !dns.is_empty() {
            properties.push(("dns-server", dns));
        }
        if !controls.is_empty() {
            properties.push(("ntp-server", controls.join(",")));
        }
        if let Some(depot) = depot {
            properties.push(("next-server", depot.to_owned()));
            properties.push(("boot-file-name", "ipxe.efi".to_owned()));
        }
        self.commands.push(Command {
            menu: "/ip dhcp-server network",
            verb: "add",
            item: None,
            properties,
        });
    }

    /// Address, MAC address, comment: board management, and the ports by which machines boot from the network.
    fn reservations(&mut self) -> Vec<(String, String, String)> {
        let mut found = Vec::new();
        for node in &self.site.nodes {
            if self.network.site.is_some() && node.site != self.network.site {
                continue;
            }
            if let Some(bmc) = &node.bmc {
                match &bmc.mac {
                    Some(mac) => {
                        let comment = format!("bmc {}", node.name);
                        found.push((bmc.address.clone(), mac.to_ascii_uppercase(), comment));
                    }
                    None => self.missing.push(format!(
                        "MAC address of the board management of `{}`",
                        node.name
                    )),
                }
            }
            let port = node
                .links
                .iter()
                .filter(|link| link.networks.iter().any(|name| name == "mgmt"))
                .filter(|link| link.bond.is_none() && !is_tagged(link, self.network))
                .find_map(|link| link.ports.first()?.mac.as_ref());
            if let (Some(mac), Some(address)) = (port, node.addresses.get("mgmt")) {
                found.push((address.clone(), mac.to_ascii_uppercase(), node.name.clone()));
            }
        }
        found
    }

    fn tunnel(&mut self) {
        let Some(address) = &self.router.wireguard else {
            return;
        };
        let port = WIREGUARD_PORT.to_string();
        self.add(
            "/interface wireguard",
            [("name", TUNNEL), ("listen-port", &port)],
        );
        self.add("/ip address", [("address", address), ("interface", TUNNEL)]);
        for peer in &self.router.peers {
            let allowed = peer.address.clone();
            self.add(
                "/interface wireguard peers",
                [
                    ("interface", TUNNEL),
                    ("public-key", &peer.public_key),
                    ("allowed-address", &allowed),
                    ("comment", &peer.name),
                ],
            );
        }
        if self.router.peers.is_empty() {
            self.missing.push(
                "WireGuard peers: `/interface wireguard peers add interface=wg0 public-key=\"...\" allowed-address=...`"
                    .to_owned(),
            );
        }
    }

    fn firewall(&mut self) {
        const FILTER: &str = "/ip firewall filter";
        let (wan, inside) = (self.wan.to_owned(), self.inside());
        for chain in ["input", "forward"] {
            self.add(
                FILTER,
                [
                    ("chain", chain),
                    ("connection-state", "established,related"),
                    ("action", "accept"),
                ],
            );
            self.add(
                FILTER,
                [
                    ("chain", chain),
                    ("connection-state", "invalid"),
                    ("action", "drop"),
                ],
            );
        }
        self.add(
            FILTER,
            [
                ("chain", "input"),
                ("protocol", "icmp"),
                ("action", "accept"),
            ],
        );
        if self.router.wireguard.is_some() {
            let port = WIREGUARD_PORT.to_string();
            self.add(
                FILTER,
                [
                    ("chain", "input"),
                    ("in-interface", &wan),
                    ("protocol", "udp"),
                    ("dst-port", &port),
                    ("action", "accept"),
                ],
            );
            self.add(
                FILTER,
                [
                    ("chain", "forward"),
                    ("in-interface", TUNNEL),
                    ("out-interface", &inside),
                    ("action", "accept"),
                ],
            );
        }
        self.add(
            FILTER,
            [
                ("chain", "input"),
                ("in-interface", &wan),
                ("action", "drop"),
            ],
        );
        self.add(
            FILTER,
            [
                ("chain", "forward"),
                ("in-interface", &wan),
                ("action", "drop"),
            ],
        );
        self.missing.push(format!(
            "address of the outer port `{wan}`: a DHCP client, or what the provider says"
        ));
    }
}
