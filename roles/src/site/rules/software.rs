//! Rules of programs and rights: payloads, secrets, takeovers.

use std::collections::BTreeMap;

use super::{Finding, facts::Facts};
use crate::diagnostic::SECRET_WORDS;
use crate::site::model::{Fence, Mail, Payload, Proxy, Replication, Takeover};

/// Tokens and passwords are made from the seed and delivered sealed, so the file has no key for them; the open tables are
/// where one could still slip in.
pub(super) fn no_secrets(facts: &Facts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, node) in facts.site.nodes.iter().enumerate() {
        for (key, value) in &node.settings {
            look(
                &format!("nodes.{index}.settings.{key}"),
                key,
                value,
                0,
                &mut findings,
            );
        }
    }
    findings
}

fn look(path: &str, key: &str, value: &toml::Value, depth: u32, findings: &mut Vec<Finding>) {
    let lower = key.to_ascii_lowercase();
    if SECRET_WORDS.iter().any(|word| lower.contains(word)) {
        findings.push(Finding::new(
            path,
            format!("`{key}` looks like a secret, and node files are served in clear"),
        ));
    } else if let toml::Value::Table(table) = value
        && depth < 16
    {
        for (key, value) in table {
            look(&format!("{path}.{key}"), key, value, depth + 1, findings);
        }
    }
}

pub(super) fn fenced(facts: &Facts<'_>) -> Vec<Finding> {
    let failover = &facts.site.failover;
    let mut findings = Vec::new();
    for (key, takeover) in [
        ("database", failover.database),
        ("storage", failover.storage),
    ] {
        if takeover == Takeover::Manual {
            continue;
        }
        if failover.fence != Fence::Ipmi {
            findings.push(Finding::new(
                format!("failover.{key}"),
                format!("the {key} is taken over without a fence"),
            ));
        }
        match failover.witness.as_ref().and_then(|name| facts.node(name)) {
            None => findings.push(Finding::new(
                format!("failover.{key}"),
                format!("the {key} is taken over without a witness"),
            )),
            Some((_, node)) if node.role == key || (key == "storage" && node.role == "backup") => {
                findings.push(Finding::new(
                    "failover.witness",
                    format!(
                        "`{}` takes part in the takeover of the {key} itself",
                        node.name
                    ),
                ));
            }
            Some(_) => {}
        }
        if failover.fence == Fence::Ipmi {
            for (_, node) in facts
                .of(key)
                .into_iter()
                .filter(|(_, node)| node.bmc.is_none())
            {
                findings.push(Finding::new(
                    format!("failover.{key}"),
                    format!(
                        "`{}` has no board management, so it cannot be fenced",
                        node.name
                    ),
                ));
            }
        }
    }
    findings
}

fn wanted(facts: &Facts<'_>) -> Vec<(&'static str, &'static str)> {
    let options = &facts.site.options;
    let mut wanted = Vec::new();
    match options.proxy {
        Proxy::Haproxy => {}
        Proxy::Proxysql => wanted.push(("proxysql", "options.proxy")),
        Proxy::Maxscale => wanted.push(("maxscale", "options.proxy")),
    }
    if options.replication == Replication::Zrepl {
        wanted.push(("zrepl", "options.replication"));
    }
    if options.mail == Mail::Icewarp {
        wanted.push(("icewarp", "options.mail"));
    }
    wanted
}

pub(super) fn payloads(facts: &Facts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut by_name: BTreeMap<&str, &Payload> = BTreeMap::new();
    for (index, payload) in facts.site.payloads.iter().enumerate() {
        if by_name.insert(&payload.name, payload).is_some() {
            findings.push(Finding::new(
                format!("payloads.{index}.name"),
                format!("a second payload `{}`", payload.name),
            ));
        }
        digest(
            &payload.sha256,
            "sha256",
            &format!("the payload `{}`", payload.name),
            index,
            &mut findings,
        );
        if let Some(root) = &payload.container_root {
            digest(
                &payload.container_sha256,
                "container_sha256",
                &format!("the root `{root}`"),
                index,
                &mut findings,
            );
        }
    }
    for (name, path) in wanted(facts) {
        if !by_name.contains_key(name) {
            findings.push(Finding::new(
                path,
                format!("`{}` is not in Debian, and no payload brings it", name),
            ));
        }
    }
    findings
}

fn digest(said: &Option<String>, key: &str, what: &str, index: usize, findings: &mut Vec<Finding>) {
    match said {
        None => findings.push(Finding::new(
            format!("payloads.{index}"),
            format!("{what} has no `{key}`"),
        )),
        Some(digest) if digest.len() != 64 || !digest.bytes().all(|b| b.is_ascii_hexdigit()) => {
            findings.push(
                Finding::new(
                    format!("payloads.{index}.{key}"),
                    "this is not a SHA-256 digest",
                )
                .label("expected 64 hexadecimal digits"),
            );
        }
        Some(_) => {}
    }
}

/// What the images are made of; see `common.toml`.
const PLATFORM: &str = "debian13";

pub(super) fn platform(facts: &Facts<'_>) -> Vec<Finding> {
    facts
        .site
        .payloads
        .iter()
        .enumerate()
        .filter(|(_, payload)| payload.container_root.is_none())
        .filter_map(|(index, payload)| {
            let platform = payload
                .platform
                .as_deref()
                .filter(|platform| *platform != PLATFORM)?;
            Some(Finding::new(
                format!("payloads.{index}.platform"),
                format!(
                    "`{}` was made for `{platform}`, the images are `{PLATFORM}`",
                    payload.name
                ),
            ))
        })
        .collect()
}
