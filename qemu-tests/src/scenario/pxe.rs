//! Network install as the kernel sees it: kernel and initrd handed over, root image inside the initrd, node file by URL.
//!
//! The network loader itself is not run here; what it loads is.

use anyhow::Context as _;
use fs_err as fs;

use super::site::check_status;
use super::{Case, NodePlace, Site, http};
use crate::images::Image;
use crate::machine::{Boot, DirectKernel, Firmware, MediumKind};
use crate::node;

/// Installs `role` so and boots it from its disks.
///
/// # Errors
/// If a part does not go well.
pub fn pxe(role: &str, built: &Image) -> anyhow::Result<()> {
    let case = Case {
        firmware: Firmware::Bios,
        medium: MediumKind::Usb,
        node: NodePlace::Nowhere,
    };
    let mut site = Site::new(
        role,
        built,
        case,
        // The root image lies in memory twice for a while: in the initrd and in the RAM disk.
        |builder| builder.memory(3072).open_network(),
        |_| {},
    )?;
    let port = http::serve(node::text(&site.node)?)?;
    let initrd = site.machine.file("initrd");
    // iPXE's `initrd FILE NAME` makes the same: another archive behind the first, at a multiple of four.
    let mut bytes = fs::read(&built.initrd)?;
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend(image::pxe::archive(&built.folder, None)?);
    fs::write(&initrd, bytes)?;
    let boot = Boot {
        kernel: Some(DirectKernel {
            kernel: built.kernel.clone(),
            initrd,
            command_line: format!(
                "rackwright=install rackwright.node=http://10.0.2.2:{port}/node.toml console=tty0 console=ttyS0,115200n8 \
                 console=ttyS1,115200n8"
            ),
        }),
        ..Boot::default()
    };
    site.install_with(&boot, &mut |_| {})
        .context("network install")?;
    let (_running, status) = site
        .start(&Boot::default(), &mut |_| {})
        .context("first boot from disks")?;
    check_status(role, &status)
}
