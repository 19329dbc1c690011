//! When a rack is well: each machine says so of itself, and each role does what it is there for.

use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::{Rack, Unit};

/// From power to service; a joining database gets its state from another one, emulated.
const PATIENCE: Duration = Duration::from_secs(2400);
/// Accounts of the mail that the books are kept of.
pub const USERS: [&str; 2] = ["anna@example.org", "bert@example.org"];
/// Their password.
pub const PASSWORD: &str = "correct-horse-battery";

/// What a machine must say, what that means for people, and what explains a failure.
fn proof(role: &str) -> (&'static str, &'static str, &'static str) {
    const JOINED: &str = "grep -q 'all steps are done' /run/rackwright/join.json";
    match role {
        "galera" => (
            "in the cluster",
            // The endpoint counts the planned votes.
            "grep -q 'all steps are done' /run/rackwright/join.json && \
             test \"$(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:9200/)\" = 200",
            "cat /run/rackwright/join.json; sudo journalctl -q -n 12 --no-pager -o cat -u rackwright-join -u mariadb",
        ),
        "lb" => (
            "balances",
            "grep -q 'all steps are done' /run/rackwright/join.json && systemctl -q is-active keepalived haproxy",
            "cat /run/rackwright/join.json; sudo ipvsadm -Ln; \
             sudo journalctl -q -n 12 --no-pager -o cat -u rackwright-join -u keepalived -u haproxy",
        ),
        "storage" | "backup" => (
            "exports or receives",
            "sudo rackwright-installer storage status",
            "cat /run/rackwright/service.json; sudo journalctl -q -n 12 --no-pager -o cat -p warning",
        ),
        "production" => (
            "serves mail",
            "rackwright-installer probe mail 127.0.0.1",
            "cat /run/rackwright/service.json; sudo journalctl -q -n 12 --no-pager -o cat -p warning",
        ),
        _ => ("joined", JOINED, "rackwright-installer status"),
    }
}

/// Waits until a machine is well.
///
/// # Errors
/// If it is not in time: with what it says itself.
pub fn wait(unit: &Unit) -> anyhow::Result<Duration> {
    let (what, command, look) = proof(unit.place.role);
    match unit.place.role {
        "control" => unit.wait(
            "healthy",
            "rackwright-installer status > /dev/null",
            "rackwright-installer status",
            PATIENCE,
        ),
        _ => unit.wait(what, command, look, PATIENCE),
    }
}

/// Waits until all machines that are on are well.
///
/// # Errors
/// The first one that is not in time.
pub fn all(rack: &mut Rack) -> anyhow::Result<Duration> {
    let began = Instant::now();
    for unit in &mut rack.units {
        if unit.is_on() {
            wait(unit)?;
        }
    }
    Ok(began.elapsed())
}

/// Makes the mailboxes, by a database.
///
/// # Errors
/// If there is no database, or no mail server made the tables.
pub fn accounts(rack: &Rack) -> anyhow::Result<()> {
    let database = rack.of("galera").next().context("no database")?;
    let users: Vec<String> = USERS
        .iter()
        .map(|user| format!("('{user}', '{{PLAIN}}{PASSWORD}', TRUE)"))
        .collect();
    let statement = format!(
        "INSERT IGNORE INTO domains VALUES ('example.org'); INSERT IGNORE INTO users VALUES {}",
        users.join(", ")
    );
    let command = format!("sudo mariadb mail -e \"{statement}\"");
    let look = "sudo mariadb mail -e 'SHOW TABLES'";
    database
        .wait(
            "has the mailboxes",
            &command,
            look,
            Duration::from_secs(600),
        )
        .map(drop)
}

/// The balancer that has the mail address.
///
/// # Errors
/// If none has it.
pub fn balancer(rack: &Rack) -> anyhow::Result<&Unit> {
    let has = format!("ip -4 address show | grep -q ' {}/'", super::shape::MAIL);
    let found = rack.of("lb").find(|unit| unit.holds(&has));
    found.context("no balancer has the mail address")
}

/// The database that takes writes, by its name: what a mail server reaches.
///
/// # Errors
/// If nothing answers at the databases' address.
pub fn writer(rack: &Rack) -> anyhow::Result<String> {
    let asks = rack.of("production").next().context("no mail server")?;
    // The password is the machine's own secret.
    asks.run(
        "sudo sh -c 'MYSQL_PWD=$(cat /run/rackwright/secrets/database-app) mariadb --no-defaults --skip-ssl-verify-server-cert \
         --connect-timeout=20 -h 10.77.30.10 -u mail -BN -e \"SELECT @@hostname\"'",
    )
}

/// The storage server that has the storage address.
///
/// # Errors
/// If none has it.
pub fn storage(rack: &Rack) -> anyhow::Result<&Unit> {
    let has = "ip -4 address show | grep -q ' 10.77.40.10/'";
    let mut found = rack.of("storage").chain(rack.of("backup"));
    found
        .find(|unit| unit.holds(has))
        .context("no machine has the storage address")
}
