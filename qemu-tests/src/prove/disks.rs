//! What happens to disks: pulled, failing, swapped, full of somebody else's data, power gone between any two steps.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use run::event::{Event, Outcome};

use super::machines::{BIOS_USB, Test, UEFI_USB, finish};
use crate::images::Image;
use crate::machine::{Attachment, Boot, Builder, Firmware, Patience, Running, device_id};
use crate::node;
use crate::scenario::{Site, refuses, type_in};

pub(super) fn tests() -> Vec<Test> {
    let test = |name, role, run| Test { name, role, run };
    vec![
        test("disks::pulled-during-install", "lb", pulled),
        test("disks::errors-during-install", "lb", errors),
        test("disks::foreign-labels", "lb", foreign_labels),
        test("disks::every-step-cut", "lb", every_step),
        test("disks::pool-kept", "storage", pool_kept),
    ]
}

/// The load balancer with its disks behind a SAS controller, whose bays can be pulled while it runs.
pub(super) fn on_sas(mut machine: Builder) -> Builder {
    for (index, name) in ["os0", "os1"].into_iter().enumerate() {
        machine = machine.change(name, |disk| {
            disk.attachment = Attachment::Sas;
            disk.wwn = 0x5000_c500_6b00_0000 + 4 * index as u64;
        });
    }
    machine
}

/// Waits for the end of an install that cannot succeed: says the reason, and what it said on the way.
fn ends_with_a_reason(site: &mut Site, running: &mut Running) -> anyhow::Result<String> {
    let mut said = Vec::new();
    let ended = running.wait_for("end of the install", Patience::STEP, |event| match event {
        Event::Failed { error, hint, .. } => {
            said.push(error.clone());
            said.extend(hint.clone());
            None
        }
        Event::Ended { outcome, message } => {
            said.push(message.clone());
            Some(*outcome)
        }
        _ => None,
    });
    let outcome = site.explain(ended, running)?;
    running.kill();
    let said = said.join("\n");
    ensure!(
        matches!(outcome, Outcome::Failed | Outcome::Refused),
        "it ended as {outcome:?} although one of its two disks is gone:\n{said}"
    );
    Ok(said)
}

/// One of the two OS disks is pulled while the root image is written. The install must not call itself done; with the
/// disk back in its bay it is finished by starting it again.
fn pulled(test: &Test, image: &Image) -> anyhow::Result<()> {
    let mut site = Site::new(test.role, image, BIOS_USB, on_sas, |_| {})?;
    let boot = site.medium_boot();
    let mut running = site.machine.boot(&boot)?;
    let reached = running.wait_for("the root image", Patience::STEP, |event| match event {
        Event::Started { step } if step.ends_with("image-slot-a") => Some(Ok(())),
        Event::Ended { message, .. } => Some(Err(message.clone())),
        _ => None,
    });
    if let Err(message) = site.explain(reached, &mut running)? {
        bail!("the install ended before the root image: {message}");
    }
    running.qmp()?.device_del(&device_id("os1", 0))?;
    let said = ends_with_a_reason(&mut site, &mut running)?;
    drop(running);
    ensure!(
        said.contains("5000c5006b000004") || said.contains("LB-OS-1"),
        "the disk is not named:\n{said}"
    );
    site.canary_is_untouched()?;
    finish(&mut site)
        .map(drop)
        .context("install again with the disk back in its bay")
}

/// A sector in the middle of the first slot cannot be written or read on one OS disk. The install stops and names the
/// disk; with a good disk in that bay the next one succeeds.
fn errors(test: &Test, image: &Image) -> anyhow::Result<()> {
    let mut site = Site::new(test.role, image, BIOS_USB, on_sas, |_| {})?;
    let boot = Boot {
        // Partition 3 begins after 1 MiB + 1 MiB + 1024 MiB; the root image is longer than 64 MiB.
        bad_sectors: [("os1".to_owned(), (1026 + 64) * 2048)].into(),
        ..site.medium_boot()
    };
    let mut running = site.machine.boot(&boot)?;
    let said = ends_with_a_reason(&mut site, &mut running)?;
    drop(running);
    ensure!(
        said.contains("5000c5006b000004") || said.contains("LB-OS-1"),
        "the disk is not named:\n{said}"
    );
    site.canary_is_untouched()?;
    site.machine.replace_disk("os1")?;
    finish(&mut site)
        .map(drop)
        .context("install again with a good disk")
}

/// Real labels, made by the real tools in the live system: arrays of every metadata version are wiped, a firmware RAID
/// member is refused until the node file names it.
fn foreign_labels(test: &Test, image: &Image) -> anyhow::Result<()> {
    let mut site = Site::new(test.role, image, BIOS_USB, on_sas, |_| {})?;
    let disks = "/dev/disk/by-id/wwn-0x5000c5006b000000 /dev/disk/by-id/wwn-0x5000c5006b000004";
    let partitions = disks
        .split(' ')
        .flat_map(|disk| [1, 2, 3].map(|number| format!("{disk}-part{number}")));
    let partitions: Vec<String> = partitions.collect();
    let mut script = String::from("set -eu; export IMSM_NO_PLATFORM=1; modprobe raid1; ");
    for disk in disks.split(' ') {
        script += &format!(
            "printf 'size=2G\\nsize=2G\\nsize=2G\\n' | sfdisk --quiet --label gpt {disk}; "
        );
    }
    script += "udevadm settle; ";
    for (number, version) in ["0.90", "1.0", "1.2"].into_iter().enumerate() {
        script += &format!(
            "mdadm --create /dev/md/old{number} --run --metadata={version} --level=1 --raid-devices=2 \
             --assume-clean {} {}; ",
            partitions[number],
            partitions[number + 3]
        );
    }
    script += "udevadm settle; mkfs.ext4 -q -L old /dev/md/old0; sync";
    in_live_system(&mut site, &script)?;
    permit(&mut site, "permit-labels", None)?;
    finish(&mut site).context("install over arrays of metadata 0.90, 1.0 and 1.2")?;

    // The same disks as members of a firmware RAID.
    let script = format!(
        "set -eu; export IMSM_NO_PLATFORM=1; for disk in {disks}; do wipefs --all --quiet $disk-part* $disk; done; \
         udevadm settle; \
         mdadm --create /dev/md/imsm0 --run --metadata=imsm --raid-devices=2 {disks}; \
         mdadm --create /dev/md/vol0 --run --level=1 --raid-devices=2 /dev/md/imsm0; udevadm settle; sync"
    );
    in_live_system(&mut site, &script)?;
    permit(&mut site, "permit-imsm", None)?;
    refuses(&mut site, &["firmware or hardware RAID", "destroy"])
}

/// Runs a script in the live system, which waits because nobody permits anything, and pulls the plug: arrays are left as
/// those of a machine that died.
fn in_live_system(site: &mut Site, script: &str) -> anyhow::Result<()> {
    site.node.permit = None;
    let text = node::text(&site.node)?;
    site.write_node_file(&text)?;
    let boot = site.medium_boot();
    let mut running = site.machine.boot(&boot)?;
    let refused = running.wait_for("refusal without permit", Patience::BOOT, |event| {
        matches!(event, Event::Ended { .. }).then_some(())
    });
    site.explain(refused, &mut running)?;
    let typed = type_in(&mut running, script).map(drop);
    site.explain(typed, &mut running)?;
    running.kill();
    Ok(())
}

/// Waits until the mirror of the system has both halves.
pub(super) fn mirror_is_whole(site: &Site, running: &mut Running) -> anyhow::Result<()> {
    run_in(
        site,
        running,
        // An emulated machine copies members next to never (`SETTINGS` of the machine's arguments); here it is waited for.
        "for limit in max min; do for array in /sys/block/md*/md; do echo 2000000 > $array/sync_speed_$limit; done; done; \
         for second in $(seq 280); do grep -q '\\[UU\\]' /proc/mdstat && break; sleep 1; done; \
         sync; cat /proc/mdstat; grep -q '\\[UU\\]' /proc/mdstat",
    )
    .map(drop)
}

/// Runs a script as root in a running system.
pub(super) fn run_in(site: &Site, running: &mut Running, script: &str) -> anyhow::Result<String> {
    let answer = site
        .shell
        .run(
            &format!("sudo sh -c '{}'", script.replace('\'', "'\\''")),
            Duration::from_secs(300),
        )
        .with_context(|| format!("ssh to {}", running.name))?;
    ensure!(
        answer.status == 0,
        "`{script}` ended with {}: {}{}",
        answer.status,
        answer.stdout,
        answer.stderr
    );
    Ok(answer.stdout)
}

/// Power gone at every step boundary, each time going on with the same medium and permit.
fn every_step(test: &Test, image: &Image) -> anyhow::Result<()> {
    let mut site = Site::new(test.role, image, BIOS_USB, on_sas, |_| {})?;
    let boot = site.medium_boot();
    let mut cuts = 0;
    // The cut comes after one more step was begun than the last time.
    for last in 1.. {
        let mut running = site.machine.boot(&boot)?;
        let mut started = 0;
        let reached = running.wait_for("the next step", Patience::STEP, |event| match event {
            Event::Started { step } => {
                started = step
                    .split('-')
                    .next()
                    .and_then(|number| number.parse().ok())
                    .unwrap_or(started);
                (started >= last).then_some(Ok(false))
            }
            Event::Failed { error, .. } => Some(Err(error.clone())),
            Event::Ended {
                outcome: Outcome::Done,
                ..
            } => Some(Ok(true)),
            Event::Ended { message, .. } => Some(Err(message.clone())),
            _ => None,
        });
        let reached = site.explain(reached, &mut running)?;
        running.kill();
        drop(running);
        site.canary_is_untouched()?;
        match reached {
            Ok(false) => cuts += 1,
            Ok(true) => break,
            Err(message) => bail!("after {cuts} power cuts, before step {last}: {message}"),
        }
    }
    ensure!(cuts >= 10, "only {cuts} power cuts: the events changed?");
    site.survives(Firmware::Bios, &[])
        .with_context(|| format!("first boot after {cuts} power cuts"))
}

/// A dead OS disk is replaced by a blank one; the medium's repair brings the mirror back, and the machine then starts from
/// the new disk alone.
pub(super) fn swap_and_repair(site: &mut Site) -> anyhow::Result<()> {
    site.machine.replace_disk("os1")?;
    permit(site, "permit-repair", Some("repair"))?;
    site.install(&mut |_| {}).context("repair")?;
    let (mut running, _status) = site
        .start(&Boot::default(), &mut |_| {})
        .context("first boot after the repair")?;
    // The mirror must be whole before its other half is pulled.
    mirror_is_whole(site, &mut running)?;
    running.kill();
    drop(running);
    site.survives(Firmware::Bios, &["os0"])
        .context("the new disk alone")
}

/// A file in the pool.
const LETTER: &str = "/var/srv/export/mail/letter";

/// A pool with a file in it: found again at the second boot, mended after a disk was replaced, refused to another node,
/// kept by `data = "keep"`.
fn pool_kept(test: &Test, image: &Image) -> anyhow::Result<()> {
    let fewer = super::machines::fewer_data_disks;
    let data = super::machines::data_disks(test.role, 4)?;
    let mut site = Site::new(test.role, image, UEFI_USB, fewer, |file| {
        file.disks.push(data)
    })?;
    finish(&mut site)?;
    let (mut running, _status) = site
        .start(&Boot::default(), &mut |_| {})
        .context("second boot")?;
    let guid = run_in(
        &site,
        &mut running,
        &format!("echo dear reader > {LETTER}; sync; zpool get -H -o value guid tank"),
    )?;
    let live = run_in(&site, &mut running, "rackwright-installer inventory --json")?;
    super::shape::same_as_fixture(&live, "storage")?;
    running.kill();
    drop(running);

    data_disk_replaced(&mut site).context("a data disk was replaced")?;

    // Another node's install must not take it.
    let own = site.node.clone();
    site.node.node = "storage-9".to_owned();
    permit(&mut site, "permit-other", None)?;
    refuses(&mut site, &[guid.trim(), "tank"]).context("another node's install")?;

    // The node itself, with its data kept.
    site.node = own;
    site.node.storage.data = Some("keep".to_owned());
    permit(&mut site, "permit-keep", None)?;
    site.install(&mut |_| {})
        .context("install with the data kept")?;
    for boot in ["first", "second"] {
        let (mut running, _status) = site
            .start(&Boot::default(), &mut |_| {})
            .with_context(|| format!("{boot} boot with the kept pool"))?;
        read_letter(&site, &mut running)?;
    }
    Ok(())
}

/// A blank disk in the bay of a dead one: the medium's repair puts it into the pool, which is whole afterwards.
fn data_disk_replaced(site: &mut Site) -> anyhow::Result<()> {
    site.machine.replace_disk("data1")?;
    permit(site, "permit-repair", Some("repair"))?;
    site.install(&mut |_| {}).context("repair")?;
    let (mut running, _status) = site
        .start(&Boot::default(), &mut |_| {})
        .context("first boot after the repair")?;
    let status = run_in(
        site,
        &mut running,
        "zpool wait -t resilver,replace tank; zpool status tank",
    )?;
    ensure!(
        status.contains("state: ONLINE") && !status.contains("replacing"),
        "the pool is not whole:\n{status}"
    );
    read_letter(site, &mut running)
}

fn read_letter(site: &Site, running: &mut Running) -> anyhow::Result<()> {
    let text = run_in(site, running, &format!("cat {LETTER}; sync"))?;
    ensure!(text == "dear reader\n", "the letter reads `{text}`");
    Ok(())
}

/// Writes the node file with a new permit, for an install or another task.
fn permit(site: &mut Site, id: &str, task: Option<&str>) -> anyhow::Result<()> {
    let mut permit = node::node_file(&site.role, id, "").permit;
    if let Some(permit) = &mut permit {
        permit.task = task.map(str::to_owned);
    }
    site.node.permit = permit;
    let text = node::text(&site.node)?;
    site.write_node_file(&text)
}
