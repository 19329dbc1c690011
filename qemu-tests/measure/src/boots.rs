//! Boots of the simulated `control` server: ours by the medium and from its disks, and beside them a plain Debian root of
//! the same kernel, handed to the same machine in the same way.

use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use camino::Utf8Path;
use qemu_tests::images;
use qemu_tests::machine::{
    Attachment, Boot, DirectKernel, Disk, Firmware, MediumKind, Patience, Rotation,
};
use qemu_tests::scenario::{Case, NodePlace, Site};
use run::event::Event;

use crate::clock::{Figure, time};

const ROLE: &str = "control";
const PLAIN: &str = "plain";
const PLAIN_BYTES: u64 = 3 << 30;
/// The event port of our machines; its udev name comes with systemd.
const READY: &str = "[Unit]\nAfter=multi-user.target\n[Service]\nType=oneshot\n\
    ExecStart=/bin/sh -c 'echo {\\\\\"sequence\\\\\":0,\\\\\"at\\\\\":0,\\\\\"event\\\\\":\\\\\"warned\\\\\",\\\\\"step\\\\\":null,\\\\\"message\\\\\":\\\\\"multi-user\\\\\"} > /dev/virtio-ports/org.rackwright.events'\n\
    [Install]\nWantedBy=multi-user.target\n";

/// Installs, reboots and compares; wall seconds only, the guests' CPU time is QEMU's.
///
/// # Errors
/// If an image cannot be built or a machine does not get there.
pub fn all(directory: &Utf8Path, mirror: Option<&str>) -> anyhow::Result<Vec<Figure>> {
    let image = images::build(&[ROLE])?
        .pop()
        .context("no image was built")?;
    let case = Case {
        firmware: Firmware::Uefi,
        medium: MediumKind::Usb,
        node: NodePlace::Medium,
    };
    let plain = Disk::sata(PLAIN, "plain", "PLAIN", 0, PLAIN_BYTES, Rotation::Solid)
        .attached(Attachment::Virtio);
    let mut site = Site::new(ROLE, &image, case, |machine| machine.disk(plain), |_| {})?;
    site.install(&mut |_| {})?;
    let (mut running, _status) = site.start(&Boot::default(), &mut |_| {})?;
    let line = site
        .shell
        .run("cat /proc/cmdline", std::time::Duration::from_secs(120))?;
    running.kill();
    drop(running);
    ensure!(line.status == 0, "no kernel command line: {}", line.stderr);
    let line = line.stdout.trim();
    let seconds = |time: std::time::Duration| time.as_secs_f64();
    let mut figures = vec![
        figure(
            "power-on to the installer's first event (UEFI, USB)",
            seconds(site.timings.to_first_event),
        ),
        figure(
            "plan to the end of the install",
            seconds(site.timings.install),
        ),
        figure(
            "reboot to healthy (UEFI, GRUB, from the disks)",
            seconds(site.timings.to_healthy),
        ),
    ];
    // GRUB names the kernel first, as BOOT_IMAGE.
    let line = line
        .split_whitespace()
        .filter(|word| !word.starts_with("BOOT_IMAGE="));
    let ours = DirectKernel {
        kernel: image.kernel.clone(),
        initrd: image.initrd.clone(),
        command_line: line.collect::<Vec<_>>().join(" "),
    };
    let mut running = site.machine.boot(&Boot {
        kernel: Some(ours),
        ..Boot::default()
    })?;
    running.wait_for("health", Patience::HEALTH, |event| {
        matches!(event, Event::Health { .. }).then_some(())
    })?;
    figures.push(figure(
        "kernel handed over: ours to healthy",
        running.since.elapsed().as_secs_f64(),
    ));
    running.kill();
    drop(running);

    let kernel = plain_debian(directory, mirror, &site.machine.files.disk(PLAIN))?;
    let mut running = site.machine.boot(&Boot {
        kernel: Some(kernel),
        ..Boot::default()
    })?;
    running.wait_for("multi-user.target", Patience::HEALTH, |event| {
        matches!(event, Event::Warned { .. }).then_some(())
    })?;
    figures.push(figure(
        "kernel handed over: plain Debian to multi-user.target",
        running.since.elapsed().as_secs_f64(),
    ));
    running.kill();
    Ok(figures)
}

fn figure(name: &str, wall: f64) -> Figure {
    Figure {
        name: name.to_owned(),
        wall,
        cpu: 0.0,
        bytes: None,
    }
}

/// A root as `mmdebstrap --include=linux-image-amd64` makes it, on a disk of its own.
fn plain_debian(
    directory: &Utf8Path,
    mirror: Option<&str>,
    disk: &Utf8Path,
) -> anyhow::Result<DirectKernel> {
    let root = directory.join("plain");
    if root.exists() {
        fs_err::remove_dir_all(&root)?;
    }
    let mut command = Command::new("mmdebstrap");
    command
        .args([
            "--variant=standard",
            "--include=linux-image-amd64,openssh-server",
        ])
        .arg("trixie")
        .arg(&root)
        .args(mirror);
    time("plain Debian", &mut command)?;
    let units = root.join("etc/systemd/system");
    fs_err::create_dir_all(units.join("multi-user.target.wants"))?;
    fs_err::write(units.join("ready.service"), READY)?;
    fs_err::os::unix::fs::symlink(
        "../ready.service",
        units.join("multi-user.target.wants/ready.service"),
    )?;
    let mut command = Command::new("mke2fs");
    command
        .args(["-q", "-F", "-t", "ext4", "-d"])
        .arg(&root)
        .arg(disk);
    time("plain disk", &mut command)?;
    let mut found = [None, None];
    for entry in fs_err::read_dir(root.join("boot"))? {
        let path = camino::Utf8PathBuf::try_from(entry?.path())?;
        for (slot, prefix) in found.iter_mut().zip(["vmlinuz-", "initrd.img-"]) {
            if path
                .file_name()
                .is_some_and(|name| name.starts_with(prefix))
            {
                *slot = Some(path.clone());
            }
        }
    }
    let [Some(kernel), Some(initrd)] = found else {
        bail!("plain Debian has no kernel or initrd in `{root}/boot`");
    };
    Ok(DirectKernel {
        kernel,
        initrd,
        command_line:
            "root=/dev/vda rw console=tty0 console=ttyS1,115200n8 console=ttyS0,115200n8 quiet"
                .to_owned(),
    })
}
