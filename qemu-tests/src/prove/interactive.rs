//! The whole install by keys over the serial line, and the status console afterwards.

use std::time::Duration;

use anyhow::Context as _;
use run::{Event, Outcome};

use super::machines::{BIOS_USB, Test};
use crate::images::Image;
use crate::machine::{Boot, Patience};
use crate::scenario::{Media, Site, check_status, press, sees};

/// From the refusal to the first screen: the program probes the machine again.
const FIRST: Duration = Duration::from_secs(180);
/// For a screen that needs nothing but drawing.
const NEXT: Duration = Duration::from_secs(60);

pub(super) fn tests() -> Vec<Test> {
    let test = |name, role, run| Test { name, role, run };
    vec![
        test("interactive::control", "control", by_keys),
        test("interactive::storage", "storage", by_keys),
    ]
}

/// A node file without a permit: the wizard asks a person.
fn by_keys(test: &Test, image: &Image) -> anyhow::Result<()> {
    let mut site = Site::new(
        test.role,
        image,
        BIOS_USB,
        |machine| machine,
        |node| node.permit = None,
    )?;
    let node = site.node.node.clone();
    let boot = site.medium_boot();
    let media = Media::of(&boot)?;
    let mut running = site.machine.boot(&boot)?;
    let refused = running.wait_for("the wizard's turn", Patience::BOOT, |event| {
        matches!(event, Event::Ended { .. }).then_some(())
    });
    site.explain(refused, &mut running)?;
    let mut keys = || -> anyhow::Result<()> {
        sees(&mut running, "What shall be done?", FIRST)?;
        // The first key takes the keyboard for this line.
        for (keys, words) in [
            (&["\r"][..], "[2 Hardware]"),
            (&["n"], "[3 Disks]"),
            (&["n"], "[4 Network]"),
            (&["n"], "[5 BMC]"),
            (&["n"], "[6 Cluster]"),
            (&["n"], "All content of these disks"),
            (&["\r"], "Type the name of the node"),
            (&["w", "r", "o", "n", "g", "\r"], "nothing was written"),
            (&["\u{15}"], "Type the name of the node"),
        ] {
            press(&running, keys)?;
            sees(&mut running, words, NEXT)?;
        }
        let name: Vec<String> = node.chars().map(String::from).collect();
        let name: Vec<&str> = name.iter().map(String::as_str).collect();
        press(&running, &name)?;
        sees(&mut running, &node, NEXT)?;
        press(&running, &["\r"])
    };
    let typed = keys().context("the wizard");
    site.explain(typed, &mut running)?;
    let ended = running.wait_for("end of the install", Patience::STEP, |event| match event {
        Event::Ended { outcome, message } => Some((*outcome, message.clone())),
        _ => None,
    });
    let (outcome, message) = site.explain(ended, &mut running)?;
    if outcome != Outcome::Done {
        let error = running.guest("end of the install", &message);
        return site.explain(Err(error), &mut running);
    }
    let mut restart = || -> anyhow::Result<()> {
        sees(&mut running, "What to do now", NEXT)?;
        press(&running, &["\r"])?;
        sees(&mut running, "Restart from the disks?", NEXT)?;
        press(&running, &["\u{1b}[B", "\r"])
    };
    let restarted = restart().context("the end of the wizard");
    site.explain(restarted, &mut running)?;
    let ended = running.wait_for_end(Patience::STEP);
    site.explain(ended, &mut running)?;
    drop(running);
    site.are_unchanged(&media)?;

    let (mut running, status) = site.start(&Boot::default(), &mut |_| {})?;
    check_status(&site.role, &status)?;
    let shown = sees(&mut running, "HEALTHY", FIRST)
        .and_then(|()| sees(&mut running, &site.node.node, NEXT))
        .context("the status console");
    site.explain(shown, &mut running)
}
