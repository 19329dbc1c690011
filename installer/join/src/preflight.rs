//! Steps that only look: nothing of the cluster can be harmed by them.

use std::time::Duration;

use camino::Utf8Path;
use serde::Deserialize;
use system::{
    Command, System,
    delivered::{self, secret},
};

use crate::{context::Context, sql::words, step::Outcome};

/// A parser waits for nobody, but a machine may be slow: an emulated one beside three others needed more than a minute
/// (2026-11-30, `mariadbd --help`).
const PARSERS: Duration = Duration::from_secs(300);

/// These secrets were delivered.
pub(crate) fn secrets(system: &dyn System, names: &[String]) -> Outcome {
    let missing: Vec<String> = names
        .iter()
        .filter(|name| secret(system, name).is_none())
        .map(|name| format!("`{name}`"))
        .collect();
    if missing.is_empty() {
        Outcome::Done(format!("{} delivered", names.len()))
    } else {
        Outcome::Wait(format!(
            "secrets that were not delivered: {}; `rackwright-installer unlock` opens a sealed file",
            missing.join(", ")
        ))
    }
}

/// The first address is on an interface that has a carrier. A network that the node file does not have is no matter of ours.
pub(crate) fn network(context: &Context<'_>, name: &str) -> Outcome {
    let planned = context
        .node
        .networks
        .iter()
        .find(|network| network.name == name);
    let Some(address) = planned.and_then(|network| network.addresses.first()) else {
        return Outcome::Done(format!("the node file has no address on `{name}`"));
    };
    let show = Command::new("ip").args(["-oneline", "address", "show", "up"]);
    match context.system.run(&show) {
        Err(error) => Outcome::Failed(words(&error)),
        Ok(output) if output.stdout.contains(&format!(" {address} ")) => {
            Outcome::Done(format!("{address} is there"))
        }
        Ok(_) => Outcome::Wait(format!("the address {address} of `{name}`")),
    }
}

/// chrony has a source that it believes.
pub(crate) fn clock(context: &Context<'_>) -> Outcome {
    if context.node.ntp.is_empty() {
        return Outcome::Done("the node file names no time server".into());
    }
    let command = Command::new("chronyc")
        .args(["-n", "waitsync", "1"])
        .timeout(Duration::from_secs(15));
    match context.system.run(&command) {
        Ok(_) => Outcome::Done("synchronised".into()),
        Err(_) => Outcome::Wait("the clock to be synchronised".into()),
    }
}

/// The certificate is there, where the settings want TLS. It is the last file of its folder that is written.
pub(crate) fn certificate(context: &Context<'_>, group: &str) -> Outcome {
    #[derive(Deserialize)]
    struct Only {
        #[serde(default)]
        tls: bool,
    }
    match context.role.settings_as::<Only>(context.node) {
        Err(error) => Outcome::Failed(error.to_string()),
        Ok(Only { tls: false }) => Outcome::Done("the settings want no TLS".into()),
        Ok(Only { tls: true }) => {
            let path = delivered::certificate(group);
            if context.system.exists(&path) {
                Outcome::Done("the certificate is there".into())
            } else {
                Outcome::Wait(
                    "this machine's certificate; `journalctl -u rackwright-identity` says what it waits for".into(),
                )
            }
        }
    }
}

/// Path is a mount point.
pub(crate) fn mount(system: &dyn System, path: &str) -> Outcome {
    match system.read(Utf8Path::new("/proc/self/mounts")) {
        Err(error) => Outcome::Failed(error.to_string()),
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            if text
                .lines()
                .any(|line| line.split(' ').nth(1) == Some(path))
            {
                Outcome::Done(format!("{path} is mounted"))
            } else {
                Outcome::Wait(format!("`{path}` to be mounted"))
            }
        }
    }
}

/// A daemon's own parser takes its file.
pub(crate) fn check(system: &dyn System, command: &[String]) -> Outcome {
    let Some((program, arguments)) = command.split_first() else {
        return Outcome::Done("nothing to check".into());
    };
    let command = Command::new(program)
        .args(arguments.iter().cloned())
        .timeout(PARSERS);
    Outcome::tried(system.run(&command).map_err(|error| words(&error)), |_| {
        Outcome::Done("its own parser takes the file".into())
    })
}
