//! What a member's data directory and its server say, as text and as facts.

use camino::{Utf8Path, Utf8PathBuf};
use system::System;

use super::{decide::Data, health::Status};
use crate::sql::{self, value};

/// The data directory; below the mount point, because a file system's root has a `lost+found`.
pub const DATA: &str = "/var/lib/mysql/data";

/// What `SHOW` is asked for; works outside a Primary component too.
const STATUS: &str = "SHOW GLOBAL STATUS WHERE Variable_name IN ('wsrep_cluster_status','wsrep_ready','wsrep_local_state',\
'wsrep_local_state_comment','wsrep_incoming_addresses','wsrep_cluster_size','wsrep_cluster_weight','wsrep_cluster_state_uuid');\n\
SHOW GLOBAL VARIABLES WHERE Variable_name IN ('wsrep_on','wsrep_reject_queries','wsrep_desync','read_only','gtid_binlog_pos');\n";

/// A running server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// As the health decision takes it; `alone` and `accepted` are not filled.
    pub status: Status,
    /// `wsrep_cluster_state_uuid`; absent outside a cluster.
    pub uuid: Option<String>,
    /// `Synced`, `Joiner`, `Donor/Desynced`, ...
    pub words: String,
    /// `gtid_binlog_pos`.
    pub gtid: String,
    /// Addresses of the members of this component, without ports.
    pub members: Vec<String>,
}

impl Seen {
    /// A full member that serves.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.status.primary && self.status.ready && self.status.state == 4
    }
}

/// From the rows of the two statements.
#[must_use]
pub fn seen(rows: &[Vec<String>]) -> Seen {
    let text = |name: &str| value(rows, name).unwrap_or_default();
    let number = |name: &str| text(name).parse().ok();
    let size = text("wsrep_cluster_size").parse().unwrap_or(0);
    Seen {
        status: Status {
            primary: text("wsrep_cluster_status") == "Primary",
            ready: text("wsrep_ready") == "ON",
            state: number("wsrep_local_state").unwrap_or(0),
            size,
            // One vote each where the library does not say it.
            votes: text("wsrep_cluster_weight").parse().unwrap_or(size),
            // Absent is not `NONE`: what cannot be read does not serve.
            rejects: text("wsrep_reject_queries") != "NONE",
            read_only: text("read_only") != "OFF",
            desync: text("wsrep_desync") != "OFF",
            alone: false,
            accepted: false,
        },
        uuid: some_uuid(text("wsrep_cluster_state_uuid")),
        words: text("wsrep_local_state_comment").to_owned(),
        gtid: text("gtid_binlog_pos").to_owned(),
        members: members(text("wsrep_incoming_addresses")),
    }
}

/// From `192.0.2.1:3306,[2001:db8::1]:3306,AUTO`: what a member does not tell of itself is left out.
fn members(text: &str) -> Vec<String> {
    text.split(',')
        .filter_map(|member| {
            let (address, _port) = member.trim().rsplit_once(':')?;
            let address = address.trim_start_matches('[').trim_end_matches(']');
            (!address.is_empty()).then(|| address.to_owned())
        })
        .collect()
}

/// Asks the server.
///
/// # Errors
/// It does not answer.
pub fn ask(system: &dyn System) -> Result<Seen, String> {
    sql::run(system, STATUS, sql::LOOK).map(|rows| seen(&rows))
}

/// Asks the server by a client that stays.
///
/// # Errors
/// As [`ask`].
pub fn look(session: &mut sql::Session<'_>) -> Result<Seen, String> {
    session.look(STATUS).map(|rows| seen(&rows))
}

/// A UUID that means a cluster: not empty, not all zeros, which is Galera's "none".
fn some_uuid(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()
        && text
            .chars()
            .any(|character| !matches!(character, '0' | '-')))
    .then(|| text.to_owned())
}

/// UUID in `grastate.dat`.
#[must_use]
pub fn grastate(text: &str) -> Option<String> {
    text.lines()
        .find_map(|line| line.strip_prefix("uuid:"))
        .and_then(some_uuid)
}

/// The text of `grastate.dat` with which Galera makes a new Primary component of what is there.
#[must_use]
pub fn safe_to_bootstrap(text: &str) -> String {
    let mut lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with("safe_to_bootstrap:"))
        .collect();
    lines.push("safe_to_bootstrap: 1");
    lines.join("\n") + "\n"
}

/// Path below the data directory.
#[must_use]
pub fn file(name: &str) -> Utf8PathBuf {
    Utf8Path::new(DATA).join(name)
}

/// What the data directory holds.
///
/// # Errors
/// `grastate.dat` is there and cannot be read: that is not an empty directory.
pub fn data(system: &dyn System) -> Result<Data, String> {
    match system.read(&file("grastate.dat")) {
        Ok(bytes) => Ok(grastate(&String::from_utf8_lossy(&bytes)).map_or(Data::New, Data::Of)),
        Err(error) if error.is_not_found() => Ok(Data::New),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::rows;

    const NIL: &str = "00000000-0000-0000-0000-000000000000";
    const ONE: &str = "6f1b5f0e-c8a5-11f0-9e1f-4b2d3a1c0e55";

    fn text(uuid: &str) -> String {
        format!(
            "# GALERA saved state\nversion: 2.1\nuuid:    {uuid}\nseqno:   -1\nsafe_to_bootstrap: 0\n"
        )
    }

    #[test]
    fn saved_states() {
        for (text, expected) in [
            (text(ONE), Some(ONE.to_owned())),
            (text(NIL), None),
            (String::new(), None),
            ("uuid:\n".into(), None),
        ] {
            assert_eq!(grastate(&text), expected, "{text}");
        }
        let safe = safe_to_bootstrap(&text(ONE));
        assert_eq!(safe, text(ONE).replace("bootstrap: 0", "bootstrap: 1"));
        assert_eq!(safe_to_bootstrap(&safe), safe);
    }

    #[test]
    fn a_synced_member() {
        let seen = seen(&rows(&format!(
            "wsrep_cluster_size\t3\nwsrep_cluster_weight\t4\nwsrep_cluster_state_uuid\t{ONE}\nwsrep_cluster_status\tPrimary\nwsrep_local_state\t4\n\
             wsrep_local_state_comment\tSynced\nwsrep_ready\tON\nread_only\tOFF\nwsrep_desync\tOFF\nwsrep_reject_queries\tNONE\n\
             gtid_binlog_pos\t77-1-9\n"
        )));
        assert!(seen.is_synced());
        assert_eq!((seen.status.size, seen.status.votes), (3, 4));
        assert!(!seen.status.rejects && !seen.status.desync && !seen.status.read_only);
        assert_eq!(
            (seen.uuid.as_deref(), seen.gtid.as_str()),
            (Some(ONE), "77-1-9")
        );
    }

    #[test]
    fn what_cannot_be_read_does_not_serve() {
        let seen = seen(&[]);
        assert!(!seen.is_synced());
        assert!(seen.status.rejects && seen.status.desync && seen.status.read_only);
        assert_eq!(seen.uuid, None);
    }
}
