//! Databases on whole machines: three Galera members and a balancer, then a primary and its replica, all by node files that
//! are compiled from one site file. The machines' first port leads to the host, the second one to a switch of this process.
//!
//! The same is done with the same programs in namespaces in three minutes (`prove --fast galera`); what only machines show is
//! that systemd, firewall, data disks and secrets of an installed system let it happen.

use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use roles::compile::{Compiled, Seed};
use roles::site::{init, model::Setup};

use super::machines::{Test, UEFI_USB};
use super::server::{Server, beside, time};
use crate::images::{Image, workspace};
use crate::machine::{Network as Plug, Nic, NicModel, add_file};
use crate::machines;
use crate::scenario::Site;
use crate::switch::{Port, Switch};

pub(super) fn tests() -> Vec<Test> {
    let test = |name, role, run| Test { name, role, run };
    vec![
        test("cluster::galera", "galera", galera),
        test("cluster::database", "database", pair),
    ]
}

const VLAN: u16 = 30;
/// What the join says, and the last warnings.
const LOOK: &str = "cat /run/rackwright/join.json; echo; systemctl is-active mariadb haproxy rackwright-health; \
                    sudo journalctl -q -n 12 --no-pager -o cat -u rackwright-join -u mariadb -u haproxy";
const JOINED: &str = "grep -q 'all steps are done' /run/rackwright/join.json";

/// What one site file gives for all machines.
struct Plan {
    all: Compiled,
    seed: Seed,
    names: Vec<(String, String)>,
}

impl Plan {
    fn new(setup: Setup, users: u64) -> anyhow::Result<Self> {
        let roles = roles::folder::read(&workspace().join("roles"))?;
        let key =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJzN1nJZtnBZ0qk0nQ2fFvXKwUDL0IuPSN1CZ0O4pYkM a";
        let text =
            init(setup, users, "mail").replace("ssh_keys = []", &format!("ssh_keys = [\"{key}\"]"));
        let (site, found) = roles::site::check("site.toml", &text, Some(&roles));
        ensure!(!found.has_errors(), "{}", found.render(false));
        let mut site = site.context("no site")?;
        // They would be four machines more. Without them certificates come sealed, and the members keep the right to bootstrap.
        site.nodes.retain(|node| node.role != "control");
        // Secrets of simulated machines.
        let seed = Seed::new([7; 32]);
        let all = roles::compile::compile(&site, &seed, Some(&roles), Some("test"));
        let names = site
            .nodes
            .iter()
            .map(|node| (node.name.clone(), node.role.clone()))
            .collect();
        Ok(Self { all, seed, names })
    }

    fn of(&self, role: &str) -> Vec<&str> {
        let with = self.names.iter().filter(|(_, its)| its == role);
        with.map(|(name, _)| name.as_str()).collect()
    }
}

/// Installs a machine of the plan; it is off afterwards.
fn install(
    plan: &Plan,
    name: &str,
    image: &Image,
    switch: &Switch,
    number: usize,
) -> anyhow::Result<Server> {
    let compiled = plan
        .all
        .node_file(name)
        .with_context(|| format!("no node file of `{name}`"))?;
    let role = compiled.role.clone();
    let networks = machines::networks(&role);
    let cluster = networks
        .iter()
        .position(|network| *network == "cluster")
        .context("no cluster network")?;
    let mac = |index: usize| format!("52:54:00:c2:{number:02x}:{index:02x}");
    let port = switch.address(name)?;
    let own = compiled
        .networks
        .iter()
        .find(|network| network.name == "cluster")
        .and_then(|network| network.addresses.first())
        .context("no address on the cluster network")?
        .clone();
    let mut site = Site::new(
        &role,
        image,
        UEFI_USB,
        |builder| {
            builder.keep_first_nic().nic(Nic {
                mac: mac(cluster),
                model: NicModel::Virtio,
                network: Plug::Switch { port },
            })
        },
        |file| {
            file.node = name.to_owned();
            file.hosts.clone_from(&compiled.hosts);
            // Its own entry repeats its networks, of which the host's side gives one another address.
            for host in file.hosts.iter_mut().filter(|host| host.name == name) {
                host.addresses.retain(|network, _| network == "cluster");
            }
            file.settings.clone_from(&compiled.settings);
            file.authority.clone_from(&compiled.authority);
            // The port to the host stays as it is; of the others only the cluster's is there.
            file.networks
                .retain(|network| network.name == "mgmt" || network.name == "cluster");
            for network in &mut file.networks {
                if network.name == "cluster" {
                    network.mac = Some(mac(cluster));
                    network.addresses = vec![own.clone()];
                }
            }
            small(&mut file.settings);
        },
    )?;
    let secrets = plan.all.secrets.get(name).context("no secrets")?;
    add_file(
        &site.medium,
        &format!("{name}.sealed"),
        &plan.seed.seal(name, secrets),
    )?;
    add_file(
        &site.medium,
        &format!("{name}.unlock"),
        &plan.seed.unlock_code(name).text(),
    )?;
    site.install(&mut |_| {})
        .with_context(|| format!("install of `{name}`"))?;
    Ok(Server::new(site, LOOK))
}

/// A question to the health endpoint.
fn health(path: &str) -> String {
    format!(
        "test \"$(curl -s -o /dev/null -w '%{{http_code}}' http://127.0.0.1:9200{path})\" = 200"
    )
}

/// A statement by the local administrator.
fn sql(server: &Server, statement: &str) -> anyhow::Result<String> {
    server.run(&format!("sudo mariadb -BN -e \"{statement}\""))
}

/// Sizes for machines of two gigabytes, and times for processors that are emulated.
fn small(settings: &mut std::collections::BTreeMap<String, toml::Value>) {
    for (key, value) in [
        ("buffer_pool", "128M"),
        ("gcache", "64M"),
        ("evs_keepalive", "PT1S"),
        ("evs_check", "PT1S"),
        ("evs_suspect", "PT15S"),
        ("evs_inactive", "PT30S"),
        ("evs_install", "PT30S"),
    ] {
        if settings.contains_key(key) {
            settings.insert(key.to_owned(), value.into());
        }
    }
}

fn switch(names: &[&str]) -> anyhow::Result<Switch> {
    let ports = names.iter().map(|name| Port::named(name).untagged(VLAN));
    Switch::start("sw1", ports.collect())
}

/// A row by way of `address`, as the account for mail; the password is the machine's own secret.
fn insert(address: &str, text: &str) -> String {
    format!(
        "sudo sh -c 'MYSQL_PWD=$(cat /run/rackwright/secrets/database-app) mariadb --no-defaults --skip-ssl-verify-server-cert --connect-timeout=5 \
         -h {address} -u mail mail -e \"CREATE TABLE IF NOT EXISTS t (text VARCHAR(99)); INSERT INTO t VALUES (\\\"{text}\\\")\"'"
    )
}

/// (a) Bootstrap, two joins, writes through the balancer, a killed writer, a full outage, a first member without memory.
fn galera(test: &Test, image: &Image) -> anyhow::Result<()> {
    let other = beside(image, test.role, "lb")?;
    let plan = Plan::new(Setup::Ha, 25_000)?;
    let members = plan.of("galera");
    let balancer = *plan.of("lb").first().context("no balancer")?;
    let mut names = members.clone();
    names.push(balancer);
    let switch = switch(&names)?;
    let mut servers = Vec::new();
    for (number, name) in members.iter().enumerate() {
        servers.push(install(&plan, name, image, &switch, number)?);
    }
    let mut balancer = install(&plan, balancer, &other, &switch, members.len())?;
    // The wrong order of power switches.
    balancer.start()?;
    for server in servers.iter_mut().rev() {
        server.start()?;
    }
    for server in &servers {
        server.wait("joined", JOINED)?;
        server.wait("fit", &health("/writer"))?;
    }
    balancer.wait("joined", JOINED)?;
    let uuid = "SHOW STATUS LIKE 'wsrep_cluster_state_uuid'";
    let [first, second, third] = servers.as_mut_slice() else {
        bail!("{} members", servers.len());
    };
    let cluster = sql(first, uuid)?;
    ensure!(
        sql(second, uuid)? == cluster && sql(third, uuid)? == cluster,
        "not one cluster"
    );
    let by = balancer.address("cluster")?;
    third.wait("writes through the balancer", &insert(&by, "one"))?;

    first.kill();
    third.wait("writes without the first writer", &insert(&by, "two"))?;
    first.start()?;
    first.wait("joined again", JOINED)?;

    for server in [&mut *first, &mut *second, &mut *third] {
        server.kill();
    }
    for server in [&mut *first, &mut *second, &mut *third] {
        server.start()?;
    }
    for server in [&*first, &*second, &*third] {
        server.wait("back from a full outage", &health("/"))?;
    }
    third.wait("writes after the outage", &insert(&by, "three"))?;

    // What a new install leaves: no data and no journal.
    first.run("sudo systemctl stop rackwright-join mariadb; sudo rm -rf /var/lib/mysql/data /state/join.jsonl; sudo sync")?;
    first.kill();
    first.start()?;
    first.wait("joined without memory", JOINED)?;
    ensure!(
        sql(first, uuid)? == cluster,
        "the first member made another cluster"
    );
    ensure!(
        !first.holds("sudo grep -q '\"right\"' /state/join.jsonl")?,
        "it took the right to make a cluster again"
    );
    let count = sql(first, "SELECT COUNT(DISTINCT text) FROM mail.t")?;
    ensure!(count == "3", "{count} of 3 rows are there");
    Ok(())
}

/// (e) The primary is lost, the replica is promoted by hand, the old primary comes back and follows.
fn pair(_test: &Test, image: &Image) -> anyhow::Result<()> {
    let plan = Plan::new(Setup::Failover, 5_000)?;
    let names = plan.of("database");
    let switch = switch(&names)?;
    let mut servers = Vec::new();
    for (number, name) in names.iter().enumerate() {
        let mut server = install(&plan, name, image, &switch, number)?;
        server.start()?;
        servers.push(server);
    }
    let [primary, replica] = servers.as_mut_slice() else {
        bail!("{} servers", servers.len());
    };
    for server in [&*primary, &*replica] {
        server.wait("joined", JOINED)?;
    }
    primary.run(&insert(&primary.address("cluster")?, "one"))?;
    replica.wait(
        "has the row",
        "sudo mariadb -BN -e 'SELECT text FROM mail.t' | grep -q one",
    )?;
    ensure!(
        !replica.holds(&insert(&replica.address("cluster")?, "never"))?,
        "the replica takes writes"
    );
    ensure!(
        !replica.holds("sudo rackwright-installer database promote")?,
        "it was promoted beside a primary that writes"
    );

    primary.kill();
    let start = Instant::now();
    replica.run("sudo rackwright-installer database promote --fenced")?;
    replica.run(&insert(&replica.address("cluster")?, "two"))?;
    time(replica.name(), "writes after a promotion", start);

    primary.start()?;
    primary.wait("follows", "sudo rackwright-installer database status")?;
    ensure!(
        !primary.holds(&insert(&primary.address("cluster")?, "never"))?,
        "the old primary takes writes"
    );
    primary.wait(
        "has what it missed",
        "sudo mariadb -BN -e 'SELECT text FROM mail.t' | grep -q two",
    )?;
    Ok(())
}
