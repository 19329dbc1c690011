//! Racks from the front: what is mounted where.

use std::collections::BTreeMap;

use crate::site::{Site, model::SiteNode};

use super::svg::{Anchor, Svg};

/// Height of one unit, pixels; a rack of 42 then fits a page in portrait.
const UNIT: f64 = 20.0;
const WIDTH: f64 = 330.0;
const MARGIN: f64 = 40.0;
const GAP: f64 = 60.0;
const HEAD: f64 = 40.0;
const RACKS_IN_A_ROW: usize = 3;

/// Something mounted.
struct Mounted {
    name: String,
    what: String,
    note: String,
    lowest: u32,
    units: u32,
    box_style: &'static str,
}

const MACHINE: &str = "fill=\"#fff\" stroke=\"#222\" stroke-width=\"1.2\"";
const DEVICE: &str = "fill=\"#e4e4e4\" stroke=\"#222\" stroke-width=\"1.2\"";

/// Where something is: `rack1:u20` -> rack and lowest unit.
pub(super) fn place(chassis: &str) -> Option<(&str, u32)> {
    let (rack, unit) = chassis.rsplit_once(':')?;
    let unit = unit.trim_start_matches(['u', 'U']).parse().ok()?;
    (!rack.is_empty() && (1..=60).contains(&unit)).then_some((rack, unit))
}

/// Units of the reference's chassis: SC847 is 4U, everything else 1U.
fn units(role: &str) -> u32 {
    if matches!(role, "storage" | "backup") {
        4
    } else {
        1
    }
}

/// Where a machine is: rack, lowest unit from 1, and how many units it takes.
#[must_use]
pub fn mounted(node: &SiteNode) -> Option<(&str, u32, u32)> {
    let (rack, lowest) = place(node.chassis.as_deref()?)?;
    Some((rack, lowest, units(&node.role)))
}

/// The drawing, and the machines that it does not show because nothing says where they are.
#[must_use]
pub fn draw(site: &Site) -> (String, Vec<String>) {
    let mut racks: BTreeMap<&str, Vec<Mounted>> = BTreeMap::new();
    let mut elsewhere = Vec::new();
    for node in &site.nodes {
        match node.chassis.as_deref().and_then(place) {
            Some((rack, lowest)) => racks.entry(rack).or_default().push(Mounted {
                name: node.name.clone(),
                what: node.role.clone(),
                note: node.addresses.get("mgmt").cloned().unwrap_or_default(),
                lowest,
                units: units(&node.role),
                box_style: MACHINE,
            }),
            None => elsewhere.push(match &node.host {
                Some(host) => format!("{} (virtual, on {host})", node.name),
                None => node.name.clone(),
            }),
        }
    }
    let switches = site.switches.iter().map(|switch| {
        let what = switch
            .member
            .map_or_else(|| "switch".to_owned(), |member| format!("member {member}"));
        (
            switch.name.as_str(),
            what,
            switch.serial.clone(),
            &switch.chassis,
        )
    });
    let router = site.router.iter().map(|router| {
        let chassis = &router.chassis;
        (
            "router",
            "RB3011".to_owned(),
            Some(router.address.clone()),
            chassis,
        )
    });
    for (name, what, note, chassis) in switches.chain(router) {
        match chassis.as_deref().and_then(place) {
            Some((rack, lowest)) => racks.entry(rack).or_default().push(Mounted {
                name: name.to_owned(),
                what,
                note: note.unwrap_or_default(),
                lowest,
                units: 1,
                box_style: DEVICE,
            }),
            None => elsewhere.push(name.to_owned()),
        }
    }
    (racks_drawing(site, &racks), elsewhere)
}

fn racks_drawing(site: &Site, racks: &BTreeMap<&str, Vec<Mounted>>) -> String {
    let top = |mounted: &Mounted| mounted.lowest + mounted.units - 1;
    let tallest = racks.values().flatten().map(top).max().unwrap_or(0).max(42);
    let rack_height = f64::from(tallest) * UNIT;
    let rows = racks.len().div_ceil(RACKS_IN_A_ROW).max(1);
    let columns = racks.len().clamp(1, RACKS_IN_A_ROW);
    let row_height = HEAD + rack_height + GAP;
    let mut svg = Svg::new(
        2.0 * MARGIN + number(columns) * (WIDTH + GAP) - GAP,
        number(rows) * row_height,
    );
    if racks.is_empty() {
        svg.text(
            (MARGIN, HEAD),
            14.0,
            Anchor::Start,
            false,
            "No machine says where it is mounted (`chassis = \"rack1:u20\"`).",
        );
    }
    for (index, (rack, mounted)) in racks.iter().enumerate() {
        let x = MARGIN + number(index % RACKS_IN_A_ROW) * (WIDTH + GAP);
        let y = HEAD + number(index / RACKS_IN_A_ROW) * row_height;
        svg.label(
            (x + WIDTH / 2.0, y - 12.0),
            WIDTH,
            16.0,
            Anchor::Middle,
            true,
            rack,
        );
        svg.rect(
            x - 4.0,
            y - 4.0,
            WIDTH + 8.0,
            rack_height + 8.0,
            "fill=\"none\" stroke=\"#222\" stroke-width=\"2.5\"",
        );
        for unit in 1..=tallest {
            let line = y + f64::from(tallest - unit) * UNIT;
            svg.rect(
                x,
                line,
                WIDTH,
                UNIT,
                "fill=\"#fafafa\" stroke=\"#ccc\" stroke-width=\"0.5\"",
            );
            svg.text(
                (x - 8.0, line + 14.0),
                10.0,
                Anchor::End,
                false,
                &unit.to_string(),
            );
        }
        for (place, one) in mounted.iter().enumerate() {
            // Two in one unit stand side by side: the mistake must be seen, not hidden.
            let overlaps = |other: &&Mounted| other.lowest <= top(one) && one.lowest <= top(other);
            let all: Vec<usize> = (0..mounted.len())
                .filter(|other| overlaps(&&mounted[*other]))
                .collect();
            let rank = all.iter().position(|other| *other == place).unwrap_or(0);
            let width = WIDTH / number(all.len().max(1));
            let left = x + width * number(rank);
            let upper = y + f64::from(tallest.saturating_sub(top(one))) * UNIT;
            mounted_box(&mut svg, one, (left, upper), width);
        }
    }
    svg.finish(&format!("rack elevation of cluster {}", site.name))
}

fn mounted_box(svg: &mut Svg, one: &Mounted, at: (f64, f64), width: f64) {
    let height = f64::from(one.units) * UNIT;
    svg.rect(
        at.0 + 1.0,
        at.1 + 1.0,
        width - 2.0,
        height - 2.0,
        one.box_style,
    );
    let line = at.1 + height / 2.0 + 4.0;
    let (left, right) = (at.0 + 10.0, at.0 + width - 10.0);
    let third = (width - 20.0) / 3.0;
    svg.label(
        (left, line),
        third - 6.0,
        12.0,
        Anchor::Start,
        true,
        &one.name,
    );
    svg.label(
        (at.0 + width / 2.0, line),
        third - 4.0,
        11.0,
        Anchor::Middle,
        false,
        &one.what,
    );
    svg.label(
        (right, line),
        third - 4.0,
        11.0,
        Anchor::End,
        false,
        &one.note,
    );
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
