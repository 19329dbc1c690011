//! A data directory is made on the machine at its first start, never in the image: all machines would share what is random in
//! it.

use camino::Utf8Path;
use system::{Command, System};

use crate::sql::words;

/// What wsrep_sst_mariabackup leaves in a directory that it has not filled yet.
const UNFILLED: [&str; 2] = ["sst_in_progress", ".sst"];

/// Makes the data directory, unless it is there. The server must be stopped. A transfer that was cut off is begun anew: its
/// marks would make the next one wait for ever.
///
/// # Errors
/// Words of the command that failed.
pub fn make(system: &dyn System, folder: &Utf8Path) -> Result<(), String> {
    // Made beside and renamed: what has the right name is whole, also after a power cut.
    let unfinished = format!("{folder}.unfinished");
    let run = |line: &[&str]| {
        let command = Command::new(*line.first().unwrap_or(&"")).args(line.iter().skip(1).copied());
        system
            .run(&command)
            .map(|_| ())
            .map_err(|error| words(&error))
    };
    let has = |name: &str| system.exists(&folder.join(name));
    if UNFILLED.iter().any(|name| has(name)) {
        run(&["rm", "-r", "-f", folder.as_str()])?;
    } else if has("mysql") {
        return Ok(());
    } else if system.exists(folder) {
        // Something without system tables: whoever left it may want it.
        return Err(format!(
            "`{folder}` is there and is no data directory of MariaDB: look at it, then move it away"
        ));
    }
    run(&["rm", "-r", "-f", &unfinished])?;
    run(&[
        "install",
        "-d",
        "-o",
        "mysql",
        "-g",
        "mysql",
        "-m",
        "0700",
        &unfinished,
    ])?;
    let datadir = format!("--datadir={unfinished}");
    run(&[
        "mariadb-install-db",
        // Without the rendered file: no binary log and no cluster while the tables are made.
        "--no-defaults",
        "--user=mysql",
        "--skip-test-db",
        "--auth-root-authentication-method=socket",
        "--rpm",
        &datadir,
    ])?;
    run(&["sync", "--file-system", &unfinished])?;
    run(&["mv", "-T", &unfinished, folder.as_str()])
}
