//! Whether an operator took this machine out of service for a while. A file on the state file system, so that a restart does not
//! put it back behind the operator's back.

use camino::Utf8Path;

use crate::{System, SystemError};

/// The file; what stands in it is for people.
pub const PATH: &str = "/state/drained";
/// What is said of such a machine.
pub const WORDS: &str = "drained by an operator; `rackwright-installer drain --undo` puts it back";

/// It is out of service.
#[must_use]
pub fn is(system: &dyn System) -> bool {
    system.exists(Utf8Path::new(PATH))
}

/// Takes it out, or puts it back.
///
/// # Errors
/// The file cannot be written or removed.
pub fn set(system: &dyn System, drained: bool) -> Result<(), SystemError> {
    let path = Utf8Path::new(PATH);
    match (drained, system.exists(path)) {
        (true, false) => system.write(path, b"taken out of service by an operator\n", 0o644),
        (false, true) => system.remove(path),
        _ => Ok(()),
    }
}
