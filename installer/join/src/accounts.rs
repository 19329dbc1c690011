//! Databases and accounts of a fresh server. Statements go through the one server that may write, and reach the others by
//! replication; each may run again.

use roles::NodeFile;
use system::delivered::secret;

use crate::{context::Context, galera::state, sql, step::Outcome};

/// Name of the database for mail and of its account.
pub const MAIL: &str = "mail";
/// Account of a replica.
pub const REPLICATION: &str = "replication";
/// Account of proxies that ask servers how they are.
pub const MONITOR: &str = "monitor";

/// Account with which MaxScale reads who may log in; made only where its secret was delivered.
pub const PROXY: &str = "maxscale";

/// What MaxScale asks of its service's user (MaxScale 24.02, authentication modules).
const PROXY_TABLES: [&str; 7] = [
    "user",
    "db",
    "tables_priv",
    "columns_priv",
    "procs_priv",
    "proxies_priv",
    "roles_mapping",
];

/// Host patterns of the networks that clients come from: never `%`, which is everywhere.
#[must_use]
pub fn patterns(node: &NodeFile) -> Vec<String> {
    node.networks
        .iter()
        .filter(|network| matches!(network.name.as_str(), "cluster" | "mgmt"))
        .filter_map(|network| roles::address::Cidr::parse(network.addresses.first()?))
        .map(|cidr| {
            // MariaDB takes `base/netmask` for IPv4 only; a pattern of the whole network is the same for IPv6.
            let network = cidr.network();
            match network.split_once('/') {
                Some((base, length)) if base.contains('.') => {
                    format!("{base}/{}", netmask(length.parse().unwrap_or(32)))
                }
                Some((base, _)) => format!("{}%", base.trim_end_matches(':')),
                None => network,
            }
        })
        .collect()
}

fn netmask(length: u32) -> std::net::Ipv4Addr {
    std::net::Ipv4Addr::from(u32::MAX.checked_shl(32 - length.min(32)).unwrap_or(0))
}

/// Made by the server that takes writes, and replicated.
const DATABASES: &str = "CREATE DATABASE IF NOT EXISTS mail CHARACTER SET utf8mb4;\n\
CREATE DATABASE IF NOT EXISTS rackwright;\n\
CREATE TABLE IF NOT EXISTS rackwright.canary (node VARCHAR(64) PRIMARY KEY, token VARCHAR(64) NOT NULL);\n";

/// The accounts. `passwords`: account and secret; an account without one is not made.
#[must_use]
pub fn statements(patterns: &[String], passwords: &[(&str, Option<String>)]) -> String {
    let mut text = String::new();
    for (account, password) in passwords {
        let Some(password) = password else { continue };
        let (account, password) = (sql::literal(account), sql::literal(password));
        for pattern in patterns {
            let who = format!("{account}@{}", sql::literal(pattern));
            // Mail's queries carry the hashes of users' passwords: never in clear through the network. MariaDB makes a
            // certificate of its own where it is given none (11.4 and later).
            let tls = if account == "'mail'" {
                " REQUIRE SSL"
            } else {
                ""
            };
            text.push_str(&format!(
                "CREATE USER IF NOT EXISTS {who} IDENTIFIED BY {password}{tls};\n\
                 ALTER USER {who} IDENTIFIED BY {password}{tls};\n"
            ));
            let rights = match account.trim_matches('\'') {
                // IceWarp makes its databases itself; without it the second right is one to nothing.
                MAIL => {
                    format!("GRANT ALL ON {MAIL}.* TO {who};\nGRANT ALL ON `iw\\_%`.* TO {who};\n")
                }
                // What mariadb-dump needs to seed a replica, and replication itself.
                REPLICATION => format!(
                    "GRANT REPLICATION SLAVE, BINLOG MONITOR, RELOAD, SELECT, SHOW VIEW, TRIGGER, EVENT, LOCK TABLES, \
                     PROCESS ON *.* TO {who};\n"
                ),
                PROXY => {
                    let tables = PROXY_TABLES
                        .map(|table| format!("GRANT SELECT ON mysql.{table} TO {who};\n"));
                    format!("GRANT SHOW DATABASES ON *.* TO {who};\n{}", tables.concat())
                }
                // USAGE is what every account has.
                _ => String::new(),
            };
            text.push_str(&rights);
        }
    }
    text
}

/// The step `accounts`: on a server that takes writes it makes them, on another it waits until they have come.
#[must_use]
pub fn step(context: &Context<'_>) -> Outcome {
    let system = context.system;
    let seen = match state::ask(system) {
        Ok(seen) => seen,
        Err(error) => return Outcome::Wait(format!("the server to answer: {error}")),
    };
    let passwords = [
        (MAIL, secret(system, "database-app")),
        (MONITOR, secret(system, "database-monitor")),
        (REPLICATION, secret(system, "database-replication")),
        (PROXY, secret(system, "proxy-accounts")),
    ];
    let accounts = statements(&patterns(context.node), &passwords);
    let text = if seen.status.read_only {
        match sql::run(system, THERE, sql::LOOK) {
            Ok(rows) if !rows.is_empty() => {}
            Ok(_) => return Outcome::Wait("the primary's databases to come".into()),
            Err(error) => return Outcome::Failed(error),
        }
        // Not replicated: a replica that was seeded has none of them, and its own writes would keep it from following.
        format!("SET SESSION sql_log_bin=0;\n{accounts}")
    } else {
        format!("{DATABASES}{accounts}")
    };
    Outcome::tried(sql::run(system, &text, 60), |_| {
        Outcome::Done("databases and accounts are there".into())
    })
}

const THERE: &str = "SELECT 1 FROM information_schema.tables WHERE table_schema='rackwright' AND table_name='canary';";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks() {
        for (length, expected) in [
            (24, "255.255.255.0"),
            (0, "0.0.0.0"),
            (32, "255.255.255.255"),
            (20, "255.255.240.0"),
        ] {
            assert_eq!(netmask(length).to_string(), expected);
        }
    }

    #[test]
    fn statements_for_two_accounts() {
        let text = statements(
            &["10.77.30.0/255.255.255.0".into()],
            &[
                (MAIL, Some("abc".into())),
                (MONITOR, None),
                (REPLICATION, Some("d'e".into())),
                (PROXY, Some("fgh".into())),
            ],
        );
        insta::assert_snapshot!(text);
    }
}
