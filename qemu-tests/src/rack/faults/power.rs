//! Power cuts.

use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, ensure};

use crate::machine::Boot;
use crate::rack::{Rack, green};

/// How long a machine stays dark: longer than every time-out of the cluster.
const DARK: Duration = Duration::from_secs(60);
/// Until somebody else has taken over, emulated.
const TAKEOVER: Duration = Duration::from_secs(300);

/// Names of all machines of a role.
fn names(rack: &Rack, role: &str) -> Vec<String> {
    rack.of(role).map(|unit| unit.name().to_owned()).collect()
}

/// Off, dark, on again, well again.
fn cycle(rack: &mut Rack, names: &[String]) -> anyhow::Result<()> {
    for name in names {
        rack.unit(name)?.kill();
    }
    std::thread::sleep(DARK);
    back(rack, names)
}

fn back(rack: &mut Rack, names: &[String]) -> anyhow::Result<()> {
    rack.start_in_turn(names)?;
    for name in names {
        green::wait(rack.unit(name)?)?;
    }
    Ok(())
}

pub(super) fn writer(rack: &mut Rack) -> anyhow::Result<()> {
    let writer = green::writer(rack)?;
    rack.unit(&writer)?.kill();
    let lost = Instant::now();
    loop {
        if let Ok(next) = green::writer(rack)
            && next != writer
        {
            break;
        }
        ensure!(lost.elapsed() < TAKEOVER, "no other database takes writes");
        std::thread::sleep(Duration::from_secs(2));
    }
    back(rack, &[writer])
}

pub(super) fn member(rack: &mut Rack) -> anyhow::Result<()> {
    let writer = green::writer(rack)?;
    let other = names(rack, "galera")
        .into_iter()
        .find(|name| *name != writer);
    cycle(rack, &[other.context("no other member")?])
}

pub(super) fn mail(rack: &mut Rack) -> anyhow::Result<()> {
    // Traffic goes to the first one that is well.
    let name = names(rack, "production").into_iter().next();
    cycle(rack, &[name.context("no mail server")?])
}

pub(super) fn balancer(rack: &mut Rack) -> anyhow::Result<()> {
    let active = green::balancer(rack)?.name().to_owned();
    rack.unit(&active)?.kill();
    let lost = Instant::now();
    while !green::balancer(rack).is_ok_and(|other| other.name() != active) {
        ensure!(
            lost.elapsed() < TAKEOVER,
            "no other balancer takes the mail address"
        );
        std::thread::sleep(Duration::from_secs(1));
    }
    std::thread::sleep(DARK);
    back(rack, std::slice::from_ref(&active))?;
    ensure!(
        green::balancer(rack)?.name() != active,
        "the balancer that came back took the address"
    );
    Ok(())
}

pub(super) fn controls(rack: &mut Rack) -> anyhow::Result<()> {
    let both = names(rack, "control");
    cycle(rack, &both)
}

pub(super) fn storage(rack: &mut Rack) -> anyhow::Result<()> {
    let active = green::storage(rack)?.name().to_owned();
    rack.unit(&active)?.kill();
    let other = names(rack, "storage")
        .into_iter()
        .find(|name| *name != active);
    let other = other.context("no other storage server")?;
    rack.unit(&other)?
        .run("sudo rackwright-installer storage promote --fenced --accept-loss 600")?;
    green::wait(rack.unit(&other)?)?;
    std::thread::sleep(DARK);
    // It comes back, and does not export what is old.
    rack.unit(&active)?.start()?;
    let old = rack.unit(&active)?;
    old.wait(
        "refusing to export",
        "grep -q 'knows epoch' /run/rackwright/service.json",
        "cat /run/rackwright/service.json",
        Duration::from_secs(1200),
    )?;
    old.run("sudo rackwright-installer storage demote")?;
    green::wait(old).map(drop)
}

pub(super) fn galera(rack: &mut Rack) -> anyhow::Result<()> {
    let all = names(rack, "galera");
    cycle(rack, &all)
}

pub(super) fn two_of_three(rack: &mut Rack) -> anyhow::Result<()> {
    let all = names(rack, "galera");
    let (lost, rest) = all.split_last().context("no members")?;
    for name in &all {
        rack.unit(name)?.kill();
    }
    std::thread::sleep(DARK);
    for name in rest {
        rack.unit(name)?.start()?;
    }
    let began = Instant::now();
    // The runbook: on the members, in any order, one step each, until all are done.
    loop {
        for name in rest {
            let unit = rack.unit(name)?;
            let recover = format!("sudo rackwright-installer galera recover --lost {lost}");
            let said = unit.ask(&recover, Duration::from_secs(600))?;
            rack.say(&format!(
                "{name}: {} {}",
                said.stdout.trim(),
                said.stderr.trim()
            ));
        }
        let fit = rest.iter().all(|name| {
            rack.unit(name)
                .is_ok_and(|unit| unit.holds("curl -sf -o /dev/null http://127.0.0.1:9200/"))
        });
        if fit {
            break;
        }
        ensure!(
            began.elapsed() < Duration::from_secs(1800),
            "two of three members were not recovered"
        );
        std::thread::sleep(Duration::from_secs(10));
    }
    back(rack, std::slice::from_ref(lost))
}

pub(super) fn clock(rack: &mut Rack) -> anyhow::Result<()> {
    let name = names(rack, "galera").pop().context("no member")?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let unit = rack.unit(&name)?;
    unit.kill();
    let ahead = now + Duration::from_secs(3600);
    unit.start_with(&Boot {
        clock: Some(utc(ahead.as_secs())?),
        ..Boot::default()
    })?;
    green::wait(unit)?;
    let seconds: u64 = unit.run("date +%s")?.parse()?;
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)?
        .as_secs();
    ensure!(
        seconds.abs_diff(now) < 120,
        "the clock of `{name}` is still {} s off",
        seconds.abs_diff(now)
    );
    Ok(())
}

pub(super) fn rack(rack: &mut Rack) -> anyhow::Result<()> {
    let all: Vec<String> = rack
        .units
        .iter()
        .map(|unit| unit.name().to_owned())
        .collect();
    for name in &all {
        rack.unit(name)?.kill();
    }
    std::thread::sleep(Duration::from_secs(10));
    back(rack, &all)
}

/// `2031-01-01T00:00:00`, as QEMU's `-rtc base=` takes it.
fn utc(seconds: u64) -> anyhow::Result<String> {
    let time = time::OffsetDateTime::from_unix_timestamp(i64::try_from(seconds)?)?;
    let (hour, minute, second) = time.to_hms();
    Ok(format!("{}T{hour:02}:{minute:02}:{second:02}", time.date()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (seconds, date) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_400, "2000-02-29T00:00:00"),
            (1_796_000_000, "2026-11-30T00:53:20"),
        ] {
            assert_eq!(utc(seconds).unwrap(), date);
        }
    }
}
