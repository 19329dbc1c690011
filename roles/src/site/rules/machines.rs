//! Rules of what is there: enough machines of every kind, each large enough.

use super::{
    Finding,
    facts::{Facts, ip},
};
use crate::site::{
    model::{Setup, StorageKind},
    sizing,
};

pub(super) fn sized(facts: &Facts<'_>) -> Vec<Finding> {
    let site = facts.site;
    let mut findings = Vec::new();
    if site.users > sizing::largest() && site.setup != Setup::Cluster {
        findings.push(
            Finding::new(
                "setup",
                format!(
                    "{} users, and the setup `{}`",
                    site.users,
                    site.setup.word()
                ),
            )
            .label("expected `cluster`")
            .warn(),
        );
    }
    for (index, node) in site.nodes.iter().enumerate() {
        let Some((memory, cores, hdd)) = sizing::least(&node.role, site.setup, site.users) else {
            continue;
        };
        // A copy for disasters may have half of it: E08.
        if site.database.replica.as_ref() == Some(&node.name) {
            continue;
        }
        let has = sizing::power(node);
        let hardware = node.hardware.as_ref();
        let at = |key: &str| format!("nodes.{index}.hardware.{key}");
        let line = format!("the table's row for {} users", facts.row.users);
        if has.0 < memory {
            findings.push(Finding::new(
                at("memory"),
                format!("`{}` has {} GiB, {line} says {memory}", node.name, has.0),
            ));
        }
        if has.1 < cores {
            findings.push(Finding::new(
                at("cores"),
                format!("`{}` has {} cores, {line} says {cores}", node.name, has.1),
            ));
        }
        let disks = hardware.and_then(|hardware| hardware.hdd);
        if let Some(disks) = disks.filter(|disks| *disks < hdd) {
            findings.push(Finding::new(
                at("hdd"),
                format!(
                    "`{}` has {disks} disks for mail, {line} says {hdd}",
                    node.name
                ),
            ));
        }
        let may_be_virtual = matches!(node.role.as_str(), "lb" | "control") && site.users <= 15_000
            || facts.row.may_be_virtual.contains(&node.role) && site.users <= sizing::largest();
        if node.is_virtual()
            && !may_be_virtual
            && matches!(node.role.as_str(), "galera" | "lb" | "storage")
        {
            findings.push(
                Finding::new(
                    format!("nodes.{index}"),
                    format!("`{}` is virtual, {line} has real machines", node.name),
                )
                .warn(),
            );
        }
    }
    findings
}

pub(super) fn control(facts: &Facts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let controls = facts.of("control");
    if facts.site.setup == Setup::Cluster && controls.len() != 2 {
        let at = controls.last().map_or_else(
            || "nodes".to_owned(),
            |(index, _)| format!("nodes.{index}.role"),
        );
        findings.push(
            Finding::new(
                at,
                format!("{} control servers in the large layout", controls.len()),
            )
            .label("expected 2"),
        );
    }
    // Two control servers serve time themselves, but must agree on it with somebody.
    if facts.site.time.servers.len() < 2 {
        findings.push(Finding::new(
            "time.servers",
            match facts.site.time.servers.len() {
                0 => "no time servers".to_owned(),
                _ => "a single time server".to_owned(),
            },
        ));
    }
    for (index, node) in controls {
        if node
            .addresses
            .get("mgmt")
            .is_none_or(|text| ip(text).is_none())
        {
            findings.push(Finding::new(
                format!("nodes.{index}.addresses"),
                format!(
                    "`{}` has no address in the network `mgmt`, so no machine reaches its depot",
                    node.name
                ),
            ));
        }
    }
    findings
}

pub(super) fn production(facts: &Facts<'_>) -> Vec<Finding> {
    let nodes = facts.of("production");
    let mut findings = Vec::new();
    if facts.shares_mail() && nodes.len() < 2 {
        let at = nodes.first().map_or_else(
            || "nodes".to_owned(),
            |(index, _)| format!("nodes.{index}.role"),
        );
        findings.push(
            Finding::new(
                at,
                format!(
                    "{} production servers in the setup `{}`",
                    nodes.len(),
                    facts.site.setup.word()
                ),
            )
            .label("at least 2"),
        );
    }
    let mut ids = std::collections::BTreeMap::new();
    let mut master: Option<&str> = None;
    for (index, node) in nodes {
        if let Some(id) = &node.mail_id {
            let path = format!("nodes.{index}.mail_id");
            if !(1..=2).contains(&id.len()) || !id.bytes().all(|b| b.is_ascii_alphanumeric()) {
                findings.push(
                    Finding::new(path, format!("`{id}` cannot be the id of a mail server"))
                        .label("one or two letters or digits"),
                );
            } else if let Some(other) = ids.insert(id, &node.name) {
                findings.push(Finding::new(
                    path,
                    format!("`{other}` already has the id `{id}`"),
                ));
            }
        }
        if node.master {
            if let Some(other) = master {
                findings.push(Finding::new(
                    format!("nodes.{index}.master"),
                    format!("`{other}` already is the master"),
                ));
            }
            master = Some(&node.name);
        }
    }
    findings
}

/// Machines of the table that are there at least; part of E32, because a setup without them is a smaller one.
pub(super) fn complete(facts: &Facts<'_>) -> Vec<Finding> {
    let site = facts.site;
    let mut findings = Vec::new();
    for item in sizing::size(site.users, site.setup).items {
        let count = facts.count(&item.what);
        let of_table = sizing::reference(&item.what).is_some();
        // Counted by rules of their own.
        let elsewhere = matches!(item.what.as_str(), "galera" | "control" | "production")
            && site.setup != Setup::Standard;
        let external = matches!(item.what.as_str(), "storage" | "backup")
            && site.options.storage != StorageKind::Zfs;
        if !of_table || elsewhere || external || item.optional {
            continue;
        }
        let wanted = usize::try_from(item.count).unwrap_or(usize::MAX);
        // The document: load balancers "can be just one", failover storage is "single or replicated".
        let enough = match (item.what.as_str(), site.setup) {
            ("storage", Setup::Failover) => 1,
            _ => wanted,
        };
        if count < enough {
            findings.push(Finding::new(
                "setup",
                format!(
                    "the setup `{}` for {} users has {enough} of the role `{}`, the file {count}",
                    site.setup.word(),
                    site.users,
                    item.what
                ),
            ));
        }
    }
    findings
}

pub(super) fn sizes(facts: &Facts<'_>) -> Vec<Finding> {
    let mut findings = complete(facts);
    findings.extend(sized(facts));
    findings
}
