//! Reads what [`super::junos`] wrote, as a switch would: a table of the lines we write at all, and what must hold between
//! them. There is no reader of the maker's here, so this one is strict: what it does not know is wrong.

use std::collections::{BTreeMap, BTreeSet};

/// Lines that are allowed: `*` is one word, `+` one or more to the end, `"` a text in double quotes.
const GRAMMAR: &[&str] = &[
    "virtual-chassis preprovisioned",
    "virtual-chassis no-split-detection",
    "virtual-chassis member # serial-number *",
    "virtual-chassis member # role routing-engine",
    "chassis redundancy graceful-switchover",
    "chassis aggregated-devices ethernet device-count #",
    "ethernet-switching-options nonstop-bridging",
    "vlans * vlan-id #",
    "interfaces * description \"",
    "interfaces * ether-options 802.3ad *",
    "interfaces * mtu #",
    "interfaces * aggregated-ether-options lacp active",
    "interfaces * aggregated-ether-options lacp periodic fast",
    "interfaces * unit 0 family ethernet-switching port-mode trunk",
    "interfaces * unit 0 family ethernet-switching port-mode access",
    "interfaces * unit 0 family ethernet-switching vlan members +",
    "protocols rstp interface * edge",
    "protocols rstp bpdu-block-on-edge",
    "protocols lldp interface all",
];

/// LAGs of an EX4550, and legs of one (EX4500 and EX4550 hardware guide).
const MOST_BUNDLES: usize = 111;
const MOST_LEGS: usize = 8;

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
struct Reader<'a> {
    wrong: Vec<String>,
    vlans: BTreeMap<&'a str, u32>,
    members: BTreeSet<u32>,
    serials: BTreeSet<&'a str>,
    device_count: usize,
    legs: BTreeMap<&'a str, Vec<&'a str>>,
    leg_ports: BTreeSet<&'a str>,
    switching: BTreeMap<&'a str, usize>,
    used_vlans: Vec<(usize, &'a str)>,
    mtus: Vec<(usize, &'a str, u32)>,
    modes: BTreeMap<&'a str, (bool, usize)>,
}

impl<'a> Reader<'a> {
    fn complain(&mut self, number: usize, text: impl std::fmt::Display) {
        self.wrong.push(format!("line {number}: {text}"));
    }

    fn line(&mut self, number: usize, line: &'a str) {
        let Some(rest) = line.strip_prefix("set ") else {
            self.complain(number, format_args!("`{line}` is no set-command"));
            return;
        };
        if !GRAMMAR.iter().any(|pattern| fits(pattern, rest)) {
            self.complain(number, format_args!("`{rest}` is not in the grammar"));
            return;
        }
        let words: Vec<&str> = rest.split_whitespace().collect();
        match words.as_slice() {
            ["virtual-chassis", "member", member, "serial-number", serial] => {
                self.members.extend(member.parse::<u32>());
                if !self.serials.insert(serial) {
                    self.complain(
                        number,
                        format_args!("a second member with the serial number `{serial}`"),
                    );
                }
            }
            ["chassis", "aggregated-devices", .., count] => {
                self.device_count = count.parse().unwrap_or(0);
            }
            ["vlans", name, "vlan-id", id] => self.vlan(number, name, id),
            ["interfaces", port, "ether-options", "802.3ad", bundle] => {
                if !self.leg_ports.insert(port) {
                    self.complain(number, format_args!("`{port}` is a leg twice"));
                }
                self.legs.entry(bundle).or_default().push(port);
            }
            ["interfaces", port, "mtu", bytes] => {
                self.mtus.push((number, port, bytes.parse().unwrap_or(0)));
            }
            ["interfaces", port, "unit", .., "port-mode", mode] => {
                self.switching.insert(port, number);
                self.modes.insert(port, (*mode == "trunk", 0));
            }
            [
                "interfaces",
                port,
                "unit",
                _,
                _,
                _,
                "vlan",
                "members",
                vlans @ ..,
            ] => {
                let vlans = vlans.iter().filter(|word| !matches!(**word, "[" | "]"));
                for vlan in vlans {
                    self.used_vlans.push((number, vlan));
                    if let Some((_, count)) = self.modes.get_mut(port) {
                        *count += 1;
                    }
                }
            }
            _ => {}
        }
    }

    fn vlan(&mut self, number: usize, name: &'a str, id: &str) {
        let id: u32 = id.parse().unwrap_or(0);
        if !(1..=4094).contains(&id) {
            self.complain(number, format_args!("`{id}` is no VLAN id"));
        }
        if self.vlans.values().any(|other| *other == id) {
            self.complain(number, format_args!("a second VLAN with the id {id}"));
        }
        if self.vlans.insert(name, id).is_some() {
            self.complain(number, format_args!("a second VLAN `{name}`"));
        }
    }

    fn whole(&mut self) {
        for (number, vlan) in std::mem::take(&mut self.used_vlans) {
            if !self.vlans.contains_key(vlan) {
                self.complain(number, format_args!("there is no VLAN `{vlan}`"));
            }
        }
        for (number, port, bytes) in std::mem::take(&mut self.mtus) {
            if self.leg_ports.contains(port) {
                self.complain(
                    number,
                    format_args!("`{port}` is a leg: its MTU is that of its bundle"),
                );
            }
            if !(256..=9216).contains(&bytes) {
                self.complain(
                    number,
                    format_args!("no EX4550 port takes an MTU of {bytes} bytes"),
                );
            }
        }
        for (port, number) in std::mem::take(&mut self.switching) {
            if self.leg_ports.contains(port) {
                self.complain(
                    number,
                    format_args!("`{port}` is a leg: its VLANs are those of its bundle"),
                );
            }
        }
        for (port, (trunk, count)) in std::mem::take(&mut self.modes) {
            if !trunk && count > 1 {
                self.wrong
                    .push(format!("the access port `{port}` has {count} VLANs"));
            }
        }
        self.bundles();
    }

    fn bundles(&mut self) {
        let legs = std::mem::take(&mut self.legs);
        if legs.len() > MOST_BUNDLES {
            self.wrong.push(format!(
                "{} bundles; the switch has {MOST_BUNDLES}",
                legs.len()
            ));
        }
        for (bundle, ports) in &legs {
            let number: Option<usize> = bundle
                .strip_prefix("ae")
                .and_then(|digits| digits.parse().ok());
            if number.is_none_or(|number| number >= self.device_count) {
                self.wrong.push(format!(
                    "`{bundle}` is not among the {} bundles that `device-count` makes",
                    self.device_count
                ));
            }
            if ports.len() > MOST_LEGS {
                self.wrong.push(format!(
                    "`{bundle}` has {} legs; the switch takes {MOST_LEGS}",
                    ports.len()
                ));
            }
            let ends: BTreeSet<Option<u32>> = ports.iter().map(|port| member(port)).collect();
            if self.members.len() > 1 && ends.len() < 2 {
                self.wrong.push(format!(
                    "all legs of `{bundle}` end on one member: it dies with it"
                ));
            }
            for port in ports {
                let known = member(port).is_some_and(|member| self.members.contains(&member));
                if !self.members.is_empty() && !known {
                    self.wrong
                        .push(format!("`{port}` is on no member of the virtual chassis"));
                }
            }
        }
    }
}

/// Member of a port: the first number of `xe-1/0/3`.
fn member(port: &str) -> Option<u32> {
    let (kind, place) = port.split_once('-')?;
    let parts: Vec<Option<u32>> = place.split('/').map(|part| part.parse().ok()).collect();
    match (kind, parts.as_slice()) {
        ("xe" | "ge", [Some(member), Some(_), Some(_)]) => Some(*member),
        _ => None,
    }
}

fn fits(pattern: &str, text: &str) -> bool {
    let mut words = text.split(' ');
    let mut rest = text;
    for wanted in pattern.split(' ') {
        match wanted {
            "\"" => {
                let inner = rest
                    .strip_prefix('"')
                    .and_then(|rest| rest.strip_suffix('"'));
                return inner.is_some_and(|inner| !inner.contains('"'));
            }
            "+" => {
                let left: Vec<&str> = words.collect();
                return match left.as_slice() {
                    ["[", inner @ .., "]"] => {
                        !inner.is_empty() && inner.iter().all(|word| is_word(word))
                    }
                    [word] => is_word(word),
                    _ => false,
                };
            }
            _ => {}
        }
        let Some(word) = words.next() else {
            return false;
        };
        let good = match wanted {
            "*" => is_word(word),
            "#" => word.parse::<u32>().is_ok(),
            fixed => word == fixed,
        };
        if !good {
            return false;
        }
        rest = rest.get(word.len() + 1..).unwrap_or_default();
    }
    words.next().is_none()
}

fn is_word(word: &str) -> bool {
    !word.is_empty()
        && word
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_./:".contains(&byte))
}
