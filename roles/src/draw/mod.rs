//! What hangs in the rack: elevation, networks, cables, and the tables, as SVG, HTML and CSV. Black on white, and nothing is
//! said by colour alone.

pub mod cables;
pub mod elevation;
mod page;
pub mod svg;
pub mod topology;

use std::collections::BTreeMap;

use crate::{RoleSet, compile::planned_vips, site::Site};

/// All drawings by file name.
#[must_use]
pub fn files(site: &Site, roles: Option<&RoleSet>) -> BTreeMap<&'static str, String> {
    let vips = planned_vips(site);
    let cables = cables::list(site, roles);
    let (rack, elsewhere) = elevation::draw(site);
    let networks = topology::networks(site, &vips);
    let cabling = topology::cabling(site, &cables);
    let page = page::html(
        site,
        &vips,
        &cables,
        &elsewhere,
        [&rack, &networks, &cabling],
    );
    BTreeMap::from([
        ("cables.csv", cables::csv(&cables)),
        ("cables.svg", cabling),
        ("index.html", page),
        ("networks.svg", networks),
        ("rack.svg", rack),
    ])
}
