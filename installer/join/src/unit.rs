//! Services that only a join starts: each has a condition on a file in memory, so that no boot starts it by itself.

use camino::{Utf8Path, Utf8PathBuf};
use system::{Command, System};

use crate::sql::words;

/// Files of a join, in memory.
pub const FOLDER: &str = "/run/rackwright/join";

/// A file of the join.
#[must_use]
pub fn flag(name: &str) -> Utf8PathBuf {
    Utf8Path::new(FOLDER).join(name)
}

/// Sets or clears a flag.
///
/// # Errors
/// The file cannot be written or removed.
pub fn set(system: &dyn System, name: &str, on: bool) -> Result<(), String> {
    let path = flag(name);
    if system.exists(&path) == on {
        return Ok(());
    }
    let result = if on {
        system
            .make_directory(Utf8Path::new(FOLDER))
            .and_then(|()| system.write(&path, b"", 0o644))
    } else {
        system.remove(&path)
    };
    result.map_err(|error| error.to_string())
}

/// `active`, `activating`, `inactive`, `failed`, ...
///
/// # Errors
/// systemctl fails.
pub fn state(system: &dyn System, unit: &str) -> Result<String, String> {
    let command =
        Command::new("systemctl").args(["show", "--property=ActiveState", "--value", unit]);
    let output = system.run(&command).map_err(|error| words(&error))?;
    Ok(output.stdout.trim().to_owned())
}

/// Allows a unit to run and starts it; does not wait, because a state transfer may take hours.
///
/// # Errors
/// systemctl fails.
pub fn start(system: &dyn System, unit: &str) -> Result<(), String> {
    set(system, &allowed(unit), true)?;
    systemctl(system, &["start", "--no-block", unit])
}

/// Name of the flag that a unit waits for: `mariadb-allowed`.
fn allowed(unit: &str) -> String {
    format!("{}-allowed", unit.trim_end_matches(".service"))
}

/// Allows a unit to run; something else starts it.
///
/// # Errors
/// The flag cannot be written.
pub fn allow(system: &dyn System, unit: &str) -> Result<(), String> {
    set(system, &allowed(unit), true)
}

/// Runs systemctl.
///
/// # Errors
/// Its words.
pub fn systemctl(system: &dyn System, arguments: &[&str]) -> Result<(), String> {
    let command = Command::new("systemctl").args(arguments.iter().copied());
    system
        .run(&command)
        .map(|_| ())
        .map_err(|error| words(&error))
}

/// Runs a small program.
///
/// # Errors
/// Its words.
pub fn tool(system: &dyn System, program: &str, arguments: &[&str]) -> Result<(), String> {
    let command = Command::new(program).args(arguments.iter().copied());
    system
        .run(&command)
        .map(|_| ())
        .map_err(|error| words(&error))
}
