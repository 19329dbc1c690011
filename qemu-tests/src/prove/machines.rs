//! The tier of simulated servers: which role is installed how, and what is done to it. A boot under emulation costs most
//! of a minute, so one installed machine serves several tests.

use anyhow::Context as _;
use roles::role::{DiskNeed, Purpose};
use roles::selector::{Selector, Transport};

use crate::images::Image;
use crate::machine::{Attachment, Boot, Disk, Firmware, MediumKind};
use crate::scenario::{Case, NodePlace, Site, check_status, interrupt, pxe, spent_permit};

/// A test on a simulated server.
pub(super) struct Test {
    /// Name.
    pub name: &'static str,
    /// Role whose image it needs.
    pub role: &'static str,
    /// What is done.
    pub run: fn(&Test, &Image) -> anyhow::Result<()>,
}

pub(super) const UEFI_USB: Case = Case {
    firmware: Firmware::Uefi,
    medium: MediumKind::Usb,
    node: NodePlace::Medium,
};
const UEFI_CD: Case = Case {
    firmware: Firmware::Uefi,
    medium: MediumKind::Cd,
    node: NodePlace::Stick,
};
pub(super) const BIOS_USB: Case = Case {
    firmware: Firmware::Bios,
    medium: MediumKind::Usb,
    node: NodePlace::Stick,
};
const BIOS_CD: Case = Case {
    firmware: Firmware::Bios,
    medium: MediumKind::Cd,
    node: NodePlace::Stick,
};

/// What every run proves, `.ci/run` too, the most telling first: all roles, both kinds of firmware and media, an install that is cut
/// off and a disk that is replaced, a compiled node file, an install by keys, a refusal.
/// The others take longer than CI has on two cores; `--all` or a filter runs them.
///
/// Beside each the seconds it took, two at a time, on a machine where `install::standalone-uefi-cd` takes 300.
const SHORT: [(&str, u32); 9] = [
    ("fault::interrupted-then-repaired", 640),
    ("install::storage-four-disks", 370),
    ("install::standalone-uefi-cd", 300),
    ("interactive::control", 330),
    ("compiled::galera", 300),
    ("install::production-uefi-usb", 300),
    ("install::backup-four-disks", 340),
    ("install::database-uefi-usb", 300),
    ("refuse::typo", 90),
];

/// Place in a run without `--all`, if it is in one.
pub(super) fn place_in_short(name: &str) -> Option<usize> {
    SHORT.iter().position(|(short, _)| *short == name)
}

/// Seconds that a test takes where `install::standalone-uefi-cd` takes 300; a guess for those that are not in every run.
pub(super) fn seconds(name: &str) -> u32 {
    const GUESS: u32 = 600;
    let found = SHORT.iter().find(|(short, _)| *short == name);
    found.map_or(GUESS, |(_, seconds)| *seconds)
}

/// All of them; the long ones first, so that no worker is left with one at the end.
pub(super) fn tests() -> Vec<Test> {
    let test = |name, role, run| Test { name, role, run };
    let mut tests = vec![
        test("install::storage-uefi-usb", "storage", |test, image| {
            install(test, image, UEFI_USB).map(drop)
        }),
        test("install::backup-uefi-cd", "backup", |test, image| {
            install(test, image, UEFI_CD).map(drop)
        }),
        test("install::control-uefi-usb", "control", |test, image| {
            install(test, image, UEFI_USB).map(drop)
        }),
        test(
            "fault::spent-permit-and-pulled-disks",
            "control",
            |test, image| {
                let mut site = install(test, image, UEFI_USB)?;
                spent_permit(&mut site)?;
                site.survives(Firmware::Uefi, &["os1"])?;
                site.survives(Firmware::Uefi, &["os0"])
            },
        ),
        test("fault::interrupted-then-repaired", "lb", interrupted),
        test("install::storage-four-disks", "storage", four_disks),
        test("install::backup-four-disks", "backup", four_disks),
        test("install::lb-uefi-cd", "lb", |test, image| {
            let mut site = install(test, image, UEFI_CD)?;
            // Installed by UEFI, started by BIOS: every OS disk carries both loaders.
            site.survives(Firmware::Bios, &["os1"])?;
            site.survives(Firmware::Bios, &["os0"])
        }),
        test(
            "install::storage-two-paths",
            "storage",
            super::paths::two_paths,
        ),
        test("install::storage-full-chassis", "storage", full_chassis),
        test(
            "install::production-uefi-usb",
            "production",
            |test, image| install(test, image, UEFI_USB).map(drop),
        ),
        test(
            "install::standalone-uefi-cd",
            "standalone",
            |test, image| install(test, image, UEFI_CD).map(drop),
        ),
        test("install::database-uefi-usb", "database", |test, image| {
            install(test, image, UEFI_USB).map(drop)
        }),
        test("install::galera-uefi-cd", "galera", |test, image| {
            install(test, image, UEFI_CD).map(drop)
        }),
        test("install::galera-bios-usb", "galera", |test, image| {
            install(test, image, BIOS_USB).map(drop)
        }),
        test("install::control-bios-cd", "control", |test, image| {
            install(test, image, BIOS_CD).map(drop)
        }),
        test("install::lb-network", "lb", |test, image| {
            pxe(test.role, image)
        }),
    ];
    tests.extend(super::listening::tests());
    tests.extend(super::cluster_front::tests());
    tests.extend(super::cluster_mail::tests());
    tests.extend(super::cluster_database::tests());
    tests.extend(super::compiled::tests());
    tests.extend(super::depot::tests());
    tests.extend(super::disks::tests());
    tests.extend(super::interactive::tests());
    tests.extend(super::management::tests());
    tests.extend(super::refusals::tests());
    tests.extend(super::wiring::tests());
    tests
}

/// From bare metal to healthy.
fn install(test: &Test, image: &Image, case: Case) -> anyhow::Result<Site> {
    let mut site = Site::new(test.role, image, case, |machine| machine, |_| {})?;
    finish(&mut site)?;
    Ok(site)
}

/// From bare metal to healthy; gives the status of the first boot.
pub(super) fn finish(site: &mut Site) -> anyhow::Result<serde_json::Value> {
    site.install(&mut |_| {}).context("install")?;
    let (_running, status) = site
        .start(&Boot::default(), &mut |_| {})
        .context("first boot from disks")?;
    check_status(&site.role, &status)?;
    Ok(status)
}

/// Plug pulled while the root image is copied, and again just before the end; the medium goes on both times. Then one of the disks is
/// replaced.
fn interrupted(test: &Test, image: &Image) -> anyhow::Result<()> {
    let mut site = Site::new(test.role, image, BIOS_USB, super::disks::on_sas, |_| {})?;
    interrupt(&mut site, "image-slot-a")?;
    interrupt(&mut site, "finish")?;
    site.is_incomplete()
        .context("first boot of an interrupted install")?;
    finish(&mut site).context("install again after it was interrupted")?;
    super::disks::swap_and_repair(&mut site)
}

/// As few data disks as a pool needs.
fn four_disks(test: &Test, image: &Image) -> anyhow::Result<()> {
    let data = data_disks(test.role, 4)?;
    let case = if test.role == "storage" {
        UEFI_USB
    } else {
        UEFI_CD
    };
    let mut site = Site::new(test.role, image, case, fewer_data_disks, |file| {
        file.disks.push(data);
    })?;
    finish(&mut site).map(drop)
}

/// The full chassis: 36 data disks, log and cache.
fn full_chassis(test: &Test, image: &Image) -> anyhow::Result<()> {
    let data = data_disks(test.role, 36)?;
    let more = |machine| more_data_disks(machine, 36);
    let mut site = Site::new(test.role, image, UEFI_USB, more, |file| {
        file.disks.push(data)
    })?;
    finish(&mut site).map(drop)
}

/// The storage machine's 16 data disks made `count`.
pub(super) fn more_data_disks(
    mut machine: crate::machine::Builder,
    count: u32,
) -> crate::machine::Builder {
    for index in 16..u64::from(count) {
        let disk = Disk::sata(
            &format!("data{index}"),
            "HUH728080AL5200",
            &format!("VJGR{index:02}DX"),
            0x5000_cca2_6128_0e68 + index * 4,
            8_001_563_222_016,
            crate::machine::Rotation::Spinning(7200),
        );
        machine = machine.disk(disk.attached(Attachment::Sas).made_by("HGST"));
    }
    machine
}

/// Four of the storage machine's 16 data disks.
pub(super) fn fewer_data_disks(machine: crate::machine::Builder) -> crate::machine::Builder {
    (4..16).fold(machine, |machine, index| {
        machine.without(&format!("data{index}"))
    })
}

/// The role's data group with another number of disks.
pub(super) fn data_disks(role: &str, count: u32) -> anyhow::Result<DiskNeed> {
    let set = roles::folder::read(&crate::images::workspace().join("roles"))?;
    let found = set.roles.get(role);
    let role = &found.with_context(|| format!("no role `{role}`"))?.role;
    let mut need = role
        .disks
        .iter()
        .find(|need| need.purpose == Purpose::Data)
        .context("role `storage` has no data disks")?
        .clone();
    need.count = count;
    need.select = vec![Selector {
        rotational: Some(true),
        size: Some("3.9 TB..".to_owned()),
        transport: vec![Transport::Sas],
        ..Selector::default()
    }];
    Ok(need)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_tier_has_every_role_and_no_mistyped_name() {
        let all = tests();
        for (name, _) in SHORT {
            assert!(all.iter().any(|test| test.name == name), "{name}");
        }
        for role in crate::machines::ROLES {
            let mut short = all
                .iter()
                .filter(|test| place_in_short(test.name).is_some());
            assert!(short.any(|test| test.role == role), "{role}");
        }
    }
}
