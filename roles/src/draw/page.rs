//! One page with all drawings and tables, made to be printed.

use std::fmt::Write;

use crate::{compile::PlannedVip, site::Site};

use super::{
    cables::{Cable, TITLES},
    svg::escape,
};

const STYLE: &str = "
body { font: 13px Helvetica, Arial, 'Liberation Sans', sans-serif; color: #222; background: #fff; margin: 24px; }
h1 { font-size: 22px; margin: 0 0 4px; } h2 { font-size: 17px; margin: 28px 0 8px; break-after: avoid; }
svg { max-width: 100%; height: auto; }
table { border-collapse: collapse; } th, td { border: 1px solid #999; padding: 3px 8px; text-align: left; vertical-align: top; }
th { background: #eee; } thead { display: table-header-group; } tr, svg { break-inside: avoid; }
td.number { text-align: right; } .address { font-family: 'Liberation Mono', Menlo, Consolas, monospace; font-size: 12px; white-space: nowrap; }
@page { size: A3; margin: 12mm; } @media print { body { margin: 0; } section.page { break-before: page; } }
";

/// The page. `drawings`: rack, networks, cables.
pub(super) fn html(
    site: &Site,
    vips: &[PlannedVip<'_>],
    cables: &[Cable],
    elsewhere: &[String],
    drawings: [&str; 3],
) -> String {
    let name = escape(&site.name);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{name}</title><style>{STYLE}</style></head>\n\
         <body><h1>{name}</h1><p>{}, setup {}, {} users, {} machines</p>\n",
        escape(&site.domain),
        site.setup.word(),
        site.users,
        site.nodes.len()
    );
    let _ = write!(page, "<section><h2>Racks</h2>{}", drawings[0]);
    if !elsewhere.is_empty() {
        let _ = write!(
            page,
            "<p>Not in a rack of this drawing: {}.</p>",
            escape(&elsewhere.join(", "))
        );
    }
    let _ = write!(
        page,
        "</section>\n<section class=\"page\"><h2>Networks and addresses</h2>{}</section>\n",
        drawings[1]
    );
    let _ = writeln!(page, "<section><h2>Cables</h2>{}</section>", drawings[2]);
    machines(&mut page, site);
    virtual_addresses(&mut page, vips);
    networks(&mut page, site);
    let rows = cables
        .iter()
        .map(|cable| cable.fields().map(ToOwned::to_owned).to_vec());
    table(&mut page, "Cable list", &TITLES, rows, 2..5);
    switch_ports(&mut page, site, cables);
    page.push_str("</body></html>\n");
    page
}

/// A table; the columns in `addresses` are set in a font whose digits stand below one another.
fn table(
    page: &mut String,
    title: &str,
    titles: &[&str],
    rows: impl Iterator<Item = Vec<String>>,
    addresses: std::ops::Range<usize>,
) {
    let mut body = String::new();
    for row in rows {
        body.push_str("<tr>");
        for (column, cell) in row.iter().enumerate() {
            let class = if addresses.contains(&column) {
                " class=\"address\""
            } else {
                ""
            };
            let _ = write!(body, "<td{class}>{}</td>", escape(cell));
        }
        body.push_str("</tr>\n");
    }
    if body.is_empty() {
        return;
    }
    let head: String = titles
        .iter()
        .map(|title| format!("<th>{}</th>", escape(title)))
        .collect();
    let _ = write!(
        page,
        "<section><h2>{}</h2><table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></section>\n",
        escape(title)
    );
}

fn machines(page: &mut String, site: &Site) {
    let mut networks: Vec<&str> = Vec::new();
    for network in &site.networks {
        if !networks.contains(&network.name.as_str()) {
            networks.push(&network.name);
        }
    }
    let mut titles = vec!["machine", "role", "mounted", "board serial"];
    titles.extend(&networks);
    titles.push("board management");
    let rows = site.nodes.iter().map(|node| {
        let mounted = match (&node.chassis, &node.host) {
            (Some(chassis), _) => chassis.clone(),
            (None, Some(host)) => format!("virtual, on {host}"),
            (None, None) => String::new(),
        };
        let mut row = vec![
            node.name.clone(),
            node.role.clone(),
            mounted,
            node.serial.clone().unwrap_or_default(),
        ];
        row.extend(networks.iter().map(|network| {
            let both = [node.addresses.get(*network), node.addresses6.get(*network)];
            let both: Vec<&str> = both.into_iter().flatten().map(String::as_str).collect();
            both.join(" ")
        }));
        row.push(
            node.bmc
                .as_ref()
                .map_or_else(String::new, |bmc| bmc.address.clone()),
        );
        row
    });
    let last = titles.len();
    table(page, "Machines", &titles, rows, 4..last);
}

fn virtual_addresses(page: &mut String, vips: &[PlannedVip<'_>]) {
    let rows = vips.iter().map(|vip| {
        let candidates: Vec<&str> = vip
            .candidates
            .iter()
            .map(|node| node.name.as_str())
            .collect();
        vec![
            vip.host.clone(),
            vip.vip.network.clone(),
            vip.vip.address.clone(),
            vip.virtual_router_id.to_string(),
            candidates.join(", "),
        ]
    });
    table(
        page,
        "Virtual addresses",
        &["name", "network", "address", "VRRP id", "held by one of"],
        rows,
        2..3,
    );
}

fn networks(page: &mut String, site: &Site) {
    let rows = site.networks.iter().map(|network| {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        vec![
            network.name.clone(),
            text(&network.site),
            network
                .vlan
                .map_or_else(|| "untagged".to_owned(), |vlan| vlan.to_string()),
            network.subnet.clone(),
            text(&network.gateway),
            text(&network.subnet6),
            network.mtu.unwrap_or(1500).to_string(),
        ]
    });
    table(
        page,
        "Networks",
        &[
            "network", "place", "VLAN", "subnet", "gateway", "IPv6", "MTU",
        ],
        rows,
        3..6,
    );
}

/// Ports by switch, as one stands before it.
fn switch_ports(page: &mut String, site: &Site, cables: &[Cable]) {
    let mut ports: Vec<(String, String, String, String)> = cables
        .iter()
        .filter(|cable| !cable.switch.is_empty())
        .map(|cable| {
            let what = format!("{} {}", cable.machine, cable.port);
            (
                cable.switch.clone(),
                cable.switch_port.clone(),
                what,
                cable.networks.clone(),
            )
        })
        .collect();
    for switch in &site.switches {
        for port in &switch.ports {
            let taken = ports
                .iter()
                .any(|(name, other, _, _)| *name == switch.name && *other == port.port);
            if !taken {
                let what = port.description.clone().unwrap_or_default();
                ports.push((
                    switch.name.clone(),
                    port.port.clone(),
                    what,
                    port.networks.join(", "),
                ));
            }
        }
    }
    ports.sort_by_key(|(switch, port, _, _)| {
        (switch.clone(), crate::network_config::junos::port_key(port))
    });
    let rows = ports
        .into_iter()
        .map(|(switch, port, what, networks)| vec![switch, port, what, networks]);
    table(
        page,
        "Switch ports",
        &["switch", "port", "at the other end", "networks (VLAN)"],
        rows,
        1..2,
    );
}
