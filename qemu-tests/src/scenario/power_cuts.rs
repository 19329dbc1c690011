//! Installs that lose power at a random moment, counted: what they came to after the next start, whether anything looked installed
//! that was not, whether a foreign byte was touched.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use run::event::{Event, Outcome};

use super::site::Media;
use super::{Case, NodePlace, Site};
use crate::images::Image;
use crate::machine::{
    Attachment, Boot, Disk, Fingerprint, Firmware, MachineError, MediumKind, Patience, Rotation,
    Running,
};
use crate::random::Random;

/// A second disk that no plan names, on another kind of controller than the canary.
const FOREIGN: &str = "foreign";
/// How long a machine may be silent before it counts as one that does not start.
const SILENCE: Duration = Duration::from_secs(240);
/// What the medium says of a machine that was installed with the same permit.
const INSTALLED: &str = "already installed with this permit";

/// What an install came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The next start of the medium finished it, and the machine was healthy from its own disks.
    Completed,
    /// The next start of the medium said why it does not go on.
    Stopped(String),
    /// Something called it installed, and it was not. Must not be.
    LookedInstalled(String),
    /// A disk or medium outside of the plan has changed. Must not be.
    Foreign(String),
}

/// What a start from the disks showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It called itself healthy.
    Healthy,
    /// It called itself unhealthy.
    Unhealthy,
    /// INCOMPLETE on its console.
    Incomplete,
    /// It said nothing that counts, or ended.
    Nothing,
}

/// One install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// From 1.
    pub number: u64,
    /// Firmware and medium.
    pub how: String,
    /// Power went so long after the plan.
    pub after: Duration,
    /// The step that had been started last, or that the install was over.
    pub step: String,
    /// Start from the disks before the medium came again, where there was one.
    pub between: Option<Seen>,
    /// What it came to.
    pub verdict: Verdict,
}

/// Installs `role` `runs` times; the moments are those of `seed`. `tell` hears of each one.
///
/// # Errors
/// If an install without a cut fails, or QEMU does.
pub fn power_cuts(
    role: &str,
    image: &Image,
    runs: u64,
    seed: u64,
    tell: &mut dyn FnMut(&str),
) -> anyhow::Result<Vec<Cut>> {
    let length = {
        let mut site = site(role, image, Firmware::Bios)?.0;
        site.install(&mut |_| {})
            .context("an install without a power cut")?;
        site.timings.install
    };
    tell(&format!(
        "an install without a cut: {:.0} s from plan to end",
        length.as_secs_f64()
    ));
    let mut cuts = Vec::new();
    for number in 1..=runs {
        let cut = one(role, image, number, Random::of(seed, number), length)
            .with_context(|| format!("power cut {number} of seed {seed}"))?;
        tell(&line(&cut));
        cuts.push(cut);
    }
    Ok(cuts)
}

fn site(role: &str, image: &Image, firmware: Firmware) -> anyhow::Result<(Site, Fingerprint)> {
    let case = Case {
        firmware,
        medium: MediumKind::Usb,
        node: NodePlace::Medium,
    };
    // No role takes so small a disk.
    let foreign = Disk::sata(
        FOREIGN,
        "foreign",
        "FOREIGN-1",
        0,
        8_012_390_400,
        Rotation::Solid,
    )
    .attached(Attachment::Virtio);
    let site = Site::new(role, image, case, |machine| machine.disk(foreign), |_| {})?;
    site.machine.fill_with_pattern(FOREIGN)?;
    let before = site.machine.fingerprint(FOREIGN)?;
    Ok((site, before))
}

/// One machine: an install that is cut off, a look or none, the medium again, its own disks.
fn one(
    role: &str,
    image: &Image,
    number: u64,
    mut random: Random,
    length: Duration,
) -> anyhow::Result<Cut> {
    let firmware = if random.below(2) == 0 {
        Firmware::Bios
    } else {
        Firmware::Uefi
    };
    let after = length.mul_f64(random.fraction());
    let looks = random.below(2) == 0;
    let (mut site, foreign) = site(role, image, firmware)?;
    let media = Media::of(&site.medium_boot())?;
    let untouched = |site: &mut Site| -> anyhow::Result<Option<String>> {
        if let Err(error) = site
            .are_unchanged(&media)
            .and_then(|()| site.canary_is_untouched())
        {
            return Ok(Some(format!("{error:#}")));
        }
        let now = site.machine.fingerprint(FOREIGN)?;
        Ok((now != foreign).then(|| format!("the disk `{FOREIGN}` was written to")))
    };
    let step = cut_off(&mut site, after)?;
    let mut touched = untouched(&mut site)?;
    let between = if looks && touched.is_none() {
        Some(from_disks(&mut site)?)
    } else {
        None
    };
    touched = touched.or(untouched(&mut site)?);
    let verdict = match touched {
        Some(what) => Verdict::Foreign(what),
        None => {
            let said = again(&mut site)?;
            let last = from_disks(&mut site)?;
            match untouched(&mut site)? {
                Some(what) => Verdict::Foreign(what),
                None => judge(step.is_none(), between, &said, last),
            }
        }
    };
    if !matches!(verdict, Verdict::Completed) {
        site.machine.keep_logs();
    }
    Ok(Cut {
        number,
        how: format!("{firmware:?}, USB"),
        after,
        step: step.unwrap_or_else(|| "(over before the cut)".to_owned()),
        between,
        verdict,
    })
}

/// What the medium said at its second start.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    outcome: Outcome,
    words: String,
}

/// The rule. `over`: the install had said that it was done before power went.
fn judge(over: bool, between: Option<Seen>, said: &Said, last: Seen) -> Verdict {
    if !over && between == Some(Seen::Healthy) {
        return Verdict::LookedInstalled(
            "it called itself healthy before its install had ended".to_owned(),
        );
    }
    let installed = said.outcome == Outcome::Done || said.words.contains(INSTALLED);
    match (installed, last) {
        (true, Seen::Healthy) => Verdict::Completed,
        (true, _) => Verdict::LookedInstalled(format!(
            "the medium said `{}`, its own disks: {last:?}",
            said.words
        )),
        (false, Seen::Healthy) => Verdict::LookedInstalled(format!(
            "healthy from its own disks although the medium said `{}`",
            said.words
        )),
        (false, _) => Verdict::Stopped(said.words.clone()),
    }
}

/// Boots the medium and pulls the plug so long after the plan; gives the step that was under way, nothing if all were done.
fn cut_off(site: &mut Site, after: Duration) -> anyhow::Result<Option<String>> {
    let boot = site.medium_boot();
    let mut running = site.machine.boot(&boot)?;
    let planned = running.wait_for("a plan", Patience::BOOT, |event| match event {
        Event::Planned { .. } => Some(Ok(())),
        Event::Ended { message, .. } => Some(Err(message.clone())),
        _ => None,
    });
    if let Err(message) = site.explain(planned, &mut running)? {
        anyhow::bail!("the install ended before its plan: {message}");
    }
    let end = Instant::now() + after;
    let mut step = Some("(none)".to_owned());
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        match running.next("the moment of the cut", Patience(left)) {
            Ok(Some(record)) => match record.event {
                Event::Started { step: id } => step = Some(id),
                Event::Ended {
                    outcome: Outcome::Done,
                    ..
                } => step = None,
                Event::Ended { message, .. } => {
                    anyhow::bail!("the install ended before the cut: {message}")
                }
                _ => {}
            },
            // It has restarted by itself.
            Ok(None) | Err(MachineError::Late { .. }) => break,
            Err(error) => return site.explain(Err(error), &mut running),
        }
    }
    running.kill();
    Ok(step)
}

/// The same medium with the same permit.
fn again(site: &mut Site) -> anyhow::Result<Said> {
    let boot = site.medium_boot();
    let mut running = site.machine.boot(&boot)?;
    let mut why = String::new();
    let said = running.wait_for("end of the install", Patience::STEP, |event| match event {
        Event::Failed { error, .. } => {
            why.clone_from(error);
            None
        }
        Event::Ended { outcome, message } => Some(Said {
            outcome: *outcome,
            words: format!("{message} {why}").trim().to_owned(),
        }),
        _ => None,
    });
    let said = site.explain(said, &mut running)?;
    if said.outcome == Outcome::Done {
        let ended = running.wait_for_end(Patience::STEP);
        site.explain(ended, &mut running)?;
    }
    running.kill();
    Ok(said)
}

/// Starts the machine without any medium.
fn from_disks(site: &mut Site) -> anyhow::Result<Seen> {
    let mut running = site.machine.boot(&Boot::default())?;
    let seen = watch(&mut running);
    running.kill();
    Ok(seen)
}

fn watch(running: &mut Running) -> Seen {
    let start = Instant::now();
    let mut size = 0;
    let mut grown = start;
    loop {
        match running.next("health", Patience(Duration::from_secs(1))) {
            Ok(Some(record)) => match record.event {
                Event::Health { healthy: true, .. } => return Seen::Healthy,
                Event::Health { healthy: false, .. } => return Seen::Unhealthy,
                _ => {}
            },
            Err(MachineError::Late { .. }) => {}
            Ok(None) | Err(_) => return Seen::Nothing,
        }
        let consoles = [0, 1].map(|port| running.console(port));
        if consoles.iter().any(|text| text.contains("INCOMPLETE")) {
            return Seen::Incomplete;
        }
        let now: usize = consoles.iter().map(String::len).sum();
        if now != size {
            (size, grown) = (now, Instant::now());
        }
        // No disk to start from: the firmware waits, or restarts for ever.
        if grown.elapsed() > SILENCE || start.elapsed() > Patience::HEALTH.0 {
            return Seen::Nothing;
        }
    }
}

fn line(cut: &Cut) -> String {
    let verdict = match &cut.verdict {
        Verdict::Completed => "completed after restart".to_owned(),
        Verdict::Stopped(why) => format!("stopped: {why}"),
        Verdict::LookedInstalled(why) => format!("LOOKED INSTALLED: {why}"),
        Verdict::Foreign(what) => format!("FOREIGN BYTES: {what}"),
    };
    let between = cut
        .between
        .map_or_else(String::new, |seen| format!(", its own disks: {seen:?}"));
    format!(
        "{} {}: cut {:.1} s after the plan, at {}{between}; {verdict}",
        cut.number,
        cut.how,
        cut.after.as_secs_f64(),
        cut.step
    )
}

/// Neither of the two things that must not be.
#[must_use]
pub fn is_green(cuts: &[Cut]) -> bool {
    let harm = |cut: &Cut| {
        matches!(
            cut.verdict,
            Verdict::LookedInstalled(_) | Verdict::Foreign(_)
        )
    };
    !cuts.is_empty() && !cuts.iter().any(harm)
}

/// The counts, and a line for each install.
#[must_use]
pub fn markdown(role: &str, seed: u64, cuts: &[Cut]) -> String {
    let count =
        |wanted: fn(&Verdict) -> bool| cuts.iter().filter(|cut| wanted(&cut.verdict)).count();
    let mut text = format!(
        "{} installs of `{role}`, power cut at a random moment, seed {seed}\n\n\
         | completed after restart | stopped with reason | looked installed but was not (must be 0) | foreign bytes touched (must be 0) |\n|---|---|---|---|\n\
         | {} | {} | {} | {} |\n\n",
        cuts.len(),
        count(|verdict| matches!(verdict, Verdict::Completed)),
        count(|verdict| matches!(verdict, Verdict::Stopped(_))),
        count(|verdict| matches!(verdict, Verdict::LookedInstalled(_))),
        count(|verdict| matches!(verdict, Verdict::Foreign(_))),
    );
    for cut in cuts {
        let _ = writeln!(text, "- {}", line(cut).replace('\n', " "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(outcome: Outcome, words: &str) -> Said {
        Said {
            outcome,
            words: words.to_owned(),
        }
    }

    #[test]
    fn what_looks_installed_and_is_not_is_told_apart() {
        let done = said(Outcome::Done, "`lb-1` is installed");
        let spent = said(Outcome::Refused, "already installed with this permit");
        let failed = said(Outcome::Failed, "disk gone");
        let looked = |verdict: &Verdict| matches!(verdict, Verdict::LookedInstalled(_));
        for (over, between, said, last, wanted) in [
            (false, None, &done, Seen::Healthy, "completed"),
            (
                false,
                Some(Seen::Incomplete),
                &done,
                Seen::Healthy,
                "completed",
            ),
            (
                false,
                Some(Seen::Nothing),
                &done,
                Seen::Healthy,
                "completed",
            ),
            (false, Some(Seen::Healthy), &done, Seen::Healthy, "looked"),
            (false, None, &done, Seen::Unhealthy, "looked"),
            (false, None, &done, Seen::Nothing, "looked"),
            (
                true,
                Some(Seen::Healthy),
                &spent,
                Seen::Healthy,
                "completed",
            ),
            (true, None, &spent, Seen::Incomplete, "looked"),
            // Cut between the last write and the word that it is done.
            (false, None, &spent, Seen::Healthy, "completed"),
            (false, None, &failed, Seen::Incomplete, "stopped"),
            (false, None, &failed, Seen::Nothing, "stopped"),
            (false, None, &failed, Seen::Healthy, "looked"),
        ] {
            let verdict = judge(over, between, said, last);
            let found = match &verdict {
                Verdict::Completed => "completed",
                Verdict::Stopped(_) => "stopped",
                verdict if looked(verdict) => "looked",
                _ => "foreign",
            };
            assert_eq!(found, wanted, "{over} {between:?} {said:?} {last:?}");
        }
    }

    #[test]
    fn the_report_counts() {
        let cut = |number, between, verdict| Cut {
            number,
            how: "Bios, USB".to_owned(),
            after: Duration::from_millis(1234 * number),
            step: "05-image-slot-a".to_owned(),
            between,
            verdict,
        };
        let cuts = [
            cut(1, None, Verdict::Completed),
            cut(2, Some(Seen::Incomplete), Verdict::Completed),
            cut(3, None, Verdict::Stopped("disk `sda` is gone".to_owned())),
        ];
        assert!(is_green(&cuts) && !is_green(&[]));
        let bad = [cut(4, None, Verdict::Foreign("the canary".to_owned()))];
        assert!(!is_green(&bad));
        insta::assert_snapshot!(markdown("lb", 7, &cuts), @r"
        3 installs of `lb`, power cut at a random moment, seed 7

        | completed after restart | stopped with reason | looked installed but was not (must be 0) | foreign bytes touched (must be 0) |
        |---|---|---|---|
        | 2 | 1 | 0 | 0 |

        - 1 Bios, USB: cut 1.2 s after the plan, at 05-image-slot-a; completed after restart
        - 2 Bios, USB: cut 2.5 s after the plan, at 05-image-slot-a, its own disks: Incomplete; completed after restart
        - 3 Bios, USB: cut 3.7 s after the plan, at 05-image-slot-a; stopped: disk `sda` is gone
        ");
    }
}
