//! A first site file for a setup and a number of users: commented, valid, with the machines of the sizing table.

use std::fmt::Write;

use super::{
    model::Setup,
    rules::{disks_for, largest_quota},
    sizing::{self, Bill, Item},
};

/// A site file that passes every rule. Addresses are private or of the documentation range (RFC 5737): its owner changes
/// what is marked. `name` is the cluster's name, an RFC 1123 label.
#[must_use]
pub fn init(setup: Setup, users: u64, name: &str) -> String {
    let bill = sizing::size(users, setup);
    let mut text = String::new();
    head(&mut text, &bill, name);
    networks(&mut text, &bill);
    vips(&mut text, &bill);
    nodes(&mut text, &bill);
    sections(&mut text, &bill);
    text
}

/// Writing into a `String` cannot fail.
macro_rules! line {
    ($text:expr $(, $($argument:tt)*)?) => {{
        let _ = writeln!($text $(, $($argument)*)?);
    }};
}

fn has(bill: &Bill, role: &str) -> bool {
    bill.items.iter().any(|item| item.what == role)
}

/// The largest round quota up to 2 GB that the disks of the table hold.
fn quota(bill: &Bill) -> String {
    let fits = largest_quota(bill.users, disks_for(bill.users));
    match fits {
        2_000_000_000.. => "2 GB".to_owned(),
        100_000_000.. => format!("{} MB", fits / 100_000_000 * 100),
        _ => format!("{} kB", fits / 1_000),
    }
}

fn head(text: &mut String, bill: &Bill, name: &str) {
    line!(
        text,
        "# The whole cluster in one file. `rackwright check` finds mistakes, docs/site-file.md explains every key."
    );
    line!(
        text,
        "# Lines marked CHANGE hold examples: put in what is yours."
    );
    line!(text, "format = 1");
    line!(text, "name = \"{name}\"");
    line!(text, "domain = \"{name}.example.net\"          # CHANGE");
    line!(text, "setup = \"{}\"", bill.setup.word());
    line!(text, "users = {}", bill.users);
    if has(bill, "storage") {
        line!(
            text,
            "quota = \"{}\"                        # of a mailbox; what the disks below hold",
            quota(bill)
        );
    }
    line!(text);
    line!(text, "[access]");
    line!(text, "user = \"operator\"");
    line!(
        text,
        "ssh_keys = []                        # CHANGE: [\"ssh-ed25519 AAAA... you\"]; without one nobody logs in"
    );
    line!(text);
    line!(text, "[time]");
    line!(text, "servers = [\"0.pool.ntp.org\", \"1.pool.ntp.org\"]");
    line!(text);
    line!(text, "[dns]");
    line!(text, "servers = [\"192.0.2.53\"]             # CHANGE");
    line!(text);
    line!(text, "[ports]");
    line!(
        text,
        "ftp_passive = \"30000-30255\"          # or `ftp = false`"
    );
    line!(text);
}

fn networks(text: &mut String, bill: &Bill) {
    let storage_mtu = if has(bill, "switch") {
        "mtu = 9000\n"
    } else {
        ""
    };
    line!(
        text,
        "# Networks. A machine goes out by `public` if it is there, else by `mgmt`."
    );
    line!(
        text,
        "[[networks]]\nname = \"mgmt\"\nvlan = 10\nsubnet = \"10.77.10.0/24\"\ngateway = \"10.77.10.1\"\n"
    );
    line!(
        text,
        "[[networks]]\nname = \"public\"\nvlan = 20\nsubnet = \"192.0.2.0/24\"               # CHANGE\ngateway = \"192.0.2.1\"                 # CHANGE\n"
    );
    if has(bill, "database") || has(bill, "galera") {
        line!(
            text,
            "# Databases, load balancers and the mail servers that ask them."
        );
        line!(
            text,
            "[[networks]]\nname = \"cluster\"\nvlan = 30\nsubnet = \"10.77.30.0/24\"\n"
        );
    }
    if has(bill, "storage") {
        line!(
            text,
            "# Storage alone: NFS wants a network of its own, of 10 Gbit/s."
        );
        line!(
            text,
            "[[networks]]\nname = \"storage\"\nvlan = 40\nsubnet = \"10.77.40.0/24\"\n{storage_mtu}speed = 10000\n"
        );
    }
}

fn vips(text: &mut String, bill: &Bill) {
    if bill.setup == Setup::Standard {
        return;
    }
    line!(
        text,
        "# Addresses that move to another machine when one dies."
    );
    let mut all = vec![
        ("mail", "public", "192.0.2.10"),
        ("database", "cluster", "10.77.30.10"),
        ("storage", "storage", "10.77.40.10"),
    ];
    if has(bill, "control") {
        all.push(("control", "mgmt", "10.77.10.10"));
    }
    for (name, network, address) in all {
        let change = if name == "mail" {
            "            # CHANGE"
        } else {
            ""
        };
        line!(
            text,
            "[[vips]]\nname = \"{name}\"\nnetwork = \"{network}\"\naddress = \"{address}\"{change}\n"
        );
    }
}

/// Host names, first host number of its addresses, rack unit of the first, units of each, networks.
struct Kind {
    prefix: &'static str,
    number: u32,
    unit: u32,
    height: u32,
    networks: &'static [&'static str],
}

fn kind(role: &str, bill: &Bill) -> Kind {
    let kind = |prefix, number, unit, height, networks| Kind {
        prefix,
        number,
        unit,
        height,
        networks,
    };
    match role {
        "control" => kind("control", 11, 35, 1, &["mgmt", "cluster"]),
        "lb" => kind("lb", 21, 33, 1, &["mgmt", "public", "cluster"]),
        "galera" | "database" => kind("db", 31, 29, 1, &["mgmt", "cluster"]),
        "storage" => kind("st", 41, 1, 4, &["mgmt", "storage"]),
        "backup" => kind("backup", 46, 9, 4, &["mgmt", "storage"]),
        "standalone" => kind("mail", 51, 15, 1, &["mgmt", "public"]),
        _ if has(bill, "storage") => {
            kind("iw", 51, 15, 1, &["mgmt", "public", "cluster", "storage"])
        }
        _ => kind("iw", 51, 15, 1, &["mgmt", "public", "cluster"]),
    }
}

fn subnet(network: &str) -> &'static str {
    match network {
        "mgmt" => "10.77.10",
        "public" => "192.0.2",
        "cluster" => "10.77.30",
        _ => "10.77.40",
    }
}

fn nodes(text: &mut String, bill: &Bill) {
    for item in bill
        .items
        .iter()
        .filter(|item| sizing::reference(&item.what).is_some())
    {
        let optional = if item.optional { " (optional)" } else { "" };
        line!(
            text,
            "# {} x {}{optional}: {}.",
            item.count,
            item.what,
            item.why
        );
        // The three addresses of a /24 that are left for production are enough for 50 servers.
        for index in 0..item.count.min(45) {
            node(text, bill, item, index);
        }
    }
}

fn node(text: &mut String, bill: &Bill, item: &Item, index: u32) {
    let kind = kind(&item.what, bill);
    let number = kind.number + index;
    line!(text, "[[nodes]]");
    line!(text, "name = \"{}{}\"", kind.prefix, index + 1);
    line!(text, "role = \"{}\"", item.what);
    let is_virtual = item.what == "lb" && item.may_be_virtual;
    if is_virtual {
        line!(
            text,
            "host = \"vmhost{}\"                     # CHANGE: its hypervisor; never the same for both",
            index + 1
        );
    } else {
        // Beyond one rack's units of a kind the next rack begins.
        let per_rack = if kind.unit == 15 { 14 } else { 7 };
        let (rack, place) = (index / per_rack + 1, index % per_rack);
        line!(
            text,
            "chassis = \"rack{rack}:u{}\"",
            kind.unit + place * kind.height
        );
        line!(
            text,
            "# serial = \"ZM15AS000001\"            # of the board: then its permit is good nowhere else"
        );
    }
    let addresses: Vec<String> = kind
        .networks
        .iter()
        .map(|network| format!("{network} = \"{}.{number}\"", subnet(network)))
        .collect();
    line!(text, "addresses = {{ {} }}", addresses.join(", "));
    if !is_virtual {
        line!(
            text,
            "bmc = {{ address = \"10.77.10.{}\" }}   # and `mac = \"...\"` for its reservation",
            100 + number
        );
    }
    let mut hardware = Vec::new();
    if item.memory > 0 && item.what != "lb" {
        hardware.push(format!("memory = {}", item.memory));
        hardware.push(format!("cores = {}", item.cores));
    }
    if item.hdd > 0 {
        let disks = disks_for(bill.users);
        hardware.push(format!(
            "hdd = {disks}, hdd_sizes = [\"8 TB\"], controllers = 2"
        ));
    }
    if matches!(item.what.as_str(), "galera" | "database") {
        hardware.push("power_loss_protection = true".to_owned());
    }
    if is_virtual {
        hardware.push("virtual = true".to_owned());
    }
    if !hardware.is_empty() {
        line!(text, "hardware = {{ {} }}   # CHANGE", hardware.join(", "));
    }
    links(text, kind.networks);
    line!(text);
}

/// Which port carries which network is known only where the cables are: it is prepared, and takes effect without its `#`.
fn links(text: &mut String, networks: &[&str]) {
    line!(
        text,
        "# links = [                          # CHANGE: MAC addresses; without them the installer stops with its table of ports"
    );
    for network in networks {
        line!(
            text,
            "#   {{ networks = [\"{network}\"], ports = [{{ mac = \"\" }}] }},"
        );
    }
    line!(text, "# ]");
}

fn sections(text: &mut String, bill: &Bill) {
    if has(bill, "galera") {
        line!(
            text,
            "[galera]\nbootstrap = \"db1\"                    # makes the cluster, once\n"
        );
    }
    if bill.setup != Setup::Standard {
        line!(
            text,
            "# What arrived since the last snapshot is lost when the source dies; nobody can promise less than the interval."
        );
        line!(
            text,
            "[options]\nproxy = \"haproxy\"                    # proxysql and maxscale need a payload\nreplication = \"syncoid\"\nreplication_interval = \"1 min\"\npromised_loss = \"10 min\"\n"
        );
        let sinks = if has(bill, "backup") {
            "\"st2\", \"backup1\""
        } else {
            "\"st2\""
        };
        line!(text, "[storage]\nsource = \"st1\"\nsinks = [{sinks}]\n");
        line!(
            text,
            "# A person decides about a takeover; `automatic` needs a fence and a witness."
        );
        line!(
            text,
            "[failover]\ndatabase = \"manual\"\nstorage = \"manual\"\nfence = \"ipmi\""
        );
        if has(bill, "control") {
            line!(text, "witness = \"control1\"");
        }
        line!(text);
    }
    if has(bill, "switch") {
        line!(
            text,
            "# Two members of one virtual chassis: every bond ends on both."
        );
        for member in 0..2 {
            line!(
                text,
                "[[switches]]\nname = \"sw{}\"\nmodel = \"ex4550\"\nmember = {member}\nchassis = \"rack1:u{}\"\n",
                member + 1,
                37 + member
            );
        }
    }
    if has(bill, "router") {
        line!(
            text,
            "[router]\nmodel = \"rb3011\"\naddress = \"10.77.10.1\"\nchassis = \"rack1:u40\"\ndhcp = \"10.77.10.200-10.77.10.250\"\n"
        );
    }
    while text.ends_with("\n\n") {
        text.pop();
    }
}
