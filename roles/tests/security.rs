//! docs/security.md says what listens where: its table is the port lists of the roles, which the firewall is rendered from.
//!
//! `UPDATE_GOLDEN=1 cargo test -p roles --test security` writes it anew.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read its files has failed"
)]

use std::collections::BTreeMap;

use camino::Utf8Path;
use roles::role::Port;

const BEGIN: &str = "<!-- made from the roles' port lists by a test -->\n";
const END: &str = "<!-- end -->\n";

/// Service, networks, roles.
type Key<'a> = (&'a str, String, String);

/// One row for each service: ports of one service that are open to the same are one cell.
fn table() -> String {
    let roles = roles::folder::read(Utf8Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    let mut text = "| role | service | ports | open from | for machines of the roles |\n|---|---|---|---|---|\n".to_owned();
    let common = ("every role", &roles.common.ports);
    let all = roles
        .roles
        .iter()
        .map(|(name, folder)| (name.as_str(), &folder.role.ports));
    for (role, ports) in std::iter::once(common).chain(all) {
        // In the order of the role file.
        let mut rows: Vec<(Key<'_>, Vec<String>)> = Vec::new();
        for port in ports {
            let key = (
                port.service.as_str(),
                port.from.join(", "),
                port.peers.join(", "),
            );
            let shown = shown(port);
            match rows.iter_mut().find(|(known, _)| *known == key) {
                Some((_, all)) => all.push(shown),
                None => rows.push((key, vec![shown])),
            }
        }
        for ((service, from, peers), ports) in rows {
            let peers = if peers.is_empty() {
                "all".to_owned()
            } else {
                peers
            };
            text.push_str(&format!(
                "| {role} | {service} | {} | {from} | {peers} |\n",
                ports.join(", ")
            ));
        }
    }
    text
}

fn shown(port: &Port) -> String {
    match &port.port {
        Some(number) => format!("{}/{}", number, port.protocol),
        None => port.protocol.clone(),
    }
}

#[test]
fn the_table_of_what_listens_is_the_port_lists() {
    let path = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/security.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (then, after) = rest.split_once(END).unwrap();
    let now = table();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{now}{END}{after}")).unwrap();
        return;
    }
    assert!(
        then == now,
        "docs/security.md is not up to date; UPDATE_GOLDEN=1 cargo test -p roles --test security"
    );
}

/// Nothing but mail and what belongs to it is open to the internet.
#[test]
fn only_front_ends_are_open_to_the_public_network() {
    let roles = roles::folder::read(Utf8Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    let mut open: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, folder) in &roles.roles {
        let ports = roles.common.ports.iter().chain(&folder.role.ports);
        let count = ports
            .filter(|port| port.from.iter().any(|from| from == "public"))
            .count();
        if count > 0 {
            open.insert(name, count);
        }
    }
    let names: Vec<&str> = open.into_keys().collect();
    assert_eq!(names, ["lb", "production", "standalone"]);
}
