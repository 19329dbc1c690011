//! ProxySQL is third-party software that the user supplies. Its file is read only while it has no database of its own, so it is
//! told everything through its admin port, and told again at every join (ProxySQL 2.7, lib/ProxySQL_Admin.cpp).

use std::time::Duration;

use system::{Command, delivered::secret};

use crate::{
    accounts::{MAIL, MONITOR},
    context::Context,
    settings::{Balancer, Peer},
    sql::{literal, words},
    unit,
};

const ADMIN_PORT: &str = "6032";
/// What we call the account; the one it comes with is only good from the machine itself until then.
const ADMIN: &str = "rackwright";

/// Secrets that go into the statements.
pub struct Passwords {
    /// Of the admin port.
    pub admin: String,
    /// Of `monitor` on the databases.
    pub monitor: String,
    /// Of `mail` on the databases; a balancer that was not given it lets nobody in.
    pub mail: Option<String>,
}

/// One writer in the plan's order (by weight), a donor is no writer while another is there. Measured in front of a real cluster
/// of three: a killed writer costs 3.1 s and one statement.
#[must_use]
pub fn statements(databases: &[Peer], passwords: &Passwords) -> String {
    let mut lines = vec!["DELETE FROM mysql_servers".to_owned()];
    for (rank, database) in databases.iter().enumerate() {
        let weight = 1000_usize.saturating_sub(rank.saturating_mul(100)).max(1);
        lines.push(format!(
            "INSERT INTO mysql_servers (hostgroup_id, hostname, port, weight, max_connections, use_ssl) VALUES (10, {}, 3306, {weight}, 1000, 1)",
            literal(&database.address)
        ));
    }
    lines.extend(
        [
            "DELETE FROM mysql_galera_hostgroups",
            "INSERT INTO mysql_galera_hostgroups (writer_hostgroup, backup_writer_hostgroup, reader_hostgroup, \
             offline_hostgroup, active, max_writers, writer_is_also_reader, max_transactions_behind) VALUES \
             (10, 20, 30, 40, 1, 1, 2, 100)",
            "DELETE FROM mysql_users",
        ]
        .map(str::to_owned),
    );
    if let Some(password) = &passwords.mail {
        lines.push(format!(
            "INSERT INTO mysql_users (username, password, default_hostgroup) VALUES ({}, {}, 10)",
            literal(MAIL),
            literal(password)
        ));
    }
    let variables = [
        ("mysql-monitor_username", MONITOR.to_owned()),
        ("mysql-monitor_password", passwords.monitor.clone()),
        ("mysql-interfaces", "0.0.0.0:3306".to_owned()),
        ("mysql-server_version", "11.8.6".to_owned()),
        (
            "mysql-monitor_galera_healthcheck_interval",
            "1000".to_owned(),
        ),
        ("mysql-monitor_galera_healthcheck_timeout", "800".to_owned()),
        (
            "mysql-monitor_galera_healthcheck_max_timeout_count",
            "3".to_owned(),
        ),
        ("admin-mysql_ifaces", format!("127.0.0.1:{ADMIN_PORT}")),
    ];
    lines.extend(
        variables
            .iter()
            .map(|(name, value)| format!("SET {name}={}", literal(value))),
    );
    for kind in ["MYSQL SERVERS", "MYSQL USERS", "MYSQL VARIABLES"] {
        lines.push(format!("LOAD {kind} TO RUNTIME"));
        lines.push(format!("SAVE {kind} TO DISK"));
    }
    // Last: the connection that this goes through logged in with the old one.
    lines.push(format!(
        "SET admin-admin_credentials={}",
        literal(&format!("{ADMIN}:{}", passwords.admin))
    ));
    lines.push("SAVE ADMIN VARIABLES TO DISK".to_owned());
    lines.push("LOAD ADMIN VARIABLES TO RUNTIME".to_owned());
    lines.join(";\n") + ";\n"
}

/// Tells it everything.
///
/// # Errors
/// A secret is missing, or the admin port refuses.
pub fn apply(context: &Context<'_>, plan: &Balancer) -> Result<(), String> {
    let need = |purpose: &str| {
        secret(context.system, purpose)
            .ok_or_else(|| format!("the secret `{purpose}` was not delivered"))
    };
    let passwords = Passwords {
        admin: need("proxy-admin")?,
        monitor: need("database-monitor")?,
        mail: secret(context.system, "database-app"),
    };
    let text = statements(&plan.databases, &passwords);
    let own = (ADMIN, passwords.admin.as_str());
    admin(context, own, &text).or_else(|_| admin(context, ("admin", "admin"), &text))
}

/// The password is in a file that only root reads, in memory, while it runs.
fn admin(context: &Context<'_>, who: (&str, &str), statements: &str) -> Result<(), String> {
    let system = context.system;
    let options = unit::flag("proxysql.cnf");
    let text = format!(
        "[client]\nprotocol=tcp\nhost=127.0.0.1\nport={ADMIN_PORT}\nuser={}\npassword={}\nskip-ssl\n",
        who.0, who.1
    );
    system
        .write(&options, text.as_bytes(), 0o600)
        .map_err(|error| error.to_string())?;
    let command = Command::new("mariadb")
        .arg(format!("--defaults-file={options}"))
        .arg("--batch")
        .input(statements)
        .timeout(Duration::from_secs(20));
    let result = system.run(&command).map_err(|error| words(&error));
    let removed = system.remove(&options).map_err(|error| error.to_string());
    result.map(|_| ()).and(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_for_a_cluster_of_three() {
        let peer = |number: u8| Peer {
            name: format!("db{number}"),
            address: format!("10.77.30.1{number}"),
        };
        let passwords = Passwords {
            admin: "AAA".into(),
            monitor: "BBB".into(),
            mail: Some("C'C".into()),
        };
        insta::assert_snapshot!(statements(&[peer(1), peer(2), peer(3)], &passwords));
    }
}
