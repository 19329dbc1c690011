//! Cables for every machine of a site, as the reference rack has them: one port for `mgmt`, a bond over both switches for
//! everything else.

use roles::site::{
    Site,
    model::{Link, LinkPort},
};

/// Gives machine number `n` the MAC addresses `0c:c4:7a:<port>:<n>` and the switch ports `xe-0/0/n` and `xe-1/0/n`.
pub fn wire(site: &mut Site) {
    let switches: Vec<String> = site
        .switches
        .iter()
        .map(|switch| switch.name.clone())
        .collect();
    for (number, node) in (0..).zip(&mut site.nodes) {
        let number: u32 = number;
        let mac = |port: u32| {
            Some(format!(
                "0c:c4:7a:{port:02x}:{:02x}:{:02x}",
                number / 256,
                number % 256
            ))
        };
        let others: Vec<String> = node
            .addresses
            .keys()
            .filter(|name| *name != "mgmt")
            .cloned()
            .collect();
        node.links = vec![Link {
            bond: None,
            mode: None,
            networks: vec!["mgmt".to_owned()],
            mtu: None,
            ports: vec![LinkPort {
                mac: mac(0),
                ..LinkPort::default()
            }],
        }];
        let leg = |index: u32| LinkPort {
            mac: mac(index + 1),
            driver: Some("mlx4_core".to_owned()),
            dev_port: Some(index),
            switch: switches.get(index as usize).cloned(),
            port: Some(format!("xe-{index}/0/{number}")),
            ..LinkPort::default()
        };
        if !others.is_empty() {
            node.links.push(Link {
                bond: Some("bond0".to_owned()),
                mode: None,
                networks: others,
                mtu: None,
                ports: vec![leg(0), leg(1)],
            });
        }
    }
}
