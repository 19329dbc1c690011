//! Rules of shared storage: how it is exported, mounted and copied.

use std::collections::BTreeMap;

use super::{
    Finding,
    facts::{Facts, millis},
};
use crate::site::model::{Replication, Setup, StorageKind};

fn options<'a>(facts: &Facts<'a>) -> Vec<&'a str> {
    facts
        .site
        .storage
        .mount_options
        .as_deref()
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|option| !option.is_empty())
        .collect()
}

pub(super) fn handles(facts: &Facts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let fsid = i64::from(facts.site.storage.fsid.unwrap_or(1));
    for (index, node) in facts.of("storage").into_iter().chain(facts.of("backup")) {
        if let Some(own) = node.settings.get("fsid")
            && own.as_integer() != Some(fsid)
        {
            findings.push(Finding::new(
                format!("nodes.{index}.settings.fsid"),
                format!(
                    "`{}` exports with `fsid = {own}`, the others with {fsid}",
                    node.name
                ),
            ));
        }
    }
    for option in options(facts) {
        let version = option
            .strip_prefix("nfsvers=")
            .or_else(|| option.strip_prefix("vers="));
        if let Some(version) = version.filter(|version| !matches!(*version, "4.1" | "4.2")) {
            findings.push(
                Finding::new("storage.mount_options", format!("NFS version {version}"))
                    .label("at least 4.1"),
            );
        }
    }
    findings
}

pub(super) fn hard(facts: &Facts<'_>) -> Vec<Finding> {
    let Some(_) = &facts.site.storage.mount_options else {
        return Vec::new();
    };
    let options = options(facts);
    let mut findings: Vec<Finding> = options
        .iter()
        .filter(|option| {
            matches!(
                **option,
                "soft"
                    | "softerr"
                    | "softreval"
                    | "nolock"
                    | "local_lock=all"
                    | "local_lock=posix"
                    | "local_lock=flock"
            )
        })
        .map(|option| Finding::new("storage.mount_options", format!("the option `{option}`")))
        .collect();
    if !options.contains(&"hard") {
        findings.push(Finding::new(
            "storage.mount_options",
            "the option `hard` is missing",
        ));
    }
    findings
}

pub(super) fn direction(facts: &Facts<'_>) -> Vec<Finding> {
    let storage = &facts.site.storage;
    let mut findings = Vec::new();
    let copies = facts.count("storage") + facts.count("backup") > 1
        && facts.site.options.storage == StorageKind::Zfs;
    if copies && facts.site.options.replication != Replication::None {
        if storage.source.is_none() {
            findings.push(Finding::new(
                "storage",
                "nothing says which storage holds the live data",
            ));
        }
        if storage.sinks.is_empty() {
            findings.push(Finding::new("storage", "no storage receives the snapshots"));
        }
    }
    if let Some(name) = &storage.source
        && facts
            .node(name)
            .is_some_and(|(_, node)| node.role != "storage")
    {
        findings.push(Finding::new(
            "storage.source",
            format!("`{name}` is not a storage server"),
        ));
    }
    let mut seen = BTreeMap::new();
    for (number, name) in storage.sinks.iter().enumerate() {
        let path = format!("storage.sinks.{number}");
        if storage.source.as_ref() == Some(name) {
            findings.push(Finding::new(
                path,
                format!("`{name}` is the source and a sink"),
            ));
        } else if seen.insert(name, number).is_some() {
            findings.push(Finding::new(path, format!("`{name}` stands twice")));
        } else if let Some((index, node)) = facts.node(name) {
            if !matches!(node.role.as_str(), "storage" | "backup") {
                findings.push(Finding::new(
                    path,
                    format!("`{name}` is neither a storage nor a backup server"),
                ));
            }
            findings.extend(writable(index, node));
        }
    }
    findings
}

/// What is received must be read-only: whatever else writes there makes the next snapshot fail, or is lost with it.
fn writable(index: usize, node: &crate::site::model::SiteNode) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (group, need) in node.disks.iter().enumerate() {
        let Some(crate::role::Layout::Zfs { datasets, .. }) = &need.layout else {
            continue;
        };
        for (number, dataset) in datasets
            .iter()
            .enumerate()
            .filter(|(_, dataset)| dataset.name == "received")
        {
            if dataset.properties.get("readonly").map(String::as_str) != Some("on") {
                findings.push(Finding::new(
                    format!("nodes.{index}.disks.{group}.layout.datasets.{number}"),
                    format!(
                        "`{}` receives snapshots into a data set that can be written",
                        node.name
                    ),
                ));
            }
        }
    }
    findings
}

pub(super) fn promise(facts: &Facts<'_>) -> Vec<Finding> {
    let options = &facts.site.options;
    let Some(promised) = millis(options.promised_loss.as_ref()) else {
        return Vec::new();
    };
    if options.storage != StorageKind::Zfs || facts.site.setup == Setup::Standard {
        return Vec::new();
    }
    if options.replication == Replication::None {
        return vec![Finding::new(
            "options.promised_loss",
            "a promise without replication",
        )];
    }
    let interval = millis(options.replication_interval.as_ref()).unwrap_or(60_000);
    if promised < interval {
        return vec![Finding::new(
            "options.promised_loss",
            format!("less than the {} s between two snapshots", interval / 1000),
        )];
    }
    Vec::new()
}
