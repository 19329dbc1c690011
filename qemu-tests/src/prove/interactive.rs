//! What people do by keys over the serial line: the whole install, a node file written to a stick that installs the next machine
//! alone, a repair, and the status console afterwards.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use roles::node::Shell;
use run::{Event, Outcome};

use super::machines::{BIOS_USB, Test, UEFI_USB, finish};
use crate::images::Image;
use crate::machine::{Boot, Patience, Running, read_from_stick};
use crate::node;
use crate::scenario::{Case, Media, NodePlace, Site, check_status, press, sees};

/// From the refusal to the first screen: the program probes the machine again.
const FIRST: Duration = Duration::from_secs(180);
/// For a screen that needs nothing but drawing.
const NEXT: Duration = Duration::from_secs(60);
/// Seconds before an unattended install: enough for a slow machine to see them and press a key.
const WAIT: u32 = 60;

pub(super) fn tests() -> Vec<Test> {
    let test = |name, role, run| Test { name, role, run };
    vec![
        test("interactive::control", "control", stopped_in_time),
        test("interactive::storage", "storage", saved_for_the_next),
        test("interactive::repair", "lb", repaired),
    ]
}

/// A permitted install that somebody stops in its last seconds, and a node file that keeps the shell closed.
fn stopped_in_time(test: &Test, image: &Image) -> anyhow::Result<()> {
    let mut site = Site::new(
        test.role,
        image,
        BIOS_USB,
        |machine| machine,
        |node| {
            node.console.wait = Some(WAIT);
            node.console.shell = Some(Shell::Closed);
        },
    )?;
    let boot = site.medium_boot();
    let media = Media::of(&boot)?;
    let mut running = site.machine.boot(&boot)?;
    let mut stop = || -> anyhow::Result<()> {
        let words = "Esc leads to the wizard instead";
        sees(&mut running, words, Patience::BOOT.0)?;
        press(&running, &["\u{1b}"])
    };
    let stopped = stop().context("the last seconds");
    site.explain(stopped, &mut running)?;
    let mut closed = || -> anyhow::Result<()> {
        wait_for_wizard(&mut running)?;
        press(&running, &["\u{1b}[24~"])?;
        sees(&mut running, "keeps the shell closed", NEXT)
    };
    let closed = closed().context("F12");
    site.explain(closed, &mut running)?;
    install(&mut site, &mut running, |_| Ok(()))?;
    drop(running);
    site.are_unchanged(&media)?;
    console_is_healthy(&mut site)
}

/// A machine for which there is no permit. What the wizard writes onto a stick installs the same kind of machine without anybody.
fn saved_for_the_next(test: &Test, image: &Image) -> anyhow::Result<()> {
    // SeaBIOS finds no stick beside this many disks: `No bootable device` (screen of 2026-11-24, SeaBIOS 1.16.2).
    let case = Case {
        node: NodePlace::Stick,
        ..UEFI_USB
    };
    let mut site = Site::new(
        test.role,
        image,
        case,
        |machine| machine,
        |node| node.permit = None,
    )?;
    let boot = site.medium_boot();
    let mut running = site.machine.boot(&boot)?;
    let wizard = wait_for_wizard(&mut running);
    site.explain(wizard, &mut running)?;
    install(&mut site, &mut running, |running| {
        press(running, &["w"])?;
        sees(running, "its file system or partition is named", NEXT)?;
        press(running, &["\r"])?;
        sees(running, "Write onto which stick?", NEXT)?;
        press(running, &["\u{1b}[B", "\r"])?;
        sees(running, "written:", NEXT)
    })?;
    drop(running);
    console_is_healthy(&mut site)?;

    let stick = &boot.media.last().context("no stick")?.image;
    let text = read_from_stick(stick, &format!("{}.toml", site.node.node))?;
    drop(site);
    let mut next = Site::new(test.role, image, UEFI_USB, |machine| machine, |_| {})?;
    next.node = toml::from_str(&text).context("the node file on the stick")?;
    ensure!(
        next.node.permit.is_some(),
        "the saved node file permits nothing"
    );
    next.write_node_file(&text)?;
    // By the events alone: it lets in whoever has the key of the first machine.
    next.install(&mut |_| {})
        .context("the next machine, with the node file that the wizard wrote")?;
    let (_running, status) = next.start(&Boot::default(), &mut |_| {})?;
    check_status(&next.role, &status)
}

/// A dead OS disk is replaced, and the mirror is brought back from the wizard's own screen.
fn repaired(test: &Test, image: &Image) -> anyhow::Result<()> {
    let mut site = Site::new(test.role, image, BIOS_USB, |machine| machine, |_| {})?;
    finish(&mut site)?;
    site.machine.replace_disk("os1")?;
    site.node.permit = None;
    let text = node::text(&site.node)?;
    site.write_node_file(&text)?;
    let mut running = site.machine.boot(&site.medium_boot())?;
    let name = site.node.node.clone();
    let mut keys = || -> anyhow::Result<()> {
        wait_for_wizard(&mut running)?;
        press(&running, &["\u{1b}[B", "\r"])?;
        sees(&mut running, "1 of 2 disks MISSING", FIRST)?;
        press(&running, &["\r"])?;
        sees(&mut running, "repair of", NEXT)?;
        confirm(&mut running, &name)
    };
    let typed = keys().context("the repair");
    site.explain(typed, &mut running)?;
    ended(&mut site, &mut running)?;
    let (mut running, _status) = site
        .start(&Boot::default(), &mut |_| {})
        .context("first boot after the repair")?;
    super::disks::mirror_is_whole(&site, &mut running)
}

/// The installer stood back, and the wizard stands on the line. The first key takes the keyboard for it.
fn wait_for_wizard(running: &mut Running) -> anyhow::Result<()> {
    running.wait_for("the wizard's turn", Patience::BOOT, |event| {
        matches!(event, Event::Ended { .. }).then_some(())
    })?;
    sees(running, "What shall be done?", FIRST)
}

/// From the first screen through all others to the restart. `review` is done where the whole plan stands on the screen.
fn install(
    site: &mut Site,
    running: &mut Running,
    review: impl FnOnce(&mut Running) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let name = site.node.node.clone();
    let keys = || -> anyhow::Result<()> {
        for (keys, words) in [
            (&["\r"][..], "[2 Hardware]"),
            (&["n"], "[3 Disks]"),
            (&["n"], "[4 Network]"),
            (&["n"], "[5 BMC]"),
            (&["n"], "[6 Cluster]"),
            (&["n"], "All content of these disks"),
        ] {
            press(running, keys)?;
            sees(running, words, NEXT)?;
        }
        review(running)?;
        confirm(running, &name)
    };
    let typed = keys().context("the wizard");
    site.explain(typed, running)?;
    ended(site, running)
}

/// The name is asked for; a wrong one writes nothing.
fn confirm(running: &mut Running, name: &str) -> anyhow::Result<()> {
    for (keys, words) in [
        (&["\r"][..], "Type the name of the node"),
        (&["w", "r", "o", "n", "g", "\r"], "nothing was written"),
        (&["\u{15}"], "Type the name of the node"),
    ] {
        press(running, keys)?;
        sees(running, words, NEXT)?;
    }
    let keys: Vec<String> = name.chars().map(String::from).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    press(running, &keys)?;
    sees(running, name, NEXT)?;
    press(running, &["\r"])
}

/// It ends well, and the restart is asked for by keys.
fn ended(site: &mut Site, running: &mut Running) -> anyhow::Result<()> {
    let ended = running.wait_for("end of the install", Patience::STEP, |event| match event {
        Event::Ended { outcome, message } => Some((*outcome, message.clone())),
        _ => None,
    });
    let (outcome, message) = site.explain(ended, running)?;
    if outcome != Outcome::Done {
        let error = running.guest("end of the install", &message);
        return site.explain(Err(error), running);
    }
    let mut restart = || -> anyhow::Result<()> {
        sees(running, "What to do now", NEXT)?;
        press(running, &["\r"])?;
        sees(running, "Restart from the disks?", NEXT)?;
        press(running, &["\u{1b}[B", "\r"])
    };
    let restarted = restart().context("the end of the wizard");
    site.explain(restarted, running)?;
    let off = running.wait_for_end(Patience::STEP);
    site.explain(off, running)
}

/// First boot from the disks, read from the status console on the same line.
fn console_is_healthy(site: &mut Site) -> anyhow::Result<()> {
    let (mut running, status) = site.start(&Boot::default(), &mut |_| {})?;
    check_status(&site.role, &status)?;
    let shown = sees(&mut running, "HEALTHY", FIRST)
        .and_then(|()| sees(&mut running, &site.node.node, NEXT))
        .context("the status console");
    site.explain(shown, &mut running)
}
