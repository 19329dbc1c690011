//! `fence`: switches another machine off through its management controller, and says so only when it has been seen off. For the
//! control servers, before something that two machines must not do at once is given to another.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use camino::Utf8Path;
use firmware::bmc::{
    Password,
    chassis::{self, Power},
    remote::Session,
};
use firmware::ipmi::IpmiTransport as _;
use roles::NodeFile;
use serde::Serialize;
use system::{System, delivered};

use crate::output;

/// Time for the power to be off; boards switch within seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// The management controller of a machine, as the control servers' node files say it.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    address: String,
    user: String,
}

#[derive(Serialize)]
struct Fenced<'a> {
    node: &'a str,
    on: bool,
}

/// `fence`. 0: the machine is off.
///
/// # Errors
/// It was not seen off: nobody may take its place.
pub fn run(system: &dyn System, node: &NodeFile, name: &str, json: bool) -> anyhow::Result<u8> {
    let target = target(node, name)?;
    let path = Utf8Path::new(delivered::FOLDER).join(format!("bmc-{name}"));
    let password = system.read(&path).with_context(|| {
        format!("the password of the management controller of `{name}` was not delivered to this machine")
    })?;
    let password = Password::parse(&String::from_utf8(password)?)?;
    let mut session = Session::open(&target.address, &target.user, &password)?;
    let started = Instant::now();
    // Off already is what is wanted: boards refuse the command then.
    if chassis::status(&mut session)?.on {
        chassis::control(&mut session, Power::Off)?;
    }
    while chassis::status(&mut session)?.on {
        if started.elapsed() > PATIENCE {
            bail!(
                "the management controller of `{name}` took the command, but the machine is still on after {} s\n\
                 hint: it is not fenced: pull its cables before another takes its place",
                PATIENCE.as_secs()
            );
        }
        session.pause(Duration::from_millis(500));
    }
    if json {
        output::json(&Fenced {
            node: name,
            on: false,
        })?;
    } else {
        output::text(&format!("`{name}` is off\n"))?;
    }
    Ok(0)
}

fn target(node: &NodeFile, name: &str) -> anyhow::Result<Target> {
    if name == node.node {
        bail!("`{name}` is this machine");
    }
    let Some(known) = node.settings.get("fence").and_then(toml::Value::as_array) else {
        bail!(
            "`{}` is not told how to fence: only control servers are, by `rackwright compile`",
            node.node
        );
    };
    let text = |entry: &toml::Value, key: &str| Some(entry.get(key)?.as_str()?.to_owned());
    let names: Vec<String> = known
        .iter()
        .filter_map(|entry| text(entry, "name"))
        .collect();
    let entry = known
        .iter()
        .find(|entry| text(entry, "name").as_deref() == Some(name));
    let target = entry.and_then(|entry| {
        Some(Target {
            address: text(entry, "address")?,
            user: text(entry, "user")?,
        })
    });
    target.with_context(|| {
        format!(
            "no management controller of `{name}` is known\nhint: one of: {}",
            names.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_plan_names_is_fenced() {
        let mut node = NodeFile {
            node: "control1".into(),
            ..NodeFile::default()
        };
        let words = |node: &NodeFile, name| target(node, name).unwrap_err().to_string();
        assert_eq!(
            words(&node, "db1"),
            "`control1` is not told how to fence: only control servers are, by `rackwright compile`"
        );
        let text =
            "fence = [{ name = \"db1\", address = \"10.77.10.131\", user = \"rackwright\" }]";
        node.settings = toml::from_str(text).unwrap();
        assert_eq!(words(&node, "control1"), "`control1` is this machine");
        assert_eq!(
            words(&node, "db2"),
            "no management controller of `db2` is known\nhint: one of: db1"
        );
        let found = target(&node, "db1").unwrap();
        assert_eq!(
            (found.address.as_str(), found.user.as_str()),
            ("10.77.10.131", "rackwright")
        );
    }
}
