//! The running appliance: array, slot, state and var.

use std::path::Path;

use anyhow::{Context, Result};

use crate::{
    array, command_line::CommandLine, console, facts::RootImage, fill, modules::Modules, mounts,
};

/// What was found and where.
pub struct RunningRoot {
    /// md device.
    pub array: String,
    /// Device of the slot.
    pub device: String,
    /// What was not as it should be.
    pub warnings: Vec<String>,
}

/// Starts the array and mounts the slot.
pub fn find(modules: &mut Modules, line: &CommandLine) -> Result<RunningRoot> {
    let uuid = line.array.as_ref().context(
        "the kernel command line has neither `rackwright=install` nor `rackwright.array=UUID`\n\
         hint: boot from the medium, or repair the boot loader's configuration",
    )?;
    let slot = line
        .slot
        .context("the kernel command line has no `rackwright.slot=a` or `rackwright.slot=b`")?;
    let array = array::assemble(modules, uuid)?;
    let device = array::partition(&array.device, slot.partition())?;
    Ok(RunningRoot {
        array: array.device,
        device,
        warnings: array.warning.into_iter().collect(),
    })
}

/// `/state` and `/var`, after the root is mounted.
pub fn mount_persistent(found: &RunningRoot, image: &RootImage) -> Result<()> {
    let root = mounts::NEW_ROOT;
    let state = array::partition(&found.array, "state")?;
    mounts::ext4(&state, &format!("{root}/state"))?;
    // First beside the image's own /var, so that what it has can be brought over.
    let var = array::partition(&found.array, "var")?;
    mounts::ext4(&var, "/newvar")?;
    let created = fill::fill(
        Path::new(&format!("{root}/var")),
        Path::new("/newvar"),
        &image.sha256,
    )?;
    if created > 0 {
        console::say(&format!("brought {created} files and directories to /var"));
    }
    mounts::relocate("/newvar", &format!("{root}/var"))
}
