//! Rules of the database cluster: members, votes, timeouts, copies.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Finding,
    facts::{Facts, bytes, millis},
};
use crate::site::{
    model::{Hardware, SiteNode},
    sizing,
};

/// Place of the arbitrator: as said, else that of its node.
fn garbd_place<'a>(facts: &Facts<'a>) -> Option<&'a str> {
    let galera = &facts.site.galera;
    galera
        .garbd_site
        .as_deref()
        .or_else(|| facts.node(galera.garbd.as_deref()?)?.1.site.as_deref())
}

fn places<'a>(facts: &Facts<'a>) -> BTreeMap<Option<&'a str>, u32> {
    let mut votes = BTreeMap::new();
    for (_, node) in facts.of("galera") {
        *votes.entry(node.site.as_deref()).or_default() += node.weight.unwrap_or(1);
    }
    votes
}

pub(super) fn members(facts: &Facts<'_>) -> Vec<Finding> {
    let nodes = facts.of("galera");
    if facts.site.setup.has_galera() && nodes.is_empty() {
        return vec![Finding::new(
            "setup",
            format!("the setup `{}` has no Galera node", facts.site.setup.word()),
        )];
    }
    if nodes.is_empty() || places(facts).len() > 1 || matches!(nodes.len(), 3 | 5) {
        return Vec::new();
    }
    let Some((last, _)) = nodes.last() else {
        return Vec::new();
    };
    vec![
        Finding::new(
            format!("nodes.{last}.role"),
            format!("{} Galera nodes at one place", nodes.len()),
        )
        .label("the last of them; 3 or 5 are right"),
    ]
}

pub(super) fn arbitrator(facts: &Facts<'_>) -> Vec<Finding> {
    let votes = places(facts);
    if votes.len() < 2 {
        return Vec::new();
    }
    let count = facts.count("galera");
    let mut findings = Vec::new();
    if !matches!(count, 2 | 4) {
        findings.push(
            Finding::new(
                "galera",
                format!("{count} Galera nodes at {} places", votes.len()),
            )
            .label("2 or 4 are right"),
        );
    }
    let has_preferred = facts.site.sites.iter().any(|place| place.preferred);
    match (&facts.site.galera.garbd, garbd_place(facts)) {
        (None, _) if !has_preferred => {
            findings.push(Finding::new("galera", "several places, but no arbitrator"))
        }
        (Some(name), Some(place)) if votes.contains_key(&Some(place)) => {
            let key = if facts.site.galera.garbd_site.is_some() {
                "galera.garbd_site"
            } else {
                "galera.garbd"
            };
            findings.push(Finding::new(
                key,
                format!("the arbitrator on `{name}` is at `{place}`, where database nodes are"),
            ));
        }
        _ => {}
    }
    findings
}

pub(super) fn votes(facts: &Facts<'_>) -> Vec<Finding> {
    let votes = places(facts);
    let arbitrator = u32::from(facts.site.galera.garbd.is_some());
    let total: u32 = votes.values().sum::<u32>() + arbitrator;
    if total == 0 {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let preferred = |place: &Option<&str>| {
        facts
            .site
            .sites
            .iter()
            .any(|known| known.preferred && Some(known.name.as_str()) == *place)
    };
    // An even number cannot split where the preferred place holds more than half by itself.
    let decided = votes
        .iter()
        .any(|(place, of_place)| of_place * 2 > total && preferred(place));
    if total.is_multiple_of(2) && !decided {
        findings.push(Finding::new(
            "galera",
            format!("{total} votes can split into equal halves"),
        ));
    }
    if votes.len() > 1 {
        for (place, of_place) in &votes {
            if of_place * 2 > total && !preferred(place) {
                findings.push(Finding::new(
                    "sites",
                    format!(
                        "`{}` has {of_place} of {total} votes",
                        place.unwrap_or_default()
                    ),
                ));
            }
        }
    }
    findings
}

pub(super) fn bootstrap(facts: &Facts<'_>) -> Vec<Finding> {
    match &facts.site.galera.bootstrap {
        None if facts.count("galera") > 0 => {
            vec![Finding::new("galera", "no node may make the cluster")]
        }
        Some(name)
            if facts
                .node(name)
                .is_none_or(|(_, node)| node.role != "galera") =>
        {
            vec![Finding::new(
                "galera.bootstrap",
                format!("`{name}` is not a Galera node"),
            )]
        }
        _ => Vec::new(),
    }
}

pub(super) fn arbitrator_apart(facts: &Facts<'_>) -> Vec<Finding> {
    let galera = &facts.site.galera;
    match galera.garbd.as_ref().and_then(|name| facts.node(name)) {
        Some((_, node)) if matches!(node.role.as_str(), "galera" | "database") => {
            vec![Finding::new(
                "galera.garbd",
                format!("`{}` holds data itself", node.name),
            )]
        }
        _ => Vec::new(),
    }
}

pub(super) fn same_version(facts: &Facts<'_>) -> Vec<Finding> {
    let nodes = facts.of("galera");
    let Some((_, first)) = nodes.first() else {
        return Vec::new();
    };
    nodes
        .iter()
        .filter(|(_, node)| node.image != first.image)
        .map(|(index, node)| {
            let name = |node: &SiteNode| {
                node.image
                    .clone()
                    .unwrap_or_else(|| "the newest image".to_owned())
            };
            Finding::new(
                format!("nodes.{index}.image"),
                format!(
                    "`{}` runs {}, but `{}` runs {}",
                    node.name,
                    name(node),
                    first.name,
                    name(first)
                ),
            )
        })
        .collect()
}

pub(super) fn transaction_ids(facts: &Facts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut domains: BTreeMap<u32, &str> = BTreeMap::new();
    let cluster = facts.site.galera.gtid_domain.unwrap_or(77);
    let members = facts.of("galera");
    let server_id = members.iter().find_map(|(_, node)| node.database_id);
    for (index, node) in members.iter().chain(&facts.of("database")) {
        if let Some(domain) = node.gtid_domain {
            let path = format!("nodes.{index}.gtid_domain");
            if domain == cluster && !members.is_empty() {
                findings.push(Finding::new(
                    path,
                    format!("{domain} is the domain of the cluster's own transactions"),
                ));
            } else if let Some(other) = domains.insert(domain, &node.name) {
                findings.push(Finding::new(
                    path,
                    format!("`{other}` already has the domain {domain}"),
                ));
            }
        }
    }
    for (index, node) in &members {
        if node.database_id.is_some() && node.database_id != server_id {
            findings.push(Finding::new(
                format!("nodes.{index}.database_id"),
                format!(
                    "`{}` has another `server_id` than the first Galera node",
                    node.name
                ),
            ));
        }
    }
    let mut ids: BTreeMap<u32, &str> = BTreeMap::new();
    if let (Some(id), Some((_, first))) = (server_id, members.first()) {
        ids.insert(id, &first.name);
    }
    for (index, node) in facts.of("database") {
        if let Some(id) = node.database_id
            && let Some(other) = ids.insert(id, &node.name)
        {
            findings.push(Finding::new(
                format!("nodes.{index}.database_id"),
                format!("`{other}` already has the `server_id` {id}"),
            ));
        }
    }
    findings
}

pub(super) fn replica(facts: &Facts<'_>) -> Vec<Finding> {
    let Some(name) = &facts.site.database.replica else {
        return Vec::new();
    };
    let Some((index, node)) = facts.node(name) else {
        return Vec::new();
    };
    if node.role != "database" {
        return vec![
            Finding::new(
                "database.replica",
                format!("`{name}` has the role `{}`", node.role),
            )
            .label("expected a `database` node"),
        ];
    }
    let (memory, cores) = sizing::power(node);
    let largest = facts
        .of("galera")
        .into_iter()
        .map(|(_, node)| sizing::power(node))
        .max()
        .unwrap_or_default();
    if memory * 2 < largest.0 || cores * 2 < largest.1 {
        return vec![Finding::new(
            format!("nodes.{index}.hardware"),
            format!(
                "`{name}` has {memory} GiB and {cores} cores, less than half of {} GiB and {} cores",
                largest.0, largest.1
            ),
        )];
    }
    Vec::new()
}

fn databases<'a>(facts: &Facts<'a>) -> Vec<(usize, &'a SiteNode)> {
    let mut nodes = facts.of("galera");
    nodes.extend(facts.of("database"));
    nodes
}

pub(super) fn flush(facts: &Facts<'_>) -> Vec<Finding> {
    let nodes = databases(facts);
    let Some(flush) = facts.site.database.flush_log.filter(|flush| *flush != 1) else {
        return Vec::new();
    };
    let feeds: BTreeSet<Option<&str>> =
        nodes.iter().map(|(_, node)| node.feed.as_deref()).collect();
    let places: BTreeSet<Option<&str>> =
        nodes.iter().map(|(_, node)| node.site.as_deref()).collect();
    // A feed that nobody names is taken for the same one: the rule guards against what is likely.
    if nodes.is_empty() || feeds.len() > 1 || places.len() > 1 {
        return Vec::new();
    }
    vec![Finding::new(
        "database.flush_log",
        format!("`flush_log = {flush}` while all databases hang on one power feed"),
    )]
}

pub(super) fn protected(facts: &Facts<'_>) -> Vec<Finding> {
    databases(facts)
        .into_iter()
        .filter(|(_, node)| !node.is_virtual())
        .filter(|(_, node)| {
            node.hardware
                .as_ref()
                .and_then(|hardware| hardware.power_loss_protection)
                != Some(true)
        })
        .map(|(index, node)| {
            let said = node
                .hardware
                .as_ref()
                .is_some_and(|hardware| hardware.power_loss_protection.is_some());
            let finding = Finding::new(
                format!("nodes.{index}.hardware.power_loss_protection"),
                format!(
                    "the SSDs of `{}` may forget what they acknowledged",
                    node.name
                ),
            );
            if said {
                finding
            } else {
                finding.label("nothing says otherwise, and the reference's 850 Pro does")
            }
        })
        .collect()
}

const GIB: u64 = 1 << 30;

pub(super) fn memory(facts: &Facts<'_>) -> Vec<Finding> {
    let Some(pool) = bytes(facts.site.database.buffer_pool.as_ref()) else {
        return Vec::new();
    };
    let wanted = pool.saturating_add(sizing::beside_the_pool(facts.site));
    let smallest = databases(facts)
        .into_iter()
        .chain(facts.of("standalone"))
        .map(|(_, node)| (sizing::power(node).0, node))
        .min_by_key(|(memory, _)| *memory);
    match smallest {
        Some((memory, node)) if wanted >= memory.saturating_mul(GIB) => vec![Finding::new(
            "database.buffer_pool",
            format!(
                "{} GiB are wanted, `{}` has {memory} GiB",
                wanted.div_ceil(GIB),
                node.name
            ),
        )],
        _ => Vec::new(),
    }
}

pub(super) fn one_writer(facts: &Facts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(writers) = facts
        .site
        .database
        .max_writers
        .filter(|writers| *writers != 1)
    {
        findings.push(Finding::new(
            "database.max_writers",
            format!("{writers} databases take writes at a time"),
        ));
    }
    let mut seen = BTreeSet::new();
    for (number, name) in facts.site.galera.writers.iter().enumerate() {
        let path = format!("galera.writers.{number}");
        if !seen.insert(name) {
            findings.push(Finding::new(
                path,
                format!("`{name}` stands twice in the order of writers"),
            ));
        } else if facts
            .node(name)
            .is_some_and(|(_, node)| node.role != "galera")
        {
            findings.push(Finding::new(path, format!("`{name}` is not a Galera node")));
        }
    }
    // The order is compiled once for all load balancers; only a template value of one of them can make it differ.
    for (index, node) in facts.of("lb") {
        if node.settings.contains_key("writers") {
            findings.push(Finding::new(
                format!("nodes.{index}.settings.writers"),
                format!("`{}` has an order of writers of its own", node.name),
            ));
        }
    }
    findings
}

pub(super) fn timeouts(facts: &Facts<'_>) -> Vec<Finding> {
    let galera = &facts.site.galera;
    let mut findings = Vec::new();
    // The same values are compiled for all nodes and the arbitrator; only template values of one node can differ.
    for (index, node) in facts.of("galera") {
        for key in [
            "suspect_timeout",
            "inactive_timeout",
            "keepalive",
            "provider_options",
        ] {
            if node.settings.contains_key(key) {
                findings.push(Finding::new(
                    format!("nodes.{index}.settings.{key}"),
                    format!("`{}` has a `{key}` of its own", node.name),
                ));
            }
        }
    }
    let suspect = millis(galera.suspect_timeout.as_ref());
    let inactive = millis(galera.inactive_timeout.as_ref());
    let keepalive = millis(galera.keepalive.as_ref());
    if places(facts).len() > 1 && suspect.is_some_and(|suspect| suspect < 5_000) {
        findings.push(Finding::new(
            "galera.suspect_timeout",
            "below 5 s between several places",
        ));
    }
    let default = if places(facts).len() > 1 {
        (5_000, 15_000, 1_000)
    } else {
        (2_000, 6_000, 500)
    };
    let (suspect, inactive, keepalive) = (
        suspect.unwrap_or(default.0),
        inactive.unwrap_or(default.1),
        keepalive.unwrap_or(default.2),
    );
    if inactive < suspect {
        findings.push(Finding::new(
            "galera.inactive_timeout",
            "shorter than `suspect_timeout`",
        ));
    }
    if keepalive.saturating_mul(2) > suspect {
        findings.push(Finding::new(
            "galera.keepalive",
            "two signs of life do not fit into `suspect_timeout`",
        ));
    }
    findings
}

pub(super) fn apart(facts: &Facts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for role in ["galera", "lb"] {
        let mut hosts: BTreeMap<&str, &str> = BTreeMap::new();
        for (index, node) in facts.of(role) {
            match &node.host {
                None if node
                    .hardware
                    .as_ref()
                    .is_some_and(|hardware: &Hardware| hardware.is_virtual == Some(true)) =>
                {
                    findings.push(Finding::new(
                        format!("nodes.{index}"),
                        format!("nothing says on which hypervisor `{}` runs", node.name),
                    ));
                }
                Some(host) => {
                    if let Some(other) = hosts.insert(host, &node.name) {
                        findings.push(Finding::new(
                            format!("nodes.{index}.host"),
                            format!("`{}` and `{other}` run on the same hypervisor", node.name),
                        ));
                    }
                }
                None => {}
            }
        }
    }
    findings
}
