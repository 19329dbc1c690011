//! What must not happen: writes without a right, half an install that looks whole, a wrong machine that is taken anyway.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use fs_err as fs;
use run::event::{Event, Outcome};

use super::Site;
use super::site::Media;
use crate::machine::{Boot, Patience};

/// Boots the install medium, which must refuse before the first write with a message that holds each of `words`;
/// all disks are the same afterwards.
///
/// # Errors
/// If it installs, or says something else, or writes.
pub fn refuses(site: &mut Site, words: &[&str]) -> anyhow::Result<()> {
    let before = site.machine.fingerprints()?;
    let boot = site.medium_boot();
    let mut running = site.machine.boot(&boot)?;
    let mut said = Vec::new();
    let mut started = None;
    let ended = running.wait_for("refusal", Patience::BOOT, |event| match event {
        Event::Ended { outcome, message } => {
            said.push(message.clone());
            Some(*outcome)
        }
        Event::Failed { error, hint, .. } => {
            said.push(error.clone());
            said.extend(hint.clone());
            None
        }
        Event::Warned { message, .. } => {
            said.push(message.clone());
            None
        }
        Event::Started { step } => {
            started.get_or_insert_with(|| step.clone());
            None
        }
        _ => None,
    });
    let outcome = site.explain(ended, &mut running)?;
    running.kill();
    if let Some(step) = started {
        bail!("it was to refuse, but step `{step}` was started");
    }
    ensure!(
        outcome == Outcome::Refused,
        "it ended as {outcome:?}, expected a refusal: {}",
        said.join("\n")
    );
    let said = said.join("\n");
    for word in words {
        ensure!(
            said.contains(word),
            "the refusal does not say `{word}`:\n{said}"
        );
    }
    for (name, before) in before {
        ensure!(
            site.machine.fingerprint(&name)? == before,
            "disk `{name}` was written to by an install that was refused"
        );
    }
    Ok(())
}

/// Boots the install medium, which must come to a plan; the plug is pulled then.
///
/// # Errors
/// If it refuses.
pub fn plans(site: &mut Site) -> anyhow::Result<()> {
    let boot = site.medium_boot();
    let mut running = site.machine.boot(&boot)?;
    let planned = running.wait_for("a plan", Patience::BOOT, |event| match event {
        Event::Planned { .. } => Some(Ok(())),
        Event::Ended { message, .. } => Some(Err(message.clone())),
        _ => None,
    });
    let planned = site.explain(planned, &mut running)?;
    running.kill();
    planned.map_err(|message| anyhow::anyhow!("it was to make a plan, but it ended: {message}"))
}

/// The medium of an installed machine, booted again with the same permit.
///
/// # Errors
/// If it does not refuse, or writes.
pub fn spent_permit(site: &mut Site) -> anyhow::Result<()> {
    refuses(site, &["already installed with this permit"])
        .context("second boot of the medium with a spent permit")
}

/// Pulls the plug when the step whose id ends in `step` has just been started.
///
/// # Errors
/// If the install does not come that far.
pub fn interrupt(site: &mut Site, step: &str) -> anyhow::Result<()> {
    let boot = site.medium_boot();
    let media = Media::of(&boot)?;
    let mut running = site.machine.boot(&boot)?;
    let reached = running.wait_for(
        &format!("step `{step}`"),
        Patience::STEP,
        |event| match event {
            Event::Started { step: id } if id.ends_with(step) => Some(Ok(())),
            Event::Failed { error, .. } => Some(Err(error.clone())),
            Event::Ended { message, .. } => Some(Err(message.clone())),
            _ => None,
        },
    );
    let reached = site.explain(reached, &mut running)?;
    running.kill();
    if let Err(message) = reached {
        bail!("the install was to be interrupted at step `{step}`, but it ended before: {message}");
    }
    drop(running);
    site.are_unchanged(&media)?;
    site.canary_is_untouched()
}

/// What every console of a half installed machine shows.
const INCOMPLETE: &str = "INCOMPLETE";

impl Site {
    /// Boots the disks of an interrupted install: INCOMPLETE on both serial consoles, and never healthy.
    ///
    /// # Errors
    /// If it looks installed.
    pub fn is_incomplete(&mut self) -> anyhow::Result<()> {
        let mut running = self.machine.boot(&Boot::default())?;
        let start = Instant::now();
        loop {
            let shown = [0, 1].map(|port| running.console(port).contains(INCOMPLETE));
            if shown == [true, true] {
                break;
            }
            if start.elapsed() > Patience::BOOT.0 {
                let error = running.guest(
                    "INCOMPLETE on both consoles",
                    &format!("shown on ttyS0, ttyS1: {shown:?}"),
                );
                return self.explain(Err(error), &mut running);
            }
            // A poll of the events also notices a panic; running out of this short patience is the normal case.
            if let Ok(next) = running.next("INCOMPLETE", Patience(Duration::from_millis(500))) {
                let event = next.map(|record| record.event);
                if matches!(event, None | Some(Event::Health { healthy: true, .. })) {
                    let error = running.guest(
                        "INCOMPLETE on both consoles",
                        "it ended, or called itself healthy",
                    );
                    return self.explain(Err(error), &mut running);
                }
            }
        }
        Ok(())
    }
}

/// A stick that was written only in part: the machine says so and touches no disk.
///
/// # Errors
/// If it does anything else.
pub fn truncated_medium(site: &mut Site) -> anyhow::Result<()> {
    let before = site.machine.fingerprints()?;
    let file = fs::OpenOptions::new().write(true).open(&site.medium)?;
    let length = file.metadata()?.len();
    file.set_len(length / 2 / 4096 * 4096)?;
    let boot = site.medium_boot();
    let mut running = site.machine.boot(&boot)?;
    let start = Instant::now();
    // The first process of the initrd has no event port yet: its words are on the console.
    while !running.console(0).contains("cannot start:") {
        if !running.is_on() || start.elapsed() > Patience::BOOT.0 {
            let error = running.guest("`cannot start:` on the console", "it did not say so");
            return site.explain(Err(error), &mut running);
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    ensure!(
        running.seen().is_empty(),
        "events came from a truncated root image"
    );
    running.kill();
    for (name, before) in before {
        ensure!(
            site.machine.fingerprint(&name)? == before,
            "disk `{name}` was written to"
        );
    }
    Ok(())
}
