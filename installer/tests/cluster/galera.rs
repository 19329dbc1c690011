//! Three members and a balancer: bootstrap, joins, a killed writer, outages, a new install, a forced split, refusals.

use std::time::Instant;

use crate::rig::{Node, compile, inside};
use camino::Utf8Path;
use roles::site::model::Setup;

const ALL: &str = "all steps are done";

/// Through the balancer, as the mail server does it.
fn write(balancer: &Node, members: &Node, text: &str) -> bool {
    let address = &balancer.address;
    let password = "$(cat /run/rackwright/secrets/database-app)";
    let line = format!(
        "MYSQL_PWD={password} mariadb --no-defaults --connect-timeout=2 -h {address} -u mail mail -BN -e \
         \"CREATE TABLE IF NOT EXISTS t (id INT AUTO_INCREMENT PRIMARY KEY, text VARCHAR(99)); INSERT INTO t (text) VALUES ('{text}'); SELECT @@hostname\""
    );
    let output = members.try_run(&line);
    output.status.success()
}

fn writer(balancer: &Node, client: &Node) -> String {
    let address = &balancer.address;
    let line = format!(
        "MYSQL_PWD=$(cat /run/rackwright/secrets/database-app) mariadb --no-defaults --connect-timeout=2 -h {address} -u mail mail -BN -e 'SELECT @@hostname'"
    );
    String::from_utf8_lossy(&client.try_run(&line).stdout)
        .trim()
        .to_owned()
}

fn uuid(node: &Node) -> String {
    node.sql("SHOW STATUS LIKE 'wsrep_cluster_state_uuid'")
}

fn is_synced(node: &Node, size: usize) -> bool {
    let line = "mariadb --no-defaults --protocol=socket --socket=/run/mysqld/mysqld.sock -uroot -BN -e \"SHOW STATUS WHERE Variable_name IN ('wsrep_cluster_size','wsrep_local_state','wsrep_cluster_status')\"";
    let text = String::from_utf8_lossy(&node.try_run(line).stdout).into_owned();
    text.contains(&format!("wsrep_cluster_size\t{size}\n"))
        && text.contains("wsrep_local_state\t4\n")
        && text.contains("wsrep_cluster_status\tPrimary\n")
}

#[test]
#[ignore = "needs the programs of Debian 13 and root: cargo prove --fast galera"]
fn a_cluster_lives() {
    if !inside("galera::a_cluster_lives") {
        return;
    }
    let began = Instant::now();
    let time = |what: &str, since: Instant| {
        println!(
            "{what}: {:.1} s (at {:.0} s)",
            since.elapsed().as_secs_f64(),
            began.elapsed().as_secs_f64()
        );
    };
    let compiled = compile(Setup::Ha, 25_000);
    let folder = tempfile::tempdir().unwrap();
    let folder = Utf8Path::from_path(folder.path()).unwrap();
    let members = compiled.of("galera");
    assert_eq!(members.len(), 3);
    let mut nodes: Vec<Node> = members
        .into_iter()
        .map(|file| Node::new(folder, &compiled, file))
        .collect();
    let balancer = compiled.of("lb").remove(0);
    let vip = balancer
        .settings
        .get("database_vip")
        .and_then(|vip| vip.as_str())
        .map(str::to_owned);
    let balancer = Node::new(folder, &compiled, balancer);
    if let Some(vip) = &vip {
        balancer.run(&format!("ip address add {vip}/24 dev cluster0"));
    }

    // The wrong order of power switches: the first one comes last.
    let start = Instant::now();
    nodes[1].join();
    nodes[2].join();
    balancer.join();
    nodes[1].wait_said("waits for", 20);
    std::thread::sleep(std::time::Duration::from_secs(3));
    for node in &nodes[1..] {
        assert!(!node.said().contains("to start"), "{}", node.said());
    }
    nodes[0].join();
    for node in &nodes {
        node.wait_said(ALL, 180);
    }
    time("three members, two by state transfer", start);
    balancer.wait_said(ALL, 60);
    let cluster = uuid(&nodes[0]);
    for node in &nodes {
        assert_eq!(uuid(node), cluster);
        assert_eq!(node.health("/"), "200 serves", "{}", node.name);
        assert_eq!(node.health("/writer"), "200 serves", "{}", node.name);
    }
    let journals: Vec<String> = nodes
        .iter()
        .map(|node| node.run("cat /state/join.jsonl"))
        .collect();
    assert_eq!(
        journals
            .iter()
            .filter(|text| text.contains("\"fact\":\"right\""))
            .count(),
        1
    );
    // No secret went into a journal or a log.
    let secret = nodes[0].run("cat /run/rackwright/secrets/database-app");
    assert!(
        !nodes[0]
            .run("cat /state/join.jsonl /var/log/*.log")
            .contains(&secret)
    );

    // The writer dies; its return moves nobody. Whichever the balancer saw first: on a busy host that is not always the first.
    assert!(write(&balancer, &nodes[2], "one"));
    let first = writer(&balancer, &nodes[2]);
    let at = nodes.iter().position(|node| node.name == first);
    let at = at.unwrap_or_else(|| panic!("`{first}` is no member"));
    let client = &nodes[(at + 1) % nodes.len()];
    let start = Instant::now();
    nodes[at].kill();
    nodes[at].wait_for("another writer", 40, || write(&balancer, client, "two"));
    time("writer killed, writes go on", start);
    let second = writer(&balancer, client);
    assert_ne!(second, first);
    let start = Instant::now();
    nodes[at].rejoin();
    nodes[at].wait_said(ALL, 90);
    time("killed member back", start);
    assert_eq!(writer(&balancer, client), second, "it failed back");

    // Power of the whole rack.
    for node in &nodes {
        node.kill();
    }
    let start = Instant::now();
    for node in &nodes {
        node.rejoin();
    }
    for node in &nodes {
        node.wait_said(ALL, 120);
        assert_eq!(uuid(node), cluster);
    }
    time("full outage, recovered by itself", start);
    // A replica may follow any of them: the same position everywhere.
    let positions: Vec<String> = nodes
        .iter()
        .map(|node| node.sql("SELECT @@gtid_binlog_pos"))
        .collect();
    println!("positions: {positions:?}");
    // Group communication and transfers are encrypted: nothing speaks plain on these ports.
    let options = nodes[0].sql("SHOW VARIABLES LIKE 'wsrep_provider_options'");
    assert!(
        options.contains("socket.ssl = YES") || options.contains("socket.ssl=yes"),
        "{options}"
    );
    assert!(write(&balancer, &nodes[2], "three"));

    // The node that made the cluster is installed anew: it joins.
    let start = Instant::now();
    nodes[0].restart(true);
    nodes[0].join();
    nodes[0].wait_said(ALL, 120);
    time("first member installed anew", start);
    assert_eq!(uuid(&nodes[0]), cluster);
    assert!(
        !nodes[0]
            .run("cat /state/join.jsonl")
            .contains("\"fact\":\"right\"")
    );
    assert_eq!(
        nodes[0].sql("SELECT COUNT(*) FROM mail.t WHERE text IN ('one','two','three')"),
        "3"
    );

    // A forced split: both sides call themselves Primary, only the plan tells.
    nodes[2].cable(false);
    nodes[2].wait_for("no majority", 30, || {
        nodes[2].health("/").starts_with("503 not in the Primary")
    });
    nodes[2].sql("SET GLOBAL wsrep_provider_pc_bootstrap=ON");
    nodes[2].wait_for("a silent split brain", 30, || is_synced(&nodes[2], 1));
    nodes[2].wait_for("the endpoint to see it", 20, || {
        nodes[2].health("/writer") == "503 component of 1 is no majority of 3 planned voters"
    });
    nodes[2].cable(true);
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert!(is_synced(&nodes[2], 1), "Galera healed it");
    assert_eq!(
        nodes[2].health("/"),
        "503 component of 1 is no majority of 3 planned voters"
    );
    assert_eq!(nodes[1].health("/writer"), "200 serves");
    // What the operator does: the smaller side begins anew.
    nodes[2].kill();
    nodes[2].run("rm -rf /var/lib/mysql/data");
    nodes[2].rejoin();
    nodes[2].wait_said(ALL, 120);
    assert!(is_synced(&nodes[2], 3));

    // All killed, one lost for good: nothing happens by itself, the operator ends it.
    for node in &nodes {
        node.kill();
    }
    nodes[2]
        .run("systemctl kill rackwright-health.service; systemctl kill rackwright-join.service");
    nodes[0].rejoin();
    nodes[1].rejoin();
    nodes[0].wait_said("galera recover", 60);
    let start = Instant::now();
    let mut log = String::new();
    let lost = format!("--lost {}", nodes[2].name);
    let mut confirmed = "";
    for round in 0.. {
        let node = &nodes[round % 2];
        let output = node.try_run(&format!("rackwright-installer galera recover {confirmed}"));
        let said = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        log.push_str(&format!("{}: {said}", node.name));
        if said.contains("--lost") {
            assert!(said.contains(&lost), "{log}");
            confirmed = &lost;
        }
        if output.status.success() {
            break;
        }
        assert!(round < 30, "{log}");
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
    nodes[0].wait_for("two members", 60, || {
        is_synced(&nodes[0], 2) && is_synced(&nodes[1], 2)
    });
    time("operator's recovery with two of three", start);
    print!("{log}");
    assert_eq!(uuid(&nodes[0]), cluster);
    assert_eq!(
        nodes[0].sql("SELECT COUNT(*) FROM mail.t WHERE text IN ('one','two','three')"),
        "3"
    );

    // Data of another cluster.
    nodes[2].run("sed -i 's/^uuid: .*/uuid: 11111111-2222-11f0-9e1f-4b2d3a1c0e55/' /var/lib/mysql/data/grastate.dat; rm -f /var/lib/mysql/data/gvwstate.dat");
    nodes[2].run("systemctl start rackwright-health.service");
    nodes[2].rejoin();
    nodes[2].wait_said(
        "REFUSED: data directory belongs to cluster `11111111-2222-11f0-9e1f-4b2d3a1c0e55`",
        30,
    );
    println!("all: {:.0} s", began.elapsed().as_secs_f64());
}
