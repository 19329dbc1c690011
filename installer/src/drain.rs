//! `drain`: takes this machine out of service for maintenance, and puts it back. Clients and other machines go elsewhere by the
//! same ways as when it dies, only without the dying.

use anyhow::bail;
use system::{Command, System, drained};

use crate::{arguments::Drain, output, this::This};

/// Runs the command.
///
/// # Errors
/// The role has no drain, or a command failed.
pub fn run(system: &dyn System, options: &Drain) -> anyhow::Result<u8> {
    let node = This::read(system)?.node;
    let (unit, out, back) = match node.role.as_str() {
        "lb" => (
            Some("keepalived.service"),
            "its virtual addresses go to the other balancer",
            "it may take virtual addresses again; it takes none from a balancer that works",
        ),
        "production" => (
            None,
            "its mail service stops within seconds, and the balancers send clients to the next server",
            "its mail service starts within seconds",
        ),
        "galera" => (
            None,
            "balancers send it no clients; it stays a member and votes",
            "balancers may send it clients again",
        ),
        "storage" | "backup" => bail!(
            "a storage server is not drained: its store moves\n\
             hint: `rackwright-installer storage demote --release` here, then `storage promote --released` on the other"
        ),
        "database" => bail!(
            "a database of a pair is not drained: its writes move\n\
             hint: `rackwright-installer database demote` here, then `database promote` on the other"
        ),
        role => bail!("there is no other machine that would do the work of a `{role}`"),
    };
    drained::set(system, !options.undo)?;
    if let Some(unit) = unit {
        let word = if options.undo { "start" } else { "stop" };
        system.run(&Command::new("systemctl").args([word, unit]))?;
    }
    output::text(&format!(
        "{}: {}\n",
        node.node,
        if options.undo { back } else { out }
    ))?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use system::Simulated;

    fn machine(role: &str) -> Simulated {
        let system = Simulated::new();
        let text = format!("format = 1\nnode = \"{role}-1\"\nrole = \"{role}\"\n");
        system.put_file("/state/node.toml", text.as_bytes());
        system
    }

    #[test]
    fn the_flag_is_there_until_it_is_undone() {
        let system = machine("galera");
        for undo in [false, false, true, true] {
            drained::set(&system, !undo).unwrap();
            assert_eq!(drained::is(&system), !undo);
        }
    }
}
