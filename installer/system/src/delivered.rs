//! Secrets that were delivered to this machine: one file each, in memory, named after its purpose. `run` puts them there at
//! every boot (docs/compile.md); whoever needs one reads it when it needs it, because it may be delivered later.

use camino::{Utf8Path, Utf8PathBuf};

use crate::System;

/// Where they are; root's alone.
pub const FOLDER: &str = "/run/rackwright/secrets";
/// Copies of the machine's certificate, a folder for each group of daemons.
pub const IDENTITY: &str = "/run/rackwright/identity";

/// File of the secret for a purpose: `database-app`, `storage-replication`, ...
#[must_use]
pub fn path(purpose: &str) -> Utf8PathBuf {
    Utf8Path::new(FOLDER).join(purpose)
}

/// A secret without the line end of its file; absent if it was not delivered, or is empty.
#[must_use]
pub fn secret(system: &dyn System, purpose: &str) -> Option<String> {
    let text = String::from_utf8(system.read(&path(purpose)).ok()?).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Key of this machine's certificate, for daemons of this group. `enrol` writes it last: where it is, the certificate is too.
#[must_use]
pub fn certificate(group: &str) -> Utf8PathBuf {
    Utf8Path::new(IDENTITY).join(group).join("node.key")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Simulated;

    #[test]
    fn what_was_not_delivered_is_absent() {
        let system = Simulated::new();
        system.put_file("/run/rackwright/secrets/one", b"abc\n");
        system.put_file("/run/rackwright/secrets/empty", b"\n");
        assert_eq!(secret(&system, "one").as_deref(), Some("abc"));
        assert_eq!(secret(&system, "empty"), None);
        assert_eq!(secret(&system, "none"), None);
    }
}
