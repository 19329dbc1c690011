//! A data directory is made on the machine at its first start, never in the image: all machines would share what is random in
//! it.

use camino::Utf8Path;
use system::{Command, System};

use crate::{galera::state::DATA, sql::words};

/// Made beside and renamed: what has the right name is whole, also after a power cut.
const UNFINISHED: &str = "/var/lib/mysql/data.unfinished";

/// What wsrep_sst_mariabackup leaves in a directory that it has not filled yet.
const UNFILLED: [&str; 2] = ["sst_in_progress", ".sst"];

/// Makes the data directory, unless it is there. The server must be stopped. A transfer that was cut off is begun anew: its
/// marks would make the next one wait for ever.
///
/// # Errors
/// Words of the command that failed.
pub fn make(system: &dyn System) -> Result<(), String> {
    let run = |line: &[&str]| {
        let command = Command::new(*line.first().unwrap_or(&"")).args(line.iter().skip(1).copied());
        system
            .run(&command)
            .map(|_| ())
            .map_err(|error| words(&error))
    };
    let has = |name: &str| system.exists(&Utf8Path::new(DATA).join(name));
    if UNFILLED.iter().any(|name| has(name)) {
        run(&["rm", "-r", "-f", DATA])?;
    } else if has("mysql") {
        return Ok(());
    } else if system.exists(Utf8Path::new(DATA)) {
        // Something without system tables: whoever left it may want it.
        return Err(format!(
            "`{DATA}` is there and is no data directory of MariaDB: look at it, then move it away"
        ));
    }
    run(&["rm", "-r", "-f", UNFINISHED])?;
    run(&[
        "install", "-d", "-o", "mysql", "-g", "mysql", "-m", "0700", UNFINISHED,
    ])?;
    let folder = format!("--datadir={UNFINISHED}");
    run(&[
        "mariadb-install-db",
        // Without the rendered file: no binary log and no cluster while the tables are made.
        "--no-defaults",
        "--user=mysql",
        "--skip-test-db",
        "--auth-root-authentication-method=socket",
        "--rpm",
        &folder,
    ])?;
    run(&["sync", "--file-system", UNFINISHED])?;
    run(&["mv", "-T", UNFINISHED, DATA])
}
