//! Disks and space: a disk of the pool, an OS disk, full file systems, a machine installed anew.

use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::rack::{Rack, green};

/// Longer than a mail server needs to notice that it cannot write.
const FULL: Duration = Duration::from_secs(90);

fn first(rack: &Rack, role: &str) -> anyhow::Result<String> {
    let found = rack.of(role).next();
    let found = found.with_context(|| format!("no machine with the role `{role}`"))?;
    Ok(found.name().to_owned())
}

pub(super) fn pool_disk(rack: &mut Rack) -> anyhow::Result<()> {
    let name = green::storage(rack)?.name().to_owned();
    let unit = rack.unit(&name)?;
    unit.running()?.qmp()?.device_del("data3")?;
    let degraded = "sudo zpool list -H -o health tank | grep -qx DEGRADED";
    unit.wait("degraded", degraded, "sudo zpool status tank", FULL * 4)?;
    // The new disk needs a power cycle here: QEMU's SAS controller takes none while it runs.
    unit.kill();
    unit.machine.replace_disk("data3")?;
    unit.start()?;
    green::wait(unit)?;
    unit.run(&format!("echo {name} | sudo rackwright-installer repair"))?;
    let online = "sudo zpool list -H -o health tank | grep -qx ONLINE";
    unit.wait(
        "whole",
        online,
        "sudo zpool status tank",
        Duration::from_secs(900),
    )
    .map(drop)
}

pub(super) fn os_disk(rack: &mut Rack) -> anyhow::Result<()> {
    let name = first(rack, "production")?;
    let unit = rack.unit(&name)?;
    unit.running()?.qmp()?.device_del("os1")?;
    let degraded = "grep -q '_' /proc/mdstat";
    unit.wait("degraded", degraded, "cat /proc/mdstat", FULL * 4)?;
    unit.kill();
    unit.machine.replace_disk("os1")?;
    unit.start()?;
    green::wait(unit)?;
    unit.run(&format!("echo {name} | sudo rackwright-installer repair"))?;
    let whole = "! grep -q '_' /proc/mdstat || grep -q recovery /proc/mdstat";
    unit.wait(
        "being rebuilt",
        whole,
        "cat /proc/mdstat",
        Duration::from_secs(900),
    )
    .map(drop)
}

pub(super) fn var_full(rack: &mut Rack) -> anyhow::Result<()> {
    let name = first(rack, "production")?;
    let unit = rack.unit(&name)?;
    unit.run("sudo sh -c 'fallocate -l $(df --output=avail -B1 /var | tail -1) /var/full; true'")?;
    std::thread::sleep(FULL);
    let said = unit.run("df --output=avail -B1 /var | tail -1")?;
    ensure!(
        said.trim().parse::<u64>().unwrap_or(0) < 10_000_000,
        "/var is not full: {said} bytes are free"
    );
    unit.run("sudo rm -f /var/full")?;
    green::wait(unit).map(drop)
}

pub(super) fn pool_full(rack: &mut Rack) -> anyhow::Result<()> {
    let name = green::storage(rack)?.name().to_owned();
    let unit = rack.unit(&name)?;
    let set = unit.run(
        "sudo zfs list -H -o name,mountpoint | awk '$2 == \"/var/srv/export\" { print $1 }'",
    )?;
    ensure!(!set.is_empty(), "no data set is exported");
    // What it holds now is all that it may hold.
    unit.run(&format!(
        "sudo zfs set quota=$(sudo zfs get -Hp -o value used {set}) {set}"
    ))?;
    std::thread::sleep(FULL);
    unit.run(&format!(
        "sudo zfs inherit quota {set} || sudo zfs set quota=none {set}"
    ))?;
    green::wait(rack.unit(&name)?).map(drop)
}

pub(super) fn reinstall(rack: &mut Rack) -> anyhow::Result<()> {
    let writer = green::writer(rack)?;
    let names = rack.of("galera").map(|unit| unit.name().to_owned());
    let name = names.into_iter().find(|name| *name != writer);
    let name = name.context("no other member")?;
    let unit = rack.unit(&name)?;
    unit.kill();
    let disks = unit.machine.specification.disks.clone();
    for disk in disks
        .iter()
        .filter(|disk| disk.name != crate::machines::CANARY)
    {
        unit.machine.replace_disk(&disk.name)?;
    }
    rack.install_again(&name, Duration::from_secs(2400))?;
    green::wait(rack.unit(&name)?).map(drop)
}
