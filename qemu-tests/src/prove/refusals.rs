//! What an install refuses before its first write: a wrong node file, wrong disks, a machine that is not enough, a medium
//! that was written only in part.

use anyhow::Context as _;
use roles::node::Waiver;

use super::machines::{BIOS_USB, Test};
use crate::images::Image;
use crate::machine::{Attachment, Builder, Disk, Rotation};
use crate::node;
use crate::scenario::{Site, plans, refuses, truncated_medium};

pub(super) fn tests() -> Vec<Test> {
    let test = |name, role, run| Test { name, role, run };
    vec![
        test("refuse::typo", "control", typo),
        test("refuse::missing-disk", "control", |test, image| {
            let less = |machine: Builder| machine.without("os1");
            refuses(&mut site(test, image, less)?, &["BTWL34567800240NGN"])
        }),
        test("refuse::two-candidates", "control", two_candidates),
        test("refuse::disk-too-small", "control", |test, image| {
            let small =
                |machine: Builder| machine.change("os1", |disk| disk.size = 160_041_885_696);
            refuses(&mut site(test, image, small)?, &["BTWL34567801240NGN"])
        }),
        test("refuse::failing-disk", "lb", failing_disk),
        test("refuse::finding", "control", finding),
        test("refuse::truncated-medium", "control", |test, image| {
            truncated_medium(&mut site(test, image, |machine| machine)?)
        }),
    ]
}

fn site(
    test: &Test,
    image: &Image,
    adjust: impl FnOnce(Builder) -> Builder,
) -> anyhow::Result<Site> {
    Site::new(test.role, image, BIOS_USB, adjust, |_| {})
}

/// A mistyped key is named with its line and column, before anything is looked at.
fn typo(test: &Test, image: &Image) -> anyhow::Result<()> {
    let mut site = site(test, image, |machine| machine)?;
    let text = node::text(&site.node)?;
    let wrong = text.replacen("initial_sync", "inital_sync", 1);
    let line = wrong
        .lines()
        .position(|line| line.starts_with("inital_sync"))
        .context("no key to mistype")?
        + 1;
    site.write_node_file(&wrong)?;
    refuses(
        &mut site,
        &["inital_sync", "initial_sync", &format!(":{line}:1")],
    )
}

/// Three disks fit where two are wanted: nobody guesses.
fn two_candidates(test: &Test, image: &Image) -> anyhow::Result<()> {
    let third = Disk::sata(
        "os2",
        "INTEL SSDSC2BB240G4",
        "BTWL34567802240NGN",
        0x5001_5178_f363_0002,
        240_057_409_536,
        Rotation::Solid,
    );
    refuses(
        &mut site(test, image, |machine| machine.disk(third))?,
        &[
            "BTWL34567800240NGN",
            "BTWL34567801240NGN",
            "BTWL34567802240NGN",
        ],
    )
}

/// An NVMe disk that answers "reliability degraded" is not taken, and named with what it said; a healthy one in its place is.
fn failing_disk(test: &Test, image: &Image) -> anyhow::Result<()> {
    let nvme = |warning: u8| {
        move |machine: Builder| {
            ["os0", "os1"]
                .into_iter()
                .fold(machine, |machine: Builder, name| {
                    machine.change(name, |disk| {
                        disk.attachment = Attachment::Nvme;
                        disk.warning = if name == "os1" { warning } else { 0 };
                    })
                })
        }
    };
    // Bit 2 of the critical warning (NVMe base specification 1.4, figure 194).
    refuses(
        &mut site(test, image, nvme(1 << 2))?,
        &["LB-OS-1", "SMART: it has become unreliable (04)"],
    )?;
    plans(&mut site(test, image, nvme(0))?).context("the same machine with a healthy disk")
}

/// Less memory than the role can live with: refused by the finding, with the lines that waive it; with them in the node
/// file it goes on.
fn finding(test: &Test, image: &Image) -> anyhow::Result<()> {
    const MEBIBYTES: u32 = 960;
    let mut site = site(test, image, |machine| machine.memory(MEBIBYTES))?;
    refuses(
        &mut site,
        &["memory.total", "[[waivers]]", "finding = \"memory.total\""],
    )?;
    site.node.waivers.push(Waiver {
        finding: "memory.total".to_owned(),
        reason: "a test".to_owned(),
    });
    let text = node::text(&site.node)?;
    site.write_node_file(&text)?;
    plans(&mut site).context("with the finding waived")
}
