//! The notice of a machine whose install did not finish, or whose `/etc` could not be rendered.

use std::time::Duration;

use camino::Utf8Path;
use system::System;

use crate::console::Consoles;

/// Why this boot starts no role service; written by `prepare-boot`.
pub const REASON: &str = "/run/rackwright/incomplete.txt";
/// The notice comes again: kernel messages push it off the screen.
const REPEAT: Duration = Duration::from_secs(300);

/// What stands on every console. `reason` may have several lines.
pub fn notice(reason: &str) -> String {
    let line = "#".repeat(78);
    let mut text = format!(
        "\n{line}\n##{:^74}##\n{line}\n",
        "INCOMPLETE: THIS MACHINE IS NOT READY"
    );
    for line in reason.lines() {
        text.push_str(&format!("  {line}\n"));
    }
    text.push_str(
        "\n  No service of its role was started and no data was changed.\n\
         \x20 What to do:\n\
         \x20   1. boot the installer again from its medium or by network;\n\
         \x20   2. it goes on where the install stopped, or says what is wrong;\n\
         \x20   3. to look around instead, boot it with `rackwright=rescue`.\n",
    );
    text.push_str(&line);
    text
}

/// Shows the notice on every console, for ever (`rackwright-incomplete.service`).
pub fn show(system: &dyn System) {
    let consoles = Consoles::new(system);
    loop {
        let reason = system.read(Utf8Path::new(REASON)).unwrap_or_default();
        consoles.say(&notice(&String::from_utf8_lossy(&reason)));
        system.sleep(REPEAT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notice_fits_a_console() {
        let text = notice("the install of this machine did not finish");
        assert!(text.lines().all(|line| line.chars().count() <= 80));
        insta::assert_snapshot!(text, @r"

        ##############################################################################
        ##                  INCOMPLETE: THIS MACHINE IS NOT READY                   ##
        ##############################################################################
          the install of this machine did not finish

          No service of its role was started and no data was changed.
          What to do:
            1. boot the installer again from its medium or by network;
            2. it goes on where the install stopped, or says what is wrong;
            3. to look around instead, boot it with `rackwright=rescue`.
        ##############################################################################
        ");
    }
}
