//! A pair: the primary dies, the replica is promoted by hand, the old primary comes back and never takes writes.

use std::time::Instant;

use crate::rig::{Node, compile, inside};
use camino::Utf8Path;
use roles::site::model::Setup;

const ALL: &str = "all steps are done";

fn insert(node: &Node, text: &str) -> bool {
    node.try_run(&format!(
        "MYSQL_PWD=$(cat /run/rackwright/secrets/database-app) mariadb --no-defaults --connect-timeout=2 -h {} -u mail mail -e \
         \"CREATE TABLE IF NOT EXISTS t (text VARCHAR(99)); INSERT INTO t VALUES ('{text}')\"",
        node.address
    ))
    .status
    .success()
}

fn rows(node: &Node) -> String {
    node.sql("SELECT GROUP_CONCAT(text ORDER BY text) FROM mail.t")
}

#[test]
#[ignore = "needs the programs of Debian 13 and root: cargo prove --fast galera"]
fn a_pair_changes_places() {
    if !inside("pair::a_pair_changes_places") {
        return;
    }
    let began = Instant::now();
    let compiled = compile(Setup::Failover, 5_000);
    let folder = tempfile::tempdir().unwrap();
    let folder = Utf8Path::from_path(folder.path()).unwrap();
    let mut nodes: Vec<Node> = compiled
        .of("database")
        .into_iter()
        .map(|file| Node::new(folder, &compiled, file))
        .collect();
    assert_eq!(nodes.len(), 2);
    nodes[1].join();
    nodes[1].wait_said("waits for", 30);
    nodes[0].join();
    for node in &nodes {
        node.wait_said(ALL, 120);
    }
    println!("pair: {:.1} s", began.elapsed().as_secs_f64());
    assert_eq!(nodes[0].health("/writer"), "200 serves");
    assert_eq!(nodes[1].health("/writer"), "503 read only");
    assert!(insert(&nodes[0], "one"));
    assert!(!insert(&nodes[1], "never"));
    nodes[1].wait_for("the row", 20, || {
        nodes[1].try_run("true").status.success() && rows(&nodes[1]) == "one"
    });
    // By the cluster's authority: the name in the certificate is looked at too.
    let status = nodes[1].run(
        "mariadb --no-defaults --socket=/run/mysqld/mysqld.sock -uroot -e 'SHOW SLAVE STATUS\\G'",
    );
    for line in [
        "Master_SSL_Allowed: Yes",
        "Master_SSL_CA_File: /run/rackwright/identity/mysql/ca.pem",
        "Master_SSL_Verify_Server_Cert: Yes",
        "Slave_IO_Running: Yes",
    ] {
        assert!(status.contains(line), "{line}: {status}");
    }
    let refused = nodes[1].try_run("rackwright-installer database promote");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("takes writes at this moment"), "{said}");

    // The primary is lost. Nothing is automatic.
    nodes[0].cable(false);
    let refused = nodes[1].try_run("rackwright-installer database promote");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        said.contains("does not answer, and may still take writes"),
        "{said}"
    );
    let start = Instant::now();
    nodes[1].run("rackwright-installer database promote --fenced");
    println!("promoted: {:.1} s", start.elapsed().as_secs_f64());
    assert!(insert(&nodes[1], "two"));
    nodes[1].wait_for("the endpoint to say it", 10, || {
        nodes[1].health("/writer") == "200 serves"
    });

    // It comes back with a cable and its old memory of being the primary: read-only, and it follows.
    nodes[0].restart(false);
    nodes[0].join();
    nodes[0].wait_said(ALL, 60);
    assert!(!insert(&nodes[0], "never"));
    nodes[0].wait_for("the new row", 20, || rows(&nodes[0]) == "one,two");

    // A planned change back.
    nodes[1].run("rackwright-installer database demote");
    assert!(!insert(&nodes[1], "never"));
    nodes[0].wait_for("a promotion", 20, || {
        nodes[0]
            .try_run("rackwright-installer database promote")
            .status
            .success()
    });
    assert!(insert(&nodes[0], "three"));
    nodes[1].run("rackwright-installer database follow");
    nodes[1].wait_for("the third row", 40, || rows(&nodes[1]) == "one,three,two");

    // The primary restarts while the other one is off: it waits for a word.
    nodes[1].cable(false);
    nodes[0].restart(false);
    nodes[0].join();
    nodes[0].wait_said("because it may have been promoted", 60);
    assert!(!insert(&nodes[0], "never"));
    nodes[0].run("rackwright-installer database confirm");
    nodes[0].wait_for("writes", 30, || insert(&nodes[0], "four"));
    nodes[1].cable(true);

    // Writes that only the old primary has: it refuses to follow, and is seeded anew.
    nodes[1].wait_for("the fourth row", 60, || {
        rows(&nodes[1]) == "four,one,three,two"
    });
    nodes[1].cable(false);
    assert!(insert(&nodes[0], "lost"));
    nodes[0].cable(false);
    nodes[1].cable(true);
    nodes[1].run("rackwright-installer database promote --fenced");
    assert!(insert(&nodes[1], "five"));
    nodes[0].restart(false);
    nodes[0].join();
    nodes[0].wait_said("(database-must-reseed)", 60);
    assert!(!insert(&nodes[0], "never"));
    let name = nodes[0].name.clone();
    nodes[0].run(&format!("rackwright-installer database reseed {name}"));
    nodes[0].wait_for("the seeded rows", 60, || {
        rows(&nodes[0]) == "five,four,one,three,two"
    });
    nodes[0].run("test -d /var/lib/mysql/data.lost-1");
    assert!(insert(&nodes[1], "six"));
    nodes[0].wait_for("to follow after the seed", 60, || {
        rows(&nodes[0]) == "five,four,one,six,three,two"
    });
    println!("all: {:.0} s", began.elapsed().as_secs_f64());
}
