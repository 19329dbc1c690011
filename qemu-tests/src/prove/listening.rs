//! What listens on an installed machine, by `ss` of the machine itself, against the port lists of its role: docs/security.md is made
//! from the same lists, so nothing may listen that is not in it.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use roles::role::Port;

use super::machines::{Test, UEFI_USB};
use crate::images::{Image, workspace};
use crate::machine::Boot;
use crate::scenario::Site;

/// Ports from here on belong to connections that the machine itself begins (`ip_local_port_range`).
const EPHEMERAL: u16 = 32768;

pub(super) fn tests() -> Vec<Test> {
    let test = |name, role| Test {
        name,
        role,
        run: installed,
    };
    vec![
        test("listens::control", "control"),
        test("listens::production", "production"),
        test("listens::standalone", "standalone"),
        test("listens::database", "database"),
        test("listens::galera", "galera"),
        test("listens::lb", "lb"),
        test("listens::storage", "storage"),
        test("listens::backup", "backup"),
    ]
}

fn installed(test: &Test, image: &Image) -> anyhow::Result<()> {
    let mut site = Site::new(test.role, image, UEFI_USB, |machine| machine, |_| {})?;
    site.install(&mut |_| {})?;
    let (mut running, _status) = site.start(&Boot::default(), &mut |_| {})?;
    let planned = is_as_planned(&site);
    site.explain(planned, &mut running)
}

/// Everything that listens at another address than the loopback is in the role's port list, or in that of all roles.
///
/// # Errors
/// With the lines of `ss` that are not.
fn is_as_planned(site: &Site) -> anyhow::Result<()> {
    let roles = roles::folder::read(&workspace().join("roles"))?;
    let role = &roles.roles.get(&site.role).context("no such role")?.role;
    let planned: Vec<&Port> = role.ports.iter().chain(&roles.common.ports).collect();
    let answer = site
        .shell
        .run("sudo ss --no-header -lntup", Duration::from_secs(120))?;
    ensure!(
        answer.status == 0 && answer.stdout.contains(":22"),
        "`ss` shows not even ssh: {}{}",
        answer.stdout,
        answer.stderr
    );
    let unplanned = unplanned(&answer.stdout, &planned);
    ensure!(
        unplanned.is_empty(),
        "listens, and is in no port list of `{}` (roles/{}/role.toml):\n{}",
        site.role,
        site.role,
        unplanned.join("\n")
    );
    Ok(())
}

/// Lines whose port is not planned. Columns: protocol, state, queues, own address, peer, program (ss(8)).
fn unplanned(listing: &str, planned: &[&Port]) -> Vec<String> {
    listing
        .lines()
        .filter(|line| {
            let mut fields = line.split_whitespace();
            let (protocol, own) = (fields.next().unwrap_or_default(), fields.nth(3));
            let Some((address, port)) = own.and_then(|own| own.rsplit_once(':')) else {
                return true;
            };
            let Ok(port) = port.parse::<u16>() else {
                return true;
            };
            let is_own_client = protocol == "udp" && port >= EPHEMERAL;
            !(is_loopback(address)
                || is_own_client
                || planned.iter().any(|plan| has(plan, protocol, port)))
        })
        .map(str::to_owned)
        .collect()
}

/// `127.0.0.53%lo`, `[::1]`.
fn is_loopback(address: &str) -> bool {
    address.starts_with("127.") || address == "[::1]" || address.ends_with("%lo")
}

fn has(plan: &Port, protocol: &str, port: u16) -> bool {
    let Some(text) = &plan.port else {
        return false;
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    plan.protocol == protocol
        && matches!((first.parse(), last.parse()), (Ok(first), Ok(last)) if (first..=last).contains(&port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_planned_may_listen() {
        let port = |protocol: &str, port: &str| Port {
            service: "x".into(),
            protocol: protocol.into(),
            port: Some(port.into()),
            from: Vec::new(),
            peers: Vec::new(),
        };
        let (ssh, streams) = (port("tcp", "22"), port("udp", "10000-10255"));
        let listing = "udp UNCONN 0 0 127.0.0.53%lo:53 0.0.0.0:* users:((\"systemd-resolve\"))\n\
            udp UNCONN 0 0 0.0.0.0:40000 0.0.0.0:*\n\
            udp UNCONN 0 0 0.0.0.0:10255 0.0.0.0:*\n\
            udp UNCONN 0 0 0.0.0.0:10256 0.0.0.0:*\n\
            tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:*\n\
            tcp LISTEN 0 128 [::]:22 [::]:*\n\
            tcp LISTEN 0 128 [::1]:25 [::]:*\n\
            tcp LISTEN 0 128 *:3306 *:*\n\
            tcp LISTEN 0 128 0.0.0.0:40000 0.0.0.0:*\n\
            nonsense\n";
        let found = unplanned(listing, &[&ssh, &streams]);
        let found: Vec<&str> = found
            .iter()
            .filter_map(|line| line.split_whitespace().nth(4))
            .collect();
        assert_eq!(found, ["0.0.0.0:10256", "*:3306", "0.0.0.0:40000"]);
        assert_eq!(unplanned("nonsense\n", &[]).len(), 1);
    }
}
