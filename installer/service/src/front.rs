//! The mail front end: refusals that keepalived's own parser does not have. It takes a file in which two balancers hold one
//! address, or in which a server cannot answer, without a word.

use std::collections::BTreeSet;
use std::net::IpAddr;

use roles::NodeFile;

use crate::settings::Front;

/// What is wrong with a balancer's settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 0 and more than 255 are no ids (RFC 9568, 5.2.3).
    #[error("`vips.{vip}`: {id} is no VRRP id: 1 to 255")]
    RouterId {
        /// Name of the address.
        vip: String,
        /// The id.
        id: i64,
    },
    /// 255 is the owner's (RFC 9568, 5.2.4).
    #[error("`vips.{vip}`: {priority} is no priority of a balancer: 1 to 254")]
    Priority {
        /// Name of the address.
        vip: String,
        /// The priority.
        priority: i64,
    },
    /// Two groups of one network would take one another's place.
    #[error("`vips.{vip}` and `vips.{other}` have the VRRP id {id} in `{network}`")]
    SameId {
        /// One.
        vip: String,
        /// The other.
        other: String,
        /// Their id.
        id: i64,
        /// Their network.
        network: String,
    },
    /// It is this machine's own.
    #[error("`vips.{vip}`: {address} is this machine's own address, so it could not move")]
    Own {
        /// Name of the address.
        vip: String,
        /// The address.
        address: String,
    },
    /// Nobody takes over.
    #[error(
        "`vips.{vip}` has no other candidate: it is no better than a fixed address\nhint: a second `lb`, or no virtual address"
    )]
    NoPeer {
        /// Name of the address.
        vip: String,
    },
    /// Not in the subnet of the interface.
    #[error("{what}: {address} is not in `{network}` ({subnet})")]
    Outside {
        /// What.
        what: String,
        /// The address.
        address: String,
        /// The network.
        network: String,
        /// Its prefix.
        subnet: String,
    },
    /// NAT without a way back.
    #[error(
        "`delivery = \"nat\"` needs a virtual address `gateway`: the servers' answers must come back through the balancer that holds the mail address"
    )]
    NoGateway,
    /// Direct routing and NAT at once.
    #[error(
        "`delivery = \"direct\"` and a virtual address `gateway`: answers go past the balancer or through it, not both"
    )]
    Both,
    /// Ports apart.
    #[error(
        "`together = false`: SMTP on one server and IMAP on another write to one mailbox at once\nhint: leave all ports one service"
    )]
    Apart,
    /// Not one of the words.
    #[error("`{key} = \"{word}\"`: one of {words}")]
    Word {
        /// Setting.
        key: &'static str,
        /// What it says.
        word: String,
        /// What it may say.
        words: &'static str,
    },
    /// Two or none.
    #[error("`mail_servers`: {0} of them are master, exactly one must be")]
    Masters(usize),
    /// One id twice.
    #[error("`mail_servers`: the id `{0}` occurs twice: their message files would have one name")]
    SameMailId(String),
}

/// Everything that is wrong; empty if nothing is, or if this machine is no front end.
#[must_use]
pub fn check(front: &Front, node: &NodeFile) -> Vec<Refusal> {
    let mut wrong = Vec::new();
    let mut ids: BTreeSet<(&str, i64)> = BTreeSet::new();
    let own: BTreeSet<&str> = node
        .networks
        .iter()
        .flat_map(|network| &network.addresses)
        .filter_map(|address| address.split('/').next())
        .collect();
    for vip in &front.vips {
        let name = vip.name.clone();
        if !(1..=255).contains(&vip.router_id) {
            wrong.push(Refusal::RouterId {
                vip: name.clone(),
                id: vip.router_id,
            });
        }
        if !(1..=254).contains(&vip.priority) {
            wrong.push(Refusal::Priority {
                vip: name.clone(),
                priority: vip.priority,
            });
        }
        if !ids.insert((&vip.network, vip.router_id)) {
            let other = front
                .vips
                .iter()
                .find(|other| other.network == vip.network && other.router_id == vip.router_id);
            let other = other.map_or_else(String::new, |other| other.name.clone());
            wrong.push(Refusal::SameId {
                vip: name.clone(),
                other,
                id: vip.router_id,
                network: vip.network.clone(),
            });
        }
        let address = vip.address.split('/').next().unwrap_or_default();
        if own.contains(address) {
            wrong.push(Refusal::Own {
                vip: name.clone(),
                address: address.to_owned(),
            });
        }
        if vip.peers.is_empty() && !vip.alone {
            wrong.push(Refusal::NoPeer { vip: name.clone() });
        }
        outside(
            node,
            &vip.network,
            &format!("`vips.{name}`"),
            address,
            &mut wrong,
        );
        for peer in &vip.peers {
            outside(
                node,
                &vip.network,
                &format!("a peer of `vips.{name}`"),
                peer,
                &mut wrong,
            );
        }
    }
    if front.mail_servers.is_empty() {
        return wrong;
    }
    let vip = |name: &str| front.vips.iter().find(|vip| vip.name == name);
    match (
        front.delivery.as_deref().unwrap_or("direct"),
        vip("gateway"),
    ) {
        ("direct", None) => {
            // Frames go to the server's own MAC address, with the virtual address in them: one segment.
            for server in front.mail_servers.iter().filter(|_| vip("mail").is_some()) {
                let network = vip("mail").map_or("", |vip| &vip.network);
                outside(
                    node,
                    network,
                    &format!("mail server `{}`", server.name),
                    &server.address,
                    &mut wrong,
                );
            }
        }
        ("direct", Some(_)) => wrong.push(Refusal::Both),
        ("nat", None) => wrong.push(Refusal::NoGateway),
        ("nat", Some(gateway)) => {
            for server in &front.mail_servers {
                outside(
                    node,
                    &gateway.network,
                    &format!("mail server `{}`", server.name),
                    &server.address,
                    &mut wrong,
                );
            }
        }
        (word, _) => wrong.push(Refusal::Word {
            key: "delivery",
            word: word.to_owned(),
            words: "`direct`, `nat`",
        }),
    }
    if front.together == Some(false) {
        wrong.push(Refusal::Apart);
    }
    let traffic = front.traffic.as_deref().unwrap_or("primary");
    if !matches!(traffic, "primary" | "secondaries" | "spread") {
        wrong.push(Refusal::Word {
            key: "traffic",
            word: traffic.to_owned(),
            words: "`primary`, `secondaries`, `spread`",
        });
    }
    let masters = front
        .mail_servers
        .iter()
        .filter(|server| server.master)
        .count();
    if masters != 1 {
        wrong.push(Refusal::Masters(masters));
    }
    let mut known = BTreeSet::new();
    for server in &front.mail_servers {
        if !known.insert(&server.id) {
            wrong.push(Refusal::SameMailId(server.id.clone()));
        }
    }
    wrong
}

fn outside(node: &NodeFile, network: &str, what: &str, address: &str, wrong: &mut Vec<Refusal>) {
    let cidrs = node
        .networks
        .iter()
        .filter(|it| it.name == network)
        .flat_map(|it| &it.addresses);
    let Ok(ip) = address.parse::<IpAddr>() else {
        return;
    };
    let mut first = None;
    for cidr in cidrs {
        first = first.or(Some(cidr));
        if contains(cidr, ip) {
            return;
        }
    }
    if let Some(subnet) = first {
        wrong.push(Refusal::Outside {
            what: what.to_owned(),
            address: address.to_owned(),
            network: network.to_owned(),
            subnet: subnet.clone(),
        });
    }
}

/// `ip` is in the network of `10.0.0.1/24`.
#[must_use]
pub fn contains(cidr: &str, ip: IpAddr) -> bool {
    let Some((base, length)) = cidr.split_once('/') else {
        return false;
    };
    let (Ok(base), Ok(length)) = (base.parse::<IpAddr>(), length.parse::<u32>()) else {
        return false;
    };
    match (base, ip) {
        (IpAddr::V4(base), IpAddr::V4(ip)) if length <= 32 => {
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
            u32::from(base) & mask == u32::from(ip) & mask
        }
        (IpAddr::V6(base), IpAddr::V6(ip)) if length <= 128 => {
            let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
            u128::from(base) & mask == u128::from(ip) & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETWORKS: &str = "format = 1\nnode = \"lb1\"\nrole = \"lb\"\n[[networks]]\nname = \"public\"\naddresses = [\"192.0.2.11/24\"]\n\
        [[networks]]\nname = \"cluster\"\naddresses = [\"10.0.3.11/24\"]\n[settings]\n";
    const MAIL: &str = "name = \"mail\", network = \"public\", address = \"192.0.2.10/24\", router_id = 7, priority = 150, peers = [\"192.0.2.12\"]";
    const GATEWAY: &str = "name = \"gateway\", network = \"cluster\", address = \"10.0.3.1/24\", router_id = 8, priority = 150, peers = [\"10.0.3.12\"]";

    fn said(settings: &str) -> String {
        let node: NodeFile = toml::from_str(&format!("{NETWORKS}{settings}"))
            .unwrap_or_else(|error| panic!("{error}"));
        let front: Front = roles::role::settings(&Default::default(), &node)
            .unwrap_or_else(|error| panic!("{error}"));
        check(&front, &node)
            .iter()
            .map(|it| format!("{it}\n"))
            .collect()
    }

    fn servers(network: &str) -> String {
        format!(
            "mail_servers = [{{ name = \"iw1\", address = \"{network}.21\", id = \"a1\", master = true }}, {{ name = \"iw2\", address = \"{network}.22\", id = \"a2\", master = false }}]\n"
        )
    }

    #[test]
    fn what_is_right_is_taken() {
        assert_eq!(said(""), "");
        assert_eq!(
            said(&format!("vips = [{{ {MAIL} }}]\n{}", servers("192.0.2"))),
            ""
        );
        let alone = MAIL.replace("[\"192.0.2.12\"]", "[], alone = true");
        assert_eq!(
            said(&format!("vips = [{{ {alone} }}]\n{}", servers("192.0.2"))),
            ""
        );
        assert_eq!(
            said(&format!(
                "delivery = \"nat\"\ntraffic = \"spread\"\nvips = [{{ {MAIL} }}, {{ {GATEWAY} }}]\n{}",
                servers("10.0.3")
            )),
            ""
        );
    }

    #[test]
    fn each_refusal_has_its_words() {
        let one = |text: &str| format!("vips = [{{ {} }}]\n{}", text, servers("192.0.2"));
        let table = [
            (
                one(&MAIL.replace("= 7", "= 0")),
                "`vips.mail`: 0 is no VRRP id: 1 to 255",
            ),
            (one(&MAIL.replace("= 7", "= 256")), "256 is no VRRP id"),
            (
                one(&MAIL.replace("150", "255")),
                "255 is no priority of a balancer",
            ),
            (
                one(&format!(
                    "{MAIL} }}, {{ {}",
                    MAIL.replace("mail", "database").replace(".10/", ".13/")
                )),
                "`vips.database` and `vips.mail` have the VRRP id 7 in `public`",
            ),
            (
                one(&MAIL.replace("192.0.2.10/", "192.0.2.11/")),
                "is this machine's own address",
            ),
            (
                one(&MAIL.replace("[\"192.0.2.12\"]", "[]")),
                "`vips.mail` has no other candidate",
            ),
            (
                one(&MAIL.replace("192.0.2.10/", "192.0.9.10/")),
                "`vips.mail`: 192.0.9.10 is not in `public` (192.0.2.11/24)",
            ),
            (
                one(&MAIL.replace("192.0.2.12", "10.9.9.9")),
                "a peer of `vips.mail`: 10.9.9.9 is not in",
            ),
            (
                format!("vips = [{{ {MAIL} }}]\n{}", servers("10.0.3")),
                "mail server `iw1`: 10.0.3.21 is not in `public`",
            ),
            (
                format!("delivery = \"nat\"\n{}", one(MAIL)),
                "needs a virtual address `gateway`",
            ),
            (
                format!(
                    "delivery = \"nat\"\nvips = [{{ {MAIL} }}, {{ {GATEWAY} }}]\n{}",
                    servers("192.0.2")
                ),
                "mail server `iw1`: 192.0.2.21 is not in `cluster`",
            ),
            (
                format!(
                    "vips = [{{ {MAIL} }}, {{ {GATEWAY} }}]\n{}",
                    servers("192.0.2")
                ),
                "past the balancer or through it, not both",
            ),
            (
                format!("delivery = \"tunnel\"\n{}", one(MAIL)),
                "`delivery = \"tunnel\"`: one of `direct`, `nat`",
            ),
            (
                format!("together = false\n{}", one(MAIL)),
                "write to one mailbox at once",
            ),
            (
                format!("traffic = \"all\"\n{}", one(MAIL)),
                "`traffic = \"all\"`: one of `primary`, `secondaries`, `spread`",
            ),
            (
                one(MAIL).replace("master = true", "master = false"),
                "0 of them are master",
            ),
            (
                one(MAIL).replace("master = false", "master = true"),
                "2 of them are master",
            ),
            (
                one(MAIL).replace("\"a2\"", "\"a1\""),
                "the id `a1` occurs twice",
            ),
        ];
        for (settings, wanted) in table {
            let said = said(&settings);
            assert!(
                said.contains(wanted)
                    && said
                        .lines()
                        .filter(|line| !line.starts_with("hint"))
                        .count()
                        <= 2,
                "{wanted}\n{said}"
            );
        }
    }
}
