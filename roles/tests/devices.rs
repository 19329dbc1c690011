//! Configurations of switches and router, and drawings: golden files, and checkers that do find what is wrong.

#![expect(clippy::unwrap_used, reason = "a panic in a test is the report")]

mod wired;

use roles::{
    draw,
    network_config::{self, junos_check, routeros_check},
    site::{
        self, Site,
        model::{Setup, WireguardPeer},
    },
};

/// The large layout's first site, with what its owner adds.
fn cluster() -> Site {
    let (site, found) = site::check(
        "site.toml",
        &site::init(Setup::Cluster, 60_000, "mail"),
        None,
    );
    assert!(!found.has_errors(), "{}", found.render(false));
    let mut site = site.unwrap();
    for (number, switch) in (1..).zip(&mut site.switches) {
        switch.serial = Some(format!("LX02130000{number}"));
    }
    wired::wire(&mut site);
    let router = site.router.as_mut().unwrap();
    router.wireguard = Some("10.77.9.1/24".to_owned());
    router.dhcp = Some("10.77.10.200-10.77.10.250".to_owned());
    router.peers = vec![WireguardPeer {
        name: "night \"shift\" $1".to_owned(),
        public_key: "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=".to_owned(),
        address: "10.77.9.2/32".to_owned(),
    }];
    site
}

#[test]
fn golden_configurations() {
    let files = network_config::files(&cluster()).unwrap();
    assert_eq!(files.texts.len(), 2, "{:?}", files.texts.keys());
    for (name, text) in &files.texts {
        insta::assert_snapshot!(name.replace('.', "_"), text);
    }
    insta::assert_snapshot!("missing", files.missing.join("\n"));
}

#[test]
fn a_router_before_version_7_has_no_script() {
    let mut site = cluster();
    site.router.as_mut().unwrap().version = Some(6);
    let error = network_config::files(&site).unwrap_err().to_string();
    insta::assert_snapshot!(error, @r"
    RouterOS 6 has no WireGuard and other commands
    hint: bring the router to RouterOS 7 and say `version = 7`
    ");
}

/// The golden switch configuration with one line changed: the checker says what is wrong with it.
#[test]
fn the_switch_checker_finds_mistakes() {
    const GOOD: &str = "set virtual-chassis member 0 serial-number A\nset virtual-chassis member 1 serial-number B\n\
        set chassis aggregated-devices ethernet device-count 8\nset vlans storage vlan-id 40\n\
        set interfaces xe-0/0/0 ether-options 802.3ad ae0\nset interfaces xe-1/0/0 ether-options 802.3ad ae0\n\
        set interfaces ae0 mtu 9216\nset interfaces ae0 unit 0 family ethernet-switching port-mode trunk\n\
        set interfaces ae0 unit 0 family ethernet-switching vlan members storage\n";
    assert_eq!(junos_check::check(GOOD), Vec::<String>::new());
    for (from, to, complaint) in [
        (
            "port-mode trunk",
            "interface-mode trunk",
            "is not in the grammar",
        ),
        (
            "members storage",
            "members [ storage cluster ]",
            "line 9: there is no VLAN `cluster`",
        ),
        ("members storage", "members [ ]", "is not in the grammar"),
        (
            "xe-1/0/0 ether",
            "xe-0/0/1 ether",
            "all legs of `ae0` end on one member",
        ),
        (
            "xe-1/0/0 ether",
            "xe-2/0/1 ether",
            "`xe-2/0/1` is on no member of the virtual chassis",
        ),
        (
            "xe-1/0/0 ether",
            "xe-0/0/0 ether",
            "`xe-0/0/0` is a leg twice",
        ),
        ("ae0 mtu 9216", "ae0 mtu 9600", "takes an MTU of 9600"),
        (
            "ae0 mtu 9216",
            "xe-0/0/0 mtu 9216",
            "its MTU is that of its bundle",
        ),
        (
            "ae0 unit 0 family ethernet-switching port",
            "xe-0/0/0 unit 0 family ethernet-switching port",
            "its VLANs are those of its bundle",
        ),
        (
            "device-count 8",
            "device-count 0",
            "not among the 0 bundles",
        ),
        ("vlan-id 40", "vlan-id 4095", "`4095` is no VLAN id"),
        (
            "serial-number B",
            "serial-number A",
            "a second member with the serial number `A`",
        ),
        (
            "set vlans storage",
            "delete vlans storage",
            "is no set-command",
        ),
    ] {
        let text = GOOD.replacen(from, to, 1);
        assert_ne!(text, GOOD, "{from}");
        let wrong = junos_check::check(&text).join("\n");
        assert!(wrong.contains(complaint), "{to}: {wrong}");
    }
}

#[test]
fn the_router_checker_finds_mistakes() {
    const GOOD: &str = "/interface bridge add name=br vlan-filtering=no\n/interface bridge port add bridge=br interface=ether2 pvid=10\n\
        /interface bridge vlan add bridge=br tagged=br vlan-ids=10\n/ip dhcp-server network add address=10.77.10.0/24 gateway=10.77.10.1\n\
        /ip dhcp-server lease add address=10.77.10.5 mac-address=0C:C4:7A:00:00:01 server=mgmt\n\
        /ip dhcp-server lease add address=10.77.10.6 mac-address=0C:C4:7A:00:00:02 server=mgmt\n\
        /interface bridge set br vlan-filtering=yes\n";
    assert_eq!(routeros_check::check(GOOD), Vec::<String>::new());
    for (from, to, complaint) in [
        (
            "set br vlan-filtering=yes\n",
            "set br vlan-filtering=yes\n/ip pool add name=a ranges=b\n",
            "must be the last command",
        ),
        (
            "set br vlan-filtering=yes",
            "set br vlan-filtering=no",
            "nothing switches `vlan-filtering` on",
        ),
        (
            "00:00:02",
            "00:00:01",
            "`0C:C4:7A:00:00:01` stands in line 5 too",
        ),
        (
            "10.77.10.6",
            "10.77.10.5",
            "`10.77.10.5` stands in line 5 too",
        ),
        (
            "10.77.10.6",
            "10.77.11.6",
            "lies in no network of the DHCP server",
        ),
        ("pvid=10", "pvid=20", "the bridge has no VLAN 20"),
        (
            "bridge=br interface",
            "bridge=other interface",
            "there is no interface `other`",
        ),
        (
            "gateway=10.77.10.1",
            "gate=10.77.10.1",
            "has no property `gate` here",
        ),
        (
            "/interface bridge vlan add",
            "/interface bridge vlans add",
            "is not in the grammar",
        ),
        (
            "mac-address=0C:C4:7A:00:00:02",
            "mac-address=02",
            "`02` is no MAC address",
        ),
        (" gateway=10.77.10.1", "", "needs `gateway`"),
        ("server=mgmt\n", "server=\"mgmt\n", "a text does not end"),
    ] {
        let text = GOOD.replacen(from, to, 1);
        assert_ne!(text, GOOD, "{from}");
        let wrong = routeros_check::check(&text).join("\n");
        assert!(wrong.contains(complaint), "{to}: {wrong}");
    }
}

#[test]
fn every_setup_is_drawn() {
    for setup in Setup::ALL {
        let (site, _) = site::check("site.toml", &site::init(setup, 5000, "mail"), None);
        let mut site = site.unwrap();
        wired::wire(&mut site);
        let files = draw::files(&site, None);
        if setup == Setup::Cluster
            && let Some(folder) = std::env::var_os("RACKWRIGHT_DRAWINGS")
        {
            for (name, text) in &files {
                std::fs::write(std::path::Path::new(&folder).join(name), text).unwrap();
            }
        }
        let page = &files["index.html"];
        for node in &site.nodes {
            assert!(
                page.contains(&format!("<td>{}</td>", node.name)),
                "{} is missing",
                node.name
            );
            for address in node.addresses.values() {
                assert!(
                    files["networks.svg"].contains(&format!(">{address}</text>")),
                    "{address} is missing"
                );
            }
        }
        for (name, text) in files.iter().filter(|(name, _)| name.ends_with("svg")) {
            assert!(page.contains(text.as_str()), "{name} is not on the page");
            let texts = text.matches("<text").count();
            assert!(
                texts > 0 && texts == text.matches("</text>").count(),
                "{name}"
            );
        }
    }
}

#[test]
fn the_list_of_cables() {
    let mut site = cluster();
    let files = draw::files(&site, None);
    insta::assert_snapshot!("cables", files["cables.csv"].replace('\r', ""));
    // What a spreadsheet or a browser would take for more than text.
    let link = site
        .nodes
        .iter_mut()
        .find_map(|node| node.links.last_mut())
        .unwrap();
    link.ports[0].port = Some("=1,\"<b>\"".to_owned());
    let files = draw::files(&site, None);
    assert!(
        files["cables.csv"].contains(",\"'=1,\"\"<b>\"\"\","),
        "{}",
        files["cables.csv"]
    );
    assert!(!files["index.html"].contains("<b>"));
}

#[test]
fn text_is_cut_to_its_box() {
    use roles::draw::svg::{fit, text_width};
    assert_eq!(fit("st1", 100.0, 12.0), "st1");
    let long = "a-machine-with-a-very-long-name-indeed";
    let cut = fit(long, 80.0, 12.0);
    assert!(
        cut.ends_with('\u{2026}') && text_width(&cut, 12.0) <= 80.0 && cut.chars().count() > 5,
        "{cut}"
    );
}
