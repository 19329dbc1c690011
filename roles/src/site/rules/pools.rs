//! Rules of disks: pools, their logs and caches, what they hold.

use std::collections::BTreeMap;

use super::{
    Finding,
    facts::{Facts, bytes},
};
use crate::{
    role::{DiskNeed, Layout, Purpose},
    selector::parse_size,
    site::{
        model::{SiteNode, StorageKind},
        sizing,
    },
};

fn pools<'a>(facts: &Facts<'a>) -> Vec<(usize, &'a SiteNode)> {
    let mut nodes = facts.of("storage");
    nodes.extend(facts.of("backup"));
    nodes
}

fn group(node: &SiteNode, purpose: Purpose) -> Option<(usize, &DiskNeed)> {
    node.disks
        .iter()
        .enumerate()
        .find(|(_, need)| need.purpose == purpose)
}

pub(super) fn logs(facts: &Facts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, node) in pools(facts) {
        let path = format!("nodes.{index}");
        let log = group(node, Purpose::Log);
        if let Some((number, log)) = log.filter(|(_, log)| log.count < 2) {
            findings.push(Finding::new(
                format!("{path}.disks.{number}.count"),
                format!("the intent log of `{}` is on {} disk", node.name, log.count),
            ));
        }
        // The role of a storage server has an intent log, if its disks are there.
        let unprotected = node
            .hardware
            .as_ref()
            .and_then(|hardware| hardware.power_loss_protection)
            == Some(false);
        if unprotected && (log.is_some() || node.role == "storage") {
            findings.push(Finding::new(
                format!("{path}.hardware.power_loss_protection"),
                format!(
                    "the intent log of `{}` forgets what it acknowledged",
                    node.name
                ),
            ));
        }
        let Some((_, cache)) = group(node, Purpose::Cache) else {
            continue;
        };
        for purpose in [Purpose::Log, Purpose::Special] {
            if let Some((number, other)) = group(node, purpose)
                && other
                    .select
                    .iter()
                    .any(|selector| cache.select.contains(selector))
            {
                findings.push(Finding::new(
                    format!("{path}.disks.{number}.select"),
                    format!("`{}` would take the disks of its read cache", node.name),
                ));
            }
        }
    }
    findings
}

/// Disks that hold mail, hot spares among them, and the word that lays them out.
struct Data {
    disks: u32,
    spares: Option<u32>,
    vdev: String,
}

fn data(node: &SiteNode) -> Option<Data> {
    let said = group(node, Purpose::Data).and_then(|(_, need)| match &need.layout {
        Some(Layout::Zfs { vdev, .. }) => Some((need.count, vdev.as_str())),
        _ => None,
    });
    let stated = node.hardware.as_ref().and_then(|hardware| hardware.hdd);
    let (disks, vdev) = match (said, stated) {
        (Some(said), _) => said,
        // The compiler lays out as many disks as there are by the role's use.
        (None, Some(disks)) => (
            disks,
            if node.role == "backup" {
                "capacity"
            } else {
                "mail"
            },
        ),
        (None, None) => (16, "mirror"),
    };
    let mut words = vdev.split_whitespace();
    let word = words.next()?.to_owned();
    let spares = match word.as_str() {
        "mail" | "capacity" => None,
        _ => Some(
            vdev.rsplit_once(' ')
                .and_then(|(_, number)| number.parse().ok())
                .unwrap_or(0),
        ),
    };
    let group_of_spares = group(node, Purpose::Spare).map_or(0, |(_, need)| need.count);
    Some(Data {
        disks,
        spares: spares.map(|spares: u32| spares.saturating_add(group_of_spares)),
        vdev: word,
    })
}

pub(super) fn halves(facts: &Facts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, node) in pools(facts) {
        let Some(data) = data(node) else { continue };
        let hardware = node.hardware.as_ref();
        let mirrored = matches!(data.vdev.as_str(), "mirror" | "mail");
        if mirrored && hardware.and_then(|hardware| hardware.controllers) == Some(1) {
            findings.push(Finding::new(
                format!("nodes.{index}.hardware.controllers"),
                format!(
                    "both halves of every mirror of `{}` hang on one host bus adapter",
                    node.name
                ),
            ));
        }
        let wanted = data.disks / 18;
        if let Some(spares) = data.spares.filter(|spares| *spares < wanted) {
            let at = group(node, Purpose::Data).map_or_else(
                || format!("nodes.{index}"),
                |(number, _)| format!("nodes.{index}.disks.{number}.layout.vdev"),
            );
            findings.push(
                Finding::new(
                    at,
                    format!(
                        "`{}` has {} disks and {spares} hot spares",
                        node.name, data.disks
                    ),
                )
                .label(format!("at least {wanted}")),
            );
        }
    }
    findings
}

/// Sizes of a machine's disks in bytes; the reference's if it says nothing.
fn disk_sizes(node: &SiteNode) -> Vec<u64> {
    let said: Vec<u64> = node
        .hardware
        .iter()
        .flat_map(|hardware| &hardware.hdd_sizes)
        .filter_map(|text| parse_size(text).ok())
        .collect();
    if said.is_empty() {
        vec![8_000_000_000_000]
    } else {
        said
    }
}

pub(super) fn equal(facts: &Facts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, node) in pools(facts) {
        let sizes = disk_sizes(node);
        let (Some(least), Some(most)) = (sizes.iter().min(), sizes.iter().max()) else {
            continue;
        };
        if u128::from(*most) * 100 > u128::from(*least) * 105 {
            findings.push(Finding::new(
                format!("nodes.{index}.hardware.hdd_sizes"),
                format!("the disks of `{}` differ by more than 5 %", node.name),
            ));
        }
    }
    findings
}

pub(super) fn system_disks(facts: &Facts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut named: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (index, node) in facts.site.nodes.iter().enumerate() {
        for (number, need) in node.disks.iter().enumerate() {
            let path = format!("nodes.{index}.disks.{number}");
            for (position, selector) in need.select.iter().enumerate() {
                for name in selector.serial.iter().chain(&selector.wwn) {
                    let mine = (index, number);
                    match named.get(name.as_str()) {
                        Some(other) if *other != mine => findings.push(Finding::new(
                            format!("{path}.select.{position}"),
                            format!("the disk `{name}` already belongs to another group"),
                        )),
                        _ => {
                            named.insert(name, mine);
                        }
                    }
                }
                let system = group(node, Purpose::Os).filter(|_| need.purpose != Purpose::Os);
                if system.is_some_and(|(_, system)| system.select.contains(selector)) {
                    findings.push(Finding::new(
                        format!("{path}.select.{position}"),
                        format!(
                            "the same condition picks the system disks of `{}`",
                            node.name
                        ),
                    ));
                }
            }
        }
    }
    findings
}

/// Bytes that a pool of the reference's layouts holds.
fn usable(node: &SiteNode) -> u128 {
    let Some(data) = data(node) else { return 0 };
    let size = u128::from(disk_sizes(node).into_iter().min().unwrap_or_default());
    let spares = data.spares.unwrap_or_else(|| default_spares(data.disks));
    let disks = u128::from(data.disks.saturating_sub(spares));
    let width = group(node, Purpose::Data).and_then(|(_, need)| match &need.layout {
        Some(Layout::Zfs { width, .. }) => Some(u128::from(*width)),
        _ => None,
    });
    let width = width.filter(|width| *width > 0).unwrap_or(11);
    let parity = match data.vdev.as_str() {
        "mirror" | "mail" => return disks / 2 * size,
        "capacity" => return u128::from(data_disks_of_capacity(data.disks)) * size,
        "raidz1" => 1,
        "raidz3" => 3,
        // raidz2, and dRAID with parity 2.
        _ => 2,
    };
    disks * size * width.saturating_sub(parity) / width.max(1)
}

/// As `plan::layout` chooses for mail: an odd disk is a spare, and of 20 and more two are.
fn default_spares(disks: u32) -> u32 {
    match disks {
        odd if odd % 2 == 1 => 1,
        20.. => 2,
        _ => 0,
    }
}

/// Disks that hold data, as `plan::layout` chooses for capacity: raidz2 of 5 to 12, from 10 disks on with a spare.
fn data_disks_of_capacity(disks: u32) -> u32 {
    match disks {
        0 | 1 => 0,
        2 => 1,
        3 | 4 => 2,
        _ => {
            let members = if disks >= 10 { disks - 1 } else { disks };
            (5..=12.min(disks))
                .map(|width| members / width * (width - 2))
                .max()
                .unwrap_or(0)
        }
    }
}

pub(super) fn capacity(facts: &Facts<'_>) -> Vec<Finding> {
    let site = facts.site;
    let Some(quota) = bytes(site.quota.as_ref()) else {
        return Vec::new();
    };
    let wanted = u128::from(quota)
        .saturating_mul(u128::from(site.users))
        .saturating_mul(12)
        / 10;
    let tb = |bytes: u128| {
        format!(
            "{}.{} TB",
            bytes / 1_000_000_000_000,
            bytes / 100_000_000_000 % 10
        )
    };
    let message = |has: u128, who: &str| {
        format!(
            "{} users with `{}` need {}, 80 % of {who} are {}",
            site.users,
            site.quota.as_deref().unwrap_or_default(),
            tb(wanted),
            tb(has)
        )
    };
    if site.options.storage != StorageKind::Zfs {
        let has = bytes(site.storage.capacity.as_ref()).map(|bytes| u128::from(bytes) * 8 / 10);
        return has
            .filter(|has| *has < wanted)
            .map(|has| Finding::new("storage.capacity", message(has, "the external storage")))
            .into_iter()
            .collect();
    }
    pools(facts)
        .into_iter()
        .filter(|(_, node)| {
            site.storage.source.as_ref() == Some(&node.name)
                || site.storage.sinks.contains(&node.name)
                || facts.count("storage") == 1
        })
        .filter_map(|(index, node)| {
            let has = usable(node) * 8 / 10;
            (has < wanted).then(|| {
                Finding::new(
                    format!("nodes.{index}"),
                    message(has, &format!("`{}`", node.name)),
                )
            })
        })
        .collect()
}

/// Bytes of one mailbox that fit on this many of the reference's disks, with the slack of the rule.
pub(crate) fn largest_quota(users: u64, disks: u32) -> u64 {
    let spares = default_spares(disks);
    let usable = u128::from(disks.saturating_sub(spares) / 2) * 8_000_000_000_000 * 8 / 10;
    u64::try_from(usable * 10 / 12 / u128::from(users.max(1))).unwrap_or(u64::MAX)
}

/// Disks of a reference storage server that the table wants for this many users.
pub(crate) fn disks_for(users: u64) -> u32 {
    if users > sizing::largest() {
        sizing::reference("storage").map_or(36, |reference| reference.hdd)
    } else {
        sizing::row(users).hdd
    }
}
