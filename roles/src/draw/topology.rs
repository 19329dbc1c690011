//! Networks as lines and machines as columns: who has which address where; and the same columns with switches as bars: whose
//! cable ends where. Lines never cross a label, however many machines there are: they go on in a further band.

use crate::{
    compile::PlannedVip,
    site::{Site, model::SiteNetwork},
};

use super::{
    cables::Cable,
    svg::{Anchor, DASHES, Svg},
};

const COLUMN: f64 = 116.0;
const LEFT: f64 = 190.0;
const BOX: f64 = 44.0;
const LANE: f64 = 40.0;
const COLUMNS: usize = 12;
const BAND_GAP: f64 = 36.0;

/// A column: a machine, the router, or a virtual address.
struct Column<'a> {
    name: String,
    what: String,
    place: Option<&'a str>,
    addresses: Vec<(&'a str, &'a str)>,
    style: &'static str,
}

const SOLID: &str = "fill=\"#fff\" stroke=\"#222\" stroke-width=\"1.3\"";
const GREY: &str = "fill=\"#e4e4e4\" stroke=\"#222\" stroke-width=\"1.3\"";
const DASHED: &str = "fill=\"#fff\" stroke=\"#222\" stroke-width=\"1.3\" stroke-dasharray=\"4 3\"";

/// Networks and addresses.
#[must_use]
pub fn networks(site: &Site, vips: &[PlannedVip<'_>]) -> String {
    let columns = columns(site, vips);
    let lanes: Vec<&SiteNetwork> = site.networks.iter().collect();
    let band_height = BOX + 26.0 + number(lanes.len()) * LANE + BAND_GAP;
    let bands = columns.len().div_ceil(COLUMNS).max(1);
    let width = LEFT + number(columns.len().clamp(1, COLUMNS)) * COLUMN + 20.0;
    let mut svg = Svg::new(width, 20.0 + number(bands) * band_height);
    for (band, columns) in columns.chunks(COLUMNS).enumerate() {
        let top = 20.0 + number(band) * band_height;
        let lane_y = |index: usize| top + BOX + 34.0 + number(index) * LANE;
        for (index, network) in lanes.iter().enumerate() {
            let y = lane_y(index);
            let dash = DASHES[index % DASHES.len()];
            let right = LEFT + number(columns.len()) * COLUMN;
            svg.line(
                (LEFT - 10.0, y),
                (right, y),
                &format!("stroke=\"#222\" stroke-width=\"2\" stroke-dasharray=\"{dash}\""),
            );
            svg.label(
                (10.0, y - 2.0),
                LEFT - 26.0,
                13.0,
                Anchor::Start,
                true,
                &lane_name(network),
            );
            svg.label(
                (10.0, y + 12.0),
                LEFT - 26.0,
                11.0,
                Anchor::Start,
                false,
                &lane_facts(network),
            );
        }
        for (index, column) in columns.iter().enumerate() {
            let x = LEFT + number(index) * COLUMN;
            box_of(&mut svg, column, (x, top));
            let on: Vec<(usize, &str)> = (0..)
                .zip(&lanes)
                .filter(|(_, lane)| {
                    lane.site.is_none()
                        || column.place.is_none()
                        || lane.site.as_deref() == column.place
                })
                .filter_map(|(lane, network)| {
                    let found = column
                        .addresses
                        .iter()
                        .find(|(name, _)| *name == network.name);
                    found.map(|(_, address)| (lane, *address))
                })
                .collect();
            let Some((lowest, _)) = on.last() else {
                continue;
            };
            let stem = x + 10.0;
            svg.line(
                (stem, top + BOX),
                (stem, lane_y(*lowest)),
                "stroke=\"#222\" stroke-width=\"1\"",
            );
            for (lane, address) in on {
                svg.dot((stem, lane_y(lane)), 4.0);
                svg.label(
                    (stem + 7.0, lane_y(lane) - 5.0),
                    COLUMN - 14.0,
                    11.0,
                    Anchor::Start,
                    false,
                    address,
                );
            }
        }
    }
    svg.finish(&format!("networks of cluster {}", site.name))
}

fn lane_name(network: &SiteNetwork) -> String {
    let place = network
        .site
        .as_ref()
        .map_or_else(String::new, |place| format!(" ({place})"));
    match network.vlan {
        Some(vlan) => format!("{}{place}, VLAN {vlan}", network.name),
        None => format!("{}{place}, untagged", network.name),
    }
}

fn lane_facts(network: &SiteNetwork) -> String {
    format!("{}, MTU {}", network.subnet, network.mtu.unwrap_or(1500))
}

fn columns<'a>(site: &'a Site, vips: &[PlannedVip<'a>]) -> Vec<Column<'a>> {
    let mut columns = Vec::new();
    if let Some(router) = &site.router {
        columns.push(Column {
            name: "router".to_owned(),
            what: "RB3011".to_owned(),
            place: None,
            addresses: vec![("mgmt", &router.address)],
            style: GREY,
        });
    }
    for vip in vips {
        columns.push(Column {
            name: vip.host.clone(),
            what: format!("VRRP id {}", vip.virtual_router_id),
            place: vip.vip.site.as_deref(),
            addresses: vec![(&vip.vip.network, &vip.vip.address)],
            style: DASHED,
        });
    }
    for node in &site.nodes {
        let virtual_on = node
            .host
            .as_ref()
            .map_or_else(String::new, |host| format!(" on {host}"));
        columns.push(Column {
            name: node.name.clone(),
            what: format!("{}{virtual_on}", node.role),
            place: node.site.as_deref(),
            addresses: node
                .addresses
                .iter()
                .map(|(network, address)| (network.as_str(), address.as_str()))
                .collect(),
            style: SOLID,
        });
    }
    columns
}

fn box_of(svg: &mut Svg, column: &Column<'_>, at: (f64, f64)) {
    let width = COLUMN - 10.0;
    svg.rect(at.0, at.1, width, BOX, column.style);
    let middle = at.0 + width / 2.0;
    svg.label(
        (middle, at.1 + 19.0),
        width - 6.0,
        13.0,
        Anchor::Middle,
        true,
        &column.name,
    );
    svg.label(
        (middle, at.1 + 35.0),
        width - 6.0,
        11.0,
        Anchor::Middle,
        false,
        &column.what,
    );
}

/// Cables: a bar for each switch, a column for each machine that has a cable.
#[must_use]
pub fn cabling(site: &Site, cables: &[Cable]) -> String {
    let nodes: Vec<&str> = site
        .nodes
        .iter()
        .map(|node| node.name.as_str())
        .filter(|name| cables.iter().any(|cable| cable.machine == *name))
        .collect();
    let bar = 26.0;
    let space = 150.0;
    let head = number(site.switches.len()) * (bar + 8.0);
    let band_height = head + space + BOX + BAND_GAP;
    let bands = nodes.len().div_ceil(COLUMNS).max(1);
    let width = LEFT + number(nodes.len().clamp(1, COLUMNS)) * COLUMN + 20.0;
    let mut svg = Svg::new(width, 20.0 + number(bands) * band_height);
    if nodes.is_empty() {
        svg.text(
            (10.0, 40.0),
            14.0,
            Anchor::Start,
            false,
            "No machine says where its cables end.",
        );
    }
    for (band, names) in nodes.chunks(COLUMNS).enumerate() {
        let top = 20.0 + number(band) * band_height;
        let bar_y = |index: usize| top + number(index) * (bar + 8.0);
        let right = LEFT + number(names.len()) * COLUMN;
        for (index, switch) in site.switches.iter().enumerate() {
            svg.rect(LEFT - 10.0, bar_y(index), right - LEFT + 6.0, bar, GREY);
            svg.label(
                (10.0, bar_y(index) + 17.0),
                LEFT - 26.0,
                13.0,
                Anchor::Start,
                true,
                &switch.name,
            );
        }
        for (index, name) in names.iter().enumerate() {
            let x = LEFT + number(index) * COLUMN;
            let role = site
                .nodes
                .iter()
                .find(|node| node.name == *name)
                .map_or("", |node| &node.role);
            let own = Column {
                name: (*name).to_owned(),
                what: role.to_owned(),
                place: None,
                addresses: Vec::new(),
                style: SOLID,
            };
            box_of(&mut svg, &own, (x, top + head + space));
            let theirs: Vec<&Cable> = cables
                .iter()
                .filter(|cable| cable.machine == *name)
                .collect();
            let step = (COLUMN - 22.0) / number(theirs.len().max(1));
            for (number_of, cable) in theirs.iter().enumerate() {
                let Some(end) = site
                    .switches
                    .iter()
                    .position(|switch| switch.name == cable.switch)
                else {
                    continue;
                };
                let stem = x + 14.0 + step * number(number_of);
                let foot = top + head + space;
                let upper = bar_y(end) + bar / 2.0;
                let dash = DASHES[end % DASHES.len()];
                svg.line(
                    (stem, upper),
                    (stem, foot),
                    &format!("stroke=\"#222\" stroke-width=\"1.2\" stroke-dasharray=\"{dash}\""),
                );
                svg.dot((stem, upper), 4.0);
                if step >= 12.0 {
                    svg.upwards(
                        (stem - 4.0, foot - 6.0),
                        10.0,
                        &format!("{} \u{2013} {}", cable.port, cable.switch_port),
                    );
                }
            }
        }
    }
    svg.finish(&format!("cables of cluster {}", site.name))
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
