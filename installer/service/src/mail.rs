//! What a mail server needs before it may start, as decisions and texts: the right store, mounted so that an error is a wait;
//! users from the database; nothing written to an empty mount point.

use crate::settings::Mail;

/// In the root of the store; made by the storage server, never by a mail server.
pub const SENTINEL: &str = ".rackwright-store";
/// Files with the database's password, in memory.
pub const FOLDER: &str = "/run/rackwright/mail";
/// Name of the database and of its account.
pub const DATABASE: &str = "mail";

/// Tables of users. Made by the mail server when it starts; database and account are made by the database's role.
/// `utf8mb4_bin`: an address is compared as it is written, and Postfix and Dovecot ask in lower case.
pub const SCHEMA: &str = "\
CREATE TABLE IF NOT EXISTS domains (
  name VARCHAR(255) NOT NULL PRIMARY KEY
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE IF NOT EXISTS users (
  address VARCHAR(255) NOT NULL PRIMARY KEY,
  password VARCHAR(255) NOT NULL,
  enabled BOOLEAN NOT NULL DEFAULT TRUE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE IF NOT EXISTS aliases (
  source VARCHAR(255) NOT NULL,
  destination VARCHAR(255) NOT NULL,
  PRIMARY KEY (source, destination)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
";

/// Why a store is not mounted, or not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// An option that loses mail, or none that keeps it.
    #[error("`mount_options`: `{option}` {why}")]
    Option {
        /// The option.
        option: String,
        /// Why not.
        why: &'static str,
    },
    /// Something else is mounted there.
    #[error("`{mount}` has `{found}` mounted, not `{wanted}`")]
    Other {
        /// Mount point.
        mount: String,
        /// What is there.
        found: String,
        /// What should be.
        wanted: String,
    },
    /// Not the store.
    #[error(
        "`{mount}` has no `{SENTINEL}`: this is not the mail store, or its data set is not mounted on the server\nhint: a store that is not ours is made known with `rackwright-installer mail adopt`"
    )]
    NoSentinel {
        /// Mount point.
        mount: String,
    },
    /// Written to the bare mount point before.
    #[error(
        "`{mount}` is not empty although nothing is mounted there: what lies there would be hidden by the store\nhint: look at it and move it away"
    )]
    NotEmpty {
        /// Mount point.
        mount: String,
    },
    /// A setting that would reach a configuration file as something else.
    #[error("`{key}`: {why}")]
    Text {
        /// Setting or secret; never its value.
        key: &'static str,
        /// Why not.
        why: &'static str,
    },
}

/// What is wrong with mount options: mail is lost by an error in place of a wait, by locks that only one machine sees, and by
/// a version that has no sessions.
#[must_use]
pub fn check_options(options: &str) -> Vec<Refusal> {
    let words: Vec<&str> = options.split(',').map(str::trim).collect();
    let mut wrong = Vec::new();
    let mut bad = |option: &str, why| {
        wrong.push(Refusal::Option {
            option: option.to_owned(),
            why,
        })
    };
    for word in &words {
        match *word {
            "soft" | "softerr" => bad(
                word,
                "turns a slow server into lost mail; only `hard` waits",
            ),
            "nolock" | "local_lock=all" | "local_lock=flock" | "local_lock=posix" => {
                bad(word, "makes locks that the other mail server does not see")
            }
            "ro" => bad(word, "takes no mail"),
            "async" => {}
            "nconnect" => bad(word, "needs a number"),
            _ if word.starts_with("vers=") || word.starts_with("nfsvers=") => {
                let version = word.split_once('=').map_or("", |it| it.1);
                if !matches!(version, "4.1" | "4.2") {
                    bad(
                        word,
                        "has no sessions: after a takeover locks would be lost (use 4.2)",
                    );
                }
            }
            _ => {}
        }
    }
    if !words.contains(&"hard") {
        bad(
            "hard",
            "must be there: an error in place of a wait is lost mail",
        );
    }
    let rdma = words
        .iter()
        .any(|word| matches!(*word, "proto=rdma" | "rdma"));
    if rdma && words.iter().any(|word| word.starts_with("nconnect=")) {
        bad("nconnect", "does not go with RDMA");
    }
    wrong
}

/// What `/proc/mounts` must show. Gives whether it is mounted.
///
/// # Errors
/// Something else is mounted there.
pub fn mounted(mounts: &str, mount: &str, source: &str) -> Result<bool, Refusal> {
    // The last one lies on top.
    let found = mounts.lines().rev().find_map(|line| {
        let mut fields = line.split(' ');
        let device = fields.next()?;
        (fields.next()? == mount).then_some(device)
    });
    match found {
        None => Ok(false),
        // The kernel writes `server:/` also where `server:` was mounted.
        Some(found) if found.trim_end_matches('/') == source.trim_end_matches('/') => Ok(true),
        Some(found) => Err(Refusal::Other {
            mount: mount.to_owned(),
            found: found.to_owned(),
            wanted: source.to_owned(),
        }),
    }
}

/// A file to write before the services start: path, text, group that may read it.
#[derive(Debug, PartialEq, Eq)]
pub struct Secret {
    /// Path.
    pub path: String,
    /// Content.
    pub text: String,
    /// Owner and group.
    pub owner: &'static str,
    /// Permission bits.
    pub mode: u32,
}

/// The files that hold the database's password: for Postfix (each lookup its own), for Dovecot and for the client.
///
/// # Errors
/// The address or the password has a character that one of the files would take for its own.
pub fn database_files(settings: &Mail, password: &str) -> Result<Vec<Secret>, Refusal> {
    let host = settings.database_address.as_deref().unwrap_or("127.0.0.1");
    let plain = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".:-_".contains(&byte))
    };
    if !plain(host) {
        return Err(Refusal::Text {
            key: "database_address",
            why: "not an address",
        });
    }
    if !plain(password) {
        return Err(Refusal::Text {
            key: "database-app",
            why: "the secret has characters that configuration files treat specially",
        });
    }
    let lookup = |name: &str, query: &str| Secret {
        path: format!("{FOLDER}/{name}.cf"),
        text: format!(
            "hosts = inet:{}\nuser = {DATABASE}\npassword = {password}\ndbname = {DATABASE}\noption_file = {FOLDER}/tls.cnf\noption_group = client\nquery = {query}\n",
            bracket(host)
        ),
        owner: "root:postfix",
        mode: 0o640,
    };
    Ok(vec![
        // Postfix has no setting that demands TLS without files of a CA; the client library reads one. Seen with Postfix
        // 3.10 and MariaDB 11.8 (2026-11-23): without a value (`ssl-enforce`) the library logs in in clear.
        Secret {
            path: format!("{FOLDER}/tls.cnf"),
            text: "[client]\nssl-enforce = 1\n".to_owned(),
            owner: "root:postfix",
            mode: 0o640,
        },
        lookup("domains", "SELECT 1 FROM domains WHERE name = '%s'"),
        lookup(
            "mailboxes",
            "SELECT 1 FROM users WHERE address = '%s' AND enabled",
        ),
        lookup(
            "aliases",
            "SELECT destination FROM aliases WHERE source = '%s'",
        ),
        // Who may write which sender: one's own address, and addresses that lead to oneself.
        lookup(
            "senders",
            "SELECT address FROM users WHERE address = '%s' AND enabled UNION SELECT destination FROM aliases WHERE source = '%s'",
        ),
        Secret {
            path: format!("{FOLDER}/dovecot-database.conf"),
            text: format!(
                "sql_driver = mysql\nmysql {host} {{\n  user = {DATABASE}\n  password = {password}\n  dbname = {DATABASE}\n  ssl = yes\n}}\n"
            ),
            owner: "root:dovecot",
            mode: 0o640,
        },
        Secret {
            path: format!("{FOLDER}/client.cnf"),
            text: format!(
                "[client]\nprotocol = tcp\nhost = {host}\nuser = {DATABASE}\npassword = {password}\ndatabase = {DATABASE}\nconnect_timeout = 5\nssl\n"
            ),
            owner: "root:root",
            mode: 0o600,
        },
    ])
}

fn bracket(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_lose_mail_are_refused() {
        let good = "vers=4.2,proto=tcp,nconnect=4,hard,timeo=600,retrans=2,noatime,_netdev";
        let table = [
            (good.to_owned(), ""),
            (
                good.replace("hard", "soft"),
                "`mount_options`: `soft` turns a slow server into lost mail; only `hard` waits",
            ),
            (good.replace("hard", "softerr"), "`softerr`"),
            (good.replace("hard,", ""), "`hard` must be there"),
            (
                format!("{good},nolock"),
                "`nolock` makes locks that the other mail server does not see",
            ),
            (format!("{good},local_lock=posix"), "`local_lock=posix`"),
            (good.replace("4.2", "3"), "`vers=3` has no sessions"),
            (good.replace("4.2", "4.0"), "`vers=4.0` has no sessions"),
            (good.replace("4.2", "4.1"), ""),
            (
                good.replace("proto=tcp", "proto=rdma"),
                "`nconnect` does not go with RDMA",
            ),
            (format!("{good},ro"), "`ro` takes no mail"),
        ];
        for (options, wanted) in table {
            let said: String = check_options(&options)
                .iter()
                .map(|it| format!("{it}\n"))
                .collect();
            assert!(
                if wanted.is_empty() {
                    said.is_empty()
                } else {
                    said.contains(wanted)
                },
                "{options}: {said}"
            );
        }
    }

    #[test]
    fn only_the_planned_store_counts() {
        let mounts = "/dev/md1 /var xfs rw 0 0\n10.0.4.9:/ /var/srv/mail nfs4 rw,hard 0 0\n";
        assert_eq!(mounted(mounts, "/var/srv/mail", "10.0.4.9:/"), Ok(true));
        assert_eq!(mounted("", "/var/srv/mail", "10.0.4.9:/"), Ok(false));
        let other = mounted(mounts, "/var/srv/mail", "10.0.4.8:/")
            .err()
            .map(|it| it.to_string());
        assert_eq!(
            other.as_deref(),
            Some("`/var/srv/mail` has `10.0.4.9:/` mounted, not `10.0.4.8:/`")
        );
    }

    #[test]
    fn files_with_the_password() {
        let settings = Mail {
            database_address: Some("10.77.30.9".into()),
            ..Mail::default()
        };
        let files = database_files(&settings, "abc").unwrap_or_default();
        let text: String = files
            .iter()
            .map(|it| format!("{} {:o} {}\n{}", it.path, it.mode, it.owner, it.text))
            .collect();
        insta::assert_snapshot!("database_files", text);
        for (host, password) in [
            ("10.0.0.1", "a'b"),
            ("10.0.0.1", ""),
            ("a b", "abc"),
            ("10.0.0.1", "a\nb"),
            ("10.0.0.1", "a#b"),
        ] {
            let settings = Mail {
                database_address: Some(host.into()),
                ..Mail::default()
            };
            let refusal = database_files(&settings, password)
                .err()
                .map(|it| it.to_string())
                .unwrap_or_default();
            assert!(
                !refusal.is_empty() && (password.is_empty() || !refusal.contains(password)),
                "{refusal}"
            );
        }
    }
}
