//! The authority of a cluster, as far as a compile knows it: its pin for every node file, a join token for every machine, and
//! in a cluster without control servers the identities themselves.

use identity::{Authority, Key, Machine, TokenKey, Validity};

use super::secrets::{Secret, Seed};
use crate::site::{Site, model::SiteNode};

/// What all machines have of it.
pub(super) struct Made {
    /// For the node files.
    pub(super) said: Option<crate::node::Authority>,
    tokens: TokenKey,
    /// Only where nobody else can issue.
    issuer: Option<Authority>,
}

/// The authority of a site.
pub(super) fn of(site: &Site, seed: &Seed) -> Made {
    let secret = seed.authority();
    let servers: Vec<String> = site
        .nodes_of("control")
        .into_iter()
        .filter_map(|node| node.addresses.get("mgmt").or(node.addresses.get("cluster")))
        .cloned()
        .collect();
    // Fails for no secret that a seed makes; a node file without a pin is then one of a cluster without an authority.
    let issuer = Authority::new(secret.expose()).ok();
    let said = issuer.as_ref().map(|authority| crate::node::Authority {
        pin: authority.pin(),
        servers: servers.clone(),
    });
    Made {
        said,
        tokens: TokenKey::new(secret.expose()),
        issuer: issuer.filter(|_| servers.is_empty()),
    }
}

/// Label of the token of a machine without a permit.
const FIRST: &str = "first";

impl Made {
    /// A machine's token, or its identity. The token has the permit's id as its label: each right to install is one right to
    /// enrol.
    pub(super) fn secrets(
        &self,
        site: &Site,
        seed: &Seed,
        node: &SiteNode,
        permit: Option<&str>,
    ) -> Vec<(String, Secret)> {
        if let Some(issuer) = &self.issuer {
            return identity(issuer, site, seed, node).unwrap_or_default();
        }
        if node.role == "control" {
            // It makes its own certificate: it is the authority. What it may fence, it needs the passwords of.
            return site
                .nodes
                .iter()
                .filter(|other| other.bmc.is_some() && other.name != node.name)
                .map(|other| {
                    (
                        format!("bmc-{}", other.name),
                        seed.bmc_password(&other.name),
                    )
                })
                .collect();
        }
        let token = self
            .tokens
            .make(&node.name, &node.role, permit.unwrap_or(FIRST), 0);
        vec![("join-token".to_owned(), Secret::new(&token.text()))]
    }
}

fn identity(
    issuer: &Authority,
    site: &Site,
    seed: &Seed,
    node: &SiteNode,
) -> Option<Vec<(String, Secret)>> {
    let key = Key::derive(seed.machine_key(&node.name).expose().as_bytes(), "node").ok()?;
    // Nobody renews it, so it is valid as long as the authority; a new seed is what ends it.
    let certificate = issuer
        .issue(&machine(site, node), &key, Validity::whole())
        .ok()?;
    Some(vec![
        (
            "identity-authority".to_owned(),
            Secret::new(&issuer.certificate()),
        ),
        ("identity-certificate".to_owned(), Secret::new(&certificate)),
        ("identity-key".to_owned(), Secret::new(&key.pem().ok()?)),
    ])
}

/// A machine as its certificate says it.
fn machine(site: &Site, node: &SiteNode) -> Machine {
    Machine {
        name: node.name.clone(),
        role: node.role.clone(),
        domain: Some(site.domain.clone()).filter(|domain| !domain.is_empty()),
        addresses: node
            .addresses
            .values()
            .filter_map(|address| address.parse().ok())
            .collect(),
    }
}
