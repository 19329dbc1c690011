//! The `/etc` of a machine whose real one could not be rendered: systemd comes up, starts nothing of the role, and the
//! consoles say why. Texts are built in: templates may be what is broken.

use system::{SystemError, Tree};

use super::incomplete;

const TARGET: &str = "[Unit]
Description=Not ready: see the consoles
Requires=basic.target
Wants=rackwright-incomplete.service
After=basic.target
AllowIsolate=yes
";

const SERVICE: &str = "[Unit]
Description=Show on every console why this machine is not ready
After=basic.target

[Service]
ExecStart=/usr/bin/rackwright-installer incomplete
Restart=on-failure
RestartSec=5
";

/// Writes it. Everything is tried; the first error is given back.
pub fn write(tree: &Tree, reason: &str) -> Result<(), SystemError> {
    let units = "/etc/systemd/system";
    let results = [
        tree.put_file(incomplete::REASON, reason.as_bytes(), 0o644),
        tree.put_file(
            &format!("{units}/rackwright-incomplete.target"),
            TARGET.as_bytes(),
            0o644,
        ),
        tree.put_file(
            &format!("{units}/rackwright-incomplete.service"),
            SERVICE.as_bytes(),
            0o644,
        ),
        tree.put_link(
            &format!("{units}/default.target"),
            &format!("{units}/rackwright-incomplete.target"),
        ),
    ];
    results.into_iter().collect()
}
