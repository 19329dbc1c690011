//! A machine sets up its BMC from inside; the workstation then logs in to the same BMC over the network, and switches the
//! machine.

use anyhow::{Context as _, ensure};
use camino::Utf8Path;
use firmware::bmc::chassis::{self, Power};
use firmware::bmc::remote::Session;
use firmware::bmc::{Password, current, sel};
use run::event::Event;

use super::machines::{BIOS_USB, Test};
use crate::images::Image;
use crate::machine::{Bmc, Patience, Running};
use crate::node;
use crate::scenario::{Site, type_in};

pub(super) fn tests() -> Vec<Test> {
    vec![Test {
        name: "bmc::set-up-from-inside",
        role: "lb",
        run: set_up,
    }]
}

const USER: &str = "rackwright";
/// Sixteen characters, the most that a BMC keeps; of a simulated server only.
const PASSWORD: &str = "correct-horse-ba";
const ADDRESS: [u8; 4] = [192, 0, 2, 111];
/// In the live system.
const NODE: &str = "/run/bmc-node.toml";

fn set_up(test: &Test, image: &Image) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = Utf8Path::from_path(folder.path()).context("the folder has no UTF-8 name")?;
    let bmc = Bmc::start(folder)?;
    let port = bmc.machine_port;
    let mut site = Site::new(
        test.role,
        image,
        BIOS_USB,
        |machine| machine.external_bmc(port),
        // Nobody permits anything: the live system waits.
        |node| node.permit = None,
    )?;
    let mut running = live(&mut site)?;
    let write = format!(
        "umask 077; mkdir -p /run/rackwright/secrets; printf {PASSWORD} > /run/rackwright/secrets/bmc; {}",
        write_node(&site)?
    );
    let typed = type_in(&mut running, &write);
    site.explain(typed, &mut running)?;
    let apply = format!("rackwright-installer bmc apply --node {NODE} --set-clock");
    let said = type_in(&mut running, &apply);
    let said = site.explain(said, &mut running)?;
    ensure!(
        said.contains("new user rackwright") && !said.contains(PASSWORD),
        "{said}"
    );
    let shown = type_in(&mut running, &show());
    site.explain(shown, &mut running)?;

    let password = Password::parse(PASSWORD)?;
    let mut session = Session::open(&bmc.address(), USER, &password)
        .context("the account that the machine made")?;
    let now = current::read(&mut session)?;
    ensure!(
        now.lan.address.octets() == ADDRESS && now.lan.vlan == Some(10),
        "{:?}",
        now.lan
    );
    ensure!(sel::time(&mut session)?.is_some(), "its clock is not set");

    // The simulator tells what it was asked; we are its power switch.
    chassis::control(&mut session, Power::Off)?;
    ensure!(!bmc.power()?, "the power was not switched off");
    running.kill();
    chassis::control(&mut session, Power::On)?;
    ensure!(bmc.power()?, "the power was not switched on");
    let mut running = live(&mut site)?;
    // What was set is still there, and nothing is left to change; the password of this boot was not delivered.
    let script = format!("{}; {}", write_node(&site)?, show());
    let shown = type_in(&mut running, &script);
    site.explain(shown, &mut running).map(drop)
}

/// Boots the medium up to the refusal.
fn live(site: &mut Site) -> anyhow::Result<Running> {
    let boot = site.medium_boot();
    let mut running = site.machine.boot(&boot)?;
    let refused = running.wait_for("refusal without permit", Patience::BOOT, |event| {
        matches!(event, Event::Ended { .. }).then_some(())
    });
    site.explain(refused, &mut running)?;
    Ok(running)
}

/// A command that writes a node file with `[bmc]`.
fn write_node(site: &Site) -> anyhow::Result<String> {
    let mut file = site.node.clone();
    file.access = Default::default();
    file.networks.clear();
    file.bmc = Some(roles::wiring::BmcSettings {
        address: Some(format!("{}/24", std::net::Ipv4Addr::from(ADDRESS))),
        gateway: Some("192.0.2.1".to_owned()),
        vlan: Some(10),
        mode: None,
        user: Some(USER.to_owned()),
    });
    let text = node::text(&file)?.replace('\n', "\\n");
    Ok(format!("printf '{text}' > {NODE}"))
}

fn show() -> String {
    format!("rackwright-installer bmc show --node {NODE}")
}
