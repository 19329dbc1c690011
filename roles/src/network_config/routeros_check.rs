//! Reads what [`super::routeros`] wrote: menus and properties that we use at all, and what must hold between commands.

use std::collections::{BTreeMap, BTreeSet};

use crate::address::{Cidr, is_mac};

/// Menu, verb, properties; those with `!` must be there.
const GRAMMAR: &[(&str, &str, &[&str])] = &[
    (
        "/interface bridge",
        "add",
        &["!name", "!vlan-filtering", "comment"],
    ),
    ("/interface bridge", "set", &["!vlan-filtering"]),
    (
        "/interface bridge port",
        "add",
        &["!bridge", "!interface", "pvid", "frame-types"],
    ),
    (
        "/interface bridge vlan",
        "add",
        &["!bridge", "!tagged", "untagged", "!vlan-ids"],
    ),
    (
        "/interface vlan",
        "add",
        &["!interface", "!name", "!vlan-id"],
    ),
    ("/interface wireguard", "add", &["!name", "!listen-port"]),
    (
        "/interface wireguard peers",
        "add",
        &["!interface", "!public-key", "!allowed-address", "comment"],
    ),
    ("/ip address", "add", &["!address", "!interface"]),
    ("/ip pool", "add", &["!name", "!ranges"]),
    (
        "/ip dhcp-server",
        "add",
        &["!name", "!interface", "!address-pool", "!lease-time"],
    ),
    (
        "/ip dhcp-server network",
        "add",
        &[
            "!address",
            "!gateway",
            "dns-server",
            "ntp-server",
            "next-server",
            "boot-file-name",
        ],
    ),
    (
        "/ip dhcp-server lease",
        "add",
        &["!address", "!mac-address", "!server", "comment"],
    ),
    (
        "/ip firewall filter",
        "add",
        &[
            "!chain",
            "!action",
            "connection-state",
            "in-interface",
            "out-interface",
            "protocol",
            "dst-port",
        ],
    ),
];

/// Everything that is wrong, each with its line.
#[must_use]
pub fn check(text: &str) -> Vec<String> {
    let mut reader = Reader::default();
    for (number, line) in super::statements(text) {
        reader.line(number, line);
    }
    reader.whole();
    reader.wrong
}

#[derive(Default)]
struct Reader {
    wrong: Vec<String>,
    interfaces: BTreeSet<String>,
    used_interfaces: Vec<(usize, String)>,
    vlans: BTreeSet<String>,
    pvids: Vec<(usize, String)>,
    macs: BTreeMap<String, usize>,
    leased: BTreeMap<String, usize>,
    networks: Vec<Cidr>,
    filtering: Option<usize>,
    last: usize,
}

impl Reader {
    fn complain(&mut self, number: usize, text: impl std::fmt::Display) {
        self.wrong.push(format!("line {number}: {text}"));
    }

    fn line(&mut self, number: usize, line: &str) {
        self.last = number;
        let Some(words) = words(line) else {
            self.complain(number, "a text does not end");
            return;
        };
        let verb = words.iter().position(|word| word == "add" || word == "set");
        let Some(verb) = verb else {
            self.complain(number, "neither `add` nor `set`");
            return;
        };
        let menu = words[..verb].join(" ");
        let known = GRAMMAR
            .iter()
            .find(|(name, action, _)| *name == menu && *action == words[verb]);
        let Some((_, action, keys)) = known else {
            self.complain(
                number,
                format_args!("`{menu} {}` is not in the grammar", words[verb]),
            );
            return;
        };
        let first = if *action == "set" { verb + 2 } else { verb + 1 };
        let mut properties = BTreeMap::new();
        for word in words.iter().skip(first) {
            let Some((key, value)) = word.split_once('=') else {
                self.complain(number, format_args!("`{word}` is no property"));
                continue;
            };
            if !keys
                .iter()
                .any(|known| known.trim_start_matches('!') == key)
            {
                self.complain(
                    number,
                    format_args!("`{menu}` has no property `{key}` here"),
                );
            }
            if properties.insert(key, value).is_some() {
                self.complain(number, format_args!("`{key}` stands twice"));
            }
        }
        for key in keys.iter().filter_map(|key| key.strip_prefix('!')) {
            if !properties.contains_key(key) {
                self.complain(number, format_args!("`{menu}` needs `{key}`"));
            }
        }
        self.meaning(number, &menu, &properties);
    }

    fn meaning(&mut self, number: usize, menu: &str, properties: &BTreeMap<&str, &str>) {
        let get = |key: &str| properties.get(key).copied();
        if matches!(
            menu,
            "/interface bridge" | "/interface vlan" | "/interface wireguard"
        ) && let Some(name) = get("name")
        {
            self.interfaces.insert(name.to_owned());
        }
        for key in ["interface", "in-interface", "out-interface", "bridge"] {
            self.used_interfaces
                .extend(get(key).map(|name| (number, name.to_owned())));
        }
        match menu {
            "/interface bridge" if get("vlan-filtering") == Some("yes") => {
                self.filtering = Some(number);
            }
            "/interface bridge port" => {
                let pvid = get("pvid").filter(|pvid| *pvid != "1");
                self.pvids
                    .extend(pvid.map(|pvid| (number, pvid.to_owned())));
            }
            "/interface bridge vlan" => {
                self.vlans.extend(get("vlan-ids").map(ToOwned::to_owned));
            }
            "/interface vlan" => {
                self.pvids
                    .extend(get("vlan-id").map(|id| (number, id.to_owned())));
            }
            "/interface wireguard peers" => {
                let key = get("public-key").unwrap_or_default();
                if !is_key(key) {
                    self.complain(
                        number,
                        format_args!("`{key}` is no public key of WireGuard"),
                    );
                }
            }
            "/ip dhcp-server network" => self.networks.extend(get("address").and_then(Cidr::parse)),
            "/ip dhcp-server lease" => self.lease(number, get("address"), get("mac-address")),
            _ => {}
        }
    }

    fn lease(&mut self, number: usize, address: Option<&str>, mac: Option<&str>) {
        let (address, mac) = (address.unwrap_or_default(), mac.unwrap_or_default());
        if !is_mac(mac) {
            self.complain(number, format_args!("`{mac}` is no MAC address"));
        }
        if let Some(other) = self.macs.insert(mac.to_ascii_lowercase(), number) {
            self.complain(number, format_args!("`{mac}` stands in line {other} too"));
        }
        if let Some(other) = self.leased.insert(address.to_owned(), number) {
            self.complain(
                number,
                format_args!("`{address}` stands in line {other} too"),
            );
        }
        let inside = address.parse().is_ok_and(|address| {
            self.networks
                .iter()
                .any(|network| network.contains(address))
        });
        if !inside {
            self.complain(
                number,
                format_args!("`{address}` lies in no network of the DHCP server"),
            );
        }
    }

    fn whole(&mut self) {
        for (number, name) in std::mem::take(&mut self.used_interfaces) {
            let is_port = name.starts_with("ether") || name.starts_with("sfp");
            if !is_port && !self.interfaces.contains(&name) {
                self.complain(number, format_args!("there is no interface `{name}`"));
            }
        }
        for (number, vlan) in std::mem::take(&mut self.pvids) {
            if !self.vlans.contains(&vlan) {
                self.complain(number, format_args!("the bridge has no VLAN {vlan}"));
            }
        }
        match self.filtering {
            None => self
                .wrong
                .push("nothing switches `vlan-filtering` on".to_owned()),
            Some(number) if number != self.last => {
                self.complain(
                    number,
                    "`vlan-filtering=yes` must be the last command: what follows is locked out",
                );
            }
            Some(_) => {}
        }
    }
}

/// 32 bytes in base64: 43 characters and a `=`.
fn is_key(text: &str) -> bool {
    text.len() == 44
        && text.strip_suffix('=').is_some_and(|text| {
            text.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte))
        })
}

/// Words; a text in double quotes belongs to its word. None if a quote is open at the end.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = vec![String::new()];
    let mut inside = false;
    for letter in line.chars() {
        match letter {
            '"' => inside = !inside,
            ' ' if !inside => words.push(String::new()),
            _ => words.last_mut()?.push(letter),
        }
    }
    words.retain(|word| !word.is_empty());
    (!inside).then_some(words)
}
